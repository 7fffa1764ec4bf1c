/* SPDX-License-Identifier: Apache-2.0 */
/* The block device: what every request answers, and what it does to the disk. */
#include "tests/unit/blk.h"

static uint8_t pattern(uint64_t sector, uint32_t i)
{
	return (uint8_t)(sector + i / SECTOR + i % SECTOR);
}

static void expect_data(uint64_t sector, uint32_t len)
{
	const uint8_t *p = ram_at(&ram, DATA);

	for (uint32_t i = 0; i < len; i++)
		cr_assert_eq(p[i], pattern(sector, i), "byte %u", i);
}

static void expect_image(uint64_t sector, uint8_t fill, uint32_t len)
{
	uint8_t b[8192];

	cr_assert_eq(pread(image, b, len, (off_t)sector * SECTOR), (ssize_t)len);
	for (uint32_t i = 0; i < len; i++)
		cr_assert_eq(b[i], fill);
}

Test(blk, hello_tells_what_the_disk_is)
{
	struct link_hello h;
	struct blk_config c;

	disk_of(false, usual);
	blk_hello(&dev, &h);
	memcpy(&c, h.config, sizeof(c));
	cr_assert_eq(h.features, VIRTIO_F_VERSION_1 | VIRTIO_F_EVENT_IDX | VIRTIO_F_INDIRECT_DESC |
				 1 << 1 | 1 << 2 | 1 << 6 | 1 << 9 | 1 << 10 | 1 << 14);
	cr_assert(h.version == LINK_VERSION && h.device_id == 2 && h.nqueues == 1);
	cr_assert(h.queue_max == 256 && h.config_len == 64);
	cr_assert(le64(c.capacity) == SECTORS && le32(c.seg_max) == 254);
	cr_assert(le32(c.blk_size) == 512 && le32(c.size_max) == 256 << 10);
	disk_of(true, usual);
	blk_hello(&dev, &h);
	cr_assert((h.features & 1 << 5) != 0 && (h.features & 1 << 9) == 0, "RO, no FLUSH");
}

/* What a guest is told of a disk with these blocks. */
static struct blk_config told_of(struct vm_blocks b)
{
	struct link_hello h;
	struct blk_config c;

	blocks = b;
	disk_of(false, usual);
	blk_hello(&dev, &h);
	memcpy(&c, h.config, sizeof(c));
	return c;
}

Test(blk, hello_tells_the_blocks_of_the_disk)
{
	struct blk_config c = told_of((struct vm_blocks){ 512, 512, 0, 0 });

	cr_assert(le32(c.blk_size) == 512 && c.physical_block_exp == 0 && c.alignment_offset == 0);
	cr_assert(le16(c.min_io_size) == 1 && le32(c.opt_io_size) == 0);
	c = told_of((struct vm_blocks){ 512, 4096, 3584, 1 << 20 });
	cr_assert(le32(c.blk_size) == 512 && c.physical_block_exp == 3 && c.alignment_offset == 7);
	cr_assert(le16(c.min_io_size) == 8 && le32(c.opt_io_size) == 2048);
	c = told_of((struct vm_blocks){ 512, 65536, 65024, 1u << 31 });
	cr_assert(c.physical_block_exp == 7 && c.alignment_offset == 127);
	cr_assert(le16(c.min_io_size) == 128 && le32(c.opt_io_size) == 1 << 22);
	c = told_of((struct vm_blocks){ 4096, 4096, 0, 65536 });
	cr_assert(le32(c.blk_size) == 4096 && c.physical_block_exp == 0);
	cr_assert(le16(c.min_io_size) == 1 && le32(c.opt_io_size) == 16);
	cr_assert(le64(c.capacity) == SECTORS, "in sectors of 512 all the same");
}

Test(blk, the_blocks_lie_where_the_specification_says)
{
	static const uint8_t wanted[12] = { 0, 2, 0, 0, 3, 7, 8, 0, 0, 8, 0, 0 };
	struct blk_config c = told_of((struct vm_blocks){ 512, 4096, 3584, 1 << 20 });

	cr_assert_eq(memcmp((const uint8_t *)&c + 20, wanted, sizeof(wanted)), 0);
}

