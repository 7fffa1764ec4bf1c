/* SPDX-License-Identifier: Apache-2.0 */
/* end.h: why the VM ends.  Any thread may find a reason; the first one counts. */
#ifndef IMMURE_VMM_END_H
#define IMMURE_VMM_END_H

#include "core/base.h"
#include "core/report.h"

#include <stdatomic.h>

struct end {
	_Atomic bool claimed;	/* somebody writes the rest */
	_Atomic bool reached;	/* the rest is written and does not change any more */
	enum end_reason reason;
	uint64_t detail;	/* see enum end_reason */
	uint64_t rip;
};

/* The VM ends because of @reason, unless it is ending already.  The caller goes on: it is the
 * main thread that reports and exits. */
static inline void end_vm(struct end *e, enum end_reason reason, uint64_t detail, uint64_t rip)
{
	if (atomic_exchange(&e->claimed, true))
		return;
	e->reason = reason;
	e->detail = detail;
	e->rip = rip;
	atomic_store_explicit(&e->reached, true, memory_order_release);
}

static inline bool end_reached(const struct end *e)
{
	return atomic_load_explicit(&e->reached, memory_order_acquire);
}

#endif
