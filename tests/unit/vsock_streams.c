/* SPDX-License-Identifier: Apache-2.0 */
/* vsock_streams.c: bytes both ways, credit on the wire, fairness. */
#include "tests/unit/vsock_data.h"

#include <linux/sock_diag.h>

#include <stdlib.h>

TestSuite(vsock_streams, .init = device_init, .timeout = 120);

/* ---- guest to host ---- */

Test(vsock_streams, bytes_of_the_guest_arrive_in_order_whatever_the_host_takes)
{
	size_t sent = 0, got = 0, round = 0;
	static char back[sizeof(pattern)];
	uint32_t told = 0, window;
	struct say s;
	int fd = guest_connects(1, 2);

	make_pattern();
	window = only()->credit.window;
	while (got < sizeof(pattern)) {
		size_t room = window - (sent - told), n = 1 + (round++ * 7919) % 60000;
		ssize_t k;

		n = n < room ? n : room;
		n = n < sizeof(pattern) - sent ? n : sizeof(pattern) - sent;
		if (n > 0) {
			guest_sends(pattern + sent, (uint32_t)n, 1, 2);
			sent += n;
		}
		invariant();
		while (guest_hears(&s)) {
			cr_assert_eq(le16(s.h.op), VSOCK_OP_CREDIT_UPDATE);
			cr_assert_eq(le32(s.h.buf_alloc), window);
			told = le32(s.h.fwd_cnt);
			cr_assert_leq(told, sent);
		}
		k = recv(fd, back + got, 1 + (round * 104729) % 50000, MSG_DONTWAIT);
		if (k > 0)
			got += (size_t)k;
		pump();
	}
	cr_assert_eq(memcmp(back, pattern, sizeof(pattern)), 0);
}

Test(vsock_streams, a_payload_in_many_pieces_arrives_whole)
{
	struct say s = said_by(VSOCK_OP_RW, 1, 2);
	struct buf b[QLEN];
	char back[QLEN * 100];
	int fd = guest_connects(1, 2);

	make_pattern();
	s.h.len = to_le32((QLEN - 1) * 100);
	memcpy(ram_at(&ram, TX_AT), &s.h, VSOCK_HDR);
	b[0] = (struct buf){ TX_AT, VSOCK_HDR, false };
	for (int i = 1; i < QLEN; i++) {
		b[i] = (struct buf){ TX_AT + (uint64_t)i * 5000, 100, false };
		memcpy(ram_at(&ram, b[i].addr), pattern + (i - 1) * 100, 100);
	}
	driver_add(&tx, b, QLEN);
	pump();
	cr_assert_eq(host_reads(fd, back, sizeof(back)), (QLEN - 1) * 100);
	cr_assert_eq(memcmp(back, pattern, (QLEN - 1) * 100), 0);
}

Test(vsock_streams, a_payload_larger_than_a_bounce_in_large_pieces_arrives_whole)
{
	static const uint32_t piece[][3] = { { 60000, 71071, 1 }, { 43000, 43000, 43000 },
					     { 1, 65535, 64464 }, { 65436, 65436, 100 } };
	static char back[WINDOW_MAX + 1];
	int fd = guest_connects(1, 2);

	make_pattern();
	for (size_t i = 0; i < array_len(piece); i++) {
		struct say s = said_by(VSOCK_OP_RW, 1, 2);
		uint32_t all = piece[i][0] + piece[i][1] + piece[i][2];
		uint64_t at = TX_AT + 0x1000;
		struct buf b[4] = { { TX_AT, VSOCK_HDR, false } };

		s.h.len = to_le32(all);
		memcpy(ram_at(&ram, TX_AT), &s.h, VSOCK_HDR);
		memcpy(ram_at(&ram, at), pattern, piece[i][0]);
		memcpy(ram_at(&ram, at + 0x40000), pattern + piece[i][0], piece[i][1]);
		memcpy(ram_at(&ram, at + 0x80000), pattern + piece[i][0] + piece[i][1],
		       piece[i][2]);
		for (uint32_t k = 0; k < 3; k++)
			b[k + 1] = (struct buf){ at + k * 0x40000, piece[i][k], false };
		driver_add(&tx, b, 4);
		pump();
		reap();
		cr_assert_eq(host_reads(fd, back, sizeof(back)), all);
		cr_assert_eq(memcmp(back, pattern, all), 0, "shape %zu", i);
	}
}

