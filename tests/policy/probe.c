/* SPDX-License-Identifier: Apache-2.0 */
/* probe.c: does the kernel, given the real filter, allow what the policy file says?
 *
 *   probe NAME.policy...
 *
 * A forked child puts the filter on itself exactly as a program does (core/seal.c and the
 * table of that policy) and makes the calls.  Nothing is ever executed: below the policy lies
 * a filter of ours that answers every call coming from the probing instruction with an errno
 * of its own.  The kernel takes the most restrictive answer of all filters, so a call that the
 * policy allows returns that errno and any other call kills the child; the parent sees how far
 * it came and starts the next child behind that point.
 *
 * Prints TAP lines: what a number outside the file, x32 and i386 entry do, and for each rule
 * that its call passes and that it does not with any pinned argument altered. */
#include "core/seal.h"
#include "policy/compile.h"

#include <errno.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
	NUMBERS = 1024,
	ATTEMPTS = 16384,
	PASSED_ERRNO = 3999,
	X32_BIT = 0x40000000,
};

/* probe_call(nr, args): the one system call instruction whose calls are tried and not made.
 * probe_i386(nr): the same through the 32-bit gate. */
long probe_call(long nr, const uint64_t args[6]);
long probe_i386(long nr);
extern const char probe_call_end[], probe_i386_end[];
__asm__(".text\n"
	"probe_call:\n"
	"	mov %rdi, %rax\n"
	"	mov %rsi, %rcx\n"
	"	mov (%rcx), %rdi\n"
	"	mov 8(%rcx), %rsi\n"
	"	mov 16(%rcx), %rdx\n"
	"	mov 24(%rcx), %r10\n"
	"	mov 32(%rcx), %r8\n"
	"	mov 40(%rcx), %r9\n"
	"	syscall\n"
	"probe_call_end:\n"
	"	ret\n"
	"probe_i386:\n"
	"	push %rbx\n"
	"	push %rbp\n"
	"	mov %edi, %eax\n"
	"	xor %ebx, %ebx\n"
	"	xor %ecx, %ecx\n"
	"	xor %edx, %edx\n"
	"	xor %esi, %esi\n"
	"	xor %edi, %edi\n"
	"	xor %ebp, %ebp\n"
	"	int $0x80\n"
	"probe_i386_end:\n"
	"	movslq %eax, %rax\n"
	"	pop %rbp\n"
	"	pop %rbx\n"
	"	ret\n");

enum outcome { UNTRIED, PASSED, KILLED, FAULTED, EXECUTED };

struct attempt {
	uint32_t nr;
	bool i386;
	uint64_t args[6];
	enum outcome outcome;
};

/* Shared with the child, which can say nothing by a system call. */
static struct shared {
	size_t n, next;
	bool finished;
	struct attempt attempt[ATTEMPTS];
} *shared;

/* One of the two: a policy with words has a filter for each configuration. */
static const struct {
	const char *file;
	const struct seal_filter *only;
	const struct seal_policy *each;
} filters[] = {
#include "policies.h"
};

static struct policy whole, policy;	/* the file; its variant under test */
static const char *name;	/* of the policy under test */
static unsigned int failures;

static void report(bool ok, const char *what)
{
	printf("%sok - %s: %s\n", ok ? "" : "not ", name, what);
	failures += !ok;
}

static void bail(const char *what)
{
	printf("Bail out! %s: %s: %s\n", name ? name : "probe", what, strerror(errno));
	exit(1);
}

/* The filter below: calls made by the probing instructions come back as PASSED_ERRNO. */
static void answer_probes(void)
{
	uint64_t a = (uintptr_t)probe_call_end, b = (uintptr_t)probe_i386_end;
	struct sock_filter insn[] = {
		{ BPF_LD | BPF_W | BPF_ABS, 0, 0, 12 },	/* high half of the address */
		{ BPF_JMP | BPF_JEQ | BPF_K, 0, 4, (uint32_t)(a >> 32) },
		{ BPF_LD | BPF_W | BPF_ABS, 0, 0, 8 },
		{ BPF_JMP | BPF_JEQ | BPF_K, 1, 0, (uint32_t)a },
		{ BPF_JMP | BPF_JEQ | BPF_K, 0, 1, (uint32_t)b },
		{ BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ERRNO | PASSED_ERRNO },
		{ BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW },
	};
	const struct seal_filter f = { "probe", sizeof(insn) / sizeof(insn[0]), insn };

	if (a >> 32 != b >> 32 || seal(&f) != 0)
		__builtin_trap();
}

