/* SPDX-License-Identifier: Apache-2.0 */
/* What the jailer makes of the block sizes that a host claims. */
#include "jailer/failure.c"

#include <criterion/criterion.h>
#include <errno.h>
#include <linux/fs.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

static struct {
	int logical, offset;
	unsigned physical, optimal;
	uint64_t size;
	unsigned long broken;	/* the call that the kernel refuses */
} claim;

static int claimed(int fd, unsigned long request, ...)
{
	va_list ap;
	void *out;

	(void)fd;
	va_start(ap, request);
	out = va_arg(ap, void *);
	va_end(ap);
	errno = ENOTTY;
	if (request == claim.broken)
		return -1;
	switch (request) {
	case BLKSSZGET: memcpy(out, &claim.logical, sizeof(int)); return 0;
	case BLKPBSZGET: memcpy(out, &claim.physical, sizeof(int)); return 0;
	case BLKALIGNOFF: memcpy(out, &claim.offset, sizeof(int)); return 0;
	case BLKGETSIZE64: memcpy(out, &claim.size, 8); return 0;
	case BLKIOOPT: memcpy(out, &claim.optimal, sizeof(int)); return 0;
	}
	return -1;
}

static int unit_rc;
static uint32_t unit_said;

static int told_unit(int fd, uint32_t *unit)
{
	(void)fd;
	*unit = unit_said;
	return unit_rc;
}

#include "jailer/direct.h"
#include <sys/ioctl.h>
#define direct_unit told_unit
#define ioctl claimed
#include "jailer/blocks.c"
#undef ioctl
#undef direct_unit

static struct failure f;
static const struct stat device = { .st_mode = S_IFBLK | 0600 };
static const struct config_disk plain = { .path = "/d" };

static bool same(const struct vm_blocks *b, uint32_t logical, uint32_t physical, uint32_t offset,
		 uint32_t optimal)
{
	return b->logical == logical && b->physical == physical && b->offset == offset &&
	       b->optimal == optimal;
}

/* What becomes of a device that claims this. */
static struct vm_blocks device_of(int logical, unsigned physical, int offset, unsigned optimal)
{
	struct vm_blocks b;

	claim = (typeof(claim)){ logical, offset, physical, optimal, 1 << 20, 0 };
	cr_assert_eq(blocks_find(&b, 9, &device, &plain, &f), 0, "%s", f.text);
	return b;
}

Test(jail_blocks, a_block_device_is_asked)
{
	struct vm_blocks b = device_of(512, 4096, 3584, 1 << 20);

	cr_assert(same(&b, 512, 4096, 3584, 1 << 20));
	b = device_of(4096, 4096, 0, 0);
	cr_assert(same(&b, 4096, 4096, 0, 0));
	b = device_of(512, 65536, 65024, 65536);
	cr_assert(same(&b, 512, 65536, 65024, 65536));
}

Test(jail_blocks, hints_that_make_no_sense_are_dropped)
{
	struct vm_blocks b = device_of(512, 0, 0, 0);

	cr_assert(same(&b, 512, 512, 0, 0));
	b = device_of(4096, 512, 0, 0);
	cr_assert(same(&b, 4096, 4096, 0, 0), "less than a logical block");
	b = device_of(512, 1536, 0, 4096);
	cr_assert(same(&b, 512, 512, 0, 4096));
	b = device_of(512, 131072, 0, 131072);
	cr_assert(same(&b, 512, 512, 0, 131072), "more than a guest can be told");
	b = device_of(512, 4096, -1, 4096);
	cr_assert(same(&b, 512, 512, 0, 4096), "the kernel: not aligned at all");
	b = device_of(512, 4096, 100, 0);
	cr_assert(same(&b, 512, 512, 0, 0));
	b = device_of(512, 4096, 4096, 0);
	cr_assert(same(&b, 512, 512, 0, 0));
	b = device_of(512, 4096, 0, 512 * 65);
	cr_assert(same(&b, 512, 4096, 0, 0));
	b = device_of(512, 4096, 0, UINT32_MAX);
	cr_assert(same(&b, 512, 4096, 0, 0));
}

