/* SPDX-License-Identifier: Apache-2.0 */
/* The block device: DISCARD and WRITE_ZEROES (virtio 1.3 §5.2.6). */
#include "tests/unit/blk.h"

#include <sys/stat.h>

enum { UNMAP = 1 };

struct range {
	uint64_t sector;
	uint32_t sectors, flags;
};

static const uint64_t both = usual | VIRTIO_BLK_F_FLUSH | VIRTIO_BLK_F_DISCARD |
			     VIRTIO_BLK_F_WRITE_ZEROES;

/* A disk that may discard, and a driver that knows both requests. */
static void disk_with(bool discard)
{
	disk_may = discard ? DISK_DISCARD : 0;
	disk_of(false, discard ? both : both & ~VIRTIO_BLK_F_DISCARD);
	host.punched = 0;	/* trying it out was one */
}

/* One request with @len bytes of @r. */
static int ranges(uint32_t type, const struct range *r, uint32_t len)
{
	memcpy(ram_at(&ram, DATA), r, len);
	return request_of(type, 0, len);
}

static int one(uint32_t type, uint64_t sector, uint32_t sectors, uint32_t flags)
{
	return ranges(type, &(struct range){ sector, sectors, flags }, 16);
}

/* Are the sectors from @from to before @to zeroes, and the ones around them not? */
static void expect_zeroes(uint64_t from, uint64_t to)
{
	static uint8_t b[SECTORS * SECTOR];

	cr_assert_eq(pread(image, b, sizeof(b), 0), (ssize_t)sizeof(b));
	for (uint64_t i = from * SECTOR; i < to * SECTOR; i++)
		cr_assert_eq(b[i], 0, "byte %lu", i);
	cr_assert(from == 0 || b[from * SECTOR - 1] != 0);
	cr_assert(to == SECTORS || b[to * SECTOR + 1] != 0 || b[to * SECTOR + 2] != 0);
}

static uint64_t stored(void)
{
	struct stat st;

	cr_assert_eq(fstat(image, &st), 0);
	return (uint64_t)st.st_blocks;
}

static struct blk_config config(uint64_t *features)
{
	struct link_hello h;
	struct blk_config c;

	blk_hello(&dev, &h);
	memcpy(&c, h.config, sizeof(c));
	*features = h.features;
	return c;
}

Test(blk_ranges, the_limits_are_in_configuration_space)
{
	struct blk_config c;
	uint64_t f;

	disk_with(true);
	c = config(&f);
	cr_assert((f & VIRTIO_BLK_F_DISCARD) != 0 && (f & VIRTIO_BLK_F_WRITE_ZEROES) != 0);
	cr_assert(le32(c.max_discard_sectors) == 1 << 19 && le32(c.max_discard_seg) == 16);
	cr_assert(le32(c.discard_sector_alignment) == 8 && c.write_zeroes_may_unmap == 1);
	cr_assert(le32(c.max_write_zeroes_sectors) == 1 << 15);
	cr_assert_eq(le32(c.max_write_zeroes_seg), 1);
}

Test(blk_ranges, what_the_host_cannot_do_or_we_may_not_is_not_offered)
{
	struct blk_config c;
	uint64_t f;

	disk_with(false);
	c = config(&f);
	cr_assert((f & VIRTIO_BLK_F_DISCARD) == 0 && (f & VIRTIO_BLK_F_WRITE_ZEROES) != 0);
	cr_assert(le32(c.max_discard_seg) == 0 && c.write_zeroes_may_unmap == 0);
	disk_may = DISK_DISCARD;
	host.no_punch = true;
	disk_of(false, usual);
	(void)config(&f);
	cr_assert((f & VIRTIO_BLK_F_DISCARD) == 0 && (f & VIRTIO_BLK_F_WRITE_ZEROES) != 0);
	host.no_punch = false;
	disk_of(true, usual);
	c = config(&f);
	cr_assert((f & (VIRTIO_BLK_F_DISCARD | VIRTIO_BLK_F_WRITE_ZEROES)) == 0);
	cr_assert(le32(c.max_write_zeroes_seg) == 0 && host.punched == 0);
}

Test(blk_ranges, finding_out_what_the_host_can_changes_nothing)
{
	uint64_t before;

	disk_with(false);
	before = stored();
	cr_assert_eq(disk_open(&dev.disk, image, DISK_DISCARD, &blocks), 0);
	cr_assert_eq(host.punched, 1);
	cr_assert(dev.disk.discard);
	cr_assert_eq(lseek(image, 0, SEEK_END), SECTORS * SECTOR);
	cr_assert_eq(stored(), before);
}

