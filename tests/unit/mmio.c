/* SPDX-License-Identifier: Apache-2.0 */
/* mmio.c: the register state machine of vmm/virtio_mmio.c against virtio 1.3 §4.2.2.
 *
 * "view" below is what the guest reads.  A refused write must leave no trace: neither in the
 * view nor in the machine. */
#include "vmm/virtio_mmio.c"

#include <criterion/criterion.h>
#include <stdlib.h>

#define OFFERED (VIRTIO_F_VERSION_1 | VIRTIO_F_EVENT_IDX | 1ull << 5)

enum { NQUEUES = 3, QUEUE_MAX = 256, WORDS = VMIO_PAGE / 4 };

struct rig {
	struct virtio_mmio d;
	uint32_t view[WORDS];
};

static uint32_t reg(const struct rig *r, uint32_t offset)
{
	return r->view[offset / 4];
}

static enum vmio_action put(struct rig *r, uint32_t offset, uint32_t value)
{
	return vmio_write(&r->d, offset, 4, value);
}

static void must_put(struct rig *r, uint32_t offset, uint32_t value)
{
	enum vmio_action a = put(r, offset, value);

	cr_assert_neq(a, VMIO_REFUSED, "%#x := %#x in status %#x", offset, value, r->d.status);
}

static void hello(struct rig *r)
{
	struct link_hello h = {
		.version = LINK_VERSION,
		.device_id = 2,
		.features = OFFERED,
		.nqueues = NQUEUES,
		.queue_max = QUEUE_MAX,
		.config_len = 8,
		.config = { 1, 2, 3, 4, 5, 6, 7, 8 },
	};

	memset(r, 0, sizeof(*r));
	vmio_init(&r->d, r->view);
	cr_assert(vmio_hello(&r->d, &h));
}

static void accept_features(struct rig *r, uint64_t features)
{
	must_put(r, VIRTIO_MMIO_DRIVER_FEATURES_SEL, 0);
	must_put(r, VIRTIO_MMIO_DRIVER_FEATURES, (uint32_t)features);
	must_put(r, VIRTIO_MMIO_DRIVER_FEATURES_SEL, 1);
	must_put(r, VIRTIO_MMIO_DRIVER_FEATURES, (uint32_t)(features >> 32));
}

static void set_up_queue(struct rig *r, uint32_t queue)
{
	must_put(r, VIRTIO_MMIO_QUEUE_SEL, queue);
	must_put(r, VIRTIO_MMIO_QUEUE_NUM, 16);
	must_put(r, VIRTIO_MMIO_QUEUE_DESC_LOW, 0x1000);
	must_put(r, VIRTIO_MMIO_QUEUE_DESC_HIGH, 1);
	must_put(r, VIRTIO_MMIO_QUEUE_AVAIL_LOW, 0x2000);
	must_put(r, VIRTIO_MMIO_QUEUE_AVAIL_HIGH, 2);
	must_put(r, VIRTIO_MMIO_QUEUE_USED_LOW, 0x3000);
	must_put(r, VIRTIO_MMIO_QUEUE_USED_HIGH, 3);
}

/* The situations a driver can bring the device into. */
enum at { AT_RESET, AT_FOUND, AT_DRIVEN, AT_AGREED, AT_READY, AT_LIVE, AT_BROKEN, AT_FAILED,
	  AT_STOPPING, ATS };

static void bring_to(struct rig *r, enum at at)
{
	hello(r);
	if (at >= AT_FOUND)
		must_put(r, VIRTIO_MMIO_STATUS, FOUND);
	if (at >= AT_DRIVEN) {
		must_put(r, VIRTIO_MMIO_STATUS, DRIVEN);
		accept_features(r, VIRTIO_F_VERSION_1 | 1ull << 5);
	}
	if (at >= AT_AGREED) {
		must_put(r, VIRTIO_MMIO_STATUS, AGREED);
		set_up_queue(r, 1);
	}
	if (at >= AT_READY)
		must_put(r, VIRTIO_MMIO_QUEUE_READY, 1);
	if (at >= AT_LIVE)
		cr_assert_eq(put(r, VIRTIO_MMIO_STATUS, LIVE), VMIO_ACTIVATE);
	if (at == AT_BROKEN)
		cr_assert(vmio_needs_reset(&r->d));
	if (at == AT_FAILED)
		must_put(r, VIRTIO_MMIO_STATUS, LIVE | VMIO_S_FAILED);
	if (at == AT_STOPPING)
		cr_assert_eq(put(r, VIRTIO_MMIO_STATUS, 0), VMIO_RESET);
}

