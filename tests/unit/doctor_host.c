/* SPDX-License-Identifier: Apache-2.0 */
/* LIBS: -ljansson */
/* The production checks of `immure doctor`, on a /proc and a /sys that the test wrote. */
#include "cli/doctor_admin.c"
#include "cli/doctor_cgroup.c"
#include "cli/doctor_cpu.c"
#include "cli/doctor_kernel.c"
#include "cli/doctor_memory.c"
#include "cli/doctor_production.c"
#include "cli/doctor_rootless.c"
#include "cli/doctor_sysctl.c"
#include "cli/walls_text.c"
#include "jailer/cgroup.c"
#include "jailer/path.c"
#include "bpf/devices.c"
#include "jailer/bpf.c"
#include "jailer/devices.c"
#include "jailer/failure.c"
#include "cli/say.c"

#include "tests/unit/command.h"

#include <criterion/criterion.h>
#include <sys/wait.h>

static char base[32];
static struct doctor_host host;
static struct advices all;

/* Writes @text to @path below the root, with its directories. */
static void put_file(const char *path, const char *text)
{
	char full[256];
	FILE *f;

	snprintf(full, sizeof(full), "%s/%s", base, path);
	for (char *at = full + strlen(base) + 1; (at = strchr(at, '/')) != NULL; at++) {
		*at = 0;
		cr_assert(mkdir(full, 0700) == 0 || errno == EEXIST, "%s", full);
		*at = '/';
	}
	f = fopen(full, "we");
	cr_assert_not_null(f, "%s", full);
	cr_assert(fputs(text, f) >= 0 && fclose(f) == 0);
}

static void forget(const char *path)
{
	char full[256];

	snprintf(full, sizeof(full), "%s/%s", base, path);
	cr_assert_eq(unlink(full), 0, "%s", full);
}

static const struct {
	const char *path, *text;
} good[] = {
	{ "etc/passwd", "root:x:0:0:root:/root:/bin/bash\nnobody:x:65534:65534::/:/bin/sh\n" },
	{ "etc/group", "root:x:0:\nkvm:x:104:me\n" },
	{ "etc/subuid", "me:100000:65536\n" },
	{ "etc/subgid", "me:100000:65536\nyou:2016777216:65536\n" },
	{ "sys/devices/system/edac/mc/mc0/mc_name", "F19h\n" },
	{ "sys/devices/system/cpu/smt/active", "0\n" },
	{ "sys/devices/system/cpu/smt/control", "off\n" },
	{ "sys/devices/system/cpu/vulnerabilities/l1tf", "Not affected\n" },
	{ "sys/devices/system/cpu/vulnerabilities/mds", "Mitigation: Clear CPU buffers; SMT disabled\n" },
	{ "sys/devices/system/cpu/vulnerabilities/gather_data_sampling", "Not affected\n" },
	{ "sys/devices/system/cpu/vulnerabilities/meltdown", "Not affected\n" },
	{ "sys/devices/system/cpu/vulnerabilities/mmio_stale_data", "Not affected\n" },
	{ "sys/devices/system/cpu/vulnerabilities/retbleed", "Not affected\n" },
	{ "sys/devices/system/cpu/vulnerabilities/spec_rstack_overflow", "Not affected\n" },
	{ "sys/devices/system/cpu/vulnerabilities/spec_store_bypass", "Not affected\n" },
	{ "sys/devices/system/cpu/vulnerabilities/spectre_v1", "Not affected\n" },
	{ "sys/devices/system/cpu/vulnerabilities/spectre_v2", "Not affected\n" },
	{ "sys/devices/system/cpu/vulnerabilities/tsx_async_abort", "Not affected\n" },
	{ "sys/devices/system/cpu/vulnerabilities/vmscape", "Not affected\n" },
	{ "sys/devices/system/cpu/vulnerabilities/old_microcode", "Not affected\n" },
	{ "sys/module/kvm_amd/parameters/nested", "0\n" },
	{ "sys/module/kvm/parameters/nx_huge_pages", "Y\n" },
	{ "sys/kernel/mm/ksm/run", "0\n" },
	{ "sys/class/block/dm-0/dm/uuid", "CRYPT-PLAIN-swap\n" },
	{ "sys/fs/cgroup/cgroup.controllers", "cpuset cpu io memory hugetlb pids\n" },
	{ "proc/cpuinfo", "processor\t: 0\nmicrocode\t: 0xd0003f5\nflags\t\t: fpu vme\n" },
	{ "proc/swaps", "Filename\t\tType\n" },
	{ "proc/self/cgroup", "0::/user.slice/session.scope\n" },
	{ "proc/sys/kernel/io_uring_disabled", "2\n" },
	{ "proc/sys/dev/tty/legacy_tiocsti", "0\n" },
	{ "proc/sys/kernel/unprivileged_bpf_disabled", "1\n" },
	{ "proc/sys/vm/unprivileged_userfaultfd", "0\n" },
	{ "proc/sys/user/max_user_namespaces", "1000\n" },
	{ "proc/sys/kernel/yama/ptrace_scope", "1\n" },
	{ "proc/sys/kernel/dmesg_restrict", "1\n" },
	{ "proc/sys/kernel/kptr_restrict", "1\n" },
	{ "proc/sys/kernel/core_pattern", "core\n" },
};