Test(blk_ranges, a_discard_gives_storage_back)
{
	uint64_t before;

	disk_with(true);
	before = stored();
	cr_assert_eq(one(DISCARD, 800, 1600, 0), OK);
	cr_assert_eq(used_len, 1);
	expect_zeroes(800, 2400);
	cr_assert_eq(stored(), before - 1600);
	cr_assert_eq(lseek(image, 0, SEEK_END), SECTORS * SECTOR);
	cr_assert_eq(one(DISCARD, SECTORS - 8, 8, 0), OK, "the very end");
	cr_assert_eq(host.punched, 2);
	cr_assert_eq(host.writes + host.syncs, 0);
}

Test(blk_ranges, a_discard_of_many_ranges)
{
	struct range r[17];

	disk_with(true);
	for (uint32_t i = 0; i < 17; i++)
		r[i] = (struct range){ i * 100, 8, 0 };
	cr_assert_eq(ranges(DISCARD, r, 16 * 16), OK);
	for (uint32_t i = 0; i < 16; i++)
		expect_zeroes(i * 100, i * 100 + 8);
	cr_assert_eq(host.punched, 16);
	cr_assert_eq(ranges(DISCARD, r, 17 * 16), IOERR, "more than we said");
	cr_assert_eq(host.punched, 16);
}

Test(blk_ranges, zeroes_are_written_where_the_host_has_no_call_for_them)
{
	uint64_t before;

	disk_with(true);
	before = stored();
	cr_assert_eq(one(WRITE_ZEROES, 7, 1001, 0), OK);
	expect_zeroes(7, 1008);
	cr_assert(host.zeroed == 1 && host.punched == 0 && host.writes > 0);
	cr_assert_eq(stored(), before, "without UNMAP the storage stays");
	disk_with(false);
	cr_assert_eq(one(WRITE_ZEROES, 7, 1001, UNMAP), OK);
	expect_zeroes(7, 1008);
	cr_assert(host.zeroed == 0 && host.punched == 0, "it may not ask");
	cr_assert_eq(stored(), before);
}

Test(blk_ranges, zeroes_by_the_calls_of_the_host)
{
	uint64_t before;

	disk_with(true);
	host.zero_range = true;
	before = stored();
	cr_assert_eq(one(WRITE_ZEROES, 16, 64, 0), OK);
	expect_zeroes(16, 80);
	cr_assert(host.zeroed == 1 && host.writes == 0);
	cr_assert_eq(one(WRITE_ZEROES, 160, 64, UNMAP), OK);
	expect_zeroes(160, 224);
	cr_assert(host.punched == 1 && host.writes == 0);
	cr_assert_eq(stored(), before - 64);
}

Test(blk_ranges, nothing_is_to_be_done_for_no_sectors)
{
	disk_with(true);
	cr_assert_eq(one(DISCARD, 5, 0, 0), OK);
	cr_assert_eq(one(WRITE_ZEROES, 5, 0, 0), OK);
	cr_assert_eq(one(DISCARD, SECTORS, 0, 0), OK);
	cr_assert_eq(one(DISCARD, SECTORS + 1, 0, 0), IOERR);
	cr_assert_eq(host.punched + host.zeroed + host.writes, 0);
}

Test(blk_ranges, ranges_stay_inside_the_disk_and_the_limits)
{
	static const struct range bad[] = {
		{ SECTORS, 1, 0 }, { SECTORS - 1, 2, 0 }, { 0, SECTORS + 1, 0 },
		{ UINT64_MAX, 1, 0 }, { UINT64_MAX, UINT32_MAX, 0 }, { 1ull << 63, 8, 0 },
		{ 1ull << 55, 8, 0 }, { (1ull << 55) - 1, 1, 0 }, { 0, UINT32_MAX, 0 },
		{ 0, (1 << 19) + 1, 0 }, { UINT64_MAX - 7, 8, 0 },
	};

	disk_with(true);
	host.zero_range = true;
	for (size_t i = 0; i < array_len(bad); i++) {
		cr_assert_eq(ranges(DISCARD, &bad[i], 16), IOERR, "range %zu", i);
		cr_assert_eq(ranges(WRITE_ZEROES, &bad[i], 16), IOERR, "range %zu", i);
	}
	cr_assert_eq(host.punched + host.zeroed + host.writes, 0);
	cr_assert_eq(lseek(image, 0, SEEK_END), SECTORS * SECTOR);
}

Test(blk_ranges, a_bad_range_anywhere_stops_all)
{
	struct range r[3] = { { 0, 8, 0 }, { 8, 8, 0 }, { SECTORS, 8, 0 } };

	disk_with(true);
	cr_assert_eq(ranges(DISCARD, r, 48), IOERR);
	r[2] = (struct range){ 16, 8, 1u << 31 };
	cr_assert_eq(ranges(DISCARD, r, 48), UNSUPP);
	cr_assert_eq(host.punched, 0);
}

