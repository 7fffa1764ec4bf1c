/* SPDX-License-Identifier: Apache-2.0 */
/* vsock_ends.c: half-close, close and reset, from either side and at any moment. */
#include "tests/unit/vsock_data.h"

TestSuite(vsock_ends, .init = device_init, .timeout = 120);

/* ---- ends ---- */

Test(vsock_ends, the_hosts_half_close_reaches_the_guest_behind_its_data)
{
	struct say s;
	int fd = guest_connects(1, 2);

	cr_assert_eq(send(fd, "bye", 3, 0), 3);
	shutdown(fd, SHUT_WR);
	pump();
	cr_assert_eq(expect(VSOCK_OP_RW, 1, 2).size, 3);
	s = expect(VSOCK_OP_SHUTDOWN, 1, 2);
	cr_assert_eq(le32(s.h.flags), VSOCK_SHUT_SEND);
	guest_sends("still here", 10, 1, 2);
	client_reads(fd, "still here");
	cr_assert_eq(vsock_timeout(&dev), -1, "and may stay so for ever");
}

Test(vsock_ends, the_hosts_end_waits_for_credit_behind_its_data)
{
	struct say s;
	int fd = guest_connects(1, 2);

	guest_grants(2, 0);
	cr_assert_eq(send(fd, "bye", 3, 0), 3);
	close(fd);
	pump();
	cr_assert_eq(expect(VSOCK_OP_RW, 1, 2).size, 2);
	expect(VSOCK_OP_CREDIT_REQUEST, 1, 2);
	expect_nothing();
	guest_grants(10, 2);
	cr_assert_eq(expect(VSOCK_OP_RW, 1, 2).size, 1);
	s = expect(VSOCK_OP_SHUTDOWN, 1, 2);
	cr_assert_eq(le32(s.h.flags), VSOCK_SHUT_BOTH);
}

Test(vsock_ends, a_host_that_closes_ends_both_ways_and_the_guests_rst_is_final)
{
	struct say s;
	int before = open_descriptors(), fd = guest_connects(1, 2);

	close(fd);
	pump();
	s = expect(VSOCK_OP_SHUTDOWN, 1, 2);
	cr_assert_eq(le32(s.h.flags), VSOCK_SHUT_BOTH);
	cr_assert_eq(open_descriptors(), before);
	guest_sends("into the void", 13, 1, 2);
	expect_nothing();
	guest_op(VSOCK_OP_RST, 1, 2);
	cr_assert_eq(dev.table.used, 0);
	expect_nothing();
}

Test(vsock_ends, a_guest_that_does_not_confirm_the_end_is_reset)
{
	close(guest_connects(1, 2));
	pump();
	expect(VSOCK_OP_SHUTDOWN, 1, 2);
	cr_assert_eq(vsock_timeout(&dev), VSOCK_PATIENCE);
	later(VSOCK_PATIENCE);
	expect(VSOCK_OP_RST, 1, 2);
	cr_assert_eq(dev.table.used, 0);
}

Test(vsock_ends, a_host_that_stops_reading_for_good_is_a_shutdown_of_receiving)
{
	struct say s;
	int fd = guest_connects(1, 2);

	make_pattern();
	shutdown(fd, SHUT_RD);
	pump();
	guest_sends("x", 1, 1, 2);
	s = expect(VSOCK_OP_SHUTDOWN, 1, 2);
	cr_assert_eq(le32(s.h.flags), VSOCK_SHUT_RCV);
	/* What it still sends is thrown away and never runs it out of credit. */
	for (int i = 0; i < 100; i++) {
		guest_sends(pattern, 60000, 1, 2);
		expect(VSOCK_OP_CREDIT_UPDATE, 1, 2);
	}
	invariant();
	cr_assert_eq(send(fd, "but I can talk", 14, 0), 14);
	pump();
	while (guest_hears(&s) && le16(s.h.op) != VSOCK_OP_RW)
		cr_assert_eq(le16(s.h.op), VSOCK_OP_CREDIT_UPDATE);
	cr_assert_eq(s.size, 14);
}

