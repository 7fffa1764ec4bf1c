/* SPDX-License-Identifier: Apache-2.0 */
/* Claims about the ELF planner: every lie a header can tell is refused, and by its own name. */
#include "vmm/boot/elf.c"

#include "core/guestmem.c"
#include "vmm/x86_64/layout.h"

#include <criterion/criterion.h>

#define MIB (1ull << 20)

static struct guestmem ram_of(uint64_t bytes)
{
	struct guestmem m;

	guestmem_layout(&m, bytes);
	return m;
}

static Elf64_Ehdr good_header(void)
{
	Elf64_Ehdr h = {
		.e_type = ET_EXEC,
		.e_machine = EM_X86_64,
		.e_version = EV_CURRENT,
		.e_entry = 0x1000000,
		.e_phoff = sizeof(h),
		.e_phentsize = sizeof(Elf64_Phdr),
		.e_phnum = 2,
	};

	memcpy(h.e_ident, ELFMAG, SELFMAG);
	h.e_ident[EI_CLASS] = ELFCLASS64;
	h.e_ident[EI_DATA] = ELFDATA2LSB;
	h.e_ident[EI_VERSION] = EV_CURRENT;
	return h;
}

static enum boot_err parse(const Elf64_Ehdr *h, uint64_t file_size)
{
	Elf64_Ehdr out;

	return elf_parse_header((const uint8_t *)h, sizeof(*h), file_size, &out);
}

Test(boot_elf, a_good_header_is_accepted)
{
	Elf64_Ehdr h = good_header();

	cr_assert_eq(parse(&h, 4096), BOOT_OK);
}

Test(boot_elf, a_header_cut_short_is_a_read_error)
{
	Elf64_Ehdr h = good_header(), out;

	for (size_t len = 0; len < sizeof(h); len++)
		cr_assert_eq(elf_parse_header((const uint8_t *)&h, len, 4096, &out), BOOT_E_READ);
}

Test(boot_elf, another_class_order_or_machine_is_a_wrong_format)
{
	Elf64_Ehdr h = good_header();

	h.e_ident[EI_CLASS] = ELFCLASS32;
	cr_assert_eq(parse(&h, 4096), BOOT_E_FORMAT);
	h = good_header();
	h.e_ident[EI_DATA] = ELFDATA2MSB;
	cr_assert_eq(parse(&h, 4096), BOOT_E_FORMAT);
	h = good_header();
	h.e_machine = EM_AARCH64;
	cr_assert_eq(parse(&h, 4096), BOOT_E_FORMAT);
	h = good_header();
	h.e_ident[0] = 0;
	cr_assert_eq(parse(&h, 4096), BOOT_E_FORMAT);
}

Test(boot_elf, type_version_and_header_sizes_are_checked)
{
	Elf64_Ehdr h = good_header();

	h.e_type = ET_DYN;
	cr_assert_eq(parse(&h, 4096), BOOT_E_HEADER);
	h = good_header();
	h.e_version = 2;
	cr_assert_eq(parse(&h, 4096), BOOT_E_HEADER);
	h = good_header();
	h.e_phentsize = 0;
	cr_assert_eq(parse(&h, 4096), BOOT_E_HEADER);
	h = good_header();
	h.e_phentsize = sizeof(Elf64_Phdr) + 1;
	cr_assert_eq(parse(&h, 4096), BOOT_E_HEADER);
}

Test(boot_elf, number_of_program_headers_is_bounded)
{
	static const uint16_t bad[] = { 0, BOOT_SEGMENTS_MAX + 1, PN_XNUM };

	for (size_t i = 0; i < array_len(bad); i++) {
		Elf64_Ehdr h = good_header();

		h.e_phnum = bad[i];
		cr_assert_eq(parse(&h, 1 << 20), BOOT_E_HEADER, "%u", bad[i]);
	}
}

Test(boot_elf, program_headers_beyond_the_file_are_refused)
{
	/* CVE-2022-23523: offsets beyond the file; and those that wrap. */
	static const uint64_t bad[] = { 4096, 4096 - 111, UINT64_MAX, UINT64_MAX - 111,
					1ull << 63, 1ull << 32 };

	for (size_t i = 0; i < array_len(bad); i++) {
		Elf64_Ehdr h = good_header();

		h.e_phoff = bad[i];
		cr_assert_eq(parse(&h, 4096), BOOT_E_HEADER, "%#llx", (unsigned long long)bad[i]);
	}
}

