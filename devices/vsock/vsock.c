/* SPDX-License-Identifier: Apache-2.0 */
/* vsock.c: the life of a connection, and the device as a whole.
 *
 *   host client                          guest
 *   connect() -> LINE                    REQUEST -> DIALLING -- supervisor refuses -> RST
 *   "CONNECT" -> ASKING -> REQUEST                     |
 *                  | RESPONSE: "OK"                    | supervisor sends a descriptor
 *                  '---------------> OPEN <- RESPONSE -'
 *                                     |
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

void vsock_init(struct vsock *v, const struct guestmem *mem, uint64_t cid, struct host host,
		uint64_t seed)
{
	v->mem = mem;
	v->cid = cid;
	v->host = host;
	conn_table_init(&v->table, seed);
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
		/* We never have an event to report: a driver may do without that queue. */
		if (i == VSOCK_EVENT && !config.ready)
			continue;
		err = vq_setup(&v->queue[i], v->mem, &config, a->features & VSOCK_FEATURES);
		if (err != VQ_OK)
			return err;
	}
	v->active = true;
	return VQ_OK;
}

void vsock_reset(struct vsock *v)
{
	for (uint32_t i = 0; i < v->table.fresh; i++)
		if (v->table.conn[i].state != CONN_FREE)
			vsock_forget(v, &v->table.conn[i]);
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
	if (c->bound && (c->owed != 0 || (c->state == CONN_OPEN && vsock_news(c) != 0) ||
			 (data && credit > 0)))
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
	fifo_drop(&v->table.pool, &c->fifo);
	c->state = CONN_ENDED;
	c->owed = OWE_RST;
	vsock_wake(v, c);
}

/* Gives up what the oldest draining connection still had for the host.  False: there is none. */
static bool drop_oldest_drain(struct vsock *v)
{
	static struct log_limit limit;
	struct conn *c = conn_list_first(&v->table, LIST_DRAIN);

	if (c == NULL)
		return false;
	log_limited(&limit, "vsock: port %u: the host did not take the last %u bytes",
		    c->host_port, c->fifo.len);
	/* The entry is needed now; its RST, if the guest has not got it yet, needs none. */
	if (c->bound)
		vsock_stray(v, (struct stray){ c->guest_port, c->host_port,
					       VSOCK_TYPE_STREAM });
	vsock_forget(v, c);
	return true;
}

static struct conn *new_conn(struct vsock *v, enum conn_state state, int fd)
{
	struct conn *c = conn_new(&v->table, state, fd);

	return c == NULL && drop_oldest_drain(v) ? conn_new(&v->table, state, fd) : c;
}

void vsock_finish(struct vsock *v, struct conn *c)
{
	conn_list_remove(&v->table, LIST_PATIENCE, c);
	c->state = CONN_ENDED;
	c->owed = OWE_RST;
	if (c->fd >= 0 && c->fifo.len > 0) {
		if (v->table.list[LIST_DRAIN].count == VSOCK_DRAINS_MAX)
			(void)drop_oldest_drain(v);
		conn_list_add(&v->table, LIST_DRAIN, c);
	}
	vsock_settle(v, c);
}

void vsock_settle(struct vsock *v, struct conn *c)
{
	/* Closed, and what it wrote before is read, or not wanted. */
	if (c->hup && (c->eof || c->state == CONN_ENDED ||
		       (c->guest_shut & VSOCK_SHUT_RCV) != 0))
		c->eof = true;
	/* hup is also the sum of two half-closes; the fifo is empty then, and this as true. */
	if (c->hup && c->eof)
		c->broken = true;
	if (c->broken) {
		credit_passed_on(&c->credit, c->fifo.len);
		fifo_drop(&v->table.pool, &c->fifo);
	}
	if ((c->eof && c->broken) || (c->state == CONN_ENDED && c->fifo.len == 0))
		hang_up(v, c);
	if (c->fd < 0)
		conn_list_remove(&v->table, LIST_DRAIN, c);
	if (c->fd >= 0 && c->armed != (c->fifo.len > 0)) {
		c->armed = !c->armed;
		host_watch_room(&v->host, c, conn_cookie(&v->table, c), c->armed);
	}
	if (c->fd < 0 && !c->bound)
		conn_free(&v->table, c);
	else
		vsock_wake(v, c);
}

struct conn *vsock_request(struct vsock *v, uint32_t guest_port, uint32_t host_port)
{
	struct conn *c = new_conn(v, CONN_DIALLING, -1);

	if (c == NULL)
		return NULL;
	conn_bind(&v->table, c, guest_port, host_port);
	conn_list_add(&v->table, LIST_DIAL, c);
	vsock_be_patient(v, c);
	return c;
}

void vsock_accepted(struct vsock *v, struct conn *c)
{
	conn_list_remove(&v->table, LIST_PATIENCE, c);
	c->state = CONN_OPEN;
	/* What came behind the CONNECT line had its event long ago. */
	c->readable = true;
	if (host_say_ok(c, c->host_port))
		vsock_settle(v, c);
	else
		vsock_kill(v, c);
}

