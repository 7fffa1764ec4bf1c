/* SPDX-License-Identifier: Apache-2.0 */
/* boot.h: puts a kernel, its initramfs and what it wants to know into guest memory.
 *
 * Kernel and initramfs are untrusted: every offset and length is checked, and all of this runs
 * after the VMM has sealed itself (the descriptors are read with pread/preadv straight into
 * guest memory).  Registers never depend on the image: vCPU 0 always starts at LAYOUT_STUB in
 * 64-bit mode with paging on (set before sealing), and the stub written here goes on to the
 * kernel in the mode it wants, so that no register-setting ioctl is needed after sealing. */
#ifndef IMMURE_VMM_BOOT_BOOT_H
#define IMMURE_VMM_BOOT_BOOT_H

#include "core/base.h"
#include "core/guestmem.h"
#include "core/vmconfig.h"

enum boot_err {
	BOOT_OK = 0,
	BOOT_E_READ,		/* the file could not be read, or is shorter than it says */
	BOOT_E_FORMAT,		/* neither ELF x86-64 nor bzImage */
	BOOT_E_HEADER,		/* header fields out of range or contradictory */
	BOOT_E_RANGE,		/* a segment lies outside RAM or over what the machine needs */
	BOOT_E_ENTRY,		/* no entry point of the wanted kind (PVH note, 64-bit) */
	BOOT_E_INITRD,		/* initramfs does not fit above the kernel */
	BOOT_E_CMDLINE,		/* longer than the kernel takes */
	BOOT_E_SPACE,		/* ACPI tables or boot structures do not fit */
};

/* Loads everything: kernel from @kernel_fd, initramfs from @initrd_fd (-1: none), command line,
 * E820 map, page tables, GDT, ACPI tables, random seed, stub.  @m is mapped; the guest has not
 * run yet.  On error nothing is promised about guest memory. */
must_check enum boot_err boot_load(const struct guestmem *m, const struct vm_config *c,
				   int kernel_fd, int initrd_fd);

/* A sentence for the user, e.g. "kernel: segment outside guest memory". */
const char *boot_err_text(enum boot_err err);

#endif
