/* SPDX-License-Identifier: Apache-2.0 */
/* initrd.h: where the initramfs goes. */
#ifndef IMMURE_VMM_BOOT_INITRD_H
#define IMMURE_VMM_BOOT_INITRD_H

#include "vmm/boot/image.h"

/* Finds a page-aligned place for @size bytes: as high as RAM below the hole and @img->initrd_top
 * allow, above the kernel; in a small guest, where that does not fit, right below the kernel.
 * False: neither fits.  @size 0 is no initramfs and always fits.  Pure. */
must_check bool initrd_place(const struct guestmem *m, const struct boot_image *img,
			     uint64_t size, struct boot_initrd *out);

#endif
