/* SPDX-License-Identifier: Apache-2.0 */
/* cpu.c: speculation, and who runs on the other thread of a core.
 *
 * Both are asked for because somebody relies on them, so a host that cannot do it is an error
 * and not a remark.  It is none where there is nothing to do: on a processor that does not have
 * the flaw, on a host that forbids the speculation to all, or without hyperthreads. */
#include "jailer/cpu.h"
#include "jailer/path.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/prctl.h>
#include <unistd.h>

#ifndef PR_SCHED_CORE
#define PR_SCHED_CORE 62		/* Linux 5.14 */
#define PR_SCHED_CORE_CREATE 1
#define PR_SCHED_CORE_SCOPE_THREAD 0
#endif

static const struct {
	unsigned long number;
	const char *name, *advice;
} kinds[] = {
	{ PR_SPEC_STORE_BYPASS, "past stores",
	  "boot without mitigations=off and spec_store_bypass_disable=off" },
	{ PR_SPEC_INDIRECT_BRANCH, "on indirect branches",
	  "boot without mitigations=off and spectre_v2_user=off" },
};

static int restrict_speculation(struct failure *f)
{
	for (size_t i = 0; i < array_len(kinds); i++) {
		int state;

		/* A refusal may mean that nothing is left to do: the state tells. */
		(void)!prctl(PR_SET_SPECULATION_CTRL, kinds[i].number, PR_SPEC_FORCE_DISABLE, 0, 0);
		state = prctl(PR_GET_SPECULATION_CTRL, kinds[i].number, 0, 0, 0);
		if (state < 0 || ((unsigned)state & PR_SPEC_ENABLE) != 0)
			return fail(f, 0, kinds[i].advice,
				    "speculation: this host cannot keep a process from speculating %s",
				    kinds[i].name);
	}
	return 0;
}

/* Does a core of this host run several threads at a time, for all that we can find out? */
static bool hyperthreads(void)
{
	int fd = path_open(AT_FDCWD, "/sys/devices/system/cpu/smt/active", O_RDONLY, PATH_HOST);
	char active = '1';

	if (fd < 0)
		return true;
	if (read(fd, &active, 1) != 1)
		active = '1';
	close(fd);
	return active != '0';
}

static int own_cores(struct failure *f)
{
	int err = 0;

	if (prctl(PR_SCHED_CORE, PR_SCHED_CORE_CREATE, 0, PR_SCHED_CORE_SCOPE_THREAD, 0) < 0)
		err = errno;
	/* ENODEV is how the kernel says that no core has a second thread, EINVAL that it has no
	 * core scheduling. */
	if (err == 0 || err == ENODEV || (err == EINVAL && !hyperthreads()))
		return 0;
	if (err == EINVAL)
		return fail(f, 0, "turn SMT off, or boot a kernel that has it (CONFIG_SCHED_CORE)",
			    "core scheduling: not in this kernel, and its cores have several threads");
	return fail(f, err, NULL, "core scheduling");
}

int cpu_restrict(const struct config *c, struct failure *f)
{
	if (c->speculation_restrict && restrict_speculation(f) != 0)
		return -1;
	return c->core_scheduling ? own_cores(f) : 0;
}
