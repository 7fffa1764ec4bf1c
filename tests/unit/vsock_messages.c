/* SPDX-License-Identifier: Apache-2.0 */
/* vsock_messages.c: SEQPACKET connections of the vsock device. */
#include "tests/unit/vsock_data.h"

#include <linux/sock_diag.h>
#include <stdlib.h>

TestSuite(vsock_messages, .init = device_init, .timeout = 120);

enum { PAYLOAD = RXLEN - VSOCK_HDR };

static char got[1 << 18];

static struct say seq_by(uint16_t op, uint32_t gport, uint32_t hport)
{
	struct say s = said_by(op, gport, hport);

	s.h.type = to_le16(VSOCK_TYPE_SEQPACKET);
	return s;
}

static void seq_op(uint16_t op, uint32_t gport, uint32_t hport)
{
	struct say s = seq_by(op, gport, hport);

	guest_says(&s);
}

static void seq_sends(const void *data, uint32_t n, uint32_t flags, uint32_t gport, uint32_t hport)
{
	struct say s = seq_by(VSOCK_OP_RW, gport, hport);

	s.data = data;
	s.size = n;
	s.h.len = to_le32(n);
	s.h.flags = to_le32(flags);
	guest_says(&s);
}

static struct say seq_hears(uint16_t op, uint32_t gport, uint32_t hport)
{
	struct say s = { 0 };

	do
		cr_assert(guest_hears(&s), "no packet, op %u expected", op);
	while (le16(s.h.op) == VSOCK_OP_CREDIT_UPDATE && op != VSOCK_OP_CREDIT_UPDATE);
	cr_assert_eq(le16(s.h.op), op, "op %u instead of %u", le16(s.h.op), op);
	cr_assert_eq(le16(s.h.type), VSOCK_TYPE_SEQPACKET);
	cr_assert_eq(le32(s.h.dst_port), gport);
	cr_assert_eq(le32(s.h.src_port), hport);
	return s;
}

static int seq_connects(uint32_t gport, uint32_t hport)
{
	struct dial_request r;
	int fd;

	seq_op(VSOCK_OP_REQUEST, gport, hport);
	cr_assert(next_dial(&r));
	cr_assert_eq(r.type, SOCK_SEQPACKET);
	fd = answer_dial(&r);
	pump();
	cr_assert_eq(le32(seq_hears(VSOCK_OP_RESPONSE, gport, hport).h.buf_alloc), WINDOW_SEQ);
	return fd;
}

/* The host's next message is the @n bytes of the pattern at @at. */
static void host_gets(int fd, uint32_t at, uint32_t n)
{
	ssize_t k = recv(fd, got, sizeof(got), MSG_DONTWAIT | MSG_TRUNC);

	cr_assert_eq(k, (ssize_t)n, "%zd bytes, not %u", k, n);
	cr_assert_eq(memcmp(got, pattern + at, n), 0);
}

/* The guest's next message; returns its length, *@packets of how many. */
static uint32_t guest_gets(uint32_t gport, uint32_t hport, int *packets)
{
	uint32_t n = 0;
	struct say s;

	for (*packets = 1;; ++*packets) {
		s = seq_hears(VSOCK_OP_RW, gport, hport);
		memcpy(got + n, s.data, s.size);
		n += s.size;
		if (le32(s.h.flags) == VSOCK_SEQ_EOM)
			return n;
		cr_assert_eq(le32(s.h.flags), 0);
		pump();
	}
}

/* ---- boundaries ---- */

Test(vsock_messages, of_the_guest_arrive_whole_and_apart)
{
	static const uint32_t size[] = { 1, 44, 4096, 20000, 65000 };
	int fd = seq_connects(1, 2);

	make_pattern();
	for (size_t i = 0; i < array_len(size); i++) {
		seq_sends(pattern + i, size[i], VSOCK_SEQ_EOM | VSOCK_SEQ_EOR, 1, 2);
		host_gets(fd, (uint32_t)i, size[i]);
	}
	/* In packets of 20000, two messages under way at once. */
	seq_sends(pattern, 20000, 0, 1, 2);
	cr_assert_eq(recv(fd, got, 1, MSG_DONTWAIT), -1, "half a message");
	seq_sends(pattern + 20000, 20000, 0, 1, 2);
	seq_sends(pattern + 40000, 7, VSOCK_SEQ_EOM, 1, 2);
	seq_sends(pattern + 1, 5, VSOCK_SEQ_EOM, 1, 2);
	host_gets(fd, 0, 40007);
	host_gets(fd, 1, 5);
	invariant();
	cr_assert_eq(only()->fifo.len, 0);
}

