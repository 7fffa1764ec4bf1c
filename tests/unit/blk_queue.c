/* SPDX-License-Identifier: Apache-2.0 */
/* The block device under many requests: turns, resets, hostile chains, a model of the disk. */
#include "tests/unit/blk.h"

#include <dirent.h>
#include <pthread.h>

/* Makes @n reads of @len bytes available without serving them. */
static void queue_reads(int n, uint32_t len)
{
	header(IN, 0);
	for (int i = 0; i < n; i++)
		driver_add(&drv, (struct buf[]){ { HEADER, 16, false }, { DATA, len, true },
						 { STATUS, 1, true } }, 3);
}

static int take_used(void)
{
	uint16_t head;
	int n = 0;

	while (driver_used(&drv, &head, &used_len))
		n++;
	return n;
}

Test(blk_queue, a_batch_is_one_turn_and_one_interrupt)
{
	uint32_t reason;
	bool interrupt;

	disk_of(false, usual | VIRTIO_F_EVENT_IDX);
	queue_reads(32, 4096);
	cr_assert_eq(blk_serve(&dev, &interrupt, &reason), BLK_IDLE);
	cr_assert(interrupt);
	cr_assert_eq(take_used(), 32);
	cr_assert_eq(blk_serve(&dev, &interrupt, &reason), BLK_IDLE);
	cr_assert_not(interrupt);
}

Test(blk_queue, a_turn_is_bounded_in_requests)
{
	uint32_t reason;
	bool interrupt;

	/* A request of two descriptors in a ring of 256: as many as a turn has. */
	disk_of(false, usual);
	header(IN, 0);
	for (int i = 0; i < 128; i++)
		driver_add(&drv, (struct buf[]){ { HEADER, 16, false }, { STATUS, 1, true } }, 2);
	cr_assert_eq(blk_serve(&dev, &interrupt, &reason), BLK_MORE);
	cr_assert(interrupt);
	cr_assert_eq(take_used(), 128);
	cr_assert_eq(blk_serve(&dev, &interrupt, &reason), BLK_IDLE);
}

Test(blk_queue, a_turn_is_bounded_in_bytes)
{
	uint32_t reason;
	bool interrupt;
	int turns = 1;

	disk_of(false, usual);
	queue_reads(64, 256 << 10);
	for (; blk_serve(&dev, &interrupt, &reason) == BLK_MORE; turns++)
		cr_assert_leq(take_used(), 4);
	cr_assert_geq(turns, 16);
}

/* What a driver that resets the device has to wait for. */
Test(blk_queue, a_flush_ends_the_turn)
{
	uint32_t reason;
	bool interrupt;

	disk_of(false, usual | VIRTIO_BLK_F_FLUSH);
	header(FLUSH, 0);
	for (int i = 0; i < 3; i++)
		driver_add(&drv, (struct buf[]){ { HEADER, 16, false }, { STATUS, 1, true } }, 2);
	for (int i = 0; i < 3; i++) {
		cr_assert_eq(blk_serve(&dev, &interrupt, &reason), BLK_MORE);
		cr_assert_eq(take_used(), 1);
	}
	cr_assert_eq(blk_serve(&dev, &interrupt, &reason), BLK_IDLE);
}

