/* SPDX-License-Identifier: Apache-2.0 */
/* main.c: immure-net, the process of one network interface.
 *
 *	immure-net INDEX		descriptors as in core/fdplan.h
 *
 * The ladder: claim the descriptors, read the configuration, map guest memory, seal, say HELLO,
 * serve.  The interface itself was made ready by the jailer: the process that moves frames can
 * configure nothing.
 *
 * Afterwards one loop sleeps on the link to the VMM, on the kicks of the queues and on the taps;
 * on each only while it means something, for none of them is read just to make it quiet. */
#include "core/guestmem.h"
#include "core/link.h"
#include "core/log.h"
#include "core/pages.h"
#include "core/seal.h"
#include "core/vmconfig.h"
#include "devices/net/net.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

enum { POLL_LINK, POLL_KICK0, POLL_TAP0 = POLL_KICK0 + NET_QUEUES,
       POLL_FDS = POLL_TAP0 + PLAN_NET_PAIRS };

_Static_assert(POLL_FDS == 14, "policy/net.policy says so");

/* The whole mutable state of the process. */
static struct net dev;
static struct guestmem mem;
static struct pages pages;
static struct stream stream;	/* both: of an interface without a tap */
static struct net_wall wall;
static struct link vmm = { .fd = NET_LINK, .state = LINK_START, .device = true };

/* Should: have the rules judge what the guest sends, where no kernel does. */
static void set_up_wall(const struct wall_config *c)
{
	if (!wall_config_ok(c))
		die("net: the rules of the packet wall");
	net_wall_init(&wall, c, pages.stats);
	dev.wall = &wall;
}

/* Should: leave in @d what the jailer says this interface is.  Mustn't: take an index outside. */
static void configure(const char *index, struct vm_device *d)
{
	static struct vm_config config;
	int rc = vmconfig_read(&config);
	uint32_t i;

	if (rc < 0)
		die_errno(-rc, "net: configuration");
	if (index[0] < '0' || index[0] > '9' || index[1] != 0)
		die("net: which device? usage: immure-net INDEX");
	i = (uint32_t)(index[0] - '0');
	if (i >= config.ndevices || config.device[i].kind != VM_DEVICE_NET)
		die("net: device %u is no network interface", i);
	*d = config.device[i];
	rc = guestmem_map(&mem, FD_MEM, config.ram);
	if (rc < 0)
		die_errno(-rc, "net: guest memory");
	close(FD_MEM);
	rc = pages_map(&pages, &config, (int)i);
	if (rc < 0)
		die_errno(-rc, "net: counters");
	if ((d->flags & VM_NET_WALL) != 0)
		set_up_wall(&config.user_wall);
}

/* No transfer may wait: readv and writev have no flag of their own that says so. */
static void never_wait(int fd)
{
	int flags = fcntl(fd, F_GETFL);

	if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0)
		die_errno(errno, "net: descriptor %d", fd);
}

static void setup(const struct vm_device *d)
{
	never_wait(NET_LINK);
	net_init(&dev, &mem, &pages, d);
	if ((d->flags & VM_NET_USER) != 0)
		net_use_stream(&dev, &stream);
	for (unsigned i = 0; i < dev.pairs; i++)
		never_wait(NET_TAP0 + (int)i);
}

static bool say(enum link_type type)
{
	struct link_msg m = { .type = type };

	if (type == LINK_HELLO)
		net_hello(&dev, &m.u.hello);
	if (type == LINK_CONFIG)
		net_config(&dev, &m.u.config);
	return link_send(&vmm, &m) == LINK_OK;
}

static const char *reason_text(uint32_t reason)
{
	switch (reason) {
	case NET_E_RX_SHORT: return "receive buffer shorter than a header";
	case NET_E_RX_READABLE: return "receive buffer that is not ours to write";
	case NET_E_NO_ACK: return "command without a byte for the answer";
	}
	return vq_err_name((enum vq_err)reason);
}

/* The driver must reset the device: tell the VMM, and whoever reads the log. */
static bool needs_reset(uint32_t reason, uint32_t queue)
{
	static struct log_limit limit;
	struct link_msg m = { .type = LINK_NEEDS_RESET };

	flow_count(&dev.flow, STATS_BROKEN, 1);
	m.u.needs_reset = (struct link_needs_reset){ .reason = reason, .queue = queue };
	log_limited(&limit, "net: queue %u: the driver misbehaved: %s", queue,
		    reason_text(reason));
	return link_send(&vmm, &m) == LINK_OK;
}

static bool activate(const struct link_activate *a)
{
	uint32_t reason, queue;

	flow_count(&dev.flow, STATS_ACTIVATIONS, 1);
	if (net_activate(&dev, a, &reason, &queue))
		return true;
	return reason != 0 && needs_reset(reason, queue);
}

/* Carries out one order of the VMM.  LINK_OK: go on; LINK_EOF: the end; LINK_BAD: give up. */
static enum link_result obey(void)
{
	struct link_msg m;
	enum link_result r = link_recv(&vmm, &m);
	bool ok = true;

