/* SPDX-License-Identifier: Apache-2.0 */
/* rx.c: packets to the guest.
 *
 * Connections that have something to say stand in a line (LIST_RUN); the first says one thing,
 * in one of the driver's buffers, and goes to the end of the line if it has more.  RSTs that
 * belong to no connection take every second turn.  Data is read from the socket into the
 * guest's buffer directly, never more than the guest has promised room for.
 *
 * A socket whose last read filled a buffer will probably fill several: its next turn is a burst, one
 * read into many buffers, and as many packets as it fills.  Those in line share what one turn may
 * take, so that a flood makes nobody wait longer for it.
 *
 * A message (SEQPACKET) stays in its socket, and counts there against who sent it, until the guest
 * has its last piece.
 *
 * The rate limit is for data, and holds and counts nothing else: news of credit held back would
 * slow what the guest sends.  Who has but data to say when the limit lets none go leaves the line
 * for another (LIST_HELD), which comes first when it does; what else it has to say meanwhile costs
 * it no place there.  Only an end of file stands behind the data before it, as it is found by
 * reading.
 *
 * When the driver has no buffer left the line just stands: nothing is queued anywhere but in
 * the sockets, and the sockets' senders wait. */
#include "devices/vsock/vsock.h"

#include "core/log.h"

/* What is written into the buffer in hand. */
struct answer {
	uint32_t guest_port, host_port;
	enum vsock_op op;
	uint16_t type;
	uint32_t len, flags;
	uint32_t buf_alloc, fwd_cnt;
};

/* Writes the header into @to.  Returns the bytes of the packet, or 0. */
static uint32_t put(struct vsock *v, const struct vq_chain *to, const struct answer *a)
{
	struct vsock_hdr h = {
		.src_cid = to_le64(VSOCK_CID_HOST), .dst_cid = to_le64(v->cid),
		.src_port = to_le32(a->host_port), .dst_port = to_le32(a->guest_port),
		.len = to_le32(a->len), .type = to_le16(a->type),
		.op = to_le16((uint16_t)a->op), .flags = to_le32(a->flags),
		.buf_alloc = to_le32(a->buf_alloc), .fwd_cnt = to_le32(a->fwd_cnt),
	};

	return vq_chain_write(to, 0, &h, sizeof(h)) ? VSOCK_HDR + a->len : 0;
}

static uint32_t put_stray(struct vsock *v)
{
	struct stray s = v->stray[v->stray_first];

	v->stray_first = (v->stray_first + 1) % VSOCK_STRAYS;
	v->strays--;
	return put(v, &v->chain,
		   &(struct answer){ .guest_port = s.guest_port, .host_port = s.host_port,
				     .op = VSOCK_OP_RST, .type = s.type });
}

/* Reads from the socket of @c, up to @len bytes; *@flags is for their packet (enum vsock_seq). */
static uint32_t receive(struct vsock *v, struct conn *c, void *to, uint32_t len, uint32_t *flags)
{
	static struct log_limit limit;
	uint32_t n, left;

	if (c->type != VSOCK_TYPE_SEQPACKET)
		return host_recv(c, to, len);
	n = host_recv_message(c, to, len, &left);
	/* A guest waits for the whole of a message before it makes room for more. */
	if (n > 0 && left > 0 && c->peeked + n + left > c->credit.peer_buf_alloc) {
		log_limited(&limit, "vsock: port %u: message of %u bytes, the guest takes %u",
			    c->guest_port, c->peeked + n + left, c->credit.peer_buf_alloc);
		vsock_kill(v, c);
		return 0;
	}
	c->peeked = left > 0 ? c->peeked + n : 0;
	*flags = n > 0 && left == 0 ? VSOCK_SEQ_EOM : 0;
	return n;
}

/* Reads what the socket has behind the header of the buffer in hand; returns the bytes. */
static uint32_t read_data(struct vsock *v, struct conn *c, uint32_t *flags)
{
	uint32_t room = (uint32_t)min_u64(v->chain.write_len - VSOCK_HDR,
					  credit_available(&c->credit));
	struct iovec iov;
	uint32_t n;

	room = (uint32_t)min_u64(room, VSOCK_BOUNCE);
	if (!vsock_has_data(c) || room == 0)
		return 0;
	if (vq_chain_writable(&v->chain, VSOCK_HDR, room, &iov, 1) == 1) {
		n = receive(v, c, iov.iov_base, room, flags);
	} else {
		n = receive(v, c, v->bounce, room, flags);
		if (n > 0 && !vq_chain_write(&v->chain, VSOCK_HDR, v->bounce, n))
			return 0;
	}
	credit_sent(&c->credit, n);
	if (n > 0)
		c->greedy = n == room && c->type == VSOCK_TYPE_STREAM;
	return n;
}

