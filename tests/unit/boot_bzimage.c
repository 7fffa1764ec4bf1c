/* SPDX-License-Identifier: Apache-2.0 */
/* Claims about the bzImage planner: a header that lies is refused, and by its own name. */
#include "vmm/boot/bzimage.c"

#include "core/guestmem.c"

#include <criterion/criterion.h>

#define MIB (1ull << 20)

enum {
	SECTS = 39,
	CODE = 4 << 20,
	SIZE = (SECTS + 1) * 512 + CODE,
};

static uint8_t head[BOOT_HEAD_BYTES];

static struct setup_header good(void)
{
	return (struct setup_header){
		.setup_sects = SECTS,
		.syssize = CODE / 16,
		.boot_flag = BOOT_FLAG,
		.jump = 0x6aeb,
		.header = HEADER_MAGIC,
		.version = 0x20f,
		.loadflags = LOADED_HIGH,
		.initrd_addr_max = 0x7fffffff,
		.kernel_alignment = 2 * MIB,
		.relocatable_kernel = 1,
		.xloadflags = XLF_KERNEL_64,
		.cmdline_size = 2047,
		.pref_address = 16 * MIB,
		.init_size = 32 * MIB,
	};
}

static enum boot_err plan_in(const struct setup_header *h, uint64_t file_size, uint64_t ram,
			     struct boot_image *img)
{
	struct guestmem m;

	guestmem_layout(&m, ram);
	memcpy(head + HEADER_AT, h, sizeof(*h));
	return bzimage_plan(head, sizeof(head), file_size, &m, img);
}

static enum boot_err plan(const struct setup_header *h)
{
	struct boot_image img;

	return plan_in(h, SIZE, 64 * MIB, &img);
}

Test(boot_bzimage, a_good_image_is_planned)
{
	struct setup_header h = good();
	struct boot_image img;

	cr_assert_eq(plan_in(&h, SIZE, 64 * MIB, &img), BOOT_OK);
	cr_assert(bzimage_detect(head, sizeof(head)));
	cr_assert_eq(img.entry, VM_ENTRY_LINUX64);
	cr_assert_eq(img.entry_gpa, 16 * MIB + 0x200);
	cr_assert_eq(img.start, 16 * MIB);
	cr_assert_eq(img.end, 48 * MIB);
	cr_assert_eq(img.npieces, 1);
	cr_assert_eq(img.piece[0].offset, (SECTS + 1) * 512);
	cr_assert_eq(img.piece[0].size, CODE);
	cr_assert_eq(img.piece[0].gpa, 16 * MIB);
	cr_assert_eq(img.initrd_top, 0x80000000);
	cr_assert_eq(img.cmdline_max, 2047);
	cr_assert(img.has_header);
}

Test(boot_bzimage, zero_setup_sectors_mean_four_and_255_are_possible)
{
	struct setup_header h = good();
	struct boot_image img;

	h.setup_sects = 0;
	cr_assert_eq(plan_in(&h, SIZE, 64 * MIB, &img), BOOT_OK);
	cr_assert_eq(img.piece[0].offset, 5 * 512);
	h.setup_sects = 255;
	cr_assert_eq(plan_in(&h, SIZE, 64 * MIB, &img), BOOT_E_READ);
	cr_assert_eq(plan_in(&h, 256 * 512 + CODE, 64 * MIB, &img), BOOT_OK);
	cr_assert_eq(img.piece[0].offset, 256 * 512);
}

Test(boot_bzimage, a_truncated_file_is_a_read_error)
{
	struct setup_header h = good();
	struct boot_image img;

	cr_assert_eq(plan_in(&h, SIZE - 1, 64 * MIB, &img), BOOT_E_READ);
	cr_assert_eq(plan_in(&h, 0, 64 * MIB, &img), BOOT_E_READ);
	h.syssize = UINT32_MAX;
	cr_assert_eq(plan_in(&h, SIZE, 64 * MIB, &img), BOOT_E_READ);
}

Test(boot_bzimage, every_truncation_of_the_head_is_survived)
{
	struct setup_header h = good();
	struct boot_image img;
	struct guestmem m;

	guestmem_layout(&m, 64 * MIB);
	memcpy(head + HEADER_AT, &h, sizeof(h));
	for (size_t len = 0; len < HEADER_AT + sizeof(h); len++) {
		uint8_t *copy = malloc(len + 1);

		memcpy(copy, head, len);
		cr_assert_eq(bzimage_plan(copy, len, SIZE, &m, &img), BOOT_E_READ, "%zu", len);
		cr_assert_eq(bzimage_detect(copy, len), len >= 0x206);
		free(copy);
	}
}