Test(vsock_messages, as_large_as_the_window_fit_the_socket)
{
	struct buf b[3] = { { TX_AT, VSOCK_HDR, false }, { TX_AT + 0x1000, 40000, false },
			    { TX_AT + 0x20000, MESSAGE_MAX - 40000, false } };
	struct say s = seq_by(VSOCK_OP_RW, 1, 2);
	int fd = seq_connects(1, 2);

	make_pattern();
	s.h.len = to_le32(MESSAGE_MAX);
	s.h.flags = to_le32(VSOCK_SEQ_EOM);
	memcpy(ram_at(&ram, TX_AT), &s.h, VSOCK_HDR);
	memcpy(ram_at(&ram, b[1].addr), pattern, b[1].len);
	memcpy(ram_at(&ram, b[2].addr), pattern + b[1].len, b[2].len);
	for (int i = 0; i < 3; i++) {
		driver_add(&tx, b, 3);
		pump();
		reap();
		host_gets(fd, 0, MESSAGE_MAX);
	}
	cr_assert_eq(only()->state, CONN_OPEN);
}

Test(vsock_messages, of_the_host_arrive_whole_and_apart)
{
	static const uint32_t size[] = { 1, 100, PAYLOAD, PAYLOAD + 1, 3 * PAYLOAD, 60000 };
	int fd = seq_connects(1, 2), packets;

	make_pattern();
	for (size_t i = 0; i < array_len(size); i++)
		cr_assert_eq(send(fd, pattern + i, size[i], 0), (ssize_t)size[i]);
	pump();
	for (size_t i = 0; i < array_len(size); i++) {
		cr_assert_eq(guest_gets(1, 2, &packets), size[i]);
		cr_assert_eq(packets, (int)((size[i] + PAYLOAD - 1) / PAYLOAD));
		cr_assert_eq(memcmp(got, pattern + i, size[i]), 0);
	}
	expect_nothing();
}

/* While it waits for the guest's credit a message is the sender's own burden. */
Test(vsock_messages, wait_for_credit_in_the_middle)
{
	int fd = seq_connects(1, 2), packets;
	struct say s;

	make_pattern();
	s = seq_by(VSOCK_OP_CREDIT_UPDATE, 1, 2);
	s.h.buf_alloc = to_le32(10000);
	s.h.fwd_cnt = to_le32((uint32_t)-4000);	/* 4000 of an earlier message are unread */
	guest_says(&s);
	cr_assert_eq(send(fd, pattern, 10000, 0), 10000);
	cr_assert_eq(send(fd, pattern + 9, 10, 0), 10);
	pump();
	for (uint32_t n = 0; n < 6000; n += s.size) {
		s = seq_hears(VSOCK_OP_RW, 1, 2);
		cr_assert_eq(le32(s.h.flags), 0);
		cr_assert_leq(n + s.size, 6000);
	}
	seq_hears(VSOCK_OP_CREDIT_REQUEST, 1, 2);
	cr_assert_eq(only()->peeked, 6000);
	s = seq_by(VSOCK_OP_CREDIT_UPDATE, 1, 2);
	s.h.buf_alloc = to_le32(20000);
	guest_says(&s);
	cr_assert_eq(guest_gets(1, 2, &packets), 4000);
	cr_assert_eq(memcmp(got, pattern + 6000, 4000), 0);
	cr_assert_eq(guest_gets(1, 2, &packets), 10);
	cr_assert_eq(memcmp(got, pattern + 9, 10), 0);
}

/* ---- what goes wrong ---- */

