/* SPDX-License-Identifier: Apache-2.0 */
/* A disk past the host's cache that carries out several requests at once. */
#include "tests/unit/blk.h"

#include <sys/eventfd.h>

enum { TABLES = 0x40000, STEP = 0x10000, SLOTS = 64 };

static const uint64_t cached = usual | VIRTIO_BLK_F_FLUSH;
static struct pool pool;

/* Like this machine's O_DIRECT, but that the fakes stand between; with its threads. */
static void direct_disk(uint64_t features)
{
	disk_of(false, features);
	dev.disk.direct = true;
	dev.disk.ahead = false;
	host.align = 512;
	pool = (struct pool){ 0 };
	cr_assert_eq(pool_start(&pool, &dev.disk, eventfd(0, EFD_SEMAPHORE), eventfd(0, 0), NULL), 0);
	dev.pool = &pool;
}

/* Slot @i of memory: a header, a status byte, and data at @off of STEP bytes. */
static uint16_t offer(unsigned i, uint32_t type, uint64_t sector, uint32_t len, uint32_t off)
{
	const struct blk_header h = { to_le32(type), to_le32(0), to_le64(sector) };
	const uint64_t at = TABLES + i * 64, data = DATA + i * STEP + off;
	const struct buf b[] = { { at, 16, false }, { data, len, type == IN || type == GET_ID },
				 { at + 32, 1, true } };
	const struct buf none[] = { b[0], b[2] };

	memcpy(ram_at(&ram, at), &h, sizeof(h));
	memset(ram_at(&ram, at + 32), UNTOUCHED, 1);
	return driver_add(&drv, len == 0 ? none : b, len == 0 ? 2 : 3);
}

static int status(unsigned i)
{
	return *(uint8_t *)ram_at(&ram, TABLES + i * 64 + 32);
}

static uint8_t *data_of(unsigned i)
{
	return ram_at(&ram, DATA + i * STEP);
}

/* Sector @s of the disk is as disk_of() made it. */
static void expect_sector(const uint8_t *p, uint64_t s)
{
	for (unsigned i = 0; i < SECTOR; i++)
		cr_assert_eq(p[i], (uint8_t)(s + i), "sector %lu", s);
}

static enum blk_stop turn(bool *interrupt)
{
	uint32_t reason;

	return blk_serve(&dev, interrupt, &reason);
}

/* Takes @n answers, which come in the order of @head. */
static void expect_order(const uint16_t *head, unsigned n)
{
	uint16_t got;

	for (unsigned i = 0; i < n; i++) {
		cr_assert(driver_used(&drv, &got, &used_len), "%u", i);
		cr_assert_eq(got, head[i], "%u", i);
	}
	cr_assert_not(driver_used(&drv, &got, &used_len));
}

Test(blk_pool, reads_are_under_way_together_and_answered_in_order, .timeout = 30)
{
	uint16_t head[POOL_THREADS + 1];
	bool interrupt;

	direct_disk(cached);
	cr_assert_eq(host.sealed, POOL_THREADS);
	host.party = POOL_THREADS + 1;
	for (unsigned i = 0; i < POOL_THREADS + 1; i++)
		head[i] = offer(i, IN, 8 * i, 4096, 0);
	cr_assert_eq(turn(&interrupt), BLK_MORE, "a batch is a turn");
	cr_assert(interrupt);
	cr_assert_eq(host.reads, POOL_THREADS + 1);
	expect_order(head, POOL_THREADS + 1);
	for (unsigned i = 0; i < POOL_THREADS + 1; i++) {
		cr_assert_eq(status(i), OK);
		for (unsigned s = 0; s < 8; s++)
			expect_sector(data_of(i) + s * SECTOR, 8 * i + s);
	}
	cr_assert_eq(turn(&interrupt), BLK_IDLE);
	cr_assert_not(interrupt);
}

Test(blk_pool, one_alone_is_not_handed_over)
{
	bool interrupt;
	uint16_t head;

	direct_disk(cached);
	close(pool.work);
	pool.work = -1;
	for (unsigned i = 0; i < 100; i++) {
		head = offer(0, i % 2 == 0 ? IN : OUT, 8, 4096, 0);
		cr_assert_eq(turn(&interrupt), BLK_IDLE);
		cr_assert_eq(status(0), OK);
		expect_order(&head, 1);
	}
}

