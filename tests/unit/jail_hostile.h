/* SPDX-License-Identifier: Apache-2.0 */
/* jail_hostile.h: a VM whose jailed processes are all fake_hostile.c, and a neighbour that must
 * not notice.
 *
 * With HOSTILE_UID in the environment the VM is that user's: in a cgroup that was delegated, on a tap that
 * was given. */
#ifndef IMMURE_TESTS_UNIT_JAIL_HOSTILE_H
#define IMMURE_TESTS_UNIT_JAIL_HOSTILE_H

#include "tests/unit/jail_fakes.h"
#include "tests/unit/jail_neighbour.h"
#include "tests/unit/jail_usage.h"

#include <linux/if_tun.h>
#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>

enum {
	RAM = 32 << 20,
	CONNECTIONS = 6,	/* of vsock, as `immure run` asks for */
	QUESTIONS = 20,		/* to the neighbour */
};

static struct rig r;
static struct neighbour n;

static void own(const char *directory, const char *file)
{
	char path[96];

	snprintf(path, sizeof(path), "/sys/fs/cgroup/%s%s", directory, file);
	cr_assert_eq(chown(path, r.uid, r.uid), 0, "%s", path);
}

/* A cgroup as systemd delegates one: its controllers and its children are the user's. */
static void delegate(void)
{
	static const char *const files[] = { "", "/cgroup.procs", "/cgroup.subtree_control" };
	char path[96];

	snprintf(r.cgroup, sizeof(r.cgroup), "%s-user", r.name);
	rig_put("/sys/fs/cgroup/cgroup.subtree_control", "+cpu +memory +pids +io");
	snprintf(path, sizeof(path), "/sys/fs/cgroup/%s", r.cgroup);
	cr_assert_eq(mkdir(path, 0755), 0);
	snprintf(path, sizeof(path), "/sys/fs/cgroup/%s/session", r.cgroup);
	cr_assert_eq(mkdir(path, 0755), 0);
	snprintf(path, sizeof(path), "%s/session", r.cgroup);
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		own(r.cgroup, files[i]);
		own(path, files[i]);
	}
}

static void take_back(void)
{
	static const char *const children[] = { "/session", "/immure", "" };
	char path[96];

	for (size_t i = 0; i < sizeof(children) / sizeof(children[0]); i++) {
		snprintf(path, sizeof(path), "/sys/fs/cgroup/%s%s", r.cgroup, children[i]);
		cr_assert(rmdir(path) == 0 || errno == ENOENT, "%s: %s", path, strerror(errno));
	}
	r.cgroup[0] = 0;
}

/* It goes with the network it is in. */
static void give_tap(void)
{
	struct ifreq req = { .ifr_name = "waste0", .ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR };
	int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC), sock = socket(AF_INET, SOCK_DGRAM, 0);

	cr_assert_eq(ioctl(fd, TUNSETIFF, &req), 0, "%s", strerror(errno));
	cr_assert_eq(ioctl(fd, TUNSETOWNER, (unsigned long)r.uid), 0);
	cr_assert_eq(ioctl(fd, TUNSETPERSIST, 1ul), 0);
	req.ifr_flags = IFF_UP;
	cr_assert_eq(ioctl(sock, SIOCSIFFLAGS, &req), 0);
	close(sock);
	close(fd);
}

static void make(void)
{
	const char *uid = getenv("HOSTILE_UID");

	if (uid != NULL && access("/sys/fs/cgroup/cgroup.controllers", F_OK) != 0)
		cr_skip("cgroups of version 1 are not delegated");
	r = rig_make(uid != NULL ? (uid_t)strtoul(uid, NULL, 10) : 0);
	/* A network of this test's own: the VM's tap is made in it. */
	if (unshare(CLONE_NEWNET) < 0 || access("/dev/net/tun", F_OK) != 0)
		cr_skip("no tap can be made here");
	if (r.uid != 0) {
		delegate();
		give_tap();
	}
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
	if (r.cgroup[0] != 0)
		take_back();
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
		 "\"readonly\":false}],\"net\":[{\"tap\":\"waste0\",\"wall\":\"%s\"}],\"cmdline\":\"%s\","
		 "\"limits\":{%s}%s}", r.name, r.dir, RAM, image, r.uid != 0 ? "off" : "on", order, limits,
		 socket);
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
