/* SPDX-License-Identifier: Apache-2.0 */
/* net.c: the device around its queues (virtio 1.3 §5.1.3 to §5.1.5).
 *
 * Offloads.  Who may leave checksums open, and how long a frame may be, is a property of the
 * tap, set by an ioctl: the sealed process cannot change it when a driver comes that accepted
 * less than was offered.  So it is decided at start.  With offloads (the default) the host may
 * send frames that only a driver with GUEST_CSUM and GUEST_TSO understands, which Linux always
 * accepts; one that does not gets all other frames, and the log names the option that turns
 * offloads off.  Without, nothing of the kind is offered either way.
 *
 * Pairs.  Each has a tap of its own, among which the kernel spreads what comes in; all of them
 * are read from the start.  While the driver uses fewer pairs, the taps beyond give their frames
 * to those it uses. */
#include "devices/net/net.h"

#include <string.h>

#define CSUM_OFFLOADS (NET_F_CSUM | NET_F_GUEST_CSUM)
#define TSO_OFFLOADS  (NET_F_HOST_TSO4 | NET_F_HOST_TSO6 | NET_F_GUEST_TSO4 | NET_F_GUEST_TSO6)
#define USO_OFFLOADS  (NET_F_HOST_USO | NET_F_GUEST_USO4 | NET_F_GUEST_USO6)

static uint64_t to_offer(const struct vm_device *d)
{
	uint64_t f = VIRTIO_F_VERSION_1 | VIRTIO_F_EVENT_IDX | VIRTIO_F_INDIRECT_DESC |
		     NET_F_MAC | NET_F_MTU | NET_F_STATUS | NET_F_MRG_RXBUF;

	if ((d->flags & VM_NET_OFFLOADS) != 0)
		f |= CSUM_OFFLOADS | TSO_OFFLOADS;
	if ((d->flags & VM_NET_USO) != 0)
		f |= USO_OFFLOADS;
	return d->nqueues > 2 ? f | NET_F_CTRL_VQ | NET_F_MQ : f;
}

void net_init(struct net *n, const struct guestmem *mem, const struct pages *pages,
	      const struct vm_device *d)
{
	flow_init(&n->flow, pages, d);
	n->mem = mem;
	n->offered = to_offer(d);
	n->pairs = d->nqueues / 2;
	n->mtu = d->mtu;
	memcpy(n->mac, d->mac, sizeof(n->mac));
}

void net_use_stream(struct net *n, struct stream *s)
{
	n->stream = s;
}

static struct net_config config(const struct net *n)
{
	struct net_config c = {
		.status = to_le16(n->gone ? 0 : NET_LINK_UP),
		.max_pairs = to_le16((uint16_t)n->pairs),
		.mtu = to_le16(n->mtu),
	};

	memcpy(c.mac, n->mac, sizeof(c.mac));
	return c;
}

void net_hello(const struct net *n, struct link_hello *h)
{
	const struct net_config c = config(n);

	*h = (struct link_hello){
		.version = LINK_VERSION,
		.device_id = VIRTIO_ID_NETWORK,
		.features = n->offered,
		.nqueues = n->pairs > 1 ? 2 * n->pairs + 1 : 2,
		.queue_max = NET_QUEUE_MAX,
		.config_len = sizeof(c),
	};
	memcpy(h->config, &c, sizeof(c));
}

void net_config(const struct net *n, struct link_config *lc)
{
	const struct net_config c = config(n);

	*lc = (struct link_config){ .len = sizeof(c) };
	memcpy(lc->config, &c, sizeof(c));
}

/* §5.1.3.1: a feature without the one it needs was not accepted. */
static uint64_t sound(uint64_t f)
{
	if ((f & NET_F_CSUM) == 0)
		f &= ~(NET_F_HOST_TSO4 | NET_F_HOST_TSO6 | NET_F_HOST_USO);
	if ((f & NET_F_GUEST_CSUM) == 0)
		f &= ~(NET_F_GUEST_TSO4 | NET_F_GUEST_TSO6 | NET_F_GUEST_USO4 | NET_F_GUEST_USO6);
	return (f & NET_F_CTRL_VQ) == 0 ? f & ~NET_F_MQ : f;
}

