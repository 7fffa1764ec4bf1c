/* SPDX-License-Identifier: Apache-2.0 */
/* wall_rules.h: the table of wall.h as code, in the table's order.
 *
 * Written for the BPF verifier as much as for a compiler: no pointer arithmetic on the frame, no
 * loop without a constant bound, everything inlined.  Before this file is included stands
 *
 *	typedef ... wall_frame;		the frame, as WALL_LOAD wants it
 *	WALL_LOAD(frame, offset, to, count)
 *		copies @count (a constant) bytes at @offset; 0 when all of them are there
 *	WALL_OPEN(frame)
 *		will the host store a checksum in it, when it leaves the host?
 *	WALL_OPEN_BEFORE(frame, offset)
 *		if so, does it begin before @offset?  If it does, the frame is spoilt by the question.
 */
#ifndef IMMURE_POLICY_BPF_WALL_RULES_H
#define IMMURE_POLICY_BPF_WALL_RULES_H

#include "policy/bpf/wall.h"

#define wall_inline static inline __attribute__((always_inline))

/* 1 when @x is 0, else 0, and when @a >= @b: without a branch, and so that no compiler makes one.
 * The verifier follows each branch in a loop, on each turn of it. */
wall_inline __u32 wall_zero(__u32 x)
{
	__u64 below = (__u64)x - 1;

	__asm__("" : "+r"(below));
	return (__u32)(below >> 63);
}

wall_inline __u32 wall_at_least(__u32 a, __u32 b)
{
	__u64 below = (__u64)a - b;

	__asm__("" : "+r"(below));
	return 1 ^ (__u32)(below >> 63);
}

enum wall_numbers {
	WALL_ETH = 14,
	WALL_TYPE_IP4 = 0x0800, WALL_TYPE_ARP = 0x0806, WALL_TYPE_IP6 = 0x86dd,
	WALL_PROTO_ICMP = 1, WALL_PROTO_TCP = 6, WALL_PROTO_UDP = 17, WALL_PROTO_ICMP6 = 58,
	WALL_TCP_CHECKSUM = 16, WALL_UDP_CHECKSUM = 6,
	WALL_ICMP_REDIRECT = 5, WALL_ICMP_ROUTER = 9,
	WALL_ND_RS = 133, WALL_ND_RA = 134, WALL_ND_NS = 135, WALL_ND_NA = 136, WALL_ND_REDIRECT = 137,
	WALL_PORT_DHCP = 67, WALL_PORT_DHCP6 = 547,
	WALL_TICK_NS = 100000000,
};

/* What the rules want to know of an IP packet. */
struct wall_packet {
	__u8 src[16];		/* IPv4: the first four bytes */
	union {
		__u8 dst[16];
		__u32 to[4];
	};
	__u32 checksum;		/* where TCP or UDP has its own; 0: neither */
	__u32 l4;		/* offset of the header behind IP */
	__u16 sport, dport;
	__u8 version, proto;
	__u8 type;		/* of ICMP */
	__u8 fragment;		/* 0: not one, 1: the first, 2: a later one */
	__u8 options;		/* IPv4 has some */
	__u8 target[16];	/* whom a neighbour advertisement is about */
};

wall_inline __u16 wall_be16(const __u8 *p)
{
	return (__u16)(p[0] << 8 | p[1]);
}

wall_inline int wall_same(const __u8 *a, const __u8 *b, unsigned n)
{
	__u8 differ = 0;

	for (unsigned i = 0; i < n; i++)
		differ |= a[i] ^ b[i];
	return differ == 0;
}

wall_inline int wall_is_zero(const __u8 *a, unsigned n)
{
	__u8 any = 0;

	for (unsigned i = 0; i < n; i++)
		any |= a[i];
	return any == 0;
}

/* With addresses of IPv6 alone it speaks that alone. */
wall_inline int wall_speaks_ip4(const struct wall_config *c)
{
	return (c->flags & (WALL_HAS_IP4 | WALL_HAS_IP6)) != WALL_HAS_IP6;
}

/* ---- ARP ---- */

