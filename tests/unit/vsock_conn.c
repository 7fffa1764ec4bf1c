/* SPDX-License-Identifier: Apache-2.0 */
/* vsock_conn.c: credit, ports, the table and the buffers of devices/vsock. */
#include "devices/vsock/buffer.c"
#include "devices/vsock/conn.c"
#include "devices/vsock/message.c"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

static struct conn_table t;
static struct pool pool;

static void init(void)
{
	conn_table_init(&t, 0x0123456789abcdefull, PLAN_VSOCK_CONNS);
}

TestSuite(vsock_conn, .init = init);

/* ---- credit ---- */

Test(vsock_conn, there_are_as_many_as_were_configured)
{
	struct conn *last = NULL;

	t.limit = 3;
	for (int i = 0; i < 3; i++) {
		last = conn_new(&t, CONN_LINE, VSOCK_TYPE_STREAM, -1);
		cr_assert_not_null(last);
	}
	cr_assert_null(conn_new(&t, CONN_LINE, VSOCK_TYPE_STREAM, -1));
	conn_free(&t, last);
	cr_assert_not_null(conn_new(&t, CONN_LINE, VSOCK_TYPE_STREAM, -1));
	cr_assert_null(conn_new(&t, CONN_LINE, VSOCK_TYPE_SEQPACKET, -1));
}

Test(vsock_conn, credit_to_the_guest_is_what_it_promised_less_what_is_under_way)
{
	struct credit c;

	credit_init(&c, WINDOW_MIN);
	cr_assert_eq(credit_available(&c), 0, "nothing was promised yet");
	credit_heard(&c, 1000, 0);
	cr_assert_eq(credit_available(&c), 1000);
	credit_sent(&c, 600);
	cr_assert_eq(credit_available(&c), 400);
	credit_heard(&c, 1000, 600);
	cr_assert_eq(credit_available(&c), 1000);
}

Test(vsock_conn, credit_does_not_underflow_when_the_guest_shrinks_its_buffer_in_flight)
{
	struct credit c;

	credit_init(&c, WINDOW_MIN);
	credit_heard(&c, 65536, 0);
	credit_sent(&c, 40000);
	for (uint32_t size = 0; size <= 40000; size += 8000) {
		credit_heard(&c, size, 0);
		cr_assert_eq(credit_available(&c), 0, "size %u", size);
	}
	credit_heard(&c, 40001, 0);
	cr_assert_eq(credit_available(&c), 1);
}

Test(vsock_conn, credit_is_right_across_the_wrap_of_every_counter)
{
	struct credit c;

	credit_init(&c, WINDOW_MIN);
	c.tx_cnt = c.peer_fwd_cnt = UINT32_MAX - 100;
	credit_heard(&c, 1000, UINT32_MAX - 100);
	credit_sent(&c, 600);
	cr_assert_eq(c.tx_cnt, 499);
	cr_assert_eq(credit_available(&c), 400);
	credit_heard(&c, 1000, 99);
	cr_assert_eq(credit_available(&c), 600);

	c.rx_cnt = c.fwd_cnt = c.told = UINT32_MAX - 10;
	cr_assert(credit_received(&c, WINDOW_MIN));
	cr_assert_not(credit_received(&c, 1));
	credit_passed_on(&c, WINDOW_MIN);
	cr_assert(credit_should_tell(&c));
	cr_assert(credit_received(&c, WINDOW_MIN));
}

Test(vsock_conn, fwd_cnt_of_a_guest_that_runs_ahead_or_back_gives_no_credit)
{
	struct credit c;

	credit_init(&c, WINDOW_MIN);
	credit_heard(&c, 1000, 0);
	credit_sent(&c, 500);
	credit_heard(&c, 1000, 501);	/* took more than was ever sent */
	cr_assert_eq(credit_available(&c), 0);
	credit_heard(&c, 1000, 0x80000000u);
	cr_assert_eq(credit_available(&c), 0);
	credit_heard(&c, UINT32_MAX, 501);
	cr_assert_eq(credit_available(&c), 0, "UINT32_MAX under way");
	credit_heard(&c, 1000, 500);
	credit_heard(&c, 1000, 0);	/* gives back what it took */
	cr_assert_eq(credit_available(&c), 500);
	credit_heard(&c, UINT32_MAX, 500);
	cr_assert_eq(credit_available(&c), UINT32_MAX);
}

