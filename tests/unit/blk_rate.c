/* SPDX-License-Identifier: Apache-2.0 */
/* What a disk counts, and how its rate limit holds it back; time is simulated. */
#include "tests/unit/blk.h"

#define SECOND 1000000000ull
#define MS 1000000ull

static struct limits_entry entry;

static const struct limit_values unlimited[LIMITS_DIRECTIONS];

static void limited(struct limit_values v)
{
	entry = (struct limits_entry){ 0 };
	memset(&counted, 0, sizeof(counted));
	clock_now = 1000 * SECOND;
	pages.limits = &entry;
	configured.limit[LIMITS_OUT] = v;
	disk_of(false, usual | VIRTIO_BLK_F_FLUSH);
}

static uint64_t count_of(unsigned counter)
{
	return counted.counter[counter];
}

/* Makes @n reads of @len bytes available without serving them. */
static void queue_reads(int n, uint32_t len)
{
	header(IN, 0);
	for (int i = 0; i < n; i++)
		driver_add(&drv, (struct buf[]){ { HEADER, 16, false }, { DATA, len, true },
						 { STATUS, 1, true } }, 3);
}

static int take_used(void)
{
	uint16_t head;
	int n = 0;

	while (driver_used(&drv, &head, &used_len))
		n++;
	return n;
}

Test(blk_rate, what_is_answered_is_counted)
{
	limited((struct limit_values){ 0 });
	cr_assert_eq(request_of(IN, 0, 4096), OK);
	cr_assert_eq(request_of(IN, 8, 512), OK);
	cr_assert_eq(request_of(OUT, 0, 1024), OK);
	cr_assert_eq(request_of(FLUSH, 0, 0), OK);
	cr_assert_eq(request_of(GET_ID, 0, 20), OK);
	cr_assert_eq(request_of(IN, SECTORS, 512), IOERR);
	cr_assert_eq(request_of(OUT, SECTORS, 512), IOERR);
	cr_assert_eq(request_of(77, 0, 512), UNSUPP);
	cr_assert_eq(count_of(STATS_BLK_READS), 3);
	cr_assert_eq(count_of(STATS_BLK_READ_BYTES), 4608);
	cr_assert_eq(count_of(STATS_BLK_READ_ERRORS), 1);
	cr_assert_eq(count_of(STATS_BLK_WRITES), 2);
	cr_assert_eq(count_of(STATS_BLK_WRITE_BYTES), 1024);
	cr_assert_eq(count_of(STATS_BLK_WRITE_ERRORS), 1);
	cr_assert_eq(count_of(STATS_BLK_FLUSHES), 1);
	cr_assert_eq(count_of(STATS_BLK_OTHERS), 2);
	cr_assert_eq(count_of(STATS_BLK_OTHER_ERRORS), 1);
	cr_assert_eq(count_of(STATS_THROTTLES), 0);
	for (unsigned h = 0, sum = 0; h < 3; h++, sum = 0) {
		for (unsigned i = 0; i < STATS_BUCKETS; i++)
			sum += (unsigned)counted.u.histogram[h].bucket[i];
		cr_assert_eq(sum, h == STATS_BLK_READ_NS ? 3 : h == STATS_BLK_WRITE_NS ? 2 : 1);
	}
}

/* Ten seconds with the queue never empty: exact to one in a hundred, after the first bucketful. */
static void ten_seconds(struct limit_values v, uint32_t len, uint64_t first, uint64_t want)
{
	uint64_t start, served = 0;

	limited(v);
	start = clock_now;
	queue_reads(60, len);
	for (;;) {
		enum blk_stop stop = serve();
		int n = take_used();

		served += (uint64_t)n;
		if (n > 0)
			queue_reads(n, len);
		if (stop != BLK_HELD)
			continue;
		cr_assert_gt(meter_wait(&dev.meter), 0);
		if (clock_now + meter_wait(&dev.meter) > start + 10 * SECOND)
			break;
		clock_now += meter_wait(&dev.meter);
	}
	cr_assert(served >= first + want - want / 100 && served <= first + want + want / 100 + 1,
		  "%lu of %lu + %lu", served, first, want);
	cr_assert_gt(count_of(STATS_THROTTLES), 0);
}

