/* SPDX-License-Identifier: Apache-2.0 */
/* The network device: what it says it is, frames from the guest, the control queue. */
#include "tests/unit/net.h"

Test(net, says_what_it_is)
{
	struct link_hello h;
	struct net_config c;

	device_of(1);
	net_hello(&dev, &h);
	cr_assert(h.device_id == 1 && h.nqueues == 2 && h.queue_max == 256 && h.config_len == 12);
	cr_assert_eq(h.features & (NET_F_MQ | NET_F_CTRL_VQ), 0);
	cr_assert_eq(h.features & (NET_F_MAC | NET_F_MTU | NET_F_STATUS | NET_F_MRG_RXBUF),
		     NET_F_MAC | NET_F_MTU | NET_F_STATUS | NET_F_MRG_RXBUF);
	memcpy(&c, h.config, sizeof(c));
	cr_assert_eq(memcmp(c.mac, (uint8_t[]){ 2, 0, 0, 0, 0, 1 }, 6), 0);
	cr_assert(le16(c.status) == 1 && le16(c.max_pairs) == 1 && le16(c.mtu) == 1500);
	device_of(4);
	net_hello(&dev, &h);
	memcpy(&c, h.config, sizeof(c));
	cr_assert(h.nqueues == 9 && le16(c.max_pairs) == 4);
	cr_assert_eq(h.features & (NET_F_MQ | NET_F_CTRL_VQ), NET_F_MQ | NET_F_CTRL_VQ);
}

Test(net, offers_what_the_tap_can)
{
	struct vm_device d = { .nqueues = 2, .mtu = 1500, .mac = { 2 } };
	const uint64_t uso = NET_F_HOST_USO | NET_F_GUEST_USO4 | NET_F_GUEST_USO6;

	device_of(1);
	net_init(&dev, &ram.mem, &pages, &d);
	cr_assert_eq(dev.offered & (offloads | uso), 0);
	d.flags = VM_NET_OFFLOADS;
	net_init(&dev, &ram.mem, &pages, &d);
	cr_assert_eq(dev.offered & (offloads | uso), offloads);
	d.flags |= VM_NET_USO;
	net_init(&dev, &ram.mem, &pages, &d);
	cr_assert_eq(dev.offered & (offloads | uso), offloads | uso);
}

Test(net, a_frame_reaches_the_tap_whole)
{
	start(plain);
	put_frame(&(struct net_header){ 0 }, 60, 7);
	send_data(HEADER + 60);
	cr_assert_eq(host.nout, 1);
	cr_assert(frame_is(&host.out[0], 60, 7));
}

Test(net, a_header_in_any_number_of_descriptors_is_one_header)
{
	struct net_header h = { .flags = 1, .csum_start = to_le16(34), .csum_offset = to_le16(16) };

	start(plain | offloads);
	put_frame(&h, 100, 3);
	make_tcp();
	for (uint16_t pieces = 1; pieces <= HEADER; pieces++) {
		struct buf b[HEADER + 1];
		uint16_t head;
		uint32_t len;

		/* pieces - 1 of one byte, the rest of the header, the frame */
		for (uint16_t i = 0; i < pieces; i++)
			b[i] = (struct buf){ DATA + i, i + 1 < pieces ? 1 : HEADER - i, false };
		b[pieces] = (struct buf){ DATA + HEADER, 100, false };
		if (pieces % 2 == 0)
			driver_add(&drv[TX], b, (uint16_t)(pieces + 1));
		else
			driver_add_indirect(&drv[TX], TABLE, b, (uint16_t)(pieces + 1));
		cr_assert_eq(serve(), NET_IDLE);
		cr_assert(driver_used(&drv[TX], &head, &len));
		cr_assert_eq(host.nout, pieces);
		cr_assert_eq(host.out[pieces - 1].len, HEADER + 100);
		cr_assert_eq(memcmp(host.out[pieces - 1].bytes, ram_at(&ram, DATA), HEADER + 100), 0);
	}
}

/* Every length from nothing to more than a frame: what is none is given back, unsent. */
Test(net, frames_that_are_none_go_nowhere)
{
	static const uint32_t lengths[] = { 1, 11, 12, 13, 25, 26, 27, 1526, 65562, 65600, 65601,
					    65602, 65700, 1 << 20 };

	start(plain);
	for (size_t i = 0; i < array_len(lengths); i++) {
		uint32_t len = lengths[i];
		int before = host.nout;

		put_frame(&(struct net_header){ 0 }, 65590, 1);
		send_data(len);
		cr_assert_eq(host.nout - before, len >= 26 && len <= 65601, "%u", len);
	}
	cr_assert_eq(dev.drop[NET_DROP_TX_LENGTH].count, 8);
}