Test(blk_pool, a_full_ring_takes_as_many_turns_as_it_must, .timeout = 30)
{
	uint16_t head[SLOTS];
	bool interrupt;
	int turns = 1;

	direct_disk(cached);
	for (unsigned i = 0; i < SLOTS; i++)
		head[i] = offer(i, IN, 8 * i, 4096, 0);
	for (; turn(&interrupt) == BLK_MORE; turns++)
		;
	cr_assert_eq(turns, SLOTS / POOL_JOBS + 1);
	expect_order(head, SLOTS);
	for (unsigned i = 0; i < SLOTS; i++)
		expect_sector(data_of(i), 8 * i);
}

Test(blk_pool, a_batch_is_bounded_in_bytes)
{
	bool interrupt;
	uint16_t head;
	int n = 0;

	direct_disk(cached);
	for (unsigned i = 0; i < 8; i++)
		offer(0, IN, 0, 1 << 20, 0);
	cr_assert_eq(turn(&interrupt), BLK_MORE);
	while (driver_used(&drv, &head, &used_len))
		n++;
	cr_assert_eq(n, 2);
}

Test(blk_pool, what_cannot_be_in_a_batch_waits_for_it_and_is_served_alone, .timeout = 30)
{
	static const struct { uint32_t type; uint64_t sector; uint32_t len, off; int want; } r[] = {
		{ OUT, 0, 4096, 0, OK }, { IN, 800, 4096, 0, OK }, { FLUSH, 0, 0, 0, OK },
		{ IN, 16, 4096, 0, OK }, { IN, 24, 4096, 1, OK },		/* memory is not aligned */
		{ OUT, 32, 4096, 0, OK }, { IN, SECTORS, 512, 0, IOERR },	/* no such sector */
		{ IN, 40, 512, 0, OK }, { 77, 0, 512, 0, UNSUPP }, { IN, 48, 0, 0, OK },
		{ IN, 56, 4096, 0, OK }, { GET_ID, 0, 20, 0, OK }, { OUT, 64, 512, 0, OK },
	};
	uint16_t head[array_len(r)];

	direct_disk(cached);
	for (unsigned i = 0; i < array_len(r); i++)
		head[i] = offer(i, r[i].type, r[i].sector, r[i].len, r[i].off);
	cr_assert_eq(serve(), BLK_IDLE);
	expect_order(head, array_len(r));
	for (unsigned i = 0; i < array_len(r); i++) {
		cr_assert_eq(status(i), r[i].want, "%u", i);
		if (r[i].type == IN && r[i].len != 0 && r[i].want == OK)
			expect_sector(data_of(i) + r[i].off, r[i].sector);
	}
	cr_assert_eq(host.syncs, 1);
	cr_assert_eq(host.reads, 5);
	cr_assert_eq(host.writes, 3);
}

/* What was written by many threads is what was asked to be, and only there. */
Test(blk_pool, writes_land_where_they_should, .timeout = 60)
{
	static uint8_t model[SECTORS * SECTOR], disk[SECTORS * SECTOR];
	unsigned seed = 1;

	direct_disk(cached);
	cr_assert_eq(pread(image, model, sizeof(model), 0), (ssize_t)sizeof(model));
	for (int round = 0; round < 500; round++) {
		unsigned n = 1 + (seed = seed * 1103515245 + 12345) % 40;

		for (unsigned i = 0; i < n; i++) {
			/* No two of a round at the same place. */
			uint64_t sector = (i * 97 + (unsigned)round) % 100 * 40;
			uint32_t sectors = 1 + (seed = seed * 1103515245 + 12345) / 65536 % 40;

			if ((seed >> 20) % 3 != 0) {
				memset(data_of(i), (int)(seed >> 8), sectors * SECTOR);
				memset(model + sector * SECTOR, (int)(seed >> 8), sectors * SECTOR);
				offer(i, OUT, sector, sectors * SECTOR, 0);
			} else {
				memset(data_of(i), UNTOUCHED, sectors * SECTOR + 1);
				offer(i, IN, sector, sectors * SECTOR, 0);
			}
		}
		cr_assert_eq(serve(), BLK_IDLE);
		for (unsigned i = 0; i < n; i++) {
			uint16_t head;

			cr_assert(driver_used(&drv, &head, &used_len));
			cr_assert_eq(status(i), OK);
			if (used_len > 1) {
				uint64_t sector = (i * 97 + (unsigned)round) % 100 * 40;

				cr_assert_eq(memcmp(data_of(i), model + sector * SECTOR, used_len - 1), 0);
				cr_assert_eq(data_of(i)[used_len - 1], UNTOUCHED);
			}
		}
	}
	cr_assert_eq(pread(image, disk, sizeof(disk), 0), (ssize_t)sizeof(disk));
	cr_assert_eq(memcmp(model, disk, sizeof(disk)), 0);
}