static _Noreturn void child(const struct seal_filter *f)
{
	const struct rlimit no_core = { 0, 0 };

	setrlimit(RLIMIT_CORE, &no_core);
	answer_probes();
	if (f && seal(f) != 0)
		__builtin_trap();
	while (shared->next < shared->n) {
		struct attempt *a = &shared->attempt[shared->next++];
		long rc = a->i386 ? probe_i386((long)a->nr) : probe_call((int)a->nr, a->args);

		a->outcome = rc == -PASSED_ERRNO ? PASSED : EXECUTED;
	}
	shared->finished = true;
	__builtin_trap();
}

/* Makes every attempt under @f, or under no policy when NULL. */
static void make_attempts(const struct seal_filter *f)
{
	shared->next = 0;
	shared->finished = false;
	while (!shared->finished) {
		size_t before = shared->next;
		pid_t pid = fork();
		int status;

		if (pid < 0)
			bail("fork");
		if (pid == 0)
			child(f);
		if (waitpid(pid, &status, 0) != pid || !WIFSIGNALED(status))
			bail("a child that should have been killed ended otherwise");
		if (shared->finished)
			break;
		if (shared->next == before)
			bail("a child could not be prepared");
		shared->attempt[shared->next - 1].outcome =
			WTERMSIG(status) == SIGSYS ? KILLED : FAULTED;
	}
}

static void add(uint32_t nr, const uint64_t args[6])
{
	struct attempt *a = &shared->attempt[shared->n];

	if (shared->n == ATTEMPTS)
		bail("too many attempts");
	memset(a, 0, sizeof(*a));
	a->nr = nr;
	if (args)
		memcpy(a->args, args, sizeof(a->args));
	shared->n++;
}

/* The kernel answers these two before it asks any filter (uretprobe since 6.14, uprobe since
 * 6.18): they are the return paths of its own user-space probes.  From any other address the
 * first kills the process (SIGILL) and the second fails. */
static bool kernel_answers(const struct attempt *a)
{
	enum { URETPROBE = 335, UPROBE = 336 };

	return (a->nr == URETPROBE && a->outcome == FAULTED) ||
	       (a->nr == UPROBE && a->outcome == EXECUTED);
}

/* Compares every attempt with the file; x32 and i386 calls are in no file. */
static bool outcomes_right(size_t *passed)
{
	bool right = true;

	*passed = 0;
	for (size_t i = 0; i < shared->n; i++) {
		const struct attempt *a = &shared->attempt[i];
		bool allow = !a->i386 && a->nr < X32_BIT &&
			     policy_allows(&policy, (int)a->nr, a->args);

		*passed += a->outcome == PASSED;
		if (a->outcome == (allow ? PASSED : KILLED) || kernel_answers(a))
			continue;
		right = false;
		printf("# %s %u (%#lx, %#lx, %#lx, %#lx, %#lx, %#lx): outcome %d, the file "
		       "says %s\n", a->i386 ? "i386" : "call", a->nr, a->args[0], a->args[1],
		       a->args[2], a->args[3], a->args[4], a->args[5], (int)a->outcome,
		       allow ? "allow" : "kill");
	}
	return right;
}

static void probe_numbers(const struct seal_filter *f)
{
	static const uint64_t ones[6] = { 1, 1, 1, 1, 1, 1 };
	char what[96];
	size_t passed;
	bool right;

	shared->n = 0;
	for (uint32_t nr = 0; nr < NUMBERS; nr++) {
		add(nr, NULL);
		add(nr, ones);
	}
	make_attempts(f);
	right = outcomes_right(&passed);
	snprintf(what, sizeof(what), "of call numbers 0 to %d, only those in the file pass",
		 NUMBERS - 1);
	report(right, what);
}

static void probe_x32(const struct seal_filter *f)
{
	static const uint32_t odd[] = { UINT32_MAX, UINT32_MAX - 1, 0x80000000, 0x7fffffff,
					0x3fffffff, 0xffff, 0x10000 };
	size_t passed;

	shared->n = 0;
	for (uint32_t nr = 0; nr < NUMBERS; nr++)
		add(nr | X32_BIT, NULL);
	for (size_t i = 0; i < sizeof(odd) / sizeof(odd[0]); i++)
		add(odd[i], NULL);
	make_attempts(f);
	report(outcomes_right(&passed) && passed == 0,
	       "x32 calls, negative and outlandish numbers kill");
}

/* A kernel without 32-bit entry answers int 0x80 with a fault, policy or not. */
static bool have_i386(void)
{
	shared->n = 0;
	add(20, NULL);
	shared->attempt[0].i386 = true;
	make_attempts(NULL);
	return shared->attempt[0].outcome == PASSED;
}

