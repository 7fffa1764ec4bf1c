/* SPDX-License-Identifier: Apache-2.0 */
/* pages.h: the file through which the owner of a VM sees its counters and sets its limits.
 *
 * "pages" in the VM's run directory, made by the jailer:
 *
 *	page 0		rate limits, an entry a device (core/limits.h); its owner writes
 *	page 1 + i	counters of process i: 0 the VMM, 1 + device (core/stats.h); it writes
 *
 * A process maps its own page of counters and, if it is a device, the limits read-only, and
 * closes the file before it seals itself.  A VM without a run directory has no file: its
 * processes count where nobody looks and keep the limits of their configuration. */
#ifndef IMMURE_CORE_PAGES_H
#define IMMURE_CORE_PAGES_H

#include "core/limits.h"
#include "core/stats.h"
#include "core/vmconfig.h"

#define PAGES_NAME "pages"

struct pages {
	struct stats_page *stats;
	const struct limits_entry *limits;	/* NULL: there is nobody to change them */
};

/* Maps what belongs to device @index of @c, or to the VMM when @index is -1, from FD_PAGES,
 * which it closes in any case.  Before seal().  Returns 0 or -errno. */
must_check int pages_map(struct pages *p, const struct vm_config *c, int index);

#endif
