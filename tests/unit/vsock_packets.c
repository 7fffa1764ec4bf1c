/* SPDX-License-Identifier: Apache-2.0 */
/* vsock_packets.c: what a hostile guest sends, and what it gets for it. */
#include "tests/unit/vsock.h"

TestSuite(vsock_packets, .init = device_init, .timeout = 120);

static void expect_untouched(void)
{
	struct dial_request r;

	expect_nothing();
	cr_assert_not(next_dial(&r), "the supervisor was asked");
	cr_assert_eq(dev.table.used, 0);
}

/* ---- addresses and types ---- */

Test(vsock_packets, a_source_that_is_not_the_guest_is_dropped)
{
	static const uint64_t cid[] = { 0, 1, 2, 41, 43, UINT32_MAX, CID | 1ull << 32,
					UINT64_MAX };

	for (size_t i = 0; i < array_len(cid); i++) {
		struct say s = said_by(VSOCK_OP_REQUEST, 1, 2);

		s.h.src_cid = to_le64(cid[i]);
		guest_says(&s);
		expect_untouched();
	}
}

Test(vsock_packets, a_destination_that_is_not_the_host_is_dropped)
{
	static const uint64_t cid[] = { 0, 1, CID, 7, UINT32_MAX, 2 | 1ull << 32, UINT64_MAX };

	for (size_t i = 0; i < array_len(cid); i++) {
		struct say s = said_by(VSOCK_OP_REQUEST, 1, 2);

		s.h.dst_cid = to_le64(cid[i]);
		guest_says(&s);
		expect_untouched();
	}
}

Test(vsock_packets, an_unknown_type_is_answered_with_an_rst_of_that_type)
{
	static const uint16_t type[] = { 0, 3, 4, 0x100, 0x102, 0xffff };

	for (size_t i = 0; i < array_len(type); i++) {
		struct say s = said_by(VSOCK_OP_REQUEST, 7, 8), got;

		s.h.type = to_le16(type[i]);
		guest_says(&s);
		cr_assert(guest_hears(&got));
		cr_assert_eq(le16(got.h.op), VSOCK_OP_RST);
		cr_assert_eq(le16(got.h.type), type[i]);
		cr_assert_eq(le32(got.h.dst_port), 7);
		cr_assert_eq(le32(got.h.src_port), 8);
		s.h.op = to_le16(VSOCK_OP_RST);
		guest_says(&s);
		expect_untouched();
	}
}

Test(vsock_packets, every_op_without_a_connection_is_answered_with_rst_but_rst)
{
	static const uint16_t op[] = { 0, 2, 4, 5, 6, 7, 8, 0x7fff, 0xffff };

	for (size_t i = 0; i < array_len(op); i++) {
		guest_op(op[i], 11, 12);
		expect(VSOCK_OP_RST, 11, 12);
		expect_untouched();
	}
	guest_op(VSOCK_OP_RST, 11, 12);
	expect_untouched();
}

Test(vsock_packets, an_op_that_is_not_legal_on_an_open_connection_ends_it)
{
	static const uint16_t op[] = { 0, VSOCK_OP_REQUEST, VSOCK_OP_RESPONSE, 8, 0xffff };

	for (size_t i = 0; i < array_len(op); i++) {
		int fd = guest_connects(11, 12);

		guest_op(op[i], 11, 12);
		expect(VSOCK_OP_RST, 11, 12);
		cr_assert(is_closed(fd));
		expect_untouched();
		close(fd);
	}
}

Test(vsock_packets, a_connection_goes_to_any_port_number)
{
	static const uint32_t port[] = { 0, 1, 1024, 0x80000000u, UINT32_MAX };

	for (size_t i = 0; i < array_len(port); i++) {
		int fd = guest_connects(port[i], port[array_len(port) - 1 - i]);

		guest_sends("x", 1, port[i], port[array_len(port) - 1 - i]);
		client_reads(fd, "x");
		guest_op(VSOCK_OP_RST, port[i], port[array_len(port) - 1 - i]);
		close(fd);
	}
}

/* ---- headers and lengths (CVE-2019-18960) ---- */

Test(vsock_packets, a_header_shorter_than_a_header_is_dropped_and_returned)
{
	struct say s = said_by(VSOCK_OP_REQUEST, 1, 2);

	for (uint32_t len = 1; len < VSOCK_HDR; len++) {
		struct buf b = { TX_AT, len, false };

		memcpy(ram_at(&ram, TX_AT), &s.h, VSOCK_HDR);
		driver_add(&tx, &b, 1);
		pump();
		reap();
		cr_assert_eq(tx.nfree, QLEN);
	}
	expect_untouched();
}

Test(vsock_packets, a_header_split_over_descriptors_is_the_same_header)
{
	for (uint32_t piece = 1; piece <= VSOCK_HDR; piece++) {
		struct say s = said_by(VSOCK_OP_RW, 1, 2);
		struct buf b[VSOCK_HDR + 2];
		int fd = guest_connects(1, 2);
		uint16_t n = 0;

		s.h.len = to_le32(2);
		memcpy(ram_at(&ram, TX_AT), &s.h, VSOCK_HDR);
		memcpy(ram_at(&ram, TX_AT + VSOCK_HDR), "ab", 2);
		for (uint32_t at = 0; at < VSOCK_HDR + 2; at += piece, n++) {
			uint32_t left = VSOCK_HDR + 2 - at;

			b[n] = (struct buf){ TX_AT + at, left < piece ? left : piece, false };
		}
		if (piece % 2)
			driver_add(&tx, b, n);
		else
			driver_add_indirect(&tx, 0x30000, b, n);
		pump();
		reap();
		client_reads(fd, "ab");
		guest_op(VSOCK_OP_RST, 1, 2);
		cr_assert(is_closed(fd));
		close(fd);
	}
}