Test(boot_bzimage, a_header_too_short_for_its_version_is_refused)
{
	struct setup_header h = good();

	h.jump = (0x61 << 8) | 0xeb;		/* ends at 0x263 */
	cr_assert_eq(plan(&h), BOOT_E_HEADER);
	h.jump = (0x62 << 8) | 0xeb;
	cr_assert_eq(plan(&h), BOOT_OK);
}

Test(boot_bzimage, a_header_longer_than_we_know_is_cut)
{
	struct setup_header h = good();
	struct boot_image img;

	h.jump = (uint16_t)(0xffu << 8) | 0xeb;
	memset(head + HEADER_AT + sizeof(h), 0xaa, 64);
	cr_assert_eq(plan_in(&h, SIZE, 64 * MIB, &img), BOOT_OK);
	cr_assert_eq(memcmp(&img.header, &h, sizeof(h)), 0);
}

Test(boot_bzimage, magic_numbers_version_and_flags_are_checked)
{
	struct setup_header h = good();

	h.boot_flag = 0;
	cr_assert_eq(plan(&h), BOOT_E_FORMAT);
	cr_assert_not(bzimage_detect(head, sizeof(head)));
	h = good();
	h.header ^= 1;
	cr_assert_eq(plan(&h), BOOT_E_FORMAT);
	cr_assert_not(bzimage_detect(head, sizeof(head)));
	h = good();
	h.version = 0x20b;
	cr_assert_eq(plan(&h), BOOT_E_HEADER);
	h = good();
	h.loadflags = 0;			/* a zImage */
	cr_assert_eq(plan(&h), BOOT_E_HEADER);
	h = good();
	h.cmdline_size = 0;
	cr_assert_eq(plan(&h), BOOT_E_HEADER);
}

Test(boot_bzimage, a_kernel_without_64_bit_entry_has_no_entry)
{
	struct setup_header h = good();

	h.xloadflags = 0;
	cr_assert_eq(plan(&h), BOOT_E_ENTRY);
}

Test(boot_bzimage, code_too_short_for_the_entry_is_refused)
{
	struct setup_header h = good();

	h.syssize = 0;
	cr_assert_eq(plan(&h), BOOT_E_HEADER);
	h.syssize = 0x200 / 16;
	cr_assert_eq(plan(&h), BOOT_E_HEADER);
	h.syssize = 0x200 / 16 + 1;
	cr_assert_eq(plan(&h), BOOT_OK);
}

Test(boot_bzimage, init_size_smaller_than_the_code_is_refused)
{
	struct setup_header h = good();

	h.init_size = CODE - 1;
	cr_assert_eq(plan(&h), BOOT_E_HEADER);
	h.init_size = 0;
	cr_assert_eq(plan(&h), BOOT_E_HEADER);
}

Test(boot_bzimage, a_kernel_that_needs_more_than_ram_is_refused)
{
	struct setup_header h = good();
	struct boot_image img;

	h.init_size = 48 * MIB;
	cr_assert_eq(plan(&h), BOOT_OK);
	h.init_size = 48 * MIB + 1;
	cr_assert_eq(plan(&h), BOOT_E_RANGE);
	h.init_size = UINT32_MAX;
	cr_assert_eq(plan(&h), BOOT_E_RANGE);
	cr_assert_eq(plan_in(&h, SIZE, 1ull << 36, &img), BOOT_E_RANGE);
}

Test(boot_bzimage, a_preferred_address_that_is_no_place_is_refused)
{
	static const uint64_t bad[] = { 0, 0x8000, LAYOUT_HIGH - 1, 60 * MIB, 64 * MIB,
					GUESTMEM_HOLE_START, UINT64_MAX, 1ull << 63,
					UINT64_MAX - 32 * MIB + 1 };

	for (size_t i = 0; i < array_len(bad); i++) {
		struct setup_header h = good();

		h.relocatable_kernel = 0;
		h.pref_address = bad[i];
		cr_assert_eq(plan(&h), BOOT_E_RANGE, "%#llx", (unsigned long long)bad[i]);
	}
}

Test(boot_bzimage, alignment_that_is_none_is_refused)
{
	static const uint32_t bad[] = { 0, 3, 0x300000, UINT32_MAX };

	for (size_t i = 0; i < array_len(bad); i++) {
		struct setup_header h = good();

		h.kernel_alignment = bad[i];
		cr_assert_eq(plan(&h), BOOT_E_HEADER, "%#x", bad[i]);
	}
	struct setup_header h = good();

	h.pref_address += 4096;
	cr_assert_eq(plan(&h), BOOT_E_HEADER);
}

Test(boot_bzimage, initrd_addr_max_of_all_ones_means_the_hole)
{
	struct setup_header h = good();
	struct boot_image img;

	h.initrd_addr_max = UINT32_MAX;
	cr_assert_eq(plan_in(&h, SIZE, 64 * MIB, &img), BOOT_OK);
	cr_assert_eq(img.initrd_top, GUESTMEM_HOLE_START);
}
