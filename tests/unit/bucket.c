/* SPDX-License-Identifier: Apache-2.0 */
/* Token buckets: exact at every rate, without drift, and sound for every input.
 *
 * Time is simulated.  check_sound() is what must hold of any bucket at any moment. */
#include "core/bucket.c"

#include <criterion/criterion.h>

#define SECOND 1000000000ull

/* xorshift64: the same sequence in every run. */
static uint64_t random_state = 0x9e3779b97f4a7c15ull;

static uint64_t random_u64(void)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return random_state;
}

/* Numbers of every magnitude, up to @max, the ends included. */
static uint64_t random_upto(uint64_t max)
{
	uint64_t x = random_u64() >> (random_u64() % 64);

	return random_u64() % 16 == 0 ? max : x % (max + (max != UINT64_MAX));
}

static struct bucket make(uint64_t size, uint64_t burst, uint64_t refill_ms, uint64_t now)
{
	struct bucket_limit l = { size, burst, refill_ms };
	struct bucket b;

	cr_assert(bucket_limit_ok(&l));
	bucket_init(&b, &l, now);
	return b;
}

static void check_sound(const struct bucket *b)
{
	cr_assert_leq(b->size, BUCKET_TOKENS_MAX);
	cr_assert_leq(b->tokens, (int64_t)b->size);
	cr_assert_geq(b->tokens, -(int64_t)BUCKET_TOKENS_MAX);
	cr_assert_leq(b->burst, BUCKET_TOKENS_MAX);
	cr_assert(b->size == 0 ? b->rest == 0 : b->rest < b->refill_ns);
	cr_assert_eq(bucket_open(b), bucket_wait(b) == 0);
}

/* What a queue that is never empty gets in ten seconds of a bucket that was emptied before,
 * looked at every @step ns or so, in requests of @request tokens. */
static uint64_t granted(uint64_t rate, uint64_t refill_ms, uint64_t request, uint64_t step)
{
	uint64_t start = random_u64() >> 8, total = 0, now;
	struct bucket b = make((uint64_t)((u128)rate * refill_ms / 1000), 0, refill_ms, start);

	bucket_charge(&b, b.size);
	for (now = start; now < start + 10 * SECOND;) {
		now = min_u64(now + 1 + random_u64() % (2 * step), start + 10 * SECOND);
		bucket_refill(&b, now);
		for (; bucket_open(&b); total += request)
			bucket_charge(&b, request);
		check_sound(&b);
	}
	return total;
}

/* Within one in a hundred, or within one request where that is more. */
Test(bucket, ten_seconds_are_exact_at_every_rate)
{
	for (uint64_t rate = 1; rate <= 100 * SECOND; rate = rate * 7 / 2 + 1) {
		uint64_t request = rate < 2000 ? 1 : rate / 1000;
		uint64_t got = granted(rate, 1000, request, SECOND / 500);
		uint64_t want = 10 * rate;

		cr_assert_leq(got, want + want / 100 + 1, "%lu B/s gave %lu", rate, got);
		cr_assert_geq(got + 1, want - want / 100, "%lu B/s gave %lu", rate, got);
	}
	cr_assert_eq(granted(100 * SECOND, 1000, SECOND / 10, SECOND / 500), 1000 * SECOND);
}

Test(bucket, the_refill_time_does_not_change_the_rate)
{
	static const uint64_t ms[] = { 1, 10, 100, 1000, 60000 };

	/* A bucket that fills in a millisecond must be looked at that often. */
	for (size_t i = 0; i < array_len(ms); i++) {
		uint64_t got = granted(1000000, ms[i], 100, ms[i] > 10 ? 1000000 : 20000);

		cr_assert(got <= 10100000 && got >= 9900000, "%lu ms gave %lu", ms[i], got);
	}
}

/* Small steps give what one large step gives, to the last fraction of a token. */
Test(bucket, does_not_drift)
{
	for (int run = 0; run < 2000; run++) {
		uint64_t size = 1 + random_upto(BUCKET_TOKENS_MAX - 1);
		uint64_t ms = 1 + random_upto(BUCKET_REFILL_MS_MAX - 1);
		struct bucket often = make(size, 0, ms, 0), once = often;
		uint64_t now = 0;

		bucket_charge(&often, size + random_upto(size));
		once = often;
		for (int i = 0; i < 100; i++) {
			now += random_upto(ms * 10000);
			bucket_refill(&often, now);
		}
		bucket_refill(&once, now);
		cr_assert_eq(often.tokens, once.tokens);
		cr_assert_eq(often.rest, once.rest);
	}
}

Test(bucket, the_wait_is_exact)
{
	for (int run = 0; run < 5000; run++) {
		uint64_t size = 1 + random_upto(BUCKET_TOKENS_MAX - 1);
		struct bucket b = make(size, 0, 1 + random_upto(BUCKET_REFILL_MS_MAX - 1), 0);
		struct bucket late;
		uint64_t wait;

		bucket_charge(&b, size + random_upto(UINT64_MAX / 2));
		late = b;
		wait = bucket_wait(&b);
		cr_assert_gt(wait, 0);
		bucket_refill(&b, wait - 1);
		cr_assert_not(bucket_open(&b));
		bucket_refill(&late, wait);
		cr_assert(bucket_open(&late) || wait == UINT64_MAX);
	}
}