Test(blk_queue, activation_is_checked)
{
	struct link_activate good = { .features = usual }, a;
	uint32_t reason;

	disk_of(false, usual);
	good.queue[0] = (struct link_queue){ drv.desc, drv.avail, drv.used, 256, 1, 0 };
#define REFUSED(want, change) do { \
		a = good; \
		change; \
		cr_assert_not(blk_activate(&dev, &a, &reason), #change); \
		cr_assert_eq(reason, want, #change); \
		cr_assert_eq(serve(), BLK_IDLE); \
	} while (0)
	REFUSED(0, a.features |= 1ull << 40);
	REFUSED(0, a.features |= VIRTIO_BLK_F_RO);
	REFUSED(0, a.features |= 1ull << 7);		/* SCSI */
	REFUSED(0, a.features = 0);
	REFUSED(0, a.queue[1].ready = 1);
	REFUSED(0, a.queue[7].ready = 1);
	REFUSED(VQ_E_SETUP, a.queue[0].size = 3);
	REFUSED(VQ_E_SETUP, a.queue[0].size = 512);
	REFUSED(VQ_E_SETUP, a.queue[0].desc += 8);
	REFUSED(VQ_E_RANGE, a.queue[0].used = 0xd0000000);
	a = good;
	a.queue[0].ready = 0;
	cr_assert(blk_activate(&dev, &a, &reason), "no queue, nothing to do");
	cr_assert_eq(serve(), BLK_IDLE);
}

Test(blk_queue, nothing_is_touched_after_a_reset)
{
	disk_of(false, usual);
	for (int i = 0; i < 10000; i++) {
		queue_reads(i % 5 + 1, 512);
		memset(ram_at(&ram, DATA), 0xab, 512);
		blk_reset(&dev);
		cr_assert_eq(serve(), BLK_IDLE);
		cr_assert_eq(take_used(), 0);
		cr_assert_eq(*(uint8_t *)ram_at(&ram, DATA), 0xab);
		cr_assert(start(usual));
		cr_assert_eq(request_of(IN, 0, 512), OK);
	}
}

static int open_descriptors(void)
{
	DIR *d = opendir("/proc/self/fd");
	int n = 0;

	while (readdir(d) != NULL)
		n++;
	closedir(d);
	return n;
}

Test(blk_queue, failing_chains_cost_nothing_that_lasts, .timeout = 60)
{
	int before;

	disk_of(false, usual);
	before = open_descriptors();
	for (int i = 0; i < 300000; i++) {
		if (i % 3 == 0)
			driver_offer(&drv, 0xffff);
		else
			driver_add(&drv, &(struct buf){ HEADER, 16, false }, 1);
		cr_assert_eq(serve(), BLK_BROKEN);
		cr_assert(start(usual));
	}
	cr_assert_eq(open_descriptors(), before);
	cr_assert_eq(dev.queue[0].vq.inflight_count, 0);
	cr_assert_eq(request_of(IN, 0, 512), OK);
}

Test(blk_queue, header_status_data_and_rings_may_alias)
{
	disk_of(false, usual);
	header(IN, 2);
	cr_assert_eq(ask((struct buf[]){ { HEADER, 16, false }, { HEADER, 512, true },
					 { HEADER, 1, true } }, 3), UNTOUCHED);
	for (uint64_t ring = QUEUE; ring < QUEUE + 0x3000; ring += 0x200) {
		enum blk_stop stop;
		bool interrupt;
		uint32_t reason;

		cr_assert(start(usual));
		header(IN, 2);
		driver_add(&drv, (struct buf[]){ { HEADER, 16, false }, { ring, 1024, true },
						 { ring, 1, true } }, 3);
		for (int i = 0; i < 1000; i++) {
			stop = blk_serve(&dev, &interrupt, &reason);
			if (stop != BLK_MORE)
				break;
		}
		cr_assert(stop == BLK_IDLE || stop == BLK_BROKEN || stop == BLK_MORE);
	}
	cr_assert(start(usual));
	cr_assert_eq(request_of(IN, 2, 512), OK);
}

Test(blk_queue, requests_in_indirect_tables)
{
	disk_of(false, usual);
	for (int i = 0; i < 1000; i++) {
		uint16_t head;

		header(IN, 7);
		driver_add_indirect(&drv, TABLE,
				    (struct buf[]){ { HEADER, 16, false }, { DATA, 512, true },
						    { STATUS, 1, true } }, 3);
		cr_assert_eq(serve(), BLK_IDLE);
		cr_assert(driver_used(&drv, &head, &used_len));
		cr_assert_eq(used_len, 513);
		cr_assert_eq(*(uint8_t *)ram_at(&ram, STATUS), OK);
	}
}

/* ---- random requests against a model ---- */

static uint32_t seed = 1;

static uint32_t dice(uint32_t n)
{
	seed = seed * 1664525 + 1013904223;
	return (uint32_t)((uint64_t)seed * n >> 32);
}

/* Cuts [@addr, @addr + @len) into at most @max buffers. */
static uint16_t cut(struct buf *b, uint16_t max, uint64_t addr, uint32_t len, bool write)
{
	uint16_t n = 0;

	while (len > 0) {
		uint32_t here = n + 1 == max ? len : 1 + dice(len);

		b[n++] = (struct buf){ addr, here, write };
		addr += here;
		len -= here;
	}
	return n;
}

static void random_request(uint8_t *model)
{
	bool write = dice(2) == 0, indirect = dice(2) == 0;
	uint64_t sector = dice(SECTORS + 4);
	uint32_t len = dice(20) * 512;
	bool fits = sector + len / 512 <= SECTORS;
	uint8_t *data = ram_at(&ram, DATA), *disk = model + sector * 512;
	struct buf b[64];
	uint16_t head, n;

	header(write ? OUT : IN, sector);
	for (uint32_t i = 0; i < len; i += 64)
		data[i + dice(64)] = (uint8_t)dice(256);
	n = cut(b, 4, HEADER, 16, false);
	n = (uint16_t)(n + cut(b + n, 20, DATA, len, !write));
	b[n++] = (struct buf){ STATUS, 1, true };
	if (indirect)
		driver_add_indirect(&drv, TABLE, b, n);
	else
		driver_add(&drv, b, n);
	cr_assert_eq(serve(), BLK_IDLE);
	cr_assert(driver_used(&drv, &head, &used_len));
	cr_assert_eq(*(uint8_t *)ram_at(&ram, STATUS), fits ? OK : IOERR);
	if (!fits)
		return;
	if (write)
		memcpy(disk, data, len);
	else
		cr_assert_eq(memcmp(disk, data, len), 0);
	cr_assert_eq(used_len, write ? 1 : len + 1);
}

Test(blk_queue, random_requests_leave_the_disk_of_the_model, .timeout = 60)
{
	static uint8_t model[SECTORS * SECTOR], disk[SECTORS * SECTOR];

	disk_of(false, usual | VIRTIO_BLK_F_FLUSH | VIRTIO_F_EVENT_IDX);
	cr_assert_eq(pread(image, model, sizeof(model), 0), (ssize_t)sizeof(model));
	for (int i = 0; i < 30000; i++) {
		host.most = dice(3) == 0 ? 1 + dice(3000) : 0;
		random_request(model);
	}
	cr_assert_eq(pread(image, disk, sizeof(disk), 0), (ssize_t)sizeof(disk));
	cr_assert_eq(memcmp(model, disk, sizeof(disk)), 0);
	cr_assert_eq(lseek(image, 0, SEEK_END), (off_t)sizeof(disk));
}

/* ---- a guest that rewrites its request while it is served ---- */

static bool stop_racing;

static void *rewrite(void *arg)	/* a struct driver */
{
	static const uint32_t types[] = { IN, OUT, GET_ID, 77 };
	uint32_t x = 99;

	while (!__atomic_load_n(&stop_racing, __ATOMIC_RELAXED)) {
		const struct blk_header h = { to_le32(types[x >> 20 & 3]), to_le32(0),
					      to_le64((x >> 24 & 1) ? UINT64_MAX - 3
							      : SECTORS - 1) };

		x = x * 1664525 + 1013904223;
		memcpy(ram_at(&ram, HEADER), &h, sizeof(h));
		driver_desc(arg, x >> 8 & 3, DATA, (x >> 16 & 3) * 512 + 1,
			    (uint16_t)(DRV_NEXT | (x >> 28 & DRV_WRITE)), x >> 10 & 3);
	}
	return NULL;
}

Test(blk_queue, a_racing_guest_stays_inside_its_disk, .timeout = 60)
{
	struct driver view;
	pthread_t racer;
	int broken = 0;

	disk_of(false, usual | VIRTIO_BLK_F_FLUSH);
	view = drv;	/* the other is started anew now and then */
	cr_assert_eq(pthread_create(&racer, NULL, rewrite, &view), 0);
	/* On a busy machine the racer may get its turn late. */
	for (int i = 0; i < 100000 || (broken == 0 && i < 50000000); i++) {
		driver_desc(&drv, 0, HEADER, 16, DRV_NEXT, 1);
		driver_desc(&drv, 1, DATA, 512, DRV_NEXT | DRV_WRITE, 2);
		driver_desc(&drv, 2, STATUS, 1, DRV_WRITE, 0);
		driver_offer(&drv, 0);
		if (serve() != BLK_BROKEN)
			continue;
		broken++;
		cr_assert(start(usual | VIRTIO_BLK_F_FLUSH));
	}
	__atomic_store_n(&stop_racing, true, __ATOMIC_RELAXED);
	pthread_join(racer, NULL);
	cr_assert_eq(lseek(image, 0, SEEK_END), SECTORS * SECTOR);
	cr_assert_gt(broken, 0);
}
