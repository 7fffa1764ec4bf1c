/* SPDX-License-Identifier: Apache-2.0 */
/* The packet wall: each rule of its table, what passes beside it, and every short frame. */
#include "policy/bpf/wall_model.c"

#include "tests/unit/wall.h"

#include <criterion/criterion.h>

enum { TCP = 6, UDP = 17, ICMP = 1, ICMP6 = 58, SECOND = 1000000000 };

static struct wall w;
static const struct wall_offload nothing;

static void expect_of(enum wall_rule wanted, struct frame f, struct wall_offload o)
{
	struct wall_target t;
	enum wall_rule got = wall_frame_check(&w, f.b, f.len, &o, SECOND, &t);

	cr_assert_eq(got, wanted, "%s, not %s", wall_rule_name(got), wall_rule_name(wanted));
}

static void expect(enum wall_rule wanted, struct frame f)
{
	expect_of(wanted, f, nothing);
}

static void setup(void)
{
	w = (struct wall){ .config = usual };
	cr_assert(wall_config_ok(&w.config));
}

TestSuite(wall, .init = setup);

Test(wall, what_a_vm_normally_sends_passes)
{
	expect(WALL_PASS, arp(1, VM_IP4));
	expect(WALL_PASS, arp(2, VM_IP4));
	expect(WALL_PASS, arp(1, "0.0.0.0"));
	expect(WALL_PASS, ports(ip4(VM_IP4, "192.0.2.1", TCP), 40000, 443));
	expect(WALL_PASS, ports(ip4(VM_IP4, "255.255.255.255", UDP), 5353, 5353));
	expect(WALL_PASS, icmp(ip4(VM_IP4, "192.0.2.1", ICMP), 8));
	expect(WALL_PASS, ip4(VM_IP4, "192.0.2.1", 47));
	expect(WALL_PASS, ports(ip6(VM_IP6, "2001:db8::1", TCP), 40000, 443));
	expect(WALL_PASS, icmp(ip6(VM_LINK_LOCAL, "ff02::2", ICMP6), 133));
	expect(WALL_PASS, icmp(ip6("::", "ff02::1:ff00:2", ICMP6), 135));
	cr_assert_eq(w.counts[WALL_PASS], 10);
}

Test(wall, another_mac_is_dropped)
{
	for (int i = 6; i < 12; i++) {
		struct frame f = ports(ip4(VM_IP4, "192.0.2.1", TCP), 1, 2), a = arp(1, VM_IP4);

		f.b[i] ^= 0x80;
		a.b[i] ^= 1;
		expect(WALL_MAC, f);
		expect(WALL_MAC, a);
	}
}

Test(wall, other_protocols_and_tags_are_dropped)
{
	expect(WALL_ETHERTYPE, ethernet(0x8100, 100));	/* VLAN */
	expect(WALL_ETHERTYPE, ethernet(0x88a8, 100));
	expect(WALL_ETHERTYPE, ethernet(0x88cc, 100));	/* LLDP */
	expect(WALL_ETHERTYPE, ethernet(0x0026, 38));	/* spanning tree */
	w.config.flags &= ~(uint32_t)WALL_HAS_IP6;
	expect(WALL_ETHERTYPE, ip6(VM_IP6, "2001:db8::1", TCP));
}

Test(wall, with_an_ipv6_address_alone_there_is_no_ipv4)
{
	w.config.flags = WALL_HAS_IP6;
	expect(WALL_ETHERTYPE, ports(ip4("10.9.0.3", "192.0.2.1", TCP), 1, 2));
	expect(WALL_ETHERTYPE, ports(ip4(VM_IP4, "192.0.2.1", TCP), 1, 2));
	expect(WALL_ETHERTYPE, arp(1, VM_IP4));
	expect(WALL_PASS, ports(ip6(VM_IP6, "2001:db8::1", TCP), 1, 80));
}

Test(wall, arp_claims_nothing_that_is_not_the_vms)
{
	struct frame f = arp(2, VM_IP4);

	expect(WALL_ARP, arp(1, "10.9.0.1"));
	expect(WALL_ARP, arp(2, "10.9.0.1"));
	expect(WALL_ARP, arp(2, "0.0.0.0"));
	expect(WALL_ARP, arp(3, VM_IP4));
	f.b[22] ^= 1;		/* sender's MAC inside ARP */
	expect(WALL_ARP, f);
	f = arp(1, VM_IP4);
	f.b[18] = 8;		/* length of a MAC */
	expect(WALL_ARP, f);
	w.config.flags = 0;	/* its addresses are not known */
	expect(WALL_PASS, arp(2, "10.9.0.1"));
}

