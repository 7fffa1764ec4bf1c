/* SPDX-License-Identifier: Apache-2.0 */
/* image.h: what the parsers of kernel images find out, and what the rest of vmm/boot needs.
 *
 * Parsing is pure: header bytes and sizes in, a plan or an error out.  Nothing is copied into
 * the guest before its plan was checked as a whole. */
#ifndef IMMURE_VMM_BOOT_IMAGE_H
#define IMMURE_VMM_BOOT_IMAGE_H

#include "vmm/boot/boot.h"

#include <asm/bootparam.h>

enum {
	BOOT_SEGMENTS_MAX = 32,		/* program headers looked at; a vmlinux has 5 */
	BOOT_HEAD_BYTES = 4096,		/* start of the file that is looked at first */
};

/* The identity map that vCPU 0 starts with covers this much from 0 on; a kernel entered in
 * 64-bit mode has to lie inside. */
#define BOOT_MAPPED_END (1ull << 30)

/* [offset, offset + size) of the file goes to guest address gpa. */
struct boot_piece {
	uint64_t offset;
	uint64_t gpa;
	uint64_t size;
};

/* What to copy, what the kernel occupies, and how it is entered. */
struct boot_image {
	enum vm_boot_entry entry;	/* decided: not VM_ENTRY_AUTO */
	uint64_t entry_gpa;
	uint64_t start, end;		/* memory of the kernel, uninitialised parts too */
	uint64_t initrd_top;		/* first byte an initramfs may not use */
	uint32_t cmdline_max;		/* bytes of command line, NUL not counted */
	uint32_t npieces;
	struct boot_piece piece[BOOT_SEGMENTS_MAX];
	bool has_header;		/* bzImage: header is its setup header */
	struct setup_header header;
};

/* Where an initramfs lies; size 0: there is none. */
struct boot_initrd {
	uint64_t gpa;
	uint64_t size;
};

#endif
