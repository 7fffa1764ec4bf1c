/* SPDX-License-Identifier: Apache-2.0 */
/* Claims about boot_load() as a whole, over images made here: what the guest finds in its memory
 * by each entry, and the error for each thing that does not fit or is not there. */
#include "vmm/acpi/aml.c"
#include "vmm/acpi/dsdt.c"
#include "vmm/acpi/tables.c"
#include "vmm/boot/boot.c"
#include "vmm/boot/bzimage.c"
#include "vmm/boot/cmdline.c"
#include "vmm/boot/elf.c"
#include "vmm/boot/initrd.c"
#include "vmm/boot/memmap.c"
#include "vmm/boot/params.c"
#include "vmm/boot/pvh.c"
#include "vmm/boot/reader.c"
#include "vmm/boot/stub.c"
#include "vmm/boot/tables.c"

#include "core/guestmem.c"
#include "core/log.c"

#include <criterion/criterion.h>

#include <sys/mman.h>

#define MIB (1ull << 20)

enum {
	CODE_SIZE = 0x3000,		/* bytes of the kernel in the file */
	NOTE_AT = 0x800,
	CODE_AT = 0x1000,
};

static struct guestmem mem;

static void map_ram(uint64_t ram)
{
	int fd = memfd_create("ram", 0);

	cr_assert_eq(ftruncate(fd, (off_t)guestmem_file_size(ram)), 0);
	cr_assert_eq(guestmem_map(&mem, fd, ram), 0);
	close(fd);
}

static int file_of(const void *bytes, size_t len)
{
	int fd = memfd_create("image", 0);

	cr_assert_eq(write(fd, bytes, len), (ssize_t)len);
	return fd;
}

static void guest(uint64_t at, void *dst, size_t len)
{
	cr_assert(guestmem_read(&mem, gpa(at), dst, len), "%#llx", (unsigned long long)at);
}

struct small_elf {
	Elf64_Ehdr eh;
	Elf64_Phdr ph[2];
	uint8_t pad0[NOTE_AT - sizeof(Elf64_Ehdr) - 2 * sizeof(Elf64_Phdr)];
	struct {
		Elf64_Nhdr h;
		char name[4];
		uint64_t desc;
	} __attribute__((packed)) note;
	uint8_t pad1[CODE_AT - NOTE_AT - 24];
	uint8_t code[CODE_SIZE];
};

_Static_assert(offsetof(struct small_elf, code) == CODE_AT, "as the headers say");

static struct small_elf elf;

static void make_elf(bool pvh)
{
	memset(&elf, 0, sizeof(elf));
	memcpy(elf.eh.e_ident, ELFMAG, SELFMAG);
	elf.eh.e_ident[EI_CLASS] = ELFCLASS64;
	elf.eh.e_ident[EI_DATA] = ELFDATA2LSB;
	elf.eh.e_ident[EI_VERSION] = EV_CURRENT;
	elf.eh.e_type = ET_EXEC;
	elf.eh.e_machine = EM_X86_64;
	elf.eh.e_version = EV_CURRENT;
	elf.eh.e_entry = 2 * MIB + 0x10;
	elf.eh.e_phoff = offsetof(struct small_elf, ph);
	elf.eh.e_phentsize = sizeof(Elf64_Phdr);
	elf.eh.e_phnum = pvh ? 2 : 1;
	elf.ph[0] = (Elf64_Phdr){ .p_type = PT_LOAD, .p_offset = CODE_AT, .p_paddr = 2 * MIB,
				  .p_filesz = CODE_SIZE, .p_memsz = MIB };
	elf.ph[1] = (Elf64_Phdr){ .p_type = PT_NOTE, .p_offset = NOTE_AT,
				  .p_filesz = sizeof(elf.note), .p_align = 4 };
	elf.note.h = (Elf64_Nhdr){ 4, 8, XEN_ELFNOTE_PHYS32_ENTRY };
	memcpy(elf.note.name, "Xen", 4);
	elf.note.desc = 2 * MIB + 0x20;
	for (size_t i = 0; i < CODE_SIZE; i++)
		elf.code[i] = (uint8_t)(i * 7 + 1);
}

