/* SPDX-License-Identifier: Apache-2.0 */
/* vsock_rig.h: the real immure-vsock, sealed; the test plays VMM, guest, supervisor, host. */
#ifndef IMMURE_TESTS_UNIT_VSOCK_RIG_H
#define IMMURE_TESTS_UNIT_VSOCK_RIG_H

#include "core/guestmem.c"
#include "core/link.c"
#include "core/virtqueue.c"

#include "tests/unit/process.h"
#include "tests/unit/vsock_guest.h"

#include <sys/resource.h>

static struct process p;
static struct link_msg m;
static uint32_t window;		/* of the connection that a host client opened last */

static inline void plan(void)
{
	struct vm_config c = {
		.magic = VMCONFIG_MAGIC, .ram = 32 << 20, .vcpus = 1, .ndevices = 1,
		.kernel_size = 1,
		.device = { { .kind = VM_DEVICE_VSOCK, .nqueues = 3, .guest_cid = CID,
			      .connections = PLAN_VSOCK_CONNS } },
	};
	struct rlimit many = { 5000, 5000 };
	int pair[2];

	setrlimit(RLIMIT_NOFILE, &many);
	signal(SIGPIPE, SIG_IGN);
	ram_init(&ram, 32 << 20);
	process_plan(&p, &ram, &c, 3);
	cr_assert_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	super = pair[0];
	p.from[10] = listener(SOCK_STREAM, &listen_at, &listen_len);
	p.from[11] = listener(SOCK_SEQPACKET, &listen_seq_at, &listen_seq_len);
	p.from[12] = pair[1];
}

static inline void start(void)
{
	plan();
	process_start(&p, "immure-vsock", "0");
	process_expect(&p, LINK_HELLO, &m);
}

static inline void ready(void)
{
	static struct driver d[3];

	for (int i = 0; i < 3; i++)
		driver_init(&d[i], &ram, 0x10000u + (uint32_t)i * 0x10000u, QLEN,
			    VIRTIO_F_VERSION_1 | VIRTIO_F_EVENT_IDX | VIRTIO_F_INDIRECT_DESC |
			    VIRTIO_VSOCK_F_SEQPACKET);
	process_activate(&p, d, 3);
	rx = d[0];
	tx = d[1];
	give_buffers();
}

static inline void up(void)
{
	start();
	ready();
}

static inline void quit(void)
{
	process_tell(&p, &(struct link_msg){ .type = LINK_QUIT });
	cr_assert(exited(process_end(&p), 0), "%s", process_log(&p));
}

static inline void kick(void)
{
	if (driver_must_kick(&rx))
		process_kick(&p, 0);
	if (driver_must_kick(&tx))
		process_kick(&p, 1);
}

/* Sends one packet, waiting for descriptors if need be. */
static inline void says(const struct say *s)
{
	for (int i = 0; tx.nfree < 2; i++) {
		cr_assert_lt(i, 5000, "the device takes no packets: %s", process_log(&p));
		reap();
		if (tx.nfree < 2)
			usleep(1000);
	}
	queue_packet(s);
	kick();
}

static inline void op(uint16_t what, uint32_t gport, uint32_t hport)
{
	struct say s = said_by(what, gport, hport);

	says(&s);
}

/* The next packet, within 5 s. */
static inline struct say hears(void)
{
	struct say s = { 0 };
	uint64_t n;

	for (;;) {
		driver_used_event(&rx, rx.last_used);
		if (next_packet(&s, false))
			break;
		cr_assert(readable_soon(p.call), "no packet: %s", process_log(&p));
		cr_assert_eq(read(p.call, &n, 8), 8);
	}
	kick();
	return s;
}

/* The next packet but for news of credit. */
static inline struct say hears_op(uint16_t what, uint32_t gport, uint32_t hport)
{
	struct say s;

	do
		s = hears();
	while (le16(s.h.op) == VSOCK_OP_CREDIT_UPDATE && what != VSOCK_OP_CREDIT_UPDATE);
	cr_assert_eq(le16(s.h.op), what, "op %u, not %u", le16(s.h.op), what);
	cr_assert_eq(le32(s.h.dst_port), gport);
	cr_assert_eq(le32(s.h.src_port), hport);
	return s;
}

/* Reads exactly @n bytes within 5 s each. */
static inline void reads(int fd, char *to, size_t n)
{
	while (n > 0) {
		ssize_t k;

		cr_assert(readable_soon(fd));
		k = recv(fd, to, n, MSG_DONTWAIT);
		cr_assert_gt(k, 0);
		to += k;
		n -= (size_t)k;
	}
}

static inline void reads_text(int fd, const char *text)
{
	char got[64] = { 0 };

	reads(fd, got, strlen(text));
	cr_assert_str_eq(got, text);
}

static inline bool ends(int fd)
{
	char b;

	return readable_soon(fd) && recv(fd, &b, 1, MSG_DONTWAIT) == 0;
}

static inline int guest_opens(uint32_t gport, uint32_t hport)
{
	struct dial_request r;
	int fd;

	op(VSOCK_OP_REQUEST, gport, hport);
	cr_assert(readable_soon(super), "%s", process_log(&p));
	cr_assert(next_dial(&r));
	cr_assert_eq(r.port, hport);
	fd = answer_dial(&r);
	hears_op(VSOCK_OP_RESPONSE, gport, hport);
	return fd;
}

static inline int host_opens(uint32_t gport, uint32_t *hport)
{
	int fd = client();
	char line[40];
	struct say s;

	dprintf(fd, "CONNECT %u\n", gport);
	do
		s = hears();
	while (le16(s.h.op) == VSOCK_OP_CREDIT_UPDATE);
	cr_assert_eq(le16(s.h.op), VSOCK_OP_REQUEST);
	cr_assert_eq(le32(s.h.dst_port), gport);
	*hport = le32(s.h.src_port);
	window = le32(s.h.buf_alloc);
	op(VSOCK_OP_RESPONSE, gport, *hport);
	snprintf(line, sizeof(line), "OK %u\n", *hport);
	reads_text(fd, line);
	return fd;
}

static inline void sends(const char *text, uint32_t gport, uint32_t hport)
{
	struct say s = said_by(VSOCK_OP_RW, gport, hport);

	s.data = text;
	s.size = (uint32_t)strlen(text);
	s.h.len = to_le32(s.size);
	says(&s);
}

static inline void settles(long ticks)
{
	long before;

	usleep(200000);
	before = process_ticks(&p);
	usleep(500000);
	cr_assert_leq(process_ticks(&p) - before, ticks, "it spins: %s", process_log(&p));
}

#endif
