/* SPDX-License-Identifier: Apache-2.0 */
/* What the host is told of reads that wait behind one that it has not in its cache. */
#include "tests/unit/blk.h"

enum { TABLES = 0x40000, BUFFERS = 64 };

/* Request @i has places of its own: header, data and status. */
static uint16_t offer(unsigned i, uint32_t type, uint64_t sector, uint32_t len)
{
	const struct blk_header h = { to_le32(type), to_le32(0), to_le64(sector) };
	const uint64_t at = TABLES + i * 64, data = DATA + i * 0x10000;
	const struct buf b[] = { { at, 16, false }, { data, len, type == IN || type == GET_ID },
				 { at + 32, 1, true } };
	const struct buf none[] = { b[0], b[2] };

	memcpy(ram_at(&ram, at), &h, sizeof(h));
	memset(ram_at(&ram, at + 32), UNTOUCHED, 1);
	memset(ram_at(&ram, data), UNTOUCHED, 4096);
	return driver_add(&drv, len == 0 ? none : b, len == 0 ? 2 : 3);
}

static int status(unsigned i)
{
	return *(uint8_t *)ram_at(&ram, TABLES + i * 64 + 32);
}

/* The byte at which the data of request @i begins. */
static int first(unsigned i)
{
	return *(uint8_t *)ram_at(&ram, DATA + i * 0x10000);
}

static enum blk_stop turn(void)
{
	uint32_t reason;
	bool interrupt;

	return blk_serve(&dev, &interrupt, &reason);
}

/* A disk of which the cache has nothing. */
static void cold(uint64_t features)
{
	disk_of(false, features);
	host.cache = HOST_COLD;
}

Test(blk_ahead, what_waits_is_begun_once_and_answered_in_order)
{
	uint16_t offered[5];

	cold(usual);
	for (unsigned i = 0; i < 5; i++)
		offered[i] = offer(i, IN, 8 * i + 8, 4096);
	cr_assert_eq(turn(), BLK_MORE, "an answer that took time is told at once");
	cr_assert_eq(host.begun, 4);
	for (unsigned i = 0; i < 5; i++) {
		cr_assert(i == 4 || host.begin_at[i] == (i + 2) * 4096);
		cr_assert_eq(status(i), i == 0 ? OK : UNTOUCHED);
		cr_assert_eq(first(i), i == 0 ? 8 : UNTOUCHED);
	}
	cr_assert_eq(serve(), BLK_IDLE);
	cr_assert_eq(host.begun, 4);
	for (unsigned i = 0; i < 5; i++) {
		uint16_t head;

		cr_assert(driver_used(&drv, &head, &used_len));
		cr_assert_eq(head, offered[i]);
		cr_assert_eq(status(i), OK);
		cr_assert_eq(first(i), (int)(8 * i + 8));
	}
}

Test(blk_ahead, what_the_cache_has_is_not_asked_for)
{
	disk_of(false, usual);
	host.cache = HOST_WARM;
	for (unsigned i = 0; i < 5; i++)
		offer(i, IN, 8 * i, 4096);
	cr_assert_eq(turn(), BLK_IDLE);
	cr_assert_eq(host.begun, 0);
	cr_assert_eq(host.reads, 5, "one call each");
	cr_assert_eq(status(4), OK);
}

Test(blk_ahead, a_host_that_cannot_tell_is_asked_once)
{
	disk_of(false, usual);
	for (unsigned i = 0; i < 5; i++)
		offer(i, IN, 8 * i, 4096);
	cr_assert_eq(serve(), BLK_IDLE);
	cr_assert_eq(host.begun, 0);
	cr_assert_eq(host.asked, 1);
	cr_assert_eq(status(4), OK);
}

Test(blk_ahead, only_reads_of_the_disk_are_begun)
{
	cold(usual | VIRTIO_BLK_F_FLUSH);
	offer(0, IN, 0, 4096);
	offer(1, OUT, 100, 4096);
	offer(2, GET_ID, 0, 20);
	offer(3, FLUSH, 0, 0);
	offer(4, IN, SECTORS - 1, 4096);
	offer(5, IN, UINT64_MAX / 512, 512);
	offer(6, 77, 0, 512);
	offer(7, IN, 200, 512);
	cr_assert_eq(turn(), BLK_MORE);
	cr_assert_eq(host.begun, 1);
	cr_assert_eq(host.begin_at[0], 200 * SECTOR);
	for (unsigned i = 1; i < 8; i++) {
		cr_assert_eq(status(i), UNTOUCHED);
		cr_assert_eq(first(i), UNTOUCHED, "nothing is done before its turn");
	}
	cr_assert_eq(host.writes + host.syncs, 0);
	cr_assert_eq(serve(), BLK_IDLE);
	cr_assert_eq(status(2), OK);
	cr_assert_eq(status(4), IOERR);
	cr_assert_eq(status(5), IOERR);
	cr_assert_eq(status(6), UNSUPP);
	cr_assert_eq(status(7), OK);
}

