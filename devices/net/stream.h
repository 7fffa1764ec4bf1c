/* SPDX-License-Identifier: Apache-2.0 */
/* stream.h: the host's side where there is no tap: the stream socket of passt.
 *
 *	length, 32 bits, big endian		what QEMU's -netdev stream speaks
 *	frame
 *
 * passt parses what the guest sends and may be in its hands: what it says of a length is checked,
 * and one that cannot be ends the connection, for nobody knows where the next frame begins. */
#ifndef IMMURE_DEVICES_NET_STREAM_H
#define IMMURE_DEVICES_NET_STREAM_H

#include "devices/net/header.h"
#include "devices/net/tap.h"

enum {
	STREAM_PREFIX = 4,
	STREAM_FRAME = STREAM_PREFIX + NET_FRAME_MAX,
	STREAM_IN = 2 * 65536,		/* bytes a read takes at most */
};

_Static_assert((int)STREAM_IN >= (int)STREAM_FRAME, "any frame fits");

struct stream {
	uint32_t at, have;		/* in[at .. at + have): came and was not given yet */
	uint32_t sent, rest;		/* out[sent .. sent + rest): of a frame that did not go yet */
	bool bad;			/* it ended because of an impossible length */
	uint8_t in[STREAM_IN];
	uint8_t out[STREAM_FRAME];
};

/* As tap_read(): the next frame, behind a header of zeros.  At most one system call, and none while
 * whole frames are there. */
must_check enum tap_result stream_read(struct stream *s, int fd, const struct iovec *iov, int n,
				       size_t *len);

/* Writes what @iov (@n of them) holds: a length, as stream_prefix() puts it, and a frame.  On
 * TAP_OK *@put says how much of it went, perhaps nothing: the rest must be given to stream_keep().
 * Only after stream_flush() has said TAP_OK. */
must_check enum tap_result stream_write(struct stream *s, int fd, const struct iovec *iov, int n,
					size_t *put);

void stream_prefix(uint8_t to[static STREAM_PREFIX], uint32_t frame);

/* Room for @rest bytes, which the caller fills, of the frame that was last written. */
uint8_t *stream_keep(struct stream *s, uint32_t rest);

/* Sends what was kept, if there is something.  TAP_AGAIN: not all of it went. */
must_check enum tap_result stream_flush(struct stream *s, int fd);

#endif