Test(vsock_conn, guest_can_send_its_window_and_not_one_byte_more)
{
	struct credit c;

	credit_init(&c, WINDOW_MIN);
	cr_assert_not(credit_received(&c, WINDOW_MIN + 1));
	cr_assert_not(credit_received(&c, UINT32_MAX));
	cr_assert_eq(c.rx_cnt, 0, "a refused packet is not counted");
	cr_assert(credit_received(&c, WINDOW_MIN - 1));
	cr_assert_not(credit_received(&c, 2));
	cr_assert(credit_received(&c, 1));
	cr_assert(credit_received(&c, 0));
	cr_assert_not(credit_received(&c, 1));
	credit_passed_on(&c, 7);
	cr_assert_not(credit_received(&c, 8));
	cr_assert(credit_received(&c, 7));
}

Test(vsock_conn, a_guest_without_credit_is_told_once_a_quarter_is_free)
{
	struct credit c;
	uint32_t free = 0;

	credit_init(&c, WINDOW_MAX);
	cr_assert(credit_received(&c, WINDOW_MAX));
	while (!credit_should_tell(&c)) {
		credit_passed_on(&c, 1);
		free++;
	}
	cr_assert_eq(free, WINDOW_MAX / 4);
	c.told = c.fwd_cnt;
	cr_assert_not(credit_should_tell(&c));
}

/* Both sides of one direction, with news that travels late: the receiver's store never grows
 * beyond its window, and the sender always gets to go on. */
Test(vsock_conn, honest_sender_and_receiver_never_overrun_and_never_stall)
{
	struct credit us;
	uint32_t guest_tx = 0xfffff000u, guest_heard, sent = 0;

	credit_init(&us, WINDOW_MIN);
	us.rx_cnt = us.fwd_cnt = us.told = guest_heard = guest_tx;
	srandom(1);
	for (int i = 0; i < 200000; i++) {
		uint32_t held = us.rx_cnt - us.fwd_cnt;
		uint32_t may = WINDOW_MIN - (guest_tx - guest_heard);
		uint32_t n = (uint32_t)random() % 5000;

		cr_assert_leq(held, WINDOW_MIN);
		n = n < may ? n : may;
		cr_assert(credit_received(&us, n));
		guest_tx += n;
		sent += n;
		n = (uint32_t)random() % 5000;
		held = us.rx_cnt - us.fwd_cnt;
		credit_passed_on(&us, n < held ? n : held);
		if (credit_should_tell(&us) && random() % 3 == 0)
			guest_heard = us.told = us.fwd_cnt;
	}
	cr_assert_gt(sent, 100u << 20, "it went on");
}

/* ---- ports ---- */

Test(vsock_conn, ports_are_given_in_turn_and_wrap)
{
	cr_assert_eq(conn_pick_port(&t, 5), PORT_FIRST);
	cr_assert_eq(conn_pick_port(&t, 5), PORT_FIRST + 1);
	t.next_port = PORT_LAST;
	cr_assert_eq(conn_pick_port(&t, 5), PORT_LAST);
	cr_assert_eq(conn_pick_port(&t, 5), PORT_FIRST);
}

Test(vsock_conn, a_port_in_use_is_passed_over)
{
	for (uint32_t i = 0; i < 1000; i++) {
		struct conn *c = conn_new(&t, CONN_ASKING, VSOCK_TYPE_STREAM, -1);

		cr_assert_not_null(c);
		conn_bind(&t, c, 5, conn_pick_port(&t, 5));
	}
	t.next_port = PORT_FIRST;
	cr_assert_eq(conn_pick_port(&t, 5), PORT_FIRST + 1000);
	t.next_port = PORT_FIRST;
	cr_assert_eq(conn_pick_port(&t, 6), PORT_FIRST, "towards another port it is free");
}

Test(vsock_conn, a_guest_that_holds_the_ports_ahead_exhausts_nothing)
{
	/* Its own connections, to host ports out of our range of ephemeral ones. */
	for (uint32_t i = 0; i < PLAN_VSOCK_CONNS - 1; i++) {
		struct conn *c = conn_new(&t, CONN_OPEN, VSOCK_TYPE_STREAM, -1);

		cr_assert_not_null(c);
		conn_bind(&t, c, 5, i % 2 ? PORT_LAST - i / 2 : PORT_FIRST + i / 2);
	}
	t.next_port = PORT_LAST - 100;
	cr_assert_eq(conn_pick_port(&t, 5), PORT_FIRST + PLAN_VSOCK_CONNS / 2);
}

/* ---- the table ---- */

static int check_chains(void)
{
	int n = 0;

	for (int i = 0; i < CONN_HASH; i++)
		for (uint16_t at = t.hash[i]; at != 0; at = t.conn[at - 1].hash_next, n++)
			cr_assert_lt(n, PLAN_VSOCK_CONNS + 1, "loop");
	return n;
}

