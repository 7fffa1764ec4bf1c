/* SPDX-License-Identifier: Apache-2.0 */
/* The header before a frame (virtio 1.3 §5.1.6), of the driver's and of the host's frames: any twelve bytes,
 * any length, any set of features, any first bytes of the frame.
 *
 * Assumed: nothing but that the features that are asked for one by one are those that NET_F_* name.
 *
 * Proven: what is left in a header that passes was agreed on; a checksum lies inside the frame, and after
 * header_checksum_fits() at that of the TCP or UDP header which is there; a frame is cut only into as many as
 * there may be, by who also leaves its checksums open; whatever means nothing is 0; no byte behind the front
 * is read. */
#include "devices/net/header.c"

#include "tests/proofs/proof.h"

struct net_header nondet_header(void);

static bool is_zero(const struct net_header *h)
{
	return h->flags == 0 && h->gso_type == 0 && le16(h->hdr_len) == 0 && le16(h->gso_size) == 0 &&
	       le16(h->csum_start) == 0 && le16(h->csum_offset) == 0;
}

static void judged(bool from_driver)
{
	struct net_header h = nondet_header();
	uint64_t features = nondet_u64();
	uint32_t len = nondet_u32();
	bool ok = from_driver ? header_from_driver(&h, len, features) : header_to_driver(&h, len, features);
	uint32_t at = (uint32_t)le16(h.csum_start) + le16(h.csum_offset);

	if (!ok)
		return;
	claim(len >= NET_FRAME_MIN && len <= NET_FRAME_MAX, "a frame");
	claim((h.flags & ~(uint8_t)(NET_NEEDS_CSUM | NET_DATA_VALID)) == 0, "no flag that is not known");
	claim((h.flags & NET_DATA_VALID) == 0 || !from_driver, "the driver vouches for nothing");
	if ((h.flags & NET_NEEDS_CSUM) != 0) {
		claim((features & (from_driver ? NET_F_CSUM : NET_F_GUEST_CSUM)) != 0, "a checksum as agreed");
		claim(at + 2 <= len, "inside the frame");
		REACHED("a checksum left open");
	} else {
		claim(at == 0, "no place of none");
	}
	if (h.gso_type == NET_GSO_NONE) {
		claim(le16(h.gso_size) == 0 && le16(h.hdr_len) == 0, "nothing of cutting");
		REACHED("a frame");
		return;
	}
	claim((h.flags & NET_NEEDS_CSUM) != 0, "who has it cut leaves the checksums");
	claim(le16(h.gso_size) > 0 && len / le16(h.gso_size) <= NET_SEGMENTS_MAX, "into so many");
	claim(le16(h.hdr_len) <= len, "a header inside the frame");
	claim(h.gso_type != NET_GSO_TCPV4 ||
	      (features & (from_driver ? NET_F_HOST_TSO4 : NET_F_GUEST_TSO4)) != 0, "as agreed: TCP over IPv4");
	claim(h.gso_type != NET_GSO_TCPV6 ||
	      (features & (from_driver ? NET_F_HOST_TSO6 : NET_F_GUEST_TSO6)) != 0, "as agreed: TCP over IPv6");
	claim(h.gso_type == NET_GSO_TCPV4 || h.gso_type == NET_GSO_TCPV6 || h.gso_type == NET_GSO_UDP_L4,
	      "of a kind that there is");
	REACHED("a frame to be cut");
}

static void refused(void)
{
	struct net_header h = nondet_header();
	const struct net_header in = h;
	uint64_t features = nondet_u64() & ~(NET_F_CSUM | NET_F_GUEST_CSUM);
	uint32_t len = nondet_u32();

	if (nondet_bool() ? header_from_driver(&h, len, features) : header_to_driver(&h, len, features)) {
		claim(is_zero(&h), "without checksums agreed on, nothing is left");
		claim(in.gso_type == NET_GSO_NONE, "and nothing is cut");
		REACHED("a plain frame");
	}
}

static void fits(void)
{
	struct net_header h = nondet_header();
	uint32_t n = nondet_u32(), at = le16(h.csum_start);
	uint8_t *front;

	assume(n >= NET_FRAME_MIN && n <= NET_FRONT);
	front = __CPROVER_allocate(n, 0);
	assume(front != NULL);
	if (!header_checksum_fits(&h, front, n) || (h.flags & NET_NEEDS_CSUM) == 0)
		return;
	claim(at >= 14 + 20 && at <= NET_FRONT, "behind Ethernet and an IP header");
	claim((le16(h.csum_offset) == 16 && h.gso_type != NET_GSO_UDP_L4) ||
	      (le16(h.csum_offset) == 6 && h.gso_type != NET_GSO_TCPV4 && h.gso_type != NET_GSO_TCPV6),
	      "where TCP or UDP has its own");
	REACHED("a checksum of TCP or UDP");
}

void harness(void)
{
	switch (CASE) {
	case 0: judged(true); break;
	case 1: judged(false); break;
	case 2: refused(); break;
	default: fits(); break;
	}
}
