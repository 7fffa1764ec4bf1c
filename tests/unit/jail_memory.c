/* SPDX-License-Identifier: Apache-2.0 */
/* LIBS: -ljansson */
/* What can become of memory: files of it that a VM's processes share keep their size, their
 * contents where they are constant, and are never a program; mappings never become one either. */
#include "jailer/limits.c"
#include "jailer/failure.c"
#include "tests/unit/forked.h"
#include "tests/unit/jail_fakes.h"

#ifndef F_SEAL_EXEC
#define F_SEAL_EXEC 0x20		/* Linux 6.3, as the two below */
#endif

enum { NOEXEC_SEAL = 8, GET_MDWE = 66 };

static bool kernel_seals_exec(void)
{
	int fd = memfd_create("probe", NOEXEC_SEAL);

	close(fd);
	return fd >= 0;
}

/* A device may be on its way yet when the VM runs: fakes say no HELLO that is waited for. */
static void wait_for_program(pid_t pid)
{
	char path[64], name[64] = "";

	snprintf(path, sizeof(path), "/proc/%d/comm", (int)pid);
	for (int i = 0; i < 3000; i++, usleep(10000)) {
		FILE *f = fopen(path, "re");

		cr_assert_not_null(f, "%s", path);
		cr_assert_not_null(fgets(name, sizeof(name), f));
		fclose(f);
		if (strncmp(name, "immure-jailer", 13) != 0 && strncmp(name, "jail_memory", 11) != 0)
			return;
	}
	cr_assert(false, "%s: %s", path, name);
}

/* The memory file @number of process @pid: its seals are exactly @seals. */
static void check_file(pid_t pid, int number, int seals)
{
	char path[64];
	struct stat st;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/fd/%d", (int)pid, number);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	cr_assert_geq(fd, 0, "%s", path);
	cr_expect_eq(fcntl(fd, F_GET_SEALS), seals, "%s: %x", path, (unsigned)fcntl(fd, F_GET_SEALS));
	cr_assert_eq(fstat(fd, &st), 0);
	if (kernel_seals_exec())
		cr_expect_eq(st.st_mode & 0111, 0, "%s", path);
	close(fd);
}

/* The fakes close nothing: what they were given is still there to be looked at. */
Test(jail_memory, files_of_it_are_sealed_and_never_programs, .timeout = 60)
{
	const int size = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL;
	const int exec = kernel_seals_exec() ? F_SEAL_EXEC : 0;
	struct rig r = rig_make(0);

	rig_fakes(&r, "fake_jailed");
	rig_start(&r, rig_config(&r, "idle", ""));
	rig_running(&r);
	cr_assert_eq(r.nprocs, 3);
	for (unsigned i = 0; i < r.nprocs; i++) {
		wait_for_program(r.pid[i]);
		check_file(r.pid[i], FD_MEM, size | exec);
		check_file(r.pid[i], FD_CONFIG, size | exec | F_SEAL_WRITE);
	}
	cr_assert_eq(send(r.client, "stop", 4, 0), 4);
	json_decref(rig_end(&r, "stopped", 0));
	rig_remove_fakes(&r);
	rig_remove(&r);
}

enum { NO_SWITCH = 2, BECAME_PROGRAM = 3, WAS_PROGRAM = 4, NOT_FOR_EVER = 5 };

static bool refused(const void *p)
{
	return p == MAP_FAILED && errno == EACCES;
}

static int gain_execution(void *unused)
{
	const int priv = MAP_PRIVATE | MAP_ANONYMOUS;
	void *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, priv, -1, 0);

	(void)unused;
	if (prctl(GET_MDWE, 0, 0, 0, 0) < 0)
		return NO_SWITCH;
	if (limits_code() != 0 || prctl(GET_MDWE, 0, 0, 0, 0) != 1)
		return 1;
	if (mprotect(page, 4096, PROT_READ | PROT_EXEC) == 0 || errno != EACCES)
		return BECAME_PROGRAM;
	if (!refused(mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, priv, -1, 0)))
		return WAS_PROGRAM;
	return prctl(PR_SET_MDWE, 0, 0, 0, 0) < 0 ? 0 : NOT_FOR_EVER;
}

Test(jail_memory, no_mapping_becomes_a_program_where_the_kernel_can_forbid_it)
{
	int got = forked(gain_execution, NULL);

	if (got == NO_SWITCH)
		cr_skip("this kernel has no memory-deny-write-execute");
	cr_assert_eq(got, 0, "%d", got);
}
