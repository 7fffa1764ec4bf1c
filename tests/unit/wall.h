/* SPDX-License-Identifier: Apache-2.0 */
/* wall.h: frames of a VM with one MAC, one IPv4 and one IPv6 address. */
#ifndef IMMURE_TESTS_UNIT_WALL_H
#define IMMURE_TESTS_UNIT_WALL_H

#include "policy/bpf/wall.h"

#include <arpa/inet.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define VM_MAC { 0x02, 0x11, 0x22, 0x33, 0x44, 0x55 }
#define VM_IP4 "10.9.0.2"
#define VM_IP6 "fd09::2"
#define VM_LINK_LOCAL "fe80::11:22ff:fe33:4455"

static const struct wall_config usual = {
	.flags = WALL_HAS_IP4 | WALL_HAS_IP6,
	.mac = VM_MAC,
	.ip4 = { 10, 9, 0, 2 },
	.ip6 = { 0xfd, 0x09, [15] = 2 },
	.link_local = { 0xfe, 0x80, [8] = 0, 0x11, 0x22, 0xff, 0xfe, 0x33, 0x44, 0x55 },
};

struct frame {
	uint8_t b[2048];
	uint32_t len;
};

static inline void be16(uint8_t *p, unsigned v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static inline struct frame ethernet(unsigned type, uint32_t payload)
{
	static const uint8_t to[6] = { 0x02, 1, 1, 1, 1, 1 }, from[6] = VM_MAC;
	struct frame f = { .len = 14 + payload };

	memcpy(f.b, to, 6);
	memcpy(f.b + 6, from, 6);
	be16(f.b + 12, type);
	return f;
}

/* An IPv4 packet with 24 bytes behind its header. */
static inline struct frame ip4(const char *src, const char *dst, unsigned proto)
{
	struct frame f = ethernet(0x0800, 44);

	f.b[14] = 0x45;
	be16(f.b + 16, 44);
	f.b[22] = 64;
	f.b[23] = (uint8_t)proto;
	inet_pton(AF_INET, src, f.b + 26);
	inet_pton(AF_INET, dst, f.b + 30);
	return f;
}

static inline struct frame ip6(const char *src, const char *dst, unsigned proto)
{
	struct frame f = ethernet(0x86dd, 64);

	f.b[14] = 0x60;
	be16(f.b + 18, 24);
	f.b[20] = (uint8_t)proto;
	f.b[21] = 64;
	inet_pton(AF_INET6, src, f.b + 22);
	inet_pton(AF_INET6, dst, f.b + 38);
	return f;
}

/* Offset of what stands behind the IP header. */
static inline uint32_t l4(const struct frame *f)
{
	return f->b[12] == 0x86 ? 54 : 14 + (f->b[14] & 15u) * 4;
}

static inline struct frame ports(struct frame f, unsigned sport, unsigned dport)
{
	be16(f.b + l4(&f), sport);
	be16(f.b + l4(&f) + 2, dport);
	return f;
}

static inline struct frame icmp(struct frame f, unsigned type)
{
	f.b[l4(&f)] = (uint8_t)type;
	return f;
}

static inline struct frame arp(unsigned op, const char *sender)
{
	static const uint8_t head[6] = { 0, 1, 8, 0, 6, 4 }, mac[6] = VM_MAC;
	struct frame f = ethernet(0x0806, 28);

	memcpy(f.b + 14, head, 6);
	be16(f.b + 20, op);
	memcpy(f.b + 22, mac, 6);
	inet_pton(AF_INET, sender, f.b + 28);
	return f;
}

#endif
