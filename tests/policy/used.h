/* SPDX-License-Identifier: Apache-2.0 */
/* used.h: what used.bpf.c counts, and used.c reads and writes down. */
#ifndef IMMURE_TESTS_POLICY_USED_H
#define IMMURE_TESTS_POLICY_USED_H

#include <linux/types.h>

/* Under which filters a thread is: by the tightest of them, one a policy file. */
enum used_kind {
	USED_JAIL,		/* from the coarse filter to the program's own */
	USED_JAILER,		/* the same of the supervisor */
	USED_SUPERVISOR,
	USED_BLK,
	USED_NET,
	USED_VSOCK,
	USED_MAIN,
	USED_VCPU,
	USED_KINDS,
};

enum {
	USED_NUMBERS = 512,	/* system calls: POLICY_SYSCALLS */
	USED_CALLS = 65536,	/* different ones that are told apart */
	USED_THREADS = 16384,
};

/* Which bits of the arguments any rule looks at; number kind * USED_NUMBERS + nr. */
struct used_mask {
	__u64 arg[6];
};

/* A call that was made, without the bits that no rule looks at. */
struct used_call {
	__u32 kind;
	__u32 nr;
	__u64 arg[6];
};

#endif
