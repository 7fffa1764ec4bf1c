/* SPDX-License-Identifier: Apache-2.0 */
/* tables.h: the descriptor and page tables vCPU 0 starts with. */
#ifndef IMMURE_VMM_BOOT_TABLES_H
#define IMMURE_VMM_BOOT_TABLES_H

#include "core/guestmem.h"

/* Selectors in the table at LAYOUT_GDT.  The VMM starts vCPU 0 with CS = CODE64, DS..SS = DATA
 * and TR = TSS64; the first two values are the Linux boot protocol's. */
enum {
	BOOT_SEL_CODE64 = 0x10,
	BOOT_SEL_DATA = 0x18,
	BOOT_SEL_TSS64 = 0x20,		/* 16 bytes in long mode */
	BOOT_SEL_CODE32 = 0x30,
	BOOT_SEL_TSS32 = 0x38,
	BOOT_GDT_BYTES = 0x40,
};

/* Writes the GDT to LAYOUT_GDT and, at LAYOUT_PML4 and behind it, page tables that map
 * 0..1 GiB and 3..4 GiB one to one with 2 MiB pages.  False: low memory is not RAM. */
must_check bool tables_write(const struct guestmem *m);

#endif