/* A client's line, as far as it has come. */
static void client_line(struct vsock *v, struct conn *c)
{
	static struct log_limit limit;
	enum host_line line;
	uint32_t port = 0;

	do
		line = host_read_line(c, &port);
	while (line == HOST_LINE_MORE && c->readable);
	if (line == HOST_LINE_MORE)
		return;
	if (line == HOST_LINE_BAD) {
		log_limited(&limit, "vsock: client without a CONNECT line");
		vsock_forget(v, c);
		return;
	}
	conn_list_remove(&v->table, LIST_LINE, c);
	conn_bind(&v->table, c, port, conn_pick_port(&v->table, port));
	c->state = CONN_ASKING;
	c->owed = OWE_REQUEST;
	vsock_be_patient(v, c);
	if (c->hup)
		vsock_kill(v, c);
	else
		vsock_wake(v, c);
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

/* The socket has room again. */
static void drain(struct vsock *v, struct conn *c)
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
	if (c->state != CONN_OPEN)
		return;
	if (credit_should_tell(&c->credit))
		c->owed |= OWE_CREDIT;
	if (c->fifo.len == 0 && (c->guest_shut & VSOCK_SHUT_SEND) != 0)
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
		client_line(v, c);
		break;
	case CONN_ASKING:
		if (c->hup)
			vsock_kill(v, c);
		break;
	case CONN_OPEN:
	case CONN_ENDED:
		if ((events & EPOLLOUT) != 0 && c->fifo.len > 0)
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

	for (int i = LIST_PATIENCE; i <= LIST_LINE; i++)
		while ((c = conn_list_first(&v->table, (enum conn_list)i)) != NULL &&
		       c->deadline <= v->now)
			vsock_kill(v, c);
}

int vsock_timeout(struct vsock *v)
{
	const struct conn *a = conn_list_first(&v->table, LIST_PATIENCE);
	const struct conn *b = conn_list_first(&v->table, LIST_LINE);
	uint64_t left = UINT64_MAX;

	if (a != NULL)
		left = a->deadline > v->now ? a->deadline - v->now : 0;
	if (b != NULL)
		left = min_u64(left, b->deadline > v->now ? b->deadline - v->now : 0);
	return left <= VSOCK_LINE_PATIENCE ? (int)left : -1;
}

/* The supervisor's answer for the connection @cookie, which may be over by now. */
static void dialled(struct vsock *v, uint32_t cookie, int fd)
{
	struct conn *c = conn_by_cookie(&v->table, cookie);

	if (c == NULL || c->state != CONN_DIALLING || (c->lists & 1 << LIST_DIAL) != 0) {
		if (fd >= 0)
			close(fd);
		return;
	}
	c->fd = fd;
	if (fd < 0 || !host_adopt(&v->host, c, cookie)) {
		vsock_kill(v, c);
		return;
	}
	conn_list_remove(&v->table, LIST_PATIENCE, c);
	c->state = CONN_OPEN;
	c->owed |= OWE_RESPONSE;
	vsock_wake(v, c);
}

static bool take_answers(struct vsock *v)
{
	for (int i = 0; i < VSOCK_BATCH && v->host.dial_ready; i++) {
		uint32_t cookie = 0;
		int fd = -1;

		switch (host_answer(&v->host, &cookie, &fd)) {
		case HOST_DIAL_OK:
		case HOST_DIAL_REFUSED:
			dialled(v, cookie, fd);
			break;
		case HOST_DIAL_LATER:
		case HOST_DIAL_DEAD:
			break;
		}
	}
	return v->host.dial_ready;
}

static void ask_for_dials(struct vsock *v)
{
	struct conn *c;

	while ((c = conn_list_first(&v->table, LIST_DIAL)) != NULL) {
		switch (host_ask(&v->host, conn_cookie(&v->table, c), c->host_port)) {
		case HOST_DIAL_OK:
			conn_list_remove(&v->table, LIST_DIAL, c);
			break;
		case HOST_DIAL_LATER:
			return;
		case HOST_DIAL_REFUSED:
		case HOST_DIAL_DEAD:
			vsock_kill(v, c);
			break;
		}
	}
}

/* One more client; the one that has been silent longest makes room. */
static void greet(struct vsock *v, int fd)
{
	struct conn *c;

	if (v->table.list[LIST_LINE].count == VSOCK_LINES_MAX)
		vsock_forget(v, conn_list_first(&v->table, LIST_LINE));
	c = new_conn(v, CONN_LINE, fd);
	if (c == NULL) {
		close(fd);
		return;
	}
	c->deadline = v->now + VSOCK_LINE_PATIENCE;
	conn_list_add(&v->table, LIST_LINE, c);
	if (!host_adopt(&v->host, c, conn_cookie(&v->table, c)))
		vsock_forget(v, c);
}

/* While the table is full, or there is no driver, clients wait in the socket's own queue. */
static bool accept_clients(struct vsock *v)
{
	for (int i = 0; i < VSOCK_BATCH; i++) {
		int fd = -1;

		if (v->host.listen_ready &&
		    (v->table.used < PLAN_VSOCK_CONNS ||
		     v->table.list[LIST_DRAIN].count > 0))
			fd = host_accept(&v->host);
		if (fd < 0)
			return false;
		greet(v, fd);
	}
	return true;
}

enum vsock_work vsock_run(struct vsock *v)
{
	enum batch tx = BATCH_EMPTY, rx = BATCH_EMPTY;
	bool more;

	expire(v);
	if (v->active)
		tx = vsock_tx(v);
	more = take_answers(v);
	ask_for_dials(v);
	if (v->active) {
		rx = vsock_rx(v);
		/* Last: what came before may have made room in the table. */
		more |= accept_clients(v);
		if (tx == BATCH_BROKEN || rx == BATCH_BROKEN)
			return VSOCK_BROKEN;
		v->interrupt |= vq_should_interrupt(&v->queue[VSOCK_RX]);
		v->interrupt |= vq_should_interrupt(&v->queue[VSOCK_TX]);
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
