/* SPDX-License-Identifier: Apache-2.0 */
/* compile_bpf.c: policy → classic BPF, by libseccomp.
 *
 * Another architecture's calls (i386 by int 0x80) and x32 numbers are killed first; the
 * default kills the process; comparisons are on all 64 bits of an argument.  That last point
 * is why `fd >= X` is not SCMP_CMP_GE: the kernel uses the low 32 bits of a descriptor, so
 * with a 64-bit "greater or equal" the value 2^32 + 5 would reach descriptor 5.  The range is
 * cut into aligned power-of-two blocks instead, each an exact masked comparison; libseccomp
 * takes one comparison per argument and rule, so a block is a rule of its own. */
#include "policy/compile.h"

#include <errno.h>
#include <seccomp.h>

enum { TREE_FROM = 8 };		/* distinct calls from which a binary tree pays */

static struct scmp_arg_cmp comparison(const struct policy_cond *c)
{
	if (c->mask == UINT64_MAX)
		return (struct scmp_arg_cmp){ c->arg, SCMP_CMP_EQ, c->value, 0 };
	return (struct scmp_arg_cmp){ c->arg, SCMP_CMP_MASKED_EQ, c->mask, c->value };
}

static int add_range(scmp_filter_ctx ctx, const struct policy_rule *r,
		     struct scmp_arg_cmp cmp[], unsigned int which)
{
	const struct policy_cond *c = &r->cond[which];
	int err = 0;

	for (uint64_t start = c->value; start < POLICY_FD_END && !err;) {
		uint64_t size = start ? start & -start : POLICY_FD_END;

		while (start + size > POLICY_FD_END)
			size /= 2;
		cmp[which].arg = c->arg;
		cmp[which].op = SCMP_CMP_MASKED_EQ;
		cmp[which].datum_a = ~(size - 1);
		cmp[which].datum_b = start;
		err = seccomp_rule_add_array(ctx, SCMP_ACT_ALLOW, r->nr, r->nconds, cmp);
		start += size;
	}
	return err;
}

static int add_rule(scmp_filter_ctx ctx, const struct policy_rule *r)
{
	struct scmp_arg_cmp cmp[POLICY_CONDS];
	unsigned int range = POLICY_CONDS;

	for (unsigned int i = 0; i < r->nconds; i++) {
		if (r->cond[i].op == POLICY_FROM)
			range = i;
		else
			cmp[i] = comparison(&r->cond[i]);
	}
	if (range < POLICY_CONDS)
		return add_range(ctx, r, cmp, range);
	return seccomp_rule_add_array(ctx, SCMP_ACT_ALLOW, r->nr, r->nconds, cmp);
}

static unsigned int distinct_calls(const struct policy *p)
{
	bool seen[POLICY_SYSCALLS] = { false };
	unsigned int n = 0;

	for (size_t i = 0; i < p->nrules; i++) {
		n += !seen[p->rule[i].nr];
		seen[p->rule[i].nr] = true;
	}
	return n;
}

static int build(scmp_filter_ctx ctx, const struct policy *p, int fd)
{
	int err = 0;

	if (seccomp_arch_exist(ctx, SCMP_ARCH_X86_64) == -EEXIST) {
		err = seccomp_arch_add(ctx, SCMP_ARCH_X86_64);
		if (!err)
			err = seccomp_arch_remove(ctx, SCMP_ARCH_NATIVE);
	}
	if (!err)
		err = seccomp_attr_set(ctx, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
	if (!err && distinct_calls(p) >= TREE_FROM)
		err = seccomp_attr_set(ctx, SCMP_FLTATR_CTL_OPTIMIZE, 2);
	for (size_t i = 0; i < p->nrules && !err; i++)
		err = add_rule(ctx, &p->rule[i]);
	return err ? err : seccomp_export_bpf(ctx, fd);
}

int policy_compile(const struct policy *p, int fd)
{
	scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_KILL_PROCESS);
	int err;

	if (!ctx)
		return -ENOMEM;
	err = build(ctx, p, fd);
	seccomp_release(ctx);
	return err;
}
