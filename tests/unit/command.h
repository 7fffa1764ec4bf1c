/* SPDX-License-Identifier: Apache-2.0 */
/* command.h: the built `immure`, run as its users run it. */
#ifndef IMMURE_TESTS_UNIT_COMMAND_H
#define IMMURE_TESTS_UNIT_COMMAND_H

#include <criterion/criterion.h>
#include <fcntl.h>
#include <grp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

struct command {
	uid_t uid;		/* 0: as we are */
	bool errors;		/* what it says on standard error is wanted, too */
	bool (*before)(void);	/* done by the new process, as we are; NULL: nothing */
	const char *argv[6];	/* "immure", ...; ends with NULL */
};

static inline bool command_become(uid_t uid)
{
	return uid == 0 || (setgroups(0, NULL) == 0 && setresgid(uid, uid, uid) == 0 &&
			    setresuid(uid, uid, uid) == 0);
}

/* Runs @c; the first @size - 1 bytes of what it prints go to @output, with a NUL behind.  Returns its
 * exit status, or 128 and the signal that ended it. */
static inline int command_run(const struct command *c, char *output, size_t size)
{
	char self[256] = "", path[288];
	int ends[2], status;
	size_t used = 0;
	ssize_t n;
	pid_t pid;

	cr_assert_gt(readlink("/proc/self/exe", self, sizeof(self) - 1), 0);
	*strrchr(self, '/') = 0;
	snprintf(path, sizeof(path), "%s/../bin/immure", self);
	cr_assert_eq(pipe2(ends, O_CLOEXEC), 0);
	pid = fork();
	if (pid == 0) {
		if ((c->before != NULL && !c->before()) || dup2(ends[1], 1) < 0 ||
		    (c->errors && dup2(ends[1], 2) < 0) || !command_become(c->uid))
			_exit(98);
		execv(path, (char *const *)(uintptr_t)c->argv);
		_exit(97);
	}
	close(ends[1]);
	while ((n = read(ends[0], output + used, size - used - 1)) > 0)
		used += (size_t)n;
	output[used] = 0;
	close(ends[0]);
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

#endif
