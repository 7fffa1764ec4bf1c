/* SPDX-License-Identifier: Apache-2.0 */
/* params.c: the zero page (Documentation/arch/x86/zero-page.rst, boot.rst "64-bit boot protocol").
 *
 * For a bzImage the setup header is the file's own, as the protocol wants, with the fields
 * overwritten that a loader fills in; every other byte of it is the kernel's and harms nobody
 * but the kernel.  A vmlinux has no setup header and gets a minimal one. */
#include "vmm/boot/params.h"

#include "vmm/boot/memmap.h"
#include "vmm/x86_64/layout.h"

#include <string.h>

enum {
	LOADER_UNDEFINED = 0xff,	/* boot.rst: "type_of_loader", no number assigned */
	PROTOCOL = 0x20f,		/* what a vmlinux of today would carry */
	SEED_BYTES = 32,
};

/* struct setup_data with its payload (boot.rst: SETUP_RNG_SEED). */
struct seed_data {
	uint64_t next;
	uint32_t type;
	uint32_t len;
	uint8_t seed[SEED_BYTES];
};

_Static_assert(sizeof(struct seed_data) == 16 + SEED_BYTES, "boot protocol");
_Static_assert(sizeof(struct boot_params) == 4096, "boot protocol");
_Static_assert(LAYOUT_ZERO_PAGE + sizeof(struct boot_params) < LAYOUT_STACK_TOP, "layout");

static void fill_header(struct setup_header *h, const struct boot_image *img)
{
	if (img->has_header) {
		*h = img->header;
	} else {
		h->boot_flag = 0xaa55;
		h->header = 0x53726448;
		h->version = PROTOCOL;
		h->cmdline_size = img->cmdline_max;
	}
	h->type_of_loader = LOADER_UNDEFINED;
	h->loadflags = LOADED_HIGH;
	h->cmd_line_ptr = LAYOUT_CMDLINE;
	h->setup_data = LAYOUT_SETUP_DATA;
}

bool params_write(const struct guestmem *m, const struct boot_image *img,
		  const struct boot_initrd *initrd, const uint8_t seed[32])
{
	struct memmap_entry map[MEMMAP_MAX];
	struct seed_data data = { .type = SETUP_RNG_SEED, .len = SEED_BYTES };
	struct boot_params bp;
	unsigned int n = memmap_build(m, map);

	memset(&bp, 0, sizeof(bp));
	fill_header(&bp.hdr, img);
	bp.hdr.ramdisk_image = (uint32_t)initrd->gpa;
	bp.hdr.ramdisk_size = (uint32_t)initrd->size;
	bp.acpi_rsdp_addr = LAYOUT_ACPI;
	for (unsigned int i = 0; i < n; i++) {
		bp.e820_table[i].addr = map[i].start;
		bp.e820_table[i].size = map[i].size;
		bp.e820_table[i].type = map[i].type;
	}
	bp.e820_entries = (uint8_t)n;
	memcpy(data.seed, seed, SEED_BYTES);
	return guestmem_write(m, gpa(LAYOUT_ZERO_PAGE), &bp, sizeof(bp)) &&
	       guestmem_write(m, gpa(LAYOUT_SETUP_DATA), &data, sizeof(data));
}