Test(blk_pool, without_FLUSH_each_write_is_durable)
{
	direct_disk(usual);
	for (unsigned i = 0; i < 10; i++)
		offer(i, OUT, 8 * i, 4096, 0);
	cr_assert_eq(serve(), BLK_IDLE);
	cr_assert_eq(host.durable, 10);
}

/* One that fails is tried again alone, where it succeeds or is an error; the others do not notice. */
Test(blk_pool, a_transfer_that_fails_is_its_own_affair, .timeout = 30)
{
	for (int times = 1; times <= 2; times++)
		for (unsigned bad = 0; bad < 12; bad++) {
			direct_disk(cached);
			host.error = EIO;
			host.bad_at = (off_t)bad * 4096;
			host.bad = times;
			for (unsigned i = 0; i < 12; i++)
				offer(i, i % 2 == 0 ? IN : OUT, 8 * i, 4096, 0);
			cr_assert_eq(serve(), BLK_IDLE);
			for (unsigned i = 0; i < 12; i++)
				cr_assert_eq(status(i), i == bad && times == 2 ? IOERR : OK, "%u", i);
			cr_assert_eq(host.reads + host.writes, 13);
		}
}

Test(blk_pool, short_transfers_are_finished, .timeout = 30)
{
	direct_disk(cached);
	host.most = 512;
	for (unsigned i = 0; i < 20; i++) {
		memset(data_of(i), (int)i, 4096);
		offer(i, i % 2 == 0 ? IN : OUT, 8 * i, 4096, 0);
	}
	cr_assert_eq(serve(), BLK_IDLE);
	for (unsigned i = 0; i < 20; i++) {
		uint8_t got[4096];

		cr_assert_eq(status(i), OK);
		cr_assert_eq(pread(image, got, 4096, (off_t)i * 4096), 4096);
		cr_assert_eq(memcmp(got, data_of(i), 4096), 0);
	}
}

Test(blk_pool, a_file_that_ends_early_is_an_error_of_those_beyond)
{
	direct_disk(cached);
	cr_assert_eq(ftruncate(image, 10 * 4096), 0);
	for (unsigned i = 0; i < 20; i++)
		offer(i, IN, 8 * i, 4096, 0);
	cr_assert_eq(serve(), BLK_IDLE);
	for (unsigned i = 0; i < 20; i++)
		cr_assert_eq(status(i), i < 10 ? OK : IOERR);
}

Test(blk_pool, the_same_head_twice_breaks_the_queue_and_moves_nothing)
{
	uint32_t reason;
	bool interrupt;
	uint16_t head;

	direct_disk(cached);
	offer(0, OUT, 0, 4096, 0);
	head = offer(1, OUT, 8, 4096, 0);
	driver_offer(&drv, head);
	cr_assert_eq(blk_serve(&dev, &interrupt, &reason), BLK_BROKEN);
	cr_assert_eq(reason, VQ_E_INFLIGHT);
	cr_assert_eq(host.writes, 0);
	cr_assert(start(cached));
	offer(0, IN, 0, 4096, 0);
	offer(1, IN, 8, 4096, 0);
	cr_assert_eq(serve(), BLK_IDLE);
	cr_assert(status(0) == OK && status(1) == OK);
}

Test(blk_pool, a_chain_that_cannot_be_answered_comes_after_the_batch)
{
	uint32_t reason;
	bool interrupt;
	uint16_t head;

	direct_disk(cached);
	offer(0, IN, 0, 4096, 0);
	offer(1, IN, 8, 4096, 0);
	driver_add(&drv, &(struct buf){ HEADER, 16, false }, 1);
	cr_assert_eq(blk_serve(&dev, &interrupt, &reason), BLK_MORE);
	cr_assert(status(0) == OK && status(1) == OK);
	cr_assert(driver_used(&drv, &head, &used_len) && driver_used(&drv, &head, &used_len));
	cr_assert_eq(blk_serve(&dev, &interrupt, &reason), BLK_BROKEN);
	cr_assert_eq(reason, BLK_E_NO_STATUS);
}

/* Chains that name the same memory and the same sectors: what is there then is the driver's affair. */
Test(blk_pool, chains_that_share_memory_do_no_harm)
{
	direct_disk(cached);
	for (int round = 0; round < 200; round++) {
		for (unsigned i = 0; i < 20; i++) {
			offer(0, i % 2 == 0 ? IN : OUT, 8, 4096, 0);
			offer(0, i % 2 == 0 ? OUT : IN, 9, 4096, 0);
		}
		cr_assert_eq(serve(), BLK_IDLE);
		cr_assert(start(cached));
	}
	offer(0, IN, 800, 4096, 0);
	offer(1, IN, 808, 4096, 0);
	cr_assert_eq(serve(), BLK_IDLE);
	expect_sector(data_of(0), 800);
	expect_sector(data_of(1), 808);
}