static void make_host(void)
{
	char path[160];

	snprintf(base, sizeof(base), "/tmp/doctor-XXXXXX");
	cr_assert_not_null(mkdtemp(base));
	for (size_t i = 0; i < array_len(good); i++)
		put_file(good[i].path, good[i].text);
	snprintf(path, sizeof(path), "%s/proc", base);
	host.proc = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	snprintf(path, sizeof(path), "%s/sys", base);
	host.sys = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	snprintf(path, sizeof(path), "%s/etc", base);
	host.etc = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	cr_assert(host.proc >= 0 && host.sys >= 0 && host.etc >= 0);
}

static void remove_host(void)
{
	close(host.proc);
	close(host.sys);
	close(host.etc);
	if (fork() == 0) {
		execl("/bin/rm", "rm", "-rf", "--", base, (char *)NULL);
		_exit(1);
	}
	wait(NULL);
}

TestSuite(production, .init = make_host, .fini = remove_host);

/* What is said about this root; not about this machine. */
static void ask(void)
{
	all.n = 0;
	advise_cpu(&host, &all);
	advise_memory(&host, &all);
	advise_sysctl(&host, &all);
	advise_cgroup(&host, &all);
	ids(&host, &all);
}

static const struct advice *find(const char *name)
{
	for (unsigned i = 0; i < all.n; i++)
		if (strcmp(all.a[i].name, name) == 0)
			return &all.a[i];
	cr_assert_fail("no check '%s'", name);
	return NULL;
}

static unsigned not_ok(void)
{
	unsigned n = 0;

	for (unsigned i = 0; i < all.n; i++)
		n += all.a[i].result != ADVICE_OK;
	return n;
}

/* With @text in @path, check @name alone says @result; afterwards all is well again. */
static void says(const char *path, const char *text, const char *name, enum advice_result result)
{
	const struct advice *a;

	put_file(path, text);
	ask();
	a = find(name);
	cr_assert_eq(a->result, result, "%s: %s", name, a->state);
	cr_assert_eq(not_ok(), result != ADVICE_OK, "%u complaints for %s", not_ok(), name);
	cr_assert(a->why[0] != 0 && a->fix[0] != 0);
	for (size_t i = 0; i < array_len(good); i++)
		if (strcmp(good[i].path, path) == 0)
			put_file(path, good[i].text);
}

static void absent(const char *path, const char *name, enum advice_result result)
{
	forget(path);
	ask();
	cr_assert_eq(find(name)->result, result, "%s: %s", name, find(name)->state);
	cr_assert_eq(not_ok(), result != ADVICE_OK);
	for (size_t i = 0; i < array_len(good); i++)
		if (strcmp(good[i].path, path) == 0)
			put_file(path, good[i].text);
}

/* Root needs no delegated cgroup; the others here have one. */
static void delegate(void)
{
	put_file("sys/fs/cgroup/user.slice/cgroup.procs", "");
	put_file("sys/fs/cgroup/user.slice/cgroup.controllers", "cpu memory pids\n");
}

Test(production, a_good_host_gets_no_advice)
{
	delegate();
	ask();
	for (unsigned i = 0; i < all.n; i++)
		cr_assert_eq(all.a[i].result, ADVICE_OK, "%s: %s", all.a[i].name, all.a[i].state);
	cr_assert_eq(all.n, 3 + 14 + 3 + 9 + 2 + 1);
}

