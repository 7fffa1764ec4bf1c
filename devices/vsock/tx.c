/* SPDX-License-Identifier: Apache-2.0 */
/* tx.c: packets from the guest.
 *
 * Each is hostile in every field.  The header is copied out of the chain once, however the
 * driver split it, and only the copy is judged; `len` counts only as far as the chain reaches.
 *
 *   not our guest's CID, or not for the host          dropped (nobody to answer to)
 *   unknown type, or not that of the connection       RST of that type (§5.10.6.4.2)
 *   no such connection                                RST, unless it is one, or a REQUEST
 *   not legal now, or beyond its credit               RST, and the connection is over
 *
 * A payload goes from guest memory straight into the socket when nothing waits before it; what
 * the socket does not take is copied to the connection's fifo, which has room for all that the
 * guest has credit for.  So a packet never waits, and never holds up the one behind it.  A message
 * (SEQPACKET) goes when its last packet is there, and straight only when that is its first. */
#include "devices/vsock/vsock.h"

#include "core/log.h"

/* A header in native order, the connection it names aside. */
struct packet {
	uint32_t guest_port, host_port;
	uint32_t len, flags;
	uint32_t buf_alloc, fwd_cnt;
	uint16_t type, op;
};

/* Finds bytes [@at, @at + *@len) of the payload in one piece, or fewer of them.  From guest memory
 * where that is worth a system call of its own, else gathered. */
static const void *in_one_piece(struct vsock *v, uint32_t at, uint32_t *len)
{
	struct iovec piece;

	if (!vq_chain_piece(&v->chain, VSOCK_HDR + at, *len, &piece))
		return NULL;
	if (piece.iov_len == *len || piece.iov_len >= VSOCK_PIECE) {
		*len = (uint32_t)piece.iov_len;
		return piece.iov_base;
	}
	*len = (uint32_t)min_u64(*len, VSOCK_BOUNCE);
	return vq_chain_read(&v->chain, VSOCK_HDR + at, v->bounce, *len) ? v->bounce : NULL;
}

/* Sends bytes [0, @len) of the payload until the socket has enough; returns what it took. */
static uint32_t send_now(struct vsock *v, struct conn *c, uint32_t len)
{
	uint32_t done = 0, part, sent;

	while (done < len) {
		const void *data;

		part = (uint32_t)min_u64(len - done, host_piece(c));
		data = in_one_piece(v, done, &part);
		if (data == NULL)
			break;
		sent = host_send(c, data, part);
		done += sent;
		if (sent < part)
			break;
	}
	return done;
}

/* Keeps bytes [@from, @len) of the payload for later. */
static bool keep(struct vsock *v, struct conn *c, uint32_t from, uint32_t len)
{
	while (from < len) {
		uint32_t room = 0, n;
		uint8_t *to = fifo_room(&v->table.pool, &c->fifo, &room);

		if (to == NULL)
			return false;
		n = (uint32_t)min_u64(room, len - from);
		if (!vq_chain_read(&v->chain, VSOCK_HDR + from, to, n))
			return false;
		fifo_added(&c->fifo, n);
		from += n;
	}
	return true;
}

/* Sends the payload, which is a whole message.  False: it has to wait. */
static bool send_message(struct vsock *v, struct conn *c, uint32_t len)
{
	uint32_t part = len;
	const void *data = in_one_piece(v, 0, &part);

	/* Large pieces, each of them worth a call of its own: but it must be one call. */
	if (data != NULL && part < len)
		data = vq_chain_read(&v->chain, VSOCK_HDR, v->bounce, len) ? v->bounce : NULL;
	return data != NULL && host_send(c, data, len) == len;
}

/* §5.10.6.3, §5.10.6.5.  False: the guest may not send this. */
static bool payload(struct vsock *v, struct conn *c, const struct packet *p)
{
	bool seq = c->type == VSOCK_TYPE_SEQPACKET;
	bool end = seq && (p->flags & VSOCK_SEQ_EOM) != 0;
	uint32_t len = p->len, done = 0;

	if ((c->guest_shut & VSOCK_SHUT_SEND) != 0 || (c->owed & OWE_RESPONSE) != 0)
		return false;
	if (len > v->chain.read_len - VSOCK_HDR || !credit_received(&c->credit, len))
		return false;
	if (c->fifo.len == 0 && !c->broken && !seq)
		done = send_now(v, c, len);
	else if (c->fifo.len == 0 && !c->broken && end && len > 0 && send_message(v, c, len))
		done = len;
	/* Nobody is there to take it: the guest is told so, and until then loses no credit. */
	if (c->broken)
		done = len;
	credit_passed_on(&c->credit, done);
	if (!keep(v, c, done, len))
		return false;
	/* An empty message is none: whoever reads it would take it for the end. */
	if (end && c->fifo.len > 0)
		message_ends(&v->table.messages, c->slot, c->credit.rx_cnt - 1);
	if (credit_should_tell(&c->credit))
		c->owed |= OWE_CREDIT;
	return true;
}

/* Returns true when the guest wants neither direction any more. */
static bool half_close(const struct vsock *v, struct conn *c, uint32_t flags)
{
	uint32_t more = flags & VSOCK_SHUT_BOTH & ~(uint32_t)c->guest_shut;

	c->guest_shut |= (uint8_t)more;
	if (c->guest_shut == VSOCK_SHUT_BOTH)
		return true;
	if ((more & VSOCK_SHUT_RCV) != 0 && c->fd >= 0)
		host_end_read(c);
	if ((more & VSOCK_SHUT_SEND) != 0 && c->fd >= 0 && !conn_waiting(&v->table, c))
		host_end_write(c);
	return false;
}

