/* SPDX-License-Identifier: Apache-2.0 */
/* Small parts of the jail: cgroup paths, Landlock's rights, placing descriptors, limits. */
#include "jailer/cgroup.c"
#include "bpf/devices.c"
#include "jailer/bpf.c"
#include "jailer/devices.c"
#include "jailer/failure.c"
#include "jailer/landlock.c"
#include "jailer/limits.c"
#include "jailer/path.c"
#include "jailer/place.c"
#include "tests/unit/forked.h"

#include <criterion/criterion.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

static const char v1[] =
	"9:name=systemd:/\n8:pids:/user.slice\n5:cpu,cpuacct:/a/b\n"
	"4:memory:/process/1:2\n0::/u\n";

static const char *path_of(const char *text, const char *controller)
{
	static char path[64];

	return cgroup_find(text, controller, path, sizeof(path)) ? path : NULL;
}

Test(cgroup, the_path_of_a_controller_is_found)
{
	cr_assert_str_eq(path_of(v1, "pids"), "/user.slice");
	cr_assert_str_eq(path_of(v1, "cpu"), "/a/b");
	cr_assert_str_eq(path_of(v1, "cpuacct"), "/a/b");
	cr_assert_str_eq(path_of(v1, "memory"), "/process/1:2");
	cr_assert_str_eq(path_of(v1, ""), "/u");
	cr_assert_str_eq(path_of("0::/\n", ""), "/");
}

Test(cgroup, what_is_not_there_is_not_found)
{
	cr_assert_null(path_of(v1, "blkio"));
	cr_assert_null(path_of(v1, "cp"));
	cr_assert_null(path_of(v1, "systemd"));
	cr_assert_null(path_of("4:memory:/x\n", ""));
	cr_assert_null(path_of("", "memory"));
	cr_assert_null(path_of("4:memory:/no/newline", "memory"));
	cr_assert_null(path_of("nonsense\n4\n", "memory"));
}

Test(cgroup, a_path_that_is_too_long_is_not_cut)
{
	char path[5];

	cr_assert(!cgroup_find("0::/abcd\n", "", path, sizeof(path)));
	cr_assert(cgroup_find("0::/abc\n", "", path, sizeof(path)));
	cr_assert_str_eq(path, "/abc");
}

/* No filter of ours lets a program resume a call that way. */
static int remove_without_restart(void *unused)
{
	struct sock_filter insns[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_restart_syscall, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog prog = { .len = array_len(insns), .filter = insns };
	int root = open("/", O_PATH | O_DIRECTORY);

	(void)unused;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
	    prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog) != 0)
		return 1;
	/* The root directory: busy for ever. */
	return cgroup_remove(&root, 1, "/", 200) == -EBUSY ? 0 : 2;
}

Test(cgroup, the_wait_for_an_empty_one_survives_a_stop, .timeout = 20)
{
	pid_t pid = fork();
	int status;

	if (pid == 0)
		_exit(remove_without_restart(NULL));
	while (waitpid(pid, &status, WNOHANG) == 0) {
		kill(pid, SIGSTOP);
		usleep(500);
		kill(pid, SIGCONT);
		usleep(1500);
	}
	cr_assert_eq(status, 0, "wait status %x", status);
}

static bool rights_are(int abi, uint64_t fs, uint64_t net, uint64_t scoped)
{
	const struct landlock_rights r = landlock_rights(abi);

	return r.fs == fs && r.net == net && r.scoped == scoped;
}

Test(landlock, every_right_of_the_kernels_version_is_handled)
{
	cr_expect(rights_are(0, 0, 0, 0));
	cr_expect(rights_are(1, 0x1fff, 0, 0));
	cr_expect(rights_are(2, 0x3fff, 0, 0));
	cr_expect(rights_are(3, 0x7fff, 0, 0));
	cr_expect(rights_are(4, 0x7fff, 3, 0));
	cr_expect(rights_are(5, 0xffff, 3, 0));
	cr_expect(rights_are(6, 0xffff, 3, 3));
	cr_expect(rights_are(8, 0xffff, 3, 3));
	cr_expect(rights_are(9, 0x1ffff, 3, 3));
	cr_expect(rights_are(10, 0x1ffff, 15, 3));
	cr_expect(rights_are(99, 0x1ffff, 15, 3));
}