Test(jail_blocks, blocks_that_no_guest_takes_are_refused)
{
	static const int odd[] = { 0, -1, 1, 256, 520, 1536, 8192, 65536, INT32_MIN };
	struct vm_blocks b;

	for (size_t i = 0; i < array_len(odd); i++) {
		claim = (typeof(claim)){ odd[i], 0, 4096, 0, 1 << 20, 0 };
		cr_assert_eq(blocks_find(&b, 9, &device, &plain, &f), -1, "%d", odd[i]);
		cr_assert_not_null(strstr(f.text, "disk /d: has blocks of"), "%s", f.text);
	}
}

Test(jail_blocks, a_device_that_does_not_answer_is_refused)
{
	static const unsigned long calls[] = { BLKSSZGET, BLKPBSZGET, BLKALIGNOFF, BLKIOOPT,
					       BLKGETSIZE64 };
	struct vm_blocks b;

	for (size_t i = 0; i < array_len(calls); i++) {
		claim = (typeof(claim)){ 512, 0, 512, 0, 1 << 20, calls[i] };
		cr_assert_eq(blocks_find(&b, 9, &device, &plain, &f), -1);
		cr_assert_not_null(strstr(f.text, "disk /d"), "%s", f.text);
	}
}

Test(jail_blocks, a_file_has_the_blocks_of_its_file_system)
{
	static const struct { long blksize; uint32_t physical; } cases[] = {
		{ 512, 512 }, { 1024, 1024 }, { 4096, 4096 }, { 65536, 65536 }, { 131072, 512 },
		{ 0, 512 }, { -4096, 512 }, { 256, 512 }, { 6000, 512 }, { (1l << 32) + 4096, 512 },
	};
	struct vm_blocks b;

	for (size_t i = 0; i < array_len(cases); i++) {
		struct stat st = { .st_mode = S_IFREG | 0600, .st_blksize = cases[i].blksize };

		claim.broken = 0;
		cr_assert_eq(blocks_find(&b, 9, &st, &plain, &f), 0, "%s", f.text);
		cr_assert(same(&b, 512, cases[i].physical, 0, 0), "%ld", cases[i].blksize);
	}
}

static const struct config_disk wishes[] = {
	{ "/d", .block_size = 512 }, { "/d", .block_size = 1024 }, { "/d", .block_size = 2048 },
	{ "/d", .block_size = 4096 },
};

Test(jail_blocks, a_wish_is_fulfilled)
{
	const struct stat st = { .st_mode = S_IFREG | 0600, .st_blksize = 1024, .st_size = 3 * 4096 };
	struct vm_blocks b;

	for (size_t i = 0; i < array_len(wishes); i++) {
		uint32_t n = wishes[i].block_size;

		cr_assert_eq(blocks_find(&b, 9, &st, &wishes[i], &f), 0, "%s", f.text);
		cr_assert(same(&b, n, n > 1024 ? n : 1024, 0, 0), "%u", n);
	}
	claim = (typeof(claim)){ 512, 3584, 4096, 65536, 3 * 4096, 0 };
	cr_assert_eq(blocks_find(&b, 9, &device, &wishes[3], &f), 0, "%s", f.text);
	cr_assert(same(&b, 4096, 4096, 0, 65536), "its blocks cannot begin where those do");
}

Test(jail_blocks, an_image_is_of_whole_blocks)
{
	static const off_t sizes[] = { 4095, 4097, 3 * 4096 + 512, 3 * 4096 + 2048, 1 };
	struct stat st = { .st_mode = S_IFREG | 0600, .st_blksize = 4096 };
	struct vm_blocks b;

	for (size_t i = 0; i < array_len(sizes); i++) {
		char both[64];

		st.st_size = sizes[i];
		cr_assert_eq(blocks_find(&b, 9, &st, &wishes[3], &f), -1, "%ld", (long)sizes[i]);
		snprintf(both, sizeof(both), "its %ld bytes are not whole blocks of 4096", (long)sizes[i]);
		cr_assert_not_null(strstr(f.text, both), "%s", f.text);
		cr_assert_eq(blocks_find(&b, 9, &st, &plain, &f), 0, "nobody asked");
	}
	claim = (typeof(claim)){ 512, 0, 512, 0, 5 * 512, 0 };
	cr_assert_eq(blocks_find(&b, 9, &device, &wishes[1], &f), -1);
	cr_assert_not_null(strstr(f.text, "its 2560 bytes are not whole blocks of 1024"), "%s", f.text);
}

