/* SPDX-License-Identifier: Apache-2.0 */
/* vsock.c: the life of a connection, and the device as a whole.
 *
 *     LINE, ASKING, DIALLING (open.c)
 *                  |
 *                OPEN
 *     guest: SHUTDOWN of both ways -> ENDED, RST to the guest, the fifo drains to the host
 *     guest: RST -------------------> gone, nothing drains
 *     host: closed -----------------> SHUTDOWN to the guest; its RST ends it, or ours after
 *                                     VSOCK_PATIENCE
 *
 * A half-close travels both ways: shutdown(SHUT_WR) by the host is SHUTDOWN(SEND) for the
 * guest, SHUTDOWN(SEND) by the guest is shutdown(SHUT_WR) once the fifo is empty, and likewise
 * for the other direction (§5.10.6.5).
 *
 * Why the guest is answered at once when it closes: its kernel would otherwise wait for
 * seconds and then reset, while a slow reader on the host has a right to every byte sent
 * before.  The entry stays until the host has them or closes, however long that takes; but the
 * oldest of those makes room when there are VSOCK_DRAINS_MAX or the table is full.
 *
 * Every wait for somebody has a deadline or holds nothing but an entry of the table; nobody's
 * silence holds up anybody else. */
#include "devices/vsock/vsock.h"

#include "core/log.h"

#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

void vsock_init(struct vsock *v, const struct guestmem *mem, const struct vm_device *d,
		struct host host, uint64_t seed)
{
	v->mem = mem;
	v->cid = d->guest_cid;
	v->host = host;
	conn_table_init(&v->table, seed, d->connections);
}

void vsock_hello(const struct vsock *v, struct link_hello *h)
{
	le64_t cid = to_le64(v->cid);	/* §5.10.4: the whole configuration space */

	*h = (struct link_hello){
		.version = LINK_VERSION,
		.device_id = VSOCK_DEVICE_ID,
		.features = VSOCK_FEATURES,
		.nqueues = VSOCK_QUEUES,
		.queue_max = VQ_SIZE_MAX,
		.config_len = sizeof(cid),
	};
	memcpy(h->config, &cid, sizeof(cid));
}

enum vq_err vsock_activate(struct vsock *v, const struct link_activate *a, uint32_t *queue)
{
	for (uint32_t i = 0; i < VSOCK_QUEUES; i++) {
		const struct link_queue *q = &a->queue[i];
		struct vq_config config = {
			.desc = q->desc, .avail = q->avail, .used = q->used,
			.size = q->size, .ready = q->ready != 0,
		};
		enum vq_err err;

		*queue = i;
		/* There is little to report: a driver may do without that queue. */
		if (i == VSOCK_EVENT && !config.ready)
			continue;
		err = vq_setup(&v->queue[i], v->mem, &config, a->features & VSOCK_FEATURES);
		if (err != VQ_OK)
			return err;
	}
	v->seqpacket = (a->features & VIRTIO_VSOCK_F_SEQPACKET) != 0;
	v->active = true;
	return VQ_OK;
}

void vsock_reset(struct vsock *v)
{
	for (uint32_t i = 0; i < v->table.fresh; i++) {
		v->cut_off |= v->table.conn[i].state == CONN_OPEN;
		if (v->table.conn[i].state != CONN_FREE)
			vsock_forget(v, &v->table.conn[i]);
	}
	for (int i = 0; i < VSOCK_QUEUES; i++)
		vq_reset(&v->queue[i]);
	v->strays = 0;
	v->starved = false;
	v->interrupt = false;
	v->active = false;
}

uint32_t vsock_news(const struct conn *c)
{
	uint32_t now = (c->eof ? VSOCK_SHUT_SEND : 0u) | (c->broken ? VSOCK_SHUT_RCV : 0u);

	return (now & ~(uint32_t)c->told_shut) != 0 ? now : 0;
}