Test(vsock_ends, the_guests_half_close_reaches_the_host_behind_its_data)
{
	static char sink[1 << 16];
	uint32_t all, got = 0;
	ssize_t n;
	struct say s;
	int fd = guest_connects(1, 2);

	all = stuff(1);
	guest_shuts(VSOCK_SHUT_SEND, 1, 2);
	for (;;) {
		n = recv(fd, sink, sizeof(sink), MSG_DONTWAIT);
		if (n <= 0)
			break;
		got += (uint32_t)n;
		pump();
	}
	cr_assert_eq(n, 0, "an end of file");
	cr_assert_eq(got, all, "not a byte lost");
	while (guest_hears(&s))
		cr_assert_eq(le16(s.h.op), VSOCK_OP_CREDIT_UPDATE);
	cr_assert_eq(send(fd, "answer", 6, MSG_NOSIGNAL), 6);
	pump();
	cr_assert_eq(expect(VSOCK_OP_RW, 1, 2).size, 6);
	/* Both halves closed, each by its side: the connection is over. */
	shutdown(fd, SHUT_WR);
	pump();
	s = expect(VSOCK_OP_SHUTDOWN, 1, 2);
	cr_assert_eq(le32(s.h.flags), VSOCK_SHUT_BOTH);
	guest_op(VSOCK_OP_RST, 1, 2);
	cr_assert_eq(dev.table.used, 0);
}

Test(vsock_ends, the_guests_half_close_with_nothing_on_the_way_is_an_end_of_file_at_once)
{
	int fd = guest_connects(1, 2);

	guest_shuts(VSOCK_SHUT_SEND, 1, 2);
	cr_assert(is_closed(fd));
	expect_nothing();
	cr_assert_eq(send(fd, "go on", 5, MSG_NOSIGNAL), 5);
	pump();
	cr_assert_eq(expect(VSOCK_OP_RW, 1, 2).size, 5);
	guest_shuts(VSOCK_SHUT_SEND, 1, 2);
	expect_nothing();
	guest_shuts(VSOCK_SHUT_RCV, 1, 2);
	expect(VSOCK_OP_RST, 1, 2);
	cr_assert_eq(dev.table.used, 0, "both halves, one after the other");
}

Test(vsock_ends, a_guest_that_stops_receiving_makes_the_hosts_writes_fail)
{
	int fd = guest_connects(1, 2);

	fill_socket(fd);
	guest_shuts(VSOCK_SHUT_RCV, 1, 2);
	for (struct say s; guest_hears(&s);)
		;
	cr_assert_eq(send(fd, "x", 1, MSG_NOSIGNAL), -1);
	cr_assert_eq(errno, EPIPE);
	guest_sends("still talking", 13, 1, 2);
	client_reads(fd, "still talking");
	expect_nothing();
}

Test(vsock_ends, a_guest_that_closes_is_answered_at_once_and_its_bytes_still_arrive)
{
	static char sink[1 << 16];
	uint32_t all, got = 0;
	struct say s;
	ssize_t n;
	int fd = guest_connects(1, 2);

	all = stuff(1);
	while (guest_hears(&s))
		;
	guest_shuts(VSOCK_SHUT_BOTH, 1, 2);
	expect(VSOCK_OP_RST, 1, 2);
	cr_assert_eq(dev.table.used, 1, "it drains");
	/* The guest may use the same ports again meanwhile. */
	close(guest_connects(1, 2));
	pump();
	expect(VSOCK_OP_SHUTDOWN, 1, 2);
	guest_op(VSOCK_OP_RST, 1, 2);
	later(100 * VSOCK_PATIENCE);
	while ((n = recv(fd, sink, sizeof(sink), MSG_DONTWAIT)) > 0) {
		got += (uint32_t)n;
		pump();
	}
	cr_assert_eq(n, 0);
	cr_assert_eq(got, all);
	cr_assert_eq(dev.table.used, 0);
}

Test(vsock_ends, a_drain_ends_when_the_host_closes)
{
	struct say s;
	int fd = guest_connects(1, 2);

	stuff(1);
	while (guest_hears(&s))
		;
	guest_shuts(VSOCK_SHUT_BOTH, 1, 2);
	expect(VSOCK_OP_RST, 1, 2);
	close(fd);
	expect_nothing();
	cr_assert_eq(dev.table.used, 0);
	cr_assert_eq(dev.table.spare, 0);
}

/* Connection @gport:2 is over for the guest, and the host reads nothing of it. */
static int leaves_draining(uint32_t gport)
{
	int fd = guest_connects(gport, 2);
	struct say s;

	stuff(gport);
	while (guest_hears(&s))
		;
	guest_shuts(VSOCK_SHUT_BOTH, gport, 2);
	expect(VSOCK_OP_RST, gport, 2);
	return fd;
}

/* Reads to the end of file; returns whether it came. */
static bool reads_all(int fd)
{
	static char sink[1 << 16];
	ssize_t n;

	while ((n = recv(fd, sink, sizeof(sink), MSG_DONTWAIT)) > 0)
		pump();
	return n == 0;
}

