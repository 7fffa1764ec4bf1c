/* SPDX-License-Identifier: Apache-2.0 */
/* memmap.h: the memory map as the guest is told it, for the zero page and for PVH alike. */
#ifndef IMMURE_VMM_BOOT_MEMMAP_H
#define IMMURE_VMM_BOOT_MEMMAP_H

#include "core/guestmem.h"

/* Types of the E820 convention (ACPI 6.5 §15), shared by PVH's memory map. */
enum memmap_type {
	MEMMAP_RAM = 1,
	MEMMAP_RESERVED = 2,
};

enum { MEMMAP_MAX = 3 + GUESTMEM_REGIONS };

struct memmap_entry {
	uint64_t start, size;		/* bytes; size > 0 */
	enum memmap_type type;
};

/* Fills @out in ascending order: low memory, the reserved piece up to 1 MiB (ACPI tables lie
 * there), and the rest of RAM in its one or two pieces.  Returns the number of entries. */
unsigned int memmap_build(const struct guestmem *m, struct memmap_entry out[MEMMAP_MAX]);

#endif
