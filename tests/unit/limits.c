/* SPDX-License-Identifier: Apache-2.0 */
/* Limits that change while a device runs: whole sets only, in range only, and at once. */
#include "core/bucket.c"
#include "core/limits.c"
#include "core/log.c"

#include <criterion/criterion.h>
#include <pthread.h>

#define SECOND 1000000000ull

static struct limits_entry entry;
static struct limits limits;

static const struct limit_values none[LIMITS_DIRECTIONS];

/* Every number of a set says which one it is. */
static void numbered(struct limit_values v[LIMITS_DIRECTIONS], uint64_t n)
{
	for (unsigned d = 0; d < LIMITS_DIRECTIONS; d++)
		v[d] = (struct limit_values){ { n, n, n }, { n, n, n } };
}

static bool all_same(const struct limit_values v[LIMITS_DIRECTIONS])
{
	const uint64_t *word = (const uint64_t *)(const void *)v;

	for (unsigned i = 1; i < WORDS; i++)
		if (word[i] != word[0])
			return false;
	return true;
}

static void start(void)
{
	entry = (struct limits_entry){ 0 };
	limits_init(&limits, &entry, none, 0);
}

TestSuite(limits, .init = start);

Test(limits, a_device_starts_with_what_was_configured)
{
	struct limit_values v[LIMITS_DIRECTIONS] = { { .bytes = { 100, 0, 1000 } },
						      { .ops = { 7, 1, 1000 } } };

	limits_init(&limits, NULL, v, 5);
	cr_assert_not(limits_news(&limits));
	cr_assert_not(limits_take(&limits, 5));
	cr_assert(limiter_on(&limits.direction[LIMITS_OUT]));
	cr_assert(limiter_on(&limits.direction[LIMITS_IN]));
	cr_assert_eq(limits.direction[LIMITS_OUT].bytes.tokens, 100);
	cr_assert_eq(limits.direction[LIMITS_IN].ops.burst, 1);
	cr_assert_eq(limits.direction[LIMITS_IN].ops.time, 5);
}

Test(limits, what_is_written_is_taken_once)
{
	struct limit_values v[LIMITS_DIRECTIONS] = { { .bytes = { 100, 0, 1000 } } };

	cr_assert_not(limits_news(&limits));
	limits_write(&entry, v);
	cr_assert(limits_news(&limits));
	cr_assert(limits_take(&limits, SECOND));
	cr_assert_not(limits_news(&limits));
	cr_assert_eq(limits.direction[LIMITS_OUT].bytes.size, 100);
	cr_assert_not(limiter_on(&limits.direction[LIMITS_IN]));
	limits_write(&entry, none);
	cr_assert(limits_take(&limits, SECOND));
	cr_assert_not(limiter_on(&limits.direction[LIMITS_OUT]));
}

Test(limits, a_set_that_is_being_written_is_not_used)
{
	struct limit_values v[LIMITS_DIRECTIONS];

	numbered(v, 9);
	limits_write(&entry, v);
	cr_assert(limits_take(&limits, 0));
	entry.sequence++;	/* a writer began, and died */
	entry.direction[0].bytes.size = 1;
	cr_assert_not(limits_take(&limits, 0));
	cr_assert_eq(limits.direction[LIMITS_OUT].bytes.size, 9);
	numbered(v, 10);
	limits_write(&entry, v);	/* the next one repairs it */
	cr_assert_eq(entry.sequence % 2, 0);
	cr_assert(limits_take(&limits, 0));
	cr_assert_eq(limits.direction[LIMITS_OUT].bytes.size, 10);
}

Test(limits, a_set_out_of_range_is_not_used)
{
	struct limit_values v[LIMITS_DIRECTIONS];

	numbered(v, 9);
	limits_write(&entry, v);
	cr_assert(limits_take(&limits, 0));
	v[LIMITS_IN].ops.burst = BUCKET_TOKENS_MAX + 1;
	v[LIMITS_OUT].bytes.size = 10;
	limits_write(&entry, v);
	cr_assert_not(limits_take(&limits, 0));
	cr_assert_eq(limits.direction[LIMITS_OUT].bytes.size, 9, "nor any part of it");
	cr_assert_not(limits_news(&limits), "and it is not looked at again");
}

static _Atomic bool stop;

static void *write_for_ever(void *unused)
{
	struct limit_values v[LIMITS_DIRECTIONS];

	(void)unused;
	for (uint64_t n = 1; !stop; n++) {
		numbered(v, n % 1000000);
		limits_write(&entry, v);
	}
	return NULL;
}

/* A writer that never rests: of a million looks, each gives a whole set or none. */
Test(limits, no_torn_set_is_ever_seen)
{
	struct limit_values v[LIMITS_DIRECTIONS];
	unsigned whole = 0, refused = 0;
	uint64_t sequence;
	pthread_t writer;

	cr_assert_eq(pthread_create(&writer, NULL, write_for_ever, NULL), 0);
	while (whole + refused < 1000000 || whole == 0) {
		if (!limits_read(&entry, &sequence, v)) {
			refused++;
			continue;
		}
		whole++;
		cr_assert(all_same(v), "a mixture: %lu and others", v[0].bytes.size);
	}
	stop = true;
	pthread_join(writer, NULL);
	cr_assert_gt(whole, 0);
}

Test(limits, both_buckets_must_be_open)
{
	struct limit_values v = { .bytes = { 1000, 0, 1000 }, .ops = { 2, 0, 1000 } };
	struct limiter l;

	limiter_init(&l, &v, 0);
	cr_assert(limiter_open(&l, 0));
	limiter_charge(&l, 1);
	limiter_charge(&l, 1);
	cr_assert_not(limiter_open(&l, 0), "two operations were all");
	cr_assert_eq(limiter_wait(&l), SECOND / 2);
	cr_assert(limiter_open(&l, SECOND / 2));
	limiter_charge(&l, 2000);
	cr_assert_not(limiter_open(&l, SECOND), "there are operations, but the bytes are spent");
	cr_assert_gt(limiter_wait(&l), 0);
}

Test(limits, a_bucket_that_did_not_change_goes_on)
{
	struct limit_values v = { .bytes = { 1000, 0, 1000 }, .ops = { 5, 0, 1000 } };
	struct limiter l;

	limiter_init(&l, &v, 0);
	limiter_charge(&l, 100000);
	v.ops.size = 6;
	limiter_change(&l, &v, 1);
	cr_assert_eq(l.ops.tokens, 6);
	cr_assert_eq(l.bytes.tokens, -99000, "no debt is forgiven for another limit");
	v.bytes.size = 2000;
	limiter_change(&l, &v, 1);
	cr_assert_eq(l.bytes.tokens, 2000);
}
