/* SPDX-License-Identifier: Apache-2.0 */
/* main.c: immure-jailer, the ladder.
 *
 *   immure-jailer --config-fd 3 --client-fd 4 [--lock-fd N]...
 *
 * A lock is a descriptor that is only held: what the caller locked through it, the VM's name or
 * number, stays locked as long as the VM exists, however its caller ends.
 *
 * Reads a configuration, builds the VM's jail, starts its processes in it, and then locks
 * itself in and watches them.  Each rung below uses what the one above made and none can be
 * swapped: everything is opened while there is a file system, the cgroup is made while there
 * is a /sys, children are born when there is nothing left for them to see.  A capability goes
 * with the rung that needed it last (capabilities.c has the table).  Until the first
 * child runs nobody but the caller has had a word, so a failure simply undoes and reports;
 * afterwards the supervisor alone decides. */
#include "jailer/capabilities.h"
#include "jailer/cgroup.h"
#include "jailer/config.h"
#include "jailer/cpu.h"
#include "jailer/limits.h"
#include "jailer/message.h"
#include "jailer/namespaces.h"
#include "jailer/open.h"
#include "jailer/pages.h"
#include "jailer/passt.h"
#include "jailer/plan.h"
#include "jailer/rootfs.h"
#include "jailer/rundir.h"
#include "jailer/spawn.h"
#include "jailer/supervise.h"
#include "jailer/violation.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
	EXIT_USAGE = 2,
	EXIT_SETUP = 125,
	CHILDREN_MS = 5000,	/* for the kernel to end children that were killed */
};

struct jailer {
	int config_fd, client_fd;
	int lock_fd[PLAN_LOCKS];
	unsigned nlocks;
	struct config config;
	struct plan plan;
	struct opened opened;
	struct cgroup cgroup;
	struct spawn spawn;
	bool rundir;		/* something was made in it */
};

static bool number_after(char **argv, const char *name, int *fd)
{
	char *end;
	long n;

	if (argv[0] == NULL || argv[1] == NULL || strcmp(argv[0], name) != 0)
		return false;
	n = strtol(argv[1], &end, 10);
	*fd = (int)n;
	return *end == 0 && n >= 3 && n < 1024;
}

static bool arguments(struct jailer *j, int argc, char **argv)
{
	if (argc < 5 || argc > 5 + 2 * PLAN_LOCKS || argc % 2 == 0)
		return false;
	for (int at = 5; at < argc; at += 2)
		if (!number_after(argv + at, "--lock-fd", &j->lock_fd[j->nlocks++]))
			return false;
	return number_after(argv + 1, "--config-fd", &j->config_fd) &&
	       number_after(argv + 3, "--client-fd", &j->client_fd);
}

static int read_config(struct jailer *j, struct failure *f)
{
	static char text[CONFIG_BYTES_MAX + 1];
	size_t len = 0;
	ssize_t n;

	while ((n = read(j->config_fd, text + len, sizeof(text) - len)) > 0)
		len += (size_t)n;
	if (n < 0)
		return fail(f, errno, NULL, "read the configuration");
	close(j->config_fd);
	return config_parse(&j->config, text, len, f);
}

/* A directory, held to the end, would be a way to the rest of the file system. */
static int check_locks(const struct jailer *j, struct failure *f)
{
	for (unsigned i = 0; i < j->nlocks; i++) {
		struct stat st;

		if (fstat(j->lock_fd[i], &st) < 0)
			return fail(f, errno, NULL, "--lock-fd %d", j->lock_fd[i]);
		if (!S_ISREG(st.st_mode))
			return fail(f, 0, NULL, "--lock-fd %d: not a regular file", j->lock_fd[i]);
	}
	return 0;
}

static void make_plan(struct jailer *j)
{
	struct plan_caller who = { .uid = geteuid(), .gid = getegid() };

	plan_make(&j->plan, &j->config, &who);
	opened_init(&j->opened);
	j->opened.fd[OBJ_CLIENT][0] = j->client_fd;
	for (unsigned i = 0; i < j->nlocks; i++)
		j->opened.fd[OBJ_LOCK][i] = j->lock_fd[i];
	/* Optional: without it the debug console's bytes have nowhere to go. */
	if (j->config.console && fcntl(SUP_CONSOLE_OUT, F_GETFD) >= 0)
		j->opened.fd[OBJ_CONSOLE_OUT][0] = SUP_CONSOLE_OUT;
	j->spawn.plan = &j->plan;
	j->spawn.opened = &j->opened;
	j->spawn.cgroup = &j->cgroup;
}

/* Lets go of what was used for the last time. */
static int after(enum capability_step step, struct failure *f)
{
	int rc = capabilities_after(step);

	return rc != 0 ? fail(f, -rc, NULL, "drop capabilities") : 0;
}

/* Rootless there is nothing to keep before there is a namespace to keep it in. */
static int limit_capabilities(bool root, struct failure *f)
{
	int rc = root == (geteuid() == 0) ? capabilities_limit() : 0;

	return rc != 0 ? fail(f, -rc, NULL, "keep few capabilities") : 0;
}