Test(vsock_streams, a_guest_that_ignores_its_credit_loses_the_connection)
{
	struct say s;
	int fd = guest_connects(1, 2);

	stuff(1);
	invariant();
	while (guest_hears(&s))
		cr_assert_eq(le16(s.h.op), VSOCK_OP_CREDIT_UPDATE);
	guest_sends("", 0, 1, 2);
	expect_nothing();
	guest_sends("x", 1, 1, 2);
	expect(VSOCK_OP_RST, 1, 2);
	cr_assert_eq(dev.table.used, 0);
	cr_assert_eq(fcntl(fd, F_GETFD) >= 0, true);
}

Test(vsock_streams, guests_of_peers_that_never_read_cost_a_bounded_pool_and_nobody_else)
{
	char back[16];
	uint32_t fresh;
	struct say s;
	int fd;

	for (uint32_t i = 10; i < 210; i++) {
		guest_connects(i, 2);
		stuff(i);
		while (guest_hears(&s))
			;
	}
	fresh = dev.table.pool.fresh;
	cr_assert_leq(fresh, POOL_BLOCKS);
	fd = guest_connects(1, 2);
	guest_sends("others go on", 12, 1, 2);
	cr_assert_eq(recv(fd, back, sizeof(back), MSG_DONTWAIT), 12);
	cr_assert_eq(dev.table.pool.fresh, fresh);
	for (uint32_t i = 10; i < 210; i++) {
		guest_op(VSOCK_OP_RST, i, 2);
		cr_assert_null(conn_find(&dev.table, i, 2));
	}
	/* Blocks come back: the same again needs no more. */
	for (uint32_t i = 10; i < 210; i++) {
		guest_connects(i, 2);
		stuff(i);
		while (guest_hears(&s))
			;
	}
	cr_assert_leq(dev.table.pool.fresh, fresh + 1);
}

Test(vsock_streams, a_guest_out_of_credit_is_told_when_the_host_reads_again)
{
	static char sink[1 << 16];
	struct say s;
	int fd = guest_connects(1, 2);
	uint32_t all = stuff(1), told = 0;

	while (guest_hears(&s))
		told = le32(s.h.fwd_cnt);
	cr_assert_lt(told, all);
	while (recv(fd, sink, sizeof(sink), MSG_DONTWAIT) > 0) {
		pump();
		while (guest_hears(&s)) {
			cr_assert_eq(le16(s.h.op), VSOCK_OP_CREDIT_UPDATE);
			told = le32(s.h.fwd_cnt);
		}
	}
	cr_assert_lt(all - told, only()->credit.window / 4 + 1, "told of nearly all");
	invariant();
	cr_assert_eq(only()->armed, false, "no wake-up at every read of the host");
}

Test(vsock_streams, a_credit_request_is_answered)
{
	struct say s;

	guest_connects(1, 2);
	guest_sends("abc", 3, 1, 2);
	guest_op(VSOCK_OP_CREDIT_REQUEST, 1, 2);
	s = expect(VSOCK_OP_CREDIT_UPDATE, 1, 2);
	cr_assert_eq(le32(s.h.fwd_cnt), 3);
	cr_assert_eq(le32(s.h.buf_alloc), WINDOW_MAX);
	expect_nothing();
}

/* ---- what unread streams cost (core/backlog.h) ---- */

static char sink[1 << 18];

/* Bytes that the kernel counts for what the device sent and nobody read, all sockets together;
 * *@most: in one of them. */