Test(net, headers_that_make_no_sense_go_nowhere)
{
	const struct net_header bad[] = {
		{ .flags = 1, .csum_start = to_le16(1000) },
		{ .flags = 1, .csum_start = to_le16(0xffff), .csum_offset = to_le16(0xffff) },
		{ .flags = 1, .gso_type = 1 },
		{ .flags = 1, .gso_type = 1, .gso_size = to_le16(100), .hdr_len = to_le16(999) },
		{ .flags = 0, .gso_type = 1, .gso_size = to_le16(100) },
		{ .flags = 1, .gso_type = 3, .gso_size = to_le16(100) },
		{ .flags = 1, .gso_type = 0x81, .gso_size = to_le16(100) },
		/* Two bytes of a TCP packet that somebody judged before the checksum is stored. */
		{ .flags = 1, .csum_start = to_le16(34), .csum_offset = to_le16(2) },
		{ .flags = 1, .csum_start = to_le16(30), .csum_offset = to_le16(0) },
		{ .flags = 1, .csum_start = to_le16(0), .csum_offset = to_le16(50) },
		{ .flags = 1, .csum_start = to_le16(34), .csum_offset = to_le16(6) },
		{ .flags = 1, .gso_type = 1, .gso_size = to_le16(100), .csum_start = to_le16(34),
		  .csum_offset = to_le16(2) },
		{ .flags = 1, .gso_type = 4, .gso_size = to_le16(100), .csum_start = to_le16(34),
		  .csum_offset = to_le16(16) },
	};
	const struct net_header good = {
		.flags = 1, .csum_start = to_le16(34), .csum_offset = to_le16(16),
	};

	start(plain | offloads);
	for (size_t i = 0; i < array_len(bad); i++) {
		put_frame(&bad[i], 200, 1);
		make_tcp();
		send_data(HEADER + 200);
	}
	cr_assert_eq(host.nout, 0);
	cr_assert_eq(dev.drop[NET_DROP_TX_HEADER].count, array_len(bad));
	put_frame(&good, 200, 1);
	make_tcp();
	send_data(HEADER + 200);
	cr_assert_eq(host.nout, 1);
	/* What was not negotiated is as wrong. */
	start(plain);
	put_frame(&good, 200, 1);
	make_tcp();
	send_data(HEADER + 200);
	cr_assert_eq(host.nout, 0);
}

/* What was judged is what the host gets, whatever the guest makes of it meanwhile. */
Test(net, the_front_of_a_frame_is_read_once)
{
	const struct net_header h = { .flags = 1, .csum_start = to_le16(34), .csum_offset = to_le16(16) };
	static const uint32_t lengths[] = { NET_FRAME_MIN + 40, NET_FRONT - 1, NET_FRONT, NET_FRONT + 1,
					    65000 };

	for (size_t i = 0; i < array_len(lengths); i++) {
		const uint32_t len = HEADER + lengths[i];
		const uint32_t front = (uint32_t)min_u64(len, HEADER + NET_FRONT);
		uint8_t *at, before[HEADER + NET_FRONT];

		start(plain | offloads);
		at = ram_at(&ram, DATA);
		put_frame(&h, lengths[i], 5);
		make_tcp();
		memcpy(before, at, front);
		host.spoilt = at;
		host.spoilt_len = len;
		send_data(len);
		cr_assert(host.nout == 1 && host.out[0].len == len);
		cr_assert_eq(memcmp(host.out[0].bytes, before, front), 0, "%u", len);
		for (uint32_t b = front; b < len; b++)
			cr_assert_eq(host.out[0].bytes[b], 0xff, "the rest is not copied twice");
	}
}

/* §5.1.3.1: TSO without CSUM was not accepted. */
Test(net, a_feature_without_the_one_it_needs_does_not_count)
{
	start((plain | offloads) & ~NET_F_CSUM);
	cr_assert_eq(dev.features & (NET_F_HOST_TSO4 | NET_F_HOST_TSO6), 0);
	cr_assert_neq(dev.features & NET_F_GUEST_TSO4, 0);
	start((plain | offloads) & ~NET_F_GUEST_CSUM);
	cr_assert_eq(dev.features & (NET_F_GUEST_TSO4 | NET_F_GUEST_TSO6), 0);
	start_pairs(2, merge | NET_F_MQ, 256);
	cr_assert_eq(dev.features & NET_F_MQ, 0, "nobody could ask for pairs");
}

