/* SPDX-License-Identifier: Apache-2.0 */
/* The stream of frames to and from passt: cut anywhere, impossible, ended, without room; and a device
 * on it, with a packet wall of its own. */
#include "tests/unit/net.h"
#define frame packet	/* the one above has one of its own */
#include "tests/unit/wall.h"
#undef frame

#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>

static struct stream s;
static int passt;		/* its end; ours is NET_TAP0 */
static struct net_header got_header;
static uint8_t got[NET_FRAME_MAX + 1];
static struct net_wall wall;

static void begin(void)
{
	int ends[2];

	cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends), 0);
	if (ends[0] != NET_TAP0) {
		cr_assert_eq(dup2(ends[0], NET_TAP0), NET_TAP0);
		close(ends[0]);
	}
	passt = ends[1] != NET_TAP0 ? ends[1] : dup(ends[1]);
	signal(SIGPIPE, SIG_IGN);
	memset(&s, 0, sizeof(s));
	memset(&wall, 0, sizeof(wall));
}

static void put_length(uint8_t *at, uint32_t len)
{
	for (int i = 0; i < 4; i++)
		at[i] = (uint8_t)(len >> (24 - 8 * i));
}

/* A length and a frame of so many bytes, each @seed + its number, at @at; returns what is behind. */
static uint8_t *make(uint8_t *at, uint32_t len, int seed)
{
	put_length(at, len);
	for (uint32_t i = 0; i < len; i++)
		at[4 + i] = (uint8_t)(seed + (int)i);
	return at + 4 + len;
}

static void passt_writes(const void *bytes, size_t n)
{
	cr_assert_eq(write(passt, bytes, n), (ssize_t)n, "%s", strerror(errno));
}

static enum tap_result take(size_t *len)
{
	struct iovec iov[3] = {
		{ &got_header, sizeof(got_header) }, { got, 100 }, { got + 100, sizeof(got) - 100 },
	};

	memset(&got_header, 0xff, sizeof(got_header));
	return stream_read(&s, NET_TAP0, iov, 3, len);
}

static bool is(const uint8_t *at, uint32_t len, int seed)
{
	for (uint32_t i = 0; i < len; i++)
		if (at[i] != (uint8_t)(seed + (int)i))
			return false;
	return true;
}

static void frame_is_taken(uint32_t len, int seed)
{
	static const struct net_header zero;
	size_t n;

	cr_assert_eq(take(&n), TAP_OK);
	cr_assert_eq(n, HEADER + len);
	cr_assert_eq(memcmp(&got_header, &zero, HEADER), 0);
	cr_assert(is(got, len, seed));
}

TestSuite(net_stream, .init = begin);

Test(net_stream, frames_cut_at_every_byte)
{
	uint8_t bytes[4 + 14 + 4 + 61];
	size_t n;

	make(make(bytes, 14, 1), 61, 2);
	for (size_t cut = 1; cut < sizeof(bytes); cut++) {
		passt_writes(bytes, cut);
		if (cut >= 4 + 14)
			frame_is_taken(14, 1);
		cr_assert_eq(take(&n), TAP_AGAIN, "cut at %zu", cut);
		passt_writes(bytes + cut, sizeof(bytes) - cut);
		if (cut < 4 + 14)
			frame_is_taken(14, 1);
		frame_is_taken(61, 2);
		cr_assert_eq(take(&n), TAP_AGAIN);
	}
}

Test(net_stream, a_byte_at_a_time_and_each_a_call)
{
	uint8_t bytes[4 + 100];
	size_t n;

	make(bytes, 100, 7);
	for (size_t i = 0; i < sizeof(bytes); i++) {
		cr_assert_eq(take(&n), TAP_AGAIN);
		passt_writes(bytes + i, 1);
	}
	frame_is_taken(100, 7);
}