static void probe_i386_entry(const struct seal_filter *f)
{
	size_t passed;

	if (!have_i386()) {
		printf("ok - %s: i386 calls kill # SKIP this kernel has no int 0x80\n", name);
		return;
	}
	shared->n = 0;
	for (uint32_t nr = 0; nr < NUMBERS; nr++) {
		add(nr, NULL);
		shared->attempt[nr].i386 = true;
	}
	make_attempts(f);
	report(outcomes_right(&passed) && passed == 0, "i386 calls kill");
}

/* Around the value of one condition: each neighbour, single bits, the high half. */
static void alter(const struct policy_rule *r, const uint64_t args[6], unsigned int arg)
{
	static const unsigned int bits[] = { 0, 1, 2, 3, 4, 5, 6, 7, 9, 11, 12, 14, 15, 16, 30,
					     31, 32, 33, 63 };
	const uint64_t whole[] = { args[arg] + 1, args[arg] - 1, 0, UINT64_MAX, UINT32_MAX,
				   POLICY_FD_END - 1, POLICY_FD_END };
	uint64_t changed[6];

	memcpy(changed, args, sizeof(changed));
	for (size_t i = 0; i < sizeof(bits) / sizeof(bits[0]); i++) {
		changed[arg] = args[arg] ^ 1ull << bits[i];
		add((uint32_t)r->nr, changed);
	}
	for (size_t i = 0; i < sizeof(whole) / sizeof(whole[0]); i++) {
		changed[arg] = whole[i];
		add((uint32_t)r->nr, changed);
	}
}

static void probe_rule(const struct seal_filter *f, const struct policy_rule *r)
{
	uint64_t args[6] = { 0 };
	char what[400];
	size_t passed;
	int len;

	shared->n = 0;
	for (unsigned int i = 0; i < r->nconds; i++)
		args[r->cond[i].arg] = r->cond[i].value;
	add((uint32_t)r->nr, args);
	for (unsigned int i = 0; i < r->nconds; i++)
		alter(r, args, r->cond[i].arg);
	make_attempts(f);
	len = snprintf(what, sizeof(what), "%s", r->name);
	for (unsigned int i = 0; i < r->nconds && len < (int)sizeof(what); i++)
		len += snprintf(what + len, sizeof(what) - (size_t)len, "%s%s",
				i ? " && " : " ", r->cond[i].text);
	if (r->nconds && len < (int)sizeof(what))
		snprintf(what + len, sizeof(what) - (size_t)len, " passes, altered it kills");
	else if (len < (int)sizeof(what))
		snprintf(what + len, sizeof(what) - (size_t)len, " passes");
	report(outcomes_right(&passed) && shared->attempt[0].outcome == PASSED, what);
}

static void probe_variant(const struct seal_filter *f, const char *file, unsigned int when)
{
	char expected[POLICY_NAME];

	name = f->name;
	report(strcmp(name, policy_variant_name(expected, file, when)) == 0,
	       "is what its configuration picks");
	policy_variant(&policy, &whole, when);
	probe_numbers(f);
	probe_x32(f);
	probe_i386_entry(f);
	for (size_t i = 0; i < policy.nrules; i++)
		probe_rule(f, &policy.rule[i]);
}

static void probe_policy(const char *path)
{
	enum { EVERY_WORD = (1 << POLICY_WORDS) - 1 };
	size_t i = 0;
	unsigned int when = 0;
	char file[POLICY_NAME];
	FILE *in = fopen(path, "re");

	while (i < sizeof(filters) / sizeof(filters[0]) && strcmp(filters[i].file, path) != 0)
		i++;
	if (!in || i == sizeof(filters) / sizeof(filters[0]))
		bail(path);
	if (!policy_parse(&whole, in, path))
		bail(whole.error);
	fclose(in);
	name = strrchr(path, '/') + 1;
	snprintf(file, sizeof(file), "%.*s", (int)strcspn(name, "."), name);
	if (filters[i].only) {
		probe_variant(filters[i].only, file, 0);
		return;
	}
	/* Words the file does not use are set, to change nothing. */
	do {
		probe_variant(policy_pick(filters[i].each, when | (EVERY_WORD & ~whole.when)),
			      file, when);
		when = policy_next(whole.when, when);
	} while (when);
}

int main(int argc, char *argv[])
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	if (argc < 2)
		bail("usage: probe NAME.policy...");
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (shared == MAP_FAILED)
		bail("mmap");
	for (int i = 1; i < argc; i++)
		probe_policy(argv[i]);
	return failures != 0;
}
