/* SPDX-License-Identifier: Apache-2.0 */
/* An image that becomes larger while the device runs. */
#include "tests/unit/blk.h"

enum { MOST = 4 * SECTORS * SECTOR };

static void up(uint32_t logical, bool readonly)
{
	blocks = (struct vm_blocks){ logical, logical, 0, 0 };
	clock_now = 1000 * METER_SECOND;
	disk_of(false, usual);
	if (readonly)
		dev.disk.readonly = true;
	dev.disk.most = MOST;
}

/* A second later, the image being @bytes long. */
static bool grown_to(uint64_t bytes)
{
	cr_assert_eq(ftruncate(image, (off_t)bytes), 0);
	clock_now += METER_SECOND;
	return blk_grown(&dev);
}

static uint64_t capacity(void)
{
	struct link_config lc;
	struct blk_config c;

	blk_config(&dev, &lc);
	cr_assert_eq(lc.len, sizeof(c));
	memcpy(&c, lc.config, sizeof(c));
	return le64(c.capacity);
}

Test(blk_grow, every_size_is_found)
{
	uint64_t size = SECTORS * SECTOR;

	up(512, false);
	cr_assert_eq(capacity(), SECTORS);
	cr_assert_not(grown_to(size));
	for (uint64_t step = 1; size + step <= MOST; size += step, step = step * 3 + 511) {
		uint64_t before = dev.disk.size;
		bool grown = grown_to(size + step);

		cr_assert_eq(dev.disk.size, (size + step) / SECTOR * SECTOR);
		cr_assert_eq(grown, dev.disk.size > before);
		cr_assert_eq(capacity(), dev.disk.size / SECTOR);
	}
}

Test(blk_grow, what_is_new_is_served_and_nothing_beyond)
{
	up(512, false);
	cr_assert_eq(request_of(OUT, SECTORS, 512), IOERR);
	cr_assert(grown_to((SECTORS + 2) * SECTOR));
	cr_assert_eq(request_of(OUT, SECTORS + 1, 512), OK);
	cr_assert_eq(request_of(IN, SECTORS, 1024), OK);
	cr_assert_eq(request_of(IN, SECTORS + 1, 1024), IOERR);
}

Test(blk_grow, never_beyond_what_was_agreed)
{
	up(512, false);
	cr_assert(grown_to(2 * MOST));
	cr_assert_eq(dev.disk.size, MOST);
	cr_assert_not(grown_to(3 * MOST));
	cr_assert_eq(request_of(IN, MOST / SECTOR, 512), IOERR);
}

Test(blk_grow, whole_blocks_count)
{
	up(4096, true);
	cr_assert_not(grown_to(SECTORS * SECTOR + 4095));
	cr_assert(grown_to(SECTORS * SECTOR + 8191));
	cr_assert_eq(dev.disk.size, SECTORS * SECTOR + 4096);
}

Test(blk_grow, it_looks_once_a_second_and_only_where_told_to)
{
	up(512, false);
	cr_assert_not(grown_to(SECTORS * SECTOR));
	cr_assert_eq(ftruncate(image, MOST), 0);
	clock_now += METER_SECOND - 1;
	host.reads = 0;
	cr_assert_not(blk_grown(&dev));
	cr_assert_eq(host.reads, 0);
	clock_now++;
	cr_assert(blk_grown(&dev));
	cr_assert_leq(host.reads, 64, "by halves");
	disk_of(false, usual);
	cr_assert_not(grown_to(MOST));
	cr_assert_eq(host.reads, 0, "a disk that is fixed");
}

Test(blk_grow, a_host_that_cannot_read_there_is_no_growth)
{
	up(512, false);
	host.fail_after = 0;
	host.error = EIO;
	cr_assert_not(grown_to(MOST));
	cr_assert_eq(dev.disk.size, SECTORS * SECTOR);
	cr_assert(grown_to(MOST), "the next time it is tried again");
}