static int ruleset(uint64_t fs, uint64_t net, uint64_t scoped)
{
	const struct landlock_rights r = { fs, net, scoped };
	int fd = make_ruleset(&r);

	if (fd >= 0)
		close(fd);
	return fd < 0 ? fd : 0;
}

/* Whatever its version: the kernel itself says that the next right is none. */
Test(landlock, the_running_kernel_knows_no_right_beyond_those)
{
	const int abi = landlock_abi();
	struct landlock_rights r = landlock_rights(abi);

	if (abi < 6)
		cr_skip("this kernel has no Landlock with scopes");
	if (abi > ABI_KNOWN)
		landlock_ask(&r);
	cr_expect_eq(ruleset(r.fs, r.net, r.scoped), 0);
	cr_expect_eq(ruleset(r.fs + 1, r.net, r.scoped), -EINVAL);
	cr_expect_eq(ruleset(r.fs, r.net + 1, r.scoped), -EINVAL);
	cr_expect_eq(ruleset(r.fs, r.net, r.scoped + 1), -EINVAL);
}

/* As if this program were older than any kernel. */
Test(landlock, rights_that_nobody_told_us_of_are_found_by_asking)
{
	const struct landlock_rights known = landlock_rights(landlock_abi());
	struct landlock_rights asked = { 0 };

	if (landlock_abi() < 6 || landlock_abi() > ABI_KNOWN)
		cr_skip("the table does not end with this kernel's version");
	landlock_ask(&asked);
	cr_expect_eq(asked.fs, known.fs);
	cr_expect_eq(asked.net, known.net);
	cr_expect_eq(asked.scoped, known.scoped);
}

static int deny_all(void *unused)
{
	(void)unused;
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	if (landlock_deny(landlock_abi(), LANDLOCK_SCOPE_ALL, NULL, 0) != 0)
		return 1;
	if (open("/", O_RDONLY) >= 0 || open("/etc/passwd", O_RDONLY) >= 0)
		return 2;
	return errno == EACCES ? 0 : 3;
}

Test(landlock, nothing_can_be_opened_afterwards)
{
	if (landlock_abi() == 0)
		cr_skip("this kernel has no Landlock");
	cr_assert_eq(forked(deny_all, NULL), 0);
}

static int remove_only(void *arg)
{
	int dir = open(arg, O_PATH | O_DIRECTORY);
	struct landlock_allow allow = { dir, LANDLOCK_REMOVE_DIR };

	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	if (landlock_deny(landlock_abi(), LANDLOCK_SCOPE_SIGNALS_PASS, &allow, 1) != 0)
		return 1;
	if (unlinkat(dir, "file", 0) == 0 || openat(dir, "file", O_RDONLY) >= 0)
		return 2;
	if (unlinkat(dir, "dir", AT_REMOVEDIR) != 0)
		return 3;
	return kill(getppid(), 0) == 0 ? 0 : 4;
}

Test(landlock, an_exception_allows_what_it_says)
{
	char path[] = "/tmp/jail-XXXXXX", name[64];

	if (landlock_abi() == 0)
		cr_skip("this kernel has no Landlock");
	cr_assert_not_null(mkdtemp(path));
	snprintf(name, sizeof(name), "%s/dir", path);
	cr_assert_eq(mkdir(name, 0700), 0);
	snprintf(name, sizeof(name), "%s/file", path);
	cr_assert(close(open(name, O_CREAT | O_WRONLY, 0600)) == 0);
	cr_assert_eq(forked(remove_only, path), 0);
	cr_assert(unlink(name) == 0 && rmdir(path) == 0);
}

/* Descriptor @fd must be the eventfd that holds @value. */
static bool holds(int fd, uint64_t value)
{
	uint64_t got;

	return read(fd, &got, sizeof(got)) == sizeof(got) && got == value &&
	       (fcntl(fd, F_GETFD) & FD_CLOEXEC) == 0;
}

