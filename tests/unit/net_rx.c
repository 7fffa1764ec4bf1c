/* SPDX-License-Identifier: Apache-2.0 */
/* Frames to the guest: buffers that merge, buffers that are too few, and a driver that starves. */
#include "tests/unit/net.h"

static uint16_t lens[NET_QUEUE_MAX];	/* of the buffer with this head */
static uint64_t addrs[NET_QUEUE_MAX];
static uint64_t next_addr = DATA;

/* Makes @n receive buffers of @len bytes each available. */
static void give(int n, uint32_t len)
{
	for (int i = 0; i < n; i++) {
		uint16_t head = driver_add(&drv[RX], (struct buf[]){ { next_addr, len, true } }, 1);

		memset(ram_at(&ram, next_addr), 0xaa, len);
		lens[head] = (uint16_t)len;
		addrs[head] = next_addr;
		next_addr = next_addr + 0x20000 < (60ull << 20) ? next_addr + 0x20000 : DATA;
	}
}

/* Takes the next frame as a driver does: header, num_buffers, then that many buffers, all of
 * which must be there.  Returns its length, or -1 when there is none; its bytes are in got[]. */
static uint8_t got[BYTES + HEADER];
static struct net_header got_header;
static int buffers;

static int take(void)
{
	uint32_t len, total = 0;
	uint16_t head;

	if (!driver_used(&drv[RX], &head, &len))
		return -1;
	memcpy(&got_header, ram_at(&ram, addrs[head]), HEADER);
	buffers = le16(got_header.num_buffers);
	for (int i = 0;;) {
		cr_assert_leq(len, lens[head]);
		memcpy(got + total, ram_at(&ram, addrs[head]), len);
		total += len;
		if (++i >= buffers)
			break;
		cr_assert(driver_used(&drv[RX], &head, &len), "a frame is published in one piece");
	}
	return (int)(total - HEADER);
}

static bool got_is(uint32_t len, int seed)
{
	for (uint32_t i = 0; i < len; i++)
		if (got[HEADER + i] != (uint8_t)(seed + (int)i))
			return false;
	return true;
}

Test(net_rx, one_buffer)
{
	start(plain);
	give(2, 1526);
	arrive(1514, 5);
	cr_assert_eq(serve(), NET_IDLE);
	cr_assert_eq(take(), 1514);
	cr_assert_eq(buffers, 1);
	cr_assert(got_is(1514, 5));
	cr_assert_eq(take(), -1);
}

Test(net_rx, a_frame_over_as_many_buffers_as_it_fills)
{
	static const struct { uint32_t frame; int want; } t[] = {
		{ 60, 1 }, { 1514, 1 }, { 1515, 2 }, { 1514 + 1526, 2 }, { 1514 + 1526 + 1, 3 },
		{ 65589, 43 },
	};

	for (size_t i = 0; i < array_len(t); i++) {
		start(merge | offloads);
		give(50, 1526);
		arrive(t[i].frame, (int)i);
		cr_assert_eq(serve(), NET_IDLE);
		cr_assert_eq(take(), (int)t[i].frame);
		cr_assert_eq(buffers, t[i].want, "%u", t[i].frame);
		cr_assert(got_is(t[i].frame, (int)i));
		cr_assert_eq(take(), -1);
	}
}

Test(net_rx, buffers_that_were_not_filled_are_the_next_frames)
{
	start(merge);
	give(50, 1526);
	for (int i = 0; i < 50; i++)
		arrive(100, i);
	cr_assert_eq(serve(), NET_IDLE);
	for (int i = 0; i < 50; i++) {
		cr_assert_eq(take(), 100);
		cr_assert(got_is(100, i));
	}
}

Test(net_rx, the_hosts_header_is_the_guests)
{
	struct net_header h = {
		.flags = 1, .gso_type = 1, .gso_size = to_le16(1448), .hdr_len = to_le16(54),
		.csum_start = to_le16(34), .csum_offset = to_le16(16),
	};

	start(merge | offloads);
	give(50, 1526);
	arrive_with(&h, 5000, 1, 0);
	cr_assert_eq(serve(), NET_IDLE);
	cr_assert_eq(take(), 5000);
	h.num_buffers = to_le16(4);
	cr_assert_eq(memcmp(&got_header, &h, HEADER), 0);
}

