/* SPDX-License-Identifier: Apache-2.0 */
/* LIBS: -ljansson */
/* The real jailer, watched from the outside while it builds a VM: which capabilities it has at
 * which call and that it has none to spare, how it opens paths, and what becomes of it when
 * somebody swaps links under its feet. */
#include "jailer/capabilities.c"
#include "tests/unit/jail_rig.h"

#include <criterion/parameterized.h>
#include <linux/openat2.h>
#include <sys/inotify.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>

enum { CALLS_MAX = 4096, STRANGER = 4242 };

/* One system call of the jailer's main thread, at its entry. */
struct call {
	long nr;
	uint64_t args[6];
	uint64_t permitted, effective, bounding;
	struct open_how how;		/* openat2 */
	char path[128];			/* openat2 */
};

static struct call calls[CALLS_MAX];
static size_t ncalls;

static void look(pid_t pid, const struct __ptrace_syscall_info *info)
{
	struct call *c = &calls[ncalls];
	struct iovec to = { &c->how, sizeof(c->how) }, from = { NULL, sizeof(c->how) };

	cr_assert_lt(ncalls, CALLS_MAX);
	ncalls++;
	c->nr = (long)info->entry.nr;
	memcpy(c->args, info->entry.args, sizeof(c->args));
	c->permitted = (uint64_t)rig_status(pid, "CapPrm", 16);
	c->effective = (uint64_t)rig_status(pid, "CapEff", 16);
	c->bounding = (uint64_t)rig_status(pid, "CapBnd", 16);
	if (c->nr != SYS_openat2)
		return;
	from.iov_base = (void *)(uintptr_t)c->args[2];
	cr_assert_eq(process_vm_readv(pid, &to, 1, &from, 1, 0), (ssize_t)sizeof(c->how));
	for (size_t i = 0; i + 1 < sizeof(c->path); i++) {
		to = (struct iovec){ &c->path[i], 1 };
		from = (struct iovec){ (void *)(uintptr_t)(c->args[1] + i), 1 };
		if (process_vm_readv(pid, &to, 1, &from, 1, 0) != 1 || c->path[i] == 0)
			break;
	}
}

/* Starts a VM and records every call of the jailer up to its first filter. */
static void watch(struct rig *r, const char *config)
{
	struct __ptrace_syscall_info info;
	unsigned long options = PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACEEXEC;
	bool executed = false;
	int status;

	r->stopped = true;
	rig_start(r, config);
	cr_assert_eq(waitpid(r->jailer, &status, WUNTRACED), r->jailer);
	cr_assert_eq(ptrace(PTRACE_SEIZE, r->jailer, NULL, options), 0);
	kill(r->jailer, SIGCONT);
	for (;;) {
		cr_assert_eq(waitpid(r->jailer, &status, __WALL), r->jailer);
		cr_assert(WIFSTOPPED(status), "the jailer ended: %x", status);
		executed |= status >> 8 == (SIGTRAP | PTRACE_EVENT_EXEC << 8);
		if (executed && WSTOPSIG(status) == (SIGTRAP | 0x80) &&
		    ptrace(PTRACE_GET_SYSCALL_INFO, r->jailer, sizeof(info), &info) > 0 &&
		    info.op == PTRACE_SYSCALL_INFO_ENTRY) {
			look(r->jailer, &info);
			if (calls[ncalls - 1].nr == SYS_seccomp)
				break;
		}
		cr_assert_eq(ptrace(PTRACE_SYSCALL, r->jailer, NULL, NULL), 0);
	}
	cr_assert_eq(ptrace(PTRACE_DETACH, r->jailer, NULL, NULL), 0);
}

/* The first call @nr whose argument @arg has all of @bits. */
static const struct call *first(long nr, unsigned arg, uint64_t bits)
{
	for (size_t i = 0; i < ncalls; i++)
		if (calls[i].nr == nr && (calls[i].args[arg] & bits) == bits)
			return &calls[i];
	cr_assert_fail("call %ld was not made", nr);
	return NULL;
}

