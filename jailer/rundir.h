/* SPDX-License-Identifier: Apache-2.0 */
/* rundir.h: the directory of the VM's sockets on the host's side.
 *
 * "<path>" is where the host's programs connect to reach the guest, "<path>.seq" the same for
 * messages (SOCK_SEQPACKET), "<path>_<port>" where they listen for the guest. */
#ifndef IMMURE_JAILER_RUNDIR_H
#define IMMURE_JAILER_RUNDIR_H

#include "core/base.h"
#include "jailer/failure.h"
#include "jailer/open.h"
#include "jailer/plan.h"

/* What the caller locks in a directory of the VM's own (cli/run_dir.h). */
#define RUNDIR_LOCK "lock"

/* Before there are namespaces: finds the directory it lies in, and that no stranger's link led
 * there. */
must_check int rundir_find(struct opened *o, const struct plan *p, struct failure *f);

/* Opens the directory (and its parent when it is to be removed), as mounts of their own so
 * that ".." leads nowhere.  Call between namespaces_enter() and rootfs_enter().  Returns 0, or
 * -1 with @f filled. */
must_check int rundir_open(struct opened *o, const struct plan *p, struct failure *f);

/* Listens on the two vsock sockets in the opened directory; a
 * socket that a dead VM left is replaced, a live one refused.  Call in the VM's network
 * namespace.  Returns 0, or -1 with @f filled and no socket made. */
must_check int rundir_listen(struct opened *o, const struct config *c, struct failure *f);

/* Removes what a VM leaves: the listening sockets and "<name>_<port>" sockets in @dir, its counters;
 * then, when @parent >= 0, the caller's lock and the directory itself.  Descriptors < 0: nothing to do. */
void rundir_remove(int dir, int parent, const struct config *c);

/* The last component of c->vsock_path. */
const char *rundir_socket_name(const struct config *c);

#endif
