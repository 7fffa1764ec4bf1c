/* SPDX-License-Identifier: Apache-2.0 */
/* elf.c: an ELF64 kernel (vmlinux) becomes a plan.
 *
 * The file may come from anybody: every field may lie.  What goes wrong in loaders is always
 * the same sum (offset + size, address + size) done before it was checked, so here no sum of
 * two fields exists: range_fits() compares by subtraction, and a segment's end is computed
 * only after it is known to lie in RAM.
 *
 * A kernel names two ways in.  e_entry is the 64-bit one: x86's vmlinux keeps its physical
 * address there (Linux arch/x86/kernel/vmlinux.lds.S, phys_startup_64).  The PVH one is a note of
 * owner "Xen" and type 18, a 32-bit physical address (Xen public/elfnote.h). */
#include "vmm/boot/elf.h"

#include "vmm/x86_64/layout.h"

#include <string.h>

enum {
	XEN_ELFNOTE_PHYS32_ENTRY = 18,
	LINUX_COMMAND_LINE_SIZE = 2048,		/* x86, with the NUL */
};

bool elf_detect(const uint8_t *head, size_t len)
{
	return len >= SELFMAG && memcmp(head, ELFMAG, SELFMAG) == 0;
}

enum boot_err elf_parse_header(const uint8_t *head, size_t len, uint64_t file_size,
			       Elf64_Ehdr *out)
{
	if (len < sizeof(*out))
		return BOOT_E_READ;
	memcpy(out, head, sizeof(*out));
	if (!elf_detect(head, len) || out->e_ident[EI_CLASS] != ELFCLASS64 ||
	    out->e_ident[EI_DATA] != ELFDATA2LSB || out->e_machine != EM_X86_64)
		return BOOT_E_FORMAT;
	if (out->e_ident[EI_VERSION] != EV_CURRENT || out->e_version != EV_CURRENT ||
	    out->e_type != ET_EXEC || out->e_phentsize != sizeof(Elf64_Phdr))
		return BOOT_E_HEADER;
	if (out->e_phnum == 0 || out->e_phnum > BOOT_SEGMENTS_MAX)
		return BOOT_E_HEADER;
	if (!range_fits(out->e_phoff, out->e_phnum * sizeof(Elf64_Phdr), file_size))
		return BOOT_E_HEADER;
	return BOOT_OK;
}

/* One PT_LOAD segment, alone. */
static enum boot_err check_segment(const Elf64_Phdr *ph, uint64_t file_size,
				   const struct guestmem *m)
{
	if (ph->p_filesz > ph->p_memsz)
		return BOOT_E_HEADER;
	if (!range_fits(ph->p_offset, ph->p_filesz, file_size))
		return BOOT_E_HEADER;
	if (ph->p_paddr < LAYOUT_HIGH ||
	    !range_fits(ph->p_paddr, ph->p_memsz, GUESTMEM_HOLE_START))
		return BOOT_E_RANGE;
	if (!guestmem_is_ram(m, gpa(ph->p_paddr), ph->p_memsz))
		return BOOT_E_RANGE;
	return BOOT_OK;
}

/* Both were checked: the ends do not wrap. */
static bool overlap(const Elf64_Phdr *a, const Elf64_Phdr *b)
{
	return a->p_paddr < b->p_paddr + b->p_memsz && b->p_paddr < a->p_paddr + a->p_memsz;
}

static bool overlaps_earlier(const Elf64_Phdr *ph, unsigned int i)
{
	for (unsigned int j = 0; j < i; j++) {
		if (ph[j].p_type == PT_LOAD && ph[j].p_memsz != 0 && overlap(&ph[i], &ph[j]))
			return true;
	}
	return false;
}