Test(net_stream, the_longest_frames_and_many_at_once)
{
	static uint8_t bytes[2 * (4 + NET_FRAME_MAX)];
	uint8_t *end = make(make(bytes, NET_FRAME_MAX, 3), NET_FRAME_MAX, 4), *at = bytes;
	unsigned taken = 0;

	for (int i = 0; i < 40; i++) {
		cr_assert_eq(write(passt, at, 0), 0);
		while (at < end) {
			ssize_t put = write(passt, at, (size_t)(end - at));
			size_t n;

			if (put > 0)
				at += put;
			if (take(&n) == TAP_OK) {
				cr_assert_eq(n, HEADER + NET_FRAME_MAX);
				cr_assert(is(got, NET_FRAME_MAX, 3 + (int)(taken++ % 2)));
			}
		}
		at = bytes;
		while (taken < 2 * (unsigned)(i + 1)) {
			size_t n;

			cr_assert_eq(take(&n), TAP_OK);
			cr_assert(is(got, NET_FRAME_MAX, 3 + (int)(taken++ % 2)));
		}
	}
}

Test(net_stream, impossible_lengths_end_it)
{
	static const uint32_t bad[] = { 0, 1, 13, NET_FRAME_MAX + 1, 0x7fffffff, 0x80000000, UINT32_MAX };

	for (size_t i = 0; i < array_len(bad); i++) {
		uint8_t bytes[4 + 20 + 4];
		size_t n;

		put_length(make(bytes, 20, 5), bad[i]);
		passt_writes(bytes, sizeof(bytes));
		frame_is_taken(20, 5);
		for (int again = 0; again < 3; again++)
			cr_assert_eq(take(&n), TAP_GONE, "length %u", bad[i]);
		cr_assert(s.bad);
		memset(&s, 0, sizeof(s));
	}
}

Test(net_stream, the_other_end_closes)
{
	uint8_t bytes[2 * (4 + 50)];
	size_t n, put;

	make(make(bytes, 50, 1), 50, 2);
	passt_writes(bytes, sizeof(bytes) - 1);
	close(passt);
	frame_is_taken(50, 1);
	cr_assert_eq(take(&n), TAP_GONE, "half a frame is none");
	cr_assert(!s.bad);
	cr_assert_eq(stream_write(&s, NET_TAP0, &(struct iovec){ bytes, 54 }, 1, &put), TAP_GONE);
}

/* Everything that lies in the socket, at passt's end. */
static size_t passt_reads(uint8_t *to, size_t most)
{
	size_t n = 0;
	ssize_t r;

	while (n < most && (r = read(passt, to + n, most - n)) > 0)
		n += (size_t)r;
	return n;
}

Test(net_stream, what_has_no_room_goes_before_anything_else)
{
	static uint8_t sent[4 + 60000], back[1 << 20];
	size_t frames = 0, kept = 0, n = 0;

	make(sent, 60000, 9);
	for (int rounds = 0; rounds < 200; rounds++) {
		size_t put;

		if (stream_flush(&s, NET_TAP0) == TAP_AGAIN) {
			kept++;
			n += passt_reads(back + n, 10000 + (size_t)rounds);
			continue;
		}
		if (n + sizeof(sent) > sizeof(back) - 600000)
			break;
		cr_assert_eq(stream_write(&s, NET_TAP0, &(struct iovec){ sent, sizeof(sent) }, 1, &put),
			     TAP_OK);
		if (put < sizeof(sent))
			memcpy(stream_keep(&s, (uint32_t)(sizeof(sent) - put)), sent + put, sizeof(sent) - put);
		frames++;
	}
	cr_assert_gt(kept, 0);
	while (stream_flush(&s, NET_TAP0) == TAP_AGAIN)
		n += passt_reads(back + n, sizeof(back) - n);
	n += passt_reads(back + n, sizeof(back) - n);
	cr_assert_eq(n, frames * sizeof(sent));
	for (size_t i = 0; i < frames; i++)
		cr_assert_eq(memcmp(back + i * sizeof(sent), sent, sizeof(sent)), 0, "frame %zu", i);
}

/* ---- the device on it ---- */

static void user_device(uint64_t features)
{
	struct link_activate a;
	uint32_t reason, queue;

	device_of(1);
	net_use_stream(&dev, &s);
	dev.offered &= ~(CSUM_OFFLOADS | TSO_OFFLOADS | USO_OFFLOADS);
	a = activation(features, 2, 256);
	cr_assert(net_activate(&dev, &a, &reason, &queue));
}

/* As serve() of net.h, with a socket that is always tried. */
static enum net_stop serve_user(void)
{
	enum net_stop stop;
	uint32_t reason, queue;
	bool interrupt;