static void end(struct rig *r)
{
	json_decref(rig_end(r, "guest-poweroff", 0));
	rig_nothing_left(r);
	rig_remove(r);
}

#define HAVE(cap) (1ull << CAP_##cap)

Test(jail_steps, each_capability_goes_when_it_was_used_last)
{
	struct rig r = rig_make(0);
	const uint64_t all = HAVE(DAC_OVERRIDE) | HAVE(SETUID) | HAVE(SETGID) | HAVE(SYS_ADMIN);

	watch(&r, rig_config(&r, "done", ""));
	cr_assert_eq(first(SYS_read, 0, 3)->permitted, all | HAVE(NET_ADMIN),
		     "when it reads its configuration");
	cr_assert_eq(first(SYS_openat2, 0, 0)->permitted, all);
	cr_assert_eq(first(SYS_pivot_root, 0, 0)->permitted, all);
	cr_assert_eq(first(SYS_bind, 0, 0)->permitted, all);
	cr_assert_eq(first(SYS_clone3, 0, 0)->permitted, all & ~HAVE(DAC_OVERRIDE));
	cr_assert_eq(first(SYS_unshare, 0, CLONE_NEWCGROUP)->permitted, HAVE(SYS_ADMIN));
	cr_assert_eq(first(SYS_seccomp, 0, 0)->permitted, 0);
	for (size_t i = 0; i < ncalls; i++) {
		cr_assert_eq(calls[i].permitted, calls[i].effective);
		cr_assert(i == 0 || (calls[i].permitted & ~calls[i - 1].permitted) == 0);
		cr_assert(&calls[i] < first(SYS_read, 0, 3) || calls[i].bounding == 0);
	}
	end(&r);
}

/* Leaves only the capabilities @keep for what this process executes from now on. */
static void bound(uint64_t keep)
{
	for (unsigned long cap = 0; cap < CAPABILITIES_MAX; cap++)
		if ((keep & 1ull << cap) == 0)
			prctl(PR_CAPBSET_DROP, cap, 0, 0, 0);
}

static uint64_t table(void)
{
	uint64_t all = 0;

	for (size_t i = 0; i < array_len(capabilities); i++)
		all |= 1ull << capabilities[i].number;
	return all;
}

/* A VM whose disk is somebody else's, as root may well start. */
static struct rig strangers_disk(void)
{
	struct rig r = rig_make(0);
	char path[64];

	snprintf(path, sizeof(path), "%s/disk", r.dir);
	cr_assert(chown(path, STRANGER, STRANGER) == 0 && chmod(path, 0600) == 0);
	return r;
}

Test(jail_steps, the_capabilities_of_the_table_are_enough)
{
	struct rig r = strangers_disk();

	bound(table());
	rig_start(&r, rig_config(&r, "done", ",\"net\":[{\"tap\":\"rig0\"}]"));
	end(&r);
}

ParameterizedTestParameters(jail_steps, without_any_one_of_them_no_VM_starts)
{
	static size_t index[JAILER_CAPABILITIES];

	for (size_t i = 0; i < array_len(index); i++)
		index[i] = i;
	return cr_make_param_array(size_t, index, array_len(index));
}

ParameterizedTest(size_t *i, jail_steps, without_any_one_of_them_no_VM_starts)
{
	static const char *const says[] = {
		[CAPABILITY_LOCK] = "keep few capabilities", [CAPABILITY_LISTEN] = "open disk",
		[CAPABILITY_SPAWN] = "map the ids", [CAPABILITY_LEAVE] = "namespace",
		[CAPABILITY_TAP] = "make tap rig0",
	};
	struct rig r = strangers_disk();
	json_t *e;

	bound(table() & ~(1ull << capabilities[*i].number));
	rig_start(&r, rig_config(&r, "done", ",\"net\":[{\"tap\":\"rig0\",\"wall\":\"off\"}]"));
	e = rig_end(&r, "setup", 125);
	cr_assert_not_null(strstr(rig_word(e, "text"), says[capabilities[*i].until]), "%s: %s",
			   capabilities[*i].name, rig_word(e, "text"));
	json_decref(e);
	cr_assert(!rig_cgroup_left(&r));
	rig_remove(&r);
}

