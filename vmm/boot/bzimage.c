/* SPDX-License-Identifier: Apache-2.0 */
/* bzimage.c: a Linux bzImage becomes a plan (Documentation/arch/x86/boot.rst).
 *
 * The file: a boot sector, setup_sects sectors of real-mode code (not used here), then the
 * protected-mode code, which begins with the 32-bit entry and has the 64-bit one at +0x200.  It
 * unpacks the kernel to where it was loaded and needs init_size bytes from there.
 *
 * Only what every kernel since 3.8 (2013) has is accepted: protocol 2.12 with XLF_KERNEL_64.
 * All fields may lie; a header that contradicts itself or the size of the file is refused, and
 * no sum of two fields is made before both are known to be small. */
#include "vmm/boot/bzimage.h"

#include "vmm/x86_64/layout.h"

#include <string.h>

enum {
	SECTOR = 512,
	HEADER_AT = 0x1f1,		/* struct setup_header in the file */
	MAGIC_AT = 0x202,		/* "HdrS"; the header's length counts from here */
	BOOT_FLAG_AT = 0x1fe,
	BOOT_FLAG = 0xaa55,
	HEADER_MAGIC = 0x53726448,	/* "HdrS" */
	HEADER_END_MIN = 0x264,		/* up to and with init_size */
	VERSION_MIN = 0x20c,
	ENTRY_64 = 0x200,
	SETUP_SECTS_DEFAULT = 4,	/* what 0 means */
};

bool bzimage_detect(const uint8_t *head, size_t len)
{
	uint16_t flag;
	uint32_t magic;

	if (len < MAGIC_AT + sizeof(magic))
		return false;
	memcpy(&flag, head + BOOT_FLAG_AT, sizeof(flag));
	memcpy(&magic, head + MAGIC_AT, sizeof(magic));
	return flag == BOOT_FLAG && magic == HEADER_MAGIC;
}

/* Copies as much of the setup header as the file says it has and we know. */
static enum boot_err copy_header(const uint8_t *head, size_t len, struct setup_header *h)
{
	size_t end, size;

	if (len < MAGIC_AT)
		return BOOT_E_READ;
	end = MAGIC_AT + (size_t)head[MAGIC_AT - 1];
	if (end < HEADER_END_MIN)
		return BOOT_E_HEADER;
	if (end > len)
		return BOOT_E_READ;
	size = end - HEADER_AT;
	if (size > sizeof(*h))
		size = sizeof(*h);
	memset(h, 0, sizeof(*h));
	memcpy(h, head + HEADER_AT, size);
	return BOOT_OK;
}

/* Is this a header we can boot from, whatever the sizes are? */
static enum boot_err check_header(const struct setup_header *h)
{
	if (h->boot_flag != BOOT_FLAG || h->header != HEADER_MAGIC)
		return BOOT_E_FORMAT;
	if (h->version < VERSION_MIN || !(h->loadflags & LOADED_HIGH) || h->cmdline_size == 0)
		return BOOT_E_HEADER;
	if (!(h->xloadflags & XLF_KERNEL_64))
		return BOOT_E_ENTRY;
	if (h->relocatable_kernel && !is_power_of_2(h->kernel_alignment))
		return BOOT_E_HEADER;
	if (h->relocatable_kernel && (h->pref_address & (h->kernel_alignment - 1)) != 0)
		return BOOT_E_HEADER;
	return BOOT_OK;
}

enum boot_err bzimage_plan(const uint8_t *head, size_t len, uint64_t file_size,
			   const struct guestmem *m, struct boot_image *img)
{
	struct setup_header *h = &img->header;
	uint64_t sects, code_at, code_size;
	enum boot_err err;

	err = copy_header(head, len, h);
	if (err == BOOT_OK)
		err = check_header(h);
	if (err != BOOT_OK)
		return err;

	sects = h->setup_sects != 0 ? h->setup_sects : SETUP_SECTS_DEFAULT;
	code_at = (sects + 1) * SECTOR;
	code_size = (uint64_t)h->syssize * 16;
	if (code_size <= ENTRY_64)
		return BOOT_E_HEADER;
	if (!range_fits(code_at, code_size, file_size))
		return BOOT_E_READ;
	if (h->init_size < code_size)
		return BOOT_E_HEADER;

	/* The preferred address even when it may be moved: lower is never possible (the kernel
	 * is linked there), and higher gains nothing. */
	if (h->pref_address < LAYOUT_HIGH ||
	    !range_fits(h->pref_address, h->init_size, BOOT_MAPPED_END) ||
	    !guestmem_is_ram(m, gpa(h->pref_address), h->init_size))
		return BOOT_E_RANGE;

	img->entry = VM_ENTRY_LINUX64;
	img->entry_gpa = h->pref_address + ENTRY_64;
	img->start = h->pref_address;
	img->end = h->pref_address + h->init_size;
	img->initrd_top = min_u64((uint64_t)h->initrd_addr_max + 1, GUESTMEM_HOLE_START);
	img->cmdline_max = h->cmdline_size;
	img->npieces = 1;
	img->piece[0] = (struct boot_piece){
		.offset = code_at,
		.gpa = h->pref_address,
		.size = code_size,
	};
	img->has_header = true;
	return BOOT_OK;
}
