/* SPDX-License-Identifier: Apache-2.0 */
/* main.c: immure-blk, the process of one disk.
 *
 *	immure-blk INDEX		descriptors as in core/fdplan.h
 *
 * The ladder: claim the descriptors, read the configuration, map guest memory, look at the
 * disk, start sealed threads if it is past the host's cache, seal, read an overlay's map, say
 * HELLO, serve.  Everything that can fail for want of a right fails before the seal; everything
 * that a guest can influence happens after it.
 *
 * Afterwards one loop sleeps on the link to the VMM (driver started, driver reset, end) and on
 * the queues' kicks, which the kernel signals when the guest writes QueueNotify. A kick may come
 * at any time, also before the driver is ready; the descriptors are watched only while they mean
 * something, and a start looks at the queues without waiting for one.  Queues that the rate limit
 * holds back are looked at again when there are tokens; orders of the VMM do not wait for them. */
#include "core/guestmem.h"
#include "core/link.h"
#include "core/log.h"
#include "core/pages.h"
#include "core/seal.h"
#include "core/vmconfig.h"
#include "devices/blk/blk.h"
#include "devices/blk/overlay.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <unistd.h>

/* The whole mutable state of the process. */
static struct blk dev;
static struct guestmem mem;
static struct overlay over;
static struct pool pool;
static struct pages pages;
static struct link vmm = { .fd = BLK_LINK, .state = LINK_START, .device = true };

/* Should: leave in @d what the jailer says this disk is.  Mustn't: take an index outside. */
static void configure(const char *index, struct vm_device *d)
{
	static struct vm_config config;
	int rc = vmconfig_read(&config);
	uint32_t i;

	if (rc < 0)
		die_errno(-rc, "blk: configuration");
	if (index[0] < '0' || index[0] > '9' || index[1] != 0)
		die("blk: which device? usage: immure-blk INDEX");
	i = (uint32_t)(index[0] - '0');
	if (i >= config.ndevices || config.device[i].kind != VM_DEVICE_BLK)
		die("blk: device %u is not a disk", i);
	*d = config.device[i];
	rc = guestmem_map(&mem, FD_MEM, config.ram);
	if (rc < 0)
		die_errno(-rc, "blk: guest memory");
	close(FD_MEM);
	rc = pages_map(&pages, &config, (int)i);
	if (rc < 0)
		die_errno(-rc, "blk: counters");
}

/* Should: find what lies below.  Mustn't: look at what is in the overlay, which may be anything. */
static void setup_overlay(struct disk *disk, const struct vm_device *d)
{
	const struct overlay_terms t = {
		.base = BLK_BASE, .base_size = d->base_size, .limit = d->overlay_limit,
		.kept = (d->flags & VM_BLK_KEPT) != 0,
	};
	int rc = overlay_open(&over, disk, &t);

	if (rc < 0)
		die_errno(-rc, "blk: overlay");
}

static bool threaded(const struct disk *d)
{
	return d->direct && d->over == NULL;
}

/* Should: find out everything about the disk.  Last chance to fail for want of a right. */
static void setup(const struct vm_device *d)
{
	struct disk disk;
	int rc = disk_open(&disk, BLK_DISK,
			   ((d->flags & VM_BLK_READONLY) != 0 ? DISK_READONLY : 0u) |
			   ((d->flags & VM_BLK_DISCARD) != 0 ? DISK_DISCARD : 0u),
			   &d->blocks);

	if (rc < 0)
		die_errno(-rc, "blk: disk");
	if (d->base_size != 0)
		setup_overlay(&disk, d);
	else
		close(BLK_BASE);
	if (!threaded(&disk)) {
		close(BLK_WORK);
		close(BLK_DONE);
	}
	/* Beyond RLIMIT_FSIZE: an error of the disk (EFBIG), not our end. */
	rc = fdplan_ignore(SIGXFSZ);
	if (rc < 0)
		die_errno(-rc, "blk: signals");
	if (fcntl(BLK_LINK, F_SETFL, O_NONBLOCK) < 0)
		die_errno(errno, "blk: link");
	disk.most = d->grow;
	blk_init(&dev, &mem, &disk, d->nqueues, d->serial);
	meter_init(&dev.meter, &pages, d);
}

/* By what was asked for, not by what the host can: `immure plan` says which filter it is. */
static unsigned int when(const struct vm_device *d)
{
	unsigned int direct = threaded(&dev.disk) ? WHEN_DIRECT : 0u;

	if ((d->flags & VM_BLK_READONLY) != 0)
		return direct;
	return direct | WHEN_WRITABLE | ((d->flags & VM_BLK_DISCARD) != 0 ? WHEN_DISCARD : 0u) |
	       (d->base_size != 0 ? WHEN_OVERLAY : 0u);
}

/* Should: end with every thread sealed.  Mustn't: leave a thread running that is not. */
static int seal_all(const struct vm_device *d)
{
	const struct seal_filter *f = policy_pick(&policy_blk, when(d));
	int rc = hold_memory();

	if (rc == 0)
		rc = seal_memory();
	if (rc == 0 && threaded(&dev.disk)) {
		rc = pool_start(&pool, &dev.disk, BLK_WORK, BLK_DONE, f);
		dev.pool = &pool;
	}
	return rc == 0 ? seal(f) : rc;
}