bool vsock_has_data(const struct conn *c)
{
	return c->state == CONN_OPEN && c->fd >= 0 && c->readable && !c->eof &&
	       (c->guest_shut & VSOCK_SHUT_RCV) == 0;
}

bool vsock_owes(const struct conn *c)
{
	return c->owed != 0 || (c->state == CONN_OPEN && vsock_news(c) != 0);
}

void vsock_wake(struct vsock *v, struct conn *c)
{
	uint32_t credit = credit_available(&c->credit);
	bool data = vsock_has_data(c);

	if (credit > 0)
		c->asked = false;
	if (data && credit == 0 && !c->asked) {
		c->owed |= OWE_CREDIT_REQUEST;
		c->asked = true;
	}
	data = data && credit > 0;
	if (!data)
		conn_list_remove(&v->table, LIST_HELD, c);
	if (c->bound && (vsock_owes(c) || (data && (c->lists & 1 << LIST_HELD) == 0)))
		conn_list_add(&v->table, LIST_RUN, c);
	else
		conn_list_remove(&v->table, LIST_RUN, c);
}

void vsock_be_patient(struct vsock *v, struct conn *c)
{
	c->deadline = v->now + VSOCK_PATIENCE;
	conn_list_add(&v->table, LIST_PATIENCE, c);
}

void vsock_stray(struct vsock *v, struct stray s)
{
	static struct log_limit limit;

	flow_count(&v->flow, STATS_VSOCK_OUT_ERRORS, 1);
	/* A guest that sends nonsense and offers no buffers for the answers gets none. */
	if (v->strays == VSOCK_STRAYS) {
		log_limited(&limit, "vsock: no room for another RST");
		return;
	}
	v->stray[(v->stray_first + v->strays++) % VSOCK_STRAYS] = s;
}

/* The end of the host half. */
static void hang_up(struct vsock *v, struct conn *c)
{
	v->table.larges -= c->large;
	c->large = false;
	host_close(c);
}

void vsock_forget(struct vsock *v, struct conn *c)
{
	hang_up(v, c);
	flow_count(&v->flow, STATS_VSOCK_CLOSED, 1);
	conn_free(&v->table, c);
}

void vsock_kill(struct vsock *v, struct conn *c)
{
	if (!c->bound || (c->owed & OWE_REQUEST) != 0) {
		vsock_forget(v, c);	/* the guest never heard of it */
		return;
	}
	conn_list_remove(&v->table, LIST_PATIENCE, c);
	conn_list_remove(&v->table, LIST_DIAL, c);
	conn_list_remove(&v->table, LIST_DRAIN, c);
	hang_up(v, c);
	conn_drop_backlog(&v->table, c);
	c->state = CONN_ENDED;
	c->owed = OWE_RST;
	vsock_wake(v, c);
}

bool vsock_drop_drain(struct vsock *v, int type)
{
	static struct log_limit limit;
	struct conn *c = conn_list_first(&v->table, LIST_DRAIN);

	/* At most VSOCK_DRAINS_MAX. */
	while (c != NULL && type != 0 && c->type != type)
		c = conn_list_next(&v->table, LIST_DRAIN, c);
	if (c == NULL)
		return false;
	log_limited(&limit, "vsock: port %u: the host did not take the last %u bytes",
		    c->host_port, c->fifo.len);
	/* The entry is needed now; its RST, if the guest has not got it yet, needs none. */
	if (c->bound)
		vsock_stray(v, (struct stray){ c->guest_port, c->host_port, c->type });
	vsock_forget(v, c);
	return true;
}

void vsock_finish(struct vsock *v, struct conn *c)
{
	conn_list_remove(&v->table, LIST_PATIENCE, c);
	c->state = CONN_ENDED;
	c->owed = OWE_RST;
	if (c->fd >= 0 && conn_waiting(&v->table, c)) {
		if (v->table.list[LIST_DRAIN].count == VSOCK_DRAINS_MAX)
			(void)vsock_drop_drain(v, 0);
		conn_list_add(&v->table, LIST_DRAIN, c);
	}
	vsock_settle(v, c);
}