/* ---- paths ---- */

/* Opened by name in the old way, or made by name without O_EXCL's certainty. */
static bool unsafe_call(long nr)
{
	static const long unsafe[] = {
		SYS_open, SYS_openat, SYS_creat, SYS_chown, SYS_lchown, SYS_fchownat, SYS_chmod,
		SYS_fchmodat, SYS_rename, SYS_renameat, SYS_renameat2, SYS_link, SYS_linkat,
		SYS_symlink, SYS_symlinkat, SYS_mkdir, SYS_unlink, SYS_rmdir, SYS_truncate,
		SYS_mknod, SYS_mknodat, SYS_access, SYS_stat, SYS_lstat, SYS_open_by_handle_at,
	};

	for (size_t i = 0; i < array_len(unsafe); i++)
		if (unsafe[i] == nr)
			return true;
	return false;
}

Test(jail_steps, every_path_is_resolved_with_care)
{
	struct rig r = rig_make(0);
	unsigned opened = 0;

	watch(&r, rig_config(&r, "done", ""));
	for (size_t i = 0; i < ncalls; i++) {
		const struct call *c = &calls[i];
		const bool held = (int)c->args[0] != AT_FDCWD;
		const uint64_t below = RESOLVE_NO_MAGICLINKS | RESOLVE_NO_SYMLINKS |
				       RESOLVE_BENEATH;

		cr_assert(!unsafe_call(c->nr), "call %ld", c->nr);
		if (c->nr != SYS_openat2)
			continue;
		opened++;
		cr_assert(c->how.resolve & RESOLVE_NO_MAGICLINKS, "%s", c->path);
		if ((c->how.flags & O_CREAT) != 0)
			cr_assert(held && (c->how.flags & O_EXCL) != 0 && c->how.mode == 0600 &&
				  strcmp(c->path, "pages") == 0, "%s", c->path);
		cr_assert((c->how.flags & O_TRUNC) == 0, "%s", c->path);
		/* Below what it holds: nothing leads out. */
		cr_assert(!held || c->how.resolve == below, "%s: %llx", c->path, c->how.resolve);
		/* What the caller named: no link at all, here, where there is none. */
		if (strncmp(c->path, "/tmp/", 5) == 0 && strstr(c->path, "/parent") == NULL)
			cr_assert(c->how.resolve & RESOLVE_NO_SYMLINKS, "%s", c->path);
	}
	cr_assert_geq(opened, 8);
	end(&r);
}

/* A directory "own" of a stranger, in which he may put a link to "outside", which is root's. */
static struct rig strangers_directory(void)
{
	struct rig r = rig_make(0);
	char path[64];

	snprintf(path, sizeof(path), "%s/own", r.dir);
	cr_assert(mkdir(path, 0755) == 0 && chown(path, STRANGER, STRANGER) == 0);
	snprintf(path, sizeof(path), "%s/outside", r.dir);
	cr_assert_eq(mkdir(path, 0755), 0);
	rig_file(&r, "outside/secret", rig_done, sizeof(rig_done) - 1, 1 << 20);
	return r;
}

static const char *in(const struct rig *r, const char *name)
{
	static char path[4][80];
	static unsigned next;
	char *p = path[next++ % 4];

	snprintf(p, sizeof(path[0]), "%s/%s", r->dir, name);
	return p;
}

static void try_link(struct rig *r, const char *name, bool followed)
{
	char text[512];
	json_t *e;

	snprintf(text, sizeof(text), "{\"name\":\"%s\",\"id\":5,\"kernel\":\"%s/done\","
		 "\"entry\":\"flat\",\"memory\":33554432,\"disks\":[{\"path\":\"%s\","
		 "\"readonly\":false}]}", r->name, r->dir, in(r, name));
	rig_start(r, text);
	e = rig_end(r, followed ? "guest-poweroff" : "setup", followed ? 0 : 125);
	if (!followed)
		cr_assert_not_null(strstr(rig_word(e, "text"), "name the real path"), "%s",
				   rig_word(e, "text"));
	json_decref(e);
	close(r->client);
	r->client = -1;
}

