/* SPDX-License-Identifier: Apache-2.0 */
/* vcpu.h: one thread for each virtual processor.
 *
 * Order: vcpus_start() before there is a VM, so that the threads seal themselves while the
 * main thread builds it; vcpus_sealed(); fill in run; vcpus_release() when the guest may run.
 * Threads never end by themselves: exit_group() takes them. */
#ifndef IMMURE_VMM_VCPU_H
#define IMMURE_VMM_VCPU_H

#include "core/base.h"
#include "core/vmconfig.h"
#include "vmm/machine.h"

#include <stdatomic.h>

struct kvm_run;

/* Where threads wait until the guest may run. */
struct gate {
	_Atomic uint32_t arrived;	/* threads that are sealed, or failed */
	_Atomic uint32_t failed;
	_Atomic uint32_t open;
};

struct vcpu {
	uint32_t index;			/* its descriptor is VMM_VCPU0 + index */
	struct kvm_run *run;		/* set before vcpus_release() */
	struct machine *machine;
	struct gate *gate;
	_Atomic uint64_t exits;		/* KVM exits that came to user space */
	uint64_t *counted;		/* the same by reason (enum stats_vcpu_counter): its own line */
};

/* Starts @n threads.  The first asks KVM for the CPUID it supports (cpuid_ask()); each puts on
 * its filter and waits.  Returns 0 or -errno, what failed is logged. */
must_check int vcpus_start(struct vcpu vcpu[], uint32_t n);

/* Waits until all @n threads have put on their filters and the CPUID is known.  Returns 0 or
 * -errno, what failed is logged. */
must_check int vcpus_sealed(struct gate *gate, uint32_t n);

/* Lets them run. */
void vcpus_release(struct gate *gate);

/* Exits of all @n together. */
uint64_t vcpus_exits(const struct vcpu vcpu[], uint32_t n);

#endif