	if (r == LINK_AGAIN)
		return LINK_OK;
	if (r != LINK_OK)
		return r;
	if (m.type == LINK_QUIT)
		return LINK_EOF;
	if (m.type == LINK_ACTIVATE) {
		ok = activate(&m.u.activate);
	} else if (m.type == LINK_RESET) {
		flow_count(&dev.flow, STATS_RESETS, 1);
		net_reset(&dev);
		ok = say(LINK_RESET_DONE);
	}
	return ok ? LINK_OK : LINK_BAD;
}

static const char *why_down(void)
{
	if (dev.stream == NULL)
		return "the host's interface is gone";
	return dev.stream->bad ? "passt sent a frame of an impossible length" : "passt is gone";
}

/* Serves all queues for one turn. */
static bool turn(enum net_stop *stop)
{
	const uint64_t one = 1;
	uint32_t reason, queue;
	bool interrupt;

	*stop = net_serve(&dev, &interrupt, &reason, &queue);
	if (interrupt && write(NET_CALL, &one, sizeof(one)) != (ssize_t)sizeof(one))
		return false;
	flow_count(&dev.flow, STATS_INTERRUPTS, interrupt);
	if (*stop == NET_BROKEN && !needs_reset(reason, queue))
		return false;
	if (!dev.news)
		return true;
	dev.news = false;
	log_line("net: %s; the guest's link is down", why_down());
	return say(LINK_CONFIG);
}

static void watch(struct pollfd *p)
{
	p[POLL_LINK] = (struct pollfd){ .fd = NET_LINK, .events = POLLIN };
	for (unsigned q = 0; q < NET_QUEUES; q++)
		p[POLL_KICK0 + q] = (struct pollfd){
			.fd = net_wants_kick(&dev, q) ? NET_KICK0 + (int)q : -1,
			.events = POLLIN,
		};
	for (unsigned i = 0; i < PLAN_NET_PAIRS; i++) {
		short events = (short)((net_wants_frames(&dev, i) ? POLLIN : 0) |
				       (net_wants_room(&dev, i) ? POLLOUT : 0));

		p[POLL_TAP0 + i] = (struct pollfd){
			.fd = events != 0 ? NET_TAP0 + (int)i : -1, .events = events,
		};
	}
}

static bool take_kick(unsigned queue)
{
	uint64_t kicks;

	net_kick(&dev, queue);
	if (read(NET_KICK0 + (int)queue, &kicks, sizeof(kicks)) < 0)
		return errno == EAGAIN;
	flow_count(&dev.flow, STATS_KICKS, kicks);
	return true;
}

/* Notes what poll() found. */
static bool note(const struct pollfd *p)
{
	for (unsigned q = 0; q < NET_QUEUES; q++)
		if (p[POLL_KICK0 + q].revents != 0 && !take_kick(q))
			return false;
	for (unsigned i = 0; i < PLAN_NET_PAIRS; i++) {
		short got = p[POLL_TAP0 + i].revents;

		net_tap(&dev, i, (got & ~POLLOUT) != 0, (got & ~POLLIN) != 0);
	}
	return true;
}

/* How long to sleep; NULL: until something happens. */
static const struct timespec *patience(enum net_stop stop, struct timespec *t)
{
	uint64_t wait = flow_wait(&dev.flow);

	*t = (struct timespec){ .tv_nsec = stop == NET_MORE ? 0 : (long)wait };
	return stop == NET_MORE || wait != 0 ? t : NULL;
}

/* Runs until the VM ends; returns the exit status. */
static int run(void)
{
	enum net_stop stop = NET_IDLE;

	for (;;) {
		struct timespec t;
		struct pollfd p[POLL_FDS];

		watch(p);
		if (ppoll(p, POLL_FDS, patience(stop, &t), NULL) < 0)
			continue;
		if (p[POLL_LINK].revents != 0) {
			enum link_result r = obey();

			if (r != LINK_OK)
				return r == LINK_EOF ? 0 : 1;
		}
		if (!note(p))
			return 1;
		stop = NET_IDLE;
		if (vmm.state == LINK_ACTIVE && !turn(&stop))
			return 1;
	}
}

int main(int argc, char **argv)
{
	struct vm_device d;
	int rc = fdplan_claim(NET_NFDS);

	if (rc < 0)
		die_errno(-rc, "net: descriptors");
	configure(argc == 2 ? argv[1] : "", &d);
	setup(&d);
	rc = hold_memory();
	if (rc == 0)
		rc = seal_memory();
	if (rc == 0)
		rc = seal(&policy_net);
	if (rc < 0)
		die_errno(-rc, "net: seal");
	/* Mustn't, from here on: open, map, allocate, die. */
	rc = say(LINK_HELLO) ? run() : 1;
	if (rc != 0)
		log_line("net: the VMM broke the link's protocol, or the kernel refused");
	return rc;
}
