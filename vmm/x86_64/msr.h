/* SPDX-License-Identifier: Apache-2.0 */
/* msr.h: which model-specific registers exist for the guest, and what they hold at first. */
#ifndef IMMURE_VMM_X86_64_MSR_H
#define IMMURE_VMM_X86_64_MSR_H

#include "core/base.h"

enum msr_access { MSR_READ = 1, MSR_WRITE = 2, MSR_RW = MSR_READ | MSR_WRITE };

/* May the guest do @access (one of READ, WRITE) to MSR @number?  x2APIC's 0x800..0x8ff are
 * KVM's local APIC and beyond the filter; for them this says no. */
bool msr_allowed(uint32_t number, enum msr_access access);

/* Gives the VM the list: everything else raises #GP in the guest.  Once, before the vCPUs. */
must_check int msr_set_filter(void);

/* First values on one vCPU, after its CPUID. */
must_check int msr_init(int vcpu);

#endif
