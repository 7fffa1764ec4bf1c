/* SPDX-License-Identifier: Apache-2.0 */
/* seal.c: puts a prebuilt seccomp filter on the calling thread.
 *
 * The raw system call, because there is nothing to build: the table was compiled and checked
 * when the program was.  No flag is set: TSYNC would answer a partial failure with a positive
 * thread id, and SPEC_ALLOW would take a mitigation away.  Exactly 0 is success. */
#include "core/seal.h"

#include <errno.h>
#include <linux/seccomp.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef SYS_mseal
#define SYS_mseal 462			/* Linux 6.10 */
#endif

#define PAGE ((uintptr_t)4096)

/* By the linker: where the program begins, where what the file holds of it ends, and the whole. */
extern const char __ehdr_start[], __bss_start[], _end[];

const struct seal_filter *policy_pick(const struct seal_policy *p, unsigned int when)
{
	unsigned int index = 0, weight = 1;

	for (unsigned int word = 1; word <= p->when; word <<= 1) {
		if ((p->when & word) == 0)
			continue;
		index += (when & word) != 0 ? weight : 0;
		weight <<= 1;
	}
	return &p->variant[index];
}

/* By ONFAULT: a page that is never needed is not held, and those of the C library's start are gone by
 * now.  Zeroed memory (.bss) is left out: it is in no file that it could be read from again. */
int hold_memory(void)
{
	static const uint64_t none[2];
	uintptr_t start = (uintptr_t)__ehdr_start & ~(PAGE - 1);
	uintptr_t end = ((uintptr_t)__bss_start + PAGE - 1) & ~(PAGE - 1);

	/* EPERM, ENOMEM: the limit that immure was started with is zero, or too low. */
	if (syscall(SYS_mlock2, start, end - start, (unsigned long)MLOCK_ONFAULT) < 0 &&
	    errno != EPERM && errno != ENOMEM)
		return -errno;
	return syscall(SYS_prlimit64, 0l, (long)RLIMIT_MEMLOCK, none, NULL) < 0 ? -errno : 0;
}

/* The segments lie next to each other, so one call does for all; were there a hole between two,
 * the kernel would refuse it (ENOMEM), and the program would not start. */
int seal_memory(void)
{
	uintptr_t start = (uintptr_t)__ehdr_start & ~(PAGE - 1);
	uintptr_t end = ((uintptr_t)_end + PAGE - 1) & ~(PAGE - 1);

	if (syscall(SYS_mseal, start, end - start, 0ul) < 0 && errno != ENOSYS)
		return -errno;
	return 0;
}

int seal(const struct seal_filter *f)
{
	struct sock_fprog prog = {
		.len = f->len,
		/* The kernel copies the table; its interface merely lacks the const. */
		.filter = (struct sock_filter *)(unsigned long)f->insns,
	};
	long rc;

	/* exec made the process dumpable again, and with that its memory open to whoever has
	 * its user id. */
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
	    prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0)
		return -errno;
	rc = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &prog);
	if (rc < 0)
		return -errno;
	return rc == 0 ? 0 : -EPROTO;
}
