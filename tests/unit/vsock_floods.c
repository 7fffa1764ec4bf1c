/* SPDX-License-Identifier: Apache-2.0 */
/* vsock_floods.c: a guest that sends too much, breaks its queues, or rewrites what it sent. */
#include "tests/unit/vsock.h"

#include <pthread.h>

TestSuite(vsock_floods, .init = device_init, .timeout = 120);

/* ---- floods ---- */

Test(vsock_floods, a_storm_of_rsts_is_silent_and_leaves_nothing)
{
	int before = open_descriptors();

	for (uint32_t i = 0; i < 200000; i++) {
		struct say s = said_by(VSOCK_OP_RST, i, i * 7);

		queue_packet(&s);
		if (tx.nfree < 2) {
			pump();
			reap();
		}
	}
	expect_nothing();
	for (uint32_t i = 0; i < 1000; i++) {
		close(guest_connects(i, 5));
		guest_op(VSOCK_OP_RST, i, 5);
		guest_op(VSOCK_OP_RST, i, 5);
	}
	pump();
	cr_assert_eq(dev.table.used, 0);
	cr_assert_eq(open_descriptors(), before);
}

Test(vsock_floods, a_million_refused_packets_leave_nothing)
{
	int before = open_descriptors();

	for (uint32_t i = 0; i < 1000000; i++) {
		struct say s = said_by((uint16_t)(i % 9), i, i ^ 0x5555), got;

		if (i % 9 == VSOCK_OP_REQUEST)
			s.h.type = to_le16(9);
		s.h.len = to_le32(i);
		queue_packet(&s);
		if (tx.nfree > 2)
			continue;
		pump();
		reap();
		while (guest_hears(&got))
			cr_assert_eq(le16(got.h.op), VSOCK_OP_RST);
	}
	pump();
	cr_assert_eq(dev.table.used, 0);
	cr_assert_eq(dev.table.pool.fresh, 0);
	cr_assert_eq(open_descriptors(), before);
}

Test(vsock_floods, a_flood_of_requests_fills_the_table_and_no_more)
{
	uint32_t refused = 0;
	struct say s;

	for (uint32_t i = 0; i < 3 * PLAN_VSOCK_CONNS; i++) {
		guest_op(VSOCK_OP_REQUEST, i, 80);
		while (guest_hears(&s)) {
			cr_assert_eq(le16(s.h.op), VSOCK_OP_RST);
			refused++;
		}
	}
	cr_assert_eq(dev.table.used, PLAN_VSOCK_CONNS);
	cr_assert_eq(refused, 2 * PLAN_VSOCK_CONNS);
	cr_assert_eq(dev.host.dials, HOST_DIALS_MAX, "the supervisor is not flooded");
	/* Half-open for ever: no. */
	dev.now += VSOCK_PATIENCE;
	for (int i = 0; i < 100; i++) {
		pump();
		while (guest_hears(&s))
			refused++;
	}
	cr_assert_eq(refused, 3 * PLAN_VSOCK_CONNS);
	cr_assert_eq(dev.table.used, 0);
}

Test(vsock_floods, source_ports_never_run_out)
{
	int before = open_descriptors();

	/* 2^32 ports in steps of a prime, one connection each. */
	for (uint32_t i = 0; i < 20000; i++) {
		uint32_t port = i * 214751u;
		int fd = guest_connects(port, 80);

		guest_op(VSOCK_OP_RST, port, 80);
		cr_assert(is_closed(fd));
		close(fd);
	}
	cr_assert_eq(dev.table.used, 0);
	cr_assert_leq(dev.table.fresh, 2);
	cr_assert_eq(open_descriptors(), before);
}

Test(vsock_floods, answers_without_a_buffer_to_send_them_in_are_bounded)
{
	struct say s;
	uint32_t n = 0;

	/* All buffers stay with the guest. */
	for (int i = 0; i < QLEN; i++) {
		guest_op(VSOCK_OP_INVALID, 1, 2);
		cr_assert(next_packet(&s, true));
	}
	for (uint32_t i = 0; i < 100000; i++)
		guest_op(VSOCK_OP_INVALID, i, 2);
	cr_assert_eq(dev.strays, VSOCK_STRAYS);
	for (int i = 0; i < 10; i++) {
		give_buffers();
		pump();
		while (next_packet(&s, true))
			cr_assert_eq(le32(s.h.dst_port), n++);
	}
	cr_assert_eq(n, VSOCK_STRAYS, "the first ones, in order");
}

/* ---- queues ---- */

Test(vsock_floods, traffic_resumes_when_a_starved_guest_refills)
{
	char block[4096] = "";
	struct say s;
	uint64_t sent = 0, got = 0;
	int fd = guest_connects(1, 2);

	while (next_packet(&s, true))
		;
	for (int round = 0; round < 20; round++) {
		ssize_t n;

		/* The host floods until its socket is full, the guest has no buffers left. */
		while ((n = send(fd, block, sizeof(block), MSG_DONTWAIT)) > 0) {
			sent += (uint64_t)n;
			pump();
		}
		while (next_packet(&s, true))
			got += s.size;
		give_buffers();
		struct say credit = said_by(VSOCK_OP_CREDIT_UPDATE, 1, 2);

		credit.h.fwd_cnt = to_le32((uint32_t)got);
		guest_says(&credit);
	}
	cr_assert_gt(got, 1 << 20);
	cr_assert_leq(got, sent);
}

