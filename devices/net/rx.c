/* SPDX-License-Identifier: Apache-2.0 */
/* rx.c: frames from the host to the guest (virtio 1.3 §5.1.6.4).
 *
 *	writable: struct net_header, the frame; with MRG_RXBUF over several chains
 *
 * (What is said here of taps is as true of passt's socket, where a frame is copied out of what was
 * read instead.)
 *
 * The tap does not say how long its next frame is.  So chains are taken in advance, all that the
 * driver has; each readv is offered those in hand, and behind them a buffer of our own that takes
 * what they cannot.  A frame that fits takes as many chains from the front as it fills, which
 * are published together: the driver sees all of a frame or nothing.  One that does not fit
 * waits for more chains, and no other frame is read meanwhile.
 *
 * It must not wait for ever: a driver may have given all it has.  See wait_for_room().
 *
 * The order of things, so that nothing sleeps while there is work: `readable` is set by poll and
 * cleared by EAGAIN, `starved` is set when a kick was asked for and cleared by it. */
#include "devices/net/net.h"

#include <string.h>

static bool mergeable(const struct net *n)
{
	return (n->features & NET_F_MRG_RXBUF) != 0;
}

/* Moves what is in hand to the front of its tables. */
static void compact(struct net_rx *rx)
{
	memmove(rx->buf, rx->buf + rx->first, rx->nbufs * sizeof(rx->buf[0]));
	memmove(rx->span, rx->span + rx->span_first, rx->nspans * sizeof(rx->span[0]));
	rx->first = rx->span_first = 0;
}

static void keep(struct net_rx *rx, const struct vq_chain *c)
{
	rx->buf[rx->nbufs++] = (struct net_buf){ c->head, c->nwrite, c->write_len };
	memcpy(rx->span + rx->nspans, c->iov, c->nwrite * sizeof(c->iov[0]));
	rx->nspans = (uint16_t)(rx->nspans + c->nwrite);
	rx->room += c->write_len;
}

/* Takes every chain there is, and has room for in the tables: that they are no more than there
 * are entries for, the queue sees to.  False: *@reason. */
static bool fill(struct net *n, struct net_rx *rx, uint32_t *reason)
{
	int rc;

	compact(rx);
	rx->full = false;
	while ((rc = vq_pop(&rx->vq, &n->chain)) > 0) {
		if (n->chain.nread > 0 || n->chain.write_len < sizeof(struct net_header)) {
			*reason = n->chain.nread > 0 ? NET_E_RX_READABLE : NET_E_RX_SHORT;
			return false;
		}
		rx->full = rx->nspans + n->chain.nwrite > NET_SPANS;
		if (rx->full) {
			vq_unpop(&rx->vq, &n->chain);
			break;
		}
		keep(rx, &n->chain);
	}
	*reason = rx->vq.err;
	rx->most = rx->nbufs > rx->most ? rx->nbufs : rx->most;
	return rc >= 0;
}

/* Bytes that a frame with its header may have in what is in hand. */
static uint64_t room(const struct net *n, const struct net_rx *rx)
{
	if (rx->nbufs == 0 || mergeable(n))
		return rx->room;
	return rx->buf[rx->first].len;
}

static unsigned spans(const struct net *n, const struct net_rx *rx)
{
	return rx->nbufs == 0 || mergeable(n) ? rx->nspans : rx->buf[rx->first].nspans;
}

/* For any frame there may be: nothing is gained by more. */
static bool enough(const struct net *n, const struct net_rx *rx)
{
	return mergeable(n) ? rx->room >= sizeof(struct net_header) + NET_FRAME_MAX
			    : rx->nbufs > 0;
}

/* Gives the frame of @len bytes, which lies in the buffers in hand, to the driver. */
static bool deliver(struct net *n, struct net_rx *rx, uint32_t len)
{
	uint32_t left = len + (uint32_t)sizeof(rx->header);
	uint16_t count = 0, nspans = 0;

	while (left > 0 && count < rx->nbufs) {
		const struct net_buf *b = &rx->buf[rx->first + count];
		const uint32_t part = (uint32_t)min_u64(left, b->len);

		n->used[count++] = (struct vq_used){ b->head, part };
		nspans = (uint16_t)(nspans + b->nspans);
		rx->room -= b->len;
		left -= part;
	}
	/* §5.1.6.4.1: 1 also where it was not negotiated. */
	rx->header.num_buffers = to_le16(count);
	if (!vq_spans_write(rx->span + rx->span_first, rx->nspans, 0, &rx->header,
			    sizeof(rx->header)))
		return false;
	rx->first = (uint16_t)(rx->first + count);
	rx->nbufs = (uint16_t)(rx->nbufs - count);
	rx->span_first = (uint16_t)(rx->span_first + nspans);
	rx->nspans = (uint16_t)(rx->nspans - nspans);
	flow_unit(&n->flow, LIMITS_IN, len);
	return vq_push_all(&rx->vq, n->used, count);
}

/* A frame is longer than what is in hand.  Are there buffers that the driver had once and will
 * give again, so many that it does not wait for us?  If not, the frame is too long for it, and
 * waiting would stop all others.  So it is when more buffers could not be taken in hand. */
