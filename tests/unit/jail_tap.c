/* SPDX-License-Identifier: Apache-2.0 */
/* LIBS: -ljansson */
/* The real jailer and taps: made, attached to, refused; what is left of them. */
#include "core/fdplan.h"
#include "tests/unit/jail_rig.h"

#include <linux/if_tun.h>
#include <net/if.h>
#include <sys/ioctl.h>

enum { SOMEBODY = 12345, WAIT_MS = 5000 };

/* A network of this test's own, in which nothing is left behind. */
static struct rig rig_in_new_network(uid_t uid)
{
	struct rig r = rig_make(uid);

	if (unshare(CLONE_NEWNET) < 0 || access("/dev/net/tun", F_OK) != 0)
		cr_skip("no tap can be made here");
	return r;
}

static const char *vm(const struct rig *r, const char *net)
{
	static char more[256];

	snprintf(more, sizeof(more), ",\"net\":[{%s}]", net);
	return rig_config(r, "idle", more);
}

/* Makes tap t0 for @owner (0: nobody's); with @persist it stays. */
static int make_tap(unsigned flags, uid_t owner, bool persist)
{
	struct ifreq req = { .ifr_name = "t0", .ifr_flags = (short)(IFF_TAP | IFF_NO_PI | flags) };
	int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);

	cr_assert(fd >= 0 && ioctl(fd, TUNSETIFF, &req) == 0);
	cr_assert(owner == 0 || ioctl(fd, TUNSETOWNER, (unsigned long)owner) == 0);
	cr_assert_eq(ioctl(fd, TUNSETPERSIST, persist ? 1ul : 0ul), 0);
	if (!persist)
		return fd;
	close(fd);
	return -1;
}

static int query(unsigned long what, struct ifreq *req)
{
	int s = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	int rc;

	*req = (struct ifreq){ .ifr_name = "t0" };
	rc = ioctl(s, what, req);
	close(s);
	return rc;
}

static bool tap_is_there(void)
{
	struct ifreq req;

	return query(SIOCGIFFLAGS, &req) == 0;
}

static void tap_goes(void)
{
	for (int ms = 0; tap_is_there() && ms < WAIT_MS; ms++)
		usleep(1000);
	cr_assert(!tap_is_there(), "the tap outlived its VM");
}

static void stop(struct rig *r)
{
	rig_stop(r);
	rig_remove(r);
}

/* Which processes of the VM hold a tap, as a bit set: 1 << process; the jailer is bit 31. */
static unsigned holders(const struct rig *r)
{
	unsigned set = 0;

	for (unsigned i = 0; i <= r->nprocs; i++) {
		pid_t pid = i < r->nprocs ? r->pid[i] : r->jailer;
		char path[64], link[400], text[64];
		struct dirent *e;
		DIR *d;

		snprintf(path, sizeof(path), "/proc/%d/fd", (int)pid);
		d = opendir(path);
		cr_assert_not_null(d);
		while ((e = readdir(d)) != NULL) {
			ssize_t n;

			snprintf(link, sizeof(link), "%s/%s", path, e->d_name);
			n = readlink(link, text, sizeof(text) - 1);
			text[n > 0 ? n : 0] = 0;
			if (strcmp(text, "/dev/net/tun") == 0)
				set |= 1u << (i < r->nprocs ? i : 31);
		}
		closedir(d);
	}
	return set;
}

Test(jail_tap, is_made_is_up_is_one_process_s_and_goes_with_the_vm, .timeout = 60)
{
	struct rig r = rig_in_new_network(0);
	struct ifreq req;

	rig_start(&r, vm(&r, "\"tap\":\"t0\",\"mtu\":4000"));
	rig_running(&r);
	cr_assert_eq(r.nprocs, 4);
	cr_assert(query(SIOCGIFFLAGS, &req) == 0 && (req.ifr_flags & IFF_UP) != 0);
	cr_assert(query(SIOCGIFMTU, &req) == 0 && req.ifr_mtu == 4000);
	cr_assert_eq(holders(&r), 1u << 2, "the disk's is 1, vsock's 3");
	for (int cap = 0; cap < 4; cap++)
		cr_assert_eq(rig_status(r.pid[cap], "CapEff", 16), 0);
	stop(&r);
	tap_goes();
}

Test(jail_tap, several_queues, .timeout = 60)
{
	struct rig r = rig_in_new_network(0);

	rig_start(&r, vm(&r, "\"tap\":\"t0\",\"queues\":4"));
	rig_running(&r);
	cr_assert(tap_is_there());
	stop(&r);
	tap_goes();
}

