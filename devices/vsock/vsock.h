/* SPDX-License-Identifier: Apache-2.0 */
/* vsock.h: the virtio-vsock device (virtio 1.3 §5.10), stream and seqpacket sockets between the
 * guest and Unix sockets of the host.
 *
 *   tx.c    packets from the guest          rx.c    packets to the guest
 *   vsock.c life of a connection            open.c  how it begins
 *   host.c  Unix sockets, the supervisor    conn.c  table and credit
 *   buffer.c  bytes on their way to the host, message.c  where messages among them end
 *
 * One instance, single-threaded.  vsock_event() notes what the kernel reported, vsock_run()
 * does a bounded piece of work; main.c alternates between them. */
#ifndef IMMURE_DEVICES_VSOCK_VSOCK_H
#define IMMURE_DEVICES_VSOCK_VSOCK_H

#include "core/flow.h"
#include "core/link.h"
#include "core/virtqueue.h"
#include "devices/vsock/conn.h"
#include "devices/vsock/host.h"
#include "devices/vsock/wire.h"

enum {
	VSOCK_BATCH = 128,		/* packets each way, or clients, in one turn */
	VSOCK_BURST = 16,		/* packets that one read may fill */
	VSOCK_STRAYS = 256,		/* RSTs owed to no connection; more are dropped */
	VSOCK_BOUNCE = 64 << 10,
	VSOCK_PIECE = 16 << 10,		/* costs as much to copy as to send by itself */
	VSOCK_DRAINS_MAX = 256,		/* connections on LIST_DRAIN */

	/* Milliseconds. */
	VSOCK_PATIENCE = 5000,		/* for an answer of the guest or the supervisor */
	VSOCK_LINE_PATIENCE = 60000,	/* for CONNECT: somebody may be typing it */
};

#define VSOCK_FEATURES (VIRTIO_F_VERSION_1 | VIRTIO_F_EVENT_IDX | VIRTIO_F_INDIRECT_DESC | \
			VIRTIO_VSOCK_F_SEQPACKET)

/* An RST for a packet that belongs to no connection. */
struct stray {
	uint32_t guest_port, host_port;
	uint16_t type;		/* the packet's, which may be none that we know */
};

struct vsock {
	const struct guestmem *mem;
	uint64_t cid;			/* the guest's */
	uint64_t now;			/* milliseconds; the loop sets it after every wait */
	bool active;			/* queues are set up */
	bool seqpacket;			/* the driver knows SEQPACKET */
	bool interrupt;			/* the driver wants one; the loop clears it */
	bool starved;			/* rx has no buffer; a kick was asked for */
	bool cut_off;			/* a reset took connections: TRANSPORT_RESET is owed */
	bool stray_turn;		/* a stray goes before a connection's packet */
	uint32_t stray_first, strays;
	struct flow flow;		/* the caller's to flow_init() */
	struct host host;
	struct virtqueue queue[VSOCK_QUEUES];
	struct vq_chain chain;		/* the one in hand */
	struct vq_chain burst[VSOCK_BURST];	/* those that one read fills */
	struct stray stray[VSOCK_STRAYS];
	uint8_t bounce[VSOCK_BOUNCE];	/* payloads that lie in several pieces */
	struct conn_table table;
};

/* @v is all zero.  @d is the device's configuration, checked; @host holds the four descriptors;
 * @seed is random. */
void vsock_init(struct vsock *v, const struct guestmem *mem, const struct vm_device *d,
		struct host host, uint64_t seed);

/* Clients that have not said CONNECT, at most, of @limit connections. */
static inline uint32_t vsock_lines_max(uint32_t limit)
{
	return limit > 1 ? limit / 2 : 1;
}

/* What HELLO says. */
void vsock_hello(const struct vsock *v, struct link_hello *h);

/* The driver is ready.  Returns VQ_OK, or why queue *@queue cannot be used. */
must_check enum vq_err vsock_activate(struct vsock *v, const struct link_activate *a,
				      uint32_t *queue);

