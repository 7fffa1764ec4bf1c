/* SPDX-License-Identifier: Apache-2.0 */
/* LIBS: -lseccomp */
/* policy.c: the policy compiler, checked against what the format means.
 *
 * The emitted classic BPF runs in a small interpreter here and is compared, over many calls
 * and arguments, with policy_allows(), which reads the parsed rules directly. */
#include <stdio.h>

int policyc_main(int argc, char *argv[]);
#define main policyc_main
#include "policy/compile.c"
#undef main
#include "policy/compile_bpf.c"
#include "policy/compile_names.c"
#include "policy/compile_parse.c"
#include "core/seal.c"

#include <criterion/criterion.h>
#include <linux/audit.h>
#include <linux/seccomp.h>

struct filter {
	size_t len;
	struct sock_filter insn[BPF_MAXINSNS];
};

static struct policy policy, other;
static struct filter filter;

static bool parse(struct policy *p, const char *text)
{
	FILE *f = fmemopen((void *)(uintptr_t)text, strlen(text), "r");
	bool ok;

	cr_assert_not_null(f);
	ok = policy_parse(p, f, "t.policy");
	fclose(f);
	return ok;
}

static void compile_text(const char *text)
{
	int fd = memfd_create("bpf", MFD_CLOEXEC);
	ssize_t len;

	cr_assert(parse(&policy, text), "%s", policy.error);
	cr_assert_eq(policy_compile(&policy, fd), 0);
	len = pread(fd, filter.insn, sizeof(filter.insn), 0);
	cr_assert_gt(len, 0);
	filter.len = (size_t)len / sizeof(filter.insn[0]);
	close(fd);
}

static uint32_t alu(uint32_t a, const struct sock_filter *i)
{
	cr_assert_eq(i->code, BPF_ALU | BPF_AND | BPF_K, "instruction %#x", i->code);
	return a & i->k;
}

static bool jump_taken(uint32_t a, const struct sock_filter *i)
{
	switch (BPF_OP(i->code)) {
	case BPF_JEQ: return a == i->k;
	case BPF_JGT: return a > i->k;
	case BPF_JGE: return a >= i->k;
	case BPF_JSET: return (a & i->k) != 0;
	}
	cr_assert_fail("jump %#x", i->code);
	return false;
}

/* What the kernel would answer: a SECCOMP_RET_ value. */
static uint32_t interpret(const struct filter *f, const struct seccomp_data *d)
{
	uint32_t a = 0;

	for (size_t pc = 0; pc < f->len; pc++) {
		const struct sock_filter *i = &f->insn[pc];

		if (i->code == (BPF_RET | BPF_K))
			return i->k;
		if (i->code == (BPF_LD | BPF_W | BPF_ABS)) {
			cr_assert(i->k % 4 == 0 && i->k < sizeof(*d));
			memcpy(&a, (const char *)d + i->k, 4);
		} else if (i->code == (BPF_JMP | BPF_JA)) {
			pc += i->k;
		} else if (BPF_CLASS(i->code) == BPF_JMP) {
			pc += jump_taken(a, i) ? i->jt : i->jf;
		} else {
			a = alu(a, i);
		}
	}
	cr_assert_fail("fell off the end");
	return SECCOMP_RET_KILL_PROCESS;
}

static uint32_t run_filter(uint32_t arch, uint32_t nr, const uint64_t args[6])
{
	struct seccomp_data d = { .nr = (int)nr, .arch = arch };

	memcpy(d.args, args, sizeof(d.args));
	return interpret(&filter, &d);
}

static void expect(int nr, const uint64_t args[6])
{
	uint32_t want = policy_allows(&policy, nr, args) ? SECCOMP_RET_ALLOW :
							   SECCOMP_RET_KILL_PROCESS;
	uint32_t got = run_filter(AUDIT_ARCH_X86_64, (uint32_t)nr, args);

	cr_assert_eq(got, want, "call %d (%#lx, %#lx, %#lx, %#lx, %#lx, %#lx): %#x, not %#x",
		     nr, args[0], args[1], args[2], args[3], args[4], args[5], got, want);
}