Test(production, processor)
{
	static const char mds[] = "sys/devices/system/cpu/vulnerabilities/mds";
	static const char smt_path[] = "sys/devices/system/cpu/smt/active";

	delegate();
	says(smt_path, "1\n", "SMT", ADVICE_GIVEN);
	absent(smt_path, "SMT", ADVICE_UNKNOWN);
	says(mds, "Vulnerable\n", "mds", ADVICE_GIVEN);
	says(mds, "Mitigation: Clear CPU buffers; SMT vulnerable\n", "mds", ADVICE_GIVEN);
	says(mds, "KVM: Vulnerable\n", "mds", ADVICE_GIVEN);
	says(mds, "Unknown: No mitigations\n", "mds", ADVICE_GIVEN);
	says(mds, "KVM: Mitigation: VMX disabled\n", "mds", ADVICE_OK);
	says(mds, "", "mds", ADVICE_UNKNOWN);
	says(mds, "something new\n", "mds", ADVICE_UNKNOWN);
	says("sys/module/kvm_amd/parameters/nested", "1\n", "nested virtualization", ADVICE_GIVEN);
	says("sys/module/kvm_amd/parameters/nested", "Y\n", "nested virtualization", ADVICE_GIVEN);
	says("sys/module/kvm_amd/parameters/nested", "N\n", "nested virtualization", ADVICE_OK);
	absent("sys/devices/system/cpu/vulnerabilities/vmscape", "vmscape", ADVICE_UNKNOWN);
	absent("sys/module/kvm_amd/parameters/nested", "nested virtualization", ADVICE_UNKNOWN);
	says("sys/module/kvm/parameters/nx_huge_pages", "N\n", "kvm nx_huge_pages", ADVICE_GIVEN);
	put_file("sys/devices/system/cpu/vulnerabilities/itlb_multihit", "Not affected\n");
	says("sys/module/kvm/parameters/nx_huge_pages", "N\n", "kvm nx_huge_pages", ADVICE_OK);
	absent("sys/module/kvm/parameters/nx_huge_pages", "kvm nx_huge_pages", ADVICE_UNKNOWN);
}

Test(production, user_ids_are_nobody_elses)
{
	static const char name[] = "user ids of machines";
	static const struct {
		const char *file, *text;
		enum advice_result result;
	} all_files[] = {
		{ "etc/passwd", "me:x:1999999999:1::/:/bin/sh\n", ADVICE_OK },
		{ "etc/passwd", "a:x:1:1::/:/bin/sh\nme:x:2000000000:1::/:/bin/sh\n", ADVICE_GIVEN },
		{ "etc/passwd", "me:x:2016777215:1::/:/bin/sh", ADVICE_GIVEN },
		{ "etc/passwd", "me:x:2016777216:1::/:/bin/sh\n", ADVICE_OK },
		{ "etc/passwd", "+::::::\n# note\n\n", ADVICE_OK },
		{ "etc/group", "g:x:2000000016:\n", ADVICE_GIVEN },
		{ "etc/subuid", "me:1999999990:10\n", ADVICE_OK },
		{ "etc/subuid", "me:1999999990:11\n", ADVICE_GIVEN },
		{ "etc/subgid", "me:0:4294967295\n", ADVICE_GIVEN },
		{ "etc/subgid", "me:2016777215:1\n", ADVICE_GIVEN },
		{ "etc/subgid", "me:2016777216:1\n", ADVICE_OK },
	};

	delegate();
	for (size_t i = 0; i < array_len(all_files); i++)
		says(all_files[i].file, all_files[i].text, name, all_files[i].result);
	absent("etc/subuid", name, ADVICE_OK);
}

Test(production, microcode_is_a_hint)
{
	delegate();
	says("proc/cpuinfo", "microcode\t: 0x1\nflags\t\t: fpu hypervisor lahf\n", "microcode",
	     ADVICE_UNKNOWN);
	says("proc/cpuinfo", "model : 1\n", "microcode", ADVICE_UNKNOWN);
	absent("proc/cpuinfo", "microcode", ADVICE_UNKNOWN);
	absent("sys/devices/system/cpu/vulnerabilities/old_microcode", "microcode", ADVICE_UNKNOWN);
}

