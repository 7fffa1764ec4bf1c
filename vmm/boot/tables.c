/* SPDX-License-Identifier: Apache-2.0 */
/* tables.c: the descriptor and page tables vCPU 0 starts with (Intel SDM vol. 3 §3.4.5, §4.5).
 *
 * All flat, all identity: a kernel replaces them within its first few hundred instructions. */
#include "vmm/boot/tables.h"

#include "vmm/x86_64/layout.h"

#include <string.h>

enum { ENTRIES = 512 };

#define PAGE_PRESENT 0x001ull
#define PAGE_WRITE   0x002ull
#define PAGE_LARGE   0x080ull
#define LARGE_SIZE   (2ull << 20)
#define TABLE        (PAGE_PRESENT | PAGE_WRITE)

/* Base 0 and limit 4 GiB but for the task segments, which are 0x68 bytes at 0. */
static const uint64_t gdt[BOOT_GDT_BYTES / 8] = {
	[BOOT_SEL_CODE64 / 8] = 0x00af9b000000ffff,	/* L, execute/read */
	[BOOT_SEL_DATA / 8] = 0x00cf93000000ffff,	/* read/write */
	[BOOT_SEL_TSS64 / 8] = 0x00008b0000000067,	/* busy: vCPU 0 has it loaded */
	[BOOT_SEL_CODE32 / 8] = 0x00cf9b000000ffff,	/* D, execute/read */
	[BOOT_SEL_TSS32 / 8] = 0x0000890000000067,	/* available: the stub loads it */
};

/* One page directory: 1 GiB from @base on. */
static bool write_directory(const struct guestmem *m, uint64_t at, uint64_t base)
{
	uint64_t pd[ENTRIES];

	for (unsigned int i = 0; i < ENTRIES; i++)
		pd[i] = (base + i * LARGE_SIZE) | TABLE | PAGE_LARGE;
	return guestmem_write(m, gpa(at), pd, sizeof(pd));
}

bool tables_write(const struct guestmem *m)
{
	uint64_t pml4[ENTRIES], pdpt[ENTRIES];

	memset(pml4, 0, sizeof(pml4));
	memset(pdpt, 0, sizeof(pdpt));
	pml4[0] = LAYOUT_PDPT | TABLE;
	pdpt[0] = LAYOUT_PD0 | TABLE;
	pdpt[3] = LAYOUT_PD3 | TABLE;
	return guestmem_write(m, gpa(LAYOUT_GDT), gdt, sizeof(gdt)) &&
	       guestmem_write(m, gpa(LAYOUT_PML4), pml4, sizeof(pml4)) &&
	       guestmem_write(m, gpa(LAYOUT_PDPT), pdpt, sizeof(pdpt)) &&
	       write_directory(m, LAYOUT_PD0, 0) &&
	       write_directory(m, LAYOUT_PD3, 3ull << 30);
}