/* When a 32-bit write to @offset may do anything at all: a mask of situations. */
static uint32_t writable(uint32_t offset)
{
	const uint32_t any = (1u << AT_STOPPING) - 1;

	switch (offset) {
	case 0x014: case 0x024: case 0x030: case 0x064: case 0x070: case 0x0ac:
		return any;
	case 0x020:
		return 1u << AT_DRIVEN;
	case 0x038: case 0x080: case 0x084: case 0x090: case 0x094: case 0x0a0: case 0x0a4:
		return 1u << AT_AGREED;
	case 0x044:
		return 1u << AT_AGREED | 1u << AT_READY;
	default:
		return 0;
	}
}

static const uint32_t values[] = {
	0, 1, 2, 3, 4, 7, 0xb, 0xf, 0x10, 0x40, 0x80, 0xc0, 0x100, 0x101, 0xffff, 0x10000,
	0x7fffffff, 0x80000000, 0xfffffff0, 0xffffffff,
};

/* Writes and, when it was refused, checks that nothing at all has changed. */
static enum vmio_action try(struct rig *r, uint64_t offset, uint32_t len, uint32_t value)
{
	const struct rig before = *r;
	enum vmio_action a = vmio_write(&r->d, offset, len, value);

	if (a == VMIO_REFUSED)
		cr_assert(memcmp(&before, r, sizeof(before)) == 0,
			  "refused %#lx/%u := %#x left a trace", offset, len, value);
	return a;
}

Test(mmio, every_write_of_another_width_or_alignment_is_refused_everywhere)
{
	static const uint32_t widths[] = { 1, 2, 3, 4, 8 };
	struct rig r;

	for (enum at at = 0; at < ATS; at++) {
		bring_to(&r, at);
		for (uint32_t offset = 0; offset < VMIO_PAGE; offset++) {
			for (size_t w = 0; w < array_len(widths); w++) {
				if (widths[w] == 4 && offset % 4 == 0)
					continue;
				cr_assert_eq(try(&r, offset, widths[w], 1), VMIO_REFUSED);
				cr_assert_eq(try(&r, offset, widths[w], 0), VMIO_REFUSED);
			}
		}
	}
}

Test(mmio, every_register_is_writable_exactly_when_the_specification_says)
{
	struct rig r;

	for (enum at at = 0; at < ATS; at++) {
		for (uint32_t offset = 0; offset < VMIO_PAGE; offset += 4) {
			if ((writable(offset) & 1u << at) != 0)
				continue;
			for (size_t v = 0; v < array_len(values); v++) {
				enum vmio_action a;

				bring_to(&r, at);
				a = try(&r, offset, 4, values[v]);
				/* Two writes that have nothing to do are no offence. */
				if (offset == VIRTIO_MMIO_STATUS && values[v] == 0)
					cr_assert_eq(a, VMIO_RESET);
				else if (offset == VIRTIO_MMIO_QUEUE_READY && values[v] == 0 &&
					 at < AT_AGREED)
					cr_assert_eq(a, VMIO_DONE);
				else
					cr_assert_eq(a, VMIO_REFUSED, "%#x := %#x at %d", offset,
						     values[v], at);
			}
		}
	}
}

Test(mmio, offsets_beyond_the_page_are_refused)
{
	static const uint64_t far[] = { 0x1000, 0x1070, 1ull << 32 | 0x70, ~0ull, ~3ull };
	struct rig r;

	bring_to(&r, AT_AGREED);
	for (size_t i = 0; i < array_len(far); i++)
		cr_assert_eq(try(&r, far[i], 4, 0), VMIO_REFUSED);
}