static uint64_t unread(uint32_t *most)
{
	uint64_t all = 0;

	*most = 0;
	for (uint32_t i = 0; i < dev.table.fresh; i++) {
		uint32_t info[SK_MEMINFO_VARS] = { 0 };
		socklen_t len = sizeof(info);

		if (dev.table.conn[i].state == CONN_FREE || dev.table.conn[i].fd < 0)
			continue;
		cr_assert_eq(getsockopt(dev.table.conn[i].fd, SOL_SOCKET, SO_MEMINFO, info, &len),
			     0);
		all += info[SK_MEMINFO_WMEM_ALLOC];
		*most = *most < info[SK_MEMINFO_WMEM_ALLOC] ? info[SK_MEMINFO_WMEM_ALLOC] : *most;
	}
	return all;
}

/* Sends as much as it may in packets of @first bytes, and then of @then bytes. */
static void stuff_with(uint32_t gport, uint32_t first, uint32_t then)
{
	const struct conn *c = conn_find(&dev.table, gport, 2);
	struct say s;

	for (int i = 0; i < 6 && c->fifo.len == 0; i++)
		guest_sends(pattern, first, gport, 2);
	while (c->credit.window - c->fifo.len >= then) {
		guest_sends(pattern, then, gport, 2);
		cr_assert_eq(c->state, CONN_OPEN);
		while (guest_hears(&s))
			cr_assert_eq(le16(s.h.op), VSOCK_OP_CREDIT_UPDATE);
	}
}

Test(vsock_streams, unread_streams_stay_in_the_small_send_buffer_whatever_the_packets)
{
	static const uint32_t size[] = { 1, 300, 384, 385, 700, 704, 705, 1000, 2040, 30000 };
	uint32_t gport = 10, most;

	make_pattern();
	for (size_t i = 0; i < array_len(size); i++)
		for (size_t k = 0; k < array_len(size); k++) {
			guest_connects(gport, 2);
			stuff_with(gport, size[i], size[k] < 2048 ? size[k] : 2040);
			unread(&most);
			cr_assert_leq(most, BACKLOG_SMALL, "%u, then %u", size[i], size[k]);
			cr_assert_eq(dev.table.larges, 0);
			guest_op(VSOCK_OP_RST, gport++, 2);
		}
}

Test(vsock_streams, a_large_send_buffer_has_its_bound_too)
{
	static const uint32_t size[] = { 1, 384, 705, 1729, 4000, 16384, 30000, 60000 };
	uint32_t gport = 10, most;
	struct say s;

	make_pattern();
	for (size_t i = 0; i < array_len(size); i++)
		for (size_t k = 0; k < array_len(size); k++) {
			int fd = guest_connects(gport, 2);

			stuff_with(gport, 704, 704);
			cr_assert_gt(host_reads(fd, sink, sizeof(sink)), WINDOW_MIN);
			cr_assert_eq(dev.table.larges, 1);
			while (guest_hears(&s))
				;
			stuff_with(gport, size[i], size[k]);
			unread(&most);
			cr_assert_gt(most, 131072 - 4608);
			cr_assert_leq(most, BACKLOG_LARGE, "%u, then %u", size[i], size[k]);
			guest_op(VSOCK_OP_RST, gport++, 2);
			close(fd);
			cr_assert_eq(dev.table.larges, 0);
		}
}