Test(vsock_messages, without_a_byte_are_none)
{
	int fd = seq_connects(1, 2);

	make_pattern();
	seq_sends(pattern, 0, VSOCK_SEQ_EOM, 1, 2);
	cr_assert_eq(recv(fd, got, 1, MSG_DONTWAIT), -1);
	seq_sends(pattern, 10, 0, 1, 2);
	seq_sends(pattern, 0, VSOCK_SEQ_EOM, 1, 2);
	host_gets(fd, 0, 10);
	cr_assert_eq(send(fd, "", 0, 0), 0);
	pump();
	cr_assert_eq(le32(seq_hears(VSOCK_OP_SHUTDOWN, 1, 2).h.flags), VSOCK_SHUT_SEND);
}

Test(vsock_messages, beyond_the_credit_end_the_connection)
{
	int fd = seq_connects(1, 2);

	make_pattern();
	seq_sends(pattern, 60000, 0, 1, 2);
	seq_sends(pattern, 5537, VSOCK_SEQ_EOM, 1, 2);
	seq_hears(VSOCK_OP_RST, 1, 2);
	cr_assert(is_closed(fd));
	cr_assert_eq(dev.table.used, 0);
}

Test(vsock_messages, that_the_guest_can_never_hold_end_the_connection)
{
	int fd = seq_connects(1, 2), other = seq_connects(3, 2), packets;
	struct say s = seq_by(VSOCK_OP_CREDIT_UPDATE, 1, 2);

	make_pattern();
	s.h.buf_alloc = to_le32(30000);
	guest_says(&s);
	cr_assert_eq(send(fd, pattern, 30001, 0), 30001);
	cr_assert_eq(send(other, pattern, 10, 0), 10);
	pump();
	seq_hears(VSOCK_OP_RST, 1, 2);
	cr_assert_eq(guest_gets(3, 2, &packets), 10);
	cr_assert(is_closed(fd));
	cr_assert_null(conn_find(&dev.table, 1, 2));
}

Test(vsock_messages, not_finished_are_lost_with_the_guests_end)
{
	int fd = seq_connects(1, 2);
	struct say s = seq_by(VSOCK_OP_SHUTDOWN, 1, 2);

	make_pattern();
	seq_sends(pattern, 100, VSOCK_SEQ_EOM, 1, 2);
	seq_sends(pattern, 100, 0, 1, 2);
	s.h.flags = to_le32(VSOCK_SHUT_SEND);
	guest_says(&s);
	host_gets(fd, 0, 100);
	cr_assert_eq(recv(fd, got, 1, MSG_DONTWAIT), 0, "the end");
	s.h.flags = to_le32(VSOCK_SHUT_BOTH);
	guest_says(&s);
	seq_hears(VSOCK_OP_RST, 1, 2);
	cr_assert_eq(dev.table.used, 0);
	cr_assert_eq(dev.table.messages.taken, 0);
}

Test(vsock_messages, of_the_wrong_type_are_answered_with_an_rst_of_that_type)
{
	int fd = seq_connects(1, 2), stream = guest_connects(3, 4);
	struct say s;

	guest_op(VSOCK_OP_CREDIT_REQUEST, 1, 2);
	expect(VSOCK_OP_RST, 1, 2);
	guest_op(VSOCK_OP_REQUEST, 1, 2);
	expect(VSOCK_OP_RST, 1, 2);
	guest_op(VSOCK_OP_RST, 1, 2);
	seq_sends("x", 1, VSOCK_SEQ_EOM, 3, 4);
	s = seq_hears(VSOCK_OP_RST, 3, 4);
	/* Neither connection has noticed. */
	seq_sends("x", 1, VSOCK_SEQ_EOM, 1, 2);
	guest_sends("y", 1, 3, 4);
	cr_assert(recv(fd, got, 9, MSG_DONTWAIT) == 1 && got[0] == 'x');
	cr_assert(recv(stream, got, 9, MSG_DONTWAIT) == 1 && got[0] == 'y');
	(void)s;
}

Test(vsock_messages, are_unknown_to_a_driver_that_did_not_ask_for_them)
{
	int fd;

	vsock_reset(&dev);
	activate(VSOCK_FEATURES & ~VIRTIO_VSOCK_F_SEQPACKET);
	give_buffers();
	seq_op(VSOCK_OP_REQUEST, 1, 2);
	seq_hears(VSOCK_OP_RST, 1, 2);
	cr_assert_eq(dev.table.used, 0);
	fd = client_seq();
	pump();
	cr_assert_eq(recv(fd, got, 1, MSG_DONTWAIT), -1, "it waits for a driver that does");
	guest_connects(1, 2);
}

