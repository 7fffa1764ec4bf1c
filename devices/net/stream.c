/* SPDX-License-Identifier: Apache-2.0 */
/* stream.c: frames out of bytes, and bytes out of frames.
 *
 * To the guest: a read takes what there is, many frames at once; they are copied out of our buffer
 * one by one.  What is no whole frame yet is moved to the front before the next read.
 *
 * From the guest: a frame and its length go in one system call, from where they lie.  What the kernel
 * has no room for, which is all of a frame that fits a buffer of its own (32 KiB), is copied and goes
 * before anything else does.  So a frame is handed over once, and judged once.
 *
 * All of it outlives the driver's reset: the other end knows of no reset. */
#include "devices/net/stream.h"

#include "core/virtqueue.h"

#include <errno.h>
#include <string.h>

static enum tap_result of_error(int err)
{
	switch (err) {
	case EAGAIN: return TAP_AGAIN;
	case EINTR: return TAP_AGAIN;
	}
	return TAP_GONE;	/* nothing that concerns one frame only */
}

/* Is there a whole frame?  *@len: how long. */
static enum tap_result whole(struct stream *s, uint32_t *len)
{
	const uint8_t *p = s->in + s->at;

	if (s->bad)
		return TAP_GONE;
	if (s->have < STREAM_PREFIX)
		return TAP_AGAIN;
	*len = (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
	s->bad = *len < NET_FRAME_MIN || *len > NET_FRAME_MAX;
	if (s->bad)
		return TAP_GONE;
	return s->have - STREAM_PREFIX >= *len ? TAP_OK : TAP_AGAIN;
}

static enum tap_result refill(struct stream *s, int fd)
{
	struct iovec room;
	ssize_t got;

	memmove(s->in, s->in + s->at, s->have);
	s->at = 0;
	room = (struct iovec){ s->in + s->have, STREAM_IN - s->have };
	got = readv(fd, &room, 1);
	if (got < 0)
		return of_error(errno);
	s->have += (uint32_t)got;
	return got == 0 ? TAP_GONE : TAP_OK;
}

enum tap_result stream_read(struct stream *s, int fd, const struct iovec *iov, int n, size_t *len)
{
	uint32_t frame;
	enum tap_result r = whole(s, &frame);

	*len = 0;
	if (r == TAP_AGAIN) {
		r = refill(s, fd);
		if (r == TAP_OK)
			r = whole(s, &frame);
	}
	if (r != TAP_OK)
		return r;
	memset(iov[0].iov_base, 0, iov[0].iov_len);
	*len = iov[0].iov_len + frame;
	r = vq_spans_write(iov + 1, (unsigned)n - 1, 0, s->in + s->at + STREAM_PREFIX, frame)
	    ? TAP_OK : TAP_REFUSED;
	s->at += STREAM_PREFIX + frame;
	s->have -= STREAM_PREFIX + frame;
	return r;
}

uint8_t *stream_keep(struct stream *s, uint32_t rest)
{
	s->sent = 0;
	s->rest = rest;
	return s->out;
}

enum tap_result stream_flush(struct stream *s, int fd)
{
	struct iovec left = { s->out + s->sent, s->rest };
	ssize_t put;

	if (s->rest == 0)
		return TAP_OK;
	put = writev(fd, &left, 1);
	if (put < 0)
		return of_error(errno);
	s->sent += (uint32_t)put;
	s->rest -= (uint32_t)put;
	return s->rest == 0 ? TAP_OK : TAP_AGAIN;
}

void stream_prefix(uint8_t to[static STREAM_PREFIX], uint32_t frame)
{
	for (int i = 0; i < STREAM_PREFIX; i++)
		to[i] = (uint8_t)(frame >> (24 - 8 * i));
}

enum tap_result stream_write(struct stream *s, int fd, const struct iovec *iov, int n, size_t *put)
{
	ssize_t went = s->rest == 0 ? writev(fd, iov, n) : 0;
	enum tap_result r = went < 0 ? of_error(errno) : TAP_OK;

	*put = r == TAP_OK ? (size_t)went : 0;
	return r == TAP_AGAIN ? TAP_OK : r;
}
