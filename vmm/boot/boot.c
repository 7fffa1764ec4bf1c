/* SPDX-License-Identifier: Apache-2.0 */
/* boot.c: puts a kernel, its initramfs and what it wants to know into guest memory.
 *
 * Who may lie: both files, in every byte, and about their sizes.  The order: look at the start
 * of the kernel; plan everything (kernel, initramfs, command line) and refuse what does not
 * fit; only then copy; write what the entry wants (zero page or start info), ACPI tables, GDT,
 * page tables and last the stub.  The planners live in files of their own and are pure. */
#include "vmm/boot/boot.h"

#include "vmm/acpi/acpi.h"
#include "vmm/boot/bzimage.h"
#include "vmm/boot/cmdline.h"
#include "vmm/boot/elf.h"
#include "vmm/boot/image.h"
#include "vmm/boot/initrd.h"
#include "vmm/boot/params.h"
#include "vmm/boot/pvh.h"
#include "vmm/boot/reader.h"
#include "vmm/boot/stub.h"
#include "vmm/boot/tables.h"
#include "vmm/x86_64/layout.h"

#include <string.h>

enum { FLAT_BYTES_MAX = 1 << 20 };

/* Looks for the PVH note in all PT_NOTE segments; one that is larger than ELF_NOTES_MAX has
 * only its start searched. */
static enum boot_err find_pvh(int fd, uint64_t file_size, const Elf64_Phdr *ph, unsigned int n,
			      bool *found, uint32_t *entry)
{
	uint8_t notes[ELF_NOTES_MAX];

	*found = false;
	for (unsigned int i = 0; i < n && !*found; i++) {
		size_t len;

		if (ph[i].p_type != PT_NOTE)
			continue;
		if (!range_fits(ph[i].p_offset, ph[i].p_filesz, file_size))
			return BOOT_E_HEADER;
		len = (size_t)min_u64(ph[i].p_filesz, sizeof(notes));
		if (!reader_copy(fd, ph[i].p_offset, notes, len))
			return BOOT_E_READ;
		*found = elf_find_pvh(notes, len, ph[i].p_align, entry);
	}
	return BOOT_OK;
}

static enum boot_err plan_elf(const struct guestmem *m, const struct vm_config *c, int fd,
			      const uint8_t *head, size_t len, struct boot_image *img)
{
	Elf64_Phdr ph[BOOT_SEGMENTS_MAX];
	Elf64_Ehdr eh;
	bool has_pvh;
	uint32_t pvh = 0;
	enum boot_err err;

	err = elf_parse_header(head, len, c->kernel_size, &eh);
	if (err != BOOT_OK)
		return err;
	if (!reader_copy(fd, eh.e_phoff, ph, eh.e_phnum * sizeof(ph[0])))
		return BOOT_E_READ;
	err = elf_plan_segments(ph, eh.e_phnum, c->kernel_size, m, img);
	if (err == BOOT_OK)
		err = find_pvh(fd, c->kernel_size, ph, eh.e_phnum, &has_pvh, &pvh);
	if (err != BOOT_OK)
		return err;
	return elf_plan_entry((enum vm_boot_entry)c->entry, eh.e_entry, has_pvh, pvh, img);
}

static enum boot_err plan_flat(const struct guestmem *m, const struct vm_config *c,
			       struct boot_image *img)
{
	if (c->kernel_size == 0 || c->kernel_size > FLAT_BYTES_MAX)
		return BOOT_E_RANGE;
	if (!guestmem_is_ram(m, gpa(LAYOUT_HIGH), c->kernel_size))
		return BOOT_E_RANGE;
	img->entry = VM_ENTRY_FLAT;
	img->entry_gpa = LAYOUT_HIGH;
	img->start = LAYOUT_HIGH;
	img->end = LAYOUT_HIGH + FLAT_BYTES_MAX;
	img->initrd_top = GUESTMEM_HOLE_START;
	img->cmdline_max = VMCONFIG_CMDLINE - 1;
	img->npieces = 1;
	img->piece[0] = (struct boot_piece){ .gpa = LAYOUT_HIGH, .size = c->kernel_size };
	return BOOT_OK;
}