/* §5.1.2: behind the pairs there may be, or behind the only one. */
static unsigned control_queue(const struct net *n)
{
	return (n->features & NET_F_MQ) != 0 ? 2 * n->pairs : 2;
}

static struct virtqueue *queue_at(struct net *n, unsigned i)
{
	const bool mq = (n->features & NET_F_MQ) != 0;

	if (i == control_queue(n))
		return (n->features & NET_F_CTRL_VQ) != 0 ? &n->control : NULL;
	if (i >= 2 * (mq ? n->pairs : 1))
		return NULL;
	return i % 2 == 0 ? &n->pair[i / 2].rx.vq : &n->pair[i / 2].tx.vq;
}

/* Queues that the accepted features do not give a meaning are left alone. */
static uint32_t set_up_queues(struct net *n, const struct link_activate *a, uint32_t *queue)
{
	for (unsigned i = 0; i < LINK_QUEUES_MAX; i++) {
		const struct link_queue *q = &a->queue[i];
		struct virtqueue *vq = queue_at(n, i);
		const struct vq_config c = { q->desc, q->avail, q->used, q->size, true };
		enum vq_err err;

		if (q->ready == 0 || vq == NULL)
			continue;
		*queue = i;
		err = vq_setup(vq, n->mem, &c, n->features);
		if (err != VQ_OK)
			return err;
		vq_disable_kick(vq);
	}
	return VQ_OK;
}

bool net_activate(struct net *n, const struct link_activate *a, uint32_t *reason,
		  uint32_t *queue)
{
	*reason = VQ_OK;
	*queue = 0;
	if ((a->features & ~n->offered) != 0 || (a->features & VIRTIO_F_VERSION_1) == 0)
		return false;
	for (unsigned i = 2 * n->pairs + (n->pairs > 1 ? 1 : 0); i < LINK_QUEUES_MAX; i++)
		if (a->queue[i].ready != 0)
			return false;
	n->features = sound(a->features);
	*reason = set_up_queues(n, a, queue);
	if (*reason != VQ_OK) {
		net_reset(n);
		return false;
	}
	n->active = 1;	/* §5.1.5: until the driver asks for more */
	n->commanded = true;
	for (unsigned i = 0; i < n->pairs; i++) {
		n->pair[i].readable = true;
		n->pair[i].tx.kicked = true;
	}
	return true;
}

static void reset_pair(struct net_pair *p)
{
	vq_reset(&p->rx.vq);
	vq_reset(&p->tx.vq);
	p->rx.nbufs = p->rx.most = p->rx.first = 0;
	p->rx.nspans = p->rx.span_first = 0;
	p->rx.room = 0;
	p->rx.pending = p->rx.landed = 0;
	p->rx.starved = p->tx.kicked = p->tx.blocked = p->readable = false;
}

void net_reset(struct net *n)
{
	for (unsigned i = 0; i < n->pairs; i++)
		reset_pair(&n->pair[i]);
	vq_reset(&n->control);
	flow_reset(&n->flow);
	n->commanded = false;
	n->active = 0;
	n->features = 0;
}

unsigned net_rx_pair(const struct net *n, unsigned pair)
{
	return n->active == 0 ? 0 : pair % n->active;
}

void net_kick(struct net *n, unsigned queue)
{
	if (n->active == 0)
		return;
	if (queue == control_queue(n))
		n->commanded = true;
	else if (queue / 2 >= n->pairs)
		return;
	else if (queue % 2 == 0)
		n->pair[queue / 2].rx.starved = false;
	else
		n->pair[queue / 2].tx.kicked = true;
}

void net_tap(struct net *n, unsigned pair, bool readable, bool writable)
{
	struct net_pair *p = &n->pair[pair];

	p->readable |= readable;
	if (writable && n->stream != NULL && !n->gone && stream_flush(n->stream, NET_TAP0) == TAP_GONE)
		net_lost(n);
	if (writable && p->tx.blocked) {
		p->tx.blocked = false;
		p->tx.kicked = true;
	}
}

