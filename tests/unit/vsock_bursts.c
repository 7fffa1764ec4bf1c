/* SPDX-License-Identifier: Apache-2.0 */
/* vsock_bursts.c: one read fills several of the guest's buffers, and nobody waits for it. */
#include <sys/socket.h>
#include <sys/uio.h>

static int reads, sends;	/* system calls on connections and, in this process only, DIAL */
static const void *sent_from;	/* the last one */

static ssize_t counted_readv(int fd, const struct iovec *iov, int n)
{
	reads++;
	return readv(fd, iov, n);
}

static ssize_t counted_recvfrom(int fd, void *to, size_t n, int flags, void *a, void *b)
{
	reads++;
	(void)a, (void)b;
	return recv(fd, to, n, flags);
}

static ssize_t counted_sendto(int fd, const void *from, size_t n, int flags, void *a, int b)
{
	sends++;
	sent_from = from;
	(void)a, (void)b;
	return send(fd, from, n, flags);
}

#define readv counted_readv
#define sendto counted_sendto
#define recvfrom counted_recvfrom
#include "tests/unit/vsock_data.h"

TestSuite(vsock_bursts, .init = device_init, .timeout = 120);

enum { PAYLOAD = RXLEN - VSOCK_HDR };	/* of one buffer */

/* Takes all packets there are, giving no buffer back; returns how many had data. */
static int takes(char *to, uint32_t *got)
{
	struct say s;
	int packets = 0;

	for (*got = 0, pump(); next_packet(&s, true); packets += s.size > 0) {
		cr_assert(le16(s.h.op) == VSOCK_OP_RW || s.size == 0);
		memcpy(to + *got, s.data, s.size);
		*got += s.size;
	}
	return packets;
}

static char back[1 << 18];

/* Reads whole buffers for a while, so that the next turn is a burst. */
static void make_greedy(int fd)
{
	uint32_t got;

	cr_assert_eq(send(fd, pattern, PAYLOAD, 0), PAYLOAD);
	takes(back, &got);
	give_buffers();
	cr_assert_eq(got, PAYLOAD);
	cr_assert(only()->greedy);
}

Test(vsock_bursts, keep_the_bytes_and_give_back_what_they_did_not_need)
{
	static const uint32_t size[] = { 1, PAYLOAD, PAYLOAD + 1, 2 * PAYLOAD, 9000, 20000,
					 16 * PAYLOAD, 16 * PAYLOAD + 1 };
	int fd;

	make_pattern();
	fd = guest_connects(1, 2);
	for (size_t i = 0; i < array_len(size); i++) {
		uint32_t n = (size[i] + PAYLOAD - 1) / PAYLOAD, got;

		make_greedy(fd);
		cr_assert_eq(send(fd, pattern, size[i], 0), (ssize_t)size[i]);
		cr_assert_eq(takes(back, &got), (int)n);
		cr_assert_eq(got, size[i]);
		cr_assert_eq(memcmp(back, pattern, got), 0, "%u bytes", size[i]);
		cr_assert_eq(rx.nfree, n, "the other buffers are still with the device");
		give_buffers();
		guest_grants(1 << 18, only()->credit.tx_cnt);
	}
}

Test(vsock_bursts, are_one_read_and_one_interrupt)
{
	uint32_t got;
	int fd;

	make_pattern();
	fd = guest_connects(1, 2);
	make_greedy(fd);
	dev.interrupt = false;
	driver_used_event(&rx, rx.last_used);
	cr_assert_eq(send(fd, pattern, 10 * PAYLOAD, 0), 10 * PAYLOAD);
	reads = 0;
	cr_assert_eq(takes(back, &got), 10);
	cr_assert(dev.interrupt);
	cr_assert_leq(reads, 2, "one, and one that finds nothing: %d", reads);
}

Test(vsock_bursts, stop_at_the_credit)
{
	uint32_t got;
	int fd;

	make_pattern();
	fd = guest_connects(1, 2);
	make_greedy(fd);
	guest_grants(PAYLOAD + 3 * PAYLOAD + 7, 0);
	cr_assert_eq(send(fd, pattern, 20000, 0), 20000);
	cr_assert_eq(takes(back, &got), 4);
	cr_assert_eq(got, 3 * PAYLOAD + 7);
	cr_assert_eq(credit_available(&only()->credit), 0);
	cr_assert_eq(memcmp(back, pattern, got), 0);
}

/* A buffer too small for a packet, and one whose payload lies in two pieces, among good ones. */
Test(vsock_bursts, go_round_a_buffer_they_cannot_use)
{
	uint64_t at = RX_AT + 0x200000;
	uint32_t got = 0, len;
	uint16_t head;
	int fd, n;

	make_pattern();
	fd = guest_connects(1, 2);
	make_greedy(fd);
	activate(VSOCK_FEATURES);
	for (n = 0; n < 12; n++, at += 0x2000) {
		struct buf whole = { at, RXLEN, true }, tiny = { at, VSOCK_HDR, true };
		struct buf split[2] = { { at, 1000, true }, { at + 1000, RXLEN - 1000, true } };

		if (n % 4 == 3)
			driver_add(&rx, split, 2);
		else
			driver_add(&rx, n % 4 == 2 ? &tiny : &whole, 1);
	}
	cr_assert_eq(send(fd, pattern, 9 * PAYLOAD, 0), 9 * PAYLOAD);
	pump();
	for (at = RX_AT + 0x200000; driver_used(&rx, &head, &len); at += 0x2000) {
		if (len == 0)
			continue;
		memcpy(back + got, ram_at(&ram, at + VSOCK_HDR), len - VSOCK_HDR);
		got += len - VSOCK_HDR;
	}
	cr_assert_eq(got, 9 * PAYLOAD);
	cr_assert_eq(memcmp(back, pattern, got), 0);
}

