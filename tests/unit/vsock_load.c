/* SPDX-License-Identifier: Apache-2.0 */
/* vsock_load.c: much, many and storms, through the real immure-vsock. */
#include "core/backlog.h"
#include "tests/unit/vsock_rig.h"

#include <sys/stat.h>

TestSuite(vsock_load, .timeout = 120);

/* ---- 64 MiB through and back ---- */

enum { TOTAL = 64 << 20, HOLD = 256 << 10 };

static uint32_t next_random(uint32_t *x)
{
	return *x = *x * 1664525 + 1013904223;
}

/* The guest's application: sends back what it gets. */
struct echo {
	uint32_t gport, hport;
	uint32_t have, sent, heard, device_fwd, device_buf;
	uint8_t held[HOLD];
};

static struct echo echo;

static void echo_in(void)
{
	struct say s;

	while (next_packet(&s, false)) {
		echo.device_fwd = le32(s.h.fwd_cnt);
		echo.device_buf = le32(s.h.buf_alloc);
		if (le16(s.h.op) != VSOCK_OP_RW)
			continue;
		cr_assert_leq(echo.have - echo.sent + s.size, HOLD, "no room for it");
		for (uint32_t i = 0; i < s.size; i++)
			echo.held[echo.have++ % HOLD] = ((const uint8_t *)s.data)[i];
	}
}

static void echo_out(void)
{
	uint32_t credit = echo.device_buf - (echo.sent - echo.device_fwd);
	struct say s = said_by(VSOCK_OP_RW, echo.gport, echo.hport);
	uint32_t at = echo.sent % HOLD, n = echo.have - echo.sent;

	n = n < credit ? n : credit;
	n = n < HOLD - at ? n : HOLD - at;
	n = n < 60000 ? n : 60000;
	reap();
	if (tx.nfree < 2 || (n == 0 && echo.have == echo.heard))
		return;
	if (n == 0)
		s.h.op = to_le16(VSOCK_OP_CREDIT_UPDATE);
	s.data = &echo.held[at];
	s.size = n;
	s.h.len = to_le32(n);
	s.h.buf_alloc = to_le32(HOLD);
	echo.sent += n;
	s.h.fwd_cnt = to_le32(echo.sent);
	echo.heard = echo.sent;
	queue_packet(&s);
}

Test(vsock_load, sixty_four_mebibytes_come_back_unchanged)
{
	static uint8_t out[65536], in[65536];
	uint32_t wrote = 0, got = 0, xo = 1, xi = 1, ready_at = 0, ready_n = 0;
	uint64_t n;
	int fd;

	up();
	fd = host_opens(52, &echo.hport);
	echo.gport = 52;
	echo.device_buf = 2048;	/* the least there is; the next packet says more */
	while (got < TOTAL) {
		struct pollfd f[2] = { { p.call, POLLIN, 0 }, { fd, POLLIN, 0 } };
		ssize_t k;

		if (ready_at == ready_n && wrote < TOTAL) {
			for (ready_n = 0; ready_n < sizeof(out); ready_n++)
				out[ready_n] = (uint8_t)(next_random(&xo) >> 24);
			ready_at = 0;
		}
		k = send(fd, out + ready_at, ready_n - ready_at, MSG_DONTWAIT | MSG_NOSIGNAL);
		if (k > 0) {
			ready_at += (uint32_t)k;
			wrote += (uint32_t)k;
		}
		driver_used_event(&rx, rx.last_used);
		driver_used_event(&tx, tx.last_used);
		echo_in();
		echo_out();
		kick();
		k = recv(fd, in, sizeof(in), MSG_DONTWAIT);
		for (ssize_t i = 0; i < k; i++)
			cr_assert_eq(in[i], (uint8_t)(next_random(&xi) >> 24), "at %u", got);
		got += k > 0 ? (uint32_t)k : 0;
		if (k <= 0)
			cr_assert_geq(poll(f, 2, 100), 0);
		if (f[0].revents != 0)
			cr_assert_eq(read(p.call, &n, 8), 8);
	}
	cr_assert_eq(wrote, TOTAL);
	quit();
}

/* ---- many ---- */

