/* SPDX-License-Identifier: Apache-2.0 */
/* The twelve checks of the virtqueue parser, and life with chains that pass them. */
#include "tests/unit/virtqueue.h"

/* The next pop must break the queue with @err, and leave it broken. */
static void expect_broken(enum vq_err err)
{
	uint16_t used = *driver_word(&drv, drv.used + 2);

	cr_assert_eq(vq_pop(&vq, &chain), -1);
	cr_assert_eq(vq.err, err, "%s, not %s", vq_err_name(vq.err), vq_err_name(err));
	cr_assert_eq(vq_pop(&vq, &chain), -1);
	cr_assert_eq(vq.err, err);
	cr_assert_not(vq_enable_kick(&vq));
	cr_assert_eq(*driver_word(&drv, drv.used + 2), used);
}

/* Raw descriptors 0.. of a queue of 8, offered at head 0, must break it with @err. */
struct raw {
	uint64_t addr;
	uint32_t len;
	uint16_t flags, next;
};

static void refuse(uint64_t features, enum vq_err err, const struct raw *r, uint16_t n)
{
	setup(8, features);
	for (uint16_t i = 0; i < n; i++)
		driver_desc(&drv, i, r[i].addr, r[i].len, r[i].flags, r[i].next);
	driver_offer(&drv, 0);
	expect_broken(err);
}
#define REFUSE(features, err, ...) \
	refuse(features, err, (struct raw[]){ __VA_ARGS__ }, \
	       array_len(((struct raw[]){ __VA_ARGS__ })))

Test(virtqueue, check_1_avail_idx_more_than_the_queue_ahead)
{
	setup(8, plain);
	driver_desc(&drv, 0, DATA, 4, 0, 0);
	*driver_word(&drv, drv.avail + 2) = 9;
	expect_broken(VQ_E_AVAIL);
	setup(8, plain);
	*driver_word(&drv, drv.avail + 2) = 0xffff;	/* goes back */
	expect_broken(VQ_E_AVAIL);
}

Test(virtqueue, check_1_a_full_queue_is_not_too_far)
{
	setup(8, plain);
	for (uint16_t i = 0; i < 8; i++)
		driver_add(&drv, &(struct buf){ DATA, 4, false }, 1);
	for (int i = 0; i < 8; i++)
		cr_assert_eq(vq_pop(&vq, &chain), 1);
	cr_assert_eq(vq_pop(&vq, &chain), 0);
}

Test(virtqueue, check_2_head_outside_the_table)
{
	setup(8, plain);
	driver_offer(&drv, 8);
	expect_broken(VQ_E_HEAD);
	setup(8, plain);
	driver_offer(&drv, 0xffff);
	expect_broken(VQ_E_HEAD);
}

Test(virtqueue, check_3_next_outside_the_table)
{
	REFUSE(plain, VQ_E_NEXT, { DATA, 4, DRV_NEXT, 8 });
	REFUSE(plain, VQ_E_NEXT, { DATA, 4, DRV_NEXT, 1 }, { DATA, 4, DRV_NEXT, 0xffff });
}

Test(virtqueue, check_3_next_outside_an_indirect_table)
{
	setup(8, indirect);
	driver_add_indirect(&drv, TABLE, (struct buf[]){ out(DATA, 4), out(DATA, 4) }, 2);
	/* Inside the queue's own table, but not in this one. */
	((struct drv_desc *)ram_at(&ram, TABLE))[0].next = 2;
	expect_broken(VQ_E_NEXT);
}

Test(virtqueue, check_4_loops)
{
	REFUSE(plain, VQ_E_LOOP, { DATA, 4, DRV_NEXT, 0 });
	REFUSE(plain, VQ_E_LOOP, { DATA, 4, DRV_NEXT, 1 }, { DATA, 4, DRV_NEXT, 2 },
	       { DATA, 4, DRV_NEXT, 1 });
}

Test(virtqueue, check_4_a_chain_of_the_whole_table_is_no_loop)
{
	const struct buf r = out(DATA, 1), w = in(DATA, 1);

	setup(8, plain);
	driver_add(&drv, (struct buf[]){ r, r, r, r, w, w, w, w }, 8);
	cr_assert_eq(vq_pop(&vq, &chain), 1);
	cr_assert_eq(chain.nread, 4);
	cr_assert_eq(chain.nwrite, 4);
}

