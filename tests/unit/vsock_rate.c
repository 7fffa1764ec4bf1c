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

/* ---- what is not data ---- */

/* Takes all there is for the guest; returns the packets of @op for guest port @port. */
static int heard(uint16_t op, uint32_t port)
{
	struct say s;
	int n = 0;

	while (guest_hears(&s))
		n += le16(s.h.op) == op && le32(s.h.dst_port) == port;
	return n;
}

/* The host can say nothing until the next second, then @n packets. */
static void hold_data(struct limit_values v, int fd, int n)
{
	limit(LIMITS_IN, v);
	for (int i = 0; i < n; i++)
		client_says(fd, "x");
	cr_assert_eq(heard(VSOCK_OP_RW, 1), n);
}

static const struct limit_values one_byte = { .bytes = { 1, 0, 1000 } };
static const struct limit_values two_packets = { .ops = { 2, 0, 2000 } };

Test(vsock_rate, news_of_credit_are_not_held_with_data)
{
	static char much[BLOCK_BYTES];
	int first = guest_connects(1, 2), second;

	guest_connects(9, 2);
	second = guest_connects(10, 2);
	hold_data(one_byte, first, 1);
	/* Two have data that waits; the guest sends to the first, and to one that has none. */
	client_says(first, "xyz");
	client_says(second, "xyz");
	for (uint32_t i = 0; i < WINDOW_MAX; i += sizeof(much)) {
		guest_sends(much, sizeof(much), 1, 2);
		cr_assert_eq(recv(first, much, sizeof(much), MSG_DONTWAIT), sizeof(much));
	}
	cr_assert_geq(heard(VSOCK_OP_CREDIT_UPDATE, 1), 4, "a quarter of its window each");
	guest_op(VSOCK_OP_CREDIT_REQUEST, 9, 2);
	cr_assert_eq(expect(VSOCK_OP_CREDIT_UPDATE, 9, 2).size, 0);
	expect_nothing();
	cr_assert_eq(vsock_timeout(&dev), 100, "the data still waits");
	clock_now += SECOND;
	pump();
	cr_assert_eq(expect(VSOCK_OP_RW, 1, 2).size, 3);
}

Test(vsock_rate, neither_are_beginnings_and_ends)
{
	int fd = guest_connects(1, 2), late, asks;

	hold_data(one_byte, fd, 1);
	client_says(fd, "xyz");
	late = guest_connects(3, 4);
	guest_shuts(VSOCK_SHUT_BOTH, 3, 4);
	expect(VSOCK_OP_RST, 3, 4);
	cr_assert(is_closed(late));
	guest_op(VSOCK_OP_RW, 7, 8);
	expect(VSOCK_OP_RST, 7, 8);
	asks = client();
	client_says(asks, "CONNECT 52\n");
	expect(VSOCK_OP_REQUEST, 52, PORT_FIRST);
	close(asks);
	pump();
	expect(VSOCK_OP_RST, 52, PORT_FIRST);
	expect_nothing();
	guest_op(VSOCK_OP_RST, 1, 2);
	cr_assert_eq(vsock_timeout(&dev), -1, "no data waits any more");
}

Test(vsock_rate, operations_are_packets_with_data)
{
	uint64_t in;
	int fd = guest_connects(1, 2);

	limit(LIMITS_IN, two_packets);
	in = count_of(STATS_VSOCK_IN_PACKETS);
	for (int i = 0; i < 20; i++)
		guest_op(VSOCK_OP_CREDIT_REQUEST, 1, 2);
	cr_assert_eq(heard(VSOCK_OP_CREDIT_UPDATE, 1), 20);
	cr_assert_eq(count_of(STATS_VSOCK_IN_PACKETS) - in, 20, "counted, not limited");
	for (int i = 0; i < 3; i++)
		client_says(fd, "x");
	cr_assert_eq(heard(VSOCK_OP_RW, 1), 2);
}

/* One packet a second for four that have many, one of which has other things to say all the time. */
Test(vsock_rate, held_data_goes_in_turns_whatever_else_is_said)
{
	int fd[4];

	for (uint32_t i = 0; i < 4; i++)
		fd[i] = guest_connects(1 + i, 2);
	hold_data((struct limit_values){ .ops = { 1, 0, 1000 } }, fd[0], 1);
	for (int round = 0; round < 3; round++) {
		for (uint32_t i = 0; i < 4; i++) {
			struct say s;
			int n = 0;

			for (int k = 0; k < 4; k++)
				client_says(fd[k], "x");
			guest_op(VSOCK_OP_CREDIT_REQUEST, 3, 2);
			expect(VSOCK_OP_CREDIT_UPDATE, 3, 2);
			clock_now += SECOND;
			pump();
			while (guest_hears(&s)) {
				n++;
				cr_assert_eq(le16(s.h.op), VSOCK_OP_RW);
				cr_assert_eq(le32(s.h.dst_port), 1 + i, "round %d", round);
			}
			cr_assert_eq(n, 1);
		}
	}
}

/* More have data that waits than one turn could look at. */
Test(vsock_rate, a_crowd_that_is_held_lets_others_pass)
{
	static int fd[1000];
	uint32_t turns = 0;

	for (uint32_t i = 0; i < array_len(fd); i++)
		fd[i] = guest_connects(1 + i, 2);
	hold_data(one_byte, fd[0], 1);
	for (size_t i = 0; i < array_len(fd); i++)
		cr_assert_eq(send(fd[i], "x", 1, 0), 1);
	pump();
	cr_assert_eq(dev.table.list[LIST_HELD].count, array_len(fd));
	guest_op(VSOCK_OP_CREDIT_REQUEST, 1000, 2);
	expect(VSOCK_OP_CREDIT_UPDATE, 1000, 2);
	cr_assert_eq(dev.table.list[LIST_RUN].count, 0);
	limit(LIMITS_IN, (struct limit_values){ .bytes = { 0 } });
	for (; dev.table.list[LIST_HELD].count > 0; turns++) {
		cr_assert_lt(turns, array_len(fd));
		cr_assert_gt(heard(VSOCK_OP_RW, 1 + turns * QLEN), 0, "in the order they came");
		pump();
	}
	cr_assert_gt(turns, 1);
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