Test(vsock_load, a_thousand_and_twenty_three_connections_at_once)
{
	static struct { int fd; uint32_t gport, hport; } c[1023];
	char text[40];

	up();
	for (uint32_t i = 0; i < array_len(c); i++) {
		c[i].gport = i % 2 ? 52 : 1000 + i;
		c[i].hport = 80;
		c[i].fd = i % 2 ? host_opens(52, &c[i].hport) : guest_opens(c[i].gport, 80);
	}
	for (uint32_t i = 0; i < array_len(c); i++) {
		snprintf(text, sizeof(text), "hello, host %u", i);
		sends(text, c[i].gport, c[i].hport);
	}
	for (uint32_t i = 0; i < array_len(c); i++) {
		snprintf(text, sizeof(text), "hello, host %u", i);
		reads_text(c[i].fd, text);
		dprintf(c[i].fd, "hello, guest %u", i);
		struct say s = hears_op(VSOCK_OP_RW, c[i].gport, c[i].hport);
		snprintf(text, sizeof(text), "hello, guest %u", i);
		cr_assert_eq(s.size, strlen(text));
		cr_assert_arr_eq(s.data, text, s.size);
	}
	for (uint32_t i = 0; i < array_len(c); i++) {
		op(VSOCK_OP_RST, c[i].gport, c[i].hport);
		cr_assert(ends(c[i].fd));
	}
	quit();
}

/* Under the limit that the jailer gives it: the answer for a connection that the guest gave up
 * comes when every descriptor but the last is in use. */
Test(vsock_load, an_answer_that_comes_late_finds_a_descriptor_when_the_table_is_full)
{
	static int fd[PLAN_VSOCK_CONNS];
	const rlim_t most = PLAN_VSOCK_NOFILE(PLAN_VSOCK_CONNS);
	struct rlimit planned = { most, most };
	struct dial_request r;
	uint32_t port = 0;
	int late;

	up();
	cr_assert_eq(prlimit(p.pid, RLIMIT_NOFILE, &planned, NULL), 0);
	op(VSOCK_OP_REQUEST, 1, 2);
	cr_assert(readable_soon(super));
	cr_assert(next_dial(&r));
	op(VSOCK_OP_RST, 1, 2);
	for (int i = 0; i < PLAN_VSOCK_CONNS; i++)
		fd[i] = host_opens(52, &port);
	late = answer_dial(&r);
	cr_assert(ends(late), "%s", process_log(&p));
	op(VSOCK_OP_RST, 52, port);
	cr_assert(ends(fd[PLAN_VSOCK_CONNS - 1]));
	guest_opens(1, 2);
	quit();
}

Test(vsock_load, a_storm_of_rsts_and_kicks_is_survived_and_forgotten)
{
	int rss, fd;

	up();
	fd = guest_opens(1, 2);
	rss = process_status(&p, "VmRSS");
	for (uint32_t i = 0; i < 300000; i++) {
		op(VSOCK_OP_RST, i, 80);
		if (i % 3 == 0)
			process_kick(&p, (int)(i % 9 / 3));
	}
	settles(5);
	cr_assert_leq(process_status(&p, "VmRSS"), rss + 256);
	sends("alive", 1, 2);
	reads_text(fd, "alive");
	quit();
}

/* ---- what unread streams cost, as the VM's memory cgroup counts it ---- */

static char cgroup[64];		/* of the device, for this test; "": there is none */

static void enter_cgroup(void)
{
	static const char *const place[] = { "/sys/fs/cgroup/memory", "/sys/fs/cgroup" };
	char path[100];
	FILE *f;

	for (size_t i = 0; i < array_len(place); i++) {
		snprintf(cgroup, sizeof(cgroup), "%s/immure-unit-%d", place[i], p.pid);
		if (access(place[i], F_OK) == 0 && mkdir(cgroup, 0755) == 0)
			break;
		cgroup[0] = 0;
	}
	if (cgroup[0] == 0)
		cr_skip("needs root, and memory cgroups");
	snprintf(path, sizeof(path), "%s/cgroup.procs", cgroup);
	f = fopen(path, "we");
	cr_assert(f != NULL && fprintf(f, "%d", p.pid) > 0 && fclose(f) == 0);
}

