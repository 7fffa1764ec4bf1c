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

/* ---- where a checksum belongs ---- */

struct front {
	uint8_t b[NET_FRONT];
	uint32_t n;
};

/* The front of a frame with @tags VLAN tags and IP of @version, with @words words in its header. */
static struct front packet(int tags, unsigned version, unsigned words, uint8_t proto)
{
	struct front f = { .n = NET_FRONT };
	uint8_t *ip = f.b + 14 + 4 * tags;

	for (int i = 0; i < tags; i++)
		memcpy(f.b + 12 + 4 * i, i + 1 < tags ? "\x88\xa8" : "\x81\x00", 2);
	memcpy(ip - 2, version == 4 ? "\x08\x00" : "\x86\xdd", 2);
	ip[0] = (uint8_t)(version << 4 | (version == 4 ? words : 0));
	ip[version == 4 ? 9 : 6] = proto;
	return f;
}

static bool fits(struct front f, uint8_t gso, uint32_t start, uint32_t offset)
{
	const struct net_header h = {
		.flags = NET_NEEDS_CSUM, .gso_type = gso, .csum_start = to_le16((uint16_t)start),
		.csum_offset = to_le16((uint16_t)offset),
	};
	uint8_t *exact = malloc(f.n);	/* for the sanitizers */
	bool ok;

	memcpy(exact, f.b, f.n);
	ok = header_checksum_fits(&h, exact, f.n);
	free(exact);
	return ok;
}

/* For every frame: one place, and no other. */
Test(net_header, a_checksum_belongs_where_tcp_and_udp_have_theirs)
{
	for (int tags = 0; tags <= 2; tags++)
		for (unsigned kind = 4; kind <= 16; kind++) {
			const bool six = kind == 16;
			const uint32_t at = 14 + 4 * (uint32_t)tags + (six ? 40 : 4 * kind);
			const unsigned version = six ? 6 : 4;
			struct front tcp = packet(tags, version, kind, 6);
			struct front udp = packet(tags, version, kind, 17);

			for (uint32_t start = 0; start < 200; start++)
				for (uint32_t off = 0; off < 40; off++) {
					bool here = start == at && kind > 4;

					cr_assert_eq(fits(tcp, 0, start, off), here && off == 16,
						     "%u %u", start, off);
					cr_assert_eq(fits(udp, 0, start, off), here && off == 6,
						     "%u %u", start, off);
				}
		}
}

Test(net_header, no_other_packet_has_a_checksum_for_the_host)
{
	const uint32_t at4 = 34, at6 = 54;
	struct front f;

	for (unsigned proto = 0; proto < 256; proto++)
		for (uint32_t off = 0; off < 40; off += 2) {
			const bool ok = (proto == 6 && off == 16) || (proto == 17 && off == 6);

			cr_assert_eq(fits(packet(0, 4, 5, (uint8_t)proto), 0, at4, off), ok);
			cr_assert_eq(fits(packet(0, 6, 0, (uint8_t)proto), 0, at6, off), ok);
		}
	for (unsigned bit = 0; bit < 16; bit++) {	/* fragments */
		f = packet(0, 4, 5, 6);
		f.b[20 + bit / 8] = (uint8_t)(0x80 >> bit % 8);
		cr_assert_eq(fits(f, 0, at4, 16), bit < 2, "bit %u: the reserved one, and DF", bit);
	}
	for (unsigned type = 0; type < 65536; type++) {
		f = packet(0, 4, 5, 6);
		f.b[12] = (uint8_t)(type >> 8);
		f.b[13] = (uint8_t)type;
		cr_assert_eq(fits(f, 0, at4, 16), type == 0x0800, "%x", type);
	}
	f = packet(0, 4, 5, 6);
	f.b[14] = 0x65;
	cr_assert_not(fits(f, 0, at4, 16), "not version 4");
	f = packet(0, 6, 0, 6);
	f.b[14] = 0x40;
	cr_assert_not(fits(f, 0, at6, 16), "not version 6");
	cr_assert_not(fits(packet(3, 4, 5, 6), 0, at4 + 12, 16), "three tags");
}

Test(net_header, a_front_cut_anywhere_is_not_read_beyond)
{
	for (int tags = 0; tags <= 2; tags++)
		for (uint32_t n = 14; n <= NET_FRONT; n++) {
			struct front four = packet(tags, 4, 15, 6), six = packet(tags, 6, 0, 17);
			const uint32_t ip = 14 + 4 * (uint32_t)tags;

			four.n = six.n = n;
			cr_assert_eq(fits(four, 0, ip + 60, 16), n >= ip + 20, "%d %u", tags, n);
			cr_assert_eq(fits(six, 0, ip + 40, 6), n >= ip + 40, "%d %u", tags, n);
		}
}

Test(net_header, what_is_cut_is_what_it_says)
{
	const struct { uint8_t gso; bool tcp4, tcp6, udp4, udp6; } t[] = {
		{ NET_GSO_NONE, true, true, true, true }, { NET_GSO_TCPV4, true, false, false, false },
		{ NET_GSO_TCPV6, false, true, false, false }, { NET_GSO_UDP_L4, false, false, true, true },
	};
	const struct net_header closed = { .csum_start = to_le16(2) };

	for (size_t i = 0; i < array_len(t); i++) {
		cr_assert_eq(fits(packet(0, 4, 5, 6), t[i].gso, 34, 16), t[i].tcp4);
		cr_assert_eq(fits(packet(0, 6, 0, 6), t[i].gso, 54, 16), t[i].tcp6);
		cr_assert_eq(fits(packet(0, 4, 5, 17), t[i].gso, 34, 6), t[i].udp4);
		cr_assert_eq(fits(packet(0, 6, 0, 17), t[i].gso, 54, 6), t[i].udp6);
	}
	cr_assert(header_checksum_fits(&closed, packet(0, 4, 5, 1).b, NET_FRONT), "nothing left to the host");
}