Test(vsock_conn, finds_what_is_bound_and_nothing_else)
{
	static struct { struct conn *c; uint32_t guest, host; } model[500];
	int bound = 0;

	srandom(2);
	for (int i = 0; i < 100000; i++) {
		size_t k = (size_t)random() % 500;

		if (model[k].c != NULL) {
			cr_assert_eq(conn_find(&t, model[k].guest, model[k].host), model[k].c);
			conn_free(&t, model[k].c);
			cr_assert_null(conn_find(&t, model[k].guest, model[k].host));
			model[k].c = NULL;
			bound--;
			continue;
		}
		model[k].guest = (uint32_t)random() % 40;
		model[k].host = (uint32_t)random() % 40;
		if (conn_find(&t, model[k].guest, model[k].host) != NULL)
			continue;
		model[k].c = conn_new(&t, CONN_OPEN, VSOCK_TYPE_STREAM, -1);
		cr_assert_not_null(model[k].c);
		conn_bind(&t, model[k].c, model[k].guest, model[k].host);
		bound++;
		if (i % 1000 == 0)
			cr_assert_eq(check_chains(), bound);
	}
	cr_assert_eq(t.used, (uint32_t)bound);
}

Test(vsock_conn, extreme_ports_are_ports_like_any_other)
{
	static const uint32_t port[] = { 0, 1, 0x7fffffff, 0x80000000u, UINT32_MAX };

	for (size_t i = 0; i < array_len(port); i++)
		for (size_t k = 0; k < array_len(port); k++) {
			struct conn *c = conn_new(&t, CONN_OPEN, VSOCK_TYPE_STREAM, -1);

			cr_assert_not_null(c);
			cr_assert_null(conn_find(&t, port[i], port[k]));
			conn_bind(&t, c, port[i], port[k]);
			cr_assert_eq(conn_find(&t, port[i], port[k]), c);
		}
}

Test(vsock_conn, table_is_full_at_its_size_and_an_entry_comes_back)
{
	struct conn *c = NULL;

	for (int i = 0; i < PLAN_VSOCK_CONNS; i++) {
		c = conn_new(&t, CONN_LINE, VSOCK_TYPE_STREAM, -1);
		cr_assert_not_null(c);
	}
	cr_assert_null(conn_new(&t, CONN_LINE, VSOCK_TYPE_STREAM, -1));
	conn_free(&t, c);
	cr_assert_eq(conn_new(&t, CONN_LINE, VSOCK_TYPE_STREAM, -1), c);
}

Test(vsock_conn, a_cookie_is_worth_nothing_once_its_connection_is_gone)
{
	struct conn *c = conn_new(&t, CONN_OPEN, VSOCK_TYPE_STREAM, -1);
	uint32_t cookie = conn_cookie(&t, c);

	cr_assert_eq(conn_by_cookie(&t, cookie), c);
	conn_free(&t, c);
	cr_assert_null(conn_by_cookie(&t, cookie));
	cr_assert_eq(conn_new(&t, CONN_OPEN, VSOCK_TYPE_STREAM, -1), c, "the same entry");
	cr_assert_null(conn_by_cookie(&t, cookie));
	srandom(3);
	for (int i = 0; i < 100000; i++) {
		uint32_t guess = (uint32_t)random() << 1 ^ (uint32_t)random();

		if (guess != conn_cookie(&t, c))
			cr_assert_null(conn_by_cookie(&t, guess));
	}
}

Test(vsock_conn, a_list_keeps_its_order_whatever_leaves_it)
{
	struct conn *c[100];

	for (int i = 0; i < 100; i++) {
		c[i] = conn_new(&t, CONN_OPEN, VSOCK_TYPE_STREAM, -1);
		cr_assert_not_null(c[i]);
		conn_list_add(&t, LIST_RUN, c[i]);
		conn_list_add(&t, LIST_RUN, c[i]);
		conn_list_add(&t, LIST_PATIENCE, c[i]);
	}
	cr_assert_eq(t.list[LIST_RUN].count, 100);
	for (int i = 0; i < 100; i += 3)
		conn_list_remove(&t, LIST_RUN, c[i]);
	conn_free(&t, c[50]);
	for (int i = 0; i < 100; i++) {
		if (i % 3 == 0 || i == 50)
			continue;
		cr_assert_eq(conn_list_first(&t, LIST_RUN), c[i]);
		conn_list_remove(&t, LIST_RUN, c[i]);
	}
	cr_assert_null(conn_list_first(&t, LIST_RUN));
	cr_assert_eq(t.list[LIST_PATIENCE].count, 99);
}

