/* SPDX-License-Identifier: Apache-2.0 */
/* params.h: the zero page, for kernels entered by the Linux 64-bit protocol. */
#ifndef IMMURE_VMM_BOOT_PARAMS_H
#define IMMURE_VMM_BOOT_PARAMS_H

#include "vmm/boot/image.h"

/* Writes struct boot_params to LAYOUT_ZERO_PAGE (setup header of @img or one of our own, memory
 * map, initramfs, command line at LAYOUT_CMDLINE, RSDP) and the random @seed as setup data to
 * LAYOUT_SETUP_DATA.  False: low memory is not RAM. */
must_check bool params_write(const struct guestmem *m, const struct boot_image *img,
			     const struct boot_initrd *initrd, const uint8_t seed[32]);

#endif