Test(blk, requests_are_in_sectors_whatever_the_blocks_are)
{
	told_of((struct vm_blocks){ 4096, 4096, 0, 0 });
	cr_assert_eq(request_of(IN, 3, 512), OK);
	expect_data(3, 512);
	cr_assert_eq(request_of(OUT, 5, 1536), OK);
}

Test(blk, a_partial_last_block_is_not_there)
{
	struct disk d;

	disk_of(false, usual);
	blocks = (struct vm_blocks){ 4096, 4096, 0, 0 };
	cr_assert_eq(ftruncate(image, 3 * 4096 - 1), 0);
	cr_assert_eq(disk_open(&d, image, 0, &blocks), 0);
	cr_assert_eq(d.size, 2 * 4096);
	cr_assert(disk_range_ok(&d, 4096, 4096) && !disk_range_ok(&d, 8192, 512));
}

Test(blk, a_partial_last_sector_is_not_there)
{
	struct disk d;

	disk_of(false, usual);
	cr_assert_eq(ftruncate(image, 10 * SECTOR + 511), 0);
	cr_assert_eq(disk_open(&d, image, 0, &blocks), 0);
	cr_assert_eq(d.size, 10 * SECTOR);
	cr_assert_eq(ftruncate(image, 511), 0);
	cr_assert_eq(disk_open(&d, image, 0, &blocks), 0);
	cr_assert_eq(d.size, 0);
}

Test(blk, what_is_no_disk_is_refused)
{
	struct disk d;
	int p[2];

	disk_of(true, usual);
	cr_assert_eq(disk_open(&d, image, 0, &blocks), -EPERM, "read-only, and to be written");
	disk_of(false, usual);
	cr_assert_eq(disk_open(&d, image, DISK_READONLY, &blocks), -EPERM, "more rights than the disk has");
	cr_assert_eq(fcntl(image, F_SETFL, O_APPEND), 0);
	cr_assert_eq(disk_open(&d, image, 0, &blocks), -EPERM, "appending ignores the sector");
	cr_assert_eq(disk_open(&d, -1, 0, &blocks), -EBADF);
	cr_assert_eq(pipe(p), 0);
	cr_assert_eq(disk_open(&d, p[0], DISK_READONLY, &blocks), -ENOTSUP);
	cr_assert_eq(disk_open(&d, open("/dev/null", O_RDWR | O_CLOEXEC), 0, &blocks), -ENOTSUP);
}

Test(blk, reads_sectors)
{
	static const uint64_t sectors[] = { 0, 1, 77, SECTORS - 16 };

	disk_of(false, usual);
	for (size_t i = 0; i < array_len(sectors); i++) {
		cr_assert_eq(request_of(IN, sectors[i], 8192), OK);
		cr_assert_eq(used_len, 8193);
		expect_data(sectors[i], 8192);
	}
	cr_assert_eq(host.reads, 4, "one call a request");
}

Test(blk, writes_sectors)
{
	disk_of(false, usual);
	memset(ram_at(&ram, DATA), 0x5a, 4096);
	cr_assert_eq(request_of(OUT, 100, 4096), OK);
	cr_assert_eq(used_len, 1);
	expect_image(100, 0x5a, 4096);
	cr_assert_eq(request_of(IN, 99, 512), OK);
	expect_data(99, 512);
	cr_assert_eq(request_of(IN, 108, 512), OK);
	expect_data(108, 512);
	cr_assert_eq(host.writes, 1);
}

Test(blk, no_data_is_no_error)
{
	disk_of(false, usual);
	cr_assert_eq(request_of(IN, 5, 0), OK);
	cr_assert_eq(used_len, 1);
	cr_assert_eq(request_of(OUT, 5, 0), OK);
	cr_assert_eq(request_of(IN, SECTORS, 0), OK);
	cr_assert_eq(request_of(IN, SECTORS + 1, 0), IOERR);
	cr_assert_eq(host.reads + host.writes, 0);
}