void vsock_settle(struct vsock *v, struct conn *c)
{
	bool waiting;

	/* Closed, and what it wrote before is read, or not wanted. */
	if (c->hup && (c->eof || c->state == CONN_ENDED ||
		       (c->guest_shut & VSOCK_SHUT_RCV) != 0))
		c->eof = true;
	/* hup is also the sum of two half-closes; the fifo is empty then, and this as true. */
	if (c->hup && c->eof)
		c->broken = true;
	if (c->broken)
		conn_drop_backlog(&v->table, c);
	waiting = conn_waiting(&v->table, c);
	if ((c->eof && c->broken) || (c->state == CONN_ENDED && !waiting))
		hang_up(v, c);
	if (c->fd < 0)
		conn_list_remove(&v->table, LIST_DRAIN, c);
	if (c->fd >= 0 && c->armed != waiting) {
		c->armed = !c->armed;
		host_watch_room(&v->host, c, conn_cookie(&v->table, c), c->armed);
	}
	if (c->fd < 0 && !c->bound) {
		flow_count(&v->flow, STATS_VSOCK_CLOSED, 1);
		conn_free(&v->table, c);
	} else {
		vsock_wake(v, c);
	}
}

/* The socket was full, and somebody has read from it: the only reason to let it hold more.  What
 * is sent to a peer that never reads stays with it even when we close. */
static void enlarge(struct vsock *v, struct conn *c)
{
	if (!c->large && v->table.larges < BACKLOG_LARGES && host_enlarge(c)) {
		c->large = true;
		v->table.larges++;
	}
}

static void drain_bytes(struct vsock *v, struct conn *c)
{
	uint32_t n, sent, max;

	enlarge(v, c);
	max = (uint32_t)min_u64(host_piece(c), VSOCK_BOUNCE);
	/* Ends: a fifo holds at most WINDOW_MAX bytes. */
	while ((n = fifo_copy(&v->table.pool, &c->fifo, v->bounce, max)) > 0) {
		sent = host_send(c, v->bounce, n);
		fifo_took(&v->table.pool, &c->fifo, sent);
		credit_passed_on(&c->credit, sent);
		if (sent < n)
			break;
	}
}

static void drain_messages(struct vsock *v, struct conn *c)
{
	struct messages *m = &v->table.messages;
	uint32_t n, at;

	/* Ends: a fifo holds at most WINDOW_SEQ messages, and the socket fewer. */
	while (conn_waiting(&v->table, c)) {
		at = c->credit.fwd_cnt;
		n = message_length(m, c->slot, at);
		if (fifo_copy(&v->table.pool, &c->fifo, v->bounce, n) != n ||
		    host_send(c, v->bounce, n) != n)
			break;
		message_took(m, c->slot, at + n - 1);
		fifo_took(&v->table.pool, &c->fifo, n);
		credit_passed_on(&c->credit, n);
	}
}

/* The socket has room again. */
static void drain(struct vsock *v, struct conn *c)
{
	if (c->type == VSOCK_TYPE_SEQPACKET)
		drain_messages(v, c);
	else
		drain_bytes(v, c);
	if (c->state != CONN_OPEN)
		return;
	if (credit_should_tell(&c->credit))
		c->owed |= OWE_CREDIT;
	if (!conn_waiting(&v->table, c) && (c->guest_shut & VSOCK_SHUT_SEND) != 0)
		host_end_write(c);
}