Test(bucket, a_burst_is_spent_once_and_first)
{
	struct bucket b = make(100, 50, 1000, 0);

	bucket_charge(&b, 30);
	cr_assert_eq(b.burst, 20);
	cr_assert_eq(b.tokens, 100);
	bucket_charge(&b, 120);
	cr_assert_eq(b.burst, 0);
	cr_assert_eq(b.tokens, 0);
	cr_assert_not(bucket_open(&b));
	bucket_refill(&b, 100 * SECOND);
	cr_assert_eq(b.burst, 0);
	cr_assert_eq(b.tokens, 100);
}

Test(bucket, a_request_larger_than_the_bucket_goes_and_is_paid_for)
{
	struct bucket b = make(1000, 0, 1000, 0);

	cr_assert(bucket_open(&b));
	bucket_charge(&b, 6000);
	cr_assert_eq(b.tokens, -5000);
	bucket_refill(&b, 5 * SECOND);
	cr_assert_not(bucket_open(&b));
	cr_assert_eq(bucket_wait(&b), 1000000);
	bucket_refill(&b, 5 * SECOND + 1000000);
	cr_assert(bucket_open(&b));
}

Test(bucket, without_a_limit_everything_goes)
{
	struct bucket none[] = { make(0, 0, 0, 0), make(0, 9, 1000, 0), make(1000, 9, 0, 0) };

	for (size_t i = 0; i < array_len(none); i++) {
		bucket_charge(&none[i], UINT64_MAX);
		bucket_refill(&none[i], UINT64_MAX);
		bucket_refill(&none[i], 0);
		bucket_charge(&none[i], 1);
		cr_assert(bucket_open(&none[i]));
		cr_assert_eq(bucket_wait(&none[i]), 0);
	}
}

Test(bucket, a_clock_that_goes_back_gives_and_takes_nothing)
{
	struct bucket b = make(1000, 0, 1000, 50 * SECOND);

	bucket_charge(&b, 1000);
	bucket_refill(&b, 50 * SECOND + SECOND / 2);
	cr_assert_eq(b.tokens, 500);
	bucket_refill(&b, SECOND);
	cr_assert_eq(b.tokens, 500);
	bucket_refill(&b, SECOND + SECOND / 4);
	cr_assert_eq(b.tokens, 750, "time counts on from the earlier clock");
	bucket_refill(&b, UINT64_MAX);
	cr_assert_eq(b.tokens, 1000, "a jump ahead fills it, no more");
}

Test(bucket, more_time_never_leaves_less)
{
	for (int run = 0; run < 5000; run++) {
		struct bucket b = make(1 + random_upto(BUCKET_TOKENS_MAX - 1), 0,
				       1 + random_upto(BUCKET_REFILL_MS_MAX - 1), 0);
		uint64_t a = random_upto(UINT64_MAX), c = random_upto(UINT64_MAX);
		struct bucket early, late;

		bucket_charge(&b, random_upto(UINT64_MAX));
		early = late = b;
		bucket_refill(&early, min_u64(a, c));
		bucket_refill(&late, a < c ? c : a);
		cr_assert_geq(early.tokens, b.tokens);
		cr_assert_geq(late.tokens, early.tokens);
	}
}

Test(bucket, debt_has_an_end)
{
	struct bucket b = make(1, 0, BUCKET_REFILL_MS_MAX, 0);

	for (int i = 0; i < 10; i++)
		bucket_charge(&b, UINT64_MAX);
	cr_assert_eq(b.tokens, -(int64_t)BUCKET_TOKENS_MAX);
	cr_assert_eq(bucket_wait(&b), UINT64_MAX);
	check_sound(&b);
}

Test(bucket, limits_out_of_range_are_refused)
{
	static const struct bucket_limit bad[] = {
		{ BUCKET_TOKENS_MAX + 1, 0, 1 }, { 1, BUCKET_TOKENS_MAX + 1, 1 },
		{ 1, 0, BUCKET_REFILL_MS_MAX + 1 }, { UINT64_MAX, UINT64_MAX, UINT64_MAX },
	};
	struct bucket_limit good = { BUCKET_TOKENS_MAX, BUCKET_TOKENS_MAX, BUCKET_REFILL_MS_MAX };

	for (size_t i = 0; i < array_len(bad); i++)
		cr_assert_not(bucket_limit_ok(&bad[i]));
	cr_assert(bucket_limit_ok(&good));
}

/* Against the compiler's own. */
Test(bucket, the_long_division_is_right)
{
	for (int run = 0; run < 200000; run++) {
		u128 n = (u128)random_upto(UINT64_MAX) << 64 | random_upto(UINT64_MAX);
		uint64_t d = 1 + random_upto(UINT64_MAX - 1), rest, q = divide(n, d, &rest);

		if (n / d > UINT64_MAX)
			cr_assert_eq(q, UINT64_MAX);
		else
			cr_assert(q == (uint64_t)(n / d) && rest == (uint64_t)(n % d));
	}
}

/* Any sequence of calls, at any times, with any amounts. */
Test(bucket, stays_sound_whatever_happens)
{
	for (int run = 0; run < 2000; run++) {
		uint64_t now = random_upto(UINT64_MAX);
		struct bucket b = make(random_upto(BUCKET_TOKENS_MAX), random_upto(BUCKET_TOKENS_MAX),
				       random_upto(BUCKET_REFILL_MS_MAX), now);

		for (int i = 0; i < 200; i++) {
			if (random_u64() % 2 == 0)
				bucket_charge(&b, random_upto(UINT64_MAX));
			else
				bucket_refill(&b, random_upto(UINT64_MAX));
			check_sound(&b);
		}
	}
}