static bool allowed(const char *call, uint64_t a0, uint64_t a1, uint64_t a2, uint64_t a3)
{
	const uint64_t args[6] = { a0, a1, a2, a3 };
	int nr = policy_syscall(call);

	cr_assert_geq(nr, 0);
	expect(nr, args);
	return run_filter(AUDIT_ARCH_X86_64, (uint32_t)nr, args) == SECCOMP_RET_ALLOW;
}

static const char sample[] =
	"# a comment\n"
	"\n"
	"ppoll                                    # wait\n"
	"read      fd == BLK_KICK0                # drain the kick\n"
	"read      fd == BLK_LINK                 # a message\n"
	"sendto    fd >= VSOCK_CONN0 && flags == MSG_NOSIGNAL|MSG_DONTWAIT # data\n"
	"ioctl     fd == 0x60 && cmd == KVM_RUN   # run\n"
	"mprotect  prot & PROT_WRITE | PROT_EXEC == PROT_WRITE # never both\n"
	"lseek     arg2 == -1 && arg1 & 0xff00000000 == 0x100000000 # both halves\n"
	"mseal                                    # younger than libseccomp\n"
	"exit_group                               # the end";

Test(policy, every_number_outside_the_file_is_killed)
{
	const uint64_t args[6] = { 0 };

	compile_text(sample);
	for (int nr = 0; nr < 2048; nr++)
		expect(nr, args);
}

Test(policy, x32_numbers_and_minus_one_are_killed)
{
	const uint64_t args[6] = { 0 };

	compile_text(sample);
	for (uint32_t nr = 0; nr < 1024; nr++)
		cr_assert_eq(run_filter(AUDIT_ARCH_X86_64, nr | 0x40000000, args),
			     SECCOMP_RET_KILL_PROCESS);
	cr_assert_eq(run_filter(AUDIT_ARCH_X86_64, UINT32_MAX, args),
		     SECCOMP_RET_KILL_PROCESS);
}

Test(policy, other_architectures_are_killed)
{
	static const uint32_t arch[] = { AUDIT_ARCH_I386, AUDIT_ARCH_AARCH64, AUDIT_ARCH_ARM,
					 AUDIT_ARCH_RISCV64, 0, UINT32_MAX };
	const uint64_t args[6] = { 0 };

	compile_text(sample);
	for (size_t i = 0; i < sizeof(arch) / sizeof(arch[0]); i++) {
		for (uint32_t nr = 0; nr < 512; nr++)
			cr_assert_eq(run_filter(arch[i], nr, args), SECCOMP_RET_KILL_PROCESS);
	}
}

Test(policy, lines_with_one_name_are_alternatives)
{
	compile_text(sample);
	cr_assert(allowed("read", BLK_KICK0, 0, 0, 0));
	cr_assert(allowed("read", BLK_LINK, 0, 0, 0));
	cr_assert_not(allowed("read", BLK_CALL, 0, 0, 0));
	cr_assert_not(allowed("read", BLK_KICK0 + (1ull << 32), 0, 0, 0));
}

Test(policy, a_descriptor_range_cannot_be_wrapped_into)
{
	compile_text(sample);
	for (uint64_t fd = 0; fd < 2ull * POLICY_FD_END; fd++) {
		cr_assert_eq(allowed("sendto", fd, 0, 0, MSG_NOSIGNAL | MSG_DONTWAIT),
			     fd >= VSOCK_CONN0 && fd < POLICY_FD_END);
		cr_assert_not(allowed("sendto", fd | 1ull << 32, 0, 0,
				      MSG_NOSIGNAL | MSG_DONTWAIT));
	}
	cr_assert_not(allowed("sendto", UINT64_MAX, 0, 0, MSG_NOSIGNAL | MSG_DONTWAIT));
	cr_assert_not(allowed("sendto", VSOCK_CONN0, 0, 0, MSG_NOSIGNAL));
}

