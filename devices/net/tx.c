/* SPDX-License-Identifier: Apache-2.0 */
/* tx.c: frames from the guest to the host (virtio 1.3 §5.1.6.2).
 *
 *	readable: struct net_header, the frame
 *
 * The header and the front of the frame are copied once and judged, and the copy goes to the tap,
 * with the rest of the frame straight from guest memory behind it.  A frame that the host must not
 * see, or does not want, is given back to the driver as if it had been sent: networks lose frames.
 * One that the tap has no room for stays in the queue. */
#include "devices/net/net.h"

enum sent { SENT, SENT_LATER };

/* What is judged of a frame: our own copy, which is what the tap gets. */
struct judged {
	struct net_header h;
	uint8_t front[NET_FRONT];
};

_Static_assert(sizeof(struct judged) == sizeof(struct net_header) + NET_FRONT, "in one piece");

/* Sends the frame in n->chain. */
static enum sent send_frame(struct net *n, unsigned pair)
{
	const uint32_t all = n->chain.read_len, header = sizeof(struct net_header);
	const uint32_t own = (uint32_t)min_u64(all, sizeof(struct judged));
	struct judged j;
	int spans;

	if (all < header + NET_FRAME_MIN || all > header + NET_FRAME_MAX ||
	    !vq_chain_read(&n->chain, 0, &j, own)) {
		net_dropped(n, NET_DROP_TX_LENGTH);
		return SENT;
	}
	if (!header_from_driver(&j.h, all - header, n->features) ||
	    !header_checksum_fits(&j.h, j.front, own - header)) {
		net_dropped(n, NET_DROP_TX_HEADER);
		return SENT;
	}
	if (n->gone)
		return SENT;
	n->iov[0] = (struct iovec){ &j, own };
	spans = vq_chain_readable(&n->chain, own, all - own, n->iov + 1, NET_SPANS);
	switch (spans < 0 ? TAP_REFUSED
			  : tap_write(NET_TAP0 + (int)pair, n->iov, spans + 1, all)) {
	case TAP_OK:
		flow_unit(&n->flow, LIMITS_OUT, all - header);
		break;
	case TAP_AGAIN:
		return SENT_LATER;
	case TAP_REFUSED:
		net_dropped(n, NET_DROP_TX_HOST);
		break;
	case TAP_GONE:
		net_lost(n);
		break;
	}
	return SENT;
}

/* No frame may go now.  Without one there is nothing to wait for but a kick. */
static enum net_stop hold(struct net *n, struct net_tx *tx)
{
	tx->kicked = vq_enable_kick(&tx->vq);
	if (tx->kicked) {
		vq_disable_kick(&tx->vq);
		flow_hold(&n->flow, LIMITS_OUT);
	}
	return NET_IDLE;
}

enum net_stop net_tx(struct net *n, unsigned pair, uint32_t *reason)
{
	struct net_tx *tx = &n->pair[pair].tx;
	uint32_t bytes = 0;

	if (!tx->vq.ready || !tx->kicked || tx->blocked)
		return NET_IDLE;
	vq_disable_kick(&tx->vq);
	for (int i = 0; i < NET_BATCH && bytes < NET_BATCH_BYTES; i++) {
		int rc;

		if (!flow_open(&n->flow, LIMITS_OUT))
			return hold(n, tx);
		rc = vq_pop(&tx->vq, &n->chain);
		if (rc == 0 && !vq_enable_kick(&tx->vq)) {
			tx->kicked = false;
			return NET_IDLE;
		}
		if (rc > 0 && send_frame(n, pair) == SENT_LATER) {
			vq_unpop(&tx->vq, &n->chain);
			tx->blocked = true;
			return NET_IDLE;
		}
		if (rc < 0 || (rc > 0 && !vq_push(&tx->vq, &n->chain, 0))) {
			*reason = tx->vq.err;
			return NET_BROKEN;
		}
		bytes += rc > 0 ? (uint32_t)min_u64(n->chain.read_len, NET_FRAME_MAX) : 0;
	}
	return NET_MORE;
}