Test(mmio, the_identity_registers_are_the_specifications)
{
	struct rig r;

	hello(&r);
	cr_assert_eq(reg(&r, VIRTIO_MMIO_MAGIC_VALUE), 0x74726976);
	cr_assert_eq(reg(&r, VIRTIO_MMIO_VERSION), 2);
	cr_assert_eq(reg(&r, VIRTIO_MMIO_DEVICE_ID), 2);
	cr_assert_eq(reg(&r, VIRTIO_MMIO_SHM_LEN_LOW), 0xffffffff);
	cr_assert_eq(reg(&r, VIRTIO_MMIO_SHM_LEN_HIGH), 0xffffffff);
	cr_assert_eq(reg(&r, VIRTIO_MMIO_CONFIG), 0x04030201);
	cr_assert_eq(reg(&r, VIRTIO_MMIO_CONFIG + 4), 0x08070605);
	cr_assert_eq(reg(&r, VIRTIO_MMIO_CONFIG + 8), 0);
	cr_assert_eq(reg(&r, VIRTIO_MMIO_INTERRUPT_STATUS), 0);
	cr_assert_eq(reg(&r, 0x0c0), 0, "QueueReset is not offered");
}

Test(mmio, a_hello_with_a_feature_this_transport_lacks_is_refused)
{
	static const unsigned int bits[] = { 24, 27, 30, 33, 34, 35, 36, 37, 38, 39, 40, 41, 42, 49 };
	struct rig r = { 0 };

	for (size_t i = 0; i < array_len(bits); i++) {
		struct link_hello h = {
			.features = VIRTIO_F_VERSION_1 | 1ull << bits[i],
			.nqueues = 1, .queue_max = 64, .device_id = 2,
		};

		vmio_init(&r.d, r.view);
		cr_assert_not(vmio_hello(&r.d, &h), "bit %u", bits[i]);
		cr_assert_eq(reg(&r, VIRTIO_MMIO_DEVICE_ID), 0);
	}
}

/* §6: 0 to 23, and 50 and more. */
Test(mmio, every_bit_of_the_device_type_is_carried)
{
	for (unsigned bit = 0; bit < 64; bit = bit == 23 ? 50 : bit + 1) {
		const struct link_hello h = {
			.features = VIRTIO_F_VERSION_1 | 1ull << bit,
			.nqueues = 1, .queue_max = 64, .device_id = 1,
		};
		struct rig r = { 0 };

		vmio_init(&r.d, r.view);
		cr_assert(vmio_hello(&r.d, &h), "bit %u", bit);
	}
}

Test(mmio, selectors_choose_what_is_shown)
{
	struct rig r;

	bring_to(&r, AT_READY);
	must_put(&r, VIRTIO_MMIO_DEVICE_FEATURES_SEL, 0);
	cr_assert_eq(reg(&r, VIRTIO_MMIO_DEVICE_FEATURES), (uint32_t)OFFERED);
	must_put(&r, VIRTIO_MMIO_DEVICE_FEATURES_SEL, 1);
	cr_assert_eq(reg(&r, VIRTIO_MMIO_DEVICE_FEATURES), (uint32_t)(OFFERED >> 32));
	for (size_t i = 2; i < array_len(values); i++) {
		must_put(&r, VIRTIO_MMIO_DEVICE_FEATURES_SEL, values[i]);
		cr_assert_eq(reg(&r, VIRTIO_MMIO_DEVICE_FEATURES), 0);
	}
	for (size_t i = 0; i < array_len(values); i++) {
		bool exists = values[i] < NQUEUES;

		must_put(&r, VIRTIO_MMIO_QUEUE_SEL, values[i]);
		cr_assert_eq(reg(&r, VIRTIO_MMIO_QUEUE_NUM_MAX), exists ? QUEUE_MAX : 0);
		cr_assert_eq(reg(&r, VIRTIO_MMIO_QUEUE_READY), values[i] == 1);
	}
}

Test(mmio, a_queue_that_does_not_exist_cannot_be_set_up)
{
	static const uint32_t no_queue[] = { NQUEUES, 7, 8, 0x80000000, 0xffffffff };
	struct rig r;

	for (size_t i = 0; i < array_len(no_queue); i++) {
		bring_to(&r, AT_AGREED);
		must_put(&r, VIRTIO_MMIO_QUEUE_SEL, no_queue[i]);
		for (uint32_t offset = 0x38; offset <= 0xa4; offset += 4)
			if ((writable(offset) & 1u << AT_AGREED) != 0 && offset != 0x64 &&
			    offset != 0x70)
				cr_assert_eq(try(&r, offset, 4, 1), VMIO_REFUSED);
	}
}

