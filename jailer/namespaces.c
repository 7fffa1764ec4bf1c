/* SPDX-License-Identifier: Apache-2.0 */
/* namespaces.c: one set of namespaces a VM, and a user namespace a process.
 *
 * Mount, network, IPC, UTS, PID and time namespaces are made once and shared by the VM's
 * processes; they are owned by the user namespace of the jailer (root mode: the host's;
 * rootless: a new one).  Each process then gets a user namespace of its own below that, so the
 * capabilities a new program might ever find are good for nothing: they do not reach the
 * namespaces above, nor the other processes of the same VM.  A cgroup namespace costs nothing
 * and each process makes its own.
 *
 * The network namespace costs the kernel more than all others together.  A thread can have one
 * of its own, so as root one thread makes it, leaves a descriptor of it and ends, while the
 * main thread opens files.  Rootless that is not possible: the network has to belong to the
 * user namespace, and only a process of one thread may enter one. */
#include "jailer/namespaces.h"
#include "core/aside.h"
#include "jailer/path.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/keyctl.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static int write_file(int dir, const char *path, unsigned resolve, const char *text)
{
	int fd = path_open(dir, path, O_WRONLY, resolve);
	ssize_t n;
	int err;

	if (fd < 0)
		return fd;
	n = write(fd, text, strlen(text));
	err = errno;
	close(fd);
	return n < 0 ? -err : 0;
}

static int map_self(const struct plan *p, struct failure *f)
{
	const struct plan_process *pp = &p->supervisor;
	char uids[48], gids[48];
	int rc;

	snprintf(uids, sizeof(uids), "%u %u 1\n", pp->uid, pp->uid);
	snprintf(gids, sizeof(gids), "%u %u 1\n", pp->gid, pp->gid);
	/* Without CAP_SETGID outside, a group map needs setgroups() to be given up first. */
	rc = write_file(AT_FDCWD, "/proc/self/setgroups", PATH_HOST, "deny");
	if (rc == 0)
		rc = write_file(AT_FDCWD, "/proc/self/uid_map", PATH_HOST, uids);
	if (rc == 0)
		rc = write_file(AT_FDCWD, "/proc/self/gid_map", PATH_HOST, gids);
	return rc != 0 ? fail(f, -rc, NULL, "map the caller's ids") : 0;
}

/* What the thread leaves: a descriptor of its network namespace, or -errno. */
static struct {
	pthread_t thread;
	bool started;
	int fd;
} network;

static void *make_network(void *unused)
{
	/* The one link of /proc that is followed: there is no other way to name a namespace, and
	 * setns() takes nothing else. */
	network.fd = unshare(CLONE_NEWNET) < 0 ? -errno
		   : path_open(AT_FDCWD, "/proc/thread-self/ns/net", O_RDONLY, 0);
	return unused;
}

int namespaces_start(const struct plan *p, struct failure *f)
{
	int rc = p->root ? pthread_create(&network.thread, NULL, make_network, NULL) : 0;

	if (rc != 0)
		return fail(f, rc, NULL, "start a thread");
	network.started = p->root;
	if (p->root)
		step_aside();
	return 0;
}

int namespaces_network(struct failure *f)
{
	if (!network.started)
		return 0;
	network.started = false;
	pthread_join(network.thread, NULL);
	if (network.fd < 0)
		return fail(f, -network.fd, "run `immure doctor`", "make a network namespace");
	if (setns(network.fd, CLONE_NEWNET) < 0)
		return fail(f, errno, NULL, "enter the network namespace");
	close(network.fd);
	return 0;
}

int namespaces_cgroup(void)
{
	return unshare(CLONE_NEWCGROUP) < 0 ? -errno : 0;
}

static void limit_below(const char *path, int dir, unsigned resolve, unsigned n)
{
	char text[12];

	snprintf(text, sizeof(text), "%u\n", n);
	(void)!write_file(dir, path, resolve, text);
}

void namespaces_limit(int proc, unsigned n)
{
	limit_below("sys/user/max_user_namespaces", proc, PATH_BELOW, n);
}

int namespaces_enter(const struct plan *p, struct failure *f)
{
	int later = CLONE_NEWCGROUP | (p->root ? CLONE_NEWNET : 0);

	/* Away from the caller's terminal: its ^C is for the command in the guest. */
	setsid();
	if (unshare(p->namespaces & ~later) < 0)
		return fail(f, errno, p->root ? "run `immure doctor`"
			    : "allow user namespaces (sysctl user.max_user_namespaces, "
			    "kernel.unprivileged_userns_clone) or run as root",
			    "make namespaces");
	if (!p->root) {
		if (map_self(p, f) != 0)
			return -1;
		/* One for each process; root's is the host's, and not ours to limit. */
		limit_below("/proc/sys/user/max_user_namespaces", AT_FDCWD, PATH_HOST, p->nprocs);
	}
	if (sethostname("immure", strlen("immure")) < 0)
		return fail(f, errno, NULL, "set the host name");
	/* Kernels without key support have no keyring to inherit. */
	if (syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, NULL) < 0 && errno != ENOSYS)
		return fail(f, errno, NULL, "make a session keyring");
	return 0;
}

int namespaces_map(int proc, pid_t pid, uid_t uid, gid_t gid)
{
	char path[32], ids[48];
	int rc;

	snprintf(path, sizeof(path), "%d/uid_map", pid);
	snprintf(ids, sizeof(ids), "%u %u 1\n", uid, uid);
	rc = write_file(proc, path, PATH_BELOW, ids);
	if (rc != 0)
		return rc;
	snprintf(path, sizeof(path), "%d/gid_map", pid);
	snprintf(ids, sizeof(ids), "%u %u 1\n", gid, gid);
	return write_file(proc, path, PATH_BELOW, ids);
}