Test(vsock_streams, all_streams_unread_stay_within_the_bound)
{
	static int fd[PLAN_VSOCK_CONNS];
	struct say s;
	uint64_t all;
	uint32_t most;

	make_pattern();
	for (uint32_t i = 0; i < PLAN_VSOCK_CONNS; i++) {
		fd[i] = guest_connects(10 + i, 2);
		stuff_with(10 + i, 300, 704);
		/* Hosts that read at first are trusted with more, as many as may be. */
		for (int k = 0; i % 40 == 0 && k < 3; k++) {
			host_reads(fd[i], sink, sizeof(sink));
			while (guest_hears(&s))
				;
			stuff_with(10 + i, 300, 704);
		}
		if (i != 1022 && i != PLAN_VSOCK_CONNS - 1)
			continue;
		all = unread(&most);
		cr_assert_eq(dev.table.larges, i == 1022 ? 26 : BACKLOG_LARGES);
		cr_assert_gt(most, BACKLOG_SMALL, "the buffers were used");
		cr_assert_leq(most, BACKLOG_LARGE);
		cr_assert_leq(all, (i + 1) * BACKLOG_SMALL +
				   dev.table.larges * (BACKLOG_LARGE - BACKLOG_SMALL));
		cr_assert_leq(sizeof(struct conn) + sizeof(uint16_t) * 2, BACKLOG_ENTRY);
	}
	for (uint32_t i = 0; i < PLAN_VSOCK_CONNS; i++)
		guest_op(VSOCK_OP_RST, 10 + i, 2);
	cr_assert_eq(dev.table.used, 0);
	cr_assert_eq(dev.table.larges, 0);
	cr_assert_eq(dev.table.spare, 0);
}

/* ---- host to guest (CVE-2026-23069 and its kin) ---- */

Test(vsock_streams, the_guest_gets_no_byte_it_has_no_credit_for)
{
	uint32_t got;
	int fd = guest_connects(1, 2);

	make_pattern();
	guest_grants(10000, 0);
	fill_socket(fd);
	pump();
	got = guest_drains();
	cr_assert_eq(got, 10000 - 0, "%u", got);
}

Test(vsock_streams, without_credit_it_is_asked_for_once)
{
	int fd = guest_connects(1, 2);

	guest_grants(0, 0);
	fill_socket(fd);
	pump();
	expect(VSOCK_OP_CREDIT_REQUEST, 1, 2);
	expect_nothing();
	fill_socket(fd);
	guest_grants(0, 0);
	expect_nothing();
	guest_grants(5, 0);
	cr_assert_eq(expect(VSOCK_OP_RW, 1, 2).size, 5);
	expect(VSOCK_OP_CREDIT_REQUEST, 1, 2);
	expect_nothing();
}

Test(vsock_streams, a_guest_that_shrinks_its_buffer_in_flight_gets_nothing_until_it_fits_again)
{
	struct say s;
	int fd = guest_connects(1, 2);

	guest_grants(20000, 0);
	fill_socket(fd);
	pump();
	cr_assert_eq(expect(VSOCK_OP_RW, 1, 2).size, RXLEN - VSOCK_HDR);
	while (guest_hears(&s))
		;
	for (uint32_t size = 20000; size > 0; size /= 2) {
		guest_grants(size, 0);
		expect_nothing();
	}
	guest_grants(0, 20000);
	expect_nothing();
	guest_grants(1, 20000);
	cr_assert_eq(expect(VSOCK_OP_RW, 1, 2).size, 1);
}

Test(vsock_streams, a_fwd_cnt_that_lies_gives_no_credit_and_no_harm)
{
	static const uint32_t lie[] = { 10001, 20000, 0x80000000u, UINT32_MAX };
	struct say s;
	int fd = guest_connects(1, 2);

	guest_grants(10000, 0);
	fill_socket(fd);
	pump();
	while (guest_hears(&s))
		;
	for (size_t i = 0; i < array_len(lie); i++) {
		guest_grants(10000, lie[i]);
		while (guest_hears(&s))
			cr_assert_eq(le16(s.h.op), VSOCK_OP_CREDIT_REQUEST, "lie %u", lie[i]);
	}
	guest_grants(10000, 10000);
	cr_assert_gt(guest_drains(), 0, "the truth helps");
}

Test(vsock_streams, a_guest_that_promises_four_gigabytes_holds_them_in_its_own_buffers)
{
	uint64_t sent;
	uint32_t got = 0;
	struct say s;
	int fd = guest_connects(1, 2);

	while (next_packet(&s, true))
		;
	guest_grants(UINT32_MAX, 0);
	sent = (uint64_t)fill_socket(fd);
	pump();
	sent += (uint64_t)fill_socket(fd);
	while (next_packet(&s, true))
		got += s.size;
	cr_assert_leq(got, QLEN * RXLEN);
	cr_assert_eq(dev.table.pool.fresh, 0, "nothing is held for it");
	cr_assert_eq(fill_socket(fd), 0, "the host waits");
	cr_assert_gt(sent, got);
}