static bool wait_for_room(const struct net *n, const struct net_rx *rx)
{
	return mergeable(n) && !rx->full && rx->most - rx->nbufs >= NET_PATIENCE;
}

/* Brings the rest of the frame that waits into the buffers that came.  Returns false while it has
 * to wait on; *@ok: the queue is not broken. */
static bool settle(struct net *n, struct net_rx *rx, bool *ok)
{
	const uint32_t rest = rx->pending - rx->landed, len = rx->pending;
	const uint64_t at = sizeof(struct net_header) + rx->landed;

	if (room(n, rx) < sizeof(struct net_header) + rx->pending) {
		if (wait_for_room(n, rx))
			return false;
		net_dropped(n, NET_DROP_RX_ROOM);
		rx->pending = 0;
		return true;
	}
	rx->pending = 0;
	*ok = vq_spans_write(rx->span + rx->span_first, rx->nspans, at, rx->bounce, rest) &&
	      deliver(n, rx, len);
	return true;
}

/* What one readv is offered: the header, the buffers in hand behind where it will be, and our
 * own.  Returns the number of pieces; *@landing: bytes of a frame that land in the buffers. */
static int offer(struct net *n, struct net_rx *rx, uint32_t *landing)
{
	const uint32_t header = sizeof(rx->header);
	uint64_t len = min_u64(room(n, rx) - header, NET_FRAME_MAX);
	int used = vq_spans_part(rx->span + rx->span_first, spans(n, rx), header, len, n->iov + 1,
				 NET_SPANS);

	*landing = used < 0 ? 0 : (uint32_t)len;
	used = used < 0 ? 0 : used;
	n->iov[0] = (struct iovec){ &rx->header, header };
	n->iov[used + 1] = (struct iovec){ rx->bounce, NET_BOUNCE - *landing };
	return used + 2;
}

/* Reads a frame and delivers it, if it can be.  *@ok as above. */
static enum tap_result receive(struct net *n, struct net_rx *rx, unsigned tap, bool *ok)
{
	uint32_t landing, frame;
	int pieces = offer(n, rx, &landing);
	size_t len;
	enum tap_result r = n->stream != NULL
			  ? stream_read(n->stream, NET_TAP0, n->iov, pieces, &len)
			  : tap_read(NET_TAP0 + (int)tap, n->iov, pieces, &len);

	if (r != TAP_OK)
		return r;
	frame = (uint32_t)(len - min_u64(len, sizeof(rx->header)));
	if (!header_to_driver(&rx->header, frame, n->features)) {
		net_dropped(n, NET_DROP_RX_HEADER);
	} else if (frame <= landing) {
		*ok = deliver(n, rx, frame);
	} else {
		rx->pending = frame;
		rx->landed = landing;
	}
	return TAP_OK;
}

enum readiness { READY, WAIT, LOOK_AGAIN, BROKEN };

/* No buffer, or too few: asks for a kick, unless more came meanwhile. */
static enum readiness starve(struct net_rx *rx)
{
	rx->starved = !vq_enable_kick(&rx->vq);
	if (rx->starved)
		return WAIT;
	vq_disable_kick(&rx->vq);
	return LOOK_AGAIN;
}

/* Sees to it that no frame waits and that there are buffers to read into. */
static enum readiness get_ready(struct net *n, struct net_rx *rx, uint32_t *reason)
{
	bool ok = true;

	if (rx->pending == 0 && enough(n, rx))
		return READY;
	if (!fill(n, rx, reason))
		return BROKEN;
	if (rx->pending > 0 && !settle(n, rx, &ok))
		return starve(rx);
	*reason = rx->vq.err;
	if (!ok)
		return BROKEN;
	return rx->nbufs > 0 ? READY : starve(rx);
}

/* Acts on what a readv came to.  False: there is nothing more to read now. */
static bool go_on(struct net *n, unsigned tap, enum tap_result r)
{
	switch (r) {
	case TAP_OK:
		return true;
	case TAP_REFUSED:
		net_dropped(n, NET_DROP_RX_HOST);
		return true;
	case TAP_AGAIN:
		n->pair[tap].readable = false;
		return false;
	case TAP_GONE:
		net_lost(n);
		return false;
	}
	return false;
}

enum net_stop net_rx(struct net *n, unsigned tap, uint32_t *reason)
{
	struct net_rx *rx = &n->pair[net_rx_pair(n, tap)].rx;
	bool ok = true;

	if (!rx->vq.ready || !n->pair[tap].readable || rx->starved || n->gone)
		return NET_IDLE;
	vq_disable_kick(&rx->vq);
	for (int i = 0; i < NET_BATCH; i++) {
		enum readiness now;

		if (!flow_open(&n->flow, LIMITS_IN)) {
			flow_hold(&n->flow, LIMITS_IN);
			return NET_IDLE;
		}
		now = get_ready(n, rx, reason);
		if (now == BROKEN)
			return NET_BROKEN;
		if (now == WAIT)
			return NET_IDLE;
		if (now == READY && !go_on(n, tap, receive(n, rx, tap, &ok)))
			return NET_IDLE;
		if (!ok) {
			*reason = rx->vq.err;
			return NET_BROKEN;
		}
	}
	return NET_MORE;
}