Test(blk, the_end_of_the_disk_is_the_end)
{
	static const uint64_t beyond[] = { SECTORS, SECTORS - 7, SECTORS + 1, 1ull << 55,
					   1ull << 63, UINT64_MAX, UINT64_MAX - 7,
					   UINT64_MAX / SECTOR, UINT64_MAX / SECTOR + 1 };

	disk_of(false, usual);
	for (size_t i = 0; i < array_len(beyond); i++) {
		cr_assert_eq(request_of(IN, beyond[i], 4096), IOERR);
		cr_assert_eq(used_len, 0, "nothing was written from the start on");
		cr_assert_eq(request_of(OUT, beyond[i], 4096), IOERR);
	}
	cr_assert_eq(host.reads + host.writes, 0);
	cr_assert_eq(lseek(image, 0, SEEK_END), SECTORS * SECTOR);
	cr_assert_eq(request_of(IN, SECTORS - 8, 4096), OK);
	cr_assert_eq(request_of(OUT, SECTORS - 8, 4096), OK);
}

Test(blk, data_comes_in_whole_sectors)
{
	static const uint32_t bad[] = { 1, 511, 513, 1023, 4095, 8191 };

	disk_of(false, usual);
	for (size_t i = 0; i < array_len(bad); i++) {
		cr_assert_eq(request_of(IN, 0, bad[i]), IOERR);
		cr_assert_eq(request_of(OUT, 0, bad[i]), IOERR);
	}
	cr_assert_eq(host.reads + host.writes, 0);
}

Test(blk, a_short_header_is_an_error_that_is_answered)
{
	disk_of(false, usual);
	for (uint32_t len = 1; len < 16; len++) {
		header(IN, 0);
		cr_assert_eq(ask((struct buf[]){ { HEADER, len, false }, { DATA, 512, true },
						 { STATUS, 1, true } }, 3), IOERR);
	}
	header(IN, 0);
	cr_assert_eq(ask((struct buf[]){ { STATUS, 1, true } }, 1), IOERR, "no header at all");
}

Test(blk, the_header_may_be_cut_anywhere)
{
	disk_of(false, usual);
	for (uint32_t cut = 1; cut < 16; cut++) {
		header(IN, 9);
		cr_assert_eq(ask((struct buf[]){ { HEADER, cut, false },
						 { HEADER + cut, 16 - cut, false },
						 { DATA, 512, true }, { STATUS, 1, true } }, 4), OK);
		expect_data(9, 512);
	}
}

Test(blk, header_data_and_status_in_single_bytes)
{
	struct buf b[17 + 100];

	disk_of(false, usual);
	header(OUT, 3);
	memset(ram_at(&ram, DATA), 0x77, 512);
	for (uint32_t i = 0; i < 16; i++)
		b[i] = (struct buf){ HEADER + i, 1, false };
	for (uint32_t i = 0; i < 100; i++)
		b[16 + i] = (struct buf){ DATA, i < 99 ? 5 : 512 - 99 * 5, false };
	b[116] = (struct buf){ STATUS, 1, true };
	cr_assert_eq(ask(b, 117), OK);
	expect_image(3, 0x77, 512);
}

Test(blk, status_is_the_last_byte_wherever_the_data_ends)
{
	disk_of(false, usual);
	header(IN, 4);
	cr_assert_eq(ask((struct buf[]){ { HEADER, 16, false }, { DATA, 513, true } }, 2), UNTOUCHED);
	expect_data(4, 512);
	cr_assert_eq(((uint8_t *)ram_at(&ram, DATA))[512], OK);
	cr_assert_eq(used_len, 513);
	header(OUT, 4);
	((uint8_t *)ram_at(&ram, STATUS))[9] = UNTOUCHED;
	memcpy(ram_at(&ram, HEADER + 16), ram_at(&ram, DATA), 512);
	cr_assert_eq(ask((struct buf[]){ { HEADER, 16 + 512, false }, { STATUS, 10, true } }, 2),
		     UNTOUCHED);
	cr_assert_eq(((uint8_t *)ram_at(&ram, STATUS))[9], OK);
}

