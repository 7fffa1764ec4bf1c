/* SPDX-License-Identifier: Apache-2.0 */
/* vsock_data.h: bytes for the connection 1:2 of the vsock device under test. */
#ifndef IMMURE_TESTS_UNIT_VSOCK_DATA_H
#define IMMURE_TESTS_UNIT_VSOCK_DATA_H

#include "tests/unit/vsock.h"

static char pattern[1 << 20];

static inline void make_pattern(void)
{
	uint32_t x = 1;

	for (size_t i = 0; i < sizeof(pattern); i++) {
		x = x * 1664525 + 1013904223;
		pattern[i] = (char)(x >> 24);
	}
}

static inline const struct conn *only(void)
{
	return conn_find(&dev.table, 1, 2);
}

static inline void invariant(void)
{
	const struct conn *c = only();

	cr_assert_not_null(c);
	cr_assert_eq(c->credit.rx_cnt - c->credit.fwd_cnt, c->fifo.len);
	cr_assert_leq(c->fifo.len, c->credit.window);
}

/* The guest says how much room it has, and how much it has taken. */
static inline void guest_grants(uint32_t buf_alloc, uint32_t fwd_cnt)
{
	struct say s = said_by(VSOCK_OP_CREDIT_UPDATE, 1, 2);

	s.h.buf_alloc = to_le32(buf_alloc);
	s.h.fwd_cnt = to_le32(fwd_cnt);
	guest_says(&s);
}

static inline ssize_t fill_socket(int fd)
{
	ssize_t n, all = 0;

	while ((n = send(fd, pattern, 4096, MSG_DONTWAIT | MSG_NOSIGNAL)) > 0)
		all += n;
	return all;
}

/* Reads what the guest sent to @to, until there is no more or @max bytes. */
static inline uint32_t host_reads(int fd, char *to, uint32_t max)
{
	uint32_t got = 0;
	ssize_t n;

	do {
		pump();
		n = recv(fd, to + got, max - got, MSG_DONTWAIT);
		got += n > 0 ? (uint32_t)n : 0;
	} while (n > 0 && got < max);
	return got;
}

/* Payload bytes that the guest gets until there are none. */
static inline uint32_t guest_drains(void)
{
	struct say s;
	uint32_t n = 0;

	while (guest_hears(&s)) {
		cr_assert(le16(s.h.op) == VSOCK_OP_RW || s.size == 0, "op %u", le16(s.h.op));
		n += s.size;
		pump();
	}
	return n;
}

/* Fills the socket and the window of connection 1:2; returns the bytes. */
static inline uint32_t stuff(uint32_t gport)
{
	uint32_t all = 0, window = conn_find(&dev.table, gport, 2)->credit.window;
	const struct conn *c = conn_find(&dev.table, gport, 2);

	while (c->fifo.len < window) {
		uint32_t n = window - c->fifo.len;

		n = n < 32768 ? n : 32768;
		guest_sends(pattern, n, gport, 2);
		cr_assert_eq(conn_find(&dev.table, gport, 2), c);
		cr_assert_eq(c->state, CONN_OPEN);
		all += n;
	}
	return all;
}

#endif