Test(mmio, queue_sizes_are_powers_of_two_up_to_the_maximum)
{
	struct rig r;

	bring_to(&r, AT_AGREED);
	for (uint32_t size = 0; size <= 70000; size++) {
		bool good = size != 0 && size <= QUEUE_MAX && (size & (size - 1)) == 0;

		cr_assert_eq(try(&r, VIRTIO_MMIO_QUEUE_NUM, 4, size),
			     good ? VMIO_DONE : VMIO_REFUSED, "size %u", size);
	}
	cr_assert_eq(try(&r, VIRTIO_MMIO_QUEUE_NUM, 4, 0x10010), VMIO_REFUSED);
}

Test(mmio, a_queue_gets_ready_only_with_a_size_and_aligned_areas)
{
	struct rig r;

	bring_to(&r, AT_AGREED);
	must_put(&r, VIRTIO_MMIO_QUEUE_SEL, 0);
	cr_assert_eq(try(&r, VIRTIO_MMIO_QUEUE_READY, 4, 1), VMIO_REFUSED, "no size");
	set_up_queue(&r, 0);
	must_put(&r, VIRTIO_MMIO_QUEUE_DESC_LOW, 0x1008);
	cr_assert_eq(try(&r, VIRTIO_MMIO_QUEUE_READY, 4, 1), VMIO_REFUSED, "table");
	set_up_queue(&r, 0);
	must_put(&r, VIRTIO_MMIO_QUEUE_AVAIL_LOW, 0x2001);
	cr_assert_eq(try(&r, VIRTIO_MMIO_QUEUE_READY, 4, 1), VMIO_REFUSED, "avail ring");
	set_up_queue(&r, 0);
	must_put(&r, VIRTIO_MMIO_QUEUE_USED_LOW, 0x3002);
	cr_assert_eq(try(&r, VIRTIO_MMIO_QUEUE_READY, 4, 1), VMIO_REFUSED, "used ring");
	set_up_queue(&r, 0);
	cr_assert_eq(try(&r, VIRTIO_MMIO_QUEUE_READY, 4, 2), VMIO_REFUSED, "2 is not a bool");
	cr_assert_eq(try(&r, VIRTIO_MMIO_QUEUE_READY, 4, 1), VMIO_DONE);
	cr_assert_eq(reg(&r, VIRTIO_MMIO_QUEUE_READY), 1);
	cr_assert_eq(try(&r, VIRTIO_MMIO_QUEUE_READY, 4, 1), VMIO_DONE, "twice is once");
	cr_assert_eq(try(&r, VIRTIO_MMIO_QUEUE_READY, 4, 0), VMIO_DONE);
	cr_assert_eq(reg(&r, VIRTIO_MMIO_QUEUE_READY), 0);
	cr_assert_eq(try(&r, VIRTIO_MMIO_QUEUE_NUM, 4, 32), VMIO_DONE, "open again");
}

/* CVE-2026-5747 in another monitor: sizes that were checked once, then changed. */
Test(mmio, after_driver_ok_no_order_of_writes_changes_a_queue)
{
	static const uint32_t frozen[] = { 0x38, 0x80, 0x84, 0x90, 0x94, 0xa0, 0xa4, 0x44 };
	struct link_activate before, after;
	uint32_t state = 1;
	struct rig r;

	for (enum at at = AT_LIVE; at < ATS; at++) {
		bring_to(&r, at);
		vmio_activation(&r.d, &before);
		for (unsigned int i = 0; i < 100000; i++) {
			uint32_t offset;

			state = state * 1664525 + 1013904223;
			offset = frozen[state >> 29];
			put(&r, offset, values[(state >> 8) % array_len(values)]);
			put(&r, VIRTIO_MMIO_QUEUE_SEL, state >> 20 & 3);
		}
		vmio_activation(&r.d, &after);
		cr_assert(memcmp(&before, &after, sizeof(before)) == 0, "at %d", at);
	}
}

