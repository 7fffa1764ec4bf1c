/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only */
/* used.bpf.c: counts the system calls that processes of VMs make under their filters.
 *
 * The kernel asks the filters first and comes here with what they let pass, so nothing is
 * weakened to be observed.  What a thread lies under is kept from its birth: a child of the jailer
 * has what the jailer has, the filters are counted as they are put on, and a program is known by
 * the name of its file (its comm is "0", because it is executed by descriptor). */
#include "tests/policy/used.h"

#include <asm/unistd.h>
#include <linux/bpf.h>
#include <linux/seccomp.h>

#include <bpf/bpf_helpers.h>

/* Of the running kernel's types, what is looked at; libbpf finds out where it lies. */
#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)
struct pt_regs {
	unsigned long di, si, dx, r10, r8, r9;
};
struct task_struct {
	int pid, tgid;
};
struct qstr {
	const unsigned char *name;
};
struct dentry {
	struct qstr d_name;
};
struct path {
	struct dentry *dentry;
};
struct file {
	struct path f_path;
};
struct linux_binprm {
	struct file *file;
};
#pragma clang attribute pop

enum program { PROGRAM_NONE, PROGRAM_JAILER, PROGRAM_VMM, PROGRAM_BLK, PROGRAM_NET, PROGRAM_VSOCK };

struct thread {
	__u8 program;		/* enum program */
	__u8 child;		/* of the jailer, or what became of it */
	__u8 filters;		/* put on by this program */
	__u8 unused;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, USED_THREADS);
	__type(key, __u32);
	__type(value, struct thread);
} threads SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, USED_KINDS * USED_NUMBERS);
	__type(key, __u32);
	__type(value, struct used_mask);
} masks SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, USED_CALLS);
	__type(key, struct used_call);
	__type(value, __u64);
} calls SEC(".maps");

/* Calls or threads for which a map had no room. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} lost SEC(".maps");

static __always_inline void lose(void)
{
	__u32 zero = 0;
	__u64 *n = bpf_map_lookup_elem(&lost, &zero);

	if (n)
		__sync_fetch_and_add(n, 1);
}

static __always_inline void keep(__u32 tid, const struct thread *t)
{
	if (bpf_map_update_elem(&threads, &tid, t, BPF_ANY) != 0)
		lose();
}

static __always_inline void count(__u32 kind, __u32 nr, struct pt_regs *regs)
{
	__u32 slot = kind * USED_NUMBERS + nr;
	const struct used_mask *m = nr < USED_NUMBERS ? bpf_map_lookup_elem(&masks, &slot) : 0;
	struct used_call call = { .kind = kind, .nr = nr };
	__u64 one = 1, *n;

	if (!m) {
		lose();
		return;
	}
	call.arg[0] = regs->di & m->arg[0];
	call.arg[1] = regs->si & m->arg[1];
	call.arg[2] = regs->dx & m->arg[2];
	call.arg[3] = regs->r10 & m->arg[3];
	call.arg[4] = regs->r8 & m->arg[4];
	call.arg[5] = regs->r9 & m->arg[5];
	n = bpf_map_lookup_elem(&calls, &call);
	if (n)
		__sync_fetch_and_add(n, 1);
	else if (bpf_map_update_elem(&calls, &call, &one, BPF_NOEXIST) != 0)
		lose();
}

/* USED_KINDS: under no filter yet. */
static __always_inline __u32 kind_of(const struct thread *t, int main)
{
	switch (t->program) {
	case PROGRAM_JAILER:
		if (t->filters == 0)
			return USED_KINDS;
		if (t->child)
			return USED_JAIL;
		return t->filters == 1 ? USED_JAILER : USED_SUPERVISOR;
	case PROGRAM_VMM: return t->filters == 0 ? USED_JAIL : main ? USED_MAIN : USED_VCPU;
	case PROGRAM_BLK: return t->filters == 0 ? USED_JAIL : USED_BLK;
	case PROGRAM_NET: return t->filters == 0 ? USED_JAIL : USED_NET;
	case PROGRAM_VSOCK: return t->filters == 0 ? USED_JAIL : USED_VSOCK;
	}
	return USED_KINDS;
}

/* What follows is given what the kernel's tracepoint is given. */
SEC("tp_btf/sys_enter")
int used_call(__u64 *arg)
{
	struct pt_regs *regs = (struct pt_regs *)arg[0];
	long nr = (long)arg[1];
	__u64 who = bpf_get_current_pid_tgid();
	__u32 tid = (__u32)who, kind;
	struct thread *t = bpf_map_lookup_elem(&threads, &tid);

	if (!t)
		return 0;
	kind = kind_of(t, who >> 32 == tid);
	if (kind != USED_KINDS)
		count(kind, (__u32)nr, regs);
	if (nr == __NR_seccomp && regs->di == SECCOMP_SET_MODE_FILTER && t->filters < 2)
		t->filters++;
	return 0;
}

/* Filters are inherited. */
SEC("tp_btf/sched_process_fork")
int used_fork(__u64 *arg)	/* parent, child */
{
	struct task_struct *child = (struct task_struct *)arg[1];
	__u32 tid = (__u32)bpf_get_current_pid_tgid();
	struct thread *t = bpf_map_lookup_elem(&threads, &tid), born;

	if (!t)
		return 0;
	born = *t;
	born.child |= child->pid == child->tgid;
	keep((__u32)child->pid, &born);
	return 0;
}

static __always_inline int is(const char *name, const char *wanted)
{
	for (int i = 0; i < 16; i++) {
		if (name[i] != wanted[i])
			return 0;
		if (wanted[i] == '\0')
			return 1;
	}
	return 0;
}

/* A program of ours counts when the jailer has executed it, under the coarse filter. */
SEC("tp_btf/sched_process_exec")
int used_exec(__u64 *arg)	/* task, its number before, what is executed */
{
	struct linux_binprm *binprm = (struct linux_binprm *)arg[2];
	__u32 tid = (__u32)bpf_get_current_pid_tgid();
	struct thread *t = bpf_map_lookup_elem(&threads, &tid), next = { 0 };
	char name[16] = { 0 };

	bpf_probe_read_kernel_str(name, sizeof(name), binprm->file->f_path.dentry->d_name.name);
	if (t && t->program == PROGRAM_JAILER && t->child && t->filters == 1) {
		next.child = 1;
		next.program = is(name, "immure-vmm") ? PROGRAM_VMM :
			       is(name, "immure-blk") ? PROGRAM_BLK :
			       is(name, "immure-net") ? PROGRAM_NET :
			       is(name, "immure-vsock") ? PROGRAM_VSOCK : PROGRAM_NONE;
	} else if (is(name, "immure-jailer")) {
		next.program = PROGRAM_JAILER;
	}
	if (next.program != PROGRAM_NONE)
		keep(tid, &next);
	else if (t)
		bpf_map_delete_elem(&threads, &tid);
	return 0;
}

SEC("tp_btf/sched_process_exit")
int used_exit(__u64 *arg)
{
	__u32 tid = (__u32)bpf_get_current_pid_tgid();

	(void)arg;
	bpf_map_delete_elem(&threads, &tid);
	return 0;
}

/* Only to such programs the kernel shows its memory (a file's name). */
char used_license[] SEC("license") = "GPL";