static void clear(struct rig *r)
{
	static const char *const files[] = {
		"own/link", "own/dir", "sticky/link", "sticky/mine", "link", "up", "outside/secret",
	};
	static const char *const dirs[] = { "own/kept", "own", "sticky", "outside" };

	for (size_t i = 0; i < array_len(files); i++)
		unlink(in(r, files[i]));
	for (size_t i = 0; i < array_len(dirs); i++)
		rmdir(in(r, dirs[i]));
	rig_remove(r);
}

Test(jail_steps, links_are_followed_only_where_no_stranger_could_have_put_them)
{
	struct rig r = strangers_directory();

	cr_assert(mkdir(in(&r, "sticky"), 0777) == 0 && chmod(in(&r, "sticky"), 01777) == 0);
	cr_assert_eq(symlink(in(&r, "disk"), in(&r, "link")), 0);
	cr_assert_eq(symlink("outside/../link", in(&r, "up")), 0);
	cr_assert_eq(symlink(in(&r, "outside/secret"), in(&r, "own/link")), 0);
	cr_assert_eq(symlink(in(&r, "outside"), in(&r, "own/dir")), 0);
	cr_assert_eq(symlink(in(&r, "outside/secret"), in(&r, "sticky/link")), 0);
	cr_assert_eq(lchown(in(&r, "sticky/link"), STRANGER, STRANGER), 0);
	cr_assert_eq(symlink(in(&r, "disk"), in(&r, "sticky/mine")), 0);
	try_link(&r, "link", true);
	try_link(&r, "up", true);
	try_link(&r, "sticky/mine", true);
	try_link(&r, "own/link", false);
	try_link(&r, "own/dir/secret", false);
	try_link(&r, "sticky/link", false);
	clear(&r);
}

/* Puts, as the stranger, now the honest thing and now a link to the outside in its place. */
static _Noreturn void race(const char *dir)
{
	static const char *const names[] = { "run", "disk", "kernel" };
	static const char *const victims[] = { "", "/secret", "/secret" };
	char target[128];

	if (chdir(dir) < 0 || setgroups(0, NULL) < 0 || setresgid(STRANGER, STRANGER, STRANGER) < 0 ||
	    setresuid(STRANGER, STRANGER, STRANGER) < 0)
		_exit(1);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (unsigned i = 0;; i = (i + 1) % 3) {
		char kept[16];

		snprintf(kept, sizeof(kept), "%s.kept", names[i]);
		snprintf(target, sizeof(target), "../outside%s", victims[i]);
		if (symlink(target, "link") < 0)
			_exit(2);
		rename(names[i], kept);
		rename("link", names[i]);
		sched_yield();
		unlink(names[i]);
		rename(kept, names[i]);
	}
}

/* Everything that happens to the outside: opened (but not O_PATH), made, removed, changed. */
static int watch_outside(const struct rig *r)
{
	int fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);

	cr_assert_geq(inotify_add_watch(fd, in(r, "outside"), IN_ALL_EVENTS), 0);
	cr_assert_geq(inotify_add_watch(fd, in(r, "outside/secret"), IN_ALL_EVENTS), 0);
	return fd;
}

static void nothing_happened(int fd)
{
	char buf[4096] __attribute__((aligned(8)));
	ssize_t n = read(fd, buf, sizeof(buf));
	const struct inotify_event *e = (const void *)buf;

	cr_assert(n < 0 && errno == EAGAIN, "event %#x on '%s'", n > 0 ? e->mask : 0,
		  n > 0 && e->len > 0 ? e->name : "");
}

static struct rig swapped(void)
{
	static const char *const files[] = { "own/disk", "own/kernel" };
	struct rig r = strangers_directory();

