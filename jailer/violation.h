/* SPDX-License-Identifier: Apache-2.0 */
/* violation.h: which system call a process was killed for.
 *
 * A filter kills without a word.  The supervisor observes its children (PTRACE_SEIZE), so that
 * each stops once more on its way out and can be looked at.  As a second effect the kernel
 * kills every observed process when the supervisor dies (PTRACE_O_EXITKILL). */
#ifndef IMMURE_JAILER_VIOLATION_H
#define IMMURE_JAILER_VIOLATION_H

#include "core/base.h"

#include <sys/types.h>

enum violation_stop {
	VIOLATION_NONE,		/* any other stop */
	VIOLATION_EXITING,	/* the task is about to end, *status tells how */
	VIOLATION_KILLED,	/* and it is the one whose system call, *nr, was refused */
	VIOLATION_FAULTED,	/* it crashed; it is killed now, *status tells by which signal */
};

/* Observes child @pid and the threads it will start.  Returns 0 or -errno: some hosts forbid
 * it (Yama 3); violations then have no name. */
must_check int violation_observe(pid_t pid);

/* Deals with a stop that wait4() reported as @wait_status for task @tid, and lets it go on.
 * On all but VIOLATION_NONE *@status is how its process ends (a wait status). */
enum violation_stop violation_stopped(pid_t tid, int wait_status, int *status, long *nr);

/* The process that thread @tid is of, as far as stops have told; else @tid itself. */
pid_t violation_process(pid_t tid);

/* Lets children go on that stopped only because they started a thread, and leaves all other
 * events for wait4(): for the time before somebody waits.  One that is killed at that very moment
 * answers with its end instead; that is kept, and from then on nothing more is let go on. */
void violation_pump(void);

/* True, once, when an end was kept: *@tid and *@wait_status are as from wait4(). */
bool violation_kept(pid_t *tid, int *wait_status);

/* The name of system call @nr, or "unknown". */
const char *violation_name(long nr);

#endif
