/* SPDX-License-Identifier: Apache-2.0 */
/* Who wakes whom: interrupts and kicks, with and without EVENT_IDX (virtio 1.3 §2.7.7, §2.7.10). */
#include "tests/unit/virtqueue.h"

static void complete(int n)
{
	for (int i = 0; i < n; i++) {
		uint16_t head;
		uint32_t len;

		driver_add(&drv, &(struct buf){ DATA, 8, true }, 1);
		cr_assert_eq(vq_pop(&vq, &chain), 1);
		cr_assert(vq_push(&vq, &chain, 8));
		cr_assert(driver_used(&drv, &head, &len));
	}
}

Test(virtqueue, need_event_is_the_specification_s_formula)
{
	/* Index moves old..new; event is hit when old <= event < new, all modulo 2^16. */
	static const uint16_t starts[] = { 0, 1, 255, 0x7fff, 0x8000, 0xff00, 0xffff };

	for (size_t i = 0; i < array_len(starts); i++)
		for (uint16_t moved = 0; moved < 300; moved++)
			for (int e = -300; e < 600; e++) {
				uint16_t event = (uint16_t)(starts[i] + e);
				bool hit = e >= 0 && e < moved;

				cr_assert_eq(need_event(event, (uint16_t)(starts[i] + moved),
							starts[i]), hit);
			}
}

Test(virtqueue, event_idx_interrupts_when_used_event_is_passed)
{
	setup(8, event_idx);
	cr_assert_not(vq_should_interrupt(&vq), "nothing was pushed");
	complete(1);
	cr_assert(vq_should_interrupt(&vq));		/* used_event 0: the first entry */
	cr_assert_not(vq_should_interrupt(&vq), "asked twice");
	complete(1);
	cr_assert_not(vq_should_interrupt(&vq), "used_event still 0");
	driver_used_event(&drv, 4);
	complete(2);
	cr_assert_not(vq_should_interrupt(&vq), "four entries used, the fifth was asked for");
	complete(1);
	cr_assert(vq_should_interrupt(&vq));
	driver_used_event(&drv, 7);
	complete(7);
	cr_assert(vq_should_interrupt(&vq), "a batch that passes the event");
}

Test(virtqueue, event_idx_across_the_wrap)
{
	int interrupts = 0;

	setup(256, event_idx);
	for (int i = 0; i < 140000; i++) {
		driver_used_event(&drv, (uint16_t)(drv.last_used + 2));
		complete(3);
		interrupts += vq_should_interrupt(&vq);
	}
	cr_assert_eq(interrupts, 140000);
}

Test(virtqueue, every_value_of_used_event)
{
	setup(8, event_idx);
	complete(3);
	cr_assert(vq_should_interrupt(&vq));
	for (uint32_t e = 0; e < 0x10000; e++) {
		uint16_t next = (uint16_t)(vq.next_used);
		uint16_t d = (uint16_t)(e - next);

		driver_used_event(&drv, (uint16_t)e);
		complete(1);
		cr_assert_eq(vq_should_interrupt(&vq), d == 0);
	}
}

Test(virtqueue, a_whole_turn_without_a_decision_interrupts)
{
	setup(256, event_idx);
	complete(1);
	cr_assert(vq_should_interrupt(&vq));
	driver_used_event(&drv, 0x8000);
	complete(0x10000);
	cr_assert(vq_should_interrupt(&vq));
	cr_assert_not(vq_should_interrupt(&vq));
}

Test(virtqueue, without_event_idx_the_flag_decides)
{
	setup(8, plain);
	complete(1);
	cr_assert(vq_should_interrupt(&vq));
	cr_assert_not(vq_should_interrupt(&vq));
	driver_no_interrupt(&drv, true);
	complete(1);
	cr_assert_not(vq_should_interrupt(&vq));
	driver_no_interrupt(&drv, false);
	complete(1);
	cr_assert(vq_should_interrupt(&vq));
	*driver_word(&drv, drv.avail) = 0xfffe;		/* undefined bits */
	complete(1);
	cr_assert(vq_should_interrupt(&vq));
}

Test(virtqueue, without_event_idx_kicks_are_switched_by_the_flag)
{
	setup(8, plain);
	vq_disable_kick(&vq);
	driver_add(&drv, &(struct buf){ DATA, 8, true }, 1);
	cr_assert_not(driver_must_kick(&drv));
	cr_assert(vq_enable_kick(&vq), "a chain came meanwhile");
	cr_assert_eq(vq_pop(&vq, &chain), 1);
	cr_assert_not(vq_enable_kick(&vq));
	driver_add(&drv, &(struct buf){ DATA, 8, true }, 1);
	cr_assert(driver_must_kick(&drv));
}