	cr_assert(mkdir(in(&r, "own/run"), 0777) == 0 && chmod(in(&r, "own/run"), 0777) == 0);
	cr_assert_eq(chown(in(&r, "own/run"), STRANGER, STRANGER), 0);
	for (size_t i = 0; i < array_len(files); i++) {
		rig_file(&r, files[i], rig_done, sizeof(rig_done) - 1, 1 << 20);
		cr_assert_eq(chown(in(&r, files[i]), STRANGER, STRANGER), 0);
	}
	return r;
}

static void clear_swapped(struct rig *r)
{
	static const char *const names[] = { "run", "disk", "kernel", "link" };
	char name[32];

	unlink(in(r, "own/run/pages"));
	unlink(in(r, "own/run.kept/pages"));
	unlink(in(r, "own/run/v.sock"));
	unlink(in(r, "own/run.kept/v.sock"));
	for (size_t i = 0; i < array_len(names); i++) {
		for (int kept = 0; kept < 2; kept++) {
			snprintf(name, sizeof(name), "own/%s%s", names[i], kept ? ".kept" : "");
			if (unlink(in(r, name)) < 0)
				rmdir(in(r, name));
		}
	}
	clear(r);
}

/* One start in the middle of it: true when the VM ran. */
static bool start_swapped(struct rig *r, bool run_dir)
{
	char text[1024], dir[128] = "";
	bool ran = false;
	json_t *e;
	int status;

	if (run_dir)
		snprintf(dir, sizeof(dir), "\"run_dir\":\"%s/own/run\",", r->dir);
	snprintf(text, sizeof(text), "{\"name\":\"%s\",\"id\":5,\"kernel\":\"%s/own/kernel\","
		 "\"entry\":\"flat\",\"memory\":33554432,%s"
		 "\"disks\":[{\"path\":\"%s/own/disk\",\"readonly\":false}],"
		 "\"vsock\":{\"cid\":3,\"path\":\"%s/own/run/v.sock\"}}",
		 r->name, r->dir, dir, r->dir, r->dir);
	rig_start(r, text);
	while ((e = rig_event(r)) != NULL) {
		ran |= strcmp(rig_word(e, "reason"), "guest-poweroff") == 0;
		json_decref(e);
	}
	cr_assert_eq(waitpid(r->jailer, &status, 0), r->jailer);
	cr_assert(WIFEXITED(status), "status %x", status);
	close(r->client);
	r->client = -1;
	return ran;
}

/* CVE-2026-1386's class: a jailer of root in a directory of somebody who swaps links. */
Test(jail_steps, a_stranger_who_swaps_links_meanwhile_gets_nothing, .timeout = 120)
{
	enum { ROUNDS = 200 };
	struct rig r = swapped();
	int outside = watch_outside(&r);
	unsigned ran = 0, status;
	pid_t racer = fork();

	if (racer == 0)
		race(in(&r, "own"));
	for (unsigned i = 0; i < ROUNDS; i++) {
		ran += start_swapped(&r, i % 2 == 0);
		nothing_happened(outside);
	}
	kill(racer, SIGKILL);
	cr_assert_eq(waitpid(racer, (int *)&status, 0), racer);
	cr_assert(WIFSIGNALED(status), "the racer gave up: %x", status);
	cr_log_info("%u of %d ran", ran, ROUNDS);
	/* Both must have happened, or nobody raced. */
	cr_assert(ran > 0 && ran < ROUNDS, "%u of %d ran", ran, ROUNDS);
	close(outside);
	clear_swapped(&r);
}

/* ---- what shares the processor, and what is mapped ---- */

/* "Speculation_Store_Bypass" and its like in /proc/PID/status: nothing left to forbid? */
static bool restricted(pid_t pid, const char *key)
{
	char path[64], line[256];
	bool ok = false;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	f = fopen(path, "re");
	while (f != NULL && fgets(line, sizeof(line), f) != NULL)
		if (strncmp(line, key, strlen(key)) == 0)
			ok = strstr(line, "force") != NULL || strstr(line, "not ") != NULL ||
			     strstr(line, "always disabled") != NULL ||
			     strstr(line, "globally mitigated") != NULL;
	if (f != NULL)
		fclose(f);
	return ok;
}