wall_inline enum wall_rule wall_arp(const wall_frame *f, const struct wall_config *c)
{
	static const __u8 ethernet_ip4[6] = { 0, 1, 8, 0, 6, 4 };
	__u8 arp[28];
	__u16 op;

	if (WALL_LOAD(f, WALL_ETH, arp, 28) != 0)
		return WALL_SHORT;
	op = wall_be16(arp + 6);
	if (!wall_same(arp, ethernet_ip4, 6) || (op != 1 && op != 2) || !wall_same(arp + 8, c->mac, 6))
		return WALL_ARP;
	if ((c->flags & WALL_HAS_IP4) == 0 || wall_same(arp + 14, c->ip4, 4))
		return WALL_PASS;
	/* A probe (RFC 5227) asks without claiming anything. */
	return op == 1 && wall_is_zero(arp + 14, 4) ? WALL_PASS : WALL_ARP;
}

/* ---- reading an IP packet ---- */

/* Ports and types; behind every first byte of them stand seven more in a packet of sense. */
wall_inline enum wall_rule wall_read_l4(const wall_frame *f, struct wall_packet *p)
{
	__u8 head[8];

	if (p->proto != WALL_PROTO_TCP && p->proto != WALL_PROTO_UDP && p->proto != WALL_PROTO_ICMP &&
	    p->proto != WALL_PROTO_ICMP6)
		return WALL_PASS;
	if (WALL_LOAD(f, p->l4, head, 8) != 0)
		return WALL_SHORT;
	if (p->proto == WALL_PROTO_TCP || p->proto == WALL_PROTO_UDP) {
		p->sport = wall_be16(head);
		p->dport = wall_be16(head + 2);
		p->checksum = p->l4 + (p->proto == WALL_PROTO_TCP ? WALL_TCP_CHECKSUM : WALL_UDP_CHECKSUM);
	} else {
		p->type = head[0];
	}
	if (p->proto == WALL_PROTO_ICMP6 && p->type == WALL_ND_NA &&
	    WALL_LOAD(f, p->l4 + 8, p->target, 16) != 0)
		return WALL_SHORT;
	return WALL_PASS;
}

wall_inline enum wall_rule wall_read_ip4(const wall_frame *f, struct wall_packet *p)
{
	__u8 ip[20];
	__u16 fragment;

	if (WALL_LOAD(f, WALL_ETH, ip, 20) != 0 || ip[0] >> 4 != 4 || (ip[0] & 15) < 5)
		return WALL_SHORT;
	__builtin_memcpy(p->src, ip + 12, 4);
	__builtin_memcpy(p->dst, ip + 16, 4);
	p->version = 4;
	p->proto = ip[9];
	p->l4 = WALL_ETH + (ip[0] & 15u) * 4;
	p->options = (ip[0] & 15) > 5;
	fragment = wall_be16(ip + 6);
	if ((fragment & 0x1fff) != 0)
		p->fragment = 2;
	else if ((fragment & 0x2000) != 0)
		p->fragment = 1;
	return p->fragment == 2 ? WALL_PASS : wall_read_l4(f, p);
}

wall_inline enum wall_rule wall_read_ip6(const wall_frame *f, struct wall_packet *p)
{
	__u8 ip[40];

	if (WALL_LOAD(f, WALL_ETH, ip, 40) != 0 || ip[0] >> 4 != 6)
		return WALL_SHORT;
	__builtin_memcpy(p->src, ip + 8, 16);
	__builtin_memcpy(p->dst, ip + 24, 16);
	p->version = 6;
	p->proto = ip[6];
	p->l4 = WALL_ETH + 40;
	return wall_read_l4(f, p);
}

/* ---- the rules ---- */

wall_inline int wall_source_wrong(const struct wall_packet *p, const struct wall_config *c)
{
	if (p->version == 4)
		return (c->flags & WALL_HAS_IP4) != 0 && !wall_same(p->src, c->ip4, 4);
	if (wall_same(p->src, c->ip6, 16) || wall_same(p->src, c->link_local, 16))
		return 0;
	/* Whoever looks whether an address is free has none yet (RFC 4862 §5.4). */
	return !(wall_is_zero(p->src, 16) && p->proto == WALL_PROTO_ICMP6 && p->type == WALL_ND_NS);
}

