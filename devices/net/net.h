/* SPDX-License-Identifier: Apache-2.0 */
/* net.h: the virtio network device (virtio 1.3 §5.1), one to four queue pairs.
 *
 *	net.c	features, queues, turns		rx.c	frames to the guest
 *	control.c  how many pairs		tx.c	frames from the guest
 *	header.c   what stands before a frame	tap.c	the host's side, or
 *	wall.c	   what the guest may send	stream.c  passt's
 *
 * Knows descriptors of taps as numbers; waiting, kicks and interrupts are main.c's.  Pair i's
 * queues are 2i (to the guest) and 2i + 1 (from it); behind them lies the control queue. */
#ifndef IMMURE_DEVICES_NET_NET_H
#define IMMURE_DEVICES_NET_NET_H

#include "core/fdplan.h"
#include "core/flow.h"
#include "core/link.h"
#include "core/log.h"
#include "core/virtqueue.h"
#include "core/vmconfig.h"
#include "devices/net/header.h"
#include "devices/net/stream.h"
#include "devices/net/tap.h"
#include "devices/net/wall.h"

enum {
	NET_QUEUE_MAX = VQ_SIZE_MAX,
	NET_QUEUES = 2 * PLAN_NET_PAIRS + 1,
	NET_SPANS = 1022,		/* with a header and a bounce buffer: what readv takes */
	NET_BOUNCE = NET_FRAME_MAX + 1,	/* a byte more: it tells a frame that is too long */
	NET_BATCH = 64,			/* frames a turn, of one queue */
	NET_BATCH_BYTES = 1 << 20,
	NET_BATCH_CONTROL = 4,
	/* Drivers refill their receive queue long before so many buffers are out of it (Linux:
	 * 32); see wait_for_room(). */
	NET_PATIENCE = 64,
};

_Static_assert((int)NET_QUEUES <= (int)LINK_QUEUES_MAX, "pairs and the control queue");

/* Why the device itself, not a queue, asked for a reset (struct link_needs_reset.reason). */
enum {
	NET_E_RX_SHORT = 0x100 + 1,	/* receive buffer that cannot hold a header */
	NET_E_RX_READABLE,		/* receive buffer with a part that we should read */
	NET_E_NO_ACK,			/* command without a byte to answer in */
};

/* Frames that went nowhere, by reason. */
enum net_drop {
	NET_DROP_TX_LENGTH,		/* shorter than a header, longer than a frame */
	NET_DROP_TX_HEADER,		/* see header.c */
	NET_DROP_TX_HOST,		/* the host refused it */
	NET_DROP_RX_ROOM,		/* longer than all buffers the driver has */
	NET_DROP_RX_HEADER,		/* needs what the driver did not accept */
	NET_DROP_RX_HOST,
	NET_DROPS
};

/* A chain in hand: popped, and not yet filled. */
struct net_buf {
	uint16_t head;
	uint16_t nspans;
	uint32_t len;
};

/* To the guest.  Chains are taken as they come and filled from the front; @span has all of
 * theirs. */
struct net_rx {
	struct virtqueue vq;
	uint16_t nbufs, most;		/* in hand; the most that ever were */
	uint16_t first;			/* buf[first .. first + nbufs) */
	uint16_t span_first, nspans;
	bool starved;			/* no buffer, or not enough: a kick was asked for */
	bool full;			/* the tables are: chains were left in the queue */
	uint64_t room;			/* bytes in hand */
	/* A frame that waits for more buffers: the first @landed bytes lie in those in hand, the
	 * rest in bounce[]. */
	uint32_t pending, landed;	/* 0: none */
	struct net_header header;
	struct net_buf buf[NET_QUEUE_MAX];
	struct iovec span[NET_SPANS];
	uint8_t bounce[NET_BOUNCE];
};

/* From the guest. */
struct net_tx {
	struct virtqueue vq;
	bool kicked;			/* there may be chains */
	bool blocked;			/* the tap has no room */
};

struct net_pair {
	struct net_rx rx;
	struct net_tx tx;
	bool readable;			/* this pair's tap may have frames */
};

struct net {
	const struct guestmem *mem;
	uint64_t offered, features;
	uint8_t mac[6];
	uint16_t mtu;
	struct stream *stream;		/* NULL: there are taps; else one pair, and its socket */
	struct net_wall *wall;		/* NULL: nothing is judged here */
	unsigned pairs;			/* 1..PLAN_NET_PAIRS: taps, and pairs offered */
	unsigned active;		/* pairs the driver uses; 0: the device is not active */
	bool gone;			/* the host's interface is: the link is down */
	bool news;			/* so is what the driver knows of it */
	struct net_pair pair[PLAN_NET_PAIRS];
	struct virtqueue control;
	bool commanded;			/* the control queue was kicked */
	struct flow flow;
	struct log_limit drop[NET_DROPS];
	/* For the transfer at work. */
	struct vq_chain chain;
	struct vq_used used[NET_QUEUE_MAX];
	struct iovec iov[NET_SPANS + 2];
};

/* Makes @n, all zero, the device that @d describes.  @mem and what @pages points to outlive it. */
void net_init(struct net *n, const struct guestmem *mem, const struct pages *pages,
	      const struct vm_device *d);

/* The host's side is the socket of passt, with its state in @s, all zero, and not a tap. */
void net_use_stream(struct net *n, struct stream *s);

/* Fills in what the device is: features, queues, configuration space (§5.1.3, §5.1.4). */
void net_hello(const struct net *n, struct link_hello *h);

/* The configuration space as it is now. */
void net_config(const struct net *n, struct link_config *c);

/* The driver is ready.  False: *@reason (0: the VMM talks nonsense) says why it cannot be, and
 * *@queue for which queue. */
must_check bool net_activate(struct net *n, const struct link_activate *a, uint32_t *reason,
			     uint32_t *queue);

/* Forgets the driver: what is in hand, what waits. */
void net_reset(struct net *n);

/* The driver kicked @queue. */
void net_kick(struct net *n, unsigned queue);

/* poll() found the tap of @pair readable, writable. */
void net_tap(struct net *n, unsigned pair, bool readable, bool writable);

/* Is a kick of @queue to be waited for; is the tap of @pair, until it can be read, written? */
bool net_wants_kick(const struct net *n, unsigned queue);
bool net_wants_frames(const struct net *n, unsigned pair);
bool net_wants_room(const struct net *n, unsigned pair);

enum net_stop {
	NET_IDLE,	/* nothing to do before something is reported, or flow_wait() is over */
	NET_MORE,	/* enough for one turn; call again */
	NET_BROKEN,	/* driver misbehaved; *reason and *queue say how and where */
};

/* One turn: a bounded number of frames of every queue.  *@interrupt: the driver wants to be
 * interrupted now. */
must_check enum net_stop net_serve(struct net *n, bool *interrupt, uint32_t *reason,
				   uint32_t *queue);

/* ---- between net.c, rx.c, tx.c and control.c ---- */

/* Up to a batch each.  BROKEN: *@reason is set. */
must_check enum net_stop net_rx(struct net *n, unsigned tap, uint32_t *reason);
must_check enum net_stop net_tx(struct net *n, unsigned pair, uint32_t *reason);
must_check enum net_stop net_control(struct net *n, uint32_t *reason);

/* The pair whose receive queue gets what comes from the tap of @pair. */
unsigned net_rx_pair(const struct net *n, unsigned pair);

/* The host's interface is gone. */
void net_lost(struct net *n);

/* Counts a frame that went nowhere, and says so within bounds. */
void net_dropped(struct net *n, enum net_drop why);

#endif
