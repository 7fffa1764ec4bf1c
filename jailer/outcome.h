/* SPDX-License-Identifier: Apache-2.0 */
/* outcome.h: from many reports and deaths to the one reason why a VM ended.  Pure. */
#ifndef IMMURE_JAILER_OUTCOME_H
#define IMMURE_JAILER_OUTCOME_H

#include "core/base.h"
#include "core/report.h"
#include "jailer/failure.h"
#include "jailer/plan.h"

struct outcome {
	unsigned left;		/* processes that the kernel did not end */
	enum end_reason reason;		/* END_NONE: the VM runs */
	uint64_t detail;		/* see core/report.h */
	int process;			/* index in the plan; -1: none in particular */
	long call;			/* END_VIOLATION: system call number, -1: unknown */
	int status;			/* wait status of @process, when it died */
	uint64_t user_exits;		/* as the VMM counted them; 0 when it did not report */
	uint64_t rip;
	bool quiet_death;		/* the death alone does not prove who was the first */
	struct failure failure;		/* END_SETUP: what failed */
};

void outcome_init(struct outcome *o);

/* The VMM's last words. */
void outcome_report(struct outcome *o, const struct vmm_report *r);

/* Process @index ends with wait status @status, the VM not having been told to. */
void outcome_death(struct outcome *o, unsigned index, int status);

/* Process @index was killed for system call @call (-1: not known). */
void outcome_violation(struct outcome *o, unsigned index, long call);

/* The VM has to end: @reason is END_STOPPED or END_TIMEOUT. */
void outcome_order(struct outcome *o, enum end_reason reason);

/* The kernel has killed processes for want of memory below the VM's limit: a death that has no
 * other explanation has this one. */
void outcome_memory(struct outcome *o);

/* Process @index did not become its program: o->failure says why. */
void outcome_setup(struct outcome *o, unsigned index);

/* Writes the sentence for a person; the plan gives the names. */
void outcome_text(const struct outcome *o, const struct plan *p, char *buf, size_t size);

#endif