Test(blk_ranges, unknown_flags_are_unsupported)
{
	disk_with(true);
	for (uint32_t bit = 0; bit < 32; bit++) {
		cr_assert_eq(one(DISCARD, 0, 8, 1u << bit), UNSUPP, "UNMAP is none of DISCARD");
		if (bit > 0)
			cr_assert_eq(one(WRITE_ZEROES, 0, 8, 1u << bit), UNSUPP);
	}
	cr_assert_eq(one(WRITE_ZEROES, 0, 8, UINT32_MAX), UNSUPP);
	cr_assert_eq(host.punched + host.zeroed + host.writes, 0);
}

Test(blk_ranges, the_list_is_whole_ranges)
{
	static const struct range r[20];

	disk_with(true);
	for (uint32_t len = 0; len < 40; len++) {
		if (len % 16 == 0 && len > 0)
			continue;
		cr_assert_eq(ranges(DISCARD, r, len), IOERR, "%u bytes", len);
		cr_assert_eq(ranges(WRITE_ZEROES, r, len), IOERR, "%u bytes", len);
	}
	cr_assert_eq(ranges(WRITE_ZEROES, r, 32), IOERR, "one range at a time");
	cr_assert_eq(host.punched + host.zeroed + host.writes, 0);
}

Test(blk_ranges, the_list_may_be_cut_anywhere)
{
	const struct range r[2] = { { 16, 8, 0 }, { 200, 8, 0 } };

	disk_with(true);
	for (uint32_t cut = 1; cut < 32; cut++) {
		header(DISCARD, 0);
		memcpy(ram_at(&ram, DATA), r, sizeof(r));
		cr_assert_eq(ask((struct buf[]){ { HEADER, 16, false }, { DATA, cut, false },
						 { DATA + cut, 32 - cut, false },
						 { STATUS, 1, true } }, 4), OK);
	}
	expect_zeroes(16, 24);
	expect_zeroes(200, 208);
	cr_assert_eq(host.punched, 2 * 31);
}

Test(blk_ranges, what_was_not_agreed_on_is_unsupported)
{
	disk_may = DISK_DISCARD;
	disk_of(false, usual);
	host.punched = 0;
	cr_assert_eq(one(DISCARD, 0, 8, 0), UNSUPP);
	cr_assert_eq(one(WRITE_ZEROES, 0, 8, 0), UNSUPP);
	disk_of(true, usual);
	cr_assert_eq(one(DISCARD, 0, 8, 0), UNSUPP);
	cr_assert_eq(one(WRITE_ZEROES, 0, 8, 0), UNSUPP);
	cr_assert_eq(host.punched + host.zeroed + host.writes, 0);
}

Test(blk_ranges, errors_of_the_host_are_errors_of_the_disk)
{
	disk_with(true);
	host.error = EIO;
	host.fail_after = 0;
	cr_assert_eq(one(DISCARD, 0, 8, 0), IOERR);
	host.fail_after = 0;
	cr_assert_eq(one(WRITE_ZEROES, 0, 8, UNMAP), IOERR);
	host.error = ENOSPC;
	host.fail_after = 1;		/* no call for it, and then no room for the zeroes */
	cr_assert_eq(one(WRITE_ZEROES, 0, 8, 0), IOERR);
	host.interrupts = 3;
	cr_assert_eq(one(DISCARD, 0, 8, 0), OK);
	host.no_punch = true;		/* a block device that lets go of nothing */
	cr_assert_eq(one(DISCARD, 16, 8, 0), UNSUPP);
	cr_assert_eq(one(WRITE_ZEROES, 16, 8, UNMAP), OK);
	expect_zeroes(16, 24);
	host.no_punch = false;
}

Test(blk_ranges, without_FLUSH_they_are_durable_when_answered)
{
	disk_may = DISK_DISCARD;
	disk_of(false, both & ~VIRTIO_BLK_F_FLUSH);
	cr_assert_eq(one(DISCARD, 0, 8, 0), OK);
	cr_assert_eq(host.syncs, 1);
	cr_assert_eq(one(WRITE_ZEROES, 0, 8, 0), OK);
	cr_assert_eq(host.syncs, 2);
	disk_with(true);
	cr_assert_eq(one(DISCARD, 0, 8, 0), OK);
	cr_assert_eq(one(WRITE_ZEROES, 0, 8, 0), OK);
	cr_assert_eq(host.syncs, 0);
}