/* Opens and makes everything; afterwards there is no file system to find anything in. */
static int gather(struct jailer *j, struct failure *f)
{
	if (limits_check(&j->plan, f) != 0 || cpu_restrict(&j->config, f) != 0 ||
	    supervise_prepare(&j->opened, f) != 0 || namespaces_start(&j->plan, f) != 0 ||
	    open_all(&j->opened, &j->plan, f) != 0 || after(CAPABILITY_TAP, f) != 0 ||
	    rundir_find(&j->opened, &j->plan, f) != 0)
		return -1;
	if (cgroup_make(&j->cgroup, &j->plan, &j->opened, f) != 0)
		return -1;
	for (unsigned i = 0; i < j->cgroup.n; i++)
		j->opened.cgroup[i] = j->cgroup.parent[i];
	j->opened.fd[OBJ_MEMORY_EVENTS][0] = j->cgroup.events;
	if (spawn_prepare(&j->spawn, f) != 0 || passt_start(&j->spawn, f) != 0 ||
	    namespaces_enter(&j->plan, f) != 0 ||
	    limit_capabilities(false, f) != 0 || after(CAPABILITY_TAP, f) != 0)
		return -1;
	return rundir_open(&j->opened, &j->plan, f) != 0 || passt_wait(&j->spawn, f) != 0 ||
	       rootfs_enter(f) != 0 ? -1 : 0;
}

static int build(struct jailer *j, struct failure *f)
{
	int rc;

	if (gather(j, f) != 0 || namespaces_network(f) != 0 ||
	    rundir_listen(&j->opened, &j->config, f) != 0)
		return -1;
	j->rundir = true;
	if (pages_make(&j->opened, &j->plan, f) != 0 || after(CAPABILITY_LISTEN, f) != 0 ||
	    spawn_all(&j->spawn, f) != 0 || after(CAPABILITY_SPAWN, f) != 0)
		return -1;
	rc = cgroup_leave(&j->cgroup);
	if (rc == 0)
		rc = namespaces_cgroup();
	if (rc != 0)
		return fail(f, -rc, NULL, "leave the cgroup");
	return after(CAPABILITY_LEAVE, f);
}

/* Kills the children that were started and waits for their end.  The first filter may be in
 * force already: this uses what the supervisor will.  A child that is observed stops once more
 * on its way out, and a second SIGKILL does not wake it: each stop is answered. */
static void end_children(struct jailer *j)
{
	const struct timespec moment = { .tv_nsec = 1000 * 1000 };
	int status, how;
	pid_t tid;
	long nr;

	for (unsigned i = 0; i < j->plan.nprocs; i++)
		if (j->spawn.pid[i] > 0)
			syscall(SYS_pidfd_send_signal, j->opened.fd[OBJ_PID][i], SIGKILL, NULL,
				0);
	if (j->spawn.passt > 0)
		syscall(SYS_pidfd_send_signal, j->opened.fd[OBJ_PASST_PID][0], SIGKILL, NULL, 0);
	for (int ms = 0; ms < CHILDREN_MS; ms++) {
		while ((tid = wait4(-1, &status, WNOHANG | __WALL, NULL)) > 0)
			if (WIFSTOPPED(status))
				violation_stopped(tid, status, &how, &nr);
		if (tid < 0)
			return;
		ppoll(NULL, 0, &moment, NULL);
	}
}

/* Takes back, in reverse order, what build() made before it failed. */
static void undo(struct jailer *j)
{
	struct failure ignored = { "" };

	if (j->plan.nprocs == 0)
		return;
	(void)!namespaces_network(&ignored);
	end_children(j);
	if (j->rundir)
		rundir_remove(j->opened.fd[OBJ_RUNDIR][0],
			      j->nlocks == 0 ? j->opened.fd[OBJ_RUNPARENT][0] : -1, &j->config);
	if (cgroup_leave(&j->cgroup) == 0)
		cgroup_remove(j->opened.cgroup, j->cgroup.n, j->cgroup.name, 100);
}

int main(int argc, char **argv)
{
	static struct jailer j;
	struct failure f = { "" };

	if (!arguments(&j, argc, argv)) {
		static const char usage[] =
			"usage: immure-jailer --config-fd N --client-fd N [--lock-fd N]...\n";

		if (write(STDERR_FILENO, usage, sizeof(usage) - 1) < 0)
			return EXIT_SETUP;
		return EXIT_USAGE;
	}
	close_range(3, ~0u, CLOSE_RANGE_CLOEXEC);
	if (limit_capabilities(true, &f) == 0 && check_locks(&j, &f) == 0 &&
	    read_config(&j, &f) == 0 &&
	    (config_has_tap(&j.config) || after(CAPABILITY_TAP, &f) == 0)) {
		make_plan(&j);
		if (build(&j, &f) == 0 && supervise_seal(&j.opened, &j.spawn, &f) == 0)
			_exit(supervise(&j.plan, &j.spawn, &j.cgroup));
		undo(&j);
	}
	if (j.opened.fd[OBJ_CLIENT][0] > 0)	/* moved, if the failure came very late */
		j.client_fd = j.opened.fd[OBJ_CLIENT][0];
	message_setup_failed(j.client_fd, &f);
	return EXIT_SETUP;
}
