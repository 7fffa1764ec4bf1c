/* SPDX-License-Identifier: Apache-2.0 */
/* passt.c: starts the host's passt, of which nothing is ours but how it is started.
 *
 * passt turns frames of the guest into sockets of the host's network, so it cannot live in the VM's
 * namespaces: it is the one process that does not.  It gets what would be the user's own rights to
 * the network and nothing else: of root a user id that nobody has, below a user namespace that is the
 * jailer's, which is why the supervisor may kill it without any capability; else the caller's.  It is
 * in the VM's cgroup, holds its log and its end of the socket, has no environment, and cannot gain
 * privileges.  Then it locks itself in: a user namespace, an empty root, no capability, a filter of
 * system calls (passt(1)).  The VM is not started before the kernel says that this filter is there.
 *
 * It ends with its socket, at the latest when immure-net ends; with its parent (PDEATHSIG); and by
 * the supervisor, which does not call the VM over while it runs.  If it ends before, the guest's link
 * is down and the VM goes on: it may have work without a network. */
#include "jailer/passt.h"
#include "core/log.h"
#include "jailer/config_user.h"
#include "jailer/limits.h"
#include "jailer/namespaces.h"
#include "jailer/path.h"
#include "jailer/place.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <linux/sched.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
	FD_PROGRAM = PASST_NFDS,
	FD_GATE,
	FDS,
	FAILED_STATUS = 127,
	WAIT_MS = 10000,	/* for passt to lock itself in */
	LOG_BYTES = 4096,	/* what it says meanwhile */
};

/* The gateway's address, the same for every guest: the host's own is not the guest's to know. */
#define GATEWAY_MAC "9a:55:9a:55:9a:55"

static const char *const places[] = USER_PASST_PLACES;

void passt_args(struct passt_args *a, const struct config_net *net)
{
	const struct config_user *u = &net->user;
	const char *const all[] = {
		"passt", "--foreground", "--stderr", "--quiet", "--fd", a->fd, "--ipv4-only",
		"--address", u->host, "--netmask", a->prefix, "--gateway", u->gateway,
		"--mac-addr", GATEWAY_MAC, "--mtu", a->mtu,
		/* Nobody connects to the guest, and it to nothing of ours by way of the gateway. */
		"--tcp-ports", "none", "--udp-ports", "none", "--no-map-gw",
		/* immure-init sets its addresses up. */
		"--no-dhcp", "--no-dhcpv6", "--no-ndp", "--no-ra", "--search", "none",
		u->dns != NULL ? "--dns-forward" : "--dns", u->dns != NULL ? u->dns : "none",
	};

	_Static_assert(array_len(all) < PASST_ARGS, "room for all");
	*a = (struct passt_args){ .fd = "" };
	log_format(a->fd, sizeof(a->fd), "%u", (unsigned)PASST_NET);
	log_format(a->prefix, sizeof(a->prefix), "%u", u->prefix);
	log_format(a->mtu, sizeof(a->mtu), "%u", net->mtu);
	memcpy(a->argv, all, sizeof(all));
}

/* ---- before ---- */

/* A descriptor, or -errno. */
static int find_program(void)
{
	int fd = -ENOENT;
	struct stat st;

	for (size_t i = 0; i < array_len(places) && fd == -ENOENT; i++)
		fd = path_open_named(places[i], O_PATH);
	if (fd < 0)
		return fd;
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode))
		return fd;
	close(fd);
	return -ENOEXEC;
}

int passt_open(struct opened *o, const struct plan *p, struct failure *f)
{
	int ends[2], log[2];

	if (p->passt.name[0] == 0)
		return 0;
	o->program[PROGRAM_PASST] = find_program();
	if (o->program[PROGRAM_PASST] < 0)
		return fail(f, -o->program[PROGRAM_PASST], "install it: apt install passt",
			    "network of user mode: %s", places[0]);
	/* Its end waits, as it expects; immure-net makes its own not to. */
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0)
		return fail(f, errno, "raise the limit of open files", "socketpair");
	o->fd[OBJ_PASST_NET][0] = ends[0];
	o->fd[OBJ_PASST][0] = ends[1];
	if (pipe2(log, O_CLOEXEC | O_NONBLOCK) < 0)
		return fail(f, errno, "raise the limit of open files", "pipe");
	o->fd[OBJ_PASST_LOG_READ][0] = log[0];
	o->fd[OBJ_PASST_LOG_WRITE][0] = log[1];
	return 0;
}

