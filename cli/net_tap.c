/* SPDX-License-Identifier: Apache-2.0 */
/* net_tap.c: from a process to the interface of its tap.
 *
 * A name says little: another namespace may have one that is called the same, and a tap can be renamed
 * and moved.  So the descriptor itself is asked, for its interface and for the namespace of that. */
#include "cli/net.h"
#include "cli/say.h"
#include "core/fdplan.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <linux/netlink.h>
#include <sched.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

void net_hint_root(int err)
{
	if (err == EPERM || err == EACCES)
		say_hint("only root may read it, with CAP_SYS_ADMIN, CAP_NET_ADMIN and CAP_SYS_PTRACE (and "
			 "kernel.yama.ptrace_scope below 3)");
}

static int tap_error(pid_t pid, int err)
{
	say_error("the tap of process %d: %s", (int)pid, strerror(err));
	net_hint_root(err);
	return -1;
}

/* The descriptor of the first queue; all queues are of one interface.  Or -errno. */
static int take_tap(pid_t pid)
{
	int process = (int)syscall(SYS_pidfd_open, pid, 0), fd;

	if (process < 0)
		return -errno;
	fd = (int)syscall(SYS_pidfd_getfd, process, NET_TAP0, 0);
	if (fd < 0)
		fd = -errno;
	close(process);
	return fd;
}

/* 0 or an errno. */
static int enter_namespace_of(int tap)
{
	int ns = ioctl(tap, TUNGETDEVNETNS), err;

	if (ns < 0)
		return errno;
	err = setns(ns, CLONE_NEWNET) < 0 ? errno : 0;
	close(ns);
	return err;
}

int net_tap_open(pid_t pid, struct net_denied *d, unsigned *ifindex)
{
	struct ifreq req = { .ifr_name = "" };
	int tap = take_tap(pid), sock, err;

	if (tap < 0)
		return tap_error(pid, -tap);
	err = ioctl(tap, TUNGETIFF, &req) < 0 ? errno : enter_namespace_of(tap);
	close(tap);
	if (err != 0)
		return tap_error(pid, err);
	req.ifr_name[IFNAMSIZ - 1] = 0;
	memcpy(d->tap, req.ifr_name, sizeof(d->tap));
	say_clean(d->tap);
	*ifindex = if_nametoindex(req.ifr_name);
	sock = *ifindex == 0 ? -1 : socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	return sock < 0 ? tap_error(pid, errno) : sock;
}