static const Elf64_Phdr good_load = {
	.p_type = PT_LOAD,
	.p_offset = 0x1000,
	.p_paddr = 16 * MIB,
	.p_filesz = 2 * MIB,
	.p_memsz = 4 * MIB,
};

enum { FILE_SIZE = 8 << 20 };

static enum boot_err plan(const Elf64_Phdr *ph, unsigned int n, uint64_t ram)
{
	struct guestmem m = ram_of(ram);
	struct boot_image img;

	return elf_plan_segments(ph, n, FILE_SIZE, &m, &img);
}

Test(boot_elf, a_good_segment_becomes_a_piece)
{
	struct guestmem m = ram_of(64 * MIB);
	struct boot_image img;

	cr_assert_eq(elf_plan_segments(&good_load, 1, FILE_SIZE, &m, &img), BOOT_OK);
	cr_assert_eq(img.npieces, 1);
	cr_assert_eq(img.piece[0].offset, 0x1000);
	cr_assert_eq(img.piece[0].gpa, 16 * MIB);
	cr_assert_eq(img.piece[0].size, 2 * MIB);
	cr_assert_eq(img.start, 16 * MIB);
	cr_assert_eq(img.end, 20 * MIB);
}

Test(boot_elf, more_in_the_file_than_in_memory_is_refused)
{
	Elf64_Phdr p = good_load;

	p.p_memsz = p.p_filesz - 1;
	cr_assert_eq(plan(&p, 1, 64 * MIB), BOOT_E_HEADER);
}

Test(boot_elf, a_segment_beyond_the_file_is_refused)
{
	static const struct {
		uint64_t offset, filesz;
	} bad[] = {
		{ FILE_SIZE, 1 },
		{ FILE_SIZE - 1, 2 },
		{ FILE_SIZE + 1, 0 },
		{ UINT64_MAX, 2 * MIB },
		{ 0, FILE_SIZE + 1 },
		{ UINT64_MAX - 2 * MIB + 1, 2 * MIB },
		{ 1ull << 63, 1 },
	};

	for (size_t i = 0; i < array_len(bad); i++) {
		Elf64_Phdr p = good_load;

		p.p_offset = bad[i].offset;
		p.p_filesz = bad[i].filesz;
		p.p_memsz = 16 * MIB;
		cr_assert_eq(plan(&p, 1, 64 * MIB), BOOT_E_HEADER, "case %zu", i);
	}
}

Test(boot_elf, a_segment_outside_ram_is_refused)
{
	static const struct {
		uint64_t paddr, memsz;
	} bad[] = {
		{ 64 * MIB - 2 * MIB, 2 * MIB + 1 },	/* one byte over the end */
		{ 64 * MIB, 2 * MIB },
		{ UINT64_MAX, 2 * MIB },		/* wraps */
		{ UINT64_MAX - 2 * MIB + 1, 2 * MIB },	/* ends at 2^64 */
		{ 16 * MIB, UINT64_MAX - 16 * MIB + 1 },
		{ 16 * MIB, UINT64_MAX },
		{ 1ull << 63, 1ull << 63 },
	};

	for (size_t i = 0; i < array_len(bad); i++) {
		Elf64_Phdr p = good_load;

		p.p_paddr = bad[i].paddr;
		p.p_memsz = bad[i].memsz;
		cr_assert_eq(plan(&p, 1, 64 * MIB), BOOT_E_RANGE, "case %zu", i);
	}
}

Test(boot_elf, a_segment_over_low_memory_is_refused)
{
	static const uint64_t bad[] = { 0, LAYOUT_GDT, LAYOUT_STUB, LAYOUT_ZERO_PAGE,
					LAYOUT_CMDLINE, LAYOUT_ACPI, LAYOUT_HIGH - 1 };

	for (size_t i = 0; i < array_len(bad); i++) {
		Elf64_Phdr p = good_load;

		p.p_paddr = bad[i];
		cr_assert_eq(plan(&p, 1, 64 * MIB), BOOT_E_RANGE, "%#llx",
			     (unsigned long long)bad[i]);
	}
}