Test(policy, conditions_are_all_needed_and_64_bits_wide)
{
	compile_text(sample);
	cr_assert(allowed("ioctl", 0x60, KVM_RUN, 0, 0));
	cr_assert_not(allowed("ioctl", 0x61, KVM_RUN, 0, 0));
	cr_assert_not(allowed("ioctl", 0x60, KVM_RUN | 1ull << 63, 0, 0));
	cr_assert(allowed("mprotect", 0, 0, PROT_WRITE | PROT_READ, 0));
	cr_assert_not(allowed("mprotect", 0, 0, PROT_WRITE | PROT_EXEC, 0));
	cr_assert(allowed("lseek", 7, 0x100000000, UINT64_MAX, 0));
	cr_assert_not(allowed("lseek", 7, 0x1100000000, UINT64_MAX, 0));
	cr_assert_not(allowed("lseek", 7, 0x100000000, UINT32_MAX, 0));
}

/* ---- many random policies ---- */

static uint64_t random_state = 1;

static uint64_t random_below(uint64_t n)
{
	random_state = random_state * 6364136223846793005u + 1442695040888963407u;
	return (random_state >> 33) % n;
}

static const uint64_t seeds[] = {
	0, 1, 2, 5, 7, 13, 16, 4095, 4096, 0xae80, 0x80000000, 0xffffffff, 0x100000000,
	0x100000005, 0x500000000, 0xffffffff00000000, UINT64_MAX,
};

static uint64_t random_value(void)
{
	uint64_t v = seeds[random_below(sizeof(seeds) / sizeof(seeds[0]))];

	switch (random_below(4)) {
	case 0: return v ^ 1ull << random_below(64);
	case 1: return v + 1;
	default: return v;
	}
}

static int random_rule(char *out, size_t size)
{
	static const char *const calls[] = { "read", "write", "sendto", "close", "ioctl",
					     "futex", "ppoll", "mmap", "lseek", "dup3",
					     "accept4", "exit", "getpid", "kill" };
	size_t n = sizeof(calls) / sizeof(calls[0]);
	const char *call = calls[random_below(n)];
	int len = snprintf(out, size, "%s ", call);
	bool any = false;

	for (int arg = 0; arg < 4; arg++) {
		uint64_t mask = random_value(), value = random_value();

		if (random_below(3))
			continue;
		len += snprintf(out + len, size - (size_t)len, "%s", any ? " && " : "");
		any = true;
		if (arg == 0 && policy_arg(call, "fd") == 0 && random_below(2))
			len += snprintf(out + len, size - (size_t)len, "fd >= %lu",
					value % POLICY_FD_END);
		else if (mask && random_below(2))
			len += snprintf(out + len, size - (size_t)len,
					"arg%d & %#lx == %#lx", arg, mask, value & mask);
		else
			len += snprintf(out + len, size - (size_t)len, "arg%d == %#lx", arg,
					value);
	}
	if (any && random_below(4) == 0)
		len += snprintf(out + len, size - (size_t)len, " && arg5 < %lu",
				1ul << random_below(64));
	return len + snprintf(out + len, size - (size_t)len, " # random\n");
}

static void random_policy(char *text, size_t size)
{
	size_t lines = 1 + random_below(24), len = 0;

	while (lines--) {
		size_t n = (size_t)random_rule(text + len, size - len);

		if (parse(&policy, text))
			len += n;		/* else it overlaps an earlier line */
		text[len] = '\0';
	}
}

/* Arguments that satisfy a random rule, then perhaps one bit or one value changed. */
static void random_call(void)
{
	const struct policy_rule *r = &policy.rule[random_below(policy.nrules)];
	uint64_t args[6];

	for (int i = 0; i < 6; i++)
		args[i] = random_value();
	for (unsigned int i = 0; i < r->nconds; i++) {
		const struct policy_cond *c = &r->cond[i];
		uint64_t *arg = &args[c->arg];

		*arg = c->op == POLICY_FROM ? c->value + random_below(8) :
					      (*arg & ~c->mask) | c->value;
	}
	expect(r->nr, args);
	args[random_below(6)] ^= 1ull << random_below(64);
	expect(r->nr, args);
	args[random_below(6)] = random_value();
	expect(r->nr, args);
}

Test(policy, random_policies_mean_what_they_say, .timeout = 120)
{
	static char text[8192];

	for (int round = 0; round < 300; round++) {
		memset(text, 0, sizeof(text));
		random_policy(text, sizeof(text));
		compile_text(text);
		for (int call = 0; call < 2000; call++)
			random_call();
	}
}

/* ---- errors ---- */