static bool say_hello(void)
{
	struct link_msg m = { .type = LINK_HELLO };

	blk_hello(&dev, &m.u.hello);
	return link_send(&vmm, &m) == LINK_OK;
}

/* The driver must reset the device: tell the VMM, and whoever reads the log. */
static bool needs_reset(uint32_t reason)
{
	static struct log_limit limit;
	struct link_msg m = { .type = LINK_NEEDS_RESET };

	stats_add(&pages.stats->counter[STATS_BROKEN], 1);
	m.u.needs_reset.reason = reason;
	log_limited(&limit, "blk: the driver misbehaved: %s",
		    reason == BLK_E_NO_STATUS ? "request without a status byte"
					      : vq_err_name((enum vq_err)reason));
	return link_send(&vmm, &m) == LINK_OK;
}

static void count(enum stats_device_counter counter, uint64_t n)
{
	stats_add(&pages.stats->counter[counter], n);
}

static bool activate(const struct link_activate *a)
{
	uint32_t reason;

	count(STATS_ACTIVATIONS, 1);
	if (blk_activate(&dev, a, &reason))
		return true;
	return reason != 0 && needs_reset(reason);
}

static bool reset(void)
{
	const struct link_msg m = { .type = LINK_RESET_DONE };

	count(STATS_RESETS, 1);
	blk_reset(&dev);
	return link_send(&vmm, &m) == LINK_OK;
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
	if (m.type == LINK_ACTIVATE)
		ok = activate(&m.u.activate);
	else if (m.type == LINK_RESET)
		ok = reset();
	return ok ? LINK_OK : LINK_BAD;
}

/* Serves the queue for one turn. */
static bool turn(enum blk_stop *stop)
{
	const uint64_t one = 1;
	uint32_t reason;
	bool interrupt;

	*stop = blk_serve(&dev, &interrupt, &reason);
	if (interrupt && write(BLK_CALL, &one, sizeof(one)) != (ssize_t)sizeof(one))
		return false;
	count(STATS_INTERRUPTS, interrupt);
	return *stop != BLK_BROKEN || needs_reset(reason);
}

/* Which queue it was for does not matter: all are looked at. */
static bool take_kicks(const struct pollfd *p)
{
	for (uint32_t i = 0; i < dev.nqueues; i++) {
		uint64_t kicks = 0;

		if (p[i].revents == 0)
			continue;
		if (read(p[i].fd, &kicks, sizeof(kicks)) < 0 && errno != EAGAIN)
			return false;
		count(STATS_KICKS, kicks);
	}
	return true;
}

/* How long to sleep; NULL: until something happens. */
static const struct timespec *patience(enum blk_stop stop, struct timespec *t)
{
	*t = (struct timespec){ 0 };
	if (stop == BLK_HELD)
		t->tv_nsec = (long)meter_wait(&dev.meter);	/* under a second */
	if (stop == BLK_IDLE && disk_may_grow(&dev.disk))
		t->tv_sec = 1;
	return stop != BLK_IDLE || t->tv_sec != 0 ? t : NULL;
}

/* Tells the driver of a disk that has grown. */
static bool tell_size(void)
{
	static struct log_limit limit;
	struct link_msg m = { .type = LINK_CONFIG };

	if (!blk_grown(&dev))
		return true;
	log_limited(&limit, "blk: the image has grown to %lu bytes", (unsigned long)dev.disk.size);
	blk_config(&dev, &m.u.config);
	return link_send(&vmm, &m) == LINK_OK;
}

/* Runs until the VM ends; returns the exit status. */
static int run(void)
{
	enum blk_stop stop = BLK_IDLE;

	for (;;) {
		const bool deaf = vmm.state != LINK_ACTIVE || stop == BLK_HELD;
		struct pollfd p[1 + PLAN_BLK_QUEUES] = { { .fd = BLK_LINK, .events = POLLIN } };
		struct timespec t;

		for (int i = 0; i < PLAN_BLK_QUEUES; i++)
			p[1 + i] = (struct pollfd){ .events = POLLIN,
				.fd = deaf || i >= (int)dev.nqueues ? -1 : BLK_KICK0 + i };
		if (ppoll(p, 1 + PLAN_BLK_QUEUES, patience(stop, &t), NULL) < 0)
			continue;
		if (p[0].revents != 0) {
			enum link_result r = obey();

			if (r != LINK_OK)
				return r == LINK_EOF ? 0 : 1;
		}
		if (!take_kicks(&p[1]) || !tell_size())
			return 1;
		stop = BLK_IDLE;
		if (vmm.state == LINK_ACTIVE && !turn(&stop))
			return 1;
	}
}

int main(int argc, char **argv)
{
	struct vm_device d;
	int rc = fdplan_claim(BLK_NFDS);

	if (rc < 0)
		die_errno(-rc, "blk: descriptors");
	configure(argc == 2 ? argv[1] : "", &d);
	setup(&d);
	rc = seal_all(&d);
	if (rc < 0)
		die_errno(-rc, "blk: seal");
	/* Mustn't, from here on: open, map, allocate, die. */
	if (d.base_size != 0 && !overlay_load(&over))
		return 1;
	rc = say_hello() ? run() : 1;
	if (rc != 0)
		log_line("blk: the VMM broke the link's protocol, or the kernel refused");
	return rc;
}