/* Closes all connections, host clients included, and forgets the queues. */
void vsock_reset(struct vsock *v);

/* An epoll event for a connection: @cookie is the low half of its data. */
void vsock_event(struct vsock *v, uint32_t cookie, uint32_t events);

enum vsock_work {
	VSOCK_IDLE,		/* nothing to do before the next event or deadline */
	VSOCK_MORE,		/* call again, without waiting */
	VSOCK_BROKEN,		/* the driver broke a queue: see vsock_broken() */
};

/* A bounded piece of all work there is.  Sets v->interrupt when the driver is to be
 * interrupted for it. */
must_check enum vsock_work vsock_run(struct vsock *v);

/* Which queue is broken, and why. */
enum vq_err vsock_broken(const struct vsock *v, uint32_t *queue);

/* Milliseconds from v->now to the nearest deadline; -1: there is none. */
int vsock_timeout(struct vsock *v);

/* ---- between vsock.c, tx.c and rx.c ---- */

enum batch { BATCH_EMPTY, BATCH_FULL, BATCH_HELD, BATCH_BROKEN };

/* Up to VSOCK_BATCH packets from the guest (tx.c).  EMPTY: the driver will kick.  HELD: the rate
 * limit lets no more go; v->flow knows until when. */
must_check enum batch vsock_tx(struct vsock *v);

/* Up to VSOCK_BATCH packets to the guest (rx.c).  EMPTY: nothing to send, or no buffer to send
 * it in and the driver will kick.  HELD: only data that the rate limit lets not go. */
must_check enum batch vsock_rx(struct vsock *v);

/* What of a packet of @len bytes is not header. */
static inline uint32_t payload_of(uint32_t len)
{
	return len > VSOCK_HDR ? len - VSOCK_HDR : 0;
}

/* Puts @c among those that have something for the guest, or takes it off. */
void vsock_wake(struct vsock *v, struct conn *c);

/* Does @c, which is bound, owe the guest a packet that is not data? */
bool vsock_owes(const struct conn *c);

/* What a SHUTDOWN packet to the guest would say, if that is more than it was told; or 0. */
uint32_t vsock_news(const struct conn *c);

/* May be read from for the guest? */
bool vsock_has_data(const struct conn *c);

/* The guest wants a connection to @host_port: NULL when there is no room for one. */
struct conn *vsock_request(struct vsock *v, uint32_t guest_port, uint32_t host_port, int type);

/* Starts the wait for an answer. */
void vsock_be_patient(struct vsock *v, struct conn *c);

/* What has come of the line of @c, a client that has not said it yet (open.c). */
void vsock_client_line(struct vsock *v, struct conn *c);

/* Takes the supervisor's answers; true: there may be more.  Then asks for what waits. */
must_check bool vsock_take_answers(struct vsock *v);
void vsock_ask_for_dials(struct vsock *v);

/* Takes new clients in; true: there may be more. */
must_check bool vsock_accept_clients(struct vsock *v);

/* Gives up what the oldest draining connection, of @type if that is not 0, still had for the
 * host.  False: there is none. */
bool vsock_drop_drain(struct vsock *v, int type);

/* Owes an RST to no connection. */
void vsock_stray(struct vsock *v, struct stray s);

/* The following may give @c back: it must not be looked at afterwards. */

/* The guest accepted. */
void vsock_accepted(struct vsock *v, struct conn *c);

/* Acts on what hup, eof, broken and an empty fifo mean in the present state; then wakes. */
void vsock_settle(struct vsock *v, struct conn *c);

/* Aborts both halves; the guest gets an RST if it knows of the connection. */
void vsock_kill(struct vsock *v, struct conn *c);

/* The guest said that it will neither send nor receive: it gets its RST at once, and what it
 * sent before still drains to the host. */
void vsock_finish(struct vsock *v, struct conn *c);

/* The guest's half is over and expects no answer: drops both. */
void vsock_forget(struct vsock *v, struct conn *c);

#endif
