/* SPDX-License-Identifier: Apache-2.0 */
/* acpi.h: the ACPI tables of the machine (ACPI 6.5, hardware-reduced).
 *
 * One block at LAYOUT_ACPI: RSDP first (where its signature is searched for, too), then XSDT,
 * FADT, MADT and DSDT.  The VMGenID buffer lies at ACPI_VMGENID_GPA, in the same reserved piece
 * of the memory map. */
#ifndef IMMURE_VMM_ACPI_ACPI_H
#define IMMURE_VMM_ACPI_ACPI_H

#include "core/fdplan.h"
#include "core/guestmem.h"

enum {
	ACPI_BYTES_MAX = 4096,		/* the tables of 32 vCPUs and 8 devices are below */
	ACPI_VMGENID_BYTES = 16,
};

#define ACPI_VMGENID_GPA 0x000ff000ull

/* What the tables describe. */
struct acpi_machine {
	uint32_t vcpus;			/* 1..PLAN_VCPUS; local APIC ids 0..vcpus - 1 */
	uint32_t devices;		/* virtio-mmio slots with a node, 0..PLAN_DEVICES */
	bool console;			/* COM1 has a node */
	uint8_t vmgenid[ACPI_VMGENID_BYTES];
};

/* Builds the tables in @buf (ACPI_BYTES_MAX bytes) as they are to lie at guest address @base.
 * Returns their length, or 0 when they do not fit.  Pure. */
must_check size_t acpi_build(const struct acpi_machine *machine, uint64_t base, uint8_t *buf);

/* Builds them and writes them to LAYOUT_ACPI, and the VMGenID to its buffer.  False: they do
 * not fit, or low memory is not RAM. */
must_check bool acpi_write(const struct guestmem *m, const struct acpi_machine *machine);

#endif
