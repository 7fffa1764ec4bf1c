/* SPDX-License-Identifier: Apache-2.0 */
/* kvm.h: asks KVM for the machine.
 *
 * Order: kvm_check_host(), kvm_create_vm(), kvm_create_vcpu() for each, kvm_wire(), then
 * kvm_close().  All of it before sealing; afterwards only kvm_set_routes().  Descriptors have
 * their numbers of core/fdplan.h.  Every function returns 0 or -errno and has logged what
 * failed, in words for the person who runs the host; kvm_set_routes() leaves that to its
 * caller. */
#ifndef IMMURE_VMM_KVM_H
#define IMMURE_VMM_KVM_H

#include "core/guestmem.h"
#include "core/vmconfig.h"
#include "vmm/ioapic.h"

struct kvm_run;

/* Does this host's KVM have what we need for @vcpus? */
must_check int kvm_check_host(uint32_t vcpus);

/* The VM with its memory: RAM, and @npages register pages at @pages that it can only read. */
must_check int kvm_create_vm(const struct guestmem *m, void *pages, uint32_t npages);

/* vCPU @index of @total, in its first state.  *@run is its shared page, mapped for ever. */
must_check int kvm_create_vcpu(uint32_t index, uint32_t total, struct kvm_run **run);

/* Kicks and calls of all devices, for ever. */
must_check int kvm_wire(const struct vm_config *c);

/* Closes what is not needed any more: /dev/kvm and the kicks. */
void kvm_close(const struct vm_config *c);

/* Pins to messages, all LAYOUT_IOAPIC_PINS of them. */
must_check int kvm_set_routes(const struct ioapic_route route[]);

#endif
