/* SPDX-License-Identifier: Apache-2.0 */
/* tx.c: frames from the guest to the host (virtio 1.3 §5.1.6.2).
 *
 *	readable: struct net_header, the frame
 *
 * The header and the front of the frame are copied once and judged, and the copy goes to the tap,
 * with the rest of the frame straight from guest memory behind it.  A frame that the host must not
 * see, or does not want, is given back to the driver as if it had been sent: networks lose frames.
 * One that the tap has no room for stays in the queue, and behind one that passt's socket had no room
 * for, the next. */
#include "devices/net/net.h"

#include <string.h>

enum sent { SENT, SENT_LATER };

enum { VLAN_TAGS = 2 * 4 };

/* What is judged of a frame: our own copy, which is what the tap gets. */
struct judged {
	struct net_header h;
	uint8_t front[NET_FRONT];
};

_Static_assert(sizeof(struct judged) == sizeof(struct net_header) + NET_FRONT, "in one piece");

/* What the driver may hand over at once.  passt loses its place among the frames of its socket when one
 * comes in pieces; the kernel cuts none that is as short as our MTU wants it. */
static uint32_t longest(const struct net *n)
{
	return n->stream != NULL ? (uint32_t)n->mtu + NET_FRAME_MIN + VLAN_TAGS : NET_FRAME_MAX;
}

/* Keeps of a frame what did not go: from byte @from of the header and the frame. */
static void keep_rest(struct net *n, const struct judged *j, uint32_t own, uint32_t from, uint32_t all)
{
	uint8_t *to = stream_keep(n->stream, all - from);

	if (from < own) {
		memcpy(to, (const uint8_t *)j + from, own - from);
		to += own - from;
		from = own;
	}
	/* Of the chain's length, which was looked at: cannot fail. */
	if (!vq_chain_read(&n->chain, from, to, all - from))
		memset(to, 0, all - from);
}

/* To passt goes the length instead of the header: it is put in place of its end. */
static enum tap_result send_stream(struct net *n, struct judged *j, uint32_t own, int pieces, uint32_t all)
{
	const uint32_t skip = sizeof(j->h) - STREAM_PREFIX;
	uint8_t *from = (uint8_t *)j + skip;
	enum tap_result r;
	size_t put;

	stream_prefix(from, all - (uint32_t)sizeof(j->h));
	n->iov[0] = (struct iovec){ from, own - skip };
	r = stream_write(n->stream, NET_TAP0, n->iov, pieces, &put);
	if (r == TAP_OK && put < all - skip)
		keep_rest(n, j, own, skip + (uint32_t)put, all);
	return r;
}

/* Hands the frame in n->chain to the host. */
static enum tap_result hand_over(struct net *n, unsigned pair, struct judged *j, uint32_t own, uint32_t all)
{
	int spans = vq_chain_readable(&n->chain, own, all - own, n->iov + 1, NET_SPANS);

	if (spans < 0)
		return TAP_REFUSED;
	n->iov[0] = (struct iovec){ j, own };
	return n->stream != NULL ? send_stream(n, j, own, spans + 1, all)
				 : tap_write(NET_TAP0 + (int)pair, n->iov, spans + 1, all);
}

/* May the frame go, whose beginning is in @j?  If not, that is counted. */
static bool may_go(struct net *n, struct judged *j, uint32_t own, uint32_t all)
{
	const uint32_t header = sizeof(j->h);

	if (!header_from_driver(&j->h, all - header, n->features) ||
	    !header_checksum_fits(&j->h, j->front, own - header)) {
		net_dropped(n, NET_DROP_TX_HEADER);
		return false;
	}
	return !n->gone && (n->wall == NULL || net_wall_passes(n->wall, j->front, own - header));
}

/* Sends the frame in n->chain. */
static enum sent send_frame(struct net *n, unsigned pair)
{
	const uint32_t all = n->chain.read_len, header = sizeof(struct net_header);
	const uint32_t own = (uint32_t)min_u64(all, sizeof(struct judged));
	struct judged j;

	if (!n->gone && n->stream != NULL && stream_flush(n->stream, NET_TAP0) == TAP_AGAIN)
		return SENT_LATER;
	if (all < header + NET_FRAME_MIN || all > header + longest(n) ||
	    !vq_chain_read(&n->chain, 0, &j, own)) {
		net_dropped(n, NET_DROP_TX_LENGTH);
		return SENT;
	}
	if (!may_go(n, &j, own, all))
		return SENT;
	switch (hand_over(n, pair, &j, own, all)) {
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
