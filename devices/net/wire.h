/* SPDX-License-Identifier: Apache-2.0 */
/* wire.h: what virtio 1.3 §5.1 puts into guest memory. */
#ifndef IMMURE_DEVICES_NET_WIRE_H
#define IMMURE_DEVICES_NET_WIRE_H

#include "core/base.h"

enum { VIRTIO_ID_NETWORK = 1 };

/* §5.1.3; names of our own, linux/virtio_net.h has the numbers of the bits. */
#define NET_F_CSUM       (1ull << 0)
#define NET_F_GUEST_CSUM (1ull << 1)
#define NET_F_MTU        (1ull << 3)
#define NET_F_MAC        (1ull << 5)
#define NET_F_GUEST_TSO4 (1ull << 7)
#define NET_F_GUEST_TSO6 (1ull << 8)
#define NET_F_HOST_TSO4  (1ull << 11)
#define NET_F_HOST_TSO6  (1ull << 12)
#define NET_F_MRG_RXBUF  (1ull << 15)
#define NET_F_STATUS     (1ull << 16)
#define NET_F_CTRL_VQ    (1ull << 17)
#define NET_F_MQ         (1ull << 22)
#define NET_F_GUEST_USO4 (1ull << 54)
#define NET_F_GUEST_USO6 (1ull << 55)
#define NET_F_HOST_USO   (1ull << 56)

enum net_header_flags { NET_NEEDS_CSUM = 1, NET_DATA_VALID = 2 };

enum net_gso { NET_GSO_NONE = 0, NET_GSO_TCPV4 = 1, NET_GSO_TCPV6 = 4, NET_GSO_UDP_L4 = 5 };

/* Before each frame, both ways (§5.1.6); what the kernel's tap puts there, too. */
struct net_header {
	uint8_t flags;		/* enum net_header_flags */
	uint8_t gso_type;	/* enum net_gso */
	le16_t hdr_len;		/* headers before the payload that is cut into segments */
	le16_t gso_size;	/* payload of a segment */
	le16_t csum_start;	/* in the frame */
	le16_t csum_offset;	/* from there */
	le16_t num_buffers;	/* to the driver: chains this frame takes */
};

enum { NET_LINK_UP = 1 };

/* §5.1.4, as far as the features we offer go. */
struct net_config {
	uint8_t mac[6];
	le16_t status;
	le16_t max_pairs;
	le16_t mtu;
};

/* §5.1.6.5: the control queue. */
enum { NET_CTRL_MQ = 4, NET_CTRL_MQ_PAIRS_SET = 0 };
enum net_ack { NET_ACK_OK = 0, NET_ACK_ERR = 1 };

struct net_ctrl {
	uint8_t class;
	uint8_t command;
};

_Static_assert(sizeof(struct net_header) == 12, "virtio 1.3 §5.1.6");
_Static_assert(sizeof(struct net_config) == 12, "virtio 1.3 §5.1.4");
_Static_assert(sizeof(struct net_ctrl) == 2, "virtio 1.3 §5.1.6.5");

#endif
