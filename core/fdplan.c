/* SPDX-License-Identifier: Apache-2.0 */
/* fdplan.c: descriptors to their planned numbers, and nothing beside them. */
#include "core/fdplan.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

/* The kernel's struct sigaction: the handler comes first, and 64 signals are the mask.  Not signal():
 * what a C library adds to the call is a KiB in every process of a VM. */
int fdplan_ignore(int signo)
{
	static const uintptr_t action[4] = { (uintptr_t)SIG_IGN };

	return syscall(SYS_rt_sigaction, (long)signo, action, NULL, 8l) < 0 ? -errno : 0;
}

int fdplan_claim(int first)
{
	/* A peer or the log's reader that went away is an error to handle, not a signal. */
	int rc = fdplan_ignore(SIGPIPE);

	if (rc < 0)
		return rc;
	if (close_range((unsigned)first, ~0u, 0) < 0)
		return -errno;
	close(0);
	return 0;
}

int fdplan_reserve(int end)
{
	if (fcntl(end - 1, F_GETFD) >= 0)
		return 0;
	if (dup3(FD_LOG, end - 1, O_CLOEXEC) < 0)
		return -errno;
	return close(end - 1) < 0 ? -errno : 0;
}

int fdplan_pin(int fd, int target)
{
	int rc = 0;

	if (fd == target)
		return fcntl(fd, F_SETFD, FD_CLOEXEC) < 0 ? -errno : 0;
	if (dup3(fd, target, O_CLOEXEC) < 0)
		rc = -errno;
	close(fd);
	return rc;
}