Test(production, memory)
{
	delegate();
	absent("sys/devices/system/edac/mc/mc0/mc_name", "memory with ECC", ADVICE_UNKNOWN);
	says("sys/kernel/mm/ksm/run", "1\n", "same-page merging (KSM)", ADVICE_GIVEN);
	says("sys/kernel/mm/ksm/run", "2\n", "same-page merging (KSM)", ADVICE_OK);
	absent("sys/kernel/mm/ksm/run", "same-page merging (KSM)", ADVICE_OK);
	says("proc/swaps", "Filename\n/dev/sda2 partition 1 0 -2\n", "swap", ADVICE_GIVEN);
	says("proc/swaps", "Filename\n/dev/dm-0 partition 1 0 -2\n", "swap", ADVICE_OK);
	says("proc/swaps", "Filename\n/dev/dm-0 partition\n/dev/dm-1 partition\n", "swap", ADVICE_GIVEN);
	says("proc/swaps", "Filename\n/dev/zram0 partition 1 0 -2\n", "swap", ADVICE_OK);
	says("proc/swaps", "Filename\n/swap\\040file file 1 0 -2\n", "swap", ADVICE_GIVEN);
	says("proc/swaps", "Filename\n/dev/../dm-0/../../x\n", "swap", ADVICE_GIVEN);
}

Test(production, settings)
{
	delegate();
	says("proc/sys/kernel/io_uring_disabled", "1\n", "kernel.io_uring_disabled", ADVICE_GIVEN);
	absent("proc/sys/kernel/io_uring_disabled", "kernel.io_uring_disabled", ADVICE_UNKNOWN);
	says("proc/sys/dev/tty/legacy_tiocsti", "1\n", "dev.tty.legacy_tiocsti", ADVICE_GIVEN);
	says("proc/sys/kernel/unprivileged_bpf_disabled", "0\n", "kernel.unprivileged_bpf_disabled",
	     ADVICE_GIVEN);
	absent("proc/sys/vm/unprivileged_userfaultfd", "vm.unprivileged_userfaultfd", ADVICE_OK);
	says("proc/sys/user/max_user_namespaces", "0\n", "user.max_user_namespaces", ADVICE_GIVEN);
	says("proc/sys/kernel/yama/ptrace_scope", "0\n", "kernel.yama.ptrace_scope", ADVICE_GIVEN);
	says("proc/sys/kernel/yama/ptrace_scope", "2\n", "kernel.yama.ptrace_scope", ADVICE_OK);
	absent("proc/sys/kernel/yama/ptrace_scope", "kernel.yama.ptrace_scope", ADVICE_GIVEN);
	says("proc/sys/kernel/dmesg_restrict", "0\n", "kernel.dmesg_restrict", ADVICE_GIVEN);
	says("proc/sys/kernel/kptr_restrict", "0\n", "kernel.kptr_restrict", ADVICE_GIVEN);
	says("proc/sys/kernel/core_pattern", "|/usr/share/apport %p\n", "kernel.core_pattern",
	     ADVICE_GIVEN);
	says("proc/sys/kernel/core_pattern", "\n", "kernel.core_pattern", ADVICE_OK);
	/* What is no number is not taken for one. */
	says("proc/sys/kernel/kptr_restrict", "", "kernel.kptr_restrict", ADVICE_UNKNOWN);
	says("proc/sys/kernel/kptr_restrict", "1x\n", "kernel.kptr_restrict", ADVICE_UNKNOWN);
	says("proc/sys/kernel/kptr_restrict", "99999999999999999999\n", "kernel.kptr_restrict",
	     ADVICE_UNKNOWN);
}

Test(production, control_groups)
{
	delegate();
	says("sys/fs/cgroup/cgroup.controllers", "cpuset cpu memory pids\n", "control groups",
	     ADVICE_GIVEN);
	cr_assert_str_eq(find("control groups")->state, "version 2, lacks io");
	says("sys/fs/cgroup/cgroup.controllers", "cpuset io memory pids\n", "control groups",
	     ADVICE_GIVEN);
	cr_assert_str_eq(find("control groups")->state, "version 2, lacks cpu");
}

/* Runs @check as a user who is not root, which who runs the test may be. */
static int as_user(bool (*check)(void))
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		char path[160];

		snprintf(path, sizeof(path), "%s/sys/fs/cgroup/user.slice/cgroup.procs", base);
		if (geteuid() == 0 && (chmod(base, 0755) < 0 || chown(path, 12345, 12345) < 0))
			_exit(2);
		if (geteuid() == 0 && setresuid(12345, 12345, 12345) < 0)
			_exit(2);
		_exit(check() ? 0 : 1);
	}
	waitpid(pid, &status, 0);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128;
}

static void open_to_all(void)
{
	static const char *const dirs[] = { "sys", "sys/fs", "sys/fs/cgroup", "sys/fs/cgroup/user.slice",
					    "proc", "proc/self" };
	char path[160];

	for (size_t i = 0; i < array_len(dirs); i++) {
		snprintf(path, sizeof(path), "%s/%s", base, dirs[i]);
		cr_assert_eq(chmod(path, 0755), 0);
	}
}