static struct vm_config config(uint64_t kernel_size)
{
	struct vm_config c = {
		.magic = VMCONFIG_MAGIC,
		.ram = 16 * MIB,
		.vcpus = 2,
		.ndevices = 2,
		.kernel_size = kernel_size,
		.cmdline = "quiet panic=-1",
	};

	for (size_t i = 0; i < sizeof(c.rng_seed); i++)
		c.rng_seed[i] = (uint8_t)(i + 100);
	memset(c.vmgenid, 0x5a, sizeof(c.vmgenid));
	return c;
}

/* Loads @c's kernel from @bytes, with @initrd (or NULL). */
static enum boot_err load(struct vm_config *c, const void *bytes, size_t len, const void *initrd)
{
	int fd = file_of(bytes, len);
	int ird = initrd != NULL ? file_of(initrd, c->initrd_size) : -1;
	enum boot_err err;

	if (mem.nregions == 0)
		map_ram(c->ram);
	err = boot_load(&mem, c, fd, ird);
	close(fd);
	if (ird >= 0)
		close(ird);
	return err;
}

static void expect_stub(enum vm_boot_entry entry, uint32_t at)
{
	uint8_t want[STUB_MAX], got[STUB_MAX];
	size_t len = stub_build(entry, at, want);

	guest(LAYOUT_STUB, got, len);
	cr_assert_eq(memcmp(got, want, len), 0);
}

static void expect_code(void)
{
	static uint8_t got[CODE_SIZE + 1];

	guest(2 * MIB, got, sizeof(got));
	cr_assert_eq(memcmp(got, elf.code, CODE_SIZE), 0);
	cr_assert_eq(got[CODE_SIZE], 0);
}

Test(boot_load, vmlinux_by_the_64_bit_entry)
{
	struct vm_config c = config(sizeof(elf));
	struct boot_params bp;
	struct seed_data seed;
	char text[32], rsdp[8];

	make_elf(false);
	cr_assert_eq(load(&c, &elf, sizeof(elf), NULL), BOOT_OK);
	expect_code();
	expect_stub(VM_ENTRY_LINUX64, 2 * MIB + 0x10);
	guest(LAYOUT_ZERO_PAGE, &bp, sizeof(bp));
	cr_assert_eq(bp.hdr.boot_flag, 0xaa55);
	cr_assert_eq(bp.hdr.header, 0x53726448);
	cr_assert_eq(bp.hdr.type_of_loader, 0xff);
	cr_assert_eq(bp.hdr.cmd_line_ptr, LAYOUT_CMDLINE);
	cr_assert_eq(bp.hdr.ramdisk_size, 0);
	cr_assert_eq(bp.acpi_rsdp_addr, LAYOUT_ACPI);
	cr_assert_eq(bp.e820_entries, 3);
	cr_assert_eq(bp.e820_table[0].size, 0x9fc00);
	cr_assert_eq(bp.e820_table[1].addr, 0x9fc00);
	cr_assert_eq(bp.e820_table[1].size, 0x100000 - 0x9fc00);
	cr_assert_eq(bp.e820_table[1].type, 2);
	cr_assert_eq(bp.e820_table[2].addr, MIB);
	cr_assert_eq(bp.e820_table[2].size, 15 * MIB);
	cr_assert_eq(bp.hdr.setup_data, LAYOUT_SETUP_DATA);
	guest(LAYOUT_SETUP_DATA, &seed, sizeof(seed));
	cr_assert_eq(seed.next, 0);
	cr_assert_eq(seed.type, 9);
	cr_assert_eq(seed.len, 32);
	cr_assert_eq(memcmp(seed.seed, c.rng_seed, 32), 0);
	guest(LAYOUT_CMDLINE, text, sizeof(text));
	cr_assert_str_eq(text, "quiet panic=-1");
	guest(LAYOUT_ACPI, rsdp, sizeof(rsdp));
	cr_assert_eq(memcmp(rsdp, "RSD PTR ", 8), 0);
}