static void refuse(const char *text, const char *want)
{
	cr_assert_not(parse(&policy, text), "accepted: %s", text);
	cr_assert_str_eq(policy.error, want);
}

Test(policy, a_rule_without_a_reason_is_refused)
{
	refuse("read fd == 5\n", "t.policy:1: a rule needs its reason: '# why'");
	refuse("ppoll # x\nread fd == 5 #\n", "t.policy:2: the reason is empty");
	refuse("read fd == 5 #   \n", "t.policy:1: the reason is empty");
}

Test(policy, unknown_words_are_refused)
{
	refuse("raed # x\n", "t.policy:1: no such system call: 'raed'");
	refuse("read cmd == 1 # x\n", "t.policy:1: read has no argument 'cmd'");
	refuse("ppoll fd == 1 # x\n", "t.policy:1: ppoll has no argument 'fd'");
	refuse("read arg6 == 1 # x\n", "t.policy:1: read has no argument 'arg6'");
	refuse("read fd == BLK_DISC # x\n", "t.policy:1: unknown name 'BLK_DISC'");
	refuse("read fd == 12monkeys # x\n", "t.policy:1: '12monkeys' is not a number");
	refuse("read fd == 99999999999999999999 # x\n",
	       "t.policy:1: '99999999999999999999' is not a number");
	refuse("read fd == - # x\n", "t.policy:1: '-' is not a number");
}

Test(policy, malformed_rules_are_refused)
{
	refuse("read fd = 5 # x\n", "t.policy:1: expected '==', '>=' or '<', not '='");
	refuse("read fd # x\n", "t.policy:1: expected '==', '>=' or '<', not ''");
	refuse("read fd == # x\n", "t.policy:1: a value is missing");
	refuse("read fd == 5 | # x\n", "t.policy:1: a value is missing");
	refuse("read fd == 5 arg1 == 2 # x\n", "t.policy:1: expected '&&' or '#', not 'arg1'");
	refuse("read fd == 5 && # x\n", "t.policy:1: read has no argument ''");
	refuse("== # x\n", "t.policy:1: no such system call: '=='");
	refuse("", "t.policy:0: no rules");
	refuse("# nothing\n", "t.policy:1: no rules");
}

Test(policy, conditions_that_cannot_mean_what_they_say_are_refused)
{
	refuse("futex op >= 1 # x\n", "t.policy:1: '>=' is for 'fd' and 'target' only");
	refuse("read fd & 1 >= 1 # x\n", "t.policy:1: a mask goes with '=='");
	refuse("read len < 0 # x\n", "t.policy:1: '<' takes a power of two");
	refuse("read len < 9 # x\n", "t.policy:1: '<' takes a power of two");
	refuse("read len & 1 < 8 # x\n", "t.policy:1: a mask goes with '=='");
	refuse("read fd & 0 == 0 # x\n", "t.policy:1: a mask of 0 says nothing");
	refuse("mmap prot & 1 == 2 # x\n",
	       "t.policy:1: can never hold: the value has bits outside the mask");
	refuse("read fd >= 4096 # x\n",
	       "t.policy:1: can never hold: descriptors end at 4095");
	refuse("read fd == 1 && arg0 == 2 # x\n",
	       "t.policy:1: argument 0 is compared twice; use two lines, or one mask");
}

Test(policy, rules_that_contain_each_other_are_refused)
{
	refuse("read # x\nread fd == 1 # y\n", "t.policy:2: adds nothing to line 1");
	refuse("read fd == 1 # x\nread # y\n", "t.policy:2: makes line 1 pointless");
	refuse("read fd >= 1 # x\nread fd == 4 # y\n", "t.policy:2: adds nothing to line 1");
	refuse("ppoll # x\nppoll # x\n", "t.policy:2: adds nothing to line 1");
}

Test(policy, oversized_input_is_refused)
{
	static char text[POLICY_RULES * 24 + 600];
	size_t len = 0;

	memset(text, 'a', 700);
	refuse(text, "t.policy:1: the line is longer than 510 characters");
	memcpy(text + 100, " # x", 5);
	refuse(text, "t.policy:1: a word is too long");
	len = (size_t)snprintf(text, sizeof(text), "read # ");
	memset(text + len, 'x', 200);
	text[len + 200] = '\0';
	refuse(text, "t.policy:1: the reason is longer than 159 characters");
	len = 0;
	for (int i = 0; i <= POLICY_RULES; i++)
		len += (size_t)snprintf(text + len, sizeof(text) - len,
					"read fd == %d # x\n", i);
	refuse(text, "t.policy:513: more than 512 rules");
}