Test(wall, another_source_is_dropped)
{
	expect(WALL_SOURCE, ports(ip4("10.9.0.3", "192.0.2.1", TCP), 1, 2));
	expect(WALL_SOURCE, ports(ip4("0.0.0.0", "255.255.255.255", UDP), 68, 67));
	expect(WALL_SOURCE, ports(ip6("fd09::3", "2001:db8::1", TCP), 1, 2));
	expect(WALL_SOURCE, icmp(ip6("fe80::1", "ff02::1", ICMP6), 134));
	expect(WALL_SOURCE, icmp(ip6("::", "ff02::2", ICMP6), 133));
	w.config.flags = 0;
	expect(WALL_PASS, ports(ip4("10.9.0.3", "192.0.2.1", TCP), 1, 2));
}

Test(wall, nobody_speaks_as_a_router_or_for_a_neighbour)
{
	struct frame f = icmp(ip6(VM_IP6, "ff02::1", ICMP6), 136);

	expect(WALL_ROUTER, icmp(ip6(VM_LINK_LOCAL, "ff02::1", ICMP6), 134));
	expect(WALL_ROUTER, icmp(ip6(VM_LINK_LOCAL, "fd09::9", ICMP6), 137));
	expect(WALL_ROUTER, icmp(ip4(VM_IP4, "192.0.2.1", ICMP), 5));
	expect(WALL_ROUTER, icmp(ip4(VM_IP4, "224.0.0.1", ICMP), 9));
	expect(WALL_ROUTER, f);
	inet_pton(AF_INET6, VM_IP6, f.b + 54 + 8);
	expect(WALL_PASS, f);
	f.b[54 + 23] ^= 1;
	expect(WALL_ROUTER, f);
}

Test(wall, headers_that_hide_the_next_are_dropped)
{
	static const unsigned headers[] = { 0, 43, 44, 50, 51, 60, 135, 139, 140, ICMP };
	struct frame f = ports(ip4(VM_IP4, "192.0.2.1", TCP), 1, 2);

	for (size_t i = 0; i < array_len(headers); i++)
		expect(WALL_EXTENSION, ip6(VM_IP6, "2001:db8::1", headers[i]));
	f.b[14] = 0x46;
	expect(WALL_EXTENSION, f);
}

Test(wall, metadata_and_loopback_are_out_of_reach)
{
	static const char *const metadata[] = { "169.254.169.254", "169.254.0.1", "168.63.129.16",
						"100.100.100.200" };
	static const char *const local[] = { "127.0.0.1", "127.255.255.255", "0.0.0.0" };
	static const char *const local6[] = { "::1", "::", "::ffff:127.0.0.1", "::ffff:192.0.2.1", "::7f00:1" };

	for (size_t i = 0; i < array_len(metadata); i++)
		expect(WALL_METADATA, ports(ip4(VM_IP4, metadata[i], TCP), 1, 80));
	expect(WALL_METADATA, ports(ip6(VM_IP6, "fd00:ec2::254", TCP), 1, 80));
	expect(WALL_METADATA, ports(ip6(VM_IP6, "fd20:ce::254", TCP), 1, 80));
	expect(WALL_METADATA, ports(ip6(VM_LINK_LOCAL, "fe80::a9fe:a9fe", TCP), 1, 80));
	for (size_t i = 0; i < array_len(local); i++)
		expect(WALL_LOOPBACK, ports(ip4(VM_IP4, local[i], TCP), 1, 80));
	for (size_t i = 0; i < array_len(local6); i++)
		expect(WALL_LOOPBACK, ports(ip6(VM_IP6, local6[i], TCP), 1, 80));
}

Test(wall, nobody_serves_dhcp)
{
	expect(WALL_DHCP_SERVER, ports(ip4(VM_IP4, "255.255.255.255", UDP), 67, 68));
	expect(WALL_DHCP_SERVER, ports(ip6(VM_LINK_LOCAL, "fe80::9", UDP), 547, 546));
	expect(WALL_PASS, ports(ip4(VM_IP4, "192.0.2.1", TCP), 67, 68));
}