/* Offers the rx buffer @b and takes what the device put into it: the header to @h, the payload
 * to @to, @n bytes of it. */
static uint32_t one_buffer(const struct buf *b, uint16_t n, struct vsock_hdr *h, char *to)
{
	static char flat[1 << 19];
	uint32_t len, left, at = 0;
	uint16_t head;

	driver_add(&rx, b, n);
	pump();
	cr_assert(driver_used(&rx, &head, &len));
	left = len;
	for (uint16_t i = 0; i < n && left > 0; i++) {
		uint32_t here = left < b[i].len ? left : b[i].len;

		memcpy(flat + at, ram_at(&ram, b[i].addr), here);
		at += here;
		left -= here;
	}
	memcpy(h, flat, VSOCK_HDR);
	memcpy(to, flat + VSOCK_HDR, len - VSOCK_HDR);
	return len - VSOCK_HDR;
}

Test(vsock_streams, bytes_of_the_host_arrive_in_order_in_buffers_of_any_shape)
{
	static char back[1 << 16];
	uint32_t got = 0, n = 0;
	struct vsock_hdr h;
	int fd = guest_connects(1, 2);

	make_pattern();
	activate(VSOCK_FEATURES);
	cr_assert_eq(send(fd, pattern, sizeof(back), 0), sizeof(back));
	while (got < sizeof(back)) {
		/* Header split, payload in one piece or in several, and gaps between them. */
		uint64_t at = RX_AT + n % 64 * 0x2000u;
		struct buf b[4] = { { at, 20, true }, { at + 32, 24 + n % 3, true },
				    { at + 64, 1000, true }, { at + 2000, 900, true } };
		uint32_t k = one_buffer(b, 3 + n % 2, &h, back + got);

		cr_assert_eq(le16(h.op), VSOCK_OP_RW);
		cr_assert_eq(le32(h.len), k);
		got += k;
		n++;
	}
	cr_assert_eq(memcmp(back, pattern, sizeof(back)), 0);
}

Test(vsock_streams, an_rx_buffer_larger_than_a_bounce_is_filled_no_further)
{
	static char back[1 << 18];
	struct buf b[2] = { { RX_AT, 1000, true }, { RX_AT + 0x10000, 200000, true } };
	struct vsock_hdr h;
	uint64_t seed = dev.table.seed;
	int fd = guest_connects(1, 2);

	make_pattern();
	activate(VSOCK_FEATURES);
	cr_assert_gt(send(fd, pattern, 150000, MSG_DONTWAIT), VSOCK_BOUNCE);
	cr_assert_eq(one_buffer(b, 2, &h, back), VSOCK_BOUNCE);
	cr_assert_eq(memcmp(back, pattern, VSOCK_BOUNCE), 0);
	cr_assert_eq(dev.table.seed, seed, "what lies behind the bounce is untouched");
}

/* ---- sharing ---- */

/* Whatever they have to say, none gets further ahead of another than a share of a burst. */
Test(vsock_streams, connections_take_turns)
{
	int packets[4] = { 0 }, fd[4];
	struct say s;

	for (uint32_t i = 0; i < 4; i++)
		fd[i] = guest_connects(i, 2);
	for (uint32_t i = 0; i < 4; i++)
		fill_socket(fd[i]);
	while (next_packet(&s, true))
		;
	pump();
	give_buffers();
	pump();
	while (next_packet(&s, true)) {
		cr_assert_eq(le16(s.h.op), VSOCK_OP_RW);
		packets[le32(s.h.dst_port)]++;
		for (int i = 0; i < 4; i++)
			for (int k = 0; k < 4; k++)
				cr_assert_leq(packets[i] - packets[k], VSOCK_BURST / 4 + 1);
	}
	cr_assert_geq(packets[0], QLEN / 4 - 1);
}

