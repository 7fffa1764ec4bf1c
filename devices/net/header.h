/* SPDX-License-Identifier: Apache-2.0 */
/* header.h: what may stand before a frame. */
#ifndef IMMURE_DEVICES_NET_HEADER_H
#define IMMURE_DEVICES_NET_HEADER_H

#include "devices/net/wire.h"

enum {
	NET_FRAME_MIN = 14,		/* an Ethernet header */
	NET_FRAME_MAX = 65589,		/* §5.1.6.3.1: with 64 KiB behind an IPv6 header */
	NET_SEGMENTS_MAX = 1366,	/* a full frame, cut as small as Linux ever cuts TCP: 48 */
	NET_FRONT = 14 + 2 * 4 + 60,	/* Ethernet, two VLAN tags, the longest header of IPv4 */
};

/* Judges @h, a copy of what the driver put before a frame of @len bytes, under the @features it
 * accepted, and leaves in it only what means something: the rest becomes 0.  False: the host
 * must not see this frame. */
must_check bool header_from_driver(struct net_header *h, uint32_t len, uint64_t features);

/* If @h, which passed, leaves a checksum to the host: is it that of the TCP or UDP header in the
 * frame?  @front: a copy of the frame's first @n bytes, NET_FRONT or all of them.  The host stores
 * it when everybody who judges frames has seen them; anywhere else it would change what was
 * judged. */
must_check bool header_checksum_fits(const struct net_header *h, const uint8_t *front, uint32_t n);

/* As the first, for what the host's tap put before a frame to the driver (num_buffers aside).
 * False: the frame needs something that the driver did not accept. */
must_check bool header_to_driver(struct net_header *h, uint32_t len, uint64_t features);

#endif