/* The most urgent thing @c has to say, data only if @open; VSOCK_OP_INVALID: nothing after all. */
static enum vsock_op choose(struct vsock *v, struct conn *c, struct answer *a, bool open)
{
	if ((c->owed & OWE_RST) != 0)
		return VSOCK_OP_RST;
	if ((c->owed & OWE_REQUEST) != 0)
		return VSOCK_OP_REQUEST;
	if ((c->owed & OWE_RESPONSE) != 0)
		return VSOCK_OP_RESPONSE;
	if (vsock_news(c) != 0)
		return VSOCK_OP_SHUTDOWN;
	a->len = open ? read_data(v, c, &a->flags) : 0;
	if (a->len > 0)
		return VSOCK_OP_RW;
	if ((c->owed & OWE_RST) != 0)
		return VSOCK_OP_RST;
	/* It may have been the end that was read. */
	if (vsock_news(c) != 0)
		return VSOCK_OP_SHUTDOWN;
	if ((c->owed & OWE_CREDIT) != 0)
		return VSOCK_OP_CREDIT_UPDATE;
	if ((c->owed & OWE_CREDIT_REQUEST) != 0)
		return VSOCK_OP_CREDIT_REQUEST;
	return VSOCK_OP_INVALID;
}

/* @op went out. */
static void said(struct vsock *v, struct conn *c, enum vsock_op op, uint32_t flags)
{
	/* Every packet carries the credit. */
	c->credit.told = c->credit.fwd_cnt;
	c->owed &= (uint8_t)~OWE_CREDIT;
	switch (op) {
	case VSOCK_OP_RST:
		c->owed = 0;
		conn_unbind(&v->table, c);
		break;
	case VSOCK_OP_REQUEST:
		c->owed &= (uint8_t)~OWE_REQUEST;
		break;
	case VSOCK_OP_RESPONSE:
		c->owed &= (uint8_t)~OWE_RESPONSE;
		break;
	case VSOCK_OP_CREDIT_REQUEST:
		c->owed &= (uint8_t)~OWE_CREDIT_REQUEST;
		break;
	case VSOCK_OP_SHUTDOWN:
		c->told_shut = (uint8_t)flags;
		/* §5.10.6.5: the guest's RST makes it final. */
		if (flags == VSOCK_SHUT_BOTH)
			vsock_be_patient(v, c);
		break;
	case VSOCK_OP_RW:
	case VSOCK_OP_CREDIT_UPDATE:
	case VSOCK_OP_INVALID:
		break;
	}
}

static struct answer answer_of(const struct conn *c)
{
	return (struct answer){
		.guest_port = c->guest_port, .host_port = c->host_port,
		.type = c->type,
		.buf_alloc = c->credit.window, .fwd_cnt = c->credit.fwd_cnt,
	};
}

/* To the end of the line, if vsock_settle() finds that it has more; if it may say data (@open), that
 * is its turn for data, too. */
static void leave_line(struct vsock *v, struct conn *c, bool open)
{
	conn_list_remove(&v->table, LIST_RUN, c);
	if (open)
		conn_list_remove(&v->table, LIST_HELD, c);
}

/* One packet of @c into v->chain, data only if @open; returns its bytes, 0 when there was nothing to
 * say.  May give @c back. */
static uint32_t put_packet(struct vsock *v, struct conn *c, bool open)
{
	struct answer a = answer_of(c);
	uint32_t written = 0;

	leave_line(v, c, open);
	a.op = choose(v, c, &a, open);
	if (a.op == VSOCK_OP_SHUTDOWN)
		a.flags = vsock_news(c);
	if (a.op != VSOCK_OP_INVALID) {
		written = put(v, &v->chain, &a);
		said(v, c, a.op, a.flags);
	}
	vsock_settle(v, c);
	return written;
}

/* ---- bursts ---- */

/* Connections that have something to say; one that is on both lists counts twice. */
static uint32_t in_line(const struct vsock *v)
{
	return v->table.list[LIST_RUN].count + v->table.list[LIST_HELD].count;
}

/* Has @c more than one packet of data to say, and nothing before it? */
static bool wants_burst(const struct vsock *v, const struct conn *c)
{
	return v->strays == 0 && c->greedy && vsock_has_data(c) && vsock_news(c) == 0 &&
	       (c->owed & (OWE_RST | OWE_REQUEST | OWE_RESPONSE)) == 0 &&
	       in_line(v) <= VSOCK_BURST / 2;
}

/* Takes up to @most buffers that are whole behind their header, for up to @credit bytes.
 * Returns their number, the rooms in @iov, or -1: the queue is broken. */
static int take_buffers(struct vsock *v, struct iovec *iov, uint32_t most, uint32_t credit)
{
	uint32_t n = 0, room;

	for (; n < most && credit > 0; n++, credit -= room) {
		struct vq_chain *b = &v->burst[n];
		int got = vq_pop(&v->queue[VSOCK_RX], b);

		if (got < 0)
			return -1;
		if (got == 0)
			break;
		room = b->write_len > VSOCK_HDR ? b->write_len - VSOCK_HDR : 0;
		room = (uint32_t)min_u64(min_u64(room, credit), VSOCK_BOUNCE);
		if (room == 0 || vq_chain_writable(b, VSOCK_HDR, room, &iov[n], 1) != 1) {
			vq_unpop(&v->queue[VSOCK_RX], b);
			break;
		}
	}
	return (int)n;
}

