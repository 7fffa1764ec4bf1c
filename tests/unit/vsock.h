/* SPDX-License-Identifier: Apache-2.0 */
/* vsock.h: the vsock device between a small guest, a supervisor and host sockets, all played
 * by the test, in one process and without a filter. */
#ifndef IMMURE_TESTS_UNIT_VSOCK_H
#define IMMURE_TESTS_UNIT_VSOCK_H

#include "core/bucket.c"
#include "core/clock.h"
#include "core/guestmem.c"
#include "core/limits.c"
#include "core/log.c"
#include "core/virtqueue.c"
static uint64_t clock_now;	/* ns; time passes when a test says so */

static uint64_t test_clock(void)
{
	return clock_now;
}

#define clock_ns test_clock
#include "core/flow.c"
#undef clock_ns

#include "devices/vsock/buffer.c"
#include "devices/vsock/conn.c"
#include "devices/vsock/host.c"
#include "devices/vsock/message.c"
#include "devices/vsock/open.c"
#include "devices/vsock/rx.c"
#include "devices/vsock/tx.c"
#include "devices/vsock/vsock.c"
#include "tests/unit/vsock_guest.h"

#include <dirent.h>

static struct vsock dev;
static struct stats_page counted;
static struct pages pages = { .stats = &counted };
static struct vm_device configured = {	/* a test may set its rate limits */
	.guest_cid = CID, .connections = PLAN_VSOCK_CONNS,
};

static inline void watch_plain(int fd)
{
	struct epoll_event ev = { .events = EPOLLIN | EPOLLET, .data.u64 = (uint64_t)fd };

	cr_assert_eq(epoll_ctl(dev.host.epoll, EPOLL_CTL_ADD, fd, &ev), 0);
}

static inline void activate(uint64_t features)
{
	struct link_activate a = { .features = features };
	uint32_t queue;

	driver_init(&rx, &ram, 0x10000, QLEN, features);
	driver_init(&tx, &ram, 0x20000, QLEN, features);
	a.queue[VSOCK_RX] = queue_of(&rx);
	a.queue[VSOCK_TX] = queue_of(&tx);
	cr_assert_eq(vsock_activate(&dev, &a, &queue), VQ_OK);
}

static inline void device_init(void)
{
	struct host host = { .listen_ready = { true, true }, .dial_ready = true };
	int pair[2];

	signal(SIGPIPE, SIG_IGN);
	ram_init(&ram, 32 << 20);
	cr_assert_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, pair), 0);
	host.dial = pair[0];
	super = pair[1];
	host.epoll = epoll_create1(EPOLL_CLOEXEC);
	host.listen[HOST_STREAM] = listener(SOCK_STREAM, &listen_at, &listen_len);
	host.listen[HOST_SEQ] = listener(SOCK_SEQPACKET, &listen_seq_at, &listen_seq_len);
	vsock_init(&dev, &ram.mem, &configured, host, 12345);
	flow_init(&dev.flow, &pages, &configured);
	dev.now = 1000;
	watch_plain(host.listen[HOST_STREAM]);
	watch_plain(host.listen[HOST_SEQ]);
	watch_plain(host.dial);
	activate(VSOCK_FEATURES);
	give_buffers();
}

/* Runs the device until it has nothing more to do. */
static inline void pump(void)
{
	/* At least one run, as after a kick. */
	struct epoll_event ev[64];
	enum vsock_work w = VSOCK_MORE;
	int turn = 0, n;

	while ((n = epoll_wait(dev.host.epoll, ev, 64, 0)) > 0 || w == VSOCK_MORE) {
		cr_assert_lt(turn++, 100000, "the device does not come to rest");
		for (int i = 0; i < n; i++) {
			if ((ev[i].data.u64 & HOST_EVENT_CONN) != 0)
				vsock_event(&dev, (uint32_t)ev[i].data.u64, ev[i].events);
			else if (ev[i].data.u64 == (uint64_t)dev.host.listen[HOST_STREAM])
				dev.host.listen_ready[HOST_STREAM] = true;
			else if (ev[i].data.u64 == (uint64_t)dev.host.listen[HOST_SEQ])
				dev.host.listen_ready[HOST_SEQ] = true;
			else
				dev.host.dial_ready = true;
		}
		w = vsock_run(&dev);
		cr_assert_neq(w, VSOCK_BROKEN);
	}
}