/* ---- windows and blocks ---- */

Test(vsock_conn, windows_are_large_while_there_are_few_and_never_below_the_minimum)
{
	uint32_t blocks = 0, last = WINDOW_MAX;

	for (uint32_t i = 0; i < PLAN_VSOCK_CONNS; i++) {
		struct conn *c = conn_new(&t, CONN_OPEN, VSOCK_TYPE_STREAM, -1);

		cr_assert_not_null(c);
		conn_bind(&t, c, i, 1);
		cr_assert_geq(c->credit.window, WINDOW_MIN);
		cr_assert_leq(c->credit.window, last, "never more than the one before");
		last = c->credit.window;
		if (i == 0)
			cr_assert_eq(last, WINDOW_MAX);
		if (i < 16)
			cr_assert_geq(last, 16 << 10);
		blocks += FIFO_BLOCKS(last);
	}
	cr_assert_leq(blocks, POOL_BLOCKS, "the sum of all promises fits into the pool");
	for (uint32_t i = 0; i < PLAN_VSOCK_CONNS; i++)
		conn_free(&t, conn_find(&t, i, 1));
	cr_assert_eq(t.spare, 0, "all of it came back");
}

Test(vsock_conn, every_connection_can_fill_its_window_at_once_at_the_worst_alignment)
{
	for (uint32_t i = 0; i < PLAN_VSOCK_CONNS; i++) {
		struct conn *c = conn_new(&t, CONN_OPEN, VSOCK_TYPE_STREAM, -1);
		uint32_t room;

		conn_bind(&t, c, i, 1);
		/* A first block of which only the last byte is still needed. */
		cr_assert_not_null(fifo_room(&t.pool, &c->fifo, &room));
		fifo_added(&c->fifo, BLOCK_BYTES);
		fifo_took(&t.pool, &c->fifo, BLOCK_BYTES - 1);
		while (c->fifo.len < c->credit.window) {
			uint32_t n = c->credit.window - c->fifo.len;

			cr_assert_not_null(fifo_room(&t.pool, &c->fifo, &room), "conn %u", i);
			fifo_added(&c->fifo, n < room ? n : room);
		}
	}
	cr_assert_leq(t.pool.fresh, POOL_BLOCKS);
}

Test(vsock_conn, fifo_gives_back_the_bytes_in_order)
{
	static uint8_t copy[6000];
	struct fifo f = { 0 };
	uint8_t in = 0, out = 0;

	srandom(4);
	for (int i = 0; i < 100000; i++) {
		uint32_t room = 0, n, want = (uint32_t)random() % 6000;

		if (random() % 8 && f.len < WINDOW_MAX - BLOCK_BYTES) {
			uint8_t *p = fifo_room(&pool, &f, &room);

			cr_assert_not_null(p);
			cr_assert_gt(room, 0);
			n = want < room ? want + 1 : room;
			for (uint32_t k = 0; k < n; k++)
				p[k] = in++;
			fifo_added(&f, n);
			continue;
		}
		n = fifo_copy(&pool, &f, copy, want);
		cr_assert_eq(n, want < f.len ? want : f.len);
		/* As a socket does, it takes some of what it is offered. */
		n = n > 0 ? (uint32_t)random() % (n + 1) : 0;
		for (uint32_t k = 0; k < n; k++)
			cr_assert_eq(copy[k], out++);
		fifo_took(&pool, &f, n);
	}
	fifo_drop(&pool, &f);
	cr_assert_leq(pool.fresh, FIFO_BLOCKS(WINDOW_MAX), "blocks are used again");
}

Test(vsock_conn, pool_says_no_when_it_is_used_up_and_all_blocks_come_back)
{
	static struct fifo f[POOL_BLOCKS];
	struct fifo more = { 0 };
	uint32_t room;

	for (int i = 0; i < POOL_BLOCKS; i++) {
		cr_assert_not_null(fifo_room(&pool, &f[i], &room));
		fifo_added(&f[i], 1);
	}
	cr_assert_null(fifo_room(&pool, &more, &room));
	for (int i = 0; i < POOL_BLOCKS; i++)
		fifo_took(&pool, &f[i], 1);
	for (int i = 0; i < POOL_BLOCKS; i++) {
		cr_assert_not_null(fifo_room(&pool, &f[i], &room));
		fifo_added(&f[i], 1);
	}
	cr_assert_null(fifo_room(&pool, &more, &room));
}
