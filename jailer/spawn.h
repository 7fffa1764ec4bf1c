/* SPDX-License-Identifier: Apache-2.0 */
/* spawn.h: starts the VM's processes, each in its own jail. */
#ifndef IMMURE_JAILER_SPAWN_H
#define IMMURE_JAILER_SPAWN_H

#include "core/base.h"
#include "jailer/cgroup.h"
#include "jailer/failure.h"
#include "jailer/open.h"
#include "jailer/plan.h"

#include <sys/types.h>

struct spawn_slot;

struct spawn {
	const struct plan *plan;
	struct opened *opened;
	struct cgroup *cgroup;
	int proc;			/* O_PATH descriptor of /proc */
	int landlock;			/* ABI, 0: absent */
	bool traced;			/* ends of children can be examined (violation.h) */
	pid_t pid[PLAN_PROCESSES];	/* 0: not started */
	pid_t passt;			/* the same; jailer/passt.h */
	int gate[2];			/* pipe to the child that is being started */
	struct spawn_slot *slots;	/* memory shared with the children until they exec */
};

/* Opens what spawn_all() needs from the host's file system: call before rootfs_enter(). */
must_check int spawn_prepare(struct spawn *s, struct failure *f);

/* Starts all processes of the plan, the VMM first, and puts each under observation.  Returns
 * 0, or -1 with @f filled; s->pid[] then tells which ones have to be killed. */
must_check int spawn_all(struct spawn *s, struct failure *f);

/* Which step process @index failed at before it became its program: its name, and *@err an
 * errno value.  NULL when it did not fail. */
const char *spawn_failed_step(const struct spawn *s, unsigned index, int *err);

#endif