Test(boot_load, vmlinux_by_pvh_with_an_initramfs)
{
	static const char initrd[] = "an initramfs";
	struct vm_config c = config(sizeof(elf));
	struct start_block b;
	char got[sizeof(initrd)];

	c.initrd_size = sizeof(initrd);
	make_elf(true);
	cr_assert_eq(load(&c, &elf, sizeof(elf), initrd), BOOT_OK);
	expect_code();
	expect_stub(VM_ENTRY_PVH, 2 * MIB + 0x20);
	guest(LAYOUT_START_INFO, &b, sizeof(b));
	cr_assert_eq(b.info.magic, 0x336ec578);
	cr_assert_eq(b.info.version, 1);
	cr_assert_eq(b.info.nr_modules, 1);
	cr_assert_eq(b.info.cmdline_paddr, LAYOUT_CMDLINE);
	cr_assert_eq(b.info.rsdp_paddr, LAYOUT_ACPI);
	cr_assert_eq(b.info.memmap_entries, 3);
	guest(b.info.memmap_paddr, b.map, sizeof(b.map));
	cr_assert_eq(b.map[2].addr, MIB);
	cr_assert_eq(b.map[2].type, 1);
	guest(b.info.modlist_paddr, &b.module, sizeof(b.module));
	cr_assert_eq(b.module.paddr, 16 * MIB - 4096);
	cr_assert_eq(b.module.size, sizeof(initrd));
	guest(b.module.paddr, got, sizeof(got));
	cr_assert_str_eq(got, initrd);
}

Test(boot_load, start_info_without_an_initramfs_has_no_module)
{
	struct vm_config c = config(sizeof(elf));
	struct start_block b;

	make_elf(true);
	cr_assert_eq(load(&c, &elf, sizeof(elf), NULL), BOOT_OK);
	guest(LAYOUT_START_INFO, &b, sizeof(b));
	cr_assert_eq(b.info.nr_modules, 0);
	cr_assert_eq(b.info.modlist_paddr, 0);
}

Test(boot_load, page_tables_map_the_first_and_the_fourth_gib_one_to_one)
{
	struct vm_config c = config(sizeof(elf));
	uint64_t pml4[512], pdpt[512], pd0[512], pd3[512];

	make_elf(false);
	cr_assert_eq(load(&c, &elf, sizeof(elf), NULL), BOOT_OK);
	guest(LAYOUT_PML4, pml4, sizeof(pml4));
	guest(LAYOUT_PDPT, pdpt, sizeof(pdpt));
	guest(LAYOUT_PD0, pd0, sizeof(pd0));
	guest(LAYOUT_PD3, pd3, sizeof(pd3));
	cr_assert_eq(pml4[0], LAYOUT_PDPT | 3);
	cr_assert_eq(pdpt[0], LAYOUT_PD0 | 3);
	cr_assert_eq(pdpt[1], 0);
	cr_assert_eq(pdpt[3], LAYOUT_PD3 | 3);
	for (uint64_t i = 0; i < 512; i++) {
		cr_assert_eq(pml4[i] != 0, i == 0);
		cr_assert_eq(pd0[i], (i << 21) | 0x83);
		cr_assert_eq(pd3[i], (3ull << 30 | i << 21) | 0x83);
	}
}

/* ---- bzImage ---- */

enum { SECTS = 4, BZ_CODE = 0x2000 };

static struct {
	uint8_t bytes[(SECTS + 1) * 512 + BZ_CODE];
} bz;

static struct setup_header *make_bzimage(void)
{
	struct setup_header *h = (struct setup_header *)(void *)(bz.bytes + HEADER_AT);

	memset(&bz, 0, sizeof(bz));
	for (size_t i = 0; i < BZ_CODE; i++)
		bz.bytes[(SECTS + 1) * 512 + i] = (uint8_t)(i * 11 + 3);
	*h = (struct setup_header){
		.setup_sects = SECTS,
		.syssize = BZ_CODE / 16,
		.boot_flag = BOOT_FLAG,
		.jump = 0x6aeb,
		.header = HEADER_MAGIC,
		.version = 0x20f,
		.loadflags = LOADED_HIGH | CAN_USE_HEAP,
		.initrd_addr_max = 0x7fffffff,
		.kernel_alignment = 2 * MIB,
		.relocatable_kernel = 1,
		.xloadflags = XLF_KERNEL_64,
		.cmdline_size = 2047,
		.hardware_subarch_data = 0x1122334455667788,
		.pref_address = 2 * MIB,
		.init_size = 4 * MIB,
	};
	return h;
}