Test(mmio, activation_carries_exactly_the_ready_queues)
{
	struct link_activate a;
	struct rig r;

	bring_to(&r, AT_AGREED);	/* queue 1 is set up but not ready */
	set_up_queue(&r, 2);
	must_put(&r, VIRTIO_MMIO_QUEUE_READY, 1);
	cr_assert_eq(put(&r, VIRTIO_MMIO_STATUS, LIVE), VMIO_ACTIVATE);
	vmio_activation(&r.d, &a);
	cr_assert_eq(a.features, VIRTIO_F_VERSION_1 | 1ull << 5);
	for (uint32_t i = 0; i < LINK_QUEUES_MAX; i++) {
		const struct link_queue none = { 0 };

		if (i != 2)
			cr_assert(memcmp(&a.queue[i], &none, sizeof(none)) == 0, "queue %u", i);
	}
	cr_assert_eq(a.queue[2].ready, 1);
	cr_assert_eq(a.queue[2].size, 16);
	cr_assert_eq(a.queue[2].desc, 0x100001000);
	cr_assert_eq(a.queue[2].avail, 0x200002000);
	cr_assert_eq(a.queue[2].used, 0x300003000);
	cr_assert_eq(reg(&r, VIRTIO_MMIO_INTERRUPT_STATUS), 1);
}

Test(mmio, features_are_agreed_when_they_are_a_subset_with_version_1)
{
	static const struct {
		uint64_t features;
		bool good;
	} cases[] = {
		{ VIRTIO_F_VERSION_1, true },
		{ OFFERED, true },
		{ 0, false },
		{ OFFERED & ~VIRTIO_F_VERSION_1, false },
		{ OFFERED | 1, false },
		{ OFFERED | VIRTIO_F_INDIRECT_DESC, false },
		{ OFFERED | 1ull << 38, false },
		{ ~0ull, false },
	};
	struct rig r;

	for (size_t i = 0; i < array_len(cases); i++) {
		bring_to(&r, AT_DRIVEN);
		accept_features(&r, cases[i].features);
		cr_assert_eq(try(&r, VIRTIO_MMIO_STATUS, 4, AGREED),
			     cases[i].good ? VMIO_DONE : VMIO_REFUSED, "case %zu", i);
		cr_assert_eq(reg(&r, VIRTIO_MMIO_STATUS), cases[i].good ? AGREED : DRIVEN);
	}
	bring_to(&r, AT_DRIVEN);
	must_put(&r, VIRTIO_MMIO_DRIVER_FEATURES_SEL, 2);
	must_put(&r, VIRTIO_MMIO_DRIVER_FEATURES, 1);
	cr_assert_eq(try(&r, VIRTIO_MMIO_STATUS, 4, AGREED), VMIO_REFUSED, "bit 64");
}

Test(mmio, only_the_four_steps_failed_and_reset_exist)
{
	static const uint32_t next[ATS] = {
		[AT_RESET] = FOUND, [AT_FOUND] = DRIVEN, [AT_DRIVEN] = AGREED, [AT_AGREED] = LIVE,
		[AT_READY] = LIVE,
	};
	struct rig r;

	for (enum at at = 0; at < AT_STOPPING; at++) {
		for (uint32_t value = 1; value < 0x200; value++) {
			enum vmio_action a;
			uint32_t written = value & ~(uint32_t)VMIO_S_NEEDS_RESET;
			uint32_t now, sticky;
			bool legal;

			bring_to(&r, at);
			sticky = r.d.status & VMIO_S_NEEDS_RESET;
			now = r.d.status & ~sticky;
			legal = written == now || written == (now | VMIO_S_FAILED) ||
				(next[at] != 0 && written == next[at]);
			a = try(&r, VIRTIO_MMIO_STATUS, 4, value);
			cr_assert_eq(a != VMIO_REFUSED, legal, "%#x in %#x", value, r.d.status);
			cr_assert_eq(reg(&r, VIRTIO_MMIO_STATUS) & VMIO_S_NEEDS_RESET, sticky);
			cr_assert_eq(reg(&r, VIRTIO_MMIO_STATUS), r.d.status);
		}
	}
}

