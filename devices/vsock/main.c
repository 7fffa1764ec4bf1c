/* SPDX-License-Identifier: Apache-2.0 */
/* main.c: immure-vsock, the ladder and the loop.
 *
 * Started by the jailer with the descriptors of core/fdplan.h; argv[1] is the number of the
 * device.  After seal() the process can accept clients, take the descriptors that the
 * supervisor sends, and move bytes between those and guest memory; it can open, connect, map
 * and start nothing (policy/vsock.policy).
 *
 * The loop waits on one epoll set.  Everything but LINK is edge-triggered, so nothing is ever
 * read just to make it quiet: a kick is not read at all, it only wakes us. */
#include "core/fdplan.h"
#include "core/guestmem.h"
#include "core/link.h"
#include "core/log.h"
#include "core/pages.h"
#include "core/seal.h"
#include "core/vmconfig.h"
#include "devices/vsock/vsock.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

enum { EVENTS = 64 };

static struct vsock vsock;
static struct guestmem mem;
static struct pages pages;
static struct link link_vmm = { .fd = VSOCK_LINK, .state = LINK_START, .device = true };
static bool quit;		/* the VMM said so, or is gone */

/* Should: leave exactly the plan.  Mustn't: open. */
static const struct vm_device *read_config(int argc, char **argv)
{
	static struct vm_config config;
	const struct vm_device *d;
	unsigned n;
	int rc;

	/* One digit: there are no more than PLAN_DEVICES. */
	if (argc != 2 || argv[1][0] < '0' || argv[1][0] > '9' || argv[1][1] != '\0')
		die("usage: immure-vsock DEVICE");
	n = (unsigned)(argv[1][0] - '0');
	rc = vmconfig_read(&config);
	if (rc < 0)
		die_errno(-rc, "read the configuration");
	if (n >= config.ndevices)
		die("no device %s", argv[1]);
	d = &config.device[n];
	if (d->kind != VM_DEVICE_VSOCK)
		die("device %s is no vsock", argv[1]);
	rc = guestmem_map(&mem, FD_MEM, config.ram);
	if (rc < 0)
		die_errno(-rc, "map guest memory");
	close(FD_MEM);
	rc = pages_map(&pages, &config, (int)n);
	if (rc < 0)
		die_errno(-rc, "map the counters");
	return d;
}

static void watch(int fd, uint32_t events)
{
	struct epoll_event ev = { .events = events, .data.u64 = (uint64_t)fd };

	if (epoll_ctl(VSOCK_EPOLL, EPOLL_CTL_ADD, fd, &ev) < 0)
		die_errno(errno, "watch descriptor %d", fd);
}

static void make_epoll(void)
{
	int fd = epoll_create1(EPOLL_CLOEXEC);
	int rc = fd < 0 ? -errno : fdplan_pin(fd, VSOCK_EPOLL);

	if (rc < 0)
		die_errno(-rc, "make an epoll set");
	watch(VSOCK_LINK, EPOLLIN);
	for (int q = 0; q < VSOCK_QUEUES; q++)
		watch(VSOCK_KICK0 + q, EPOLLIN | EPOLLET);
	for (int k = 0; k < HOST_KINDS; k++)
		watch(VSOCK_LISTEN + k, EPOLLIN | EPOLLET);
	watch(VSOCK_DIAL, EPOLLIN | EPOLLET);
}

/* The kernel gives a new connection the lowest free number, and the policy lets us use those
 * from VSOCK_CONN0 on: so none below may be free.  The log stands in, which no rule allows to
 * be used under these numbers. */
static void fill_gaps(void)
{
	for (int fd = 0; fd < VSOCK_CONN0; fd++) {
		if (fcntl(fd, F_GETFD) >= 0)
			continue;
		if (dup3(FD_LOG, fd, O_CLOEXEC) < 0)
			die_errno(errno, "fill descriptor %d", fd);
	}
}

/* Two calls have no flag of their own that says so: read() on LINK, accept4() on LISTEN. */
static void never_wait(int fd)
{
	int flags = fcntl(fd, F_GETFL);

	if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0)
		die_errno(errno, "make descriptor %d non-blocking", fd);
}

static void set_up(const struct vm_device *d)
{
	struct host host = {
		.epoll = VSOCK_EPOLL, .dial = VSOCK_DIAL, .dial_ready = true,
		.listen = { VSOCK_LISTEN, VSOCK_LISTEN_SEQ }, .listen_ready = { true, true },
	};
	uint64_t seed;

	never_wait(VSOCK_LINK);
	never_wait(VSOCK_LISTEN);
	never_wait(VSOCK_LISTEN_SEQ);
	if (getrandom(&seed, sizeof(seed), 0) != (ssize_t)sizeof(seed))
		die_errno(errno, "get random bytes");
	vsock_init(&vsock, &mem, d, host, seed);
	flow_init(&vsock.flow, &pages, d);
}