static bool is_delegated(void)
{
	all.n = 0;
	advise_cgroup(&host, &all);
	return find("delegated control group")->result == ADVICE_OK;
}

Test(production, a_user_needs_a_delegated_group)
{
	delegate();
	open_to_all();
	cr_assert_eq(as_user(is_delegated), 0);
	put_file("sys/fs/cgroup/user.slice/cgroup.controllers", "cpu pids\n");
	cr_assert_eq(as_user(is_delegated), 1);
	put_file("sys/fs/cgroup/user.slice/cgroup.controllers", "cpu pids memory\n");
	put_file("proc/self/cgroup", "0::/elsewhere/x\n");
	cr_assert_eq(as_user(is_delegated), 1);
	put_file("proc/self/cgroup", "garbage");
	cr_assert_eq(as_user(is_delegated), 1);
}

Test(production, hostile_text_is_cleaned_and_bounded)
{
	char *big = malloc(1 << 20);

	memset(big, '\033', (1 << 20) - 1);
	big[(1 << 20) - 1] = 0;
	for (size_t i = 0; i < array_len(good); i++)
		put_file(good[i].path, big);
	ask();
	for (unsigned i = 0; i < all.n; i++)
		cr_assert_null(strchr(all.a[i].state, '\033'), "%s", all.a[i].name);
	cr_assert_neq(find("mds")->result, ADVICE_OK);
	free(big);
	for (unsigned i = 0; i < ADVICE_MAX * 2; i++)
		advise(&all, "x", ADVICE_OK, "", "", "%u", i);
	cr_assert_eq(all.n, ADVICE_MAX);
}

Test(production, json_and_this_machine)
{
	json_t *list, *e;
	size_t i;

	advise_all(&all);
	cr_assert_gt(all.n, 15);
	list = advices_json(&all);
	cr_assert_eq(json_array_size(list), all.n);
	json_array_foreach(list, i, e)
		cr_assert(json_string_length(json_object_get(e, "fix")) > 0 &&
			  json_string_length(json_object_get(e, "why")) > 0);
	json_decref(list);
	list = rootless_json();
	cr_assert_gt(json_array_size(list), 5);
	json_decref(list);
}

Test(doctor, what_rootless_does_without_is_in_SECURITY_md, .timeout = 60)
{
	char text[65536], cell[64];
	FILE *f = fopen("SECURITY.md", "re");
	size_t n;
	char *section;

	cr_assert_not_null(f, "run in the top directory");
	n = fread(text, 1, sizeof(text) - 1, f);
	fclose(f);
	text[n] = 0;
	section = strstr(text, "\n## Without root\n");
	cr_assert_not_null(section);
	*strstr(section + 2, "\n## ") = 0;
	for (size_t i = 0; i < array_len(layers); i++) {
		snprintf(cell, sizeof(cell), "\n| %s |", layers[i].layer);
		cr_expect_not_null(strstr(section, cell), "%s", layers[i].layer);
	}
}

/* The built `immure doctor --json`, with @more: its exit status, and what it printed. */
static int doctor(const char *more, json_t **o)
{
	const struct command c = { .argv = { "immure", "doctor", "--json", more } };
	char text[65536];
	int status = command_run(&c, text, sizeof(text));

	*o = json_loads(text, 0, NULL);
	cr_assert_not_null(*o, "%s", text);
	return status;
}

Test(doctor, advice_counts_only_for_who_asks, .timeout = 60)
{
	json_t *o;
	bool ok, advised;
	int plain = doctor(NULL, &o);

	cr_assert_eq(doctor_status(0, false, 9), 0);
	cr_assert_eq(doctor_status(0, true, 0), 0);
	cr_assert_eq(doctor_status(0, true, 1), 1);
	cr_assert_eq(doctor_status(1, false, 0), 1);
	ok = json_is_true(json_object_get(o, "ok"));
	advised = json_is_false(json_object_get(json_object_get(o, "production"), "ok"));
	cr_assert_gt(json_array_size(json_object_get(json_object_get(o, "production"), "checks")), 15);
	cr_assert_gt(json_array_size(json_object_get(o, "rootless")), 5);
	cr_assert_gt(json_array_size(json_object_get(o, "checks")), 8);
	json_decref(o);
	cr_assert_eq(plain, ok ? 0 : 1);
	cr_assert_eq(doctor("--production", &o), ok && !advised ? 0 : 1);
	json_decref(o);
}
