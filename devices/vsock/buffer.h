/* SPDX-License-Identifier: Apache-2.0 */
/* buffer.h: bytes that a guest sent and the host has not yet taken.
 *
 * One static pool of blocks for all connections, and a fifo of blocks for each.  Whoever may
 * put how much into a fifo is decided in conn.h, so that the sum of what all fifos may hold
 * never exceeds the pool: within that bound fifo_room() cannot fail.
 *
 * Blocks are handed out last-freed-first and a block that was never needed was never touched:
 * what this costs is the largest backlog there ever was, not the size of the pool. */
#ifndef IMMURE_DEVICES_VSOCK_BUFFER_H
#define IMMURE_DEVICES_VSOCK_BUFFER_H

#include "core/backlog.h"
#include "core/base.h"

enum {
	BLOCK_BYTES = BACKLOG_BLOCK,
	POOL_BLOCKS = BACKLOG_POOL / BLOCK_BYTES,
};

_Static_assert(POOL_BLOCKS < UINT16_MAX, "block + 1 is a number");

struct pool {
	uint16_t free;			/* block + 1; 0: none was given back */
	uint16_t fresh;			/* blocks from here on were never used */
	uint16_t next[POOL_BLOCKS];	/* block + 1: next in its fifo, or in the free list */
	uint8_t bytes[POOL_BLOCKS][BLOCK_BYTES];
};

/* All zero: empty. */
struct fifo {
	uint32_t len;			/* bytes in it */
	uint32_t off;			/* of the first byte in the first block */
	uint16_t first, last;		/* block + 1; 0: none */
};

/* Blocks a fifo of at most @bytes bytes, whole blocks, may need at once: the first and the last
 * may both be partly used. */
#define FIFO_BLOCKS(bytes) ((bytes) / BLOCK_BYTES + 1)

/* Where the next bytes go: returns a pointer to *@room contiguous free bytes, > 0, or NULL
 * when the pool is used up.  Follow with fifo_added() of at least one. */
must_check uint8_t *fifo_room(struct pool *p, struct fifo *f, uint32_t *room);
void fifo_added(struct fifo *f, uint32_t n);

/* Copies the oldest bytes, at most @max, to @to; returns how many.  Follow with fifo_took() for
 * those that were used. */
must_check uint32_t fifo_copy(const struct pool *p, const struct fifo *f, uint8_t *to,
			      uint32_t max);
void fifo_took(struct pool *p, struct fifo *f, uint32_t n);

/* Forgets everything in @f. */
void fifo_drop(struct pool *p, struct fifo *f);

#endif