static uint64_t milliseconds(void)
{
	struct timespec t;

	/* Coarse: the vDSO has it on every clock source, and nothing here is that urgent. */
	clock_gettime(CLOCK_MONOTONIC_COARSE, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static bool say(enum link_type type)
{
	struct link_msg m = { .type = type };

	if (type == LINK_HELLO)
		vsock_hello(&vsock, &m.u.hello);
	return link_send(&link_vmm, &m) == LINK_OK;
}

static bool needs_reset(enum vq_err err, uint32_t queue)
{
	static struct log_limit limit;
	struct link_msg m = { .type = LINK_NEEDS_RESET };

	log_limited(&limit, "vsock: queue %u: %s; the driver must reset", queue,
		    vq_err_name(err));
	flow_count(&vsock.flow, STATS_BROKEN, 1);
	vsock_reset(&vsock);
	m.u.needs_reset = (struct link_needs_reset){ .reason = err, .queue = queue };
	return link_send(&link_vmm, &m) == LINK_OK;
}

/* One message of the VMM.  False: it is over. */
static bool on_link(void)
{
	struct link_msg m;
	uint32_t queue;
	enum vq_err err;

	switch (link_recv(&link_vmm, &m)) {
	case LINK_OK:
		break;
	case LINK_AGAIN:
		return true;
	case LINK_EOF:
		quit = true;
		return false;
	case LINK_BAD:
		return false;
	}
	if (m.type == LINK_ACTIVATE) {
		flow_count(&vsock.flow, STATS_ACTIVATIONS, 1);
		err = vsock_activate(&vsock, &m.u.activate, &queue);
		return err == VQ_OK || needs_reset(err, queue);
	}
	if (m.type == LINK_RESET) {
		flow_count(&vsock.flow, STATS_RESETS, 1);
		vsock_reset(&vsock);
		return say(LINK_RESET_DONE);
	}
	quit = true;
	return false;
}

/* False: it is over. */
static bool on_event(const struct epoll_event *ev)
{
	if ((ev->data.u64 & HOST_EVENT_CONN) != 0)
		vsock_event(&vsock, (uint32_t)ev->data.u64, ev->events);
	else if (ev->data.u64 == VSOCK_LISTEN)
		vsock.host.listen_ready[HOST_STREAM] = true;
	else if (ev->data.u64 == VSOCK_LISTEN_SEQ)
		vsock.host.listen_ready[HOST_SEQ] = true;
	else if (ev->data.u64 == VSOCK_DIAL)
		vsock.host.dial_ready = true;
	else if (ev->data.u64 == VSOCK_LINK)
		return on_link();
	else
		flow_count(&vsock.flow, STATS_KICKS, 1);	/* of a queue: any number at once */
	return true;
}

static bool work(bool *more)
{
	static const uint64_t one = 1;
	enum vsock_work w = vsock_run(&vsock);
	uint32_t queue;
	enum vq_err err;

	*more = w == VSOCK_MORE;
	if (w == VSOCK_BROKEN) {
		err = vsock_broken(&vsock, &queue);
		return needs_reset(err, queue);
	}
	/* An irqfd: it cannot fill up. */
	if (vsock.interrupt && write(VSOCK_CALL, &one, sizeof(one)) != sizeof(one))
		return false;
	flow_count(&vsock.flow, STATS_INTERRUPTS, vsock.interrupt);
	vsock.interrupt = false;
	return true;
}

/* Returns when the VM ends. */
static void run(void)
{
	static struct epoll_event ev[EVENTS];
	bool more = false;

	for (;;) {
		int n = epoll_pwait(VSOCK_EPOLL, ev, EVENTS, more ? 0 : vsock_timeout(&vsock),
				    NULL);

		if (n < 0 && errno != EINTR)
			return;
		vsock.now = milliseconds();
		for (int i = 0; i < n; i++)
			if (!on_event(&ev[i]))
				return;
		if (!work(&more))
			return;
	}
}

int main(int argc, char **argv)
{
	const struct vm_device *d;
	int rc = fdplan_claim(VSOCK_NFDS);

	if (rc < 0)
		die_errno(-rc, "close what is not in the plan");
	d = read_config(argc, argv);
	make_epoll();
	fill_gaps();
	set_up(d);
	rc = hold_memory();
	if (rc == 0)
		rc = seal_memory();
	if (rc == 0)
		rc = seal(&policy_vsock);
	if (rc < 0)
		die_errno(-rc, "seal");
	if (say(LINK_HELLO))
		run();
	if (!quit)
		log_line("vsock: the VMM broke the link's protocol, or the kernel refused");
	return quit ? 0 : 1;
}
