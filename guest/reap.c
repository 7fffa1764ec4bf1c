/* SPDX-License-Identifier: Apache-2.0 */
/* reap.c: SIGCHLD as a descriptor, zombies as a loop. */
#include "guest/reap.h"

#include <errno.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

int reap_open(void)
{
	sigset_t set;
	int fd;

	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
		return -errno;
	fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return fd < 0 ? -errno : fd;
}

struct reaped reap_all(int fd, pid_t main)
{
	struct signalfd_siginfo info;
	struct reaped r = { 0 };
	int status;
	pid_t pid;

	/* One signal may stand for many children: empty the descriptor, then ask. */
	while (read(fd, &info, sizeof(info)) > 0)
		;
	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		if (pid != main)
			continue;
		r.main_ended = true;
		r.status = status;
	}
	r.none_left = pid < 0 && errno == ECHILD;
	return r;
}