Test(jail_blocks, a_wish_below_the_blocks_of_a_device_is_refused)
{
	struct vm_blocks b;

	claim = (typeof(claim)){ 4096, 0, 4096, 0, 1 << 20, 0 };
	for (size_t i = 0; i < 3; i++) {
		cr_assert_eq(blocks_find(&b, 9, &device, &wishes[i], &f), -1);
		cr_assert_not_null(strstr(f.text, "disk /d: has blocks of 4096 bytes"), "%s", f.text);
	}
	cr_assert_eq(blocks_find(&b, 9, &device, &wishes[3], &f), 0, "%s", f.text);
}

static const struct config_disk direct = { .path = "/d", .direct = true };

/* The logical blocks of a file of @size bytes with direct I/O in units of @unit. */
static uint32_t direct_file_of(off_t size, long blksize, uint32_t unit)
{
	struct stat st = { .st_mode = S_IFREG | 0600, .st_size = size, .st_blksize = blksize };
	struct vm_blocks b;

	unit_rc = 0;
	unit_said = unit;
	cr_assert_eq(blocks_find(&b, 9, &st, &direct, &f), 0, "%s", f.text);
	cr_assert(b.physical >= b.logical && b.physical <= VM_BLOCK_PHYSICAL_MAX);
	return b.logical;
}

Test(jail_blocks, direct_io_sets_the_least_block)
{
	cr_assert_eq(direct_file_of(8192, 4096, 1), 512);
	cr_assert_eq(direct_file_of(8192, 4096, 512), 512);
	cr_assert_eq(direct_file_of(8192, 4096, 4096), 4096);
	cr_assert_eq(direct_file_of(8192, 1024, 0), 1024, "not told: the file system's own");
	cr_assert_eq(direct_file_of(8192, 4096, 0), 4096);
	cr_assert_eq(direct_file_of(8192, 65536, 0), 4096);
	cr_assert_eq(direct_file_of(8192, 512, 0), 4096, "the same as not known");
}

Test(jail_blocks, direct_io_that_does_not_fit_is_refused)
{
	static const struct config_disk small = { "/d", .direct = true, .block_size = 512 };
	struct stat st = { .st_mode = S_IFREG | 0600, .st_size = 8192 + 512, .st_blksize = 4096 };
	struct vm_blocks b;

	unit_said = 4096;
	cr_assert_eq(blocks_find(&b, 9, &st, &direct, &f), -1);
	cr_assert_not_null(strstr(f.text, "its 8704 bytes are not whole blocks of 4096"), "%s", f.text);
	cr_assert_eq(blocks_find(&b, 9, &st, &small, &f), -1);
	cr_assert_not_null(strstr(f.text, "has blocks of 4096 bytes; 512 asked"), "%s", f.text);
	st.st_size = 1 << 20;
	unit_said = 8192;
	cr_assert_eq(blocks_find(&b, 9, &st, &direct, &f), -1);
	unit_said = 3072;
	cr_assert_eq(blocks_find(&b, 9, &st, &direct, &f), -1);
	unit_rc = -EOPNOTSUPP;
	cr_assert_eq(blocks_find(&b, 9, &st, &direct, &f), -1);
	cr_assert_not_null(strstr(f.text, "disk /d: its file system has no direct I/O"), "%s", f.text);
	unit_rc = -EIO;
	cr_assert_eq(blocks_find(&b, 9, &st, &direct, &f), -1);
	cr_assert_eq(blocks_find(&b, 9, &st, &plain, &f), 0, "nobody asked");
}

Test(jail_blocks, direct_io_on_a_device_keeps_its_blocks)
{
	struct vm_blocks b;

	unit_rc = 0;
	unit_said = 0;
	claim = (typeof(claim)){ 512, 0, 4096, 0, 5 * 512, 0 };
	cr_assert_eq(blocks_find(&b, 9, &device, &direct, &f), 0, "%s", f.text);
	cr_assert(same(&b, 512, 4096, 0, 0));
	claim.logical = 4096;
	claim.size = 8192;
	unit_said = 4096;
	cr_assert_eq(blocks_find(&b, 9, &device, &direct, &f), 0, "%s", f.text);
	cr_assert(same(&b, 4096, 4096, 0, 0));
}
