/* SPDX-License-Identifier: Apache-2.0 */
/* supervise_seal.c: the jailer locks itself in.
 *
 * Up to here the process could do everything its caller could; from here on it reads bytes
 * that jailed processes wrote.  What stays: its user id without capabilities, the descriptors
 * of the plan, about twenty system calls, and by Landlock the right to remove (not to open)
 * the sockets, the directory and the cgroup of this VM, and to connect to sockets beside them.
 * Like the other processes it lies under two filters: policy/jailer.policy, put on first, leaves
 * what locking oneself in takes.
 */
#include "jailer/supervise.h"
#include "core/seal.h"
#include "jailer/capabilities.h"
#include "jailer/landlock.h"
#include "jailer/limits.h"
#include "jailer/place.h"
#include "jailer/violation.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

int supervise_prepare(struct opened *o, struct failure *f)
{
	sigset_t set;
	int *sig = opened_at(o, OBJ_SIGNAL, 0), *timer = opened_at(o, OBJ_TIMER, 0);

	/* A caller that ignores SIGCHLD would have the kernel reap our children unseen. */
	signal(SIGCHLD, SIG_DFL);
	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	if (sigprocmask(SIG_SETMASK, &set, NULL) < 0)
		return fail(f, errno, NULL, "block signals");
	*sig = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	*timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (*sig < 0 || *timer < 0)
		return fail(f, errno, NULL, "make descriptors for signals and time");
	return 0;
}

/* Places the plan's descriptors and closes all others. */
static int claim_descriptors(struct opened *o, const struct plan_process *pp)
{
	struct place all[PLAN_FDS];
	bool planned[SUP_NFDS] = { false };
	unsigned last = 0;
	size_t n = 0;
	int rc;

	for (unsigned i = 0; i < pp->nfds; i++) {
		int from = *opened_at(o, pp->fd[i].object, pp->fd[i].index);

		if (from < 0)	/* a console nobody wants, a cgroup the host does not have */
			continue;
		planned[pp->fd[i].number] = true;
		last = pp->fd[i].number > last ? pp->fd[i].number : last;
		all[n++] = (struct place){ from, pp->fd[i].number };
	}
	rc = place_all(all, n, SUP_NFDS);
	if (rc != 0)
		return rc;
	for (unsigned i = 0; i < pp->nfds; i++) {
		int *at = opened_at(o, pp->fd[i].object, pp->fd[i].index);

		*at = *at < 0 ? -1 : pp->fd[i].number;
	}
	for (unsigned fd = 0, gap = 0; fd < SUP_NFDS; fd++) {
		if (planned[fd] && gap < fd)
			close_range(gap, fd - 1, 0);
		gap = planned[fd] ? fd + 1 : gap;
	}
	return close_range(last + 1, ~0u, 0) < 0 ? -errno : 0;
}

static int deny_files(const struct opened *o, int abi)
{
	struct landlock_allow allow[2 + PLAN_CGROUP_FDS];
	size_t n = 0;

	if (o->fd[OBJ_RUNDIR][0] >= 0)
		allow[n++] = (struct landlock_allow){
			SUP_RUNDIR, LANDLOCK_REMOVE_FILE | LANDLOCK_RESOLVE_UNIX,
		};
	if (o->fd[OBJ_RUNPARENT][0] >= 0)
		allow[n++] = (struct landlock_allow){ SUP_RUNPARENT, LANDLOCK_REMOVE_DIR };
	for (int i = 0; i < PLAN_CGROUP_FDS && o->cgroup[i] >= 0; i++)
		allow[n++] = (struct landlock_allow){ SUP_CGROUP0 + i, LANDLOCK_REMOVE_DIR };
	return landlock_deny(abi, LANDLOCK_SCOPE_SIGNALS_PASS, allow, n);
}

int supervise_seal(struct opened *o, const struct spawn *s, struct failure *f)
{
	int rc;

	violation_pump();
	rc = limits_code();
	if (rc == 0)
		rc = hold_memory();
	if (rc == 0)
		rc = seal_memory();
	if (rc == 0)
		rc = seal(&policy_jailer);
	if (rc == 0)
		rc = claim_descriptors(o, &s->plan->supervisor);

	/* Connections for the guest are made relative to the sockets' directory. */
	if (rc == 0 && o->fd[OBJ_RUNDIR][0] >= 0 && fchdir(SUP_RUNDIR) < 0)
		rc = -errno;
	if (rc == 0)
		rc = capabilities_drop();
	/* Landlock insists on it from a process without capabilities. */
	if (rc == 0 && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		rc = -errno;
	if (rc == 0)
		rc = deny_files(o, s->landlock);
	if (rc == 0)
		rc = limits_apply(&s->plan->supervisor.limits, 0);
	if (rc == 0)
		rc = seal(policy_pick(&policy_supervisor, plan_when(s->plan, &s->plan->supervisor)));
	return rc == 0 ? 0 : fail(f, -rc, "run `immure doctor`", "seal the supervisor");
}