wall_inline int wall_router(const struct wall_packet *p, const struct wall_config *c)
{
	if (p->fragment == 2)
		return 0;
	if (p->version == 4)
		return p->proto == WALL_PROTO_ICMP &&
		       (p->type == WALL_ICMP_REDIRECT || p->type == WALL_ICMP_ROUTER);
	if (p->proto != WALL_PROTO_ICMP6)
		return 0;
	if (p->type == WALL_ND_RA || p->type == WALL_ND_REDIRECT)
		return 1;
	if (p->type != WALL_ND_NA)
		return 0;
	return !wall_same(p->target, c->ip6, 16) && !wall_same(p->target, c->link_local, 16);
}

/* Hop-by-hop, routing, fragment, ESP, AH, destination options, mobility, HIP, shim6, and ICMP of
 * the wrong version.  Options of IPv4 can name a route of their own. */
wall_inline int wall_extension(const struct wall_packet *p)
{
	if (p->version == 4)
		return p->options;
	return p->proto == 0 || p->proto == 43 || p->proto == 44 || p->proto == 50 || p->proto == 51 ||
	       p->proto == 60 || p->proto == 135 || p->proto == 139 || p->proto == 140 ||
	       p->proto == WALL_PROTO_ICMP;
}

/* 169.254/16, Azure's and Alibaba's services; the IPv6 ones of Amazon, Google and OpenStack. */
wall_inline int wall_metadata(const struct wall_packet *p)
{
	static const __u8 azure[4] = { 168, 63, 129, 16 }, alibaba[4] = { 100, 100, 100, 200 };
	static const __u8 amazon[16] = { 0xfd, 0x00, 0x0e, 0xc2, [14] = 0x02, [15] = 0x54 };
	static const __u8 google[16] = { 0xfd, 0x20, 0x00, 0xce, [14] = 0x02, [15] = 0x54 };
	static const __u8 openstack[16] = { 0xfe, 0x80, [12] = 0xa9, 0xfe, 0xa9, 0xfe };

	if (p->version == 4)
		return (p->dst[0] == 169 && p->dst[1] == 254) || wall_same(p->dst, azure, 4) ||
		       wall_same(p->dst, alibaba, 4);
	return wall_same(p->dst, amazon, 16) || wall_same(p->dst, google, 16) ||
	       wall_same(p->dst, openstack, 16);
}

/* 127/8, 0/8; ::, ::1, and IPv4 in IPv6 (::/96, ::ffff:0:0/96). */
wall_inline int wall_loopback(const struct wall_packet *p)
{
	if (p->version == 4)
		return p->dst[0] == 127 || p->dst[0] == 0;
	return wall_is_zero(p->dst, 10) && ((p->dst[10] == 0 && p->dst[11] == 0) ||
					    (p->dst[10] == 0xff && p->dst[11] == 0xff));
}

wall_inline __u32 wall_allows(const struct wall_allow *a, const struct wall_packet *p)
{
	__u32 differ = a->version ^ p->version;
	__u32 ports = wall_zero(p->proto ^ WALL_PROTO_TCP) | wall_zero(p->proto ^ WALL_PROTO_UDP);

	for (unsigned i = 0; i < 4; i++)
		differ |= (p->to[i] ^ a->addr[i]) & a->mask[i];
	return wall_zero(differ) & (wall_zero(a->proto) | wall_zero(a->proto ^ p->proto)) &
	       (wall_zero(a->port) |
		(ports & wall_at_least(p->dport, a->port) & wall_at_least(a->port_last, p->dport)));
}

/* To the link it is on: fe80::/10, ff02::/16 and the /64 of the VM's own address. */
wall_inline int wall_on_link(const struct wall_packet *p, const struct wall_config *c)
{
	return (p->dst[0] == 0xfe && (p->dst[1] & 0xc0) == 0x80) ||
	       (p->dst[0] == 0xff && p->dst[1] == 2) || wall_same(p->dst, c->ip6, 8);
}

wall_inline int wall_egress(const struct wall_packet *p, const struct wall_config *c)
{
	__u32 allowed = 0;

	if ((c->flags & WALL_HAS_ALLOW) == 0)
		return 0;
	/* Finding the neighbour that is allowed; a router would pass on what goes further. */
	if (p->version == 6 && p->proto == WALL_PROTO_ICMP6 && wall_on_link(p, c) &&
	    (p->type == WALL_ND_RS || p->type == WALL_ND_NS || p->type == WALL_ND_NA))
		return 0;
	for (unsigned i = 0; i < WALL_ALLOW_MAX && c->allow[i].version != 0; i++)
		allowed |= wall_allows(&c->allow[i], p);
	return !allowed;
}