Test(boot_load, bzimage_keeps_its_header_and_gets_its_ramdisk)
{
	static const char initrd[] = "an initramfs";
	struct vm_config c = config(sizeof(bz));
	struct boot_params bp;
	static uint8_t code[BZ_CODE];
	char got[sizeof(initrd)];

	c.initrd_size = sizeof(initrd);
	make_bzimage();
	cr_assert_eq(load(&c, &bz, sizeof(bz), initrd), BOOT_OK);
	guest(2 * MIB, code, sizeof(code));
	cr_assert_eq(memcmp(code, bz.bytes + (SECTS + 1) * 512, BZ_CODE), 0);
	expect_stub(VM_ENTRY_LINUX64, 2 * MIB + 0x200);
	guest(LAYOUT_ZERO_PAGE, &bp, sizeof(bp));
	cr_assert_eq(bp.hdr.hardware_subarch_data, 0x1122334455667788);
	cr_assert_eq(bp.hdr.type_of_loader, 0xff);
	cr_assert_eq(bp.hdr.loadflags, LOADED_HIGH);
	cr_assert_eq(bp.hdr.ramdisk_image, 16 * MIB - 4096);
	cr_assert_eq(bp.hdr.ramdisk_size, sizeof(initrd));
	cr_assert_eq(bp.sentinel, 0);
	guest(bp.hdr.ramdisk_image, got, sizeof(got));
	cr_assert_str_eq(got, initrd);
}

Test(boot_load, initrd_addr_max_is_obeyed)
{
	struct vm_config c = config(sizeof(bz));
	struct boot_params bp;

	c.initrd_size = 4096;
	make_bzimage()->initrd_addr_max = 8 * MIB - 1;
	cr_assert_eq(load(&c, &bz, sizeof(bz), bz.bytes), BOOT_OK);
	guest(LAYOUT_ZERO_PAGE, &bp, sizeof(bp));
	cr_assert_eq(bp.hdr.ramdisk_image, 8 * MIB - 4096);
}

Test(boot_load, a_bzimage_has_no_pvh_entry)
{
	struct vm_config c = config(sizeof(bz));

	c.entry = VM_ENTRY_PVH;
	make_bzimage();
	cr_assert_eq(load(&c, &bz, sizeof(bz), NULL), BOOT_E_ENTRY);
}

/* ---- flat ---- */

Test(boot_load, a_flat_image_lies_at_1_mib)
{
	static const char code[] = "flat code";
	struct vm_config c = config(sizeof(code));
	char got[sizeof(code)];

	c.entry = VM_ENTRY_FLAT;
	cr_assert_eq(load(&c, code, sizeof(code), NULL), BOOT_OK);
	guest(MIB, got, sizeof(got));
	cr_assert_str_eq(got, code);
	expect_stub(VM_ENTRY_FLAT, 0);
}

Test(boot_load, a_flat_image_is_at_least_one_byte_and_at_most_1_mib)
{
	static uint8_t big[(1 << 20) + 1];
	struct vm_config c = config(0);

	c.entry = VM_ENTRY_FLAT;
	cr_assert_eq(load(&c, big, 0, NULL), BOOT_E_RANGE);
	c.kernel_size = 1 << 20;
	cr_assert_eq(load(&c, big, sizeof(big), NULL), BOOT_OK);
	c.kernel_size++;
	cr_assert_eq(load(&c, big, sizeof(big), NULL), BOOT_E_RANGE);
}

/* ---- what goes wrong ---- */

Test(boot_load, an_empty_or_foreign_file_is_no_kernel)
{
	static const char script[] = "#!/bin/sh\necho no kernel\n";
	struct vm_config c = config(0);

	cr_assert_eq(load(&c, "", 0, NULL), BOOT_E_FORMAT);
	c.kernel_size = sizeof(script);
	cr_assert_eq(load(&c, script, sizeof(script), NULL), BOOT_E_FORMAT);
}

Test(boot_load, every_truncation_of_an_elf_kernel_is_refused)
{
	make_elf(true);
	for (size_t len = 0; len < sizeof(elf); len += 13) {
		/* Once with the true size, once with a file that is shorter than it says. */
		struct vm_config c = config(len);

		cr_assert_neq(load(&c, &elf, len, NULL), BOOT_OK, "%zu", len);
		c.kernel_size = sizeof(elf);
		cr_assert_eq(load(&c, &elf, len, NULL), BOOT_E_READ, "%zu", len);
	}
}

