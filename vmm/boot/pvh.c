/* SPDX-License-Identifier: Apache-2.0 */
/* pvh.c: the PVH start info (Xen public/arch-x86/hvm/start_info.h, docs/misc/pvh.pandoc).
 *
 * One block at LAYOUT_START_INFO: the fixed struct, the module list, the memory map. */
#include "vmm/boot/pvh.h"

#include "vmm/boot/memmap.h"
#include "vmm/x86_64/layout.h"

#include <string.h>

enum { START_MAGIC = 0x336ec578, START_VERSION = 1 };

struct start_info {
	uint32_t magic;
	uint32_t version;
	uint32_t flags;
	uint32_t nr_modules;
	uint64_t modlist_paddr;
	uint64_t cmdline_paddr;
	uint64_t rsdp_paddr;
	uint64_t memmap_paddr;		/* from version 1 on, with the next two */
	uint32_t memmap_entries;
	uint32_t reserved;
};

struct module_entry {
	uint64_t paddr;
	uint64_t size;
	uint64_t cmdline_paddr;
	uint64_t reserved;
};

struct map_entry {
	uint64_t addr;
	uint64_t size;
	uint32_t type;
	uint32_t reserved;
};

struct start_block {
	struct start_info info;
	struct module_entry module;
	struct map_entry map[MEMMAP_MAX];
};

_Static_assert(sizeof(struct start_info) == 56, "PVH ABI");
_Static_assert(sizeof(struct module_entry) == 32, "PVH ABI");
_Static_assert(sizeof(struct map_entry) == 24, "PVH ABI");
_Static_assert(LAYOUT_START_INFO + sizeof(struct start_block) <= LAYOUT_SETUP_DATA, "layout");

bool pvh_write(const struct guestmem *m, const struct boot_initrd *initrd)
{
	struct memmap_entry map[MEMMAP_MAX];
	struct start_block b;
	unsigned int n = memmap_build(m, map);

	memset(&b, 0, sizeof(b));
	b.info.magic = START_MAGIC;
	b.info.version = START_VERSION;
	b.info.cmdline_paddr = LAYOUT_CMDLINE;
	b.info.rsdp_paddr = LAYOUT_ACPI;
	if (initrd->size != 0) {
		b.info.nr_modules = 1;
		b.info.modlist_paddr = LAYOUT_START_INFO + offsetof(struct start_block, module);
		b.module.paddr = initrd->gpa;
		b.module.size = initrd->size;
	}
	b.info.memmap_paddr = LAYOUT_START_INFO + offsetof(struct start_block, map);
	b.info.memmap_entries = n;
	for (unsigned int i = 0; i < n; i++) {
		b.map[i].addr = map[i].start;
		b.map[i].size = map[i].size;
		b.map[i].type = map[i].type;
	}
	return guestmem_write(m, gpa(LAYOUT_START_INFO), &b, sizeof(b));
}
