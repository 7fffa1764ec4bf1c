/* SPDX-License-Identifier: Apache-2.0 */
/* capabilities.c: gives up all capabilities, in the order the kernel allows.
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