/* A driver that accepted no offloads gets what it can use, and is not sent the rest. */
Test(net_rx, a_frame_the_driver_cannot_use_is_not_sent_to_it)
{
	const struct net_header open = { .flags = 1, .csum_start = to_le16(34) };

	start(merge);
	give(4, 1526);
	arrive_with(&open, 100, 1, 0);
	arrive(100, 9);
	cr_assert_eq(serve(), NET_IDLE);
	cr_assert_eq(take(), 100);
	cr_assert(got_is(100, 9));
	cr_assert_eq(take(), -1);
	cr_assert_eq(dev.drop[NET_DROP_RX_HEADER].count, 1);
}

Test(net_rx, a_frame_longer_than_the_one_buffer_it_may_have_is_lost)
{
	start(plain);
	give(4, 1526);
	arrive(1515, 1);
	arrive(1514, 2);
	cr_assert_eq(serve(), NET_IDLE);
	cr_assert_eq(take(), 1514);
	cr_assert(got_is(1514, 2));
	cr_assert_eq(dev.drop[NET_DROP_RX_ROOM].count, 1);
}

/* Nobody will give a driver with three buffers a frame that needs four. */
Test(net_rx, a_frame_longer_than_all_buffers_is_lost_and_the_next_comes)
{
	start(merge | offloads);
	give(3, 1526);
	arrive(9000, 1);
	arrive(60, 2);
	cr_assert_eq(serve(), NET_IDLE);
	cr_assert_eq(take(), 60);
	cr_assert(got_is(60, 2));
	cr_assert_eq(dev.drop[NET_DROP_RX_ROOM].count, 1);
}

/* A driver that is behind with its buffers will give them: the frame that did not fit waits. */
Test(net_rx, a_frame_waits_for_buffers_that_will_come)
{
	start(merge | offloads);
	give(200, 1526);
	for (int i = 0; i < 190; i++)
		arrive(60, i);
	arrive(65000, 77);
	arrive(60, 78);
	cr_assert_eq(serve(), NET_IDLE);
	for (int i = 0; i < 190; i++)
		cr_assert_eq(take(), 60);
	cr_assert_eq(take(), -1, "it needs 43 buffers, there are 10");
	cr_assert(net_wants_kick(&dev, RX));
	cr_assert_not(net_wants_frames(&dev, 0), "not a frame more before this one");
	give(20, 1526);
	cr_assert(driver_must_kick(&drv[RX]));
	cr_assert_eq(serve(), NET_IDLE);
	cr_assert_eq(take(), -1, "30 are not enough");
	give(40, 1526);
	cr_assert_eq(serve(), NET_IDLE);
	cr_assert_eq(take(), 65000);
	cr_assert_eq(buffers, 43);
	cr_assert(got_is(65000, 77));
	cr_assert_eq(take(), 60);
	cr_assert(got_is(60, 78));
	cr_assert_eq(dev.drop[NET_DROP_RX_ROOM].count, 0);
}

/* CVE-2020-16843: a queue without buffers, a tap that overflows, then buffers: traffic resumes. */
Test(net_rx, traffic_resumes_after_starvation)
{
	static const uint64_t kinds[] = { plain, merge, plain | VIRTIO_F_EVENT_IDX,
					  merge | VIRTIO_F_EVENT_IDX };

	for (size_t k = 0; k < array_len(kinds); k++) {
		int seen = 0;

		start(kinds[k]);
		for (int i = 0; i < 300; i++)
			arrive(60, i);
		cr_assert_eq(serve(), NET_IDLE);
		cr_assert_eq(host.reads, 0, "nothing to read into");
		cr_assert(net_wants_kick(&dev, RX));
		for (int round = 0; round < 30; round++) {
			give(10, 1526);
			cr_assert(driver_must_kick(&drv[RX]), "round %d", round);
			cr_assert_eq(serve(), NET_IDLE);
			for (; take() == 60; seen++)
				cr_assert(got_is(60, seen));
			cr_assert_eq(seen, 10 * (round + 1));
			cr_assert(net_wants_kick(&dev, RX) && !net_wants_frames(&dev, 0));
			cr_assert_eq(serve(), NET_IDLE, "a kick for nothing");
		}
	}
}