Test(boot_load, every_truncation_of_a_bzimage_is_refused)
{
	make_bzimage();
	for (size_t len = 0; len < sizeof(bz); len += 13) {
		struct vm_config c = config(len);

		cr_assert_neq(load(&c, &bz, len, NULL), BOOT_OK, "%zu", len);
		c.kernel_size = sizeof(bz);
		cr_assert_eq(load(&c, &bz, len, NULL), BOOT_E_READ, "%zu", len);
	}
}

Test(boot_load, a_pvh_note_segment_beyond_the_file_is_refused)
{
	struct vm_config c = config(sizeof(elf));

	make_elf(true);
	elf.ph[1].p_offset = UINT64_MAX - 8;
	cr_assert_eq(load(&c, &elf, sizeof(elf), NULL), BOOT_E_HEADER);
	elf.ph[1].p_offset = sizeof(elf) - 1;
	cr_assert_eq(load(&c, &elf, sizeof(elf), NULL), BOOT_E_HEADER);
}

Test(boot_load, flipping_any_bit_of_the_headers_never_does_harm)
{
	struct vm_config c = config(sizeof(elf));
	unsigned int refused = 0;

	make_elf(true);
	for (size_t bit = 0; bit < (sizeof(Elf64_Ehdr) + 2 * sizeof(Elf64_Phdr)) * 8; bit++) {
		uint8_t *byte = (uint8_t *)&elf + bit / 8;

		*byte = (uint8_t)(*byte ^ (1 << bit % 8));
		refused += load(&c, &elf, sizeof(elf), NULL) != BOOT_OK;
		*byte = (uint8_t)(*byte ^ (1 << bit % 8));
	}
	cr_assert_gt(refused, 200);
}

Test(boot_load, an_initramfs_shorter_than_it_says_is_a_read_error)
{
	struct vm_config c = config(sizeof(elf));
	int fd, ird;

	make_elf(false);
	map_ram(c.ram);
	c.initrd_size = 8192;
	fd = file_of(&elf, sizeof(elf));
	ird = file_of(&elf, 4096);
	cr_assert_eq(boot_load(&mem, &c, fd, ird), BOOT_E_READ);
}

Test(boot_load, an_initramfs_that_does_not_fit_is_refused)
{
	static const uint64_t bad[] = { 13 * MIB + 1, 16 * MIB, 1ull << 32, UINT64_MAX,
					1ull << 63, UINT64_MAX - 4095 };

	make_elf(false);
	for (size_t i = 0; i < array_len(bad); i++) {
		struct vm_config c = config(sizeof(elf));
		int fd = file_of(&elf, sizeof(elf));

		if (i == 0)
			map_ram(c.ram);
		c.initrd_size = bad[i];
		cr_assert_eq(boot_load(&mem, &c, fd, fd), BOOT_E_INITRD, "case %zu", i);
		close(fd);
	}
}

static struct boot_initrd place(uint64_t ram, uint64_t start, uint64_t end, uint64_t size,
				bool fits)
{
	struct boot_image img = { .start = start, .end = end,
				  .initrd_top = GUESTMEM_HOLE_START };
	struct boot_initrd at;
	struct guestmem m;

	guestmem_layout(&m, ram);
	cr_assert_eq(initrd_place(&m, &img, size, &at), fits);
	return at;
}

Test(boot_load, an_initramfs_lies_as_high_as_it_can_and_below_the_kernel_if_it_must)
{
	cr_assert_eq(place(64 * MIB, 16 * MIB, 60 * MIB, 4 * MIB, true).gpa, 60 * MIB);
	cr_assert_eq(place(64 * MIB, 16 * MIB, 60 * MIB, 1, true).gpa, 64 * MIB - 4096);
	cr_assert_eq(place(64 * MIB, 16 * MIB, 60 * MIB + 1, 4 * MIB, true).gpa, 12 * MIB);
	cr_assert_eq(place(64 * MIB, 16 * MIB, 62 * MIB, 15 * MIB, true).gpa, MIB);
	place(64 * MIB, 16 * MIB, 62 * MIB, 15 * MIB + 1, false);
	cr_assert_eq(place(8ull << 30, 16 * MIB, 60 * MIB, 4096, true).gpa,
		     GUESTMEM_HOLE_START - 4096);
	place(64 * MIB, MIB, 64 * MIB, 1, false);
	cr_assert_eq(place(64 * MIB, MIB, 64 * MIB, 0, true).size, 0);
}

