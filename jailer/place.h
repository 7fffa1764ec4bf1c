/* SPDX-License-Identifier: Apache-2.0 */
/* place.h: descriptors to the numbers of the plan. */
#ifndef IMMURE_JAILER_PLACE_H
#define IMMURE_JAILER_PLACE_H

#include "core/base.h"

struct place {
	int from;
	int to;
};

/* Duplicates p[i].from to number p[i].to for all @n entries, whatever overlap there is between
 * the two; no `to` reaches @limit.  The copies stay open across exec, the originals are left
 * alone unless their number was needed.  Returns 0 or -errno. */
must_check int place_all(struct place *p, size_t n, int limit);

#endif