/* ---- back-pressure ---- */

Test(vsock_messages, that_nobody_reads_stay_in_bounds_and_apart)
{
	static const uint32_t size[] = { 1, 2, 63, 64, 65, 300, 4000, 16065, 30000, 65536 };
	uint32_t info[SK_MEMINFO_VARS], gport = 10;
	socklen_t len = sizeof(info);

	make_pattern();
	for (size_t i = 0; i < array_len(size); i++, gport++) {
		int fd = seq_connects(gport, 2);
		const struct conn *c = conn_find(&dev.table, gport, 2);
		uint32_t sent = 0, heard = 0, k = size[i];
		struct say s;

		while (c->credit.window - c->fifo.len >= k) {
			seq_sends(pattern + sent % 1000, k, VSOCK_SEQ_EOM, gport, 2);
			cr_assert_eq(c->state, CONN_OPEN);
			sent++;
			while (guest_hears(&s))
				cr_assert_eq(le16(s.h.op), VSOCK_OP_CREDIT_UPDATE);
		}
		cr_assert_eq(getsockopt(c->fd, SOL_SOCKET, SO_MEMINFO, info, &len), 0);
		cr_assert_leq(info[SK_MEMINFO_WMEM_ALLOC], BACKLOG_SEQ, "%u", k);
		cr_assert_gt(info[SK_MEMINFO_WMEM_ALLOC], BACKLOG_SNDBUF_SEQ);
		/* One byte more than there is credit for was not tried: all of them arrive. */
		for (; heard < sent; heard++) {
			pump();
			host_gets(fd, heard % 1000, k);
		}
		cr_assert_eq(c->fifo.len, 0);
		cr_assert_eq(dev.table.messages.count[c->slot], 0);
		seq_op(VSOCK_OP_RST, gport, 2);
		while (guest_hears(&s))
			;
	}
	cr_assert_eq(dev.table.messages.taken, 0);
}

Test(vsock_messages, are_for_a_number_of_connections_and_a_stream_is_none_of_them)
{
	char line[40];
	int waiting;
	struct say s;

	for (uint32_t i = 0; i < MESSAGE_SLOTS; i++)
		seq_connects(100 + i, 2);
	seq_op(VSOCK_OP_REQUEST, 1, 2);
	seq_hears(VSOCK_OP_RST, 1, 2);
	waiting = client_seq();
	client_says(waiting, "CONNECT 52\n");
	cr_assert_not(guest_hears(&s));
	guest_connects(1, 2);
	/* One that only drains makes room. */
	make_pattern();
	for (int i = 0; i < 3; i++)
		seq_sends(pattern, 60000, VSOCK_SEQ_EOM, 100, 2);
	s = seq_by(VSOCK_OP_SHUTDOWN, 100, 2);
	s.h.flags = to_le32(VSOCK_SHUT_BOTH);
	guest_says(&s);
	seq_hears(VSOCK_OP_RST, 100, 2);
	cr_assert_eq(dev.table.list[LIST_DRAIN].count, 1);
	seq_connects(1000, 2);
	cr_assert_eq(dev.table.list[LIST_DRAIN].count, 0);
	/* One that ends does, too. */
	seq_op(VSOCK_OP_RST, 101, 2);
	s = seq_hears(VSOCK_OP_REQUEST, 52, PORT_FIRST);
	seq_op(VSOCK_OP_RESPONSE, 52, PORT_FIRST);
	snprintf(line, sizeof(line), "OK %u\n", PORT_FIRST);
	client_reads(waiting, line);
}

/* ---- clients ---- */