Test(boot_elf, a_segment_in_or_above_the_hole_is_refused)
{
	static const uint64_t bad[] = { GUESTMEM_HOLE_START - 2 * MIB, GUESTMEM_HOLE_START,
					LAYOUT_MMIO, GUESTMEM_HOLE_END };

	for (size_t i = 0; i < array_len(bad); i++) {
		Elf64_Phdr p = good_load;

		p.p_paddr = bad[i];
		cr_assert_eq(plan(&p, 1, 8ull << 30), BOOT_E_RANGE, "%#llx",
			     (unsigned long long)bad[i]);
	}
}

Test(boot_elf, segments_that_overlap_in_memory_are_refused)
{
	Elf64_Phdr p[2] = { good_load, good_load };

	cr_assert_eq(plan(p, 2, 64 * MIB), BOOT_E_HEADER);
	p[1].p_paddr = p[0].p_paddr + p[0].p_memsz - 1;
	cr_assert_eq(plan(p, 2, 64 * MIB), BOOT_E_HEADER);
	p[1].p_paddr = p[0].p_paddr - p[1].p_memsz + 1;
	cr_assert_eq(plan(p, 2, 64 * MIB), BOOT_E_HEADER);
	p[1].p_paddr = p[0].p_paddr + p[0].p_memsz;
	cr_assert_eq(plan(p, 2, 64 * MIB), BOOT_OK);
	p[1].p_paddr = p[0].p_paddr - p[1].p_memsz;
	cr_assert_eq(plan(p, 2, 64 * MIB), BOOT_OK);
}

Test(boot_elf, a_file_without_anything_to_load_is_refused)
{
	Elf64_Phdr p = good_load;

	p.p_type = PT_NOTE;
	cr_assert_eq(plan(&p, 1, 64 * MIB), BOOT_E_HEADER);
	p = good_load;
	p.p_memsz = p.p_filesz = 0;
	cr_assert_eq(plan(&p, 1, 64 * MIB), BOOT_E_HEADER);
}

Test(boot_elf, other_segments_may_say_what_they_like)
{
	Elf64_Phdr p[2] = { good_load, good_load };

	p[1].p_type = PT_GNU_STACK;
	p[1].p_paddr = UINT64_MAX;
	p[1].p_filesz = UINT64_MAX;
	cr_assert_eq(plan(p, 2, 64 * MIB), BOOT_OK);
}

/* ---- notes ---- */

struct note {
	Elf64_Nhdr h;
	char name[4];
	uint8_t desc[8];
};

static struct note pvh_note(uint64_t entry, uint32_t size)
{
	struct note n = { { 4, size, XEN_ELFNOTE_PHYS32_ENTRY }, "Xen", { 0 } };

	memcpy(n.desc, &entry, sizeof(entry));
	return n;
}

static bool find(const void *notes, size_t len, uint64_t align, uint32_t *entry)
{
	/* A copy of the exact size, so that a read past the end is seen by the sanitizer. */
	uint8_t *copy = malloc(len);
	bool found;

	memcpy(copy, notes, len);
	found = elf_find_pvh(copy, len, align, entry);
	free(copy);
	return found;
}

Test(boot_elf, the_pvh_note_is_found_behind_others)
{
	struct note n[3] = { pvh_note(1, 8), pvh_note(2, 8), pvh_note(0x1000850, 8) };
	uint32_t entry = 0;

	n[0].h.n_type = 6;			/* another Xen note */
	memcpy(n[1].name, "GNU", 4);		/* another owner */
	cr_assert(find(n, sizeof(n), 4, &entry));
	cr_assert_eq(entry, 0x1000850);
	n[2] = pvh_note(0x1000850, 4);
	cr_assert(find(n, sizeof(n) - 4, 4, &entry));
	cr_assert_eq(entry, 0x1000850);
}

Test(boot_elf, a_pvh_note_of_another_size_or_above_4_gib_is_none)
{
	struct note n = pvh_note(1ull << 32, 8);
	uint32_t entry;

	cr_assert_not(find(&n, sizeof(n), 4, &entry));
	for (uint32_t size = 0; size < 16; size++) {
		n = pvh_note(0x1000850, size);
		cr_assert_eq(find(&n, sizeof(n), 4, &entry), size == 4 || size == 8, "%u", size);
	}
}

