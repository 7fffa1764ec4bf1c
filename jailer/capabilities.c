/* SPDX-License-Identifier: Apache-2.0 */
/* capabilities.c: the jailer's few capabilities, and how everything becomes none.
 *
 * Root is not all-powerful here: the table below is what building a VM takes, and each entry
 * goes when it was used for the last time, long before the first byte from a jailed process is
 * read.  Children get a full set in a user namespace of their own, where it lets them confine
 * themselves and nothing else.  Over them the jailer needs no capability: they are in a
 * namespace that belongs to its user id.
 *
 * The bounding set and the securebits need CAP_SETPCAP, changing ids needs CAP_SETUID, so the
 * other four sets go last.  The securebits make root an ordinary user, keep set-id changes
 * from touching capabilities, forbid ambient ones, and lock all of that.
 *
 * Plain system calls: dropping everything needs no bookkeeping, and a library that keeps some
 * asks the kernel some 130 questions more a process, which at this point is a tenth of the
 * time from start to sealed. */
#include "jailer/capabilities.h"

#include <errno.h>
#include <linux/capability.h>
#include <linux/securebits.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { CAPABILITIES_MAX = 64 };		/* bits in the kernel's sets */

const struct capability capabilities[JAILER_CAPABILITIES] = {
	{ CAP_SETPCAP, CAPABILITY_LOCK, "setpcap",
	  "empty the bounding set, lock the securebits" },
	{ CAP_NET_ADMIN, CAPABILITY_TAP, "net_admin",
	  "make a tap and bring it up, or attach to another user's; VMs without one: given up at once" },
	{ CAP_DAC_OVERRIDE, CAPABILITY_LISTEN, "dac_override",
	  "open images and directories of other users; make a cgroup in v1's read-only root" },
	{ CAP_SETUID, CAPABILITY_SPAWN, "setuid",
	  "map each process's user id into its user namespace" },
	{ CAP_SETGID, CAPABILITY_SPAWN, "setgid",
	  "map its group id, so that it may drop supplementary groups" },
	{ CAP_SYS_ADMIN, CAPABILITY_LEAVE, "sys_admin",
	  "load the packet wall; namespaces, mounts, change of the root directory" },
};

/* Keeps at most @keep of what the process has. */
static int keep_only(uint64_t keep)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct set[_LINUX_CAPABILITY_U32S_3];

	if (syscall(SYS_capget, &header, set) < 0)
		return -errno;
	for (unsigned i = 0; i < _LINUX_CAPABILITY_U32S_3; i++) {
		set[i].permitted &= (uint32_t)(keep >> 32 * i);
		set[i].effective = set[i].permitted;
		set[i].inheritable = 0;
	}
	return syscall(SYS_capset, &header, set) < 0 ? -errno : 0;
}

static uint64_t needed_after(enum capability_step step)
{
	uint64_t keep = 0;

	for (size_t i = 0; i < array_len(capabilities); i++)
		if (capabilities[i].until > step)
			keep |= 1ull << capabilities[i].number;
	return keep;
}

int capabilities_limit(void)
{
	int rc = capabilities_bound();

	return rc == 0 ? capabilities_after(CAPABILITY_LOCK) : rc;
}

int capabilities_after(enum capability_step step)
{
	return keep_only(needed_after(step));
}

int capabilities_bound(void)
{
	unsigned long bits = SECBIT_NOROOT | SECBIT_NOROOT_LOCKED |
			     SECBIT_NO_SETUID_FIXUP | SECBIT_NO_SETUID_FIXUP_LOCKED |
			     SECBIT_KEEP_CAPS_LOCKED |
			     SECBIT_NO_CAP_AMBIENT_RAISE | SECBIT_NO_CAP_AMBIENT_RAISE_LOCKED;
	unsigned long cap = 0;

	/* Up to the first number that the kernel does not know. */
	while (cap < CAPABILITIES_MAX && prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) == 0)
		cap++;
	if (cap == 0 || (cap < CAPABILITIES_MAX && errno != EINVAL))
		return -errno;
	return prctl(PR_SET_SECUREBITS, bits, 0, 0, 0) < 0 ? -errno : 0;
}

int capabilities_drop(void)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = { { 0 } };

	if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0 ||
	    syscall(SYS_capset, &header, none) < 0)
		return -errno;
	return 0;
}
