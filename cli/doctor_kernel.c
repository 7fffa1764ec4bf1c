/* SPDX-License-Identifier: Apache-2.0 */
/* doctor_kernel.c: which of the newer walls this kernel can build, found out by asking it. */
#include "cli/doctor_host.h"

#include <errno.h>
#include <linux/landlock.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef PR_GET_MDWE
#define PR_GET_MDWE 66			/* Linux 6.3 */
#endif
#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 8u		/* Linux 6.3 */
#endif
#ifndef SYS_mseal
#define SYS_mseal 462			/* Linux 6.10 */
#endif

enum { LANDLOCK_SCOPES = 6 };		/* ABI that can forbid signals and abstract sockets */

static void landlock(struct advices *to)
{
	static const char why[] = "from ABI 4 on Landlock also denies TCP, from 5 device ioctls, from 6 "
				  "signals and abstract sockets";
	static const char fix[] = "Linux 6.12 or later, with landlock in the lsm= list";
	long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);

	if (abi < 0)
		advise(to, "Landlock", ADVICE_GIVEN, why, fix, "%s", strerror(errno));
	else
		advise(to, "Landlock", abi >= LANDLOCK_SCOPES ? ADVICE_OK : ADVICE_GIVEN, why, fix, "ABI %ld",
		       abi);
}

static void feature(struct advices *to, const char *name, bool have, const char *why, const char *fix)
{
	advise(to, name, have ? ADVICE_OK : ADVICE_GIVEN, why, fix, have ? "there" : "not in this kernel");
}

static bool noexec_memfd(void)
{
	int fd = memfd_create("doctor", MFD_CLOEXEC | MFD_NOEXEC_SEAL);

	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

void advise_kernel(struct advices *to)
{
	landlock(to);
	feature(to, "memory-deny-write-execute", prctl(PR_GET_MDWE, 0L, 0L, 0L, 0L) >= 0,
		"a process can never make memory executable that it could write", "Linux 6.3 or later");
	feature(to, "memfd that is never executable", noexec_memfd(),
		"guest memory could not be executed as a program", "Linux 6.3 or later");
	feature(to, "mseal", syscall(SYS_mseal, 0L, 0L, 0L) == 0,
		"a process cannot replace its own code in memory", "Linux 6.10 or later");
}