Test(virtqueue, check_4_an_indirect_chain_longer_than_the_queue)
{
	struct buf b[9];

	for (int i = 0; i < 9; i++)
		b[i] = out(DATA, 4);
	setup(8, indirect);
	driver_add_indirect(&drv, TABLE, b, 8);
	cr_assert_eq(vq_pop(&vq, &chain), 1);
	driver_add_indirect(&drv, TABLE, b, 9);
	expect_broken(VQ_E_LOOP);
}

Test(virtqueue, check_4_a_loop_in_an_indirect_table)
{
	setup(8, indirect);
	driver_add_indirect(&drv, TABLE, (struct buf[]){ out(DATA, 4), out(DATA, 4) }, 2);
	((struct drv_desc *)ram_at(&ram, TABLE))[1] =
		(struct drv_desc){ DATA, 4, DRV_NEXT, 0 };
	expect_broken(VQ_E_LOOP);
}

Test(virtqueue, check_5_readable_after_writable)
{
	REFUSE(plain, VQ_E_ORDER, { DATA, 4, DRV_NEXT | DRV_WRITE, 1 }, { DATA, 4, 0, 0 });
}

Test(virtqueue, check_6_indirect)
{
	REFUSE(plain, VQ_E_INDIRECT, { TABLE, 16, DRV_INDIRECT, 0 });
	REFUSE(indirect, VQ_E_INDIRECT, { TABLE, 16, DRV_INDIRECT | DRV_NEXT, 1 },
	       { DATA, 4, 0, 0 });
	REFUSE(indirect, VQ_E_INDIRECT, { TABLE, 0, DRV_INDIRECT, 0 });
	REFUSE(indirect, VQ_E_INDIRECT, { TABLE, 17, DRV_INDIRECT, 0 });
	REFUSE(indirect, VQ_E_INDIRECT, { TABLE, 24, DRV_INDIRECT, 0 });
	REFUSE(indirect, VQ_E_INDIRECT, { TABLE, 0xffffffff, DRV_INDIRECT, 0 });
	REFUSE(indirect, VQ_E_RANGE, { TABLE, 0xfffffff0, DRV_INDIRECT, 0 });
	REFUSE(indirect, VQ_E_RANGE, { 0xfffffffffffffff0, 32, DRV_INDIRECT, 0 });
}

Test(virtqueue, check_6_indirect_inside_indirect)
{
	setup(8, indirect);
	driver_add_indirect(&drv, TABLE, (struct buf[]){ out(DATA, 16) }, 1);
	((struct drv_desc *)ram_at(&ram, TABLE))[0].flags = DRV_INDIRECT;
	expect_broken(VQ_E_INDIRECT);
}

Test(virtqueue, check_7_length_0_in_each_position)
{
	REFUSE(plain, VQ_E_ZERO, { DATA, 0, 0, 0 });
	REFUSE(plain, VQ_E_ZERO, { DATA, 0, DRV_NEXT, 1 }, { DATA, 4, 0, 0 });
	REFUSE(plain, VQ_E_ZERO, { DATA, 4, DRV_NEXT, 1 }, { DATA, 0, 0, 0 });
	REFUSE(plain, VQ_E_ZERO, { DATA, 4, DRV_NEXT, 1 }, { DATA, 0, DRV_WRITE, 0 });
}

Test(virtqueue, check_8_more_spans_than_a_chain_holds)
{
	setup(8, plain);
	block = 4096;
	driver_add(&drv, (struct buf[]){ out(DATA, 4096 * 256), in(DATA, 4096 * 256) }, 2);
	cr_assert_eq(vq_pop(&vq, &chain), 1);
	cr_assert_eq(chain.nread + chain.nwrite, VQ_SPANS_MAX);
	driver_add(&drv, (struct buf[]){ out(DATA, 4096 * 256), in(DATA, 4096 * 256 + 1) }, 2);
	expect_broken(VQ_E_SPANS);
	setup(8, plain);
	block = 4096;
	driver_add(&drv, (struct buf[]){ out(DATA, 4096 * 512), in(DATA, 1) }, 2);
	expect_broken(VQ_E_SPANS);
}