/* ---- the child: says what failed where passt would ---- */

static int wait_for_parent(int gate)
{
	char go;
	ssize_t n = read(gate, &go, sizeof(go));

	return n == (ssize_t)sizeof(go) ? 0 : n < 0 ? -errno : -EPIPE;
}

static int change_ids(const struct plan_process *pp, bool root)
{
	if (!root)
		return 0;
	if (syscall(SYS_setgroups, 0, NULL) < 0 ||
	    syscall(SYS_setresgid, pp->gid, pp->gid, pp->gid) < 0 ||
	    syscall(SYS_setresuid, pp->uid, pp->uid, pp->uid) < 0)
		return -errno;
	return 0;
}

/* It raises its own limit of open files to what it may; a host's that is lower stays. */
static int limit(const struct plan_limits *wanted)
{
	struct plan_limits l = *wanted;
	struct rlimit now;

	if (getrlimit(RLIMIT_NOFILE, &now) < 0)
		return -errno;
	l.nofile = min_u64(l.nofile, now.rlim_max);
	return limits_apply(&l, 0);
}

static int place(const struct spawn *s)
{
	const struct plan_process *pp = &s->plan->passt;
	struct place all[PASST_NFDS + 1];
	size_t n = 0;
	int rc;

	for (; n < pp->nfds; n++)
		all[n] = (struct place){ *opened_at(s->opened, pp->fd[n].object, 0), pp->fd[n].number };
	all[n++] = (struct place){ s->opened->program[PROGRAM_PASST], FD_PROGRAM };
	rc = place_all(all, n, FDS);
	if (rc == 0 && (fcntl(FD_PROGRAM, F_SETFD, FD_CLOEXEC) < 0 ||
			close_range(FD_PROGRAM + 1, ~0u, 0) < 0))
		rc = -errno;
	return rc;
}

/* Nothing of the jailer's that passt would inherit; and it ends with it. */
static int detach(pid_t jailer)
{
	sigset_t none;

	sigemptyset(&none);
	signal(SIGPIPE, SIG_DFL);
	sigprocmask(SIG_SETMASK, &none, NULL);
	setsid();
	if (chdir("/") < 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
	    prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0)
		return -errno;
	return getppid() == jailer ? 0 : -ESRCH;
}

static _Noreturn void child(const struct spawn *s, const struct passt_args *a, pid_t jailer)
{
	static const char *const envp[] = { NULL };
	const struct plan_process *pp = &s->plan->passt;
	int log = *opened_at(s->opened, OBJ_PASST_LOG_WRITE, 0), rc;
	const char *step = "wait for the jailer";
	char text[128];

	close(s->gate[1]);
	rc = wait_for_parent(s->gate[0]);
	if (rc == 0) {
		step = "change user and group";
		rc = change_ids(pp, s->plan->root);
	}
	if (rc == 0) {
		step = "place descriptors";
		rc = place(s);
		log = PASST_ERR;
	}
	if (rc == 0) {
		step = "leave the jailer behind";
		rc = detach(jailer);
	}
	if (rc == 0) {
		step = "set resource limits";
		rc = limit(&pp->limits);
	}
	if (rc == 0) {
		step = "execute the program";
		syscall(SYS_execveat, FD_PROGRAM, "", a->argv, envp, AT_EMPTY_PATH);
		rc = -errno;
	}
	log_format(text, sizeof(text), "%s: %s\n", step, strerror(-rc));
	(void)!write(log, text, strlen(text));
	_exit(FAILED_STATUS);
}

/* ---- the parent ---- */

static pid_t clone_child(struct spawn *s, bool into)
{
	struct clone_args args = {
		.flags = CLONE_PIDFD | (s->plan->root ? CLONE_NEWUSER : 0), .exit_signal = SIGCHLD,
		.pidfd = (uint64_t)(uintptr_t)opened_at(s->opened, OBJ_PASST_PID, 0),
	};

	if (into) {
		args.flags |= CLONE_INTO_CGROUP;
		args.cgroup = (unsigned)s->cgroup->into;
	}
	return (pid_t)syscall(SYS_clone3, &args, sizeof(args));
}

