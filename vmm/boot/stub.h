/* SPDX-License-Identifier: Apache-2.0 */
/* stub.h: the guest's very first instructions. */
#ifndef IMMURE_VMM_BOOT_STUB_H
#define IMMURE_VMM_BOOT_STUB_H

#include "core/guestmem.h"
#include "core/vmconfig.h"

enum { STUB_MAX = 128 };		/* bytes */

/* Assembles the stub that enters the kernel at @entry_gpa (below 4 GiB; ignored for FLAT) the
 * way @entry (not AUTO) says.  Returns its length.  Pure. */
size_t stub_build(enum vm_boot_entry entry, uint32_t entry_gpa, uint8_t out[STUB_MAX]);

/* Writes it to LAYOUT_STUB.  False: low memory is not RAM. */
must_check bool stub_write(const struct guestmem *m, enum vm_boot_entry entry,
			   uint32_t entry_gpa);

#endif