/* Buffers that come between the last look and the wish for a kick are seen without one. */
Test(net_rx, a_tap_is_waited_for_only_with_buffers_in_hand)
{
	start(plain);
	give(1, 1526);
	cr_assert_eq(serve(), NET_IDLE);
	cr_assert(net_wants_frames(&dev, 0) && !net_wants_kick(&dev, RX));
	arrive(60, 1);
	cr_assert_eq(serve(), NET_IDLE);
	cr_assert(!net_wants_frames(&dev, 0) && net_wants_kick(&dev, RX));
}

Test(net_rx, buffers_that_break_the_rules_need_a_reset)
{
	const struct buf bad[][2] = {
		{ { DATA, 11, true } },			/* shorter than a header */
		{ { DATA, 1, true } },
		{ { DATA, 100, false } },		/* not ours to write */
		{ { DATA, 12, false }, { DATA + 0x1000, 1526, true } },
	};
	const uint32_t why[] = { NET_E_RX_SHORT, NET_E_RX_SHORT, NET_E_RX_READABLE,
				 NET_E_RX_READABLE };

	for (size_t i = 0; i < array_len(bad); i++) {
		uint32_t reason, queue;
		bool interrupt;

		start(merge);
		driver_add(&drv[RX], bad[i], bad[i][1].len != 0 ? 2 : 1);
		arrive(60, 1);
		cr_assert_eq(net_serve(&dev, &interrupt, &reason, &queue), NET_BROKEN);
		cr_assert(reason == why[i] && queue == RX, "%zu: %x", i, reason);
		cr_assert_eq(take(), -1);
		cr_assert_eq(serve(), NET_IDLE, "nothing until the driver starts again");
	}
}

Test(net_rx, a_queue_that_is_broken_needs_a_reset)
{
	uint32_t reason, queue;
	bool interrupt;

	start(merge);
	driver_desc(&drv[RX], 0, DATA, 1526, DRV_WRITE | DRV_NEXT, 0);
	driver_offer(&drv[RX], 0);
	cr_assert_eq(net_serve(&dev, &interrupt, &reason, &queue), NET_BROKEN);
	cr_assert(reason == VQ_E_LOOP && queue == RX);
	start(merge);
	driver_desc(&drv[TX], 0, 1ull << 40, 60, 0, 0);
	driver_offer(&drv[TX], 0);
	cr_assert_eq(net_serve(&dev, &interrupt, &reason, &queue), NET_BROKEN);
	cr_assert(reason == VQ_E_RANGE && queue == TX);
}

/* The header over 1 to 12 descriptors, and the frame behind it in the last. */
Test(net_rx, a_buffer_may_be_cut_anywhere)
{
	for (uint16_t pieces = 1; pieces <= HEADER; pieces++) {
		struct buf b[HEADER + 1];
		uint16_t head;
		uint32_t len;

		start(plain);
		for (uint16_t i = 0; i < pieces; i++)
			b[i] = (struct buf){ DATA + i, i + 1 < pieces ? 1 : HEADER - i, true };
		b[pieces] = (struct buf){ DATA + HEADER, 1514, true };
		driver_add(&drv[RX], b, (uint16_t)(pieces + 1));
		arrive(100, 4);
		cr_assert_eq(serve(), NET_IDLE);
		cr_assert(driver_used(&drv[RX], &head, &len));
		cr_assert_eq(len, HEADER + 100);
		memcpy(got, ram_at(&ram, DATA), len);
		cr_assert(got_is(100, 4));
		cr_assert_eq(got[10], 1, "num_buffers");
	}
}

