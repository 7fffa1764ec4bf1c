/* SPDX-License-Identifier: Apache-2.0 */
/* limits.c: two buckets, and a sequence lock without anybody who waits. */
#include "core/limits.h"
#include "core/log.h"

#include <string.h>

enum { WORDS = 12 };

_Static_assert(WORDS * sizeof(uint64_t) == sizeof(struct limit_values) * LIMITS_DIRECTIONS,
	       "nothing but words");

bool limit_values_ok(const struct limit_values *v)
{
	return bucket_limit_ok(&v->bytes) && bucket_limit_ok(&v->ops);
}

/* Word by word: the other side may be writing. */
bool limits_read(const struct limits_entry *e, uint64_t *sequence,
		 struct limit_values out[LIMITS_DIRECTIONS])
{
	const uint64_t *from = (const uint64_t *)(const void *)e->direction;
	uint64_t copy[WORDS];

	*sequence = __atomic_load_n(&e->sequence, __ATOMIC_ACQUIRE);
	for (unsigned i = 0; i < WORDS; i++)
		copy[i] = __atomic_load_n(&from[i], __ATOMIC_RELAXED);
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
	memcpy(out, copy, sizeof(copy));
	return *sequence % 2 == 0 &&
	       __atomic_load_n(&e->sequence, __ATOMIC_RELAXED) == *sequence;
}

void limits_write(struct limits_entry *e, const struct limit_values v[LIMITS_DIRECTIONS])
{
	uint64_t odd = __atomic_load_n(&e->sequence, __ATOMIC_RELAXED) | 1;
	uint64_t *to = (uint64_t *)(void *)e->direction;
	uint64_t copy[WORDS];

	memcpy(copy, v, sizeof(copy));
	__atomic_store_n(&e->sequence, odd, __ATOMIC_RELAXED);
	__atomic_thread_fence(__ATOMIC_RELEASE);
	for (unsigned i = 0; i < WORDS; i++)
		__atomic_store_n(&to[i], copy[i], __ATOMIC_RELAXED);
	__atomic_store_n(&e->sequence, odd + 1, __ATOMIC_RELEASE);
}

void limiter_init(struct limiter *l, const struct limit_values *v, uint64_t now)
{
	l->values = *v;
	bucket_init(&l->bytes, &v->bytes, now);
	bucket_init(&l->ops, &v->ops, now);
}

static bool same(const struct bucket_limit *a, const struct bucket_limit *b)
{
	return a->size == b->size && a->burst == b->burst && a->refill_ms == b->refill_ms;
}

void limiter_change(struct limiter *l, const struct limit_values *v, uint64_t now)
{
	if (!same(&l->values.bytes, &v->bytes))
		bucket_init(&l->bytes, &v->bytes, now);
	if (!same(&l->values.ops, &v->ops))
		bucket_init(&l->ops, &v->ops, now);
	l->values = *v;
}

bool limiter_open(struct limiter *l, uint64_t now)
{
	bucket_refill(&l->bytes, now);
	bucket_refill(&l->ops, now);
	return bucket_open(&l->bytes) && bucket_open(&l->ops);
}

void limiter_charge(struct limiter *l, uint64_t bytes)
{
	bucket_charge(&l->bytes, bytes);
	bucket_charge(&l->ops, 1);
}

uint64_t limiter_wait(const struct limiter *l)
{
	uint64_t bytes = bucket_wait(&l->bytes), ops = bucket_wait(&l->ops);

	return bytes > ops ? bytes : ops;
}

void limits_init(struct limits *l, const struct limits_entry *entry,
		 const struct limit_values *configured, uint64_t now)
{
	*l = (struct limits){ .entry = entry };
	for (unsigned d = 0; d < LIMITS_DIRECTIONS; d++)
		limiter_init(&l->direction[d], &configured[d], now);
}

bool limits_take(struct limits *l, uint64_t now)
{
	static struct log_limit refused;
	struct limit_values v[LIMITS_DIRECTIONS];
	uint64_t sequence;

	if (l->entry == NULL || !limits_read(l->entry, &sequence, v))
		return false;
	l->sequence = sequence;
	for (unsigned d = 0; d < LIMITS_DIRECTIONS; d++)
		if (!limit_values_ok(&v[d])) {
			log_limited(&refused, "rate limits out of range, not used");
			return false;
		}
	for (unsigned d = 0; d < LIMITS_DIRECTIONS; d++)
		limiter_change(&l->direction[d], &v[d], now);
	return true;
}