Test(blk, a_request_without_a_status_byte_breaks_the_queue)
{
	static const uint16_t lengths[] = { 1, 16, 528 };
	uint32_t reason;
	bool interrupt;

	for (size_t i = 0; i < array_len(lengths); i++) {
		disk_of(false, usual);
		header(OUT, 0);
		driver_add(&drv, &(struct buf){ HEADER, lengths[i], false }, 1);
		cr_assert_eq(blk_serve(&dev, &interrupt, &reason), BLK_BROKEN);
		cr_assert(reason == BLK_E_NO_STATUS && !interrupt);
		cr_assert_eq(blk_serve(&dev, &interrupt, &reason), BLK_IDLE, "silent until reset");
		cr_assert_eq(host.writes, 0);
	}
}

Test(blk, a_broken_queue_says_why_and_what_was_done_is_announced)
{
	uint32_t reason;
	bool interrupt;

	disk_of(false, usual);
	header(IN, 0);
	driver_add(&drv, (struct buf[]){ { HEADER, 16, false }, { STATUS, 1, true } }, 2);
	driver_offer(&drv, 300);
	cr_assert_eq(blk_serve(&dev, &interrupt, &reason), BLK_BROKEN);
	cr_assert(reason == VQ_E_HEAD && interrupt);
}

Test(blk, get_id)
{
	static const char filled[20] = "serial-of-20-bytes..";

	disk_of(false, usual);
	for (uint32_t len = 0; len < 20; len++)
		cr_assert_eq(request_of(GET_ID, 0, len), IOERR);
	memset(ram_at(&ram, DATA), UNTOUCHED, 64);
	cr_assert_eq(request_of(GET_ID, 0, 20), OK);
	cr_assert_eq(used_len, 21);
	cr_assert_eq(memcmp(ram_at(&ram, DATA), filled, 20), 0);
	cr_assert_eq(request_of(GET_ID, UINT64_MAX, 64), OK);
	cr_assert_eq(used_len, 20);
	cr_assert_eq(*(uint8_t *)ram_at(&ram, DATA + 20), UNTOUCHED);
}

Test(blk, unknown_requests_are_unsupported)
{
	/* SCSI passthrough, lifetime, what was not agreed on, secure erase, barrier, zoned, ... */
	static const uint32_t types[] = { 2, 3, 5, 6, 7, 9, 10, 11, 13, 14, 15, 16, 18, 22, 24, 26,
					  0x80000000, 0x80000001, 0x100, 0xffffffff };

	disk_of(false, usual);
	for (size_t i = 0; i < array_len(types); i++) {
		cr_assert_eq(request_of(types[i], 0, 4096), UNSUPP, "type %u", types[i]);
		cr_assert_eq(request_of(types[i], 0, 0), UNSUPP);
	}
	cr_assert_eq(host.reads + host.writes + host.syncs, 0);
}

Test(blk, a_read_only_disk_is_not_written)
{
	disk_of(true, usual);
	memset(ram_at(&ram, DATA), 0x5a, 512);
	cr_assert_eq(request_of(OUT, 0, 512), IOERR);
	cr_assert_eq(request_of(OUT, 0, 0), IOERR);
	cr_assert_eq(request_of(FLUSH, 0, 0), UNSUPP);
	cr_assert_eq(request_of(IN, 0, 512), OK);
	expect_data(0, 512);
	cr_assert_eq(host.writes + host.syncs, 0);
}

Test(blk, flush_makes_durable_and_only_flush_does)
{
	disk_of(false, usual | VIRTIO_BLK_F_FLUSH);
	for (int i = 0; i < 5; i++)
		cr_assert_eq(request_of(OUT, 0, 512), OK);
	cr_assert_eq(host.syncs, 0);
	cr_assert_eq(request_of(FLUSH, 0, 0), OK);
	cr_assert_eq(host.syncs, 1);
	cr_assert_eq(request_of(FLUSH, 7, 512), OK, "data is ignored");
	cr_assert_eq(host.syncs, 2);
}

Test(blk, without_FLUSH_every_write_is_durable_when_answered)
{
	disk_of(false, usual);
	for (int i = 1; i <= 5; i++) {
		cr_assert_eq(request_of(OUT, 0, 512), OK);
		cr_assert_eq(host.durable, i);
	}
	cr_assert_eq(request_of(IN, 0, 512), OK);
	host.fail_after = 0;
	host.error = EIO;
	cr_assert_eq(request_of(OUT, 0, 512), IOERR);
	disk_of(false, usual | VIRTIO_BLK_F_FLUSH);
	cr_assert_eq(request_of(OUT, 0, 512), OK);
	cr_assert_eq(host.durable + host.syncs, 0);
}