static void allow(unsigned i, const char *net, unsigned bits, unsigned proto, unsigned first, unsigned last)
{
	struct wall_allow *a = &w.config.allow[i];
	uint8_t mask[16] = { 0 };

	a->version = strchr(net, ':') ? 6 : 4;
	inet_pton(a->version == 6 ? AF_INET6 : AF_INET, net, a->addr);
	for (unsigned b = 0; b < bits; b++)
		mask[b / 8] |= (uint8_t)(0x80 >> b % 8);
	memcpy(a->mask, mask, 16);
	a->proto = (uint8_t)proto;
	a->port = (uint16_t)first;
	a->port_last = (uint16_t)last;
	w.config.flags |= WALL_HAS_ALLOW;
	cr_assert(wall_config_ok(&w.config));
}

Test(wall, an_allow_list_lets_nothing_else_out)
{
	allow(0, "10.0.0.0", 8, 0, 443, 443);
	allow(1, "192.0.2.16", 28, UDP, 5000, 5009);
	for (unsigned i = 2; i < WALL_ALLOW_MAX; i++)
		allow(i, "2001:db8::", 33, 0, 0, 0);
	expect(WALL_PASS, ports(ip4(VM_IP4, "10.255.1.1", TCP), 1, 443));
	expect(WALL_PASS, ports(ip4(VM_IP4, "10.0.0.0", UDP), 1, 443));
	expect(WALL_EGRESS, ports(ip4(VM_IP4, "11.0.0.0", TCP), 1, 443));
	expect(WALL_EGRESS, ports(ip4(VM_IP4, "10.0.0.1", TCP), 443, 444));
	expect(WALL_EGRESS, icmp(ip4(VM_IP4, "10.0.0.1", ICMP), 8));
	expect(WALL_PASS, ports(ip4(VM_IP4, "192.0.2.31", UDP), 1, 5009));
	expect(WALL_EGRESS, ports(ip4(VM_IP4, "192.0.2.32", UDP), 1, 5009));
	expect(WALL_EGRESS, ports(ip4(VM_IP4, "192.0.2.31", UDP), 1, 5010));
	expect(WALL_EGRESS, ports(ip4(VM_IP4, "192.0.2.31", TCP), 1, 5000));
	expect(WALL_PASS, icmp(ip6(VM_IP6, "2001:db8:7fff::1", ICMP6), 128));
	expect(WALL_EGRESS, icmp(ip6(VM_IP6, "2001:db8:8000::1", ICMP6), 128));
	expect(WALL_PASS, icmp(ip6(VM_IP6, "ff02::1:ff00:1", ICMP6), 135));
	expect(WALL_PASS, arp(1, VM_IP4));
}

/* Solicitations and advertisements can carry anything behind their headers. */
Test(wall, looking_for_neighbours_does_not_lead_past_an_allow_list)
{
	static const char *const near[] = { "fe80::1", "febf::1", "ff02::2", "fd09::7", "fd09::ffff:0:0:1" };
	static const char *const far[] = { "2001:db8::1", "fec0::1", "ff05::2", "ff0e::1", "fd09:0:0:1::7" };
	static const unsigned types[] = { 133, 135, 136 };

	allow(0, "2001:db8:1::", 48, 0, 0, 0);
	for (size_t t = 0; t < array_len(types); t++)
		for (size_t i = 0; i < array_len(near); i++) {
			struct frame to = icmp(ip6(VM_IP6, near[i], ICMP6), types[t]);
			struct frame beyond = icmp(ip6(VM_IP6, far[i], ICMP6), types[t]);

			inet_pton(AF_INET6, VM_IP6, to.b + 54 + 8);
			inet_pton(AF_INET6, VM_IP6, beyond.b + 54 + 8);
			expect(WALL_PASS, to);
			expect(WALL_EGRESS, beyond);
		}
	expect(WALL_EGRESS, icmp(ip6(VM_IP6, "fe80::1", ICMP6), 128));
	expect(WALL_PASS, icmp(ip6(VM_IP6, "2001:db8:1::1", ICMP6), 135));
}

Test(wall, an_empty_allow_list_lets_nothing_out)
{
	w.config.flags |= WALL_HAS_ALLOW;
	expect(WALL_EGRESS, ports(ip4(VM_IP4, "192.0.2.1", TCP), 1, 443));
	expect(WALL_EGRESS, ip4(VM_IP4, "192.0.2.1", 47));
}

