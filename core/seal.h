/* SPDX-License-Identifier: Apache-2.0 */
/* seal.h: the moment after which a process can gain nothing new.
 *
 * The filters are compiled from policy/NAME.policy at build time (policy/compile.c) into
 * read-only tables; each is the second filter of its thread, on top of the jailer's coarse one
 * (policy/jail.policy).  Default action: kill the process. */
#ifndef IMMURE_CORE_SEAL_H
#define IMMURE_CORE_SEAL_H

#include <linux/filter.h>

struct seal_filter {
	const char *name;			/* "blk", "vmm-vcpu", ... */
	unsigned short len;			/* instructions */
	const struct sock_filter *insns;
};

/* Generated, one per policy file: build/policy/NAME.c defines policy_NAME ('-' becomes '_'). */
extern const struct seal_filter policy_blk;
extern const struct seal_filter policy_blk_ro;
extern const struct seal_filter policy_vsock;
extern const struct seal_filter policy_vmm_main;
extern const struct seal_filter policy_vmm_vcpu;
extern const struct seal_filter policy_jail;
extern const struct seal_filter policy_jailer;
extern const struct seal_filter policy_supervisor;

/* Puts @f on the calling thread (not on others), for ever, and sets no_new_privs; the process is
 * not dumpable afterwards.  Returns 0 or
 * -errno; a caller that gets an error must not go on. */
int seal(const struct seal_filter *f);

#endif