/* Sources and places overlap: a cycle, a chain, one in its place already. */
static int permute(void *unused)
{
	struct place p[] = { { 20, 21 }, { 21, 20 }, { 22, 23 }, { 23, 24 }, { 25, 25 },
			     { 26, 3 } };

	(void)unused;
	for (int fd = 20; fd <= 26; fd++)
		if (dup3(eventfd((unsigned)fd, EFD_NONBLOCK | EFD_CLOEXEC), fd, O_CLOEXEC) < 0)
			return 1;
	if (place_all(p, array_len(p), 30) != 0)
		return 2;
	if (!holds(21, 20) || !holds(20, 21) || !holds(23, 22) || !holds(24, 23))
		return 3;
	return holds(25, 25) && holds(3, 26) ? 0 : 4;
}

Test(place, overlapping_numbers_all_arrive)
{
	cr_assert_eq(forked(permute, NULL), 0);
}

static int place_nothing(void *unused)
{
	struct place p = { -1, 5 };

	(void)unused;
	return place_all(&p, 1, 10) == -EBADF ? 0 : 1;
}

Test(place, a_descriptor_that_is_absent_is_an_error)
{
	cr_assert_eq(forked(place_nothing, NULL), 0);
}

static int limit_all(void *unused)
{
	struct plan_limits l = { .nofile = 40, .nproc = 1, .fsize = PLAN_FSIZE_DISK, .memlock = 4096 };
	struct rlimit r;

	(void)unused;
	if (limits_apply(&l, 4096) != 0)
		return 1;
	if (getrlimit(RLIMIT_NOFILE, &r) != 0 || r.rlim_cur != 40 || r.rlim_max != 40)
		return 2;
	if (getrlimit(RLIMIT_FSIZE, &r) != 0 || r.rlim_max != 4096)
		return 3;
	if (getrlimit(RLIMIT_CORE, &r) != 0 || r.rlim_max != 0)
		return 4;
	return getrlimit(RLIMIT_MEMLOCK, &r) == 0 && r.rlim_max == 4096 ? 0 : 5;
}

Test(limits, are_hard_and_soft)
{
	cr_assert_eq(forked(limit_all, NULL), 0);
}

/* A host's own limit is not exceeded, not even by root, who could. */
static int limit_below(void *unused)
{
	const struct plan_limits l = { .nofile = 40, .nproc = 1, .fsize = PLAN_FSIZE_ANY,
				       .memlock = PLAN_MEMLOCK };
	const struct rlimit less = { 8192, 8192 };
	struct rlimit r;

	(void)unused;
	if (setrlimit(RLIMIT_MEMLOCK, &less) != 0 || limits_apply(&l, 0) != 0)
		return 1;
	return getrlimit(RLIMIT_MEMLOCK, &r) == 0 && r.rlim_max == 8192 ? 0 : 2;
}

Test(limits, what_may_be_locked_is_never_more_than_the_host_allows)
{
	cr_assert_eq(forked(limit_below, NULL), 0);
}

static int limit_block_device(void *unused)
{
	struct plan_limits l = { .nofile = 40, .nproc = 1, .fsize = PLAN_FSIZE_DISK };
	struct rlimit r;

	(void)unused;
	return limits_apply(&l, 0) == 0 && getrlimit(RLIMIT_FSIZE, &r) == 0 &&
	       r.rlim_max != 0 ? 0 : 1;
}

Test(limits, a_block_device_has_no_file_size)
{
	cr_assert_eq(forked(limit_block_device, NULL), 0);
}

Test(failure, is_one_sentence_that_always_fits)
{
	struct failure f;
	char name[1024];

	memset(name, 'n', sizeof(name) - 1);
	name[sizeof(name) - 1] = 0;
	cr_assert_eq(fail(&f, ENOENT, "do this", "open %s", "/x"), -1);
	cr_assert_str_eq(f.text, "open /x: No such file or directory: do this");
	cr_assert_eq(fail(&f, 0, NULL, "x"), -1);
	cr_assert_str_eq(f.text, "x");
	fail(&f, ENOENT, "advice", "open %s", name);
	cr_assert_eq(strlen(f.text), sizeof(f.text) - 1);
	fail(&f, 99999, NULL, "x");
	cr_assert_str_eq(f.text, "x: unknown error");
}