Test(net, a_full_tap_is_waited_for)
{
	uint16_t head;
	uint32_t len;

	start(plain);
	host.room = 3;
	put_frame(&(struct net_header){ 0 }, 60, 7);
	for (int i = 0; i < 10; i++)
		driver_add(&drv[TX], (struct buf[]){ { DATA, HEADER + 60, false } }, 1);
	cr_assert_eq(serve(), NET_IDLE);
	cr_assert_eq(host.nout, 3);
	cr_assert(net_wants_room(&dev, 0));
	cr_assert_not(net_wants_kick(&dev, TX), "a kick would find the tap full");
	for (int i = 0; i < 3; i++)
		cr_assert(driver_used(&drv[TX], &head, &len));
	cr_assert_not(driver_used(&drv[TX], &head, &len), "what was not sent is not used");
	/* The other direction goes on meanwhile. */
	driver_add(&drv[RX], (struct buf[]){ { DATA + 0x10000, 1526, true } }, 1);
	arrive(60, 1);
	cr_assert_eq(serve(), NET_IDLE);
	cr_assert(driver_used(&drv[RX], &head, &len));
	host.room = -1;
	cr_assert_eq(serve(), NET_IDLE);
	cr_assert_eq(host.nout, 10);
	cr_assert_not(net_wants_room(&dev, 0));
}

Test(net, what_the_host_refuses_is_lost_and_no_more)
{
	start(plain);
	put_frame(&(struct net_header){ 0 }, 60, 7);
	host.write_error = EIO;		/* the interface is down */
	send_data(HEADER + 60);
	host.write_error = EINVAL;
	send_data(HEADER + 60);
	host.write_error = 0;
	send_data(HEADER + 60);
	cr_assert_eq(host.nout, 1);
	cr_assert_eq(dev.drop[NET_DROP_TX_HOST].count, 2);
}

Test(net, an_interface_that_is_gone_is_a_link_that_is_down)
{
	struct link_config c;

	start(plain);
	put_frame(&(struct net_header){ 0 }, 60, 7);
	host.write_error = EBADFD;
	send_data(HEADER + 60);
	cr_assert(dev.news);
	net_config(&dev, &c);
	cr_assert(c.len == 12 && c.config[6] == 0, "status: not up");
	cr_assert_not(net_wants_frames(&dev, 0) || net_wants_room(&dev, 0));
	host.writes = 0;
	send_data(HEADER + 60);
	cr_assert_eq(host.writes, 0, "the guest may send on, nobody listens");
	/* The same seen by the reading half; it is news once. */
	start(plain);
	host.read_error = EBADFD;
	driver_add(&drv[RX], (struct buf[]){ { DATA, 1526, true } }, 1);
	cr_assert_eq(serve(), NET_IDLE);
	cr_assert(dev.news && dev.gone);
	dev.news = false;
	net_lost(&dev);
	cr_assert_not(dev.news);
}

Test(net, a_turn_is_bounded)
{
	uint32_t reason, queue;
	bool interrupt;

	start(plain);
	put_frame(&(struct net_header){ 0 }, 60, 7);
	for (int i = 0; i < 200; i++)
		driver_add(&drv[TX], (struct buf[]){ { DATA, HEADER + 60, false } }, 1);
	for (int i = 0; i < 200; i++) {
		driver_add(&drv[RX], (struct buf[]){ { DATA + 0x10000, 1526, true } }, 1);
		arrive(60, i);
	}
	cr_assert_eq(net_serve(&dev, &interrupt, &reason, &queue), NET_MORE);
	cr_assert(interrupt);
	cr_assert_eq(host.nout, NET_BATCH);
	cr_assert_eq(host.in_at, NET_BATCH, "neither direction starves the other");
	cr_assert_eq(serve(), NET_IDLE);
	cr_assert(host.nout == 200 && host.in_at == 200);
}

Test(net, big_frames_make_a_shorter_turn)
{
	uint32_t reason, queue;
	bool interrupt;

	start(plain | offloads);
	put_frame(&(struct net_header){ .flags = 1, .gso_type = 1, .gso_size = to_le16(1448),
					.csum_start = to_le16(34), .csum_offset = to_le16(16) },
		  65000, 7);
	make_tcp();
	for (int i = 0; i < 60; i++)
		driver_add(&drv[TX], (struct buf[]){ { DATA, HEADER + 65000, false } }, 1);
	cr_assert_eq(net_serve(&dev, &interrupt, &reason, &queue), NET_MORE);
	cr_assert_eq(host.nout, 17, "1 MiB");
}