/* What the guest says on an open connection. */
static void on_open(struct vsock *v, struct conn *c, const struct packet *p)
{
	bool legal = false;

	switch ((enum vsock_op)p->op) {
	case VSOCK_OP_RW:
		legal = payload(v, c, p);
		break;
	case VSOCK_OP_SHUTDOWN:
		if (half_close(v, c, p->flags)) {
			vsock_finish(v, c);
			return;
		}
		legal = true;
		break;
	case VSOCK_OP_CREDIT_REQUEST:
		c->owed |= OWE_CREDIT;
		legal = true;
		break;
	case VSOCK_OP_CREDIT_UPDATE:
		legal = true;
		break;
	case VSOCK_OP_INVALID:
	case VSOCK_OP_REQUEST:
	case VSOCK_OP_RESPONSE:
	case VSOCK_OP_RST:
		break;
	}
	if (legal)
		vsock_settle(v, c);
	else
		vsock_kill(v, c);
}

static void on_connection(struct vsock *v, struct conn *c, const struct packet *p)
{
	static struct log_limit limit;

	credit_heard(&c->credit, p->buf_alloc, p->fwd_cnt);
	switch ((enum conn_state)c->state) {
	case CONN_OPEN:
		if (p->op == VSOCK_OP_RST)
			vsock_forget(v, c);
		else
			on_open(v, c, p);
		return;
	case CONN_ASKING:
		if (p->op == VSOCK_OP_RESPONSE && (c->owed & OWE_REQUEST) == 0)
			vsock_accepted(v, c);
		else if (p->op == VSOCK_OP_RST)
			vsock_forget(v, c);
		else
			vsock_kill(v, c);
		return;
	case CONN_DIALLING:
		if (p->op == VSOCK_OP_RST)
			vsock_forget(v, c);
		else
			vsock_kill(v, c);
		return;
	case CONN_ENDED:
		if (p->op != VSOCK_OP_RST)
			return;		/* its RST is on the way */
		conn_unbind(&v->table, c);	/* and now not owed any more */
		vsock_settle(v, c);
		return;
	case CONN_LINE:
	case CONN_FREE:
		break;
	}
	log_limited(&limit, "vsock: packet for a connection without a guest");
}

static void on_nothing(struct vsock *v, const struct packet *p)
{
	struct conn *c = NULL;

	if (p->op == VSOCK_OP_RST)
		return;
	if (p->op == VSOCK_OP_REQUEST)
		c = vsock_request(v, p->guest_port, p->host_port, p->type);
	if (c != NULL)
		credit_heard(&c->credit, p->buf_alloc, p->fwd_cnt);
	else
		vsock_stray(v, (struct stray){ p->guest_port, p->host_port, p->type });
}

static bool known_type(const struct vsock *v, uint16_t type)
{
	return type == VSOCK_TYPE_STREAM || (type == VSOCK_TYPE_SEQPACKET && v->seqpacket);
}

/* One packet: v->chain. */
static void packet(struct vsock *v)
{
	static struct log_limit limit_short, limit_cid;
	struct vsock_hdr h;
	struct packet p;
	struct conn *c;

	if (!vq_chain_read(&v->chain, 0, &h, sizeof(h))) {
		log_limited(&limit_short, "vsock: packet of %u bytes", v->chain.read_len);
		return;
	}
	/* §5.10.6.2: the upper halves are reserved and zero, which these comparisons imply. */
	if (le64(h.src_cid) != v->cid || le64(h.dst_cid) != VSOCK_CID_HOST) {
		log_limited(&limit_cid, "vsock: packet from CID 0x%lx to 0x%lx",
			    le64(h.src_cid), le64(h.dst_cid));
		return;
	}
	p = (struct packet){
		.guest_port = le32(h.src_port), .host_port = le32(h.dst_port),
		.len = le32(h.len), .flags = le32(h.flags),
		.buf_alloc = le32(h.buf_alloc), .fwd_cnt = le32(h.fwd_cnt),
		.type = le16(h.type), .op = le16(h.op),
	};
	c = conn_find(&v->table, p.guest_port, p.host_port);
	if (!known_type(v, p.type) || (c != NULL && c->type != p.type)) {
		if (p.op != VSOCK_OP_RST)
			vsock_stray(v, (struct stray){ p.guest_port, p.host_port, p.type });
	} else if (c != NULL) {
		on_connection(v, c, &p);
	} else {
		on_nothing(v, &p);
	}
}

/* The rate limit.  With nothing to hold back there is but a kick to wait for. */
static enum batch hold(struct vsock *v)
{
	if (!vq_enable_kick(&v->queue[VSOCK_TX]))
		return BATCH_EMPTY;
	vq_disable_kick(&v->queue[VSOCK_TX]);
	flow_hold(&v->flow, LIMITS_OUT);
	return BATCH_HELD;
}

enum batch vsock_tx(struct vsock *v)
{
	struct virtqueue *vq = &v->queue[VSOCK_TX];

	vq_disable_kick(vq);
	for (int i = 0; i < VSOCK_BATCH; i++) {
		int n;

		if (!flow_open(&v->flow, LIMITS_OUT))
			return hold(v);
		n = vq_pop(vq, &v->chain);
		if (n < 0)
			return BATCH_BROKEN;
		if (n == 0 && vq_enable_kick(vq))
			continue;
		if (n == 0)
			return BATCH_EMPTY;
		packet(v);
		flow_unit(&v->flow, LIMITS_OUT, payload_of(v->chain.read_len));
		if (!vq_push(vq, &v->chain, 0))
			return BATCH_BROKEN;
	}
	return BATCH_FULL;
}
