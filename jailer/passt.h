/* SPDX-License-Identifier: Apache-2.0 */
/* passt.h: the process that is the network of an interface without a tap. */
#ifndef IMMURE_JAILER_PASST_H
#define IMMURE_JAILER_PASST_H

#include "jailer/spawn.h"

enum { PASST_ARGS = 40 };

/* What passt is started with, for @net. */
struct passt_args {
	char prefix[4], mtu[8], fd[4];
	const char *argv[PASST_ARGS];	/* ends with NULL */
};

void passt_args(struct passt_args *a, const struct config_net *net);

/* Finds the program and makes its socket and its log, if @p has a use for it.  Returns 0, or -1
 * with @f filled. */
must_check int passt_open(struct opened *o, const struct plan *p, struct failure *f);

/* Starts it, in the VM's cgroup and still in the host's network: before namespaces_enter(). */
must_check int passt_start(struct spawn *s, struct failure *f);

/* Waits until it has sealed itself; or tells why it ended instead.  While there is a /proc. */
must_check int passt_wait(struct spawn *s, struct failure *f);

#endif