wall_inline int wall_dhcp_server(const struct wall_packet *p)
{
	return p->proto == WALL_PROTO_UDP &&
	       p->sport == (p->version == 4 ? WALL_PORT_DHCP : WALL_PORT_DHCP6);
}

wall_inline enum wall_rule wall_ip(const struct wall_packet *p, const struct wall_config *c)
{
	if (wall_source_wrong(p, c))
		return WALL_SOURCE;
	if (wall_router(p, c))
		return WALL_ROUTER;
	if (wall_extension(p))
		return WALL_EXTENSION;
	if (wall_metadata(p))
		return WALL_METADATA;
	if (wall_loopback(p))
		return WALL_LOOPBACK;
	if (wall_dhcp_server(p))
		return WALL_DHCP_SERVER;
	if (p->fragment != 0 && (c->flags & WALL_HAS_ALLOW) != 0)
		return WALL_FRAGMENT;
	return wall_egress(p, c) ? WALL_EGRESS : WALL_PASS;
}

/* An open checksum may be stored where TCP and UDP have theirs, or behind: what was judged lies
 * before.  Where it is stored the sender says, and for a sender that was taken over that is any two
 * bytes of the frame, long after it passed here. */
wall_inline enum wall_rule wall_checksum(const wall_frame *f, const struct wall_config *c,
					 const struct wall_packet *p)
{
	if ((c->flags & WALL_ANY_CHECKSUM) != 0 || !WALL_OPEN(f))
		return WALL_PASS;
	if (p->checksum == 0 || WALL_OPEN_BEFORE(f, p->checksum))
		return WALL_CHECKSUM;
	return WALL_PASS;
}

/* Judges one frame that the VM sends, but for its rate.  @t is filled as far as it was read. */
wall_inline enum wall_rule wall_judge(const wall_frame *f, const struct wall_config *c,
				      struct wall_target *t)
{
	struct wall_packet p = { 0 };
	enum wall_rule rule;
	__u8 eth[WALL_ETH];
	__u16 type;

	if (WALL_LOAD(f, 0, eth, WALL_ETH) != 0)
		return WALL_SHORT;
	if (!wall_same(eth + 6, c->mac, 6))
		return WALL_MAC;
	type = wall_be16(eth + 12);
	if (type == WALL_TYPE_ARP && wall_speaks_ip4(c))
		rule = wall_arp(f, c);
	else if (type == WALL_TYPE_IP4 && wall_speaks_ip4(c))
		rule = wall_read_ip4(f, &p);
	else if (type == WALL_TYPE_IP6 && (c->flags & WALL_HAS_IP6) != 0)
		rule = wall_read_ip6(f, &p);
	else
		return WALL_ETHERTYPE;
	__builtin_memcpy(t->addr, p.dst, 16);
	t->port = p.dport;
	t->version = p.version;
	t->proto = p.proto;
	if (rule == WALL_PASS && p.version != 0)
		rule = wall_ip(&p, c);
	return rule == WALL_PASS ? wall_checksum(f, c, &p) : rule;
}

/* How many frames the host makes of one with @len bytes, at most; @gso_size 0: it is not cut. */
wall_inline __u64 wall_frames(__u32 len, __u32 gso_size)
{
	return gso_size == 0 ? 1 : ((__u64)len + gso_size - 1) / gso_size;
}

/* What a @rate allows from the beginning of time to that of a @tick. */
wall_inline __u64 wall_due(__u32 rate, __u64 tick)
{
	return tick / 10 * rate + tick % 10 * rate / 10;
}

/* Counts @frames that passed all else at @now (ns); are they too many? */
wall_inline enum wall_rule wall_rate(const struct wall_config *c, struct wall_rate *r, __u64 frames,
				     __u64 now)
{
	__u64 tick = now / WALL_TICK_NS, due = wall_due(c->rate, tick);

	if (c->rate == 0)
		return WALL_PASS;
	if (r->passed < due)
		r->passed = due;
	if (r->passed >= wall_due(c->rate, tick + 1))
		return WALL_RATE;
	r->passed += frames;
	return WALL_PASS;
}

#endif
