/* SPDX-License-Identifier: Apache-2.0 */
/* initrd.c: where the initramfs goes. */
#include "vmm/boot/initrd.h"

#include "vmm/x86_64/layout.h"

/* The highest page-aligned place for @size bytes in [@low, @high); false: there is none. */
static bool place_below(uint64_t low, uint64_t high, uint64_t size, uint64_t *gpa_out)
{
	uint64_t at;

	if (high < low || size > high - low)
		return false;
	at = (high - size) & ~(uint64_t)(GUESTMEM_PAGE - 1);
	if (at < low)
		return false;
	*gpa_out = at;
	return true;
}

bool initrd_place(const struct guestmem *m, const struct boot_image *img, uint64_t size,
		  struct boot_initrd *out)
{
	uint64_t top = m->nregions > 0 ? m->region[0].size : 0;

	*out = (struct boot_initrd){ 0 };
	if (size == 0)
		return true;
	out->size = size;
	top = min_u64(top, GUESTMEM_HOLE_START);
	return place_below(img->end, min_u64(top, img->initrd_top), size, &out->gpa) ||
	       place_below(LAYOUT_HIGH, min_u64(img->start, img->initrd_top), size, &out->gpa);
}
