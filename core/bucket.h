/* SPDX-License-Identifier: Apache-2.0 */
/* bucket.h: a token bucket: so much a time, saved up to a size.
 *
 * A bucket of @size tokens (bytes, or operations) starts full and fills from empty to full in
 * @refill_ns, evenly.  Before it, @burst tokens may be spent that never come back.  This is
 * what Firecracker's JSON ("size", "one_time_burst", "refill_time") means.
 *
 * A request goes when there is a token; what it takes beyond those there are is debt, which is
 * paid before the next one goes.  So a request larger than the bucket needs no special case,
 * and one whose size is known only afterwards (a frame that was received) can be charged then.
 * From time 0 to t at most burst + size + t * size / refill_ns tokens go, and less than one
 * request more; a queue that is never empty gets no less.
 *
 * Everything is a pure function of the bucket, the time and the amount: nothing here reads a
 * clock.  Arithmetic is exact: what a division leaves over is kept for the next refill. */
#ifndef IMMURE_CORE_BUCKET_H
#define IMMURE_CORE_BUCKET_H

#include "core/base.h"

/* Ranges in which no intermediate result leaves 128 bits: an exabyte, eleven days. */
#define BUCKET_TOKENS_MAX (1ull << 60)
#define BUCKET_REFILL_MS_MAX 1000000000ull
#define BUCKET_NS_PER_MS 1000000ull

struct bucket_limit {
	uint64_t size;		/* tokens; 0: no limit, whatever the rest says */
	uint64_t burst;		/* tokens that are there once, at the start, besides */
	uint64_t refill_ms;	/* from empty to full; 0: no limit */
};

struct bucket {
	uint64_t size;		/* 0: no limit */
	uint64_t refill_ns;
	uint64_t burst;		/* what is left of it */
	int64_t tokens;		/* -BUCKET_TOKENS_MAX .. size; below 0: debt */
	uint64_t rest;		/* of a token, in 1/refill_ns: < refill_ns */
	uint64_t time;		/* ns of the last refill */
};

/* Is @l within the ranges above? */
must_check bool bucket_limit_ok(const struct bucket_limit *l);

/* Makes @b what @l says, full, at time @now (ns, of any clock that the caller keeps to).
 * @l is bucket_limit_ok(). */
void bucket_init(struct bucket *b, const struct bucket_limit *l, uint64_t now);

/* Adds what the time since the last call is worth.  A clock that went back gives nothing and
 * takes nothing; time is counted from there on. */
void bucket_refill(struct bucket *b, uint64_t now);

/* May a request go, at the time of the last refill? */
static inline bool bucket_open(const struct bucket *b)
{
	return b->size == 0 || b->burst != 0 || b->tokens > 0;
}

/* Takes @amount tokens for a request that went.  Debt beyond BUCKET_TOKENS_MAX is forgiven. */
void bucket_charge(struct bucket *b, uint64_t amount);

/* Nanoseconds from the last refill until bucket_open() will be true; 0 when it is. */
must_check uint64_t bucket_wait(const struct bucket *b);

#endif
