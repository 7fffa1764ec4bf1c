/* SPDX-License-Identifier: Apache-2.0 */
/* Which headers before a frame pass, and what is left of them. */
#include "devices/net/header.c"

#include <criterion/criterion.h>
#include <string.h>

enum { VLAN_AND_ALL = 1514 };

static const uint64_t all = NET_F_CSUM | NET_F_GUEST_CSUM | NET_F_HOST_TSO4 | NET_F_HOST_TSO6 |
			    NET_F_GUEST_TSO4 | NET_F_GUEST_TSO6 | NET_F_HOST_USO |
			    NET_F_GUEST_USO4 | NET_F_GUEST_USO6;

static struct net_header segments(uint8_t type)
{
	return (struct net_header){
		.flags = NET_NEEDS_CSUM, .gso_type = type, .hdr_len = to_le16(54),
		.gso_size = to_le16(1448), .csum_start = to_le16(34), .csum_offset = to_le16(16),
	};
}

static bool to_host(struct net_header h, uint32_t len, uint64_t features)
{
	return header_from_driver(&h, len, features);
}

static bool to_guest(struct net_header h, uint32_t len, uint64_t features)
{
	return header_to_driver(&h, len, features);
}

Test(net_header, a_plain_frame_has_a_length)
{
	const struct net_header h = { 0 };

	for (uint32_t len = 0; len < 70000; len++) {
		cr_assert_eq(to_host(h, len, 0), len >= 14 && len <= 65589, "%u", len);
		cr_assert_eq(to_guest(h, len, 0), len >= 14 && len <= 65589, "%u", len);
	}
}

Test(net_header, what_means_nothing_is_not_passed_on)
{
	struct net_header h, zero = { 0 };

	memset(&h, 0xff, sizeof(h));
	h.flags = 0xfe;		/* all that is not NEEDS_CSUM */
	h.gso_type = NET_GSO_NONE;
	cr_assert(header_from_driver(&h, 60, all));
	cr_assert_eq(memcmp(&h, &zero, sizeof(h)), 0);
	memset(&h, 0xff, sizeof(h));
	h.flags = 0xfe;
	h.gso_type = NET_GSO_NONE;
	cr_assert(header_to_driver(&h, 60, all));
	zero.flags = NET_DATA_VALID;
	cr_assert_eq(memcmp(&h, &zero, sizeof(h)), 0);
	cr_assert(header_to_driver(&h, 60, 0));
	cr_assert_eq(h.flags, 0, "checked or not is news only to who asked for it");
}

Test(net_header, the_checksum_lies_in_the_frame)
{
	struct net_header h = { .flags = NET_NEEDS_CSUM };

	for (uint32_t start = 0; start < 65536; start += 5)
		for (uint32_t off = 0; off < 65536; off += 4099) {
			h.csum_start = to_le16((uint16_t)start);
			h.csum_offset = to_le16((uint16_t)off);
			cr_assert_eq(to_host(h, VLAN_AND_ALL, all), start + off + 2 <= VLAN_AND_ALL,
				     "%u %u", start, off);
		}
	h.csum_start = to_le16(1000);
	h.csum_offset = to_le16(512);
	cr_assert(to_host(h, VLAN_AND_ALL, all));
	h.csum_offset = to_le16(513);
	cr_assert_not(to_host(h, VLAN_AND_ALL, all));
}

/* What the two functions say about every kind of segmentation, feature by feature. */
Test(net_header, each_byte_of_gso_type_needs_its_feature)
{
	static const struct {
		uint8_t type;
		uint64_t host, guest;
	} known[] = {
		{ 1, NET_F_CSUM | NET_F_HOST_TSO4, NET_F_GUEST_CSUM | NET_F_GUEST_TSO4 },
		{ 4, NET_F_CSUM | NET_F_HOST_TSO6, NET_F_GUEST_CSUM | NET_F_GUEST_TSO6 },
		{ 5, NET_F_CSUM | NET_F_HOST_USO,
		  NET_F_GUEST_CSUM | NET_F_GUEST_USO4 | NET_F_GUEST_USO6 },
	};

	for (unsigned type = 1; type < 256; type++) {
		uint64_t host = 0, guest = 0;

		for (size_t i = 0; i < array_len(known); i++)
			if (known[i].type == type) {
				host = known[i].host;
				guest = known[i].guest;
			}
		/* Every subset of the nine features. */
		for (unsigned set = 0; set < 512; set++) {
			static const unsigned bits[] = { 0, 1, 7, 8, 11, 12, 54, 55, 56 };
			uint64_t f = 0;

			for (unsigned b = 0; b < 9; b++)
				f |= (set >> b & 1) != 0 ? 1ull << bits[b] : 0;
			cr_assert_eq(to_host(segments((uint8_t)type), 30000, f),
				     host != 0 && (f & host) == host, "%u %lx", type, f);
			cr_assert_eq(to_guest(segments((uint8_t)type), 30000, f),
				     guest != 0 && (f & guest) == guest, "%u %lx", type, f);
		}
	}
}

Test(net_header, segments_are_bounded)
{
	struct net_header h = segments(NET_GSO_TCPV4);

	cr_assert(to_host(h, 65549, all));
	h.gso_size = to_le16(0);
	cr_assert_not(to_host(h, 65549, all));
	h.gso_size = to_le16(48);	/* as small as Linux ever makes them */
	cr_assert(to_host(h, 65549, all));
	h.gso_size = to_le16(47);
	cr_assert_not(to_host(h, 65549, all), "one frame would become 1395");
	cr_assert(to_host(h, 1500, all));
	h.gso_size = to_le16(1);
	cr_assert(to_host(h, 1366, all));
	cr_assert_not(to_host(h, 1367, all));
	h = segments(NET_GSO_TCPV4);
	h.hdr_len = to_le16(2000);
	cr_assert(to_host(h, 2000, all));
	cr_assert_not(to_host(h, 1999, all), "headers longer than the frame");
	h = segments(NET_GSO_TCPV4);
	h.flags = 0;
	cr_assert_not(to_host(h, 2000, all), "segments without open checksums");
	h = segments(NET_GSO_TCPV4);
	h.num_buffers = to_le16(7);
	cr_assert(header_from_driver(&h, 2000, all));
	cr_assert_eq(le16(h.num_buffers), 0, "means nothing on this way");
}