Test(vsock_messages, begin_with_a_message_that_is_the_line)
{
	static const char *const bad[] = { "CONNECT 52", "CONNECT 52\nx", "CONNECT 52\n\n",
					   "CONNECT 00000000000000000000052\n", "" };
	int fd = client_seq(), packets;
	char line[40];

	client_says(fd, "CONNECT 52\n");
	seq_hears(VSOCK_OP_REQUEST, 52, PORT_FIRST);
	seq_op(VSOCK_OP_RESPONSE, 52, PORT_FIRST);
	snprintf(line, sizeof(line), "OK %u\n", PORT_FIRST);
	client_reads(fd, line);
	client_says(fd, "hello, guest");
	cr_assert_eq(guest_gets(52, PORT_FIRST, &packets), 12);
	seq_sends("hello, host", 11, VSOCK_SEQ_EOM, 52, PORT_FIRST);
	client_reads(fd, "hello, host");
	for (size_t i = 0; i < array_len(bad); i++) {
		fd = client_seq();
		client_says(fd, bad[i]);
		cr_assert(is_closed(fd), "%s", bad[i]);
	}
	expect_nothing();
}

Test(vsock_messages, silent_clients_keep_neither_the_guest_nor_others_out)
{
	int fd[MESSAGE_SLOTS], more[3];

	for (int i = 0; i < MESSAGE_SLOTS; i++) {
		fd[i] = client_seq();
		pump();
	}
	cr_assert_eq(message_slot(&dev.table.messages), -1);
	seq_connects(1, 2);
	cr_assert(is_closed(fd[0]), "the oldest makes room");
	cr_assert_not(is_closed(fd[1]));
	/* Clients give each other time to speak. */
	client_says(fd[1], "CONNECT 52\n");
	seq_hears(VSOCK_OP_REQUEST, 52, PORT_FIRST);
	for (int i = 0; i < 3; i++) {
		more[i] = client_seq();
		client_says(more[i], i == 1 ? "CONNECT 54\n" : "CONNECT 53\n");
	}
	expect_nothing();
	cr_assert_eq(vsock_timeout(&dev), HOST_RETRY);
	later(HOST_RETRY - 1);
	cr_assert_eq(vsock_timeout(&dev), 1);
	cr_assert_not(is_closed(fd[2]));
	later(1);
	seq_hears(VSOCK_OP_REQUEST, 53, PORT_FIRST + 1);
	seq_hears(VSOCK_OP_REQUEST, 54, PORT_FIRST + 2);
	seq_hears(VSOCK_OP_REQUEST, 53, PORT_FIRST + 3);
	for (int i = 1; i < MESSAGE_SLOTS; i++)
		cr_assert_eq(is_closed(fd[i]), i >= 2 && i < 5, "%d: who spoke stays", i);
	cr_assert_gt(vsock_timeout(&dev), HOST_RETRY, "nobody waits any more");
	/* The guest waits for nobody's line. */
	for (uint32_t i = 0; i < MESSAGE_SLOTS - 5; i++)
		seq_connects(100 + i, 2);
	cr_assert_eq(dev.table.list[LIST_LINE].count, 0);
	seq_op(VSOCK_OP_REQUEST, 99, 2);
	seq_hears(VSOCK_OP_RST, 99, 2);
}

/* ---- the marks ---- */

Test(vsock_messages, marks_are_those_of_a_list_whatever_the_numbers)
{
	static struct messages m;
	static uint32_t len[MESSAGE_MAX];
	uint32_t first = 0, last = 0, held = 0, at = 0xffff0000u, end = at;

	for (uint32_t i = 0; i < 200000; i++) {
		uint32_t x = (uint32_t)rand(), n = x % 7 == 0 ? 1 + x % 20000 : 1 + x % 130;

		if (x % 3 != 0 && held + n <= MESSAGE_MAX) {
			end += n;
			held += n;
			message_ends(&m, 5, end - 1);
			message_ends(&m, 5, end - 1);
			len[last++ % MESSAGE_MAX] = n;
		} else if (first != last) {
			n = len[first++ % MESSAGE_MAX];
			cr_assert_eq(message_length(&m, 5, at), n);
			message_took(&m, 5, at + n - 1);
			at += n;
			held -= n;
		}
		cr_assert_eq(m.count[5], last - first);
	}
	message_drop(&m, 5);
	for (size_t i = 0; i < array_len(m.last[5]); i++)
		cr_assert_eq(m.last[5][i], 0);
	/* One as long as the window, from any place. */
	for (at = 0; at < 70; at++) {
		message_ends(&m, 5, at + MESSAGE_MAX - 1);
		cr_assert_eq(message_length(&m, 5, at), MESSAGE_MAX);
		message_took(&m, 5, at + MESSAGE_MAX - 1);
	}
}
