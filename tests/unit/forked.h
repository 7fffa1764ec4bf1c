/* SPDX-License-Identifier: Apache-2.0 */
/* forked.h: for claims about what a process cannot take back. */
#ifndef IMMURE_TESTS_UNIT_FORKED_H
#define IMMURE_TESTS_UNIT_FORKED_H

#include <sys/wait.h>
#include <unistd.h>

/* Runs @fn in a child of its own; its return value, or 128 + the signal that ended it. */
static inline int forked(int (*fn)(void *), void *arg)
{
	pid_t pid = fork();
	int status = 0;

	if (pid == 0)
		_exit(fn(arg));
	waitpid(pid, &status, 0);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

#endif
