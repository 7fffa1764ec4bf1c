/* SPDX-License-Identifier: Apache-2.0 */
/* attempt_frames.c: 44 and 45 with the tap that immure-net has: frames that its VM must not send.
 *
 * The kernel takes each of them; whether it reached the host behind the packet wall is the runner's to see
 * (world_received()). */
#include "core/fdplan.h"
#include "tests/escape/escape.h"

#include <linux/virtio_net.h>
#include <string.h>

enum { HEADER = sizeof(struct virtio_net_hdr_mrg_rxbuf), ETH = 14, UDP = 17, ICMP = 1, ICMP6 = 58 };

static const uint8_t own_mac[6] = ESCAPE_MAC, own_ip4[4] = ESCAPE_IP4, own_ip6[16] = ESCAPE_IP6;

struct frame {
	uint8_t header[HEADER], b[96];
	size_t len;
};

static void be16(uint8_t *to, uint32_t value)
{
	to[0] = (uint8_t)(value >> 8);
	to[1] = (uint8_t)value;
}

static uint32_t sum(const uint8_t *b, size_t len)
{
	uint32_t s = 0;

	for (size_t i = 0; i + 1 < len; i += 2)
		s += (uint32_t)b[i] << 8 | b[i + 1];
	return s;
}

static uint16_t folded(uint32_t s)
{
	s = (s & 0xffff) + (s >> 16);
	return (uint16_t)~(s + (s >> 16));
}

/* To everybody on the link, from the VM. */
static struct frame ethernet(uint16_t type)
{
	struct frame f = { .len = ETH };

	memset(f.b, 0xff, 6);
	memcpy(f.b + 6, own_mac, 6);
	be16(f.b + 12, type);
	return f;
}

static struct frame ip4(const uint8_t from[4], const uint8_t to[4], uint8_t proto)
{
	struct frame f = ethernet(0x0800);
	uint8_t *ip = f.b + ETH;

	ip[0] = 0x45;
	be16(ip + 2, 20 + 16);
	ip[8] = 64;
	ip[9] = proto;
	memcpy(ip + 12, from, 4);
	memcpy(ip + 16, to, 4);
	be16(ip + 10, folded(sum(ip, 20)));
	f.len = ETH + 20 + 16;
	return f;
}

/* Eight bytes for a port of the host, without a checksum. */
static struct frame udp(const uint8_t from[4], const uint8_t to[4], uint16_t sport, uint16_t dport)
{
	struct frame f = ip4(from, to, UDP);

	be16(f.b + ETH + 20, sport);
	be16(f.b + ETH + 22, dport);
	be16(f.b + ETH + 24, 16);
	return f;
}

/* "I am your router" (RFC 1256 for IPv4, RFC 4861 §4.2). */
static struct frame router4(void)
{
	static const uint8_t all[4] = { 224, 0, 0, 1 };
	struct frame f = ip4(own_ip4, all, ICMP);
	uint8_t *icmp = f.b + ETH + 20;

	icmp[0] = 9;
	icmp[4] = 1;
	icmp[5] = 2;
	be16(icmp + 6, 1800);
	memcpy(icmp + 8, own_ip4, 4);
	be16(icmp + 2, folded(sum(icmp, 16)));
	return f;
}

static struct frame router6(void)
{
	static const uint8_t all[16] = { 0xff, 2, [15] = 1 };
	struct frame f = ethernet(0x86dd);
	uint8_t *ip = f.b + ETH, *icmp = ip + 40;

	ip[0] = 0x60;
	be16(ip + 4, 16);
	ip[6] = ICMP6;
	ip[7] = 255;
	memcpy(ip + 8, own_ip6, 16);
	memcpy(ip + 24, all, 16);
	icmp[0] = 134;
	icmp[4] = 64;
	be16(icmp + 6, 1800);
	be16(icmp + 2, folded(sum(ip + 8, 32) + 16 + ICMP6 + sum(icmp, 16)));
	f.len = ETH + 40 + 16;
	return f;
}

/* -ENOMSG when the kernel took the frame: what became of it is not told. */
static long put(const struct frame *f)
{
	const struct { const void *base; size_t len; } v = { f->header, HEADER + f->len };
	long n = CALL(SYS_writev, NET_TAP0, &v, 1);

	return n == (long)v.len ? -ENOMSG : n < 0 ? n : -EIO;
}

long attempt_frames(unsigned number, unsigned sub)
{
	static const uint8_t host[4] = { 10, 9, 0, 1 }, other[4] = { 10, 9, 0, 7 };
	static const uint8_t metadata[4] = { 169, 254, 169, 254 }, loopback[4] = { 127, 0, 0, 1 };
	struct frame f = udp(number == 44 && sub == 3 ? other : own_ip4,
			     number == 44 ? host : sub == 3 ? metadata : loopback,
			     number == 44 && sub == 4 ? 67 : 4000, number == 44 && sub == 4 ? 68 : 80);

	if (number == 44 && sub == 2)
		f.b[11] ^= 1;
	if (number == 44 && sub == 5)
		f = router4();
	if (number == 44 && sub == 6)
		f = router6();
	return put(&f);
}