Test(blk, a_flush_that_failed_once_never_succeeds_again)
{
	disk_of(false, usual | VIRTIO_BLK_F_FLUSH);
	host.fail_after = 0;
	host.error = EIO;
	cr_assert_eq(request_of(FLUSH, 0, 0), IOERR);
	cr_assert_eq(host.fail_after, -1);
	cr_assert_eq(request_of(FLUSH, 0, 0), IOERR);
	blk_reset(&dev);
	cr_assert(start(usual | VIRTIO_BLK_F_FLUSH));
	cr_assert_eq(request_of(FLUSH, 0, 0), IOERR, "a reset does not bring the data back");
	cr_assert_eq(request_of(IN, 0, 512), OK);
}

Test(blk, short_and_interrupted_transfers_are_finished)
{
	static const size_t steps[] = { 1, 7, 511, 512, 513, 4095 };

	disk_of(false, usual);
	for (size_t i = 0; i < array_len(steps); i++) {
		host.most = steps[i];
		host.interrupts = 3;
		memset(ram_at(&ram, DATA), (int)i + 1, 4096);
		cr_assert_eq(request_of(OUT, 10, 4096), OK);
		expect_image(10, (uint8_t)(i + 1), 4096);
		memset(ram_at(&ram, DATA), 0, 4096);
		cr_assert_eq(request_of(IN, 20, 4096), OK);
		expect_data(20, 4096);
	}
}

Test(blk, short_transfers_over_several_descriptors)
{
	disk_of(false, usual);
	for (host.most = 1; host.most < 1100; host.most += 97) {
		header(IN, 30);
		memset(ram_at(&ram, DATA), 0, 1024);
		cr_assert_eq(ask((struct buf[]){ { HEADER, 16, false }, { DATA, 100, true },
						 { DATA + 100, 1, true }, { DATA + 101, 899, true },
						 { DATA + 1000, 24, true }, { STATUS, 1, true } }, 6),
			     OK);
		expect_data(30, 1024);
	}
}

Test(blk, an_error_of_the_host_is_an_error_of_the_disk)
{
	disk_of(false, usual);
	host.most = 512;
	host.fail_after = 3;
	host.error = EIO;
	cr_assert_eq(request_of(IN, 0, 4096), IOERR);
	cr_assert_eq(used_len, 3 * 512, "what did arrive");
	host.fail_after = 0;
	host.error = ENOSPC;
	cr_assert_eq(request_of(OUT, 0, 512), IOERR);
	cr_assert_eq(request_of(OUT, 0, 512), OK, "the next one is tried again");
}

Test(blk, an_image_that_shrank_is_an_error_not_a_wait)
{
	disk_of(false, usual);
	cr_assert_eq(ftruncate(image, 10 * SECTOR + 100), 0);
	cr_assert_eq(request_of(IN, 0, 4096), OK);
	cr_assert_eq(request_of(IN, 8, 4096), IOERR);
	cr_assert_eq(used_len, 2 * SECTOR + 100);
	cr_assert_eq(request_of(IN, 100, 4096), IOERR);
	cr_assert_eq(used_len, 0);
}

Test(blk, a_forged_image_header_stays_bytes)
{
	static const char *const magics[] = { "QFI\xfb\0\0\0\3", "KDMV\1\0\0\0", "conectix",
					      "vhdxfile", "<<< Oracle", "# Disk Descriptor" };
	struct disk d;

	disk_of(false, usual);
	for (size_t i = 0; i < array_len(magics); i++) {
		char back[8];

		memcpy(ram_at(&ram, DATA), magics[i], 8);
		cr_assert_eq(request_of(OUT, 0, 512), OK);
		cr_assert_eq(disk_open(&d, image, 0, &blocks), 0);
		cr_assert_eq(d.size, SECTORS * SECTOR);
		cr_assert_eq(pread(image, back, 8, 0), 8);
		cr_assert_eq(memcmp(back, magics[i], 8), 0);
	}
}
