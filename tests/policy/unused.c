/* SPDX-License-Identifier: Apache-2.0 */
/* unused.c: which rules did nobody need?
 *
 *   perf script -F comm,pid,tid,trace | unused NAME.policy...
 *
 * Reads the system calls that processes of VMs made while something ran ("immure-blk 12/12
 * NR 1 (6, 7ffd…, 8, 0, 0, 0)") and prints every rule that none of them, made by a sealed
 * thread, satisfied: such a rule is either not tested or not needed.  A thread is sealed after
 * its own seccomp() calls: one in a program, two in the supervisor, which has the jailer's
 * name. */
#include "policy/compile.h"

#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>

enum { POLICIES = 16, THREADS = 65536 };

static struct watched {
	char name[32];
	struct policy policy;
	bool used[POLICY_RULES];
} watched[POLICIES];

static size_t nwatched;
static struct { char comm[16]; unsigned char seals; } thread[THREADS];

static bool satisfies(const struct policy_rule *r, int nr, const uint64_t args[6])
{
	static struct policy one;

	one.nrules = 1;
	one.rule[0] = *r;
	return policy_allows(&one, nr, args);
}

static void use(const char *name, int nr, const uint64_t args[6])
{
	for (size_t i = 0; i < nwatched; i++) {
		struct watched *w = &watched[i];

		if (strcmp(w->name, name) != 0)
			continue;
		for (size_t r = 0; r < w->policy.nrules; r++)
			w->used[r] |= satisfies(&w->policy.rule[r], nr, args);
	}
}

static void count(const char *comm, unsigned int pid, unsigned int tid, int nr,
		  const uint64_t args[6])
{
	unsigned int wanted = strcmp(comm, "immure-jailer") == 0 ? 2 : 1;

	if (strcmp(thread[tid].comm, comm) != 0) {	/* a new program, or a reused number */
		thread[tid].seals = 0;
		snprintf(thread[tid].comm, sizeof(thread[tid].comm), "%s", comm);
	}
	if (thread[tid].seals < wanted) {
		if (nr == SYS_seccomp)
			thread[tid].seals++;
		return;
	}
	if (strcmp(comm, "immure-vmm") == 0)
		use(pid == tid ? "vmm-main" : "vmm-vcpu", nr, args);
	else if (strcmp(comm, "immure-jailer") == 0)
		use("supervisor", nr, args);
	else if (strcmp(comm, "immure-vsock") == 0)
		use("vsock", nr, args);
	else if (strcmp(comm, "immure-blk") == 0)
		use("blk", nr, args);
}

static void read_calls(FILE *in)
{
	char line[256], comm[16];
	unsigned int pid, tid;
	unsigned long long a[6];
	int nr;

	while (fgets(line, sizeof(line), in)) {
		uint64_t args[6];

		if (sscanf(line, " %15s %u/%u NR %d (%llx, %llx, %llx, %llx, %llx, %llx)",
			   comm, &pid, &tid, &nr, &a[0], &a[1], &a[2], &a[3], &a[4],
			   &a[5]) != 10)
			continue;
		for (int i = 0; i < 6; i++)
			args[i] = a[i];
		if (tid < THREADS)
			count(comm, pid, tid, nr, args);
	}
}

static bool load(const char *file)
{
	struct watched *w = &watched[nwatched++];
	const char *base = strrchr(file, '/');
	FILE *f = fopen(file, "re");
	bool ok;

	snprintf(w->name, sizeof(w->name), "%s", base ? base + 1 : file);
	w->name[strcspn(w->name, ".")] = '\0';
	if (!f) {
		perror(file);
		return false;
	}
	ok = policy_parse(&w->policy, f, file);
	fclose(f);
	if (!ok)
		fprintf(stderr, "%s\n", w->policy.error);
	return ok;
}

static void print_unused(const struct watched *w)
{
	for (size_t i = 0; i < w->policy.nrules; i++) {
		const struct policy_rule *r = &w->policy.rule[i];

		if (w->used[i])
			continue;
		printf("policy/%s.policy:%u: %s", w->name, r->line, r->name);
		for (unsigned int c = 0; c < r->nconds; c++)
			printf("%s%s", c ? " && " : " ", r->cond[c].text);
		printf("  # %s\n", r->reason);
	}
}

int main(int argc, char *argv[])
{
	size_t rules = 0, used = 0;

	if (argc < 2 || argc > POLICIES) {
		fputs("usage: unused NAME.policy... < system calls\n", stderr);
		return 2;
	}
	for (int i = 1; i < argc; i++) {
		if (!load(argv[i]))
			return 1;
	}
	read_calls(stdin);
	for (size_t i = 0; i < nwatched; i++) {
		print_unused(&watched[i]);
		rules += watched[i].policy.nrules;
		for (size_t r = 0; r < watched[i].policy.nrules; r++)
			used += watched[i].used[r];
	}
	printf("%zu of %zu rules were exercised\n", used, rules);
	return used == 0;
}