Test(vsock_streams, answers_to_nonsense_do_not_keep_connections_waiting)
{
	struct say s;
	int strays = 0, data = 0, fd = guest_connects(1, 2);

	for (int i = 0; i < QLEN; i++) {
		guest_op(VSOCK_OP_INVALID, 3, 4);
		cr_assert(next_packet(&s, true));
	}
	for (int i = 0; i < QLEN; i++)
		guest_op(VSOCK_OP_INVALID, 3, 4);
	fill_socket(fd);
	give_buffers();
	pump();
	while (next_packet(&s, true)) {
		strays += le16(s.h.op) == VSOCK_OP_RST;
		data += le16(s.h.op) == VSOCK_OP_RW;
		cr_assert_leq(abs(strays - data), 1, "%d, %d", strays, data);
	}
	cr_assert_eq(strays + data, QLEN);
}

Test(vsock_streams, a_batch_of_packets_is_one_interrupt)
{
	int interrupts = 0;
	int fd = guest_connects(1, 2);

	dev.interrupt = false;
	driver_used_event(&rx, rx.last_used);
	driver_used_event(&tx, (uint16_t)(tx.last_used + 1000));
	fill_socket(fd);
	for (int i = 0; i < 10; i++) {
		pump();
		interrupts += dev.interrupt;
		dev.interrupt = false;
	}
	cr_assert_eq(interrupts, 1);
	cr_assert_gt(guest_drains(), 100000);
}

static void kicks_are_wanted_when_needed(uint64_t features)
{
	struct say s = said_by(VSOCK_OP_CREDIT_REQUEST, 1, 2), got;

	vsock_reset(&dev);
	activate(features);
	give_buffers();
	guest_connects(1, 2);
	driver_must_kick(&tx);
	for (int i = 0; i < 3; i++) {
		queue_packet(&s);
		cr_assert(driver_must_kick(&tx), "a device at rest wants to know of packets");
		pump();
		expect(VSOCK_OP_CREDIT_UPDATE, 1, 2);
	}
	/* No buffer is left for the answer: now it wants to know of one. */
	while (rx.nfree < QLEN) {
		guest_says(&s);
		while (next_packet(&got, true))
			;
	}
	guest_says(&s);
	driver_must_kick(&rx);
	give_buffer();
	cr_assert(driver_must_kick(&rx), "a starved device wants to know of buffers");
	pump();
	expect(VSOCK_OP_CREDIT_UPDATE, 1, 2);
}

Test(vsock_streams, kicks_are_asked_for_when_they_are_needed)
{
	kicks_are_wanted_when_needed(VSOCK_FEATURES);
	kicks_are_wanted_when_needed(VIRTIO_F_VERSION_1);
}

Test(vsock_streams, a_turn_of_work_is_bounded)
{
	struct epoll_event ev[4];
	struct vq_config config;
	int turns = 0, fd = guest_connects(1, 2);

	/* 2000 packets to send, 256 buffers to send them in. */
	driver_init(&rx, &ram, 0x10000, VQ_SIZE_MAX, VSOCK_FEATURES);
	config = driver_config(&rx);
	cr_assert_eq(vq_setup(&dev.queue[VSOCK_RX], &ram.mem, &config, VSOCK_FEATURES), VQ_OK);
	rx_len = 128;
	give_buffers();
	fill_socket(fd);
	cr_assert_gt(epoll_wait(dev.host.epoll, ev, 4, 0), 0);
	vsock_event(&dev, (uint32_t)ev[0].data.u64, ev[0].events);
	while (vsock_run(&dev) == VSOCK_MORE) {
		uint16_t now = dev.queue[VSOCK_RX].next_used;

		cr_assert_leq(now, ++turns * VSOCK_BATCH);
	}
	cr_assert_eq(dev.queue[VSOCK_RX].next_used, VQ_SIZE_MAX);
	cr_assert_geq(turns, 2);
}
