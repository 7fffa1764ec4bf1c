/* SPDX-License-Identifier: Apache-2.0 */
/* reap.h: PID 1 inherits every orphan. */
#ifndef IMMURE_GUEST_REAP_H
#define IMMURE_GUEST_REAP_H

#include "core/base.h"

#include <sys/types.h>

/* Blocks SIGCHLD and returns a non-blocking descriptor that is readable when a child ended, or
 * -errno. */
must_check int reap_open(void);

struct reaped {
	bool main_ended;	/* process @main was among them */
	bool none_left;		/* PID 1 has no children any more */
	int status;		/* of @main, as waitpid() says it */
};

/* Collects every child that ended.  @fd: from reap_open(). */
struct reaped reap_all(int fd, pid_t main);

#endif
