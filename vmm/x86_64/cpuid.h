/* SPDX-License-Identifier: Apache-2.0 */
/* cpuid.h: the CPU model "safe": what the guest is told about its processors. */
#ifndef IMMURE_VMM_X86_64_CPUID_H
#define IMMURE_VMM_X86_64_CPUID_H

#include "core/base.h"

#include <linux/kvm.h>

enum { CPUID_ENTRIES = 256 };	/* KVM's own limit */

/* struct kvm_cpuid2 with room. */
struct cpuid_table {
	uint32_t nent;
	uint32_t padding;
	struct kvm_cpuid_entry2 entry[CPUID_ENTRIES];
};

_Static_assert(offsetof(struct cpuid_table, entry) == offsetof(struct kvm_cpuid2, entries),
	       "KVM's layout");

/* Makes @model from what KVM supports here, for a machine of @total vCPUs: @total cores of one
 * thread in one package.  Pure. */
void cpuid_model(const struct cpuid_table *supported, uint32_t total,
		 struct cpuid_table *model);

/* Writes the identity of vCPU @index (= its APIC id) into @model.  Pure. */
void cpuid_identify(struct cpuid_table *model, uint32_t index);

/* Asks KVM what it supports here: the most expensive question of the set-up (some 0.3 ms where
 * CPUID traps), so it is asked once, beside other work.  Returns 0 or -errno, logged. */
must_check int cpuid_ask(void);

/* After cpuid_ask(): gives vCPU @index of @total, at descriptor @vcpu, its CPUID.  Returns 0
 * or -errno, logged. */
must_check int cpuid_set(int vcpu, uint32_t index, uint32_t total);

#endif