Test(blk_rate, operations_are_limited)
{
	ten_seconds((struct limit_values){ .ops = { 500, 0, 1000 } }, 512, 500, 5000);
	ten_seconds((struct limit_values){ .ops = { 3, 7, 10 } }, 512, 10, 3000);
}

Test(blk_rate, bytes_are_limited)
{
	ten_seconds((struct limit_values){ .bytes = { 1 << 20, 0, 1000 } }, 4096, 256, 2560);
	/* A request is larger than the bucket. */
	ten_seconds((struct limit_values){ .bytes = { 1000, 0, 10 } }, 8192, 1, 122);
}

Test(blk_rate, the_tighter_of_both_counts)
{
	ten_seconds((struct limit_values){ .bytes = { 1 << 20, 0, 1000 }, .ops = { 10, 0, 1000 } },
		    4096, 10, 100);
}

Test(blk_rate, what_fails_is_charged_too)
{
	limited((struct limit_values){ .ops = { 2, 0, 1000 } });
	cr_assert_eq(request_of(IN, SECTORS, 512), IOERR);
	cr_assert_eq(request_of(IN, SECTORS, 512), IOERR);
	queue_reads(1, 512);
	cr_assert_eq(serve(), BLK_HELD);
}

Test(blk_rate, an_empty_queue_waits_for_a_kick_and_not_for_tokens)
{
	limited((struct limit_values){ .ops = { 1, 0, 1000 } });
	cr_assert_eq(request_of(IN, 0, 512), OK);	/* ends in BLK_IDLE */
	cr_assert_eq(count_of(STATS_THROTTLES), 0, "nothing was held back");
	queue_reads(1, 512);
	cr_assert_eq(serve(), BLK_HELD);
	cr_assert_eq(serve(), BLK_HELD);
	cr_assert_eq(count_of(STATS_THROTTLES), 1, "once, however often it is looked at");
	clock_now += SECOND;
	cr_assert_eq(serve(), BLK_IDLE);
	cr_assert_eq(take_used(), 1);
}

Test(blk_rate, a_long_wait_is_cut_to_look_for_other_limits)
{
	limited((struct limit_values){ .bytes = { 1, 0, 1000 } });
	queue_reads(2, 1 << 20);
	cr_assert_eq(serve(), BLK_HELD);
	cr_assert_eq(take_used(), 1);
	cr_assert_eq(meter_wait(&dev.meter), 100 * MS, "not twelve days");
	limits_write(&entry, unlimited);
	cr_assert_eq(serve(), BLK_IDLE);
	cr_assert_eq(take_used(), 1);
	cr_assert_eq(count_of(STATS_LIMIT_CHANGES), 1);
}

Test(blk_rate, limits_that_are_being_written_change_nothing)
{
	struct limit_values v[LIMITS_DIRECTIONS] = { { .ops = { 1, 0, 1000 } } };

	limited((struct limit_values){ .ops = { 5, 0, 1000 } });
	limits_write(&entry, v);
	entry.sequence++;
	queue_reads(6, 512);
	cr_assert_eq(serve(), BLK_HELD);
	cr_assert_eq(take_used(), 5);
	entry.sequence++;
	cr_assert_eq(serve(), BLK_IDLE);
	cr_assert_eq(take_used(), 1, "the whole set, with a bucket of one");
}

Test(blk_rate, a_reset_forgets_what_was_held)
{
	limited((struct limit_values){ .ops = { 1, 0, 1000 } });
	queue_reads(3, 512);
	cr_assert_eq(serve(), BLK_HELD);
	blk_reset(&dev);
	cr_assert_eq(serve(), BLK_IDLE);
	cr_assert(start(usual));
	cr_assert_eq(serve(), BLK_IDLE, "an empty queue");
	queue_reads(1, 512);
	cr_assert_eq(serve(), BLK_HELD, "but no debt is forgiven");
}
