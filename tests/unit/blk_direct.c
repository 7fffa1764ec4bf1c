/* SPDX-License-Identifier: Apache-2.0 */
/* A disk past the host's cache: what it takes, and how it serves memory that is not aligned; with
 * a host that is strict, and with this machine's. */
#include "tests/unit/blk.h"
#include "jailer/direct.c"

#include <stdlib.h>

static const uint64_t drives = VIRTIO_F_VERSION_1 | VIRTIO_F_INDIRECT_DESC | VIRTIO_BLK_F_FLUSH;

/* A disk with blocks of @n bytes whose host takes only such. */
static void strict_disk(uint32_t n)
{
	blocks = (struct vm_blocks){ n, n, 0, 0 };
	disk_of(false, drives | VIRTIO_BLK_F_WRITE_ZEROES);
	dev.disk.direct = true;
	host.align = n;
}

static void fill(uint64_t at, uint32_t len, unsigned seed)
{
	uint8_t *p = ram_at(&ram, at);

	for (uint32_t i = 0; i < len; i++)
		p[i] = (uint8_t)(i * 7 + i / 251 + seed);
}

static void expect_same(uint64_t a, uint64_t b, uint32_t len)
{
	cr_assert_eq(memcmp(ram_at(&ram, a), ram_at(&ram, b), len), 0);
}

/* One request of @len bytes in @pieces descriptors from @at on. */
static int in_pieces(uint32_t type, uint64_t sector, uint64_t at, uint32_t len, uint32_t pieces)
{
	struct buf b[64] = { { HEADER, 16, false } };
	uint32_t each = len / pieces;

	for (uint32_t i = 0; i < pieces; i++)
		b[1 + i] = (struct buf){ at + i * each, i + 1 < pieces ? each : len - i * each,
					 type == IN };
	b[1 + pieces] = (struct buf){ STATUS, 1, true };
	header(type, sector);
	return ask(b, (uint16_t)(pieces + 2));
}

Test(blk_direct, aligned_memory_is_used_as_it_is)
{
	strict_disk(512);
	fill(DATA, 256 << 10, 1);
	cr_assert_eq(in_pieces(OUT, 8, DATA, 256 << 10, 8), OK);
	cr_assert_eq(host.writes, 1, "one call, without a copy");
	cr_assert_eq(in_pieces(IN, 8, DATA + (1 << 20), 256 << 10, 4), OK);
	cr_assert_eq(host.reads, 1);
	expect_same(DATA, DATA + (1 << 20), 256 << 10);
}

Test(blk_direct, other_memory_is_served_too)
{
	static const uint32_t lengths[] = { 4096, 8192, 61440, 65536, 69632, 131072, 1 << 20 };
	static const uint32_t offs[] = { 1, 3, 511, 512, 2048, 4095 };

	for (uint32_t block = 512; block <= 4096; block *= 2) {
		strict_disk(block);
		for (size_t l = 0; l < array_len(lengths); l++)
			for (size_t o = 0; o < array_len(offs); o++) {
				const uint64_t to = DATA + (4 << 20) + offs[o];

				fill(DATA + offs[o], lengths[l], (unsigned)(l * 10 + o));
				memset(ram_at(&ram, to - 1), UNTOUCHED, lengths[l] + 2);
				cr_assert_eq(in_pieces(OUT, 16, DATA + offs[o], lengths[l], 5), OK);
				cr_assert_eq(in_pieces(IN, 16, to, lengths[l], 3), OK);
				cr_assert_eq(used_len, lengths[l] + 1);
				expect_same(DATA + offs[o], to, lengths[l]);
				cr_assert_eq(*(uint8_t *)ram_at(&ram, to - 1), UNTOUCHED);
				cr_assert_eq(*(uint8_t *)ram_at(&ram, to + lengths[l]), UNTOUCHED);
			}
	}
}

Test(blk_direct, single_bytes_make_a_block)
{
	struct buf b[63];

	strict_disk(512);
	fill(DATA, 4096, 9);
	header(OUT, 40);
	b[0] = (struct buf){ HEADER, 16, false };
	for (uint32_t i = 0; i < 60; i++)
		b[1 + i] = (struct buf){ DATA + i, i < 59 ? 1 : 512 - 59, false };
	b[61] = (struct buf){ STATUS, 1, true };
	cr_assert_eq(ask(b, 62), OK);
	cr_assert_eq(in_pieces(IN, 40, DATA + 8192, 512, 1), OK);
	expect_same(DATA, DATA + 8192, 512);
}

Test(blk_direct, a_request_of_less_than_blocks_is_an_error)
{
	static const struct { uint64_t sector; uint32_t len; } odd[] = {
		{ 1, 4096 }, { 0, 512 }, { 0, 4608 }, { 7, 4096 }, { 4, 2048 }, { 1, 0 }, { 8, 3584 },
	};

	strict_disk(4096);
	for (size_t i = 0; i < array_len(odd); i++) {
		cr_assert_eq(request_of(IN, odd[i].sector, odd[i].len), IOERR, "%zu", i);
		cr_assert_eq(request_of(OUT, odd[i].sector, odd[i].len), IOERR, "%zu", i);
	}
	cr_assert_eq(host.reads + host.writes, 0, "the host is not even asked");
	cr_assert_eq(request_of(IN, 8, 4096), OK);
	cr_assert_eq(request_of(IN, 8, 0), OK);
}