Test(vsock_ends, of_too_many_that_drain_the_oldest_is_given_up)
{
	static int fd[VSOCK_DRAINS_MAX + 1];

	for (uint32_t i = 0; i < VSOCK_DRAINS_MAX; i++)
		fd[i] = leaves_draining(10 + i);
	cr_assert_eq(dev.table.used, VSOCK_DRAINS_MAX);
	later(100 * VSOCK_PATIENCE);
	cr_assert_eq(dev.table.used, VSOCK_DRAINS_MAX, "no time is too long");
	fd[VSOCK_DRAINS_MAX] = leaves_draining(9);
	cr_assert_eq(dev.table.used, VSOCK_DRAINS_MAX);
	cr_assert_null(conn_find(&dev.table, 10, 2));
	expect_nothing();
	for (uint32_t i = 0; i <= VSOCK_DRAINS_MAX; i++)
		cr_assert(reads_all(fd[i]));
	cr_assert_eq(dev.table.used, 0);
	cr_assert_eq(dev.table.spare, 0);
}

Test(vsock_ends, what_drains_makes_room_for_guest_and_host_when_the_table_is_full)
{
	int old[3], fd;
	struct say s;

	for (uint32_t i = 0; i < 3; i++)
		old[i] = leaves_draining(10 + i);
	for (uint32_t i = dev.table.used; i < PLAN_VSOCK_CONNS; i++)
		guest_connects(100000 + i, 2);
	guest_connects(1, 2);
	fd = client();
	cr_assert_eq(send(fd, "CONNECT 52\n", 11, 0), 11);
	pump();
	expect(VSOCK_OP_REQUEST, 52, PORT_FIRST);
	cr_assert_eq(dev.table.used, PLAN_VSOCK_CONNS);
	cr_assert_eq(dev.table.list[LIST_DRAIN].count, 1);
	cr_assert(reads_all(old[2]), "the youngest lost nothing");
	guest_connects(2, 2);
	guest_op(VSOCK_OP_REQUEST, 3, 2);
	while (guest_hears(&s))
		cr_assert(le16(s.h.op) == VSOCK_OP_RST && le32(s.h.dst_port) == 3);
}

Test(vsock_ends, the_guests_rst_drops_everything)
{
	int before = open_descriptors(), fd = guest_connects(1, 2);
	struct say s;

	stuff(1);
	while (guest_hears(&s))
		;
	guest_op(VSOCK_OP_RST, 1, 2);
	expect_nothing();
	cr_assert_eq(dev.table.used, 0);
	close(fd);
	cr_assert_eq(open_descriptors(), before);
}

/* The guest keeps all its buffers: nothing can be said to it. */
static void gag(void)
{
	struct say s;

	while (rx.nfree < QLEN) {
		guest_op(VSOCK_OP_INVALID, 3, 4);
		while (next_packet(&s, true))
			;
	}
}

Test(vsock_ends, an_rst_of_the_guest_makes_ours_unnecessary)
{
	guest_connects(1, 2);
	gag();
	guest_shuts(VSOCK_SHUT_BOTH, 1, 2);
	cr_assert_eq(dev.table.used, 1, "it is owed an RST");
	guest_op(VSOCK_OP_RST, 1, 2);
	cr_assert_eq(dev.table.used, 0);
	give_buffers();
	expect_nothing();
}

Test(vsock_ends, one_given_up_before_its_rst_could_be_said_is_reset_all_the_same)
{
	guest_connects(1, 2);
	stuff(1);
	gag();
	guest_shuts(VSOCK_SHUT_BOTH, 1, 2);
	cr_assert_eq(dev.table.list[LIST_DRAIN].count, 1);
	cr_assert(vsock_drop_drain(&dev, 0));
	cr_assert_eq(dev.table.used, 0);
	give_buffers();
	pump();
	for (struct say s = expect(VSOCK_OP_RST, 1, 2); guest_hears(&s);)
		cr_assert_eq(le32(s.h.dst_port), 3);
}

Test(vsock_ends, packets_for_a_connection_whose_rst_is_on_the_way_are_ignored)
{
	guest_connects(1, 2);
	gag();
	guest_shuts(VSOCK_SHUT_BOTH, 1, 2);
	guest_sends("x", 1, 1, 2);
	guest_op(VSOCK_OP_REQUEST, 1, 2);
	guest_shuts(VSOCK_SHUT_BOTH, 1, 2);
	give_buffers();
	pump();
	expect(VSOCK_OP_RST, 1, 2);
	expect_nothing();
	cr_assert_eq(dev.table.used, 0);
}