bool net_wants_kick(const struct net *n, unsigned queue)
{
	if (n->active == 0)
		return false;
	if (queue == control_queue(n))
		return (n->features & NET_F_CTRL_VQ) != 0;
	if (queue / 2 >= n->pairs)
		return false;
	if (queue % 2 == 0)
		return n->pair[queue / 2].rx.starved;
	return !n->pair[queue / 2].tx.kicked && !n->pair[queue / 2].tx.blocked;
}

bool net_wants_frames(const struct net *n, unsigned pair)
{
	return n->active != 0 && !n->gone && pair < n->pairs && !n->pair[pair].readable &&
	       !n->pair[net_rx_pair(n, pair)].rx.starved;
}

bool net_wants_room(const struct net *n, unsigned pair)
{
	return n->active != 0 && !n->gone && pair < n->pairs &&
	       (n->pair[pair].tx.blocked || (n->stream != NULL && n->stream->rest > 0));
}

void net_lost(struct net *n)
{
	n->news |= !n->gone;
	n->gone = true;
	for (unsigned i = 0; i < n->pairs; i++) {
		n->pair[i].readable = false;
		net_tap(n, i, false, true);	/* nothing to wait for any more */
	}
}

void net_dropped(struct net *n, enum net_drop why)
{
	static const uint8_t counter[NET_DROPS] = {
		[NET_DROP_TX_LENGTH] = STATS_NET_OUT_DROPS,
		[NET_DROP_TX_HEADER] = STATS_NET_OUT_DROPS,
		[NET_DROP_TX_HOST] = STATS_NET_OUT_ERRORS,
		[NET_DROP_RX_ROOM] = STATS_NET_IN_DROPS,
		[NET_DROP_RX_HEADER] = STATS_NET_IN_DROPS,
		[NET_DROP_RX_HOST] = STATS_NET_IN_ERRORS,
	};
	static const char *const text[NET_DROPS] = {
		[NET_DROP_TX_LENGTH] = "from the guest: too short or too long",
		[NET_DROP_TX_HEADER] = "from the guest: its header makes no sense",
		[NET_DROP_TX_HOST] = "from the guest: the host refused it",
		[NET_DROP_RX_ROOM] = "to the guest: longer than its buffers",
		[NET_DROP_RX_HEADER] = "to the guest: its driver has no offloads (use offload=off)",
		[NET_DROP_RX_HOST] = "to the guest: the host could not give it",
	};

	flow_count(&n->flow, counter[why], 1);
	log_limited(&n->drop[why], "net: dropped a frame %s", text[why]);
}

/* One queue after the other has its batch: none waits for more than a batch of each other. */
static enum net_stop turn(struct net *n, uint32_t *reason, uint32_t *queue)
{
	enum net_stop stop = NET_IDLE, s;

	for (unsigned i = 0; i < n->pairs; i++) {
		*queue = 2 * i + 1;
		s = net_tx(n, i, reason);
		if (s == NET_BROKEN)
			return s;
		stop = s == NET_MORE ? s : stop;
		*queue = 2 * net_rx_pair(n, i);
		s = net_rx(n, i, reason);
		if (s == NET_BROKEN)
			return s;
		stop = s == NET_MORE ? s : stop;
	}
	*queue = control_queue(n);
	s = net_control(n, reason);
	return s == NET_IDLE ? stop : s;
}

/* Every queue is asked: each has its own memory of when the driver was interrupted last. */
static bool should_interrupt(struct net *n)
{
	bool yes = vq_should_interrupt(&n->control);

	for (unsigned i = 0; i < n->pairs; i++) {
		yes |= vq_should_interrupt(&n->pair[i].rx.vq);
		yes |= vq_should_interrupt(&n->pair[i].tx.vq);
	}
	return yes;
}

enum net_stop net_serve(struct net *n, bool *interrupt, uint32_t *reason, uint32_t *queue)
{
	enum net_stop stop;

	*interrupt = false;
	*reason = 0;
	*queue = 0;
	if (n->active == 0)
		return NET_IDLE;
	flow_turn(&n->flow);
	if (n->wall != NULL)
		net_wall_turn(n->wall);
	stop = turn(n, reason, queue);
	*interrupt = should_interrupt(n);
	if (stop == NET_BROKEN)
		net_reset(n);	/* not a byte more until the driver starts again */
	return stop;
}