/* To the host a length of 0 means as far as the end. */
Test(blk_ahead, a_read_of_nothing_is_not_begun)
{
	cold(usual);
	offer(0, IN, 0, 512);
	offer(1, IN, SECTORS, 0);
	offer(2, IN, 0, 0);
	cr_assert_eq(turn(), BLK_MORE);
	cr_assert_eq(host.begun, 0);
	host.asked = 0;
	cr_assert_eq(serve(), BLK_IDLE);
	cr_assert_eq(host.asked, 0);
	cr_assert_eq(status(1), OK);
}

/* However many wait: a bounded look, at no chain twice that the host was told of. */
Test(blk_ahead, it_looks_only_so_far)
{
	cold(usual);
	for (unsigned i = 0; i < BUFFERS; i++)
		offer(i, IN, i, 512);
	cr_assert_eq(turn(), BLK_MORE);
	cr_assert_eq(host.begun, 32);
	cr_assert_eq(turn(), BLK_MORE);
	cr_assert_eq(host.begun, 32, "enough is under way");
	cr_assert_eq(serve(), BLK_IDLE);
	cr_assert_eq(host.begun, BUFFERS - 1);
	cold(usual);
	for (unsigned i = 0; i < BUFFERS; i++)
		offer(i, IN, 0, 256 << 10);
	cr_assert_eq(turn(), BLK_MORE);
	cr_assert_eq(host.begun, 8, "2 MiB");
}

Test(blk_ahead, a_limited_disk_has_nothing_read_that_is_not_paid)
{
	configured.limit[LIMITS_OUT] = (struct limit_values){ .ops = { .size = 1000, .refill_ms = 1000 } };
	cold(usual);
	configured.limit[LIMITS_OUT] = (struct limit_values){ 0 };
	for (unsigned i = 0; i < 5; i++)
		offer(i, IN, 8 * i, 4096);
	cr_assert_eq(serve(), BLK_IDLE);
	cr_assert_eq(host.begun + host.asked, 0);
	cr_assert_eq(status(4), OK);
}

Test(blk_ahead, a_broken_chain_ahead_breaks_the_queue_for_its_reason)
{
	uint32_t reason;
	bool interrupt;

	cold(usual);
	offer(0, IN, 0, 4096);
	driver_add(&drv, (struct buf[]){ { UINT64_MAX - 4096, 16, false }, { STATUS, 1, true } }, 2);
	cr_assert_eq(blk_serve(&dev, &interrupt, &reason), BLK_BROKEN);
	cr_assert_eq(reason, VQ_E_RANGE);
	cr_assert_eq(turn(), BLK_IDLE, "not a byte more");
	blk_reset(&dev);
	cr_assert(start(usual));
	cr_assert_eq(request_of(IN, 0, 512), OK);
}

/* What was seen is seen again, whatever it has become meanwhile. */
Test(blk_ahead, a_driver_that_changes_what_was_seen_gets_what_it_asks_in_the_end)
{
	struct blk_header h = { to_le32(IN), to_le32(0), to_le64(50) };

	cold(usual);
	for (unsigned i = 0; i < 3; i++)
		offer(i, IN, 8 * i, 4096);
	cr_assert_eq(turn(), BLK_MORE);
	memcpy(ram_at(&ram, TABLES + 64), &h, sizeof(h));
	h = (struct blk_header){ to_le32(OUT), to_le32(0), to_le64(0) };
	memcpy(ram_at(&ram, TABLES + 128), &h, sizeof(h));
	cr_assert_eq(serve(), BLK_IDLE);
	cr_assert_eq(status(1), OK);
	cr_assert_eq(first(1), 50);
	cr_assert_eq(status(2), OK, "a write of nothing");
}

Test(blk_ahead, a_reset_forgets_what_was_seen)
{
	cold(usual);
	for (unsigned i = 0; i < 20; i++)
		offer(i, IN, i, 512);
	cr_assert_eq(turn(), BLK_MORE);
	cr_assert_eq(host.begun, 19);
	blk_reset(&dev);
	cr_assert(start(usual));
	for (unsigned i = 0; i < 20; i++)
		offer(i, IN, 100 + i, 512);
	cr_assert_eq(turn(), BLK_MORE);
	cr_assert_eq(host.begun, 38);
	cr_assert_eq(serve(), BLK_IDLE);
	cr_assert_eq(first(19), 119);
}