	for (unsigned q = 0; q < 2; q++)
		if (net_wants_kick(&dev, q))
			net_kick(&dev, q);
	net_tap(&dev, 0, net_wants_frames(&dev, 0), net_wants_room(&dev, 0));
	do
		stop = net_serve(&dev, &interrupt, &reason, &queue);
	while (stop == NET_MORE);
	return stop;
}

static void guest_sends(uint32_t len, int seed)
{
	static const struct net_header none;

	put_frame(&none, len, seed);
	driver_add(&drv[TX], (struct buf[]){ { DATA, HEADER + len, false } }, 1);
}

Test(net_stream, frames_of_the_guest_have_their_length_before_them)
{
	uint8_t back[4 + 1514];
	uint32_t len, written;
	uint16_t head;

	user_device(plain);
	for (len = 14; len <= 1514; len += 100) {
		guest_sends(len, (int)len);
		cr_assert_eq(serve_user(), NET_IDLE);
		cr_assert(driver_used(&drv[TX], &head, &written));
		cr_assert_eq(read(passt, back, sizeof(back)), 4 + (ssize_t)len);
		cr_assert(back[0] == 0 && back[1] == 0 && back[2] == len >> 8 && back[3] == (len & 255));
		cr_assert(is(back + 4, len, (int)len));
	}
}

Test(net_stream, a_frame_longer_than_the_mtu_goes_nowhere)
{
	uint8_t back[8];

	user_device(plain);
	guest_sends(1500 + 14 + 8 + 1, 1);
	cr_assert_eq(serve_user(), NET_IDLE);
	cr_assert_eq(read(passt, back, sizeof(back)), -1);
	cr_assert_eq(counters.counter[STATS_NET_OUT_DROPS], 1);
	guest_sends(1500 + 14 + 8, 1);
	cr_assert_eq(serve_user(), NET_IDLE);
	cr_assert_eq(read(passt, back, sizeof(back)), 8);
}

Test(net_stream, frames_to_the_guest_over_several_buffers)
{
	uint8_t bytes[4 + 3000];
	uint32_t written;
	uint16_t head;

	user_device(merge);
	for (unsigned i = 0; i < 100; i++)
		driver_add(&drv[RX], (struct buf[]){ { DATA + i * BUFFER, 1526, true } }, 1);
	make(bytes, 3000, 11);
	passt_writes(bytes, sizeof(bytes));
	cr_assert_eq(serve_user(), NET_IDLE);
	cr_assert(driver_used(&drv[RX], &head, &written) && written == 1526);
	cr_assert(is((uint8_t *)ram_at(&ram, DATA) + HEADER, 1514, 11));
	cr_assert(driver_used(&drv[RX], &head, &written) && written == 3000 + HEADER - 1526);
	cr_assert_eq(counters.counter[STATS_NET_IN_FRAMES], 1);
}

Test(net_stream, a_flood_from_passt_does_not_starve_the_guest)
{
	static uint8_t flood[64 * (4 + 60)];
	uint8_t *at = flood, back[4 + 100];
	uint32_t reason, queue;
	bool interrupt;

	user_device(merge);
	for (int i = 0; i < 64; i++)
		at = make(at, 60, i);
	for (unsigned i = 0; i < 200; i++)
		driver_add(&drv[RX], (struct buf[]){ { DATA + 0x10000 + i * 0x800, 1526, true } }, 1);
	guest_sends(100, 3);
	for (int i = 0; i < 3; i++)
		passt_writes(flood, sizeof(flood));
	net_kick(&dev, TX);
	net_tap(&dev, 0, true, true);
	cr_assert_eq(net_serve(&dev, &interrupt, &reason, &queue), NET_MORE);
	cr_assert_eq(read(passt, back, sizeof(back)), 104, "in the first turn");
	cr_assert_leq(counters.counter[STATS_NET_IN_FRAMES], NET_BATCH);
}

