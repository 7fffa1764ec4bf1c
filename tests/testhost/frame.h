/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The conversation between relay (outside) and agent (inside the test host) over one
 * virtio-serial port: frames of a fixed header and at most FRAME_MAX bytes.
 *
 * outside -> inside   JOB       a piece of the job: NUL-terminated working directory, then
 *                               the NUL-terminated words of the command; an empty piece
 *                               ends it
 *                     INPUT     a piece of standard input, empty at its end; one piece may
 *                               be under way, MORE asks for the next
 *                     WHERE     what are the processes inside doing? (answer: REPORT)
 * inside -> outside   READY     times of the start-up, as text; asks for the JOB
 *                     OUT, ERR  pieces of the two output streams
 *                     MORE, REPORT
 *                     END       int32 exit status; all output was sent and all writes to
 *                               shared directories were made before it
 *
 * One stream carries everything, so END arrives after the last byte of output, and the
 * receiver may stop the emulator at once without losing any.
 */
#ifndef IMMURE_TESTS_TESTHOST_FRAME_H
#define IMMURE_TESTS_TESTHOST_FRAME_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <unistd.h>

#define FRAME_MAX 16384u

enum frame_type {
	FRAME_JOB = 1,
	FRAME_INPUT,
	FRAME_WHERE,
	FRAME_READY,
	FRAME_OUT,
	FRAME_ERR,
	FRAME_MORE,
	FRAME_REPORT,
	FRAME_END,
};

struct frame {
	uint32_t type;
	uint32_t len;
	char data[FRAME_MAX];
};

#define FRAME_HEADER offsetof(struct frame, data)

/* Writes all LEN bytes, whatever pieces the kernel takes. False: the other side is gone. */
static inline bool write_all(int fd, const void *buf, size_t len)
{
	const char *p = buf;

	while (len > 0) {
		ssize_t n = write(fd, p, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return false;
		p += n;
		len -= (size_t)n;
	}
	return true;
}

/* Reads exactly LEN bytes. False: end of stream or error before that. */
static inline bool read_all(int fd, void *buf, size_t len)
{
	char *p = buf;

	while (len > 0) {
		ssize_t n = read(fd, p, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return false;
		p += n;
		len -= (size_t)n;
	}
	return true;
}

/* Sends the first LEN bytes of FRAME->data as one frame of that type. */
static inline bool frame_send(int fd, struct frame *frame, enum frame_type type, size_t len)
{
	frame->type = type;
	frame->len = (uint32_t)len;
	return write_all(fd, frame, FRAME_HEADER + len);
}

/* Receives one whole frame; a length beyond FRAME_MAX counts as a broken stream. */
static inline bool frame_receive(int fd, struct frame *frame)
{
	return read_all(fd, frame, FRAME_HEADER) && frame->len <= FRAME_MAX &&
	       read_all(fd, frame->data, frame->len);
}

#endif
