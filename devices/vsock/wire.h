/* SPDX-License-Identifier: Apache-2.0 */
/* wire.h: a vsock packet as it lies in guest memory (virtio 1.3 §5.10.6).
 *
 * Every packet, in both directions, starts with this header, which the driver may split over
 * descriptors as it likes. */
#ifndef IMMURE_DEVICES_VSOCK_WIRE_H
#define IMMURE_DEVICES_VSOCK_WIRE_H

#include "core/base.h"

enum {
	VSOCK_DEVICE_ID = 19,		/* §5.10.1 */
	VSOCK_CID_HOST = 2,		/* §5.10.4: well-known */
	VSOCK_TYPE_STREAM = 1,		/* §5.10.6 */
	VSOCK_TYPE_SEQPACKET = 2,	/* §5.10.6, with VIRTIO_VSOCK_F_SEQPACKET */
};

#define VIRTIO_VSOCK_F_SEQPACKET (1ull << 1)	/* §5.10.3; streams need no feature */

enum vsock_queue { VSOCK_RX, VSOCK_TX, VSOCK_EVENT, VSOCK_QUEUES };	/* §5.10.2 */

/* §5.10.6.7: what the event queue carries. */
enum vsock_event {
	VSOCK_EVENT_TRANSPORT_RESET = 0,	/* your connections are gone */
};

struct vsock_event_msg { le32_t id; };

enum vsock_op {
	VSOCK_OP_INVALID = 0,
	VSOCK_OP_REQUEST = 1,		/* connect */
	VSOCK_OP_RESPONSE = 2,		/* accepted */
	VSOCK_OP_RST = 3,		/* refused, or gone */
	VSOCK_OP_SHUTDOWN = 4,		/* flags: enum vsock_shut */
	VSOCK_OP_RW = 5,		/* the only one with a payload */
	VSOCK_OP_CREDIT_UPDATE = 6,
	VSOCK_OP_CREDIT_REQUEST = 7,
};

/* §5.10.6.5: what the sender of a SHUTDOWN will no longer do; permanent once said. */
enum vsock_shut {
	VSOCK_SHUT_RCV = 1,
	VSOCK_SHUT_SEND = 2,
	VSOCK_SHUT_BOTH = 3,
};

/* §5.10.6.6.1: flags of an RW packet of a SEQPACKET connection.  A Unix socket has no mark for the
 * second: it is not carried. */
enum vsock_seq {
	VSOCK_SEQ_EOM = 1,		/* the last packet of a message */
	VSOCK_SEQ_EOR = 2,
};

struct vsock_hdr {
	le64_t src_cid, dst_cid;
	le32_t src_port, dst_port;
	le32_t len;			/* of the payload behind the header */
	le16_t type;
	le16_t op;
	le32_t flags;
	le32_t buf_alloc;		/* the sender's whole buffer for this stream */
	le32_t fwd_cnt;			/* bytes it has taken out of it so far, mod 2^32 */
} __attribute__((packed));

enum { VSOCK_HDR = sizeof(struct vsock_hdr) };

_Static_assert(VSOCK_HDR == 44, "virtio 1.3 §5.10.6");

#endif