Test(virtqueue, check_9_buffers_outside_RAM)
{
	const uint64_t end = 64 << 20;

	REFUSE(plain, VQ_E_RANGE, { end, 1, 0, 0 });
	REFUSE(plain, VQ_E_RANGE, { end - 4, 5, 0, 0 });
	REFUSE(plain, VQ_E_RANGE, { end - 4, 5, DRV_WRITE, 0 });
	REFUSE(plain, VQ_E_RANGE, { 0xd0000000, 4, DRV_WRITE, 0 });
	REFUSE(plain, VQ_E_RANGE, { UINT64_MAX - 3, 8, 0, 0 });
	REFUSE(plain, VQ_E_RANGE, { UINT64_MAX, 1, 0, 0 });
	REFUSE(plain, VQ_E_RANGE, { (uint64_t)INT64_MAX + 1 + DATA, 4, 0, 0 });
}

Test(virtqueue, check_10_more_bytes_than_a_chain_may_carry)
{
	REFUSE(plain, VQ_E_LENGTH, { DATA, VQ_CHAIN_BYTES_MAX + 1, 0, 0 });
	REFUSE(plain, VQ_E_LENGTH, { DATA, 0xffffffff, DRV_WRITE, 0 });
	REFUSE(plain, VQ_E_LENGTH, { DATA, 32 << 20, DRV_NEXT, 1 },
	       { DATA, 32 << 20, DRV_NEXT | DRV_WRITE, 2 }, { DATA, 1, DRV_WRITE, 0 });
}

Test(virtqueue, check_10_exactly_the_limit_is_allowed)
{
	setup(8, plain);
	driver_add(&drv, (struct buf[]){ out(0, 32 << 20), in(0, 32 << 20) }, 2);
	cr_assert_eq(vq_pop(&vq, &chain), 1);
	cr_assert_eq(chain.read_len + chain.write_len, VQ_CHAIN_BYTES_MAX);
}

static enum vq_err set_up(uint64_t desc, uint64_t avail, uint64_t used, uint16_t size)
{
	const struct vq_config c = { desc, avail, used, size, true };

	return vq_setup(&vq, &ram.mem, &c, plain);
}

Test(virtqueue, check_11_sizes)
{
	static const uint16_t bad[] = { 0, 3, 255, 257, 512, 0x8000, 0xffff };

	setup(8, plain);
	for (size_t i = 0; i < array_len(bad); i++) {
		cr_assert_eq(set_up(0x1000, 0x3000, 0x5000, bad[i]), VQ_E_SETUP);
		cr_assert_eq(vq_pop(&vq, &chain), -1);
	}
	for (uint16_t n = 1; n <= VQ_SIZE_MAX; n = (uint16_t)(2 * n))
		cr_assert_eq(set_up(0x1000, 0x3000, 0x5000, n), VQ_OK);
}

Test(virtqueue, check_11_addresses)
{
	const struct vq_config not_ready = { 0x1000, 0x3000, 0x5000, 8, false };
	const uint64_t end = 64 << 20;

	setup(8, plain);
	cr_assert_eq(set_up(0x1008, 0x3000, 0x5000, 8), VQ_E_SETUP);
	cr_assert_eq(set_up(0x1000, 0x3001, 0x5000, 8), VQ_E_SETUP);
	cr_assert_eq(set_up(0x1000, 0x3000, 0x5002, 8), VQ_E_SETUP);
	cr_assert_eq(set_up(end - 112, 0x3000, 0x5000, 8), VQ_E_RANGE);
	cr_assert_eq(set_up(end - 128, 0x3000, 0x5000, 8), VQ_OK);
	cr_assert_eq(set_up(end - 240, 0x3000, 0x5000, 16), VQ_E_RANGE);
	cr_assert_eq(set_up(0x1000, end - 20, 0x5000, 8), VQ_E_RANGE);
	cr_assert_eq(set_up(0x1000, end - 22, 0x5000, 8), VQ_OK);
	cr_assert_eq(set_up(0x1000, 0x3000, end - 68, 8), VQ_E_RANGE);
	cr_assert_eq(set_up(0x1000, 0x3000, end - 72, 8), VQ_OK);
	cr_assert_eq(set_up(0xd0000000, 0x3000, 0x5000, 8), VQ_E_RANGE);
	cr_assert_eq(set_up(UINT64_MAX - 15, 0x3000, 0x5000, 8), VQ_E_RANGE);
	cr_assert_eq(set_up(0x1000, UINT64_MAX - 1, 0x5000, 8), VQ_E_RANGE);
	cr_assert_eq(set_up(0x1000, 0x3000, UINT64_MAX - 3, 8), VQ_E_RANGE);
	cr_assert_eq(vq_setup(&vq, &ram.mem, &not_ready, plain), VQ_E_SETUP);
}

