/* SPDX-License-Identifier: Apache-2.0 */
/* buffer.c: the pool of blocks and the fifos made of them.
 *
 * Nobody lies to this module: its callers have checked every length against the window of a
 * connection.  The bytes themselves are the guest's and are never looked at. */
#include "devices/vsock/buffer.h"

#include <string.h>

static uint16_t block_get(struct pool *p)
{
	uint16_t b = p->free;

	if (b != 0) {
		p->free = p->next[b - 1];
	} else {
		if (p->fresh == POOL_BLOCKS)
			return 0;
		b = ++p->fresh;
	}
	p->next[b - 1] = 0;
	return b;
}

static void block_put(struct pool *p, uint16_t b)
{
	p->next[b - 1] = p->free;
	p->free = b;
}

uint8_t *fifo_room(struct pool *p, struct fifo *f, uint32_t *room)
{
	uint32_t fill = (f->off + f->len) % BLOCK_BYTES;

	if (fill == 0) {
		uint16_t b = block_get(p);

		if (b == 0)
			return NULL;
		if (f->last != 0)
			p->next[f->last - 1] = b;
		else
			f->first = b;
		f->last = b;
	}
	*room = BLOCK_BYTES - fill;
	return &p->bytes[f->last - 1][fill];
}

void fifo_added(struct fifo *f, uint32_t n)
{
	f->len += n;
}

uint32_t fifo_copy(const struct pool *p, const struct fifo *f, uint8_t *to, uint32_t max)
{
	uint32_t n = (uint32_t)min_u64(f->len, max), done = 0, off = f->off, part;

	for (uint16_t b = f->first; done < n; b = p->next[b - 1], off = 0) {
		part = (uint32_t)min_u64(n - done, BLOCK_BYTES - off);
		memcpy(to + done, &p->bytes[b - 1][off], part);
		done += part;
	}
	return n;
}

void fifo_took(struct pool *p, struct fifo *f, uint32_t n)
{
	f->len -= n;
	f->off += n;
	if (f->len == 0) {
		fifo_drop(p, f);
		return;
	}
	for (; f->off >= BLOCK_BYTES; f->off -= BLOCK_BYTES) {
		uint16_t b = f->first;

		f->first = p->next[b - 1];
		block_put(p, b);
	}
}

void fifo_drop(struct pool *p, struct fifo *f)
{
	while (f->first != 0) {
		uint16_t b = f->first;

		f->first = p->next[b - 1];
		block_put(p, b);
	}
	*f = (struct fifo){ 0 };
}