static enum boot_err plan_kernel(const struct guestmem *m, const struct vm_config *c, int fd,
				 struct boot_image *img)
{
	uint8_t head[BOOT_HEAD_BYTES];
	size_t len = (size_t)min_u64(c->kernel_size, sizeof(head));

	if (c->entry == VM_ENTRY_FLAT)
		return plan_flat(m, c, img);
	if (!reader_copy(fd, 0, head, len))
		return BOOT_E_READ;
	if (elf_detect(head, len))
		return plan_elf(m, c, fd, head, len, img);
	if (!bzimage_detect(head, len))
		return BOOT_E_FORMAT;
	if (c->entry == VM_ENTRY_PVH)
		return BOOT_E_ENTRY;
	return bzimage_plan(head, len, c->kernel_size, m, img);
}

static bool load_pieces(const struct guestmem *m, int fd, const struct boot_image *img)
{
	for (uint32_t i = 0; i < img->npieces; i++) {
		const struct boot_piece *p = &img->piece[i];

		if (!reader_load(m, fd, p->offset, gpa(p->gpa), p->size))
			return false;
	}
	return true;
}

/* What a kernel reads before it knows where it is; a flat image wants none of it. */
static enum boot_err describe(const struct guestmem *m, const struct vm_config *c,
			      const struct boot_image *img, const struct boot_initrd *initrd)
{
	struct acpi_machine machine = {
		.vcpus = c->vcpus,
		.devices = (c->flags & VM_CMDLINE_DEVICES) ? 0 : c->ndevices,
		.console = (c->flags & VM_CONSOLE) != 0,
	};
	char cmdline[CMDLINE_BYTES];
	int len = cmdline_build(c, img->cmdline_max, cmdline);

	if (len < 0)
		return BOOT_E_CMDLINE;
	memcpy(machine.vmgenid, c->vmgenid, sizeof(machine.vmgenid));
	if (!guestmem_write(m, gpa(LAYOUT_CMDLINE), cmdline, (size_t)len + 1) ||
	    !acpi_write(m, &machine))
		return BOOT_E_SPACE;
	if (img->entry == VM_ENTRY_PVH)
		return pvh_write(m, initrd) ? BOOT_OK : BOOT_E_SPACE;
	return params_write(m, img, initrd, c->rng_seed) ? BOOT_OK : BOOT_E_SPACE;
}

enum boot_err boot_load(const struct guestmem *m, const struct vm_config *c, int kernel_fd,
			int initrd_fd)
{
	struct boot_image img = { .entry = VM_ENTRY_AUTO };
	struct boot_initrd initrd;
	uint64_t initrd_size = initrd_fd >= 0 ? c->initrd_size : 0;
	enum boot_err err = plan_kernel(m, c, kernel_fd, &img);

	if (err != BOOT_OK)
		return err;
	if (!initrd_place(m, &img, initrd_size, &initrd))
		return BOOT_E_INITRD;
	if (img.entry != VM_ENTRY_FLAT) {
		err = describe(m, c, &img, &initrd);
		if (err != BOOT_OK)
			return err;
	}
	if (!load_pieces(m, kernel_fd, &img))
		return BOOT_E_READ;
	if (initrd.size != 0 && !reader_load(m, initrd_fd, 0, gpa(initrd.gpa), initrd.size))
		return BOOT_E_READ;
	if (!tables_write(m) || !stub_write(m, img.entry, (uint32_t)img.entry_gpa))
		return BOOT_E_SPACE;
	return BOOT_OK;
}

const char *boot_err_text(enum boot_err err)
{
	switch (err) {
	case BOOT_OK:
		return "no error";
	case BOOT_E_READ:
		return "kernel or initramfs: cannot be read, or truncated";
	case BOOT_E_FORMAT:
		return "kernel: neither an x86-64 ELF file nor a bzImage";
	case BOOT_E_HEADER:
		return "kernel: header fields out of range or contradictory";
	case BOOT_E_RANGE:
		return "kernel: does not fit into guest memory where it wants to lie";
	case BOOT_E_ENTRY:
		return "kernel: has no entry point of the kind asked for";
	case BOOT_E_INITRD:
		return "initramfs: does not fit into guest memory beside the kernel";
	case BOOT_E_CMDLINE:
		return "kernel command line: longer than the kernel takes";
	case BOOT_E_SPACE:
		return "guest memory: no room for the boot structures";
	}
	return "unknown error";
}
