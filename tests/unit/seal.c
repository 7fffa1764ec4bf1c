/* SPDX-License-Identifier: Apache-2.0 */
/* seal() installs a filter for ever, or says why not. */
#include "core/seal.c"

#include <criterion/criterion.h>
#include <linux/capability.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

static const struct sock_filter no_getppid[] = {
	BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 0),
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getppid, 0, 1),
	BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
	BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
};

/* The value of @key in /proc/self/status, or -1. */
static int status_of(const char *key)
{
	FILE *f = fopen("/proc/self/status", "re");
	char line[200];
	int value = -1;

	while (f != NULL && fgets(line, sizeof(line), f) != NULL)
		if (strncmp(line, key, strlen(key)) == 0)
			sscanf(line + strlen(key), ": %d", &value);
	if (f != NULL)
		fclose(f);
	return value;
}

static int child(int (*body)(void))
{
	int status;
	pid_t pid = fork();

	if (pid == 0)
		_exit(body());
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	return status;
}

static int sealed(void)
{
	const struct seal_filter f = { "test", 4, no_getppid };

	if (seal(&f) != 0 || status_of("Seccomp") != 2 || status_of("NoNewPrivs") != 1)
		return 1;
	return 0;
}

static int violate(void)
{
	if (sealed() != 0)
		return 1;
	getppid();
	return 0;
}

static int empty(void)
{
	const struct seal_filter f = { "empty", 0, no_getppid };

	return seal(&f) == -EINVAL ? 0 : 1;
}

static int endless(void)
{
	/* Its last jump goes past the end. */
	const struct seal_filter f = { "endless", 3, no_getppid };

	return seal(&f) == -EINVAL ? 0 : 1;
}

/* Whether this process has locked more than nothing, and may lock no more. */
static int held(int expected)
{
	struct rlimit r;

	if (hold_memory() != 0)
		return 1;
	if (getrlimit(RLIMIT_MEMLOCK, &r) != 0 || r.rlim_cur != 0 || r.rlim_max != 0)
		return 2;
	return status_of("VmLck") > 0 ? !expected : expected;
}

static int hold(void)
{
	return held(1);
}

static int hold_without_right(void)
{
	const struct rlimit none = { 0, 0 };
	/* Root's CAP_IPC_LOCK would stand above the limit. */
	struct __user_cap_header_struct h = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct nothing[2] = { 0 };

	if (setrlimit(RLIMIT_MEMLOCK, &none) != 0 || syscall(SYS_capset, &h, nothing) != 0)
		return 3;
	return held(0);
}

Test(seal, the_program_is_held_in_memory_and_nothing_else_may_be)
{
	cr_assert_eq(child(hold), 0);
}

Test(seal, a_host_that_lets_nothing_be_locked_is_no_error)
{
	cr_assert_eq(child(hold_without_right), 0);
}

Test(seal, filter_and_no_new_privs_are_on)
{
	cr_assert_eq(child(sealed), 0);
}

Test(seal, a_violation_kills_with_SIGSYS)
{
	int status = child(violate);

	cr_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS);
}

Test(seal, what_the_kernel_refuses_is_an_error)
{
	cr_assert_eq(child(empty), 0);
	cr_assert_eq(child(endless), 0);
}
