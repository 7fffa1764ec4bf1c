/* SPDX-License-Identifier: Apache-2.0 */
/* The block device with several queues: nobody starves, one that is broken breaks all. */
#include "tests/unit/blk.h"

enum { QUEUES = 3, STEP = 0x8000, HEADERS = 0x40000, STATUSES = 0x50000 };

static struct driver drivers[QUEUES];

/* Activates the queues whose bit is set in @which. */
static bool start_queues(unsigned which, uint32_t *reason)
{
	struct link_activate a = { .features = usual };

	for (unsigned i = 0; i < QUEUES; i++) {
		const struct driver *d = &drivers[i];

		driver_init(&drivers[i], &ram, QUEUE + i * STEP, 256, usual);
		if ((which >> i & 1) != 0)
			a.queue[i] = (struct link_queue){ d->desc, d->avail, d->used, d->size, 1, 0 };
	}
	return blk_activate(&dev, &a, reason);
}

static void up(unsigned which)
{
	uint32_t reason;

	disk_queues = QUEUES;
	disk_of(false, usual);
	blk_reset(&dev);
	cr_assert(start_queues(which, &reason));
}

/* Reads sector @sector by way of queue @q. */
static void offer(unsigned q, uint64_t sector)
{
	const struct blk_header h = { to_le32(IN), to_le32(0), to_le64(sector) };
	const uint64_t at = HEADERS + q * 16;

	memcpy(ram_at(&ram, at), &h, sizeof(h));
	driver_add(&drivers[q], (struct buf[]){ { at, 16, false }, { DATA + q * 512, 512, true },
						{ STATUSES + q, 1, true } }, 3);
}

static unsigned answers(unsigned q)
{
	unsigned n = 0;
	uint16_t head;

	while (driver_used(&drivers[q], &head, &used_len))
		n++;
	return n;
}

static enum blk_stop turn(void)
{
	uint32_t reason;
	bool interrupt;

	return blk_serve(&dev, &interrupt, &reason);
}

Test(blk_queues, hello_tells_how_many)
{
	struct link_hello h;
	struct blk_config c;

	up(7);
	blk_hello(&dev, &h);
	memcpy(&c, h.config, sizeof(c));
	cr_assert(h.nqueues == QUEUES && le16(c.num_queues) == QUEUES);
	cr_assert_neq(h.features & VIRTIO_BLK_F_MQ, 0);
	disk_queues = 1;
	disk_of(false, usual);
	blk_hello(&dev, &h);
	memcpy(&c, h.config, sizeof(c));
	cr_assert(h.nqueues == 1 && le16(c.num_queues) == 0);
	cr_assert_eq(h.features & VIRTIO_BLK_F_MQ, 0);
}

Test(blk_queues, each_is_served)
{
	up(7);
	for (unsigned q = 0; q < QUEUES; q++)
		offer(q, 10 * q);
	cr_assert_eq(turn(), BLK_IDLE);
	for (unsigned q = 0; q < QUEUES; q++) {
		cr_assert_eq(answers(q), 1);
		cr_assert_eq(*(uint8_t *)ram_at(&ram, DATA + q * 512), 10 * q);
	}
}

Test(blk_queues, a_driver_need_not_use_all)
{
	up(2);
	offer(1, 5);
	cr_assert_eq(turn(), BLK_IDLE);
	cr_assert_eq(answers(1), 1);
	up(0);
	cr_assert_eq(turn(), BLK_IDLE);
}

/* While one is never empty, the others wait for one turn of it. */
Test(blk_queues, none_starves_beside_a_full_one)
{
	up(7);
	for (int round = 0; round < 10; round++) {
		while (drivers[0].nfree >= 2)
			driver_add(&drivers[0], (struct buf[]){ { HEADERS, 16, false },
								{ STATUSES, 1, true } }, 2);
		offer(1, 1);
		offer(2, 2);
		for (int i = 0; i < QUEUES; i++)
			cr_assert_neq(turn(), BLK_BROKEN);
		cr_assert_eq(answers(1) + answers(2), 2);
		cr_assert_gt(answers(0), 0);
	}
}

Test(blk_queues, a_limit_is_all_of_theirs_and_shared)
{
	static struct limits_entry entry;
	unsigned got[QUEUES] = { 0 };

	pages.limits = &entry;
	configured.limit[LIMITS_OUT] = (struct limit_values){ .ops = { .size = 10, .refill_ms = 1000 } };
	clock_now = 1000000000;
	up(7);
	for (int second = 0; second < 30; second++) {
		for (unsigned q = 0; q < QUEUES; q++)
			while (drivers[q].nfree >= 3)
				offer(q, q);
		for (int i = 0; i < 100; i++) {
			clock_now += 10000000;
			cr_assert_neq(turn(), BLK_BROKEN);
		}
		for (unsigned q = 0; q < QUEUES; q++)
			got[q] += answers(q);
	}
	cr_assert_leq(got[0] + got[1] + got[2], 310);
	cr_assert_geq(got[0] + got[1] + got[2], 290);
	for (unsigned q = 0; q < QUEUES; q++)
		cr_assert_geq(got[q], 90, "queue %u: %u", q, got[q]);
}

Test(blk_queues, one_that_is_broken_breaks_the_device)
{
	uint32_t reason;
	bool interrupt;

	up(7);
	driver_offer(&drivers[1], 0xffff);
	offer(2, 0);
	cr_assert_eq(blk_serve(&dev, &interrupt, &reason), BLK_BROKEN);
	cr_assert_eq(reason, VQ_E_HEAD);
	cr_assert_eq(turn(), BLK_IDLE);
	cr_assert_eq(answers(2), 0, "not a byte more, of any");
	blk_reset(&dev);
	cr_assert(start_queues(7, &reason));
	offer(2, 0);
	cr_assert_eq(turn(), BLK_IDLE);
	cr_assert_eq(answers(2), 1);
}

/* None is left set up when another cannot be. */
Test(blk_queues, activation_is_of_all_or_none)
{
	struct link_activate a = { .features = usual };
	uint32_t reason;

	up(7);
	blk_reset(&dev);
	for (unsigned i = 0; i < QUEUES; i++) {
		const struct driver *d = &drivers[i];

		a.queue[i] = (struct link_queue){ d->desc, d->avail, d->used, d->size, 1, 0 };
	}
	a.queue[2].used = 0xd0000000;
	cr_assert_not(blk_activate(&dev, &a, &reason));
	cr_assert_eq(reason, VQ_E_RANGE);
	offer(0, 0);
	cr_assert_eq(turn(), BLK_IDLE);
	cr_assert_eq(answers(0), 0);
	a.queue[2].used = drivers[2].used;
	a.queue[QUEUES] = a.queue[0];
	cr_assert_not(blk_activate(&dev, &a, &reason));
	cr_assert_eq(reason, 0, "more than there are");
}
