/* SPDX-License-Identifier: Apache-2.0 */
/* Descriptors end where the plan says, and nothing else stays open. */
#include "core/fdplan.c"
#include "core/link.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <sys/wait.h>

static bool open_fd(int fd) { return fcntl(fd, F_GETFD) >= 0; }

/* Runs @claim in a child, which may close everything; returns its exit status. */
static int in_child(int (*claim)(void))
{
	int status;
	pid_t pid = fork();

	if (pid == 0)
		_exit(claim());
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	cr_assert(WIFEXITED(status), "status %x", (unsigned)status);
	return WEXITSTATUS(status);
}

static int claim_nine(void)
{
	int high = fcntl(2, F_DUPFD, 700);

	for (int fd = 3; fd < 20; fd++)
		dup2(2, fd);
	if (high < 700 || fdplan_claim(9) != 0)
		return 1;
	for (int fd = 0; fd < 1000; fd++)
		if (open_fd(fd) != (fd >= 1 && fd < 9))
			return 2;
	return fdplan_claim(9) == 0 ? 0 : 3;	/* nothing to close is no error */
}

Test(fdplan, claim_leaves_1_to_the_end_of_the_plan)
{
	cr_assert_eq(in_child(claim_nine), 0);
}

static int write_to_nobody(void)
{
	int p[2];

	if (pipe(p) != 0 || fdplan_claim(1000) != 0)
		return 1;
	close(p[0]);
	return write(p[1], "x", 1) == -1 && errno == EPIPE ? 0 : 2;
}

Test(fdplan, a_vanished_reader_is_an_error_not_a_signal)
{
	cr_assert_eq(in_child(write_to_nobody), 0);
}

Test(fdplan, pin_moves_replaces_and_marks_close_on_exec)
{
	int fd = fcntl(2, F_DUPFD, 50), other = dup2(2, 300);

	cr_assert_eq(other, 300);
	cr_assert_eq(fdplan_pin(fd, 300), 0);
	cr_assert_not(open_fd(fd));
	cr_assert_eq(fcntl(300, F_GETFD), FD_CLOEXEC);
}

Test(fdplan, pin_in_place_marks_close_on_exec)
{
	int fd = fcntl(2, F_DUPFD, 60);

	cr_assert_eq(fcntl(fd, F_GETFD), 0);
	cr_assert_eq(fdplan_pin(fd, fd), 0);
	cr_assert_eq(fcntl(fd, F_GETFD), FD_CLOEXEC);
}

Test(fdplan, pin_reports_what_is_not_open)
{
	cr_assert_eq(fdplan_pin(900, 901), -EBADF);
	cr_assert_eq(fdplan_pin(900, 900), -EBADF);
	cr_assert_not(open_fd(901));
}

Test(fdplan, plans_do_not_overlap)
{
	cr_assert(VMM_LINK0 + PLAN_DEVICES <= VMM_CALL0);
	cr_assert(VMM_CALL0 + PLAN_DEVICES <= VMM_KICK0);
	cr_assert(VMM_KICK0 + PLAN_DEVICES * PLAN_QUEUES <= VMM_VCPU0);
	cr_assert(VMM_VCPU0 + PLAN_VCPUS <= VMM_NFDS);
	cr_assert(VMM_VCPU0 % PLAN_VCPUS == 0, "a mask in the policies tells them apart");
	cr_assert((int)LINK_QUEUES_MAX <= (int)PLAN_QUEUES);
	cr_assert(SUP_LOG0 + 1 + PLAN_DEVICES <= SUP_MEMORY);
}

/* FDSize of /proc/self/status: room in the table, grown in steps. */
static int table_size(void)
{
	FILE *f = fopen("/proc/self/status", "re");
	char line[128];
	int size = -1;

	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "FDSize: %d", &size) == 1)
			break;
	if (f)
		fclose(f);
	return size;
}

static int reserve_two_thousand(void)
{
	if (fdplan_reserve(2000) != 0 || open_fd(1999))
		return 1;
	if (table_size() < 2000)
		return 2;
	dup2(2, 1999);
	return fdplan_reserve(2000) == 0 && open_fd(1999) ? 0 : 3;
}

Test(fdplan, reserve_grows_the_table_and_opens_nothing)
{
	cr_assert_eq(in_child(reserve_two_thousand), 0);
}