/* ---- configurations ---- */

static const char worded[] =
	"read fd == 1 # always\n"
	"write fd == 1 && len < 64 when console # one word, and a limit\n"
	"close when console && vsock # two\n";

static bool variant_allows(unsigned int when, const char *call, uint64_t a0, uint64_t a2)
{
	const uint64_t args[6] = { a0, 0, a2 };

	policy_variant(&other, &policy, when);
	return policy_allows(&other, policy_syscall(call), args);
}

Test(policy, a_rule_holds_in_configurations_that_have_all_of_its_words)
{
	cr_assert(parse(&policy, worded), "%s", policy.error);
	cr_assert_eq(policy.when, WHEN_CONSOLE | WHEN_VSOCK);
	cr_assert(variant_allows(0, "read", 1, 0));
	cr_assert_not(variant_allows(0, "write", 1, 0));
	cr_assert(variant_allows(WHEN_CONSOLE, "write", 1, 63));
	cr_assert_not(variant_allows(WHEN_CONSOLE, "write", 1, 64));
	cr_assert_not(variant_allows(WHEN_CONSOLE, "write", 1, 1ull << 32));
	cr_assert_not(variant_allows(WHEN_CONSOLE, "close", 0, 0));
	cr_assert_not(variant_allows(WHEN_VSOCK, "close", 0, 0));
	cr_assert(variant_allows(WHEN_CONSOLE | WHEN_VSOCK, "close", 0, 0));
}

Test(policy, variants_are_counted_and_picked_in_one_order)
{
	const struct seal_filter table[4] = { { .name = "-" }, { .name = "c" }, { .name = "v" },
					      { .name = "cv" } };
	const struct seal_policy p = { WHEN_CONSOLE | WHEN_VSOCK, table };
	const unsigned int others = WHEN_WRITABLE | WHEN_RUNDIR;
	unsigned int when = 0, n = 0;

	do {
		cr_assert_eq(policy_pick(&p, when | others), &table[n++]);
		when = policy_next(p.when, when);
	} while (when);
	cr_assert_eq(n, 4);
}

Test(policy, what_no_configuration_can_have_becomes_no_filter)
{
	static const unsigned int want[] = {
		0, WHEN_WRITABLE, WHEN_WRITABLE | WHEN_DISCARD, WHEN_WRITABLE | WHEN_OVERLAY,
		WHEN_WRITABLE | WHEN_DISCARD | WHEN_OVERLAY, WHEN_DIRECT, WHEN_WRITABLE | WHEN_DIRECT,
		WHEN_WRITABLE | WHEN_DISCARD | WHEN_DIRECT,
	};
	const unsigned int all = WHEN_WRITABLE | WHEN_DISCARD | WHEN_OVERLAY | WHEN_DIRECT;
	unsigned int when = 0;

	for (size_t i = 0; i < sizeof(want) / sizeof(want[0]); i++, when = policy_next(all, when))
		cr_assert_eq(when, want[i], "%zu", i);
	cr_assert_eq(when, 0);
	/* A file that does not say whether the disk can be written knows nothing of that. */
	cr_assert_eq(policy_next(WHEN_DISCARD, 0), WHEN_DISCARD);
}

Test(policy, words_are_read_strictly)
{
	refuse("read when # x\n", "t.policy:1: '' is not a word for configurations");
	refuse("read when big # x\n", "t.policy:1: 'big' is not a word for configurations");
	refuse("read when vsock && vsock # x\n", "t.policy:1: 'vsock' is there twice");
	refuse("read when vsock console # x\n",
	       "t.policy:1: expected '&&' or '#', not 'console'");
	refuse("read # x\nread fd == 1 when vsock # y\n",
	       "t.policy:2: adds nothing to line 1");
}

/* ---- the files themselves ---- */

