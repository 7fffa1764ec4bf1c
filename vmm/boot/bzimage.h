/* SPDX-License-Identifier: Apache-2.0 */
/* bzimage.h: a Linux bzImage becomes a plan.  A pure function over bytes of the file. */
#ifndef IMMURE_VMM_BOOT_BZIMAGE_H
#define IMMURE_VMM_BOOT_BZIMAGE_H

#include "vmm/boot/image.h"

/* True when @head, the first @len bytes of a file, carries both magic numbers of a bzImage. */
bool bzimage_detect(const uint8_t *head, size_t len);

/* Checks the setup header in @head (Documentation/arch/x86/boot.rst; protocol 2.12 or later
 * with a 64-bit entry) against @file_size and guest memory, and fills @img: one piece, loaded
 * at its preferred address, entered at +0x200 in 64-bit mode. */
must_check enum boot_err bzimage_plan(const uint8_t *head, size_t len, uint64_t file_size,
				      const struct guestmem *m, struct boot_image *img);

#endif
