/* SPDX-License-Identifier: Apache-2.0 */
/* limits.c: what even an unfiltered process could not exceed.
 *
 * CORE 0 because a core would contain guest memory.  FSIZE: nobody writes files but a block
 * device process, and that never beyond what its image may come to.  MSGQUEUE, NICE and RTPRIO 0:
 * nothing of ours queues or wants priority.  MEMLOCK: a program locks itself and then sets it to 0. */
#include "jailer/limits.h"

#include <errno.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef PR_SET_MDWE
#define PR_SET_MDWE 65			/* Linux 6.3 */
#define PR_MDWE_REFUSE_EXEC_GAIN 1
#endif

int limits_code(void)
{
	if (prctl(PR_SET_MDWE, PR_MDWE_REFUSE_EXEC_GAIN, 0, 0, 0) < 0 && errno != EINVAL)
		return -errno;
	return 0;
}

/* The system call itself: what type a resource has, C libraries do not agree on. */
static int limit(int what, uint64_t value)
{
	const uint64_t r[2] = { value, value };		/* soft, hard */

	return syscall(SYS_prlimit64, 0, (long)what, r, NULL) < 0 ? -errno : 0;
}

/* What may be locked at most; a host may allow less than we would take. */
static uint64_t lockable(void)
{
	uint64_t now[2] = { 0 };

	return syscall(SYS_prlimit64, 0, (long)RLIMIT_MEMLOCK, NULL, now) < 0 ? 0 : now[1];
}

int limits_check(const struct plan *p, struct failure *f)
{
	uint64_t need = p->supervisor.limits.nofile, now[2] = { 0 };

	for (unsigned i = 0; i < p->nprocs; i++)
		if (p->proc[i].limits.nofile > need)
			need = p->proc[i].limits.nofile;
	if (syscall(SYS_prlimit64, 0, (long)RLIMIT_NOFILE, NULL, now) < 0)
		return fail(f, errno, NULL, "read the limit of open files");
	if (now[1] < need)
		return fail(f, 0, "raise the hard limit (ulimit -Hn)",
			    "%llu open files are allowed, %llu needed",
			    (unsigned long long)now[1], (unsigned long long)need);
	return 0;
}

int limits_apply(const struct plan_limits *l, uint64_t fsize)
{
	const struct {
		int what;
		uint64_t value;
	} all[] = {
		{ RLIMIT_CORE, 0 },	{ RLIMIT_MSGQUEUE, 0 },	{ RLIMIT_NICE, 0 },
		{ RLIMIT_RTPRIO, 0 },	{ RLIMIT_NOFILE, l->nofile },	{ RLIMIT_NPROC, l->nproc },
		{ RLIMIT_MEMLOCK, min_u64(l->memlock, lockable()) },
	};

	for (size_t i = 0; i < array_len(all); i++) {
		int rc = limit(all[i].what, all[i].value);

		if (rc != 0)
			return rc;
	}
	if (l->fsize == PLAN_FSIZE_ANY || (l->fsize == PLAN_FSIZE_DISK && fsize == 0))
		return 0;
	return limit(RLIMIT_FSIZE, l->fsize == PLAN_FSIZE_DISK ? fsize : l->fsize);
}
