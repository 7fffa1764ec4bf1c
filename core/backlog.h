/* SPDX-License-Identifier: Apache-2.0 */
/* backlog.h: what vsock connections that nobody reads may cost the host, all together.
 *
 * Bytes that a guest sent and the host has not read are memory of the VM: first in the send
 * buffers of Unix sockets, which the kernel charges to the cgroup of immure-vsock, then in that
 * process.  It keeps to these numbers, and the plan's memory limit counts on them.
 *
 *   each of PLAN_VSOCK_CONNS connections
 *     BACKLOG_SMALL	a socket with the least send buffer there is: the kernel makes 4608
 *			bytes of what is asked for, stops when they are used, and counts the
 *			1280 that a piece of BACKLOG_PIECE bytes takes only afterwards
 *     BACKLOG_ENTRY	file, inode, name and epoll item of the socket, and our own entry:
 *			measured 2154
 *   BACKLOG_LARGES of them at a time, whose host has been seen reading
 *     BACKLOG_LARGE	a send buffer of 131072 bytes, which two writes of 64 KiB fill, and
 *			the 49664 of the largest piece the kernel makes of a write
 *   BACKLOG_SEQS of them may be SOCK_SEQPACKET
 *     BACKLOG_SEQ	a send buffer of 69632 bytes, in which one message of 64 KiB fits, and the
 *			70912 of another that is taken while a byte of it is free
 *     BACKLOG_SEQ_MARKS	where its messages end (devices/vsock/message.h)
 *   once
 *     BACKLOG_POOL	the blocks of all fifos (devices/vsock/buffer.h)
 *
 *   2048 * (5888 + 2304) + 32 * (180736 - 5888 + 140544 - 5888 + 8192) + 7.9 MiB = 33.7 MiB
 *
 * A VM with fewer connections is bounded by them: none has more than a large send buffer and
 * BACKLOG_WINDOW bytes of the pool.  backlog_bytes() is the sum for a number of them.
 *
 * A connection that the guest gives up leaves its socket's bytes with the host's end, until
 * that reads or closes: by then they are BACKLOG_SMALL at most, unless it had been reading. */
#ifndef IMMURE_CORE_BACKLOG_H
#define IMMURE_CORE_BACKLOG_H

#include "core/base.h"
#include "core/fdplan.h"

enum {
	BACKLOG_SNDBUF_SMALL = 2304,	/* SO_SNDBUF: the kernel doubles it */
	BACKLOG_SNDBUF_LARGE = 65536,
	BACKLOG_PIECE = 704,		/* with the kernel's 320 behind it: 1024 */

	BACKLOG_SMALL = 5888,
	BACKLOG_LARGE = 180736,
	BACKLOG_LARGES = 32,
	BACKLOG_SNDBUF_SEQ = 34816,
	BACKLOG_SEQ = 140544,
	BACKLOG_SEQS = 32,
	BACKLOG_SEQ_MARKS = 8 << 10,
	BACKLOG_ENTRY = 2304,
	BACKLOG_POOL = (6 << 20) + BACKLOG_SEQS * (62 << 10),

	BACKLOG_WINDOW = 128 << 10,	/* what one connection may have in the pool, */
	BACKLOG_BLOCK = 512,		/* in blocks of so many bytes, one more for being unaligned */

	BACKLOG_BYTES = PLAN_VSOCK_CONNS * (BACKLOG_SMALL + BACKLOG_ENTRY) +
			BACKLOG_LARGES * (BACKLOG_LARGE - BACKLOG_SMALL) +
			BACKLOG_SEQS * (BACKLOG_SEQ - BACKLOG_SMALL + BACKLOG_SEQ_MARKS) +
			BACKLOG_POOL,
};

_Static_assert(BACKLOG_LARGE > BACKLOG_SEQ + BACKLOG_SEQ_MARKS, "the most that one socket takes");

/* What @connections (1..PLAN_VSOCK_CONNS) may cost, in bytes. */
static inline uint64_t backlog_bytes(uint64_t connections)
{
	const uint64_t most = BACKLOG_LARGE + BACKLOG_ENTRY + BACKLOG_WINDOW + BACKLOG_BLOCK;

	return min_u64(BACKLOG_BYTES, connections * most);
}

#endif