enum boot_err elf_plan_segments(const Elf64_Phdr *ph, unsigned int n, uint64_t file_size,
				const struct guestmem *m, struct boot_image *img)
{
	if (n > BOOT_SEGMENTS_MAX)
		return BOOT_E_HEADER;
	img->npieces = 0;
	img->start = UINT64_MAX;
	img->end = 0;
	for (unsigned int i = 0; i < n; i++) {
		enum boot_err err;

		if (ph[i].p_type != PT_LOAD || ph[i].p_memsz == 0)
			continue;
		err = check_segment(&ph[i], file_size, m);
		if (err != BOOT_OK)
			return err;
		if (overlaps_earlier(ph, i))
			return BOOT_E_HEADER;
		img->start = min_u64(img->start, ph[i].p_paddr);
		if (img->end < ph[i].p_paddr + ph[i].p_memsz)
			img->end = ph[i].p_paddr + ph[i].p_memsz;
		img->piece[img->npieces++] = (struct boot_piece){
			.offset = ph[i].p_offset,
			.gpa = ph[i].p_paddr,
			.size = ph[i].p_filesz,
		};
	}
	return img->npieces == 0 ? BOOT_E_HEADER : BOOT_OK;
}

/* @x rounded up to @align inside a buffer of @len bytes, or @len. */
static size_t align_in(size_t x, size_t align, size_t len)
{
	size_t pad = (align - x % align) % align;

	return pad <= len - x ? x + pad : len;
}

/* Both notes' headers and fields are aligned to the segment's p_align (gABI, "Note Section");
 * anything but 8 means 4, as readers of old files agree. */
bool elf_find_pvh(const uint8_t *notes, size_t len, uint64_t align, uint32_t *entry)
{
	static const char owner[] = "Xen";
	size_t step = align == 8 ? 8 : 4;
	size_t at = 0;

	while (len - at >= sizeof(Elf64_Nhdr)) {
		Elf64_Nhdr nh;
		size_t name = at + sizeof(nh);
		size_t desc;

		memcpy(&nh, notes + at, sizeof(nh));
		if (nh.n_namesz > len - name)
			return false;
		desc = align_in(name + nh.n_namesz, step, len);
		if (nh.n_descsz > len - desc)
			return false;
		if (nh.n_type == XEN_ELFNOTE_PHYS32_ENTRY && nh.n_namesz == sizeof(owner) &&
		    memcmp(notes + name, owner, sizeof(owner)) == 0) {
			uint64_t value = 0;

			if (nh.n_descsz != 4 && nh.n_descsz != 8)
				return false;
			memcpy(&value, notes + desc, nh.n_descsz);
			*entry = (uint32_t)value;
			return value <= UINT32_MAX;
		}
		at = align_in(desc + nh.n_descsz, step, len);
	}
	return false;
}

static bool in_piece(const struct boot_image *img, uint64_t addr)
{
	for (uint32_t i = 0; i < img->npieces; i++) {
		if (addr >= img->piece[i].gpa && addr - img->piece[i].gpa < img->piece[i].size)
			return true;
	}
	return false;
}

enum boot_err elf_plan_entry(enum vm_boot_entry want, uint64_t linux64, bool has_pvh,
			     uint32_t pvh, struct boot_image *img)
{
	if (want == VM_ENTRY_AUTO)
		want = has_pvh ? VM_ENTRY_PVH : VM_ENTRY_LINUX64;
	if (want == VM_ENTRY_PVH && !has_pvh)
		return BOOT_E_ENTRY;
	img->entry = want;
	img->entry_gpa = want == VM_ENTRY_PVH ? pvh : linux64;
	if (!in_piece(img, img->entry_gpa))
		return BOOT_E_ENTRY;
	if (want == VM_ENTRY_LINUX64 && img->end > BOOT_MAPPED_END)
		return BOOT_E_RANGE;
	img->initrd_top = GUESTMEM_HOLE_START;
	img->cmdline_max = LINUX_COMMAND_LINE_SIZE - 1;
	img->has_header = false;
	return BOOT_OK;
}