static void stop(struct rig *r)
{
	cr_assert_eq(send(r->client, "stop", 4, 0), 4);
	json_decref(rig_end(r, "stopped", 0));
	rig_remove(r);
}

/* A processor without hyperthreads has nobody to share a core with. */
static bool shares_no_core(pid_t pid, unsigned long *cookie)
{
	enum { GET = 0, SCHED_CORE = 62 };
	char active[4] = "";
	int fd = open("/sys/devices/system/cpu/smt/active", O_RDONLY);
	bool siblings = fd < 0 || read(fd, active, 1) != 1 || active[0] != '0';

	close(fd);
	return !siblings || (prctl(SCHED_CORE, GET, pid, 0, cookie) == 0 && *cookie != 0);
}

static void refused_to_speculate(struct rig *r)
{
	json_t *e = rig_end(r, "setup", 125);

	cr_log_info("this host lets all processes speculate");
	cr_assert(strstr(rig_word(e, "text"), "cannot keep a process from speculating"), "%s", rig_word(e, "text"));
	json_decref(e);
	cr_assert(!rig_cgroup_left(r));
	rig_remove(r);
}

/* Whatever shares a processor with a VM that asked not to: nothing, of no process of it. */
Test(jail_steps, what_shares_the_processor_is_restricted_when_asked)
{
	struct rig r = rig_make(0);
	unsigned long cookie[RIG_PROCESSES + 1] = { 0 };

	rig_start(&r, rig_config(&r, "idle",
				 ",\"speculation\":\"restrict\",\"core_scheduling\":true"));
	if (!rig_restricts()) {
		refused_to_speculate(&r);
		return;
	}
	rig_running(&r);
	for (unsigned i = 0; i <= r.nprocs; i++) {
		pid_t pid = i < r.nprocs ? r.pid[i] : r.jailer;

		cr_expect(restricted(pid, "Speculation_Store_Bypass"), "process %u", i);
		cr_expect(restricted(pid, "SpeculationIndirectBranch"), "process %u", i);
		cr_expect(shares_no_core(pid, &cookie[i]), "process %u", i);
		cr_expect_eq(cookie[i], cookie[0]);
	}
	stop(&r);
}

/* Every mapping of its own program that process @pid has must be sealed ("sl"). */
static unsigned unsealed(pid_t pid, unsigned *sealed)
{
	char path[64], line[512];
	bool image = false;
	unsigned open = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/smaps", (int)pid);
	f = fopen(path, "re");
	cr_assert_not_null(f);
	while (fgets(line, sizeof(line), f) != NULL) {
		if (strncmp(line, "VmFlags:", 8) == 0) {
			*sealed += image && strstr(line, " sl") != NULL;
			open += image && strstr(line, " sl") == NULL;
		} else if (strspn(line, "0123456789abcdef") >= 8) {
			image = strstr(line, "/immure-") != NULL;
		}
	}
	fclose(f);
	return open;
}

Test(jail_steps, the_image_of_every_process_is_sealed)
{
	enum { MSEAL = 462 };
	struct rig r = rig_make(0);
	unsigned sealed = 0;

	if (syscall(MSEAL, 0, 0, 1ul) < 0 && errno == ENOSYS)
		cr_skip("this kernel has no mseal");
	rig_start(&r, rig_config(&r, "idle", ""));
	rig_running(&r);
	cr_assert_eq(r.nprocs, 3);
	for (unsigned i = 0; i < r.nprocs; i++)
		cr_assert_eq(unsealed(r.pid[i], &sealed), 0, "process %u", i);
	cr_assert_eq(unsealed(r.jailer, &sealed), 0, "supervisor");
	cr_assert_geq(sealed, 4u * 4);
	stop(&r);
}