static void load_file(struct policy *p, const char *name)
{
	char path[64];
	FILE *f;

	snprintf(path, sizeof(path), "policy/%s.policy", name);
	f = fopen(path, "re");
	cr_assert_not_null(f, "%s: run in the top directory", path);
	cr_assert(policy_parse(p, f, path), "%s", p->error);
	fclose(f);
}

static unsigned int calls_in(const char *name)
{
	load_file(&policy, name);
	return distinct_calls(&policy);
}

Test(policies, no_program_may_use_more_calls_than_its_limit)
{
	cr_assert_leq(calls_in("blk"), 10);
	cr_assert_leq(calls_in("net"), 9);
	cr_assert_leq(calls_in("vsock"), 14);
	cr_assert_leq(calls_in("vmm-main"), 16);
	cr_assert_leq(calls_in("vmm-vcpu"), 6);
}

static const char *const serving[] = { "blk", "net", "vsock", "vmm-main", "vmm-vcpu" };

/* What a program that serves a guest must never do, whatever its arguments. */
Test(policies, nothing_that_serves_a_guest_can_reach_for_more)
{
	static const char *const never[] = {
		"open", "openat", "openat2", "open_by_handle_at", "open_tree", "creat",
		"execve", "execveat", "clone", "clone3", "fork", "vfork", "socket",
		"socketpair", "bind", "connect", "sendmsg", "sendmmsg", "mprotect",
		"pkey_mprotect", "mmap", "mremap", "brk", "prctl", "arch_prctl", "seccomp",
		"io_uring_setup", "io_uring_enter", "io_uring_register", "ptrace", "bpf",
		"perf_event_open", "memfd_create", "memfd_secret", "userfaultfd", "kill",
		"tgkill", "pidfd_getfd", "process_vm_readv", "process_vm_writev", "setns",
		"unshare", "mount", "keyctl", "dup", "dup2", "dup3", "fcntl",
	};

	for (size_t i = 0; i < sizeof(serving) / sizeof(serving[0]); i++) {
		load_file(&policy, serving[i]);
		for (size_t n = 0; n < sizeof(never) / sizeof(never[0]); n++) {
			int nr = policy_syscall(never[n]);

			cr_assert_geq(nr, 0, "%s", never[n]);
			for (size_t r = 0; r < policy.nrules; r++)
				cr_assert_neq(policy.rule[r].nr, nr, "%s: %s", serving[i],
					      never[n]);
		}
	}
}

/* ioctl: none but these two, and each with its descriptor and its command. */
Test(policies, the_only_ioctls_run_a_vcpu_and_route_interrupts)
{
	const int nr = policy_syscall("ioctl");

	for (size_t i = 0; i < sizeof(serving) / sizeof(serving[0]); i++) {
		bool vcpu = strcmp(serving[i], "vmm-vcpu") == 0;
		unsigned int found = 0;

		load_file(&policy, serving[i]);
		for (size_t r = 0; r < policy.nrules; r++)
			found += policy.rule[r].nr == nr;
		cr_assert_eq(found, vcpu ? 2 : 0, "%s", serving[i]);
		for (uint64_t fd = 0; vcpu && fd < 256; fd++) {
			const uint64_t run[6] = { fd, KVM_RUN };
			const uint64_t route[6] = { fd, KVM_SET_GSI_ROUTING, 1 };

			cr_assert_eq(policy_allows(&policy, nr, run),
				     fd >= VMM_VCPU0 && fd < VMM_VCPU0 + PLAN_VCPUS);
			cr_assert_eq(policy_allows(&policy, nr, route), fd == VMM_VM);
		}
	}
}

/* All requests that KVM could know, not only those it knows. */
Test(policies, of_kvms_requests_one_runs_a_vcpu_and_one_routes_interrupts)
{
	enum { NUMBERS = 256, SIZES = 1024, DIRECTIONS = 4 };
	const int nr = policy_syscall("ioctl");

	load_file(&policy, "vmm-vcpu");
	for (uint64_t number = 0; number < NUMBERS; number++) {
		for (uint64_t size = 0; size < SIZES * DIRECTIONS; size++) {
			uint64_t request = (size / SIZES) << _IOC_DIRSHIFT | (size % SIZES) << _IOC_SIZESHIFT |
					   KVMIO << _IOC_TYPESHIFT | number;
			const uint64_t vcpu[6] = { VMM_VCPU0, request }, vm[6] = { VMM_VM, request, 1 };

			cr_assert_eq(policy_allows(&policy, nr, vcpu), request == KVM_RUN);
			cr_assert_eq(policy_allows(&policy, nr, vm), request == KVM_SET_GSI_ROUTING);
		}
	}
}