Test(virtqueue, overlapping_areas_hurt_only_the_guest)
{
	setup(8, plain);
	cr_assert_eq(set_up(0x1000, 0x1000, 0x1000, 8), VQ_OK);
	for (int i = 0; i < 100; i++) {
		memset(ram_at(&ram, 0x1000), i, 256);
		if (vq_pop(&vq, &chain) == 1)
			cr_assert(vq_push(&vq, &chain, 4) || vq.err != VQ_OK);
	}
}

Test(virtqueue, check_12_the_same_head_twice)
{
	setup(8, plain);
	driver_desc(&drv, 0, DATA, 4, DRV_WRITE, 0);
	driver_offer(&drv, 0);
	driver_offer(&drv, 0);
	cr_assert_eq(vq_pop(&vq, &chain), 1);
	expect_broken(VQ_E_INFLIGHT);
}

Test(virtqueue, check_12_a_returned_head_may_come_again)
{
	setup(256, plain);
	for (int i = 0; i < 70000; i++) {
		uint16_t head = driver_add(&drv, &(struct buf){ DATA, 8, true }, 1), got;
		uint32_t len;

		cr_assert_eq(vq_pop(&vq, &chain), 1);
		cr_assert_eq(chain.head, head);
		cr_assert(vq_push(&vq, &chain, 3));
		cr_assert_not(vq_push(&vq, &chain, 3), "returned twice");
		cr_assert(driver_used(&drv, &got, &len));
		cr_assert(got == head && len == 3);
		cr_assert_not(driver_used(&drv, &got, &len));
	}
	cr_assert_eq(vq.inflight_count, 0);
}

Test(virtqueue, completion_out_of_order)
{
	static struct vq_chain c[4];
	uint16_t head;
	uint32_t len;

	setup(4, plain);
	for (int i = 0; i < 4; i++) {
		driver_add(&drv, &(struct buf){ DATA + 8u * (unsigned)i, 8, true }, 1);
		cr_assert_eq(vq_pop(&vq, &c[i]), 1);
	}
	cr_assert_eq(vq.inflight_count, 4);
	for (int i = 3; i >= 0; i--) {
		cr_assert(vq_push(&vq, &c[i], 8));
		cr_assert(driver_used(&drv, &head, &len));
		cr_assert_eq(head, c[i].head);
	}
}

Test(virtqueue, nothing_is_returned_through_a_broken_queue)
{
	static struct vq_chain first;

	setup(8, plain);
	driver_add(&drv, &(struct buf){ DATA, 8, true }, 1);
	cr_assert_eq(vq_pop(&vq, &first), 1);
	driver_offer(&drv, 99);
	expect_broken(VQ_E_HEAD);
	cr_assert_not(vq_push(&vq, &first, 8));
	cr_assert_eq(*driver_word(&drv, drv.used + 2), 0);
}

Test(virtqueue, an_unpopped_chain_comes_again)
{
	setup(8, plain);
	driver_add(&drv, (struct buf[]){ out(DATA, 4), in(DATA + 64, 8) }, 2);
	for (int i = 0; i < 5; i++) {
		cr_assert_eq(vq_pop(&vq, &chain), 1);
		cr_assert(chain.read_len == 4 && chain.write_len == 8);
		vq_unpop(&vq, &chain);
	}
	cr_assert_eq(vq.inflight_count, 0);
	cr_assert_eq(vq_pop(&vq, &chain), 1);
	cr_assert(vq_push(&vq, &chain, 0));
	vq_unpop(&vq, &chain);		/* no longer ours: no effect */
	cr_assert_eq(vq_pop(&vq, &chain), 0);
}