/* Gives it its id, and lets it go on. */
static int admit(struct spawn *s, struct failure *f)
{
	const struct plan_process *pp = &s->plan->passt;
	int rc = s->plan->root ? namespaces_map(s->proc, s->passt, pp->uid, pp->gid) : 0;

	if (rc != 0)
		return fail(f, -rc, "root of a user namespace is not enough: run it as a user",
			    "map the ids of passt");
	(void)!write(s->gate[1], "", 1);
	return 0;
}

int passt_start(struct spawn *s, struct failure *f)
{
	const struct config *c = s->plan->config;
	static struct passt_args a;
	pid_t jailer = getpid();
	int rc;

	if (s->plan->passt.name[0] == 0)
		return 0;
	passt_args(&a, config_net(c, (uint32_t)config_user_net(c)));
	if (pipe2(s->gate, O_CLOEXEC) < 0)
		return fail(f, errno, NULL, "make a pipe");
	s->passt = clone_child(s, s->cgroup->into >= 0);
	if (s->passt < 0 && s->cgroup->into >= 0 && !s->plan->root) {
		cgroup_refused(s->cgroup);
		s->passt = clone_child(s, false);
	}
	if (s->passt == 0)
		child(s, &a, jailer);
	if (s->passt < 0)
		return fail(f, errno, "run `immure doctor`", "start passt");
	close(s->gate[0]);
	rc = admit(s, f);
	close(s->gate[1]);
	/* Its end of the socket is its alone: so each side sees the other's end. */
	close(s->opened->fd[OBJ_PASST][0]);
	close(s->opened->fd[OBJ_PASST_LOG_WRITE][0]);
	return rc;
}

static bool ended(const struct spawn *s)
{
	siginfo_t si = { 0 };

	return waitid(P_PID, (id_t)s->passt, &si, WEXITED | WNOHANG | WNOWAIT) == 0 && si.si_pid != 0;
}

/* Is its filter there?  Also when that cannot be seen, because processes are hidden from others. */
static bool sealed(const struct spawn *s)
{
	static const char mode[] = "\nSeccomp:\t2\n";
	char path[32], text[4096];
	ssize_t n;
	int fd;

	log_format(path, sizeof(path), "%d/status", (int)s->passt);
	fd = path_open(s->proc, path, O_RDONLY, PATH_BELOW);
	if (fd < 0)
		return true;
	n = read(fd, text, sizeof(text) - 1);
	close(fd);
	text[n > 0 ? n : 0] = 0;
	return n <= 0 || strstr(text, mode) != NULL;
}

/* Its last word, one line.  It also complains of a host without a system log. */
static const char *last_word(const struct spawn *s, char *text, size_t size)
{
	ssize_t n = read(*opened_at(s->opened, OBJ_PASST_LOG_READ, 0), text, size - 1);
	char *word = NULL, *rest = NULL;

	text[n > 0 ? n : 0] = 0;
	for (char *line = strtok_r(text, "\n", &rest); line != NULL; line = strtok_r(NULL, "\n", &rest))
		if (strstr(line, "to syslog") == NULL)
			word = line;
	return word != NULL ? word : "it ended without a word";
}

int passt_wait(struct spawn *s, struct failure *f)
{
	const struct timespec moment = { .tv_nsec = 1000 * 1000 };
	static char text[LOG_BYTES];

	if (s->plan->passt.name[0] == 0)
		return 0;
	for (int ms = 0; ms < WAIT_MS && !ended(s); ms++) {
		if (sealed(s) && !ended(s))
			return 0;
		ppoll(NULL, 0, &moment, NULL);
	}
	if (!ended(s))
		return fail(f, 0, "see `passt --foreground`", "passt does not lock itself in");
	return fail(f, 0, "it needs a default route of IPv4; see `passt --foreground`", "passt: %.200s",
		    last_word(s, text, sizeof(text)));
}