Test(net_stream, without_room_the_guest_waits_and_nothing_is_lost_or_doubled)
{
	static uint8_t back[1 << 20];
	uint32_t written, used = 0;
	uint16_t head;
	size_t n = 0;

	user_device(plain);
	for (int i = 0; i < 250; i++)
		guest_sends(1514, 5);
	cr_assert_eq(serve_user(), NET_IDLE);
	cr_assert(net_wants_room(&dev, 0), "250 frames fit the socket?");
	while (driver_used(&drv[TX], &head, &written))
		used++;
	cr_assert_lt(used, 250);
	cr_assert_eq(serve_user(), NET_IDLE);
	cr_assert(!driver_used(&drv[TX], &head, &written));
	for (int i = 0; i < 50 && used < 250; i++) {
		n += passt_reads(back + n, sizeof(back) - n);
		cr_assert_eq(serve_user(), NET_IDLE);
		while (driver_used(&drv[TX], &head, &written))
			used++;
	}
	n += passt_reads(back + n, sizeof(back) - n);
	cr_assert_eq(serve_user(), NET_IDLE);
	n += passt_reads(back + n, sizeof(back) - n);
	cr_assert_eq(used, 250);
	cr_assert_eq(n, 250 * (4 + 1514));
	cr_assert(!net_wants_room(&dev, 0));
}

Test(net_stream, what_waits_outlives_a_reset_of_the_driver)
{
	static uint8_t back[1 << 20];
	struct link_activate a;
	uint32_t reason, queue;
	size_t n = 0;

	user_device(plain);
	for (int i = 0; i < 250; i++)
		guest_sends(1514, 5);
	cr_assert_eq(serve_user(), NET_IDLE);
	cr_assert_gt(s.rest, 0);
	net_reset(&dev);
	cr_assert(!net_wants_room(&dev, 0));
	a = activation(plain, 2, 256);
	cr_assert(net_activate(&dev, &a, &reason, &queue));
	cr_assert(net_wants_room(&dev, 0));
	n += passt_reads(back, sizeof(back));
	cr_assert_eq(serve_user(), NET_IDLE);
	n += passt_reads(back + n, sizeof(back) - n);
	cr_assert_eq(n % (4 + 1514), 0, "whole frames only");
}

Test(net_stream, a_passt_that_is_gone_is_a_link_that_is_down)
{
	uint32_t written;
	uint16_t head;

	user_device(plain);
	driver_add(&drv[RX], (struct buf[]){ { DATA + BUFFER, 1526, true } }, 1);
	close(passt);
	cr_assert_eq(serve_user(), NET_IDLE);
	cr_assert(dev.gone && dev.news && !net_wants_frames(&dev, 0) && !net_wants_room(&dev, 0));
	guest_sends(100, 1);
	cr_assert_eq(serve_user(), NET_IDLE);
	cr_assert(driver_used(&drv[TX], &head, &written), "it goes nowhere, and is not kept");
}

/* ---- the wall ---- */

static void walled_device(const struct wall_config *c)
{
	user_device(plain);
	net_wall_init(&wall, c, &counters);
	dev.wall = &wall;
}

static bool gets_out(const struct packet *f)
{
	static const struct net_header none;
	uint8_t back[4 + 2000];
	uint32_t written;
	uint16_t head;

	memcpy(ram_at(&ram, DATA), &none, HEADER);
	memcpy((uint8_t *)ram_at(&ram, DATA) + HEADER, f->b, f->len);
	driver_add(&drv[TX], (struct buf[]){ { DATA, HEADER + f->len, false } }, 1);
	cr_assert_eq(serve_user(), NET_IDLE);
	cr_assert(driver_used(&drv[TX], &head, &written));
	return read(passt, back, sizeof(back)) == 4 + (ssize_t)f->len;
}

static uint64_t refused(enum wall_rule rule)
{
	return counters.u.wall.count[rule];
}

Test(net_stream, the_wall_lets_out_what_is_the_guest_s)
{
	const struct packet good = ports(ip4(VM_IP4, "192.0.2.7", IPPROTO_TCP), 1025, 443);
	const struct packet who = arp(1, VM_IP4);

	walled_device(&usual);
	cr_assert_eq(counters.walled, 1);
	cr_assert(gets_out(&good) && gets_out(&who));
	cr_assert_eq(refused(WALL_PASS), 2);
	cr_assert_eq(counters.counter[STATS_NET_DENIED], 0);
}

