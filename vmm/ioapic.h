/* SPDX-License-Identifier: Apache-2.0 */
/* ioapic.h: an I/O interrupt controller with 24 edge-triggered pins (82093AA datasheet).
 *
 * It never sees an interrupt: devices raise eventfds that KVM turns into messages by its
 * routing table, and all this module does is to translate what the guest programs into that
 * table.  It is pure; the caller serialises and performs the change. */
#ifndef IMMURE_VMM_IOAPIC_H
#define IMMURE_VMM_IOAPIC_H

#include "core/base.h"
#include "vmm/x86_64/layout.h"

enum { IOAPIC_SIZE = 0x1000 };

/* Where the interrupts of one pin go: an MSI as the local APICs understand it. */
struct ioapic_route {
	uint32_t address;
	uint32_t data;
	bool valid;		/* false: nowhere */
};

struct ioapic {
	uint32_t select;	/* IOREGSEL */
	uint32_t id;
	uint64_t entry[LAYOUT_IOAPIC_PINS];
	struct ioapic_route route[LAYOUT_IOAPIC_PINS];
};

/* All pins masked, routed nowhere. */
void ioapic_init(struct ioapic *io);

/* The guest reads @len bytes at @offset of the registers; returns the value. */
uint32_t ioapic_read(const struct ioapic *io, uint64_t offset, uint32_t len);

/* The guest writes.  True: io->route changed, KVM has to be told. */
must_check bool ioapic_write(struct ioapic *io, uint64_t offset, uint32_t len, uint32_t value);

#endif
