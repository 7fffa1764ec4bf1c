/* SPDX-License-Identifier: Apache-2.0 */
/* open.c: how a connection begins, from either side, until it is CONN_OPEN.
 *
 *   host client                          guest
 *   connect() -> LINE                    REQUEST -> DIALLING -- supervisor refuses -> RST
 *   "CONNECT" -> ASKING -> REQUEST                     |
 *                  | RESPONSE: "OK"                    | supervisor sends a descriptor
 *                  '---------------> OPEN <- RESPONSE -'
 *
 * Nobody is waited for without a deadline, and a table that is full makes room by giving up what
 * the oldest draining connection has: whoever comes is served before whoever left. */
#include "devices/vsock/vsock.h"

#include "core/log.h"

#include <unistd.h>

static struct conn *new_conn(struct vsock *v, enum conn_state state, int type, int fd)
{
	struct conn *silent = conn_list_first(&v->table, LIST_LINE_SEQ);
	bool no_slot = type == VSOCK_TYPE_SEQPACKET && message_slot(&v->table.messages) < 0;
	struct conn *c = conn_new(&v->table, state, type, fd);

	if (c != NULL)
		return c;
	/* Short of slots for messages: who has said nothing loses nothing.  Or of entries. */
	if (no_slot && silent != NULL)
		vsock_forget(v, silent);
	else if (!vsock_drop_drain(v, no_slot ? type : 0))
		return NULL;
	return conn_new(&v->table, state, type, fd);
}

struct conn *vsock_request(struct vsock *v, uint32_t guest_port, uint32_t host_port, int type)
{
	struct conn *c = new_conn(v, CONN_DIALLING, type, -1);

	if (c == NULL)
		return NULL;
	conn_bind(&v->table, c, guest_port, host_port);
	v->cut_off = false;
	conn_list_add(&v->table, LIST_DIAL, c);
	vsock_be_patient(v, c);
	return c;
}

void vsock_accepted(struct vsock *v, struct conn *c)
{
	conn_list_remove(&v->table, LIST_PATIENCE, c);
	flow_count(&v->flow, STATS_VSOCK_IN_CONNECTIONS, 1);
	c->state = CONN_OPEN;
	/* What came behind the CONNECT line had its event long ago. */
	c->readable = true;
	if (host_say_ok(c, c->host_port))
		vsock_settle(v, c);
	else
		vsock_kill(v, c);
}

/* A client's line, as far as it has come. */
void vsock_client_line(struct vsock *v, struct conn *c)
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
	conn_list_remove(&v->table, LIST_LINE_SEQ, c);
	conn_bind(&v->table, c, port, conn_pick_port(&v->table, port));
	v->cut_off = false;
	c->state = CONN_ASKING;
	c->owed = OWE_REQUEST;
	vsock_be_patient(v, c);
	if (c->hup)
		vsock_kill(v, c);
	else
		vsock_wake(v, c);
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
	flow_count(&v->flow, STATS_VSOCK_OUT_CONNECTIONS, 1);
	c->state = CONN_OPEN;
	c->owed |= OWE_RESPONSE;
	vsock_wake(v, c);
}

bool vsock_take_answers(struct vsock *v)
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

void vsock_ask_for_dials(struct vsock *v)
{
	struct conn *c;

	while ((c = conn_list_first(&v->table, LIST_DIAL)) != NULL) {
		switch (host_ask(&v->host, conn_cookie(&v->table, c), c)) {
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
static void greet(struct vsock *v, int type, int fd)
{
	struct conn *c;

	if (v->table.list[LIST_LINE].count == vsock_lines_max(v->table.limit))
		vsock_forget(v, conn_list_first(&v->table, LIST_LINE));
	c = new_conn(v, CONN_LINE, type, fd);
	if (c == NULL) {
		close(fd);
		return;
	}
	c->deadline = v->now + VSOCK_LINE_PATIENCE;
	conn_list_add(&v->table, LIST_LINE, c);
	if (type == VSOCK_TYPE_SEQPACKET)
		conn_list_add(&v->table, LIST_LINE_SEQ, c);
	if (!host_adopt(&v->host, c, conn_cookie(&v->table, c)))
		vsock_forget(v, c);
}

/* Is there a slot for messages, or a client that had time to say its line and has one? */
static bool may_have_slot(struct vsock *v)
{
	const struct conn *c = conn_list_first(&v->table, LIST_LINE_SEQ);
	uint64_t due;

	if (message_slot(&v->table.messages) >= 0)
		return true;
	if (c == NULL)
		return false;
	due = c->deadline - VSOCK_LINE_PATIENCE + HOST_RETRY;
	if (due > v->now)
		v->host.retry_at = due;
	return due <= v->now;
}

/* While the table is full, or there is no driver, clients wait in the socket's own queue; so do
 * those that want messages while there is no slot.  A guest that knows no messages has none. */
static bool may_accept(struct vsock *v, enum host_kind kind)
{
	bool drains = v->table.list[LIST_DRAIN].count > 0;

	if (!v->host.listen_ready[kind] || (v->table.used == v->table.limit && !drains))
		return false;
	return kind == HOST_STREAM || (v->seqpacket && may_have_slot(v));
}

bool vsock_accept_clients(struct vsock *v)
{
	for (int i = 0; i < VSOCK_BATCH; i++) {
		/* In turns: a flood of one kind does not keep out the other. */
		enum host_kind kind = (enum host_kind)(i % HOST_KINDS);
		int fd;

		if (!may_accept(v, kind))
			kind = kind == HOST_STREAM ? HOST_SEQ : HOST_STREAM;
		fd = may_accept(v, kind) ? host_accept(&v->host, kind, v->now) : -1;
		if (fd >= 0)
			greet(v, kind == HOST_SEQ ? VSOCK_TYPE_SEQPACKET : VSOCK_TYPE_STREAM, fd);
		else if (!may_accept(v, HOST_STREAM) && !may_accept(v, HOST_SEQ))
			return false;
	}
	return true;
}