Test(virtqueue, with_event_idx_one_kick_a_sleep)
{
	setup(8, event_idx);
	cr_assert_not(vq_enable_kick(&vq));
	driver_add(&drv, &(struct buf){ DATA, 8, true }, 1);
	cr_assert(driver_must_kick(&drv));
	driver_add(&drv, &(struct buf){ DATA, 8, true }, 1);
	cr_assert_not(driver_must_kick(&drv), "the device is awake");
	vq_disable_kick(&vq);
	cr_assert_eq(*driver_word(&drv, drv.used), 0, "flags must stay 0 (2.7.10)");
	cr_assert_eq(vq_pop(&vq, &chain), 1);
	cr_assert(vq_enable_kick(&vq));
	cr_assert_eq(vq_pop(&vq, &chain), 1);
	cr_assert_not(vq_enable_kick(&vq));
	driver_add(&drv, &(struct buf){ DATA, 8, true }, 1);
	cr_assert(driver_must_kick(&drv));
}

Test(virtqueue, the_guest_scribbling_on_the_used_ring_moves_nothing)
{
	setup(8, plain);
	for (uint16_t i = 0; i < 20; i++) {
		memset(ram_at(&ram, drv.used), 0xa5, 4 + 8 * 8 + 2);
		driver_desc(&drv, 0, DATA, 4, DRV_WRITE, 0);
		driver_offer(&drv, 0);
		cr_assert_eq(vq_pop(&vq, &chain), 1);
		cr_assert(vq_push(&vq, &chain, 4));
		cr_assert_eq(*driver_word(&drv, drv.used + 2), i + 1);
	}
}

Test(virtqueue, a_kick_with_nothing_is_nothing)
{
	setup(8, event_idx);
	for (int i = 0; i < 1000000; i++)
		cr_assert_eq(vq_pop(&vq, &chain), 0);
	cr_assert_not(vq_should_interrupt(&vq));
}

/* The buffers of one frame: used.idx moves once, over all of them. */
Test(virtqueue, several_chains_are_published_at_once)
{
	struct vq_used u[3];
	uint16_t head;
	uint32_t len;

	setup(8, plain);
	for (uint16_t i = 0; i < 3; i++) {
		driver_add(&drv, &(struct buf){ DATA, 8, true }, 1);
		cr_assert_eq(vq_pop(&vq, &chain), 1);
		u[i] = (struct vq_used){ chain.head, i + 1u };
	}
	cr_assert(vq_push_all(&vq, u, 3));
	cr_assert_eq(*driver_word(&drv, drv.used + 2), 3);
	for (uint32_t i = 0; i < 3; i++) {
		cr_assert(driver_used(&drv, &head, &len));
		cr_assert(head == u[i].head && len == i + 1);
	}
	cr_assert(vq_should_interrupt(&vq));
	cr_assert_not(vq_should_interrupt(&vq));
}

Test(virtqueue, a_head_that_is_not_in_flight_publishes_nothing)
{
	struct vq_used u[2];

	setup(8, plain);
	driver_add(&drv, &(struct buf){ DATA, 8, true }, 1);
	cr_assert_eq(vq_pop(&vq, &chain), 1);
	u[0] = u[1] = (struct vq_used){ chain.head, 1 };
	cr_assert_not(vq_push_all(&vq, u, 2), "given back twice");
	cr_assert_eq(*driver_word(&drv, drv.used + 2), 0);
	u[0].head = 300;
	cr_assert_not(vq_push_all(&vq, u, 1));
}

/* A turn of the index in steps of three: passed or met, the last decision says nothing. */
Test(virtqueue, a_whole_turn_in_batches_interrupts)
{
	setup(8, event_idx);
	for (int i = 0; i < 65538; i += 3) {
		struct vq_used u[3];
		uint16_t head;
		uint32_t len;

		for (int k = 0; k < 3; k++) {
			driver_add(&drv, &(struct buf){ DATA, 8, true }, 1);
			cr_assert_eq(vq_pop(&vq, &chain), 1);
			u[k] = (struct vq_used){ chain.head, 1 };
		}
		cr_assert(vq_push_all(&vq, u, 3));
		while (driver_used(&drv, &head, &len))
			;
	}
	driver_used_event(&drv, 30000);
	cr_assert_not(vq.signalled_valid);
	cr_assert(vq_should_interrupt(&vq), "in doubt, yes");
}