Test(boot_load, memory_above_4_gib_is_in_the_map)
{
	struct memmap_entry map[MEMMAP_MAX];
	struct guestmem m;

	guestmem_layout(&m, 5ull << 30);
	cr_assert_eq(memmap_build(&m, map), 4);
	cr_assert_eq(map[2].start, MIB);
	cr_assert_eq(map[2].size, GUESTMEM_HOLE_START - MIB);
	cr_assert_eq(map[3].start, 4ull << 30);
	cr_assert_eq(map[3].size, 2ull << 30);
	cr_assert_eq(map[3].type, MEMMAP_RAM);
	guestmem_layout(&m, GUESTMEM_HOLE_START);
	cr_assert_eq(memmap_build(&m, map), 3);
}

/* ---- command line ---- */

static void expect_cmdline(const char *given, bool devices, const char *want)
{
	struct vm_config c = config(0);
	char out[CMDLINE_BYTES];
	int len;

	memset(c.cmdline, 0, sizeof(c.cmdline));
	memcpy(c.cmdline, given, strlen(given));
	c.flags = devices ? VM_CMDLINE_DEVICES : 0;
	len = cmdline_build(&c, 2047, out);
	cr_assert_eq(len, (int)strlen(want));
	cr_assert_str_eq(out, want);
}

Test(boot_cmdline, devices_are_named_only_when_asked_for)
{
	expect_cmdline("quiet", false, "quiet");
	expect_cmdline("", false, "");
	expect_cmdline("quiet", true,
		       "quiet virtio_mmio.device=4K@0xd0000000:16"
		       " virtio_mmio.device=4K@0xd0001000:17");
}

Test(boot_cmdline, devices_come_before_the_words_of_init)
{
	expect_cmdline("quiet -- a --b", true,
		       "quiet virtio_mmio.device=4K@0xd0000000:16"
		       " virtio_mmio.device=4K@0xd0001000:17 -- a --b");
	expect_cmdline("quiet --x y--", true,
		       "quiet --x y-- virtio_mmio.device=4K@0xd0000000:16"
		       " virtio_mmio.device=4K@0xd0001000:17");
	expect_cmdline("a --", false, "a --");
	expect_cmdline("--", false, "--");
}

Test(boot_cmdline, the_limit_of_the_kernel_is_exact)
{
	struct vm_config c = config(0);
	char out[CMDLINE_BYTES];

	memset(c.cmdline, 'x', sizeof(c.cmdline));
	c.cmdline[VMCONFIG_CMDLINE - 1] = '\0';
	cr_assert_eq(cmdline_build(&c, 2047, out), 2047);
	cr_assert_eq(cmdline_build(&c, 2046, out), -1);
	c.flags = VM_CMDLINE_DEVICES;
	cr_assert_eq(cmdline_build(&c, 2047, out), -1);
	c.ndevices = PLAN_DEVICES;
	cr_assert_eq(cmdline_build(&c, UINT32_MAX, out), 2047 + PLAN_DEVICES * 36);
	cr_assert_str_eq(out + 2047 + 7 * 36, " virtio_mmio.device=4K@0xd0007000:23");
}

Test(boot_cmdline, a_line_without_an_end_is_refused)
{
	struct vm_config c = config(0);
	char out[CMDLINE_BYTES];

	memset(c.cmdline, 'x', sizeof(c.cmdline));
	cr_assert_eq(cmdline_build(&c, UINT32_MAX, out), -1);
}

Test(boot_cmdline, a_line_over_the_kernels_limit_fails_the_boot)
{
	struct vm_config c = config(sizeof(bz));

	make_bzimage()->cmdline_size = 5;
	cr_assert_eq(load(&c, &bz, sizeof(bz), NULL), BOOT_E_CMDLINE);
}

Test(boot_load, every_error_has_a_text)
{
	for (int e = BOOT_OK; e <= BOOT_E_SPACE; e++)
		cr_assert_str_neq(boot_err_text((enum boot_err)e), "unknown error");
	cr_assert_str_eq(boot_err_text((enum boot_err)99), "unknown error");
}