static inline void later(uint64_t ms)
{
	dev.now += ms;
	pump();
}

static inline void guest_says(const struct say *s)
{
	queue_packet(s);
	pump();
	reap();
}

static inline void guest_op(uint16_t op, uint32_t guest_port, uint32_t host_port)
{
	struct say s = said_by(op, guest_port, host_port);

	guest_says(&s);
}

static inline void guest_shuts(uint32_t flags, uint32_t guest_port, uint32_t host_port)
{
	struct say s = said_by(VSOCK_OP_SHUTDOWN, guest_port, host_port);

	s.h.flags = to_le32(flags);
	guest_says(&s);
}

static inline void guest_sends(const void *data, uint32_t n, uint32_t gport, uint32_t hport)
{
	struct say s = said_by(VSOCK_OP_RW, gport, hport);

	s.data = data;
	s.size = n;
	s.h.len = to_le32(n);
	guest_says(&s);
}

static inline bool guest_hears(struct say *s)
{
	return next_packet(s, false);
}

/* The next packet must be @op for this connection. */
static inline struct say expect(uint16_t op, uint32_t guest_port, uint32_t host_port)
{
	struct say s = { 0 };

	cr_assert(guest_hears(&s), "no packet, op %u expected", op);
	cr_assert_eq(le16(s.h.op), op, "op %u instead of %u", le16(s.h.op), op);
	cr_assert_eq(le16(s.h.type), VSOCK_TYPE_STREAM);
	cr_assert_eq(le32(s.h.dst_port), guest_port);
	cr_assert_eq(le32(s.h.src_port), host_port);
	return s;
}

static inline void expect_nothing(void)
{
	struct say s;

	pump();
	cr_assert_not(guest_hears(&s), "op %u", le16(s.h.op));
}

/* A connection that the guest opened; returns the host's end. */
static inline int guest_connects(uint32_t guest_port, uint32_t host_port)
{
	struct dial_request r;
	int fd;

	guest_op(VSOCK_OP_REQUEST, guest_port, host_port);
	cr_assert(next_dial(&r), "the supervisor was not asked");
	cr_assert_eq(r.port, host_port);
	fd = answer_dial(&r);
	pump();
	expect(VSOCK_OP_RESPONSE, guest_port, host_port);
	return fd;
}

/* ---- host clients ---- */

static inline void client_says(int fd, const char *text)
{
	cr_assert_eq(send(fd, text, strlen(text), MSG_NOSIGNAL), (ssize_t)strlen(text));
	pump();
}

/* What @fd has to read is exactly @text, then nothing yet. */
static inline void client_reads(int fd, const char *text)
{
	char got[256] = { 0 };
	ssize_t n = recv(fd, got, sizeof(got) - 1, MSG_DONTWAIT);

	cr_assert_eq(n, (ssize_t)strlen(text), "%zd bytes", n);
	cr_assert_str_eq(got, text);
	cr_assert_eq(recv(fd, got, 1, MSG_DONTWAIT), -1);
}

/* The other end is closed, and nothing (more) was sent. */
static inline bool is_closed(int fd)
{
	char b;
	ssize_t n = recv(fd, &b, 1, MSG_DONTWAIT);

	return n == 0 || (n < 0 && errno == ECONNRESET);
}

static inline int open_descriptors(void)
{
	DIR *d = opendir("/proc/self/fd");
	int n = 0;

	cr_assert_not_null(d);
	while (readdir(d) != NULL)
		n++;
	closedir(d);
	return n;
}

#endif