Test(mmio, a_reset_shows_only_when_the_device_has_stopped_and_brings_all_back)
{
	for (enum at at = 0; at < AT_STOPPING; at++) {
		struct rig fresh, r;
		uint32_t status;

		hello(&fresh);
		bring_to(&r, at);
		status = reg(&r, VIRTIO_MMIO_STATUS);
		cr_assert_eq(put(&r, VIRTIO_MMIO_STATUS, 0), VMIO_RESET);
		cr_assert_eq(reg(&r, VIRTIO_MMIO_STATUS), status);
		cr_assert_eq(put(&r, VIRTIO_MMIO_STATUS, 0), VMIO_RESET, "asking again");
		cr_assert_eq(try(&r, VIRTIO_MMIO_STATUS, 4, 1), VMIO_REFUSED);
		cr_assert_eq(try(&r, VIRTIO_MMIO_QUEUE_SEL, 4, 1), VMIO_REFUSED);
		vmio_reset_done(&r.d);
		cr_assert(memcmp(r.view, fresh.view, sizeof(r.view)) == 0, "at %d", at);
		r.d.page = fresh.d.page;
		cr_assert(memcmp(&r.d, &fresh.d, sizeof(r.d)) == 0, "at %d", at);
	}
}

Test(mmio, needs_reset_interrupts_a_live_driver_and_stays_until_reset)
{
	struct rig r;

	bring_to(&r, AT_BROKEN);
	cr_assert_eq(reg(&r, VIRTIO_MMIO_STATUS), LIVE | VMIO_S_NEEDS_RESET);
	cr_assert_eq(reg(&r, VIRTIO_MMIO_INTERRUPT_STATUS), 3);
	must_put(&r, VIRTIO_MMIO_INTERRUPT_ACK, 3);
	cr_assert_eq(reg(&r, VIRTIO_MMIO_INTERRUPT_STATUS), 1);
	must_put(&r, VIRTIO_MMIO_STATUS, LIVE);
	cr_assert_eq(reg(&r, VIRTIO_MMIO_STATUS), LIVE | VMIO_S_NEEDS_RESET);
	bring_to(&r, AT_STOPPING);
	cr_assert_not(vmio_needs_reset(&r.d), "it is being reset already");
	cr_assert_eq(reg(&r, VIRTIO_MMIO_STATUS), LIVE);
	bring_to(&r, AT_AGREED);
	cr_assert_not(vmio_needs_reset(&r.d), "nobody to tell");
}

Test(mmio, a_configuration_change_changes_the_generation_and_interrupts_once_acknowledged)
{
	struct link_config c = { .len = 8, .config = { 9, 9, 9, 9, 9, 9, 9, 9 } };
	struct rig r;
	uint32_t before;

	bring_to(&r, AT_LIVE);
	before = reg(&r, VIRTIO_MMIO_CONFIG_GENERATION);
	cr_assert(vmio_config(&r.d, &c));
	cr_assert_eq(reg(&r, VIRTIO_MMIO_CONFIG_GENERATION), before + 2);
	cr_assert_eq(reg(&r, VIRTIO_MMIO_CONFIG), 0x09090909);
	cr_assert_eq(reg(&r, VIRTIO_MMIO_INTERRUPT_STATUS), 3);
	must_put(&r, VIRTIO_MMIO_INTERRUPT_ACK, 1);
	cr_assert_eq(reg(&r, VIRTIO_MMIO_INTERRUPT_STATUS), 3, "not this one");
	must_put(&r, VIRTIO_MMIO_INTERRUPT_ACK, 2);
	cr_assert_eq(reg(&r, VIRTIO_MMIO_INTERRUPT_STATUS), 1);
	cr_assert_eq(try(&r, VIRTIO_MMIO_INTERRUPT_ACK, 4, 4), VMIO_REFUSED);
	bring_to(&r, AT_DRIVEN);
	cr_assert_not(vmio_config(&r.d, &c), "not live");
	cr_assert_eq(reg(&r, VIRTIO_MMIO_CONFIG), 0x09090909);
}

Test(mmio, a_notification_that_no_eventfd_took_does_nothing)
{
	struct rig r;

	for (enum at at = 0; at < ATS; at++) {
		bring_to(&r, at);
		for (size_t v = 0; v < array_len(values); v++)
			cr_assert_eq(try(&r, VIRTIO_MMIO_QUEUE_NOTIFY, 4, values[v]), VMIO_REFUSED);
	}
}