Test(blk_direct, zeroes_are_written_in_blocks)
{
	static const uint64_t range[][2] = { { 8, 8 }, { 16, 2048 }, { 9, 8 }, { 8, 9 }, { 8, 1 } };
	static const int wanted[] = { OK, OK, IOERR, IOERR, IOERR };

	strict_disk(4096);
	for (size_t i = 0; i < array_len(range); i++) {
		const struct blk_wire_range w = { to_le64(range[i][0]), to_le32((uint32_t)range[i][1]),
						  to_le32(0) };

		memcpy(ram_at(&ram, DATA), &w, sizeof(w));
		cr_assert_eq(in_pieces(WRITE_ZEROES, 0, DATA, sizeof(w), 1), wanted[i], "%zu", i);
	}
	cr_assert_eq(in_pieces(IN, 16, DATA + 1, 1 << 20, 1), OK);
	for (uint32_t i = 0; i < 1 << 20; i++)
		cr_assert_eq(((uint8_t *)ram_at(&ram, DATA + 1))[i], 0);
}

Test(blk_direct, an_error_amid_the_pieces_is_an_error)
{
	strict_disk(512);
	memset(ram_at(&ram, DATA), UNTOUCHED, 1 << 20);
	host.fail_after = 2;
	host.error = EIO;
	cr_assert_eq(in_pieces(IN, 0, DATA + 1, 1 << 20, 2), IOERR);
	cr_assert_eq(host.reads, 3);
	cr_assert_eq(used_len, 2 * BOUNCE, "what did arrive");
	cr_assert_eq(((uint8_t *)ram_at(&ram, DATA))[2 * BOUNCE + 1], UNTOUCHED);
	host.fail_after = 1;
	host.error = ENOSPC;
	cr_assert_eq(in_pieces(OUT, 0, DATA + 1, 1 << 20, 2), IOERR);
	cr_assert_eq(host.writes, 2, "no piece after the one that failed");
	host.most = 512;
	cr_assert_eq(in_pieces(OUT, 0, DATA + 1, 4096, 2), OK, "short ones are finished");
	host.writes = 0;
	host.fail_after = 3;
	cr_assert_eq(in_pieces(OUT, 0, DATA + 1, 128 << 10, 2), IOERR);
	cr_assert_eq(host.writes, 4, "nothing after a piece that was cut short");
}

Test(blk_direct, an_image_that_shrank_within_a_block_is_an_error)
{
	strict_disk(512);
	cr_assert_eq(ftruncate(image, 10 * SECTOR + 100), 0);
	cr_assert_eq(in_pieces(IN, 8, DATA, 4096, 1), IOERR);
	cr_assert_eq(in_pieces(IN, 8, DATA + 1, 4096, 1), IOERR);
	cr_assert_eq(in_pieces(IN, 100, DATA + 1, 4096, 1), IOERR);
}

Test(blk_direct, it_is_no_more_durable_than_with_the_cache)
{
	strict_disk(512);
	cr_assert_eq(in_pieces(OUT, 0, DATA + 1, 4096, 1), OK);
	cr_assert_eq(host.durable + host.syncs, 0);
	cr_assert_eq(request_of(FLUSH, 0, 0), OK);
	cr_assert_eq(host.syncs, 1);
	blk_reset(&dev);
	cr_assert(start(usual));
	cr_assert_eq(in_pieces(OUT, 0, DATA + 1, 128 << 10, 1), OK);
	cr_assert_eq(host.durable, 2, "each piece, without FLUSH");
}

/* A file of @size bytes that the kernel itself transfers past its cache; -1: nowhere here. */
static int direct_file(off_t size, uint32_t *unit)
{
	static const char *const places[] = { "/var/tmp", "/tmp", "." };

	for (size_t i = 0; i < array_len(places); i++) {
		int fd = open(places[i], O_TMPFILE | O_RDWR | O_DIRECT | O_CLOEXEC, 0600);

		if (fd >= 0 && direct_unit(fd, unit) == 0 && *unit >= 1 && *unit <= 4096) {
			cr_assert_eq(ftruncate(fd, size), 0);
			return fd;
		}
		close(fd);
	}
	return -1;
}

Test(blk_direct, this_machine_agrees)
{
	uint32_t unit = 0;
	int fd = direct_file(SECTORS * SECTOR, &unit);
	struct disk d;

	if (fd < 0)
		cr_skip_test("NO DIRECT I/O in /var/tmp, /tmp or here: not tried with the kernel");
	strict_disk(unit < 512 ? 512 : unit);
	cr_assert_eq(disk_open(&d, image, 0, &blocks), 0);
	cr_assert_not(d.direct, "the descriptor says it, nothing else");
	host.align = 0;		/* the kernel is to say no, if it does */
	cr_assert_eq(disk_open(&d, fd, 0, &blocks), 0);
	cr_assert(d.direct);
	dev.disk = d;
	for (uint32_t off = 0; off < 600; off += 37) {
		fill(DATA + off, 200 << 10, off);
		cr_assert_eq(in_pieces(OUT, 64, DATA + off, 200 << 10, 7), OK, "%u", off);
		cr_assert_eq(in_pieces(IN, 64, DATA + (2 << 20) + 2 * off, 200 << 10, 3), OK);
		expect_same(DATA + off, DATA + (2 << 20) + 2 * off, 200 << 10);
	}
	cr_assert_eq(request_of(FLUSH, 0, 0), OK);
}