Test(boot_elf, notes_that_run_past_the_end_stop_the_search)
{
	static const uint32_t bad[] = { 13, 0x7fffffff, 0x80000000, 0xfffffff0, 0xffffffff };

	for (size_t i = 0; i < array_len(bad); i++) {
		struct note n[2] = { pvh_note(1, 8), pvh_note(0x1000850, 8) };
		uint32_t entry;

		n[0].h.n_type = 1;
		n[0].h.n_namesz = bad[i];
		if (bad[i] > sizeof(n))
			cr_assert_not(find(n, sizeof(n), 4, &entry), "name %#x", bad[i]);
		n[0] = pvh_note(1, bad[i]);
		n[0].h.n_type = 1;
		if (bad[i] > sizeof(n))
			cr_assert_not(find(n, sizeof(n), 4, &entry), "desc %#x", bad[i]);
	}
}

Test(boot_elf, every_truncation_of_the_notes_is_survived)
{
	struct note n[2] = { pvh_note(1, 8), pvh_note(0x1000850, 8) };
	uint32_t entry;

	n[0].h.n_type = 1;
	for (size_t len = 0; len < sizeof(n); len++) {
		cr_assert_not(find(n, len, 4, &entry), "%zu", len);
		cr_assert_not(find(n, len, 8, &entry), "%zu", len);
	}
}

/* ---- entry ---- */

static enum boot_err enter(enum vm_boot_entry want, uint64_t linux64, bool has_pvh, uint32_t pvh,
			   struct boot_image *img)
{
	*img = (struct boot_image){
		.start = 16 * MIB,
		.end = 20 * MIB,
		.npieces = 1,
		.piece = { { 0, 16 * MIB, 2 * MIB } },
	};
	return elf_plan_entry(want, linux64, has_pvh, pvh, img);
}

Test(boot_elf, auto_prefers_pvh_and_else_takes_the_64_bit_entry)
{
	struct boot_image img;

	cr_assert_eq(enter(VM_ENTRY_AUTO, 16 * MIB, true, 16 * MIB + 0x850, &img), BOOT_OK);
	cr_assert_eq(img.entry, VM_ENTRY_PVH);
	cr_assert_eq(img.entry_gpa, 16 * MIB + 0x850);
	cr_assert_eq(enter(VM_ENTRY_AUTO, 16 * MIB, false, 0, &img), BOOT_OK);
	cr_assert_eq(img.entry, VM_ENTRY_LINUX64);
	cr_assert_eq(img.entry_gpa, 16 * MIB);
	cr_assert_eq(enter(VM_ENTRY_LINUX64, 16 * MIB, true, 16 * MIB + 0x850, &img), BOOT_OK);
	cr_assert_eq(img.entry, VM_ENTRY_LINUX64);
}

Test(boot_elf, pvh_without_a_note_is_no_entry)
{
	struct boot_image img;

	cr_assert_eq(enter(VM_ENTRY_PVH, 16 * MIB, false, 0, &img), BOOT_E_ENTRY);
}

Test(boot_elf, an_entry_outside_the_loaded_bytes_is_refused)
{
	static const uint64_t bad[] = { 0, 16 * MIB - 1, 18 * MIB, 19 * MIB, UINT64_MAX,
					0xffffffff81000000 };
	struct boot_image img;

	for (size_t i = 0; i < array_len(bad); i++) {
		cr_assert_eq(enter(VM_ENTRY_LINUX64, bad[i], false, 0, &img), BOOT_E_ENTRY);
		cr_assert_eq(enter(VM_ENTRY_PVH, 16 * MIB, true, (uint32_t)bad[i], &img),
			     BOOT_E_ENTRY);
	}
}

Test(boot_elf, a_64_bit_kernel_must_lie_in_the_identity_map)
{
	struct boot_image img = {
		.start = BOOT_MAPPED_END - MIB,
		.end = BOOT_MAPPED_END + 1,
		.npieces = 1,
		.piece = { { 0, BOOT_MAPPED_END - MIB, MIB } },
	};

	cr_assert_eq(elf_plan_entry(VM_ENTRY_LINUX64, BOOT_MAPPED_END - MIB, false, 0, &img),
		     BOOT_E_RANGE);
	img.end = BOOT_MAPPED_END;
	cr_assert_eq(elf_plan_entry(VM_ENTRY_LINUX64, BOOT_MAPPED_END - MIB, false, 0, &img),
		     BOOT_OK);
}