static long cgroup_bytes(void)
{
	static const char *const name[] = { "memory.usage_in_bytes", "memory.current" };
	long bytes = -1;
	char path[100];
	FILE *f = NULL;

	for (size_t i = 0; i < array_len(name) && f == NULL; i++) {
		snprintf(path, sizeof(path), "%s/%s", cgroup, name[i]);
		f = fopen(path, "re");
	}
	cr_assert(f != NULL && fscanf(f, "%ld", &bytes) == 1);
	fclose(f);
	return bytes;
}

/* Sends @n bytes over 52:@port in packets of @size. */
static void sends_bytes(uint32_t port, uint32_t n, uint32_t size)
{
	static char block[704];
	struct say s = said_by(VSOCK_OP_RW, 52, port);

	s.data = block;
	for (; n > 0; n -= s.size) {
		s.size = n < size ? n : size;
		s.h.len = to_le32(s.size);
		says(&s);
	}
}

Test(vsock_load, unread_streams_cost_the_vm_what_its_memory_limit_has_for_them)
{
	/* The kernel charges a processor's share in advance. */
	long slack = sysconf(_SC_NPROCESSORS_CONF) * 256 << 10;
	long before, cost = 0, bound = 0;
	uint32_t port;

	start();
	enter_cgroup();
	ready();
	before = cgroup_bytes();
	for (uint32_t i = 1; i <= PLAN_VSOCK_CONNS; i++) {
		host_opens(52, &port);
		/* The worst a socket takes, and all that fits behind it. */
		sends_bytes(port, 3, 1);
		sends_bytes(port, 2 * 704 + window, 704);
		if (i != 1023 && i != PLAN_VSOCK_CONNS)
			continue;
		cost = cgroup_bytes() - before;
		bound = i * (BACKLOG_SMALL + BACKLOG_ENTRY) + BACKLOG_POOL + slack;
		cr_assert_leq(cost, bound, "%u: %ld KiB", i, cost >> 10);
	}
	cr_assert_gt(cost, bound / 2, "they cost what a full stream costs");
	quit();
	cr_assert_eq(rmdir(cgroup), 0);
}

/* Whatever the device has to say to what was sent so far, it has said. */
static void all_answered(void)
{
	/* Twice: an answer to nobody may overtake the last one of a connection. */
	for (int i = 0; i < 2; i++) {
		op(VSOCK_OP_INVALID, 99, 99);
		while (le32(hears().h.dst_port) != 99)
			;
	}
}

Test(vsock_load, peers_that_never_read_cost_no_more_than_their_windows_and_no_time)
{
	static char block[60000];
	struct say s = said_by(VSOCK_OP_RW, 0, 80);
	int rss, fd;

	up();
	rss = process_status(&p, "VmRSS");
	s.data = block;
	s.size = sizeof(block);
	s.h.len = to_le32(s.size);
	for (uint32_t i = 0; i < 200; i++) {
		guest_opens(1000 + i, 80);
		s.h.src_port = to_le32(1000 + i);
		/* The socket takes some, the window the rest, and then it is reset. */
		for (int k = 0; k < 12; k++)
			says(&s);
		all_answered();
		guest_opens(1000 + i, 80);
		for (int k = 0; k < 4; k++)
			says(&s);
		all_answered();
	}
	fd = guest_opens(1, 80);
	sends("others go on", 1, 80);
	reads_text(fd, "others go on");
	cr_assert_leq(process_status(&p, "VmRSS"), rss + (7 << 10));
	settles(5);
	quit();
}

Test(vsock_load, a_host_that_floods_a_guest_without_credit_waits_quietly)
{
	static char block[4096];
	struct say s;
	uint32_t port;
	int fd;

	up();
	fd = host_opens(52, &port);
	s = said_by(VSOCK_OP_CREDIT_UPDATE, 52, port);
	s.h.buf_alloc = to_le32(0);
	says(&s);
	usleep(100000);
	while (send(fd, block, sizeof(block), MSG_DONTWAIT) > 0)
		;
	hears_op(VSOCK_OP_CREDIT_REQUEST, 52, port);
	settles(5);
	s.h.buf_alloc = to_le32(10);
	says(&s);
	cr_assert_eq(hears_op(VSOCK_OP_RW, 52, port).size, 10);
	quit();
}
