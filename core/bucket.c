/* SPDX-License-Identifier: Apache-2.0 */
/* bucket.c: a token bucket.
 *
 * In e nanoseconds e * size / refill_ns tokens come.  The product has up to 124 bits; the
 * remainder of the division is carried over (b->rest), so that any number of short refills
 * gives exactly what one long one would: no drift, at no rate. */
#include "core/bucket.h"

__extension__ typedef unsigned __int128 u128;

bool bucket_limit_ok(const struct bucket_limit *l)
{
	return l->size <= BUCKET_TOKENS_MAX && l->burst <= BUCKET_TOKENS_MAX &&
	       l->refill_ms <= BUCKET_REFILL_MS_MAX;
}

void bucket_init(struct bucket *b, const struct bucket_limit *l, uint64_t now)
{
	bool limited = l->size != 0 && l->refill_ms != 0;

	*b = (struct bucket){ .time = now };
	if (!limited)
		return;
	b->size = l->size;
	b->refill_ns = l->refill_ms * BUCKET_NS_PER_MS;
	b->burst = l->burst;
	b->tokens = (int64_t)l->size;
}

void bucket_refill(struct bucket *b, uint64_t now)
{
	uint64_t elapsed = now > b->time ? now - b->time : 0;
	uint64_t missing = (uint64_t)((int64_t)b->size - b->tokens);
	u128 due;

	b->time = now;
	if (missing == 0)
		return;
	due = (u128)elapsed * b->size + b->rest;
	if (due >= (u128)missing * b->refill_ns) {
		b->tokens = (int64_t)b->size;
		b->rest = 0;
	} else if (due <= UINT64_MAX) {	/* the usual case, and the cheap one */
		b->tokens += (int64_t)((uint64_t)due / b->refill_ns);
		b->rest = (uint64_t)due % b->refill_ns;
	} else {
		b->tokens += (int64_t)(due / b->refill_ns);
		b->rest = (uint64_t)(due % b->refill_ns);
	}
}

void bucket_charge(struct bucket *b, uint64_t amount)
{
	uint64_t once = min_u64(amount, b->burst);
	uint64_t room;

	if (b->size == 0)
		return;
	b->burst -= once;
	room = (uint64_t)(b->tokens + (int64_t)BUCKET_TOKENS_MAX);
	b->tokens -= (int64_t)min_u64(amount - once, room);
}

uint64_t bucket_wait(const struct bucket *b)
{
	u128 due, ns;

	if (bucket_open(b))
		return 0;
	due = (u128)(uint64_t)(1 - b->tokens) * b->refill_ns - b->rest;
	ns = (due + b->size - 1) / b->size;
	return ns > UINT64_MAX ? UINT64_MAX : (uint64_t)ns;
}