/* Eight taken, the first three returned, the others given back: they come again, in order. */
Test(virtqueue, several_unpopped_chains_come_again_in_order)
{
	static struct vq_chain many[8];
	uint16_t head, heads[8];
	uint32_t len;

	setup(8, plain);
	for (int i = 0; i < 8; i++)
		heads[i] = driver_add(&drv, &(struct buf){ DATA + 64u * (unsigned)i, 8, true }, 1);
	for (int i = 0; i < 8; i++)
		cr_assert_eq(vq_pop(&vq, &many[i]), 1);
	for (int i = 0; i < 3; i++)
		cr_assert(vq_push(&vq, &many[i], 8));
	for (int i = 8; i > 3; i--)
		vq_unpop(&vq, &many[i - 1]);
	cr_assert_eq(vq.inflight_count, 0);
	for (int i = 3; i < 8; i++) {
		cr_assert_eq(vq_pop(&vq, &chain), 1);
		cr_assert_eq(chain.head, heads[i]);
		cr_assert(vq_push(&vq, &chain, 8));
	}
	cr_assert_eq(vq_pop(&vq, &chain), 0);
	for (int i = 0; i < 8; i++) {
		cr_assert(driver_used(&drv, &head, &len));
		cr_assert_eq(head, heads[i]);
	}
}

Test(virtqueue, used_length_is_clamped_to_the_writable_part)
{
	uint16_t head;
	uint32_t len;

	setup(8, plain);
	driver_add(&drv, (struct buf[]){ out(DATA, 100), in(DATA, 8) }, 2);
	cr_assert_eq(vq_pop(&vq, &chain), 1);
	cr_assert(vq_push(&vq, &chain, 0xffffffff));
	cr_assert(driver_used(&drv, &head, &len));
	cr_assert_eq(len, 8);
}

Test(virtqueue, after_reset_nothing_is_in_flight_and_nothing_works)
{
	struct vq_config c;

	setup(8, plain);
	driver_add(&drv, &(struct buf){ DATA, 8, true }, 1);
	cr_assert_eq(vq_pop(&vq, &chain), 1);
	vq_reset(&vq);
	cr_assert_eq(vq_pop(&vq, &chain), -1);
	cr_assert_not(vq_push(&vq, &chain, 8));
	vq_unpop(&vq, &chain);
	cr_assert_not(vq_should_interrupt(&vq));
	cr_assert_not(vq_enable_kick(&vq));
	driver_init(&drv, &ram, QUEUE, 8, plain);
	c = driver_config(&drv);
	cr_assert_eq(vq_setup(&vq, &ram.mem, &c, plain), VQ_OK);
	cr_assert_not(vq_push(&vq, &chain, 8), "a chain from before the reset");
	driver_add(&drv, &(struct buf){ DATA, 8, true }, 1);
	cr_assert_eq(vq_pop(&vq, &chain), 1);
}

Test(virtqueue, direct_descriptors_then_an_indirect_one)
{
	setup(8, indirect);
	driver_add_indirect(&drv, TABLE,
			    (struct buf[]){ out(DATA + 16, 4), in(DATA + 32, 8) }, 2);
	driver_desc(&drv, 5, DATA, 16, DRV_NEXT, 0);	/* descriptor 0 is the indirect one */
	drv.avail_idx = 0;
	driver_offer(&drv, 5);
	cr_assert_eq(vq_pop(&vq, &chain), 1);
	cr_assert(chain.head == 5 && chain.nread == 2 && chain.nwrite == 1);
	cr_assert(chain.read_len == 20 && chain.write_len == 8);
}

Test(virtqueue, the_write_flag_of_an_indirect_descriptor_means_nothing)
{
	setup(8, indirect);
	driver_add_indirect(&drv, TABLE, (struct buf[]){ out(DATA, 4) }, 1);
	driver_desc(&drv, 0, TABLE, 16, DRV_INDIRECT | DRV_WRITE, 0);
	cr_assert_eq(vq_pop(&vq, &chain), 1);
	cr_assert(chain.read_len == 4 && chain.nwrite == 0);
}
