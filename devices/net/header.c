/* SPDX-License-Identifier: Apache-2.0 */
/* header.c: the twelve bytes before a frame (virtio 1.3 §5.1.6).
 *
 * They tell the kernel where to put a checksum and how to cut a frame into many: a driver's
 * arithmetic in the host's network stack.  The kernel checks them again (virtio_net_hdr_to_skb);
 * what is checked here is that they ask for nothing that was not negotiated, point into the
 * frame, there at the checksum of a TCP or UDP, and do not turn one frame into more than a TCP of
 * this world would.  Pure functions on a copy. */
#include "devices/net/header.h"

#include <netinet/in.h>

/* Which feature, of the driver's and of the host's frames, a kind of segmentation needs.  0: it
 * is unknown, or of a kind that is never offered (UFO, and ECN in its own bit). */
static uint64_t gso_feature(uint8_t gso_type, bool from_driver)
{
	switch (gso_type) {
	case NET_GSO_TCPV4: return from_driver ? NET_F_HOST_TSO4 : NET_F_GUEST_TSO4;
	case NET_GSO_TCPV6: return from_driver ? NET_F_HOST_TSO6 : NET_F_GUEST_TSO6;
	case NET_GSO_UDP_L4: return from_driver ? NET_F_HOST_USO
						: NET_F_GUEST_USO4 | NET_F_GUEST_USO6;
	}
	return 0;
}

/* All bits: the kernel does not say of a UDP frame to which IP it belongs. */
static bool accepted(uint64_t need, uint64_t features)
{
	return need != 0 && (features & need) == need;
}

static bool judge(struct net_header *h, uint32_t len, uint64_t features, bool from_driver)
{
	const struct net_header in = *h;
	const uint64_t csum = from_driver ? NET_F_CSUM : NET_F_GUEST_CSUM;
	/* Two 16-bit numbers: no sum can wrap. */
	const uint32_t at = (uint32_t)le16(in.csum_start) + le16(in.csum_offset);

	*h = (struct net_header){ 0 };
	if (len < NET_FRAME_MIN || len > NET_FRAME_MAX)
		return false;
	if ((in.flags & NET_NEEDS_CSUM) != 0) {
		if ((features & csum) == 0 || !range_fits(at, 2, len))
			return false;
		h->flags = NET_NEEDS_CSUM;
		h->csum_start = in.csum_start;
		h->csum_offset = in.csum_offset;
	} else if (!from_driver && (features & csum) != 0) {
		h->flags = in.flags & NET_DATA_VALID;
	}
	if (in.gso_type == NET_GSO_NONE)
		return true;
	/* §5.1.6.2: who has a frame cut leaves its checksums open, too. */
	if (!accepted(gso_feature(in.gso_type, from_driver), features) ||
	    (in.flags & NET_NEEDS_CSUM) == 0 || le16(in.gso_size) == 0 || le16(in.hdr_len) > len ||
	    len / le16(in.gso_size) > NET_SEGMENTS_MAX)
		return false;
	h->gso_type = in.gso_type;
	h->gso_size = in.gso_size;
	h->hdr_len = in.hdr_len;
	return true;
}

static uint32_t be16_at(const uint8_t *p)
{
	return (uint32_t)p[0] << 8 | p[1];
}

/* Returns the offset of the header behind IP, *@version, and, in *@proto, what it is; 0: none is
 * found.  Fragments have none to be completed by others, and IPv6 with headers between is not
 * searched.  @n >= NET_FRAME_MIN. */
static uint32_t behind_ip(const uint8_t *front, uint32_t n, uint8_t *version, uint8_t *proto)
{
	uint32_t at = 12, type = be16_at(front + at);

	for (int tags = 0; tags < 2 && (type == 0x8100 || type == 0x88a8) && at + 6 <= n; tags++) {
		at += 4;
		type = be16_at(front + at);
	}
	at += 2;
	if (type == 0x0800 && range_fits(at, 20, n) && front[at] >> 4 == 4) {
		*version = 4;
		*proto = front[at + 9];
		if ((front[at] & 15) < 5 || (be16_at(front + at + 6) & 0x3fff) != 0)
			return 0;
		return at + (front[at] & 15u) * 4;
	}
	if (type != 0x86dd || !range_fits(at, 40, n) || front[at] >> 4 != 6)
		return 0;
	*version = 6;
	*proto = front[at + 6];
	return at + 40;
}

static bool cut_as(uint8_t gso_type, uint8_t version, uint8_t proto)
{
	switch (gso_type) {
	case NET_GSO_NONE: return true;
	case NET_GSO_TCPV4: return version == 4 && proto == IPPROTO_TCP;
	case NET_GSO_TCPV6: return version == 6 && proto == IPPROTO_TCP;
	case NET_GSO_UDP_L4: return proto == IPPROTO_UDP;
	}
	return false;
}

bool header_checksum_fits(const struct net_header *h, const uint8_t *front, uint32_t n)
{
	uint8_t version = 0, proto = 0;
	uint32_t at;

	if ((h->flags & NET_NEEDS_CSUM) == 0)
		return true;
	at = behind_ip(front, n, &version, &proto);
	if (at == 0 || le16(h->csum_start) != at || !cut_as(h->gso_type, version, proto))
		return false;
	return (proto == IPPROTO_TCP && le16(h->csum_offset) == 16) ||
	       (proto == IPPROTO_UDP && le16(h->csum_offset) == 6);
}

bool header_from_driver(struct net_header *h, uint32_t len, uint64_t features)
{
	return judge(h, len, features, true);
}

bool header_to_driver(struct net_header *h, uint32_t len, uint64_t features)
{
	return judge(h, len, features, false);
}
