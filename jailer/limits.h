/* SPDX-License-Identifier: Apache-2.0 */
/* limits.h: resource limits of one process. */
#ifndef IMMURE_JAILER_LIMITS_H
#define IMMURE_JAILER_LIMITS_H

#include "core/base.h"
#include "jailer/plan.h"

/* Applies @l and the limits all processes have in common, hard and soft.  @fsize replaces
 * PLAN_FSIZE_DISK; 0 there means no limit (a block device cannot grow).  Returns 0 or -errno:
 * EPERM when a hard limit would have to be raised and may not. */
must_check int limits_apply(const struct plan_limits *l, uint64_t fsize);

#endif
