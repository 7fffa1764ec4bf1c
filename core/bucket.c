/* SPDX-License-Identifier: Apache-2.0 */
/* bucket.c: a token bucket.
 *
 * In e nanoseconds e * size / refill_ns tokens come.  The product has up to 124 bits; the
 * remainder of the division is carried over (b->rest), so that any number of short refills
 * gives exactly what one long one would: no drift, at no rate. */
#include "core/bucket.h"

__extension__ typedef unsigned __int128 u128;

/* *@rest = @n % @d.  Returns @n / @d, or UINT64_MAX when it is larger than 64 bits.  The long way
 * costs less than 0.7 KiB of a compiler's library, and is a rare one. */
static uint64_t divide(u128 n, uint64_t d, uint64_t *rest)
{
	uint64_t q = 0, r = (uint64_t)(n >> 64), low = (uint64_t)n;

	if (r == 0) {
		*rest = low % d;
		return low / d;
	}
	if (r >= d) {
		*rest = 0;
		return UINT64_MAX;
	}
	for (int i = 0; i < 64; i++, low <<= 1) {
		bool over = r >> 63 != 0;

		r = r << 1 | low >> 63;
		q <<= 1;
		if (over || r >= d) {
			r -= d;
			q |= 1;
		}
	}
	*rest = r;
	return q;
}

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
	} else {
		b->tokens += (int64_t)divide(due, b->refill_ns, &b->rest);
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
	uint64_t rest, ns;
	u128 due;

	if (bucket_open(b))
		return 0;
	due = (u128)(uint64_t)(1 - b->tokens) * b->refill_ns - b->rest;
	ns = divide(due, b->size, &rest);
	return ns == UINT64_MAX ? ns : ns + (rest != 0);
}
