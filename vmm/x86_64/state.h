/* SPDX-License-Identifier: Apache-2.0 */
/* state.h: what the machine is when it is switched on, as far as x86 has an opinion.
 *
 * For vmm/kvm.c, in its order; descriptors have their plan numbers.  Every function returns 0
 * or -errno and has logged what failed. */
#ifndef IMMURE_VMM_X86_64_STATE_H
#define IMMURE_VMM_X86_64_STATE_H

#include "core/base.h"

/* Before the memory slots: the pages that Intel's VMX needs for itself, MSR filter. */
must_check int state_create_vm(void);

/* Between memory and vCPUs: local APICs in the kernel, I/O APIC with us. */
must_check int state_create_irqchip(void);

/* Registers of vCPU @index at @vcpu.  Number 0 starts at LAYOUT_STUB in 64-bit mode on the
 * tables of vmm/boot/tables.h; the others wait for INIT and SIPI. */
must_check int state_create_vcpu(int vcpu, uint32_t index);

#endif
