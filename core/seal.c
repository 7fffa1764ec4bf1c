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
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef SYS_mseal
#define SYS_mseal 462			/* Linux 6.10 */
#endif

/* By the linker: where the program begins and ends. */
extern const char __ehdr_start[], _end[];

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

/* The segments lie next to each other, so one call does for all; were there a hole between two,
 * the kernel would refuse it (ENOMEM), and the program would not start. */
int seal_memory(void)
{
	const uintptr_t page = 4096;
	uintptr_t start = (uintptr_t)__ehdr_start & ~(page - 1);
	uintptr_t end = ((uintptr_t)_end + page - 1) & ~(page - 1);

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