/* Every descriptor argument of a call that may be made is pinned; the supervisor's two
 * exceptions are connections, which have any free number. */
Test(policies, every_rule_names_its_descriptor)
{
	static const char *const files[] = { "blk", "net", "vsock", "vmm-main", "vmm-vcpu",
					     "supervisor" };

	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		load_file(&policy, files[i]);
		for (size_t r = 0; r < policy.nrules; r++) {
			const struct policy_rule *rule = &policy.rule[r];
			bool pinned = policy_arg(rule->name, "fd") != 0;

			for (unsigned int c = 0; c < rule->nconds; c++)
				pinned |= rule->cond[c].arg == 0;
			if (strcmp(files[i], "supervisor") == 0 &&
			    (strcmp(rule->name, "close") == 0 ||
			     strcmp(rule->name, "connect") == 0))
				continue;
			cr_assert(pinned, "%s:%u: %s", files[i], rule->line, rule->name);
		}
	}
}

/* A filter's rules for a device must not outlive the device. */
Test(policies, a_configuration_without_a_thing_has_no_rule_for_it)
{
	const uint64_t write_console[6] = { VMM_CONSOLE, 0, 1 };
	const uint64_t write_disk[6] = { BLK_DISK, 0, 1 };

	load_file(&policy, "vmm-vcpu");
	policy_variant(&other, &policy, policy.when & ~(unsigned int)WHEN_CONSOLE);
	cr_assert_not(policy_allows(&other, policy_syscall("write"), write_console));
	load_file(&policy, "blk");
	policy_variant(&other, &policy, 0);
	cr_assert_not(policy_allows(&other, policy_syscall("pwritev2"), write_disk));
	cr_assert_not(policy_allows(&other, policy_syscall("fdatasync"), write_disk));
	load_file(&policy, "supervisor");
	policy_variant(&other, &policy, policy.when & ~(unsigned int)WHEN_VSOCK);
	for (size_t r = 0; r < other.nrules; r++) {
		cr_assert_str_neq(other.rule[r].name, "socket");
		cr_assert_str_neq(other.rule[r].name, "connect");
		cr_assert_str_neq(other.rule[r].name, "sendmsg");
		cr_assert_str_neq(other.rule[r].name, "lseek");
		cr_assert_str_neq(other.rule[r].name, "getdents64");
	}
}

/* Threads, and what wakes them, are of a disk past the host's cache. */
Test(policies, a_disk_through_the_cache_has_nothing_for_threads)
{
	const uint64_t work[6] = { BLK_WORK, 0, 8 }, done[6] = { BLK_DONE, 0, 8 }, more[6] = { BLK_DONE, 0, 16 };
	unsigned int when = 0;

	load_file(&policy, "blk");
	do {
		const bool direct = (when & WHEN_DIRECT) != 0;

		policy_variant(&other, &policy, when);
		cr_assert_eq(policy_allows(&other, policy_syscall("read"), work), direct, "%x", when);
		cr_assert_eq(policy_allows(&other, policy_syscall("write"), work), direct, "%x", when);
		cr_assert_eq(policy_allows(&other, policy_syscall("read"), done), direct, "%x", when);
		cr_assert_eq(policy_allows(&other, policy_syscall("write"), done), direct, "%x", when);
		cr_assert_not(policy_allows(&other, policy_syscall("read"), more));
		cr_assert_not(policy_allows(&other, policy_syscall("futex"), work));
		when = policy_next(policy.when, when);
	} while (when != 0);
}