Test(net_stream, the_wall_keeps_in_what_is_not)
{
	struct { enum wall_rule rule; struct packet f; } bad[] = {
		{ WALL_SOURCE, ports(ip4("10.9.0.3", "192.0.2.7", IPPROTO_TCP), 1025, 443) },
		{ WALL_METADATA, ports(ip4(VM_IP4, "169.254.169.254", IPPROTO_TCP), 1025, 80) },
		{ WALL_LOOPBACK, ports(ip4(VM_IP4, "127.0.0.1", IPPROTO_TCP), 1025, 80) },
		{ WALL_DHCP_SERVER, ports(ip4(VM_IP4, "192.0.2.7", IPPROTO_UDP), 67, 68) },
		{ WALL_ARP, arp(2, "10.9.0.1") }, { WALL_ETHERTYPE, ethernet(0x8100, 60) },
		{ WALL_MAC, ports(ip4(VM_IP4, "192.0.2.7", IPPROTO_TCP), 1025, 443) },
		{ WALL_SHORT, ethernet(0x0800, 10) },
	};

	walled_device(&usual);
	bad[6].f.b[6] ^= 4;
	for (size_t i = 0; i < array_len(bad); i++) {
		cr_assert(!gets_out(&bad[i].f), "rule %s", wall_rule_name(bad[i].rule));
		cr_assert_eq(refused(bad[i].rule), 1, "rule %s", wall_rule_name(bad[i].rule));
	}
	cr_assert_eq(counters.counter[STATS_NET_DENIED], array_len(bad));
	cr_assert_eq(refused(WALL_PASS), 0);
}

Test(net_stream, the_wall_s_allow_list_and_what_is_remembered_of_it)
{
	struct packet f = ports(ip4(VM_IP4, "192.0.2.7", IPPROTO_TCP), 1025, 443);
	struct wall_config c = usual;
	unsigned sum = 0;

	c.flags |= WALL_HAS_ALLOW;
	c.allow[0] = (struct wall_allow){ .version = 4, .port = 443, .port_last = 443 };
	memcpy(c.allow[0].addr, f.b + 30, 4);
	c.allow[0].mask[0] = UINT32_MAX;
	walled_device(&c);
	cr_assert(gets_out(&f));
	for (unsigned port = 1000; port < 1000 + 2 * STATS_WALL_DENIED; port++) {
		f = ports(f, 1025, port);
		cr_assert(!gets_out(&f) && !gets_out(&f));
	}
	cr_assert_eq(refused(WALL_EGRESS), 4 * STATS_WALL_DENIED);
	for (unsigned i = 0; i < STATS_WALL_DENIED; i++) {
		const struct wall_denied *d = &counters.u.wall.denied[i].what;

		cr_assert(d->rule == WALL_EGRESS && d->target.port >= 1000 + STATS_WALL_DENIED, "the last ones");
		cr_assert_eq(counters.u.wall.denied[i].frames, 2);
		sum += d->target.port;
	}
	cr_assert_eq(sum, STATS_WALL_DENIED * (1000 + STATS_WALL_DENIED) + STATS_WALL_DENIED * (STATS_WALL_DENIED - 1) / 2);
}

Test(net_stream, the_wall_s_rate)
{
	struct packet f = ports(ip4(VM_IP4, "192.0.2.7", IPPROTO_UDP), 1025, 443);
	struct wall_config c = usual;
	unsigned out = 0;

	c.rate = 50;
	walled_device(&c);
	for (int i = 0; i < 40; i++)
		out += gets_out(&f);
	cr_assert(out >= 5 && out <= 10, "%u frames in a tenth of a second or two", out);
	cr_assert_eq(refused(WALL_RATE), 40 - out);
	wall.wall.config.rate = 0;
	cr_assert(gets_out(&f));
}

Test(net_stream, a_frame_that_waits_for_room_is_judged_once)
{
	struct packet f = ports(ip4(VM_IP4, "192.0.2.7", IPPROTO_UDP), 1025, 443);
	static const struct net_header none;
	static uint8_t back[1 << 20];

	walled_device(&usual);
	memcpy(ram_at(&ram, DATA), &none, HEADER);
	memcpy((uint8_t *)ram_at(&ram, DATA) + HEADER, f.b, f.len);
	for (int i = 0; i < 250; i++)
		driver_add(&drv[TX], (struct buf[]){ { DATA, HEADER + 1514, false } }, 1);
	for (int i = 0; i < 20; i++) {
		cr_assert_eq(serve_user(), NET_IDLE);
		cr_assert_eq(serve_user(), NET_IDLE);
		passt_reads(back, sizeof(back));
	}
	cr_assert_eq(refused(WALL_PASS), 250);
}
