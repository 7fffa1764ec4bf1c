/* SPDX-License-Identifier: Apache-2.0 */
/* namespaces.h: what the VM's processes cannot see. */
#ifndef IMMURE_JAILER_NAMESPACES_H
#define IMMURE_JAILER_NAMESPACES_H

#include "core/base.h"
#include "jailer/failure.h"
#include "jailer/plan.h"

/* Making a network namespace takes as long as everything else together, so as root it is made
 * in a thread meanwhile.  Start it first of all; nothing may fork before namespaces_network().
 */
must_check int namespaces_start(const struct plan *p, struct failure *f);

/* Moves the caller (PID and time: its future children) into the plan's namespaces, apart from
 * cgroup and, as root, network; and into a session and a session keyring of its own.
 * Rootless: maps the caller's own id and nothing else.  Returns 0, or -1 with @f filled. */
must_check int namespaces_enter(const struct plan *p, struct failure *f);

/* Makes the cgroup the caller is in the root of all cgroups it sees.  For each process on its
 * own: a child is put into the VM's cgroup by a parent that must still see both.  Returns 0 or
 * -errno. */
must_check int namespaces_cgroup(void);

/* Waits for the thread, if there is one, and moves the caller into what it made.  The process
 * has one thread again afterwards, in either case.  Returns 0, or -1 with @f filled. */
must_check int namespaces_network(struct failure *f);

/* Makes @uid and @gid the only ids that exist in the user namespace of child @pid, under the
 * same numbers.  @proc: /proc of our own PID namespace.  Returns 0 or -errno. */
must_check int namespaces_map(int proc, pid_t pid, uid_t uid, gid_t gid);

/* Allows @n user namespaces below the caller's: in one more, a process without rights would have
 * all capabilities again, over new kernel objects.  @proc: /proc.  Hosts whose /proc/sys is
 * read-only (some containers) do not have this wall; the filters forbid the calls in any case. */
void namespaces_limit(int proc, unsigned n);

#endif