Test(vsock_bursts, are_followed_by_the_end)
{
	struct say s;
	uint32_t n = 0;
	int fd;

	make_pattern();
	fd = guest_connects(1, 2);
	make_greedy(fd);
	cr_assert_eq(send(fd, pattern, 3 * PAYLOAD, 0), 3 * PAYLOAD);
	close(fd);
	pump();
	for (; guest_hears(&s) && le16(s.h.op) == VSOCK_OP_RW; n += s.size)
		;
	cr_assert_eq(n, 3 * PAYLOAD);
	cr_assert_eq(le16(s.h.op), VSOCK_OP_SHUTDOWN);
	cr_assert_eq(le32(s.h.flags), VSOCK_SHUT_BOTH);
}

/* ---- the other direction ---- */

/* A packet of @n pieces of @size bytes, nowhere contiguous. */
static void guest_sends_pieces(uint16_t n, uint32_t size)
{
	struct say s = said_by(VSOCK_OP_RW, 1, 2);
	struct buf b[61] = { { TX_AT, VSOCK_HDR, false } };

	s.h.len = to_le32(n * size);
	memcpy(ram_at(&ram, TX_AT), &s.h, VSOCK_HDR);
	for (uint16_t i = 0; i < n; i++) {
		b[1 + i] = (struct buf){ TX_AT + 0x1000 + i * (size + 0x1000ull), size, false };
		memcpy(ram_at(&ram, b[1 + i].addr), pattern + i * size, size);
	}
	driver_add(&tx, b, (uint16_t)(n + 1));
	pump();
	reap();
}

Test(vsock_bursts, large_pieces_are_sent_from_guest_memory_and_small_ones_together)
{
	uint8_t *start = ram_at(&ram, 0);
	uint32_t got;
	int fd = guest_connects(1, 2);

	make_pattern();
	/* Let the socket be a large one. */
	guest_sends(pattern, 32768, 1, 2);
	cr_assert_eq(host_reads(fd, back, 32768), 32768);
	cr_assert_eq(dev.table.larges, 1);
	takes(back, &got);
	give_buffers();
	sends = 0;
	guest_sends_pieces(2, 30000);
	cr_assert_eq(sends, 2);
	cr_assert((const uint8_t *)sent_from > start &&
		  (const uint8_t *)sent_from < start + (32 << 20));
	cr_assert_eq(host_reads(fd, back, 60000), 60000);
	cr_assert_eq(memcmp(back, pattern, 60000), 0);
	sends = 0;
	guest_sends_pieces(60, 1000);
	cr_assert_eq(sends, 1);
	cr_assert_eq(sent_from, dev.bounce);
	cr_assert_eq(host_reads(fd, back, 60000), 60000);
	cr_assert_eq(memcmp(back, pattern, 60000), 0);
}

/* ---- sharing ---- */

/* Packets of the flood 1:2 before the small one of each of @n others is there. */
static int flood_before_others(uint32_t n)
{
	int fd = guest_connects(1, 2), small[100], flood = 0;
	struct say s;
	uint32_t heard = 0;

	for (uint32_t i = 0; i < n; i++)
		small[i] = guest_connects(100 + i, 3);
	cr_assert_gt(fill_socket(fd), 2 * QLEN * PAYLOAD / 3);
	pump();
	for (uint32_t i = 0; i < n; i++)
		cr_assert_eq(send(small[i], "x", 1, 0), 1);
	while (heard < n) {
		pump();
		cr_assert(guest_hears(&s), "the device says nothing");
		cr_assert_eq(le16(s.h.op), VSOCK_OP_RW);
		heard += le32(s.h.dst_port) >= 100;
		flood += le32(s.h.dst_port) == 1;
	}
	return flood;
}

Test(vsock_bursts, of_a_flood_keep_no_small_message_waiting)
{
	struct say s;

	make_pattern();
	/* The flood's own packets were sent before the others came: they fill the ring. */
	cr_assert_leq(flood_before_others(50), QLEN + VSOCK_BURST);
	while (guest_hears(&s))
		;
}

Test(vsock_bursts, of_a_flood_from_the_guest_keep_no_small_message_waiting)
{
	int flood = guest_connects(1, 2), small = guest_connects(3, 4);
	struct say s = said_by(VSOCK_OP_RW, 1, 2), one = said_by(VSOCK_OP_RW, 3, 4);

	make_pattern();
	s.data = pattern;
	s.size = 4000;
	s.h.len = to_le32(s.size);
	one.data = "x";
	one.size = 1;
	one.h.len = to_le32(1);
	/* Nobody reads the flood: socket and window fill up, and it goes on until its credit ends. */
	for (int i = 0; i < 30; i++) {
		queue_packet(&s);
		if (i % 10 == 9)
			queue_packet(&one);
		if (i % 10 == 9)
			pump(), reap(), client_reads(small, "x");
	}
	cr_assert_eq(conn_find(&dev.table, 1, 2)->state, CONN_OPEN);
	cr_assert_gt(conn_find(&dev.table, 1, 2)->fifo.len, 100000);
	close(flood);
}