Test(vsock_floods, rx_buffers_too_small_for_a_packet_come_back_unused)
{
	static const uint32_t small[] = { 1, 43, 44 };
	uint16_t head;
	uint32_t len;

	for (size_t i = 0; i < array_len(small); i++) {
		activate(VSOCK_FEATURES);
		rx_len = small[i];
		give_buffer();
		guest_op(VSOCK_OP_INVALID, 1, 2);
		cr_assert(driver_used(&rx, &head, &len));
		cr_assert_eq(len, 0);
		rx_len = 45;
		give_buffer();
		pump();
		expect(VSOCK_OP_RST, 1, 2);
	}
}

Test(vsock_floods, rx_chains_with_nothing_to_write_into_come_back_unused)
{
	struct buf b = { RX_AT, 4096, false };
	uint16_t head;
	uint32_t len;

	activate(VSOCK_FEATURES);
	driver_add(&rx, &b, 1);
	guest_op(VSOCK_OP_INVALID, 1, 2);
	cr_assert(driver_used(&rx, &head, &len));
	cr_assert_eq(len, 0);
}

Test(vsock_floods, a_device_without_event_queue_works_and_one_with_a_bad_one_says_so)
{
	struct link_activate a = { .features = VSOCK_FEATURES };
	uint32_t queue;

	a.queue[VSOCK_RX] = queue_of(&rx);
	a.queue[VSOCK_TX] = queue_of(&tx);
	a.queue[VSOCK_EVENT] = (struct link_queue){ .desc = 0x30000, .avail = 0x31000,
						    .used = 0x32000, .size = 1, .ready = 1 };
	cr_assert_eq(vsock_activate(&dev, &a, &queue), VQ_OK, "one entry will do");
	a.queue[VSOCK_EVENT].size = 3;
	cr_assert_eq(vsock_activate(&dev, &a, &queue), VQ_E_SETUP);
	cr_assert_eq(queue, VSOCK_EVENT);
	a.queue[VSOCK_EVENT].ready = 0;
	a.queue[VSOCK_TX].ready = 0;
	cr_assert_eq(vsock_activate(&dev, &a, &queue), VQ_E_SETUP);
	cr_assert_eq(queue, VSOCK_TX);
}

Test(vsock_floods, a_broken_queue_is_reported_and_a_reset_heals_it)
{
	int fd = guest_connects(1, 2);
	uint32_t queue;

	driver_desc(&tx, 0, TX_AT, 64, DRV_NEXT, QLEN);
	driver_offer(&tx, 0);
	cr_assert_eq(vsock_run(&dev), VSOCK_BROKEN);
	cr_assert_eq(vsock_broken(&dev, &queue), VQ_E_NEXT);
	cr_assert_eq(queue, VSOCK_TX);
	vsock_reset(&dev);
	cr_assert(is_closed(fd));
	cr_assert_eq(dev.table.used, 0);
	activate(VSOCK_FEATURES);
	give_buffers();
	fd = guest_connects(1, 2);
	guest_sends("well", 4, 1, 2);
	client_reads(fd, "well");
}

Test(vsock_floods, a_reset_at_any_moment_leaves_nothing)
{
	int before = open_descriptors();

	for (uint32_t i = 0; i < 2000; i++) {
		int fd = i % 3 == 0 ? guest_connects(1, 2) : -1;
		int line = i % 2 == 0 ? client() : -1;

		if (i % 5 == 0)
			guest_op(VSOCK_OP_REQUEST, 3, 4);
		if (line >= 0)
			client_says(line, i % 4 == 0 ? "CONNECT 9\n" : "CONN");
		vsock_reset(&dev);
		cr_assert_eq(dev.table.used, 0);
		activate(VSOCK_FEATURES);
		give_buffers();
		for (struct dial_request r; next_dial(&r);)
			close(answer_dial(&r));
		pump();
		if (fd >= 0)
			close(fd);
		if (line >= 0)
			close(line);
	}
	cr_assert_eq(open_descriptors(), before);
	cr_assert_eq(dev.table.used, 0);
}

/* ---- another vCPU rewrites the packet while we look (CVE-2015-8550) ---- */

enum { RACE_AT = 0x1000000 };

static void *flip(void *arg)
{
	const bool *stop = arg;
	volatile uint32_t *len = (volatile uint32_t *)((char *)ram_at(&ram, RACE_AT) +
						       offsetof(struct vsock_hdr, len));

	while (!__atomic_load_n(stop, __ATOMIC_RELAXED)) {
		*len = 16;
		*len = UINT32_MAX;
		*len = 4096;
	}
	return NULL;
}

Test(vsock_floods, a_length_that_changes_under_us_is_read_once)
{
	struct say s = said_by(VSOCK_OP_RW, 1, 2), got;
	struct buf b = { RACE_AT, VSOCK_HDR + 4096, false };
	bool stop = false;
	pthread_t other;
	char sink[8192];
	int fd = -1;

	memcpy(ram_at(&ram, RACE_AT), &s.h, VSOCK_HDR);
	cr_assert_eq(pthread_create(&other, NULL, flip, &stop), 0);
	for (int i = 0; i < 20000; i++) {
		if (conn_find(&dev.table, 1, 2) == NULL) {
			close(fd);
			fd = guest_connects(1, 2);
		}
		driver_add(&tx, &b, 1);
		pump();
		reap();
		while (recv(fd, sink, sizeof(sink), MSG_DONTWAIT) > 0)
			;
		while (guest_hears(&got))
			;
	}
	__atomic_store_n(&stop, true, __ATOMIC_RELAXED);
	pthread_join(other, NULL);
}