Test(wall, fragments_do_not_get_past_an_allow_list)
{
	struct frame first = ports(ip4(VM_IP4, "10.0.0.1", UDP), 1, 443), later = first;

	be16(first.b + 20, 0x2000);
	be16(later.b + 20, 0x2001);
	expect(WALL_PASS, first);
	expect(WALL_PASS, later);
	allow(0, "10.0.0.0", 8, 0, 443, 443);
	expect(WALL_FRAGMENT, first);
	expect(WALL_FRAGMENT, later);
}

/* What the host will store when the frame has passed lies behind all that was judged. */
Test(wall, an_open_checksum_is_one_of_tcp_or_udp)
{
	const struct { struct frame f; uint32_t from; } t[] = {
		{ ports(ip4(VM_IP4, "192.0.2.1", TCP), 1, 2), 14 + 20 + 16 },
		{ ports(ip4(VM_IP4, "192.0.2.1", UDP), 1, 2), 14 + 20 + 6 },
		{ ports(ip6(VM_IP6, "2001:db8::1", TCP), 1, 2), 14 + 40 + 16 },
		{ ports(ip6(VM_IP6, "2001:db8::1", UDP), 1, 2), 14 + 40 + 6 },
		{ icmp(ip4(VM_IP4, "192.0.2.1", ICMP), 8), UINT32_MAX },
		{ icmp(ip6(VM_IP6, "2001:db8::1", ICMP6), 128), UINT32_MAX },
		{ ip4(VM_IP4, "192.0.2.1", 47), UINT32_MAX }, { arp(1, VM_IP4), UINT32_MAX },
	};
	struct frame later = t[1].f;

	for (size_t i = 0; i < array_len(t); i++)
		for (uint32_t at = 0; at < t[i].f.len - 1; at++)
			expect_of(at < t[i].from ? WALL_CHECKSUM : WALL_PASS, t[i].f,
				  (struct wall_offload){ .open = true, .checksum = at });
	be16(later.b + 20, 0x2001);
	expect_of(WALL_CHECKSUM, later, (struct wall_offload){ .open = true, .checksum = 40 });
	/* The other rules come first. */
	expect_of(WALL_ARP, arp(2, "10.9.0.1"), (struct wall_offload){ .open = true });
}

Test(wall, a_rate_is_kept_and_refused_frames_do_not_count)
{
	struct frame f = ports(ip4(VM_IP4, "192.0.2.1", TCP), 1, 2);
	struct wall_target t;
	uint32_t passed = 0;

	w.config.rate = 1000;
	for (uint64_t now = 0; now < 10ull * SECOND; now += SECOND / 5000) {
		passed += wall_frame_check(&w, f.b, f.len, &nothing, now, &t) == WALL_PASS;
		expect(WALL_ARP, arp(2, "10.9.0.1"));
	}
	cr_assert_eq(passed, 10000);
	cr_assert_eq(w.counts[WALL_RATE], 40000);
}

/* Sends @f, with @o left to the host, every millisecond of @seconds; returns how often it passed. */
static uint32_t passing(const struct frame *f, struct wall_offload o, unsigned seconds)
{
	struct wall_target t;
	uint32_t passed = 0;

	for (uint64_t now = 0; now < (uint64_t)seconds * SECOND; now += SECOND / 1000)
		passed += wall_frame_check(&w, f->b, f->len, &o, now, &t) == WALL_PASS;
	return passed;
}

Test(wall, every_rate_is_that_many_a_second)
{
	static const uint32_t rates[] = { 1, 2, 3, 7, 9, 10, 11, 19, 99, 101, 555, 999, 1000 };
	struct frame f = ports(ip4(VM_IP4, "192.0.2.1", TCP), 1, 2);

	for (size_t i = 0; i < array_len(rates); i++)
		for (unsigned seconds = 1; seconds <= 3; seconds++) {
			setup();
			w.config.rate = rates[i];
			cr_assert_eq(passing(&f, nothing, seconds), rates[i] * seconds, "%u", rates[i]);
		}
	/* What was not sent is not saved up; a machine that is up for years; no rate is no limit. */
	for (uint32_t rate = 5; rate != 0; rate = rate == 5 ? UINT32_MAX - 10 : 0) {
		const uint64_t late = 100ull * 365 * 86400 * SECOND;
		struct wall_target t;
		uint32_t passed = 0;

		setup();
		w.config.rate = rate;
		for (uint64_t now = late; now < late + SECOND; now += SECOND / 1000)
			passed += wall_frame_check(&w, f.b, f.len, &nothing, now, &t) == WALL_PASS;
		cr_assert_eq(passed, rate == 5 ? 5 : 1000);
	}
	setup();
	cr_assert_eq(passing(&f, nothing, 1), 1000);
}

