/* SPDX-License-Identifier: Apache-2.0 */
/* cgroup.h: the VM's share of memory, CPU, tasks and disk bandwidth.
 *
 * One cgroup "immure/NAME" a VM: v2 below the root of the hierarchy (root mode) or below the
 * nearest delegated ancestor (rootless); v1, root mode only: one in each hierarchy needed. */
#ifndef IMMURE_JAILER_CGROUP_H
#define IMMURE_JAILER_CGROUP_H

#include "core/base.h"
#include "jailer/failure.h"
#include "jailer/open.h"
#include "jailer/plan.h"

enum {
	CGROUP_NAME = 65,	/* the name of the VM */
	CGROUP_V1_MAX = 4,	/* memory, pids, cpu, blkio */
};

struct cgroup {
	char name[CGROUP_NAME];
	unsigned n;			/* parents in use; v2: 1; 0: no cgroup */
	int parent[CGROUP_V1_MAX];	/* O_PATH directories that contain the VM's cgroup */
	int home[CGROUP_V1_MAX];	/* v1: task lists of where the jailer came from */
	int devices_home;		/* the same of the devices controller, or -1 */
	int into;			/* v2: for CLONE_INTO_CGROUP; else -1 */
	int events;			/* counts processes killed for want of memory; or -1 */
	char note[160];			/* what could not be limited, and why; or "" */
};

/* Makes the VM's cgroup and sets its limits; v1: moves the caller into it, so that children
 * are born there.  What the host does not offer is left out and told in cg->note; a limit that
 * the host offers and refuses is a failure.  Returns 0, or -1 with @f filled and nothing left.
 */
must_check int cgroup_make(struct cgroup *cg, const struct plan *p, const struct opened *o,
			   struct failure *f);

/* The kernel will not put tasks into the cgroup: goes on without, and says so in cg->note. */
void cgroup_refused(struct cgroup *cg);

/* v1: moves the caller back where it came from, once.  Returns 0 or -errno. */
must_check int cgroup_leave(struct cgroup *cg);

/* Removes directory @name from the @n directories @parent[].  The kernel may need a moment
 * after the last task was reaped: tries for @ms milliseconds.  Returns 0 or -errno. */
int cgroup_remove(const int *parent, unsigned n, const char *name, int ms);

/* Removes the cgroup of VM @name, whose supervisor was killed; for the caller of the jailer,
 * in the cgroup it started it in.  The VM's processes may still be dying: tries for @ms
 * milliseconds.  True when there is none (any more), false while there are tasks in it. */
bool cgroup_sweep(const char *name, int ms);

/* True when @events (cgroup.events above) says that the kernel has killed a process of this
 * cgroup because its memory limit was reached. */
must_check bool cgroup_out_of_memory(int events);

/* Finds the path of @controller ("" for v2) in @text, the contents of /proc/self/cgroup, and
 * copies it to @path.  False when it is not there or too long.  Pure. */
must_check bool cgroup_find(const char *text, const char *controller, char *path, size_t size);

#endif
