/* SPDX-License-Identifier: Apache-2.0 */
/* memmap.c: the memory map as the guest is told it.
 *
 * Everything between the end of low memory and 1 MiB is one reserved piece although RAM lies
 * behind it: a guest that believes the map never touches the ACPI tables and the VMGenID
 * buffer, and one that does not harms only itself. */
#include "vmm/boot/memmap.h"

#include "vmm/x86_64/layout.h"

unsigned int memmap_build(const struct guestmem *m, struct memmap_entry out[MEMMAP_MAX])
{
	unsigned int n = 0;

	out[n++] = (struct memmap_entry){ 0, LAYOUT_LOW_END, MEMMAP_RAM };
	out[n++] = (struct memmap_entry){ LAYOUT_LOW_END, LAYOUT_HIGH - LAYOUT_LOW_END,
					  MEMMAP_RESERVED };
	for (uint32_t i = 0; i < m->nregions; i++) {
		uint64_t start = m->region[i].start, size = m->region[i].size;

		if (start < LAYOUT_HIGH) {
			uint64_t cut = min_u64(LAYOUT_HIGH - start, size);

			start += cut;
			size -= cut;
		}
		if (size != 0)
			out[n++] = (struct memmap_entry){ start, size, MEMMAP_RAM };
	}
	return n;
}
