/* SPDX-License-Identifier: Apache-2.0 */
/* jail_hostile.h: a VM whose jailed processes are all fake_hostile.c, and a neighbour that must
 * not notice. */
#ifndef IMMURE_TESTS_UNIT_JAIL_HOSTILE_H
#define IMMURE_TESTS_UNIT_JAIL_HOSTILE_H

#include "tests/unit/jail_fakes.h"
#include "tests/unit/jail_neighbour.h"
#include "tests/unit/jail_usage.h"

#include <sched.h>

enum {
	RAM = 32 << 20,
	CONNECTIONS = 6,	/* of vsock, as `immure run` asks for */
	QUESTIONS = 20,		/* to the neighbour */
};

static struct rig r;
static struct neighbour n;

static void make(void)
{
	r = rig_make(0);
	/* A network of this test's own: the VM's tap is made in it. */
	if (unshare(CLONE_NEWNET) < 0 || access("/dev/net/tun", F_OK) != 0)
		cr_skip("no tap can be made here");
	rig_fakes(&r, "fake_hostile");
	neighbour_start(&n);
}

static void undo(void)
{
	char path[64];

	neighbour_answers(&n, 1);
	neighbour_stop(&n);
	rig_remove_fakes(&r);
	/* The one directory these VMs do not remove. */
	snprintf(path, sizeof(path), "%s/parent/run", r.dir);
	rmdir(path);
	rig_nothing_left(&r);
	rig_remove(&r);
}

static const char *disk(void)
{
	static char path[64];

	snprintf(path, sizeof(path), "%s/disk", r.dir);
	return path;
}

/* Starts the VM: the VMM, one disk on @image, a network interface and, with @vsock, that.  @order is for its processes
 * (fake_hostile.c), @limits are members of the configuration's "limits". */
static void start(const char *order, const char *image, bool vsock, const char *limits)
{
	char text[1024], socket[128] = "";

	if (vsock)
		snprintf(socket, sizeof(socket),
			 ",\"vsock\":{\"cid\":3,\"path\":\"%s/parent/run/v.sock\",\"connections\":%d}", r.dir,
			 CONNECTIONS);
	snprintf(text, sizeof(text), "{\"name\":\"%s\",\"id\":5,\"kernel\":\"%s/idle\","
		 "\"entry\":\"flat\",\"memory\":%d,\"disks\":[{\"path\":\"%s\","
		 "\"readonly\":false}],\"net\":[{\"tap\":\"waste0\"}],\"cmdline\":\"%s\",\"limits\":{%s}%s}", r.name, r.dir, RAM,
		 image, order, limits, socket);
	rig_start(&r, text);
}

static void stop(void)
{
	cr_assert_eq(kill(r.jailer, SIGTERM), 0);
	json_decref(rig_end(&r, "stopped", 0));
}

static void sleep_ms(long ms)
{
	struct timespec ts = { .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000 };

	nanosleep(&ts, NULL);
}

#endif
