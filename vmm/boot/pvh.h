/* SPDX-License-Identifier: Apache-2.0 */
/* pvh.h: struct hvm_start_info, for kernels entered by PVH. */
#ifndef IMMURE_VMM_BOOT_PVH_H
#define IMMURE_VMM_BOOT_PVH_H

#include "vmm/boot/image.h"

/* Writes the start info (version 1) to LAYOUT_START_INFO with its memory map and, when there is
 * an initramfs, its module list behind it; the command line is at LAYOUT_CMDLINE, the RSDP at
 * LAYOUT_ACPI.  False: low memory is not RAM. */
must_check bool pvh_write(const struct guestmem *m, const struct boot_initrd *initrd);

#endif