/* One that becomes many counts as many, and is not held up for ever by a rate below that. */
Test(wall, a_frame_that_is_cut_counts_as_what_it_becomes)
{
	struct frame f = ports(ip4(VM_IP4, "192.0.2.1", TCP), 1, 2);
	static const uint32_t rates[] = { 1, 10, 100, 400 };

	f.len = 2000;
	for (size_t i = 0; i < array_len(rates); i++) {
		setup();
		w.config.rate = rates[i];
		/* 40 pieces of 50 bytes, and 41 of 49. */
		for (uint32_t size = 50; size >= 49; size--) {
			const uint32_t pieces = size == 50 ? 40 : 41;
			uint32_t n;

			w.rate = (struct wall_rate){ 0 };
			n = passing(&f, (struct wall_offload){ .gso_size = size }, 200) * pieces;
			cr_assert(n >= rates[i] * 200 && n < rates[i] * 200 + pieces, "%u", n);
		}
	}
}

Test(wall, a_frame_cut_anywhere_is_short_or_judged_by_what_is_there)
{
	const struct frame whole[] = {
		ports(ip4(VM_IP4, "192.0.2.1", TCP), 1, 2), arp(1, VM_IP4),
		icmp(ip6(VM_IP6, "2001:db8::1", ICMP6), 128), ports(ip6(VM_IP6, "2001:db8::1", UDP), 1, 2),
	};
	const uint32_t enough[] = { 14 + 20 + 8, 14 + 28, 14 + 40 + 8, 14 + 40 + 8 };

	for (size_t i = 0; i < array_len(whole); i++)
		for (uint32_t len = 0; len <= whole[i].len; len++) {
			struct wall_target t;
			uint8_t *exact = malloc(len + 1);	/* for the sanitizers */

			memcpy(exact, whole[i].b, len);
			cr_assert_eq(wall_frame_check(&w, exact, len, &nothing, 0, &t),
				     len < enough[i] ? WALL_SHORT : WALL_PASS, "frame %zu, %u bytes", i, len);
			free(exact);
		}
}

Test(wall, names_the_target_of_what_it_refuses)
{
	struct frame f = ports(ip4(VM_IP4, "169.254.169.254", TCP), 1, 80);
	const uint8_t metadata[16] = { 169, 254, 169, 254 };
	struct wall_target t;

	cr_assert_eq(wall_frame_check(&w, f.b, f.len, &nothing, 0, &t), WALL_METADATA);
	cr_assert(t.version == 4 && t.proto == TCP && t.port == 80 && memcmp(t.addr, metadata, 16) == 0);
	f = arp(2, "10.9.0.1");
	cr_assert_eq(wall_frame_check(&w, f.b, f.len, &nothing, 0, &t), WALL_ARP);
	cr_assert_eq(t.version, 0);
}

Test(wall, a_configuration_out_of_range_is_refused)
{
	struct wall_config c = usual;

	c.flags = 8;
	cr_assert(!wall_config_ok(&c));
	c = usual;
	c.mac[0] |= 1;
	cr_assert(!wall_config_ok(&c));
	c = usual;
	c.allow[0] = (struct wall_allow){ .addr = { 5 }, .mask = { 4 }, .version = 4 };
	cr_assert(!wall_config_ok(&c), "bits outside the mask");
	c.allow[0] = (struct wall_allow){ .addr = { 4 }, .mask = { 4, 1 }, .version = 4 };
	cr_assert(!wall_config_ok(&c), "more than an IPv4 address");
	c.allow[0] = (struct wall_allow){ .addr = { 4 }, .mask = { 4 }, .version = 5 };
	cr_assert(!wall_config_ok(&c));
	c.allow[0] = (struct wall_allow){ .addr = { 4 }, .mask = { 4 }, .version = 4, .port = 2, .port_last = 1 };
	cr_assert(!wall_config_ok(&c));
	c.allow[0].port_last = 2;
	cr_assert(wall_config_ok(&c));
	c.allow[2] = c.allow[0];
	cr_assert(!wall_config_ok(&c), "a line behind the end of the list");
}

Test(wall, every_rule_has_a_name_and_a_sentence)
{
	for (int i = 0; i < WALL_NRULES; i++)
		cr_assert(wall_rule_name((enum wall_rule)i)[0] && wall_rule_text((enum wall_rule)i)[0]);
}
