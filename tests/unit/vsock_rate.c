/* SPDX-License-Identifier: Apache-2.0 */
/* What vsock counts, and how its rate limits hold each direction back; time is simulated. */
#include "tests/unit/vsock.h"

#define SECOND 1000000000ull

static struct limits_entry limits_now;

static void start(void)
{
	pages.limits = &limits_now;
	clock_now = 1000 * SECOND;
	device_init();
}

TestSuite(vsock_rate, .init = start, .timeout = 120);

static uint64_t count_of(unsigned counter)
{
	return counted.counter[counter];
}

/* From now on. */
static void limit(enum limits_direction d, struct limit_values v)
{
	struct limit_values all[LIMITS_DIRECTIONS] = { { .bytes = { 0 } } };

	all[d] = v;
	limits_write(&limits_now, all);
	pump();
}

static uint32_t waiting(int fd)
{
	static char bytes[1 << 16];
	ssize_t n = recv(fd, bytes, sizeof(bytes), MSG_DONTWAIT | MSG_PEEK);

	return n > 0 ? (uint32_t)n : 0;
}

Test(vsock_rate, what_goes_is_counted)
{
	uint64_t out = count_of(STATS_VSOCK_OUT_PACKETS), in = count_of(STATS_VSOCK_IN_PACKETS);
	int fd = guest_connects(1, 2);

	guest_sends("hello", 5, 1, 2);
	client_says(fd, "hi");
	cr_assert_eq(expect(VSOCK_OP_RW, 1, 2).size, 2);
	cr_assert_eq(count_of(STATS_VSOCK_OUT_PACKETS) - out, 2);
	cr_assert_eq(count_of(STATS_VSOCK_OUT_BYTES), 5);
	cr_assert_eq(count_of(STATS_VSOCK_IN_PACKETS) - in, 2);
	cr_assert_eq(count_of(STATS_VSOCK_IN_BYTES), 2);
	cr_assert_eq(count_of(STATS_VSOCK_OUT_CONNECTIONS), 1);
	cr_assert_eq(count_of(STATS_VSOCK_CLOSED), 0);
	guest_op(VSOCK_OP_RST, 1, 2);
	cr_assert_eq(count_of(STATS_VSOCK_CLOSED), 1);
	guest_op(VSOCK_OP_RW, 7, 8);
	cr_assert_eq(count_of(STATS_VSOCK_OUT_ERRORS), 1, "an RST to no connection");
	cr_assert_eq(count_of(STATS_THROTTLES), 0);
	cr_assert_eq(count_of(STATS_THROTTLES_IN), 0);
}

Test(vsock_rate, the_guests_packets_are_held_in_its_queue)
{
	struct say s = said_by(VSOCK_OP_RW, 1, 2);
	int fd = guest_connects(1, 2);

	s.data = "0123456789";
	s.size = 10;
	s.h.len = to_le32(10);
	limit(LIMITS_OUT, (struct limit_values){ .bytes = { 20, 0, 1000 } });
	for (int i = 0; i < 5; i++)
		queue_packet(&s);
	pump();
	cr_assert_eq(waiting(fd), 20);
	cr_assert_eq(count_of(STATS_THROTTLES), 1);
	cr_assert_eq(vsock_timeout(&dev), 50, "one token more, at twenty a second");
	for (int i = 3; i <= 5; i++) {
		clock_now += SECOND / 2;
		pump();
		cr_assert_eq(waiting(fd), (uint32_t)i * 10);
	}
	cr_assert_eq(vsock_timeout(&dev), -1, "nothing is held any more");
}

Test(vsock_rate, the_hosts_bytes_wait_in_their_socket)
{
	struct say s;
	int fd = guest_connects(1, 2);

	limit(LIMITS_IN, (struct limit_values){ .ops = { 2, 0, 1000 } });
	for (int i = 0; i < 3; i++)
		client_says(fd, "x");
	for (int i = 0; i < 2; i++)
		cr_assert_eq(expect(VSOCK_OP_RW, 1, 2).size, 1);
	cr_assert_not(guest_hears(&s));
	cr_assert_eq(count_of(STATS_THROTTLES_IN), 1);
	cr_assert_eq(vsock_timeout(&dev), 100, "half a second, but others may come before");
	clock_now += SECOND / 2;
	pump();
	cr_assert_eq(expect(VSOCK_OP_RW, 1, 2).size, 1);
}

/* Ten seconds with more to send than may go. */
Test(vsock_rate, it_is_exact)
{
	struct say s, credit = said_by(VSOCK_OP_CREDIT_UPDATE, 1, 2);
	static char much[1000];
	uint64_t end, got = 0, want;
	int fd = guest_connects(1, 2);

	limit(LIMITS_IN, (struct limit_values){ .bytes = { 10000, 0, 1000 } });
	for (end = clock_now + 10 * SECOND; clock_now < end; clock_now += SECOND / 100) {
		while (send(fd, much, sizeof(much), MSG_DONTWAIT) > 0)
			;
		pump();
		while (guest_hears(&s))
			got += s.size;
		credit.h.fwd_cnt = to_le32((uint32_t)got);
		guest_says(&credit);
	}
	cr_assert_eq(got, count_of(STATS_VSOCK_IN_BYTES));
	/* What the last read took beforehand is paid for by the time until the next one may go. */
	want = 10000 + 10000 * (10 * SECOND + limiter_wait(&dev.flow.limits.direction[LIMITS_IN])) /
		       SECOND;
	cr_assert(got >= want - want / 100 && got <= want + want / 100, "%lu of %lu", got, want);
}

Test(vsock_rate, limits_change_while_something_is_held)
{
	struct say s = said_by(VSOCK_OP_RW, 1, 2);
	int fd = guest_connects(1, 2);

	s.data = "0123456789";
	s.size = 10;
	s.h.len = to_le32(10);
	limit(LIMITS_OUT, (struct limit_values){ .bytes = { 1, 0, BUCKET_REFILL_MS_MAX } });
	for (int i = 0; i < 5; i++)
		queue_packet(&s);
	pump();
	cr_assert_eq(waiting(fd), 10);
	cr_assert_eq(vsock_timeout(&dev), 100, "not years");
	limit(LIMITS_OUT, (struct limit_values){ .bytes = { 0 } });
	cr_assert_eq(waiting(fd), 50);
}

Test(vsock_rate, a_reset_ends_the_wait)
{
	struct say s = said_by(VSOCK_OP_RW, 1, 2);

	guest_connects(1, 2);
	limit(LIMITS_OUT, (struct limit_values){ .ops = { 1, 0, 1000 } });
	queue_packet(&s);
	queue_packet(&s);
	pump();
	cr_assert_eq(vsock_timeout(&dev), 100);
	vsock_reset(&dev);
	pump();
	cr_assert_eq(vsock_timeout(&dev), -1);
}
