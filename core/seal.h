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
	const char *name;			/* "vsock", "blk+writable", ... */
	unsigned short len;			/* instructions */
	const struct sock_filter *insns;
};

/* What a configuration has.  `when console` on a line of a policy file leaves the rule out of
 * the filters for configurations without. */
#define WHEN_WORDS(X)                                                                   \
	X(WHEN_WRITABLE, writable, 0)	/* the disk */                                  \
	X(WHEN_CONSOLE, console, 1)	/* a debug console */                           \
	X(WHEN_INITRAMFS, initramfs, 2)                                                 \
	X(WHEN_DEVICES, devices, 3)	/* at least one */                              \
	X(WHEN_VSOCK, vsock, 4)                                                         \
	X(WHEN_RUNDIR, rundir, 5)	/* a run directory */                           \
	X(WHEN_CGROUP, cgroup, 6)                                                       \
	X(WHEN_DISCARD, discard, 7)	/* the disk may give storage back */            \
	X(WHEN_OVERLAY, overlay, 8)	/* it lies over another one, which is only read */ \
	X(WHEN_DIRECT, direct, 9)	/* it is past the host's cache: threads */

#define WHEN_ENUM(name, word, bit) name = 1 << bit,
enum when { WHEN_WORDS(WHEN_ENUM) };
#undef WHEN_ENUM

/* Can a configuration have @when, of the words @all and no others?  What gives storage back or lies over
 * something may be written, and an overlay goes by way of the host's cache. */
static inline _Bool when_possible(unsigned int all, unsigned int when)
{
	const unsigned int both = WHEN_OVERLAY | WHEN_DIRECT;

	if ((when & (WHEN_DISCARD | WHEN_OVERLAY)) != 0 && (all & ~when & WHEN_WRITABLE) != 0)
		return 0;
	return (when & both) != both;
}

/* A policy that depends on the configuration: one filter for each subset of @when, in counting
 * order; for one that no configuration can have, one that the kernel refuses. */
struct seal_policy {
	unsigned int when;			/* enum when, those the file uses */
	const struct seal_filter *variant;
};

/* Generated, one per policy file: build/policy/NAME.c defines policy_NAME ('-' becomes '_'). */
extern const struct seal_policy policy_blk;
extern const struct seal_policy policy_vmm_main;
extern const struct seal_policy policy_vmm_vcpu;
extern const struct seal_policy policy_supervisor;
extern const struct seal_filter policy_net;
extern const struct seal_filter policy_vsock;
extern const struct seal_filter policy_jail;
extern const struct seal_filter policy_jailer;

/* The filter for a configuration that has @when; words that @p does not use change nothing. */
const struct seal_filter *policy_pick(const struct seal_policy *p, unsigned int when);

/* Holds the program's pages in memory from their first use on, and gives up the right to lock any more
 * (RLIMIT_MEMLOCK becomes 0).  They count as their VM's, and a VM at its memory limit would otherwise read
 * them from their file again and again instead of ending.  A limit too low for it is no error: they are
 * not held then.  Returns 0 or -errno. */
int hold_memory(void);

/* Makes the program's image (text, constants, relocations, data) unmappable and its protections
 * final, where the kernel can (6.10).  Returns 0 or -errno. */
int seal_memory(void);

/* Puts @f on the calling thread (not on others), for ever, and sets no_new_privs; the process is
 * not dumpable afterwards.  Returns 0 or
 * -errno; a caller that gets an error must not go on. */
int seal(const struct seal_filter *f);

#endif