void vsock_event(struct vsock *v, uint32_t cookie, uint32_t events)
{
	struct conn *c = conn_by_cookie(&v->table, cookie);

	if (c == NULL || c->fd < 0)
		return;
	if ((events & (EPOLLHUP | EPOLLERR)) != 0)
		c->hup = true;
	if ((events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0)
		c->readable = true;
	switch ((enum conn_state)c->state) {
	case CONN_LINE:
		vsock_client_line(v, c);
		break;
	case CONN_ASKING:
		if (c->hup)
			vsock_kill(v, c);
		break;
	case CONN_OPEN:
	case CONN_ENDED:
		if ((events & EPOLLOUT) != 0 && conn_waiting(&v->table, c))
			drain(v, c);
		vsock_settle(v, c);
		break;
	case CONN_DIALLING:
	case CONN_FREE:
		break;
	}
}

static void expire(struct vsock *v)
{
	struct conn *c;

	host_retry(&v->host, v->now);
	for (int i = LIST_PATIENCE; i <= LIST_LINE; i++)
		while ((c = conn_list_first(&v->table, (enum conn_list)i)) != NULL &&
		       c->deadline <= v->now)
			vsock_kill(v, c);
}

int vsock_timeout(struct vsock *v)
{
	uint64_t held = flow_wait(&v->flow), left = UINT64_MAX;
	uint64_t next = v->host.retry_at != 0 ? v->host.retry_at : UINT64_MAX;

	for (int i = LIST_PATIENCE; i <= LIST_LINE; i++) {
		const struct conn *c = conn_list_first(&v->table, (enum conn_list)i);

		if (c != NULL)
			next = min_u64(next, c->deadline);
	}
	if (next != UINT64_MAX)
		left = next > v->now ? next - v->now : 0;
	if (held != 0)
		left = min_u64(left, (held + BUCKET_NS_PER_MS - 1) / BUCKET_NS_PER_MS);
	return left <= VSOCK_LINE_PATIENCE ? (int)left : -1;
}

/* §5.10.6.7: the connections there were before a reset are gone.  Before anything else, so that
 * nobody takes it for news of a new one; with the first new one it is old.  False: the driver
 * broke the queue. */
static bool tell_cut_off(struct vsock *v)
{
	struct vsock_event_msg m = { .id = to_le32(VSOCK_EVENT_TRANSPORT_RESET) };
	struct virtqueue *vq = &v->queue[VSOCK_EVENT];
	int n;

	if (!v->cut_off || !vq->ready)
		return true;
	n = vq_pop(vq, &v->chain);
	if (n == 0 && vq_enable_kick(vq))
		n = vq_pop(vq, &v->chain);
	if (n <= 0)
		return n == 0;
	v->cut_off = !vq_chain_write(&v->chain, 0, &m, sizeof(m));
	return vq_push(vq, &v->chain, v->cut_off ? 0 : sizeof(m));
}

enum vsock_work vsock_run(struct vsock *v)
{
	enum batch tx = BATCH_EMPTY, rx = BATCH_EMPTY;
	bool more;

	flow_turn(&v->flow);
	expire(v);
	if (v->active)
		tx = tell_cut_off(v) ? vsock_tx(v) : BATCH_BROKEN;
	more = vsock_take_answers(v);
	vsock_ask_for_dials(v);
	if (v->active) {
		rx = vsock_rx(v);
		/* Last: what came before may have made room in the table. */
		more |= vsock_accept_clients(v);
		if (tx == BATCH_BROKEN || rx == BATCH_BROKEN)
			return VSOCK_BROKEN;
		for (int i = 0; i < VSOCK_QUEUES; i++)
			v->interrupt |= vq_should_interrupt(&v->queue[i]);
	}
	return more || tx == BATCH_FULL || rx == BATCH_FULL ? VSOCK_MORE : VSOCK_IDLE;
}

enum vq_err vsock_broken(const struct vsock *v, uint32_t *queue)
{
	for (*queue = 0; *queue < VSOCK_QUEUES; ++*queue)
		if (v->queue[*queue].err != VQ_OK)
			return v->queue[*queue].err;
	*queue = 0;
	return VQ_OK;
}
