/* SPDX-License-Identifier: Apache-2.0 */
/* pages.h: makes the file of counters and limits in the run directory (core/pages.h). */
#ifndef IMMURE_JAILER_PAGES_H
#define IMMURE_JAILER_PAGES_H

#include "core/base.h"
#include "jailer/failure.h"
#include "jailer/open.h"
#include "jailer/plan.h"

/* Makes it for the VM of @p in the opened run directory, with the limits of its configuration,
 * for its owner alone; one that a dead VM left is replaced.  Without a run directory there is
 * none.  Returns 0, or -1 with @f filled; what is made then rundir_remove() removes. */
must_check int pages_make(struct opened *o, const struct plan *p, struct failure *f);

#endif