Test(blk_pool, more_pieces_than_a_job_has_are_served_alone)
{
	struct buf b[POOL_SPANS + 3] = { { TABLES, 16, false } };
	const struct blk_header h = { to_le32(IN), to_le32(0), to_le64(8) };

	direct_disk(cached);
	for (unsigned n = POOL_SPANS; n <= POOL_SPANS + 1; n++) {
		memcpy(ram_at(&ram, TABLES), &h, sizeof(h));
		for (unsigned i = 0; i < n; i++)	/* not one behind the other, or they would be one piece */
			b[1 + i] = (struct buf){ DATA + (uint64_t)(n - i) * 1024, 512, true };
		b[1 + n] = (struct buf){ TABLES + 32, 1, true };
		driver_add(&drv, b, (uint16_t)(n + 2));
		offer(2, IN, 800, 4096, 0);
		host.party = n == POOL_SPANS ? 2 : 0;
		host.present = 0;
		cr_assert_eq(serve(), BLK_IDLE);
		cr_assert(status(0) == OK && status(2) == OK);
		for (unsigned i = 0; i < n; i++)
			expect_sector(ram_at(&ram, b[1 + i].addr), 8 + i);
		while (driver_used(&drv, &(uint16_t){ 0 }, &used_len))
			;
	}
}

Test(blk_pool, nothing_is_touched_after_a_reset, .timeout = 60)
{
	bool interrupt;

	direct_disk(cached);
	for (int i = 0; i < 2000; i++) {
		for (unsigned k = 0; k < 16; k++)
			offer(k, IN, 8 * k, 4096, 0);
		(void)turn(&interrupt);
		for (unsigned k = 0; k < 16; k++)
			offer(k, IN, 8 * k, 4096, 0);
		blk_reset(&dev);
		memset(data_of(0), 0xab, 16 * STEP);
		if (i % 100 == 0)
			usleep(1000);
		for (unsigned k = 0; k < 16; k++)
			for (unsigned j = 0; j < 4096; j += 512)
				cr_assert_eq(data_of(k)[j], 0xab);
		cr_assert(start(cached));
	}
}

Test(blk_pool, with_a_rate_limit_one_after_the_other)
{
	static struct limits_entry entry;
	bool interrupt;
	uint16_t head;
	int n = 0;

	pages.limits = &entry;
	configured.limit[LIMITS_OUT].ops = (typeof(configured.limit[0].ops)){ .size = 4, .refill_ms = 1000 };
	clock_now = 1000000000;
	direct_disk(cached);
	for (unsigned i = 0; i < 16; i++)
		offer(i, IN, 8 * i, 4096, 0);
	cr_assert_eq(turn(&interrupt), BLK_HELD);
	while (driver_used(&drv, &head, &used_len))
		n++;
	cr_assert_eq(n, 4, "as many as there are tokens");
	cr_assert_eq(host.reads, 4);
}

Test(blk_pool, each_request_is_counted)
{
	memset(&counted, 0, sizeof(counted));
	direct_disk(cached);
	for (unsigned i = 0; i < 12; i++)
		offer(i, i < 8 ? IN : OUT, 8 * i, 4096, 0);
	cr_assert_eq(serve(), BLK_IDLE);
	cr_assert_eq(counted.counter[STATS_BLK_READS], 8);
	cr_assert_eq(counted.counter[STATS_BLK_READ_BYTES], 8 * 4096);
	cr_assert_eq(counted.counter[STATS_BLK_WRITES], 4);
	cr_assert_eq(counted.counter[STATS_BLK_WRITE_BYTES], 4 * 4096);
}

Test(blk_pool, the_host_takes_no_permit_so_all_are_served_alone)
{
	direct_disk(cached);
	close(pool.work);
	pool.work = -1;
	for (unsigned i = 0; i < 12; i++)
		offer(i, IN, 8 * i, 4096, 0);
	cr_assert_eq(serve(), BLK_IDLE);
	for (unsigned i = 0; i < 12; i++) {
		cr_assert_eq(status(i), OK);
		expect_sector(data_of(i), 8 * i);
	}
}

Test(blk_pool, a_thread_that_cannot_be_sealed_ends_the_start)
{
	disk_of(false, cached);
	host.unsealable = true;
	pool = (struct pool){ 0 };
	cr_assert_eq(pool_start(&pool, &dev.disk, eventfd(0, EFD_SEMAPHORE), eventfd(0, 0), NULL), -EPERM);
}