/* Of what lies below an overlay, bytes may be read, and where there is no overlay not even that. */
Test(policies, the_base_of_an_overlay_is_read_and_nothing_else)
{
	static const char *const others[] = { "pwritev2", "fdatasync", "fallocate", "write", "read" };
	const uint64_t punch = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;
	const uint64_t base[6] = { BLK_BASE, 0, 1 };
	unsigned int when = 0;

	load_file(&policy, "blk");
	do {
		policy_variant(&other, &policy, when);
		cr_assert_eq(policy_allows(&other, policy_syscall("preadv2"), base),
			     (when & WHEN_OVERLAY) != 0, "%x", when);
		for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
			const uint64_t plain[6] = { BLK_BASE }, event[6] = { BLK_BASE, 0, 8 };

			cr_assert_not(policy_allows(&other, policy_syscall(others[i]), base));
			cr_assert_not(policy_allows(&other, policy_syscall(others[i]), plain));
			cr_assert_not(policy_allows(&other, policy_syscall(others[i]), event));
		}
		cr_assert_not(policy_allows(&other, policy_syscall("fallocate"),
					    (const uint64_t[6]){ BLK_BASE, punch }));
		when = policy_next(policy.when, when);
	} while (when != 0);
}

/* ---- --check ---- */

static bool covered(const char *coarse, const char *tight)
{
	cr_assert(parse(&policy, coarse), "%s", policy.error);
	cr_assert(parse(&other, tight), "%s", other.error);
	return policy_uncovered(&policy, &other) == NULL;
}

Test(policy, a_coarse_filter_must_contain_the_tight_one)
{
	cr_assert(covered("read # x\nwrite # x\n", "read fd == 1 # x\n"));
	cr_assert(covered("read fd >= 2 # x\n", "read fd == 5 && arg1 == 2 # x\n"));
	cr_assert(covered("read fd >= 96 # x\n", "read fd & 0xffffffffffffffe0 == 96 # x\n"));
	cr_assert(covered("mmap prot & PROT_EXEC == 0 # x\n", "mmap prot == PROT_READ # x\n"));
	cr_assert(covered("mmap prot & 4 == 0 # x\n", "mmap prot & 6 == 2 # x\n"));
	cr_assert(covered("read # x\n", "read fd == 1 when vsock # x\n"));
	cr_assert_not(covered("read when vsock # x\n", "read fd == 1 # x\n"));
	cr_assert_not(covered("read # x\n", "write fd == 1 # x\n"));
	cr_assert_not(covered("read fd == 1 # x\n", "read # x\n"));
	cr_assert_not(covered("read fd >= 2 # x\n", "read fd == 1 # x\n"));
	cr_assert_not(covered("read fd >= 96 # x\n", "read fd & 0xf0 == 0x60 # x\n"));
	cr_assert_not(covered("read fd >= 97 # x\n",
			      "read fd & 0xffffffffffffffe0 == 96 # x\n"));
	cr_assert_not(covered("mmap prot & 4 == 0 # x\n", "mmap prot & 2 == 2 # x\n"));
	cr_assert_not(covered("mmap prot & 4 == 0 # x\n", "mmap prot == PROT_EXEC # x\n"));
}

Test(policy, every_known_argument_name_is_an_argument_of_a_real_call)
{
	for (size_t i = 0; i < sizeof(arg_names) / sizeof(arg_names[0]); i++) {
		cr_assert_geq(policy_syscall(arg_names[i].call), 0, "%s", arg_names[i].call);
		cr_assert(arg_names[i].arg >= 0 && arg_names[i].arg < POLICY_CONDS);
	}
	for (size_t i = 0; i < sizeof(fd_calls) / sizeof(fd_calls[0]); i++)
		cr_assert_geq(policy_syscall(fd_calls[i]), 0, "%s", fd_calls[i]);
}

Test(policy, names_of_calls_fit_the_generated_table)
{
	for (int nr = 0; nr < POLICY_SYSCALLS; nr++) {
		const char *name = policy_syscall_name(nr);

		cr_assert(!name || strlen(name) < 24, "%s", name ? name : "");
		cr_assert(!name || policy_syscall(name) == nr, "%s", name ? name : "");
	}
}

Test(policy, names_of_policies_become_identifiers)
{
	cr_assert(valid_name("vmm-main"));
	cr_assert(valid_name("blk2"));
	cr_assert_not(valid_name(""));
	cr_assert_not(valid_name("2blk"));
	cr_assert_not(valid_name("a b"));
	cr_assert_not(valid_name("a_b"));
	cr_assert_not(valid_name("abcdefghijklmnopqrstuvwxyzabcdefgh"));
}
