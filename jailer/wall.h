/* SPDX-License-Identifier: Apache-2.0 */
/* wall.h: puts the packet wall of a VM before its tap. */
#ifndef IMMURE_JAILER_WALL_H
#define IMMURE_JAILER_WALL_H

#include "core/base.h"
#include "jailer/failure.h"
#include "policy/bpf/wall.h"

/* From now on the host sees of what comes out of the interface with index @ifindex only what @c
 * lets pass (policy/bpf/wall.h).  Replaces the wall of a VM that used a lasting tap before; stays
 * until the tap goes, so that there is no moment without one.  Needs CAP_NET_ADMIN in the tap's
 * network namespace, which is the caller's, and the right to load programs.  @tap names it in
 * messages.  Returns 0, or -1 with @f filled and nothing changed that lets anything pass. */
must_check int wall_attach(unsigned ifindex, const char *tap, const struct wall_config *c,
			   struct failure *f);

/* Takes away what wall_attach() put there for an earlier VM on a lasting tap, if it did.  Returns
 * likewise. */
must_check int wall_detach(unsigned ifindex, const char *tap, struct failure *f);

#endif
