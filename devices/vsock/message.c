/* SPDX-License-Identifier: Apache-2.0 */
/* message.c: marks in a ring of bits, one for each byte of a window.
 *
 * A byte's place is its number modulo the window: no more than a window of them wait, so no two
 * share one.  The guest chooses where messages end; nothing here depends on it but time, and that
 * is a look at each word of the ring once, for each message that goes out. */
#include "devices/vsock/message.h"

#include <string.h>

int message_slot(const struct messages *m)
{
	return m->taken == UINT32_MAX ? -1 : __builtin_ctz(~m->taken);
}

void message_take_slot(struct messages *m, uint32_t slot)
{
	m->taken |= 1u << slot;
}

void message_free_slot(struct messages *m, uint32_t slot)
{
	m->taken &= ~(1u << slot);
}

void message_ends(struct messages *m, uint32_t slot, uint32_t at)
{
	uint64_t *word = &m->last[slot][at % MESSAGE_MAX / 64];
	uint64_t bit = 1ull << (at % 64);

	m->count[slot] += (*word & bit) == 0;
	*word |= bit;
}

uint32_t message_length(const struct messages *m, uint32_t slot, uint32_t at)
{
	uint32_t off = at % 64, n = 0;

	/* The last word is the first one again, for the bits below @at. */
	for (uint32_t i = 0; i <= MESSAGE_MAX / 64; i++) {
		uint64_t word = m->last[slot][(at % MESSAGE_MAX / 64 + i) % (MESSAGE_MAX / 64)];

		word = word >> off << off;
		if (word != 0)
			return n + (uint32_t)__builtin_ctzll(word) - off + 1;
		n += 64 - off;
		off = 0;
	}
	return 0;
}

void message_took(struct messages *m, uint32_t slot, uint32_t at)
{
	m->last[slot][at % MESSAGE_MAX / 64] &= ~(1ull << (at % 64));
	m->count[slot]--;
}

void message_drop(struct messages *m, uint32_t slot)
{
	if (m->count[slot] > 0)
		memset(m->last[slot], 0, sizeof(m->last[slot]));
	m->count[slot] = 0;
}
