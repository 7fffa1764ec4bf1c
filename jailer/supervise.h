/* SPDX-License-Identifier: Apache-2.0 */
/* supervise.h: what the jailer becomes: the VM's parent, witness and undertaker. */
#ifndef IMMURE_JAILER_SUPERVISE_H
#define IMMURE_JAILER_SUPERVISE_H

#include "core/base.h"
#include "jailer/cgroup.h"
#include "jailer/failure.h"
#include "jailer/open.h"
#include "jailer/plan.h"
#include "jailer/spawn.h"

/* Blocks the signals that become events, makes the descriptors for them and for time.  Before
 * the first child exists. */
must_check int supervise_prepare(struct opened *o, struct failure *f);

/* Gives up everything that watching the VM does not need: descriptors outside the plan, the
 * file system, capabilities (the bounding set is empty already), system calls.  The ids stay:
 * removing the cgroup and the sockets needs them.  Returns 0, or -1 with @f filled. */
must_check int supervise_seal(struct opened *o, const struct spawn *s, struct failure *f);

/* Watches the VM until it ended, removes what it leaves, tells the caller.  Returns the exit
 * status: 0 when the guest powered off or the caller stopped it, else 1. */
int supervise(const struct plan *p, const struct spawn *s, const struct cgroup *cg);

#endif