Test(net, activation_is_checked)
{
	struct link_activate good, a;
	uint32_t reason, queue;

	device_of(2);
	good = activation(merge | NET_F_MQ | NET_F_CTRL_VQ, 5, 256);
#define REFUSED(want, change) do { \
		a = good; \
		change; \
		cr_assert_not(net_activate(&dev, &a, &reason, &queue), #change); \
		cr_assert_eq(reason, want, #change); \
		cr_assert_eq(serve(), NET_IDLE); \
	} while (0)
	REFUSED(0, a.features |= 1ull << 40);
	REFUSED(0, a.features |= 1ull << 18);		/* CTRL_RX */
	REFUSED(0, a.features |= 1ull << 10);		/* GUEST_UFO */
	REFUSED(0, a.features = 0);
	REFUSED(0, a.queue[5].ready = 1);
	REFUSED(VQ_E_SETUP, a.queue[0].size = 3);
	REFUSED(VQ_E_SETUP, (a.queue[3].size = 512, queue = 0));
	cr_assert_eq(queue, 3);
	REFUSED(VQ_E_SETUP, a.queue[4].desc += 8);
	cr_assert_eq(queue, 4);
	REFUSED(VQ_E_RANGE, a.queue[1].used = 0xd0000000);
	/* Queues that nobody negotiated mean nothing, whatever they are. */
	a = good;
	a.features = merge;
	a.queue[3].size = 512;
	cr_assert(net_activate(&dev, &a, &reason, &queue));
	net_reset(&dev);
	memset(a.queue, 0, sizeof(a.queue));
	cr_assert(net_activate(&dev, &a, &reason, &queue), "no queue, nothing to do");
	arrive(60, 1);
	cr_assert_eq(serve(), NET_IDLE);
	cr_assert_eq(host.reads, 0);
}

/* ---- the control queue ---- */

enum { CONTROL = 4, COMMAND = 0x200000, ACK = 0x201000, NO_ANSWER = 0xee };

/* Has @len bytes at @bytes carried out; returns the answer. */
static int command(const void *bytes, uint32_t len)
{
	uint16_t head;
	uint32_t written;

	memcpy(ram_at(&ram, COMMAND), bytes, len);
	*(uint8_t *)ram_at(&ram, ACK) = NO_ANSWER;
	driver_add(&drv[CONTROL], (struct buf[]){ { COMMAND, len, false }, { ACK, 1, true } }, 2);
	cr_assert_eq(serve(), NET_IDLE);
	cr_assert(driver_used(&drv[CONTROL], &head, &written));
	cr_assert_eq(written, 1);
	return *(uint8_t *)ram_at(&ram, ACK);
}

static void start_two_pairs(void)
{
	start_pairs(2, merge | NET_F_MQ | NET_F_CTRL_VQ, 256);
}

Test(net, pairs_are_set)
{
	start_two_pairs();
	cr_assert_eq(dev.active, 1);
	cr_assert_eq(command((uint8_t[]){ 4, 0, 2, 0 }, 4), 0);
	cr_assert_eq(dev.active, 2);
	cr_assert_eq(command((uint8_t[]){ 4, 0, 1, 0 }, 4), 0);
	cr_assert_eq(dev.active, 1);
}

Test(net, all_other_commands_are_answered_with_an_error)
{
	start_two_pairs();
	for (unsigned class = 0; class < 256; class++)
		for (unsigned cmd = 0; cmd < 256; cmd += class == 4 ? 1 : 51)
			if (class != 4 || cmd != 0)
				cr_assert_eq(command((uint8_t[]){ (uint8_t)class, (uint8_t)cmd, 1, 0 },
						     4), 1, "%u %u", class, cmd);
	cr_assert_eq(command((uint8_t[]){ 4, 0, 0, 0 }, 4), 1);
	cr_assert_eq(command((uint8_t[]){ 4, 0, 3, 0 }, 4), 1);
	cr_assert_eq(command((uint8_t[]){ 4, 0, 1, 1 }, 4), 1);
	cr_assert_eq(command((uint8_t[]){ 4, 0, 2 }, 3), 1);
	cr_assert_eq(command((uint8_t[]){ 4, 0, 2, 0, 0 }, 5), 1);
	cr_assert_eq(command((uint8_t[]){ 4 }, 1), 1);
	cr_assert_eq(dev.active, 1);
}

Test(net, a_command_without_a_place_for_the_answer_needs_a_reset)
{
	uint32_t reason, queue;
	bool interrupt;

	start_two_pairs();
	driver_add(&drv[CONTROL], (struct buf[]){ { COMMAND, 4, false } }, 1);
	cr_assert_eq(net_serve(&dev, &interrupt, &reason, &queue), NET_BROKEN);
	cr_assert(reason == NET_E_NO_ACK && queue == CONTROL);
	cr_assert_eq(dev.active, 0);
}

Test(net, pairs_without_queues_are_not_set)
{
	struct link_activate a;
	uint32_t reason, queue;

	device_of(2);
	a = activation(merge | NET_F_MQ | NET_F_CTRL_VQ, 5, 256);
	a.queue[2].ready = 0;
	cr_assert(net_activate(&dev, &a, &reason, &queue));
	cr_assert_eq(command((uint8_t[]){ 4, 0, 2, 0 }, 4), 1);
	cr_assert_eq(dev.active, 1);
}

/* Frames of the taps beyond the pairs in use come through those in use. */
Test(net, every_tap_is_read_whatever_the_number_of_pairs)
{
	uint16_t head;
	uint32_t len;

	start_two_pairs();
	for (int i = 0; i < 4; i++)
		for (int q = 0; q < 4; q += 2)
			driver_add(&drv[q], (struct buf[]){ { DATA, 1526, true } }, 1);
	arrive_with(&(struct net_header){ 0 }, 60, 1, 1);
	cr_assert_eq(serve(), NET_IDLE);
	cr_assert(driver_used(&drv[0], &head, &len));
	cr_assert_eq(command((uint8_t[]){ 4, 0, 2, 0 }, 4), 0);
	arrive_with(&(struct net_header){ 0 }, 60, 1, 1);
	cr_assert_eq(serve(), NET_IDLE);
	cr_assert_not(driver_used(&drv[0], &head, &len));
	cr_assert(driver_used(&drv[2], &head, &len));
	/* The second pair's sending half has a tap of its own. */
	put_frame(&(struct net_header){ 0 }, 60, 1);
	driver_add(&drv[3], (struct buf[]){ { DATA, HEADER + 60, false } }, 1);
	cr_assert_eq(serve(), NET_IDLE);
	cr_assert(host.nout == 1 && host.out[0].tap == 1);
}

/* ---- counters and rate limits ---- */

static uint64_t counted(unsigned which)
{
	return counters.counter[which];
}

Test(net, frames_are_counted)
{
	start(plain);
	put_frame(&(struct net_header){ 0 }, 60, 7);
	send_data(HEADER + 60);
	send_data(HEADER + 5);
	host.write_error = EIO;
	send_data(HEADER + 60);
	driver_add(&drv[RX], (struct buf[]){ { DATA + 0x10000, 1526, true } }, 1);
	arrive(2000, 1);
	arrive_with(&(struct net_header){ .flags = 1 }, 60, 1, 0);
	arrive(100, 1);
	cr_assert_eq(serve(), NET_IDLE);
	cr_assert(counted(STATS_NET_OUT_FRAMES) == 1 && counted(STATS_NET_OUT_BYTES) == 60);
	cr_assert(counted(STATS_NET_OUT_DROPS) == 1 && counted(STATS_NET_OUT_ERRORS) == 1);
	cr_assert(counted(STATS_NET_IN_FRAMES) == 1 && counted(STATS_NET_IN_BYTES) == 100);
	cr_assert(counted(STATS_NET_IN_DROPS) == 2 && counted(STATS_NET_IN_ERRORS) == 0);
	cr_assert_gt(counted(STATS_TURNS), 0);
}

/* Puts limits into the page: @ops frames, then none for eleven days. */
static void limit(enum limits_direction d, uint64_t ops)
{
	struct limit_values v[LIMITS_DIRECTIONS] = { 0 };

	v[d].ops = (struct bucket_limit){ .size = ops, .refill_ms = BUCKET_REFILL_MS_MAX };
	limits_write(&limits_entry, v);
}

Test(net, a_limit_from_the_guest_holds_that_direction_only)
{
	uint16_t head;
	uint32_t len;

	start(plain);
	limit(LIMITS_OUT, 3);
	put_frame(&(struct net_header){ 0 }, 60, 7);
	for (int i = 0; i < 10; i++)
		driver_add(&drv[TX], (struct buf[]){ { DATA, HEADER + 60, false } }, 1);
	driver_add(&drv[RX], (struct buf[]){ { DATA + 0x10000, 1526, true } }, 1);
	arrive(60, 1);
	cr_assert_eq(serve(), NET_IDLE);
	cr_assert_eq(host.nout, 3);
	cr_assert(driver_used(&drv[RX], &head, &len));
	cr_assert(flow_wait(&dev.flow) > 0 && flow_wait(&dev.flow) <= LIMITS_LOOK_NS);
	cr_assert_not(net_wants_kick(&dev, TX), "a kick would change nothing");
	cr_assert_eq(serve(), NET_IDLE);
	cr_assert(counted(STATS_THROTTLES) == 1 && counted(STATS_LIMIT_CHANGES) == 1);
	/* Lifted while it runs. */
	limits_write(&limits_entry, (struct limit_values[2]){ 0 });
	cr_assert_eq(serve(), NET_IDLE);
	cr_assert_eq(host.nout, 10);
	cr_assert_eq(flow_wait(&dev.flow), 0);
	cr_assert(net_wants_kick(&dev, TX));
}

/* Ten frames wait for the guest, and its limit lets three go. */
static void three_of_ten_arrive(void)
{
	start(plain);
	limit(LIMITS_IN, 3);
	for (int i = 0; i < 10; i++) {
		driver_add(&drv[RX], (struct buf[]){ { DATA + 0x10000, 1526, true } }, 1);
		arrive(60, i);
	}
	cr_assert_eq(serve(), NET_IDLE);
}

Test(net, a_limit_to_the_guest_holds_that_direction_only)
{
	three_of_ten_arrive();
	cr_assert_eq(host.in_at, 3);
	cr_assert_gt(flow_wait(&dev.flow), 0);
	cr_assert_not(net_wants_frames(&dev, 0), "poll would not sleep");
	put_frame(&(struct net_header){ 0 }, 60, 7);
	send_data(HEADER + 60);
	cr_assert_eq(counted(STATS_THROTTLES_IN), 1);
	limits_write(&limits_entry, (struct limit_values[2]){ 0 });
	cr_assert_eq(serve(), NET_IDLE);
	cr_assert_eq(host.in_at, 10);
}

/* With no frame in the queue there is nothing to hold back: the driver's kick is waited for. */
Test(net, an_empty_queue_under_a_limit_sleeps)
{
	start(plain);
	limit(LIMITS_OUT, 1);
	put_frame(&(struct net_header){ 0 }, 60, 7);
	send_data(HEADER + 60);
	cr_assert_eq(serve(), NET_IDLE);
	cr_assert_eq(flow_wait(&dev.flow), 0);
	cr_assert(net_wants_kick(&dev, TX));
	net_reset(&dev);
	cr_assert_eq(flow_wait(&dev.flow), 0);
}

/* The pair that is served last has nothing to send: the first one's frames go all the same. */
Test(net, an_idle_pair_does_not_forget_the_other_ones_frames)
{
	start_two_pairs();
	cr_assert_eq(command((uint8_t[]){ 4, 0, 2, 0 }, 4), 0);
	limit(LIMITS_OUT, 3);
	put_frame(&(struct net_header){ 0 }, 60, 7);
	for (int i = 0; i < 10; i++)
		driver_add(&drv[TX], (struct buf[]){ { DATA, HEADER + 60, false } }, 1);
	cr_assert_eq(serve(), NET_IDLE);
	cr_assert_eq(host.nout, 3);
	cr_assert_gt(flow_wait(&dev.flow), 0, "it would sleep for ever");
	cr_assert_eq(counted(STATS_THROTTLES), 1);
	limits_write(&limits_entry, (struct limit_values[2]){ 0 });
	cr_assert_eq(serve(), NET_IDLE);
	cr_assert_eq(host.nout, 10);
	cr_assert_eq(flow_wait(&dev.flow), 0);
}

/* What the host would have sent is not waited for when it is gone. */
Test(net, an_interface_that_is_gone_holds_nothing_back)
{
	three_of_ten_arrive();
	cr_assert_gt(flow_wait(&dev.flow), 0);
	host.write_error = EBADFD;
	put_frame(&(struct net_header){ 0 }, 60, 7);
	send_data(HEADER + 60);
	cr_assert(dev.gone);
	cr_assert_eq(serve(), NET_IDLE);
	cr_assert_eq(flow_wait(&dev.flow), 0, "it would wake for nothing, for ever");
}