Test(vsock_packets, a_length_beyond_the_payload_ends_the_connection)
{
	static const uint32_t len[] = { 4, 5, 65536, 0x7fffffff, 0x80000000u, UINT32_MAX - 44,
					UINT32_MAX - 43, UINT32_MAX };

	for (size_t i = 0; i < array_len(len); i++) {
		struct say s = said_by(VSOCK_OP_RW, 1, 2);
		int fd = guest_connects(1, 2);

		s.data = "abc";
		s.size = 3;
		s.h.len = to_le32(len[i]);
		guest_says(&s);
		expect(VSOCK_OP_RST, 1, 2);
		cr_assert(is_closed(fd), "nothing of it was passed on");
		close(fd);
	}
}

Test(vsock_packets, bytes_behind_the_length_are_not_payload)
{
	struct say s = said_by(VSOCK_OP_RW, 1, 2);
	int fd = guest_connects(1, 2);

	s.data = "abcdef";
	s.size = 6;
	s.h.len = to_le32(2);
	guest_says(&s);
	client_reads(fd, "ab");
	s.h.len = to_le32(0);
	guest_says(&s);
	expect_nothing();
	cr_assert_eq(dev.table.used, 1, "a packet without payload is no offence");
}

Test(vsock_packets, a_payload_on_anything_but_rw_is_ignored)
{
	struct say s = said_by(VSOCK_OP_CREDIT_UPDATE, 1, 2);
	int fd = guest_connects(1, 2);

	s.data = "abcdef";
	s.size = 6;
	s.h.len = to_le32(UINT32_MAX);
	guest_says(&s);
	expect_nothing();
	cr_assert_eq(recv(fd, &s, 1, MSG_DONTWAIT), -1);
	cr_assert_eq(errno, EAGAIN);
}

Test(vsock_packets, writable_descriptors_on_tx_are_not_written)
{
	struct say s = said_by(VSOCK_OP_RST, 1, 2);
	struct buf b[2] = { { TX_AT, VSOCK_HDR, false }, { TX_AT + 4096, 64, true } };

	memcpy(ram_at(&ram, TX_AT), &s.h, VSOCK_HDR);
	memset(ram_at(&ram, TX_AT + 4096), 0x5a, 64);
	driver_add(&tx, b, 2);
	pump();
	reap();
	for (int i = 0; i < 64; i++)
		cr_assert_eq(((uint8_t *)ram_at(&ram, TX_AT + 4096))[i], 0x5a);
}

/* ---- order of things ---- */

Test(vsock_packets, data_before_the_connection_is_open_ends_it)
{
	struct dial_request r;
	int fd;

	guest_op(VSOCK_OP_REQUEST, 1, 2);
	guest_sends("early", 5, 1, 2);
	expect(VSOCK_OP_RST, 1, 2);
	cr_assert(next_dial(&r));
	fd = answer_dial(&r);
	pump();
	cr_assert(is_closed(fd), "the answer came for nothing");
	expect_untouched();
}

Test(vsock_packets, data_after_the_guest_said_it_would_send_no_more_ends_the_connection)
{
	int fd = guest_connects(1, 2);

	char got[8];

	guest_sends("last", 4, 1, 2);
	guest_shuts(VSOCK_SHUT_SEND, 1, 2);
	expect_nothing();
	guest_sends("more", 4, 1, 2);
	expect(VSOCK_OP_RST, 1, 2);
	cr_assert_eq(recv(fd, got, sizeof(got), MSG_DONTWAIT), 4);
	cr_assert(is_closed(fd));
	close(fd);
}

Test(vsock_packets, unknown_shutdown_flags_mean_nothing)
{
	int fd = guest_connects(1, 2);

	guest_shuts(0xfffffffcu, 1, 2);
	guest_shuts(0, 1, 2);
	guest_sends("still", 5, 1, 2);
	client_reads(fd, "still");
	guest_shuts(UINT32_MAX, 1, 2);
	expect(VSOCK_OP_RST, 1, 2);
	cr_assert(is_closed(fd));
}

Test(vsock_packets, a_response_nobody_asked_for_is_answered_with_rst)
{
	int fd = client();

	guest_op(VSOCK_OP_RESPONSE, 1, 2);
	expect(VSOCK_OP_RST, 1, 2);
	/* Guessed: the connection exists, but its REQUEST is not out yet. */
	while (rx.nfree < QLEN) {	/* without buffers it cannot get out */
		struct say s = said_by(VSOCK_OP_INVALID, 3, 4), got;

		guest_says(&s);
		cr_assert(next_packet(&got, true));
	}
	client_says(fd, "CONNECT 5\n");
	cr_assert_not_null(conn_find(&dev.table, 5, PORT_FIRST));
	guest_op(VSOCK_OP_RESPONSE, 5, PORT_FIRST);
	cr_assert(is_closed(fd));
	expect_untouched();
}

Test(vsock_packets, a_second_request_for_a_connection_ends_it)
{
	struct dial_request r;
	int fd;

	guest_op(VSOCK_OP_REQUEST, 1, 2);
	guest_op(VSOCK_OP_REQUEST, 1, 2);
	expect(VSOCK_OP_RST, 1, 2);
	cr_assert(next_dial(&r));
	cr_assert_not(next_dial(&r), "asked once");
	fd = answer_dial(&r);
	expect_untouched();
	cr_assert(is_closed(fd));
}