Test(jail_tap, goes_also_when_all_processes_are_killed, .timeout = 60)
{
	for (int victim = -1; victim < 4; victim++) {
		struct rig r = rig_in_new_network(0);
		pid_t pid;

		rig_start(&r, vm(&r, "\"tap\":\"t0\""));
		rig_running(&r);
		pid = victim < 0 ? r.jailer : r.pid[victim];
		cr_assert_eq(kill(pid, SIGKILL), 0);
		tap_goes();
		/* What a dead jailer cannot remove. */
		waitpid(r.jailer, NULL, 0);
		if (victim < 0) {
			char path[200];

			snprintf(path, sizeof(path), "rm -r %s; for d in memory pids cpu blkio; do "
				 "rmdir /sys/fs/cgroup/$d/immure/%s; done 2> /dev/null", r.dir, r.name);
			pid = fork();
			if (pid == 0)
				_exit(execl("/bin/sh", "sh", "-c", path, (char *)NULL));
			waitpid(pid, NULL, 0);
			continue;
		}
		rig_remove(&r);
	}
}

Test(jail_tap, an_existing_one_is_attached_to_and_stays, .timeout = 60)
{
	struct rig r = rig_in_new_network(0);
	struct ifreq req;

	make_tap(0, 0, true);
	rig_start(&r, vm(&r, "\"tap\":\"t0\",\"mtu\":4000"));
	rig_running(&r);
	cr_assert(query(SIOCGIFMTU, &req) == 0 && req.ifr_mtu == 1500, "what it is, its owner says");
	cr_assert(query(SIOCGIFFLAGS, &req) == 0 && (req.ifr_flags & IFF_UP) == 0);
	stop(&r);
	cr_assert(tap_is_there());
}

/* A tap made for several queues serves a VM with one. */
Test(jail_tap, an_existing_one_for_several_queues, .timeout = 60)
{
	for (int queues = 1; queues <= 2; queues++) {
		struct rig r = rig_in_new_network(0);
		char net[64];

		snprintf(net, sizeof(net), "\"tap\":\"t0\",\"queues\":%d", queues);
		make_tap(IFF_MULTI_QUEUE, 0, true);
		rig_start(&r, vm(&r, net));
		rig_running(&r);
		stop(&r);
	}
}

Test(jail_tap, one_for_one_queue_does_not_serve_two, .timeout = 60)
{
	struct rig r = rig_in_new_network(0);

	make_tap(0, 0, true);
	rig_setup_fails(&r, vm(&r, "\"tap\":\"t0\",\"queues\":2"), "attach to tap t0");
}

Test(jail_tap, one_that_is_in_use_is_refused, .timeout = 60)
{
	struct rig r = rig_in_new_network(0);
	int fd = make_tap(0, 0, false);

	rig_setup_fails(&r, vm(&r, "\"tap\":\"t0\""), "another program is attached to it");
	close(fd);
}

Test(jail_tap, what_is_no_tap_is_refused, .timeout = 60)
{
	struct rig r = rig_in_new_network(0);

	rig_setup_fails(&r, vm(&r, "\"tap\":\"lo\""), "attach to tap lo");
}

/* Udev makes the two devices everybody's; here they are in a mount namespace of this test. */
static void everybodys_devices(const struct rig *r)
{
	char node[64];

	cr_assert_eq(unshare(CLONE_NEWNS), 0);
	cr_assert_eq(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL), 0);
	cr_assert_eq(mount("tmpfs", "/dev/net", "tmpfs", 0, "mode=755"), 0);
	umask(0);
	cr_assert_eq(mknod("/dev/net/tun", S_IFCHR | 0666, makedev(10, 200)), 0);
	snprintf(node, sizeof(node), "%s/kvm", r->dir);
	cr_assert_eq(mknod(node, S_IFCHR | 0666, makedev(10, 232)), 0);
	cr_assert_eq(mount(node, "/dev/kvm", NULL, MS_BIND, NULL), 0);
	cr_assert_eq(unlink(node), 0);
}

/* Without root: one's own, nobody's, and no other; none can be made. */
Test(jail_tap, without_root_the_kernel_decides, .timeout = 120)
{
	struct rig r = rig_in_new_network(SOMEBODY);

	everybodys_devices(&r);
	make_tap(0, SOMEBODY, true);
	rig_start(&r, vm(&r, "\"tap\":\"t0\""));
	rig_running(&r);
	stop(&r);
	r = rig_in_new_network(SOMEBODY);
	make_tap(0, SOMEBODY + 1, true);
	rig_setup_fails(&r, vm(&r, "\"tap\":\"t0\""), "it belongs to another user");
	r = rig_in_new_network(SOMEBODY);
	rig_setup_fails(&r, vm(&r, "\"tap\":\"t0\""), "making it takes root");
}