/* Makes packets of the @got bytes that were read into the @n buffers of @iov, and gives back
 * those that were not needed.  Returns the packets, or -1: the queue is broken. */
static int put_burst(struct vsock *v, struct conn *c, const struct iovec *iov, int n,
		     uint32_t got)
{
	struct virtqueue *vq = &v->queue[VSOCK_RX];
	struct answer a = answer_of(c);
	int used = 0;

	a.op = VSOCK_OP_RW;
	for (; used < n && got > 0; used++, got -= a.len) {
		a.len = (uint32_t)min_u64(got, iov[used].iov_len);
		if (!vq_push(vq, &v->burst[used], put(v, &v->burst[used], &a)))
			return -1;
		flow_unit(&v->flow, LIMITS_IN, a.len);
	}
	while (n > used)
		vq_unpop(vq, &v->burst[--n]);
	return used;
}

/* One turn of @c, which wants a burst, of at most @most packets.  Returns the packets; 0: there is
 * nothing to read, or no such buffer; -1: the queue is broken.  May give @c back. */
static int burst(struct vsock *v, struct conn *c, uint32_t most)
{
	uint32_t share = VSOCK_BURST / in_line(v);
	struct iovec iov[VSOCK_BURST];
	uint32_t got;
	int n = take_buffers(v, iov, (uint32_t)min_u64(share, most),
			     credit_available(&c->credit));

	if (n <= 0)
		return n;
	got = host_recv_pieces(c, iov, n);
	credit_sent(&c->credit, got);
	if (got > 0)
		c->greedy = got >= iov[0].iov_len;
	n = put_burst(v, c, iov, n, got);
	if (n > 0) {
		said(v, c, VSOCK_OP_RW, 0);
		leave_line(v, c, true);
		vsock_settle(v, c);
	}
	return n;
}

static bool nothing_to_say(const struct vsock *v)
{
	return v->strays == 0 && in_line(v) == 0;
}

/* Whose turn it is, for data only if @open; NULL: nobody's. */
static struct conn *first_in_line(struct vsock *v, bool open)
{
	struct conn *c = open ? conn_list_first(&v->table, LIST_HELD) : NULL;

	return c != NULL ? c : conn_list_first(&v->table, LIST_RUN);
}

/* Fills v->chain, with what @c has to say or a stray; returns the bytes, 0 when it is not needed. */
static uint32_t fill(struct vsock *v, struct conn *c, bool open)
{
	uint32_t written = 0;

	v->stray_turn = !v->stray_turn;
	if (v->strays > 0 && (v->stray_turn || c == NULL))
		written = put_stray(v);
	else if (c != NULL)
		written = put_packet(v, c, open);
	if (written > VSOCK_HDR)
		flow_unit(&v->flow, LIMITS_IN, payload_of(written));
	else
		flow_count(&v->flow, FLOW_UNITS + LIMITS_IN, written > 0);
	return written;
}

enum batch vsock_rx(struct vsock *v)
{
	static struct log_limit limit;
	struct virtqueue *vq = &v->queue[VSOCK_RX];

	if (v->starved)
		vq_disable_kick(vq);
	v->starved = false;
	for (int i = 0; i < VSOCK_BATCH && !nothing_to_say(v); i++) {
		bool open = flow_open(&v->flow, LIMITS_IN), small;
		struct conn *c = first_in_line(v, open);
		uint32_t written;
		int n = 0;

		if (!open && c != NULL && !vsock_owes(c)) {
			conn_list_remove(&v->table, LIST_RUN, c);
			conn_list_add(&v->table, LIST_HELD, c);
			continue;
		}
		if (!open && c == NULL && v->strays == 0) {
			flow_hold(&v->flow, LIMITS_IN);
			return BATCH_HELD;
		}
		if (open && c != NULL && wants_burst(v, c))
			n = burst(v, c, (uint32_t)(VSOCK_BATCH - i));
		if (n > 0) {
			i += n - 1;
			continue;
		}
		if (n == 0)
			n = vq_pop(vq, &v->chain);
		if (n < 0)
			return BATCH_BROKEN;
		if (n == 0) {
			v->starved = true;
			if (vq_enable_kick(vq))
				continue;
			return BATCH_EMPTY;
		}
		/* It must hold a header and a byte; one that cannot goes back as it came. */
		small = v->chain.write_len <= VSOCK_HDR;
		if (small)
			log_limited(&limit, "vsock: rx buffer of %u bytes",
				    v->chain.write_len);
		written = small ? 0 : fill(v, c, open);
		if (written == 0 && !small)
			vq_unpop(vq, &v->chain);
		else if (!vq_push(vq, &v->chain, written))
			return BATCH_BROKEN;
	}
	return nothing_to_say(v) ? BATCH_EMPTY : BATCH_FULL;
}