/* More pieces than one readv takes: those that fit are taken, the rest stay in the queue. */
Test(net_rx, buffers_in_many_pieces_wait_their_turn)
{
	struct buf b[250];
	uint16_t head;
	uint32_t len;
	int seen = 0;

	start(merge);
	for (uint16_t i = 0; i < 250; i++)
		b[i] = (struct buf){ DATA + 64ull * i, 40, true };
	for (unsigned i = 0; i < 6; i++)
		driver_add_indirect(&drv[RX], TABLE + 0x2000 * i, b, 250);
	for (int i = 0; i < 6; i++)
		arrive(9000, i);
	cr_assert_eq(serve(), NET_IDLE);
	while (driver_used(&drv[RX], &head, &len))
		seen++;
	cr_assert_eq(seen, 6);
	cr_assert_eq(host.in_at, 6);
}

/* A frame that needs more pieces than can be in hand is lost; it neither waits nor spins. */
Test(net_rx, a_frame_longer_than_what_can_be_in_hand_is_lost)
{
	struct buf b[250];
	uint32_t reason, queue;
	bool interrupt;

	start(merge | offloads);
	give(250, 1526);
	for (int i = 0; i < 250; i++)
		arrive(60, i);
	cr_assert_eq(serve(), NET_IDLE);
	while (take() >= 0)
		;
	for (uint16_t i = 0; i < 250; i++)
		b[i] = (struct buf){ DATA + 64ull * i, 40, true };
	for (unsigned i = 0; i < 8; i++)
		driver_add_indirect(&drv[RX], TABLE + 0x2000 * i, b, 250);
	arrive(65000, 1);
	arrive(60, 2);
	net_kick(&dev, RX);
	for (int i = 0; i < 100; i++)
		if (net_serve(&dev, &interrupt, &reason, &queue) == NET_IDLE)
			break;
	cr_assert_eq(host.in_at, host.nin);
	cr_assert_eq(dev.drop[NET_DROP_RX_ROOM].count, 1);
	cr_assert_eq(*driver_word(&drv[RX], drv[RX].used + 2), 251);
}

/* Frames of any length into buffers of any length, given at any time: every frame that arrives is
 * whole, and they arrive in order. */
Test(net_rx, whatever_arrives_is_whole)
{
	unsigned seed = 1, sent = 0, seen = 0;

	for (int round = 0; round < 40; round++) {
		start(merge | offloads | (round % 2 != 0 ? VIRTIO_F_EVENT_IDX : 0));
		sent = seen = 0;
		for (int step = 0; step < 60; step++) {
			for (int i = rand_r(&seed) % 8; i > 0 && host.nin < FRAMES; i--) {
				uint32_t len = 14 + (uint32_t)rand_r(&seed) %
					       (rand_r(&seed) % 4 == 0 ? 65000 : 2000);

				arrive(len, (int)sent++);
			}
			if (drv[RX].nfree > 40)
				give(1 + rand_r(&seed) % 40, 64 + (uint32_t)rand_r(&seed) % 4000);
			cr_assert_eq(serve(), NET_IDLE);
			for (int len; (len = take()) >= 0; seen++) {
				/* Those that were too long for all buffers were counted. */
				while (seen < sent && (int)host.in[seen].len - HEADER != len)
					seen++;
				cr_assert_lt(seen, sent);
				cr_assert(got_is((uint32_t)len, (int)seen));
			}
		}
		give(drv[RX].nfree, 4096);
		cr_assert_eq(serve(), NET_IDLE);
		while (take() >= 0)
			;
		cr_assert_eq(host.in_at, host.nin, "nothing waits for ever");
	}
}

Test(net_rx, nothing_is_touched_after_a_reset)
{
	uint8_t before[1526];

	start(merge);
	give(4, 1526);
	cr_assert_eq(serve(), NET_IDLE);
	net_reset(&dev);
	memcpy(before, ram_at(&ram, addrs[0]), sizeof(before));
	arrive(60, 1);
	cr_assert_eq(serve(), NET_IDLE);
	cr_assert_eq(host.reads, 1, "the one that found nothing");
	cr_assert_eq(memcmp(before, ram_at(&ram, addrs[0]), sizeof(before)), 0);
}
