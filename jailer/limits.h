/* SPDX-License-Identifier: Apache-2.0 */
/* limits.h: resource limits of one process. */
#ifndef IMMURE_JAILER_LIMITS_H
#define IMMURE_JAILER_LIMITS_H

#include "core/base.h"
#include "jailer/failure.h"
#include "jailer/plan.h"

/* Whether the processes of @p can have as many descriptors as their plans say: the hard limit
 * that this process was started with is theirs.  Returns 0, or -1 with @f filled. */
must_check int limits_check(const struct plan *p, struct failure *f);

/* Applies @l and the limits all processes have in common, hard and soft.  @fsize replaces
 * PLAN_FSIZE_DISK; 0 there means no limit (a block device cannot grow).  Returns 0 or -errno:
 * EPERM when a hard limit would have to be raised and may not. */
must_check int limits_apply(const struct plan_limits *l, uint64_t fsize);

/* No memory of this process that could be written becomes executable, for ever, where the kernel can do
 * that (Linux 6.3).  Returns 0 or -errno. */
must_check int limits_code(void);

#endif
