/* SPDX-License-Identifier: Apache-2.0 */
/* rx.c: packets to the guest.
 *
 * Connections that have something to say stand in a line (LIST_RUN); the first says one thing,
 * in one of the driver's buffers, and goes to the end of the line if it has more.  RSTs that
 * belong to no connection take every second turn.  Data is read from the socket into the
 * guest's buffer directly, never more than the guest has promised room for.
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

/* Returns the bytes of the packet, or 0. */
static uint32_t put(struct vsock *v, const struct answer *a)
{
	struct vsock_hdr h = {
		.src_cid = to_le64(VSOCK_CID_HOST), .dst_cid = to_le64(v->cid),
		.src_port = to_le32(a->host_port), .dst_port = to_le32(a->guest_port),
		.len = to_le32(a->len), .type = to_le16(a->type),
		.op = to_le16((uint16_t)a->op), .flags = to_le32(a->flags),
		.buf_alloc = to_le32(a->buf_alloc), .fwd_cnt = to_le32(a->fwd_cnt),
	};

	return vq_chain_write(&v->chain, 0, &h, sizeof(h)) ? VSOCK_HDR + a->len : 0;
}

static uint32_t put_stray(struct vsock *v)
{
	struct stray s = v->stray[v->stray_first];

	v->stray_first = (v->stray_first + 1) % VSOCK_STRAYS;
	v->strays--;
	return put(v, &(struct answer){ .guest_port = s.guest_port, .host_port = s.host_port,
					.op = VSOCK_OP_RST, .type = s.type });
}

/* Reads what the socket has behind the header of the buffer in hand; returns the bytes. */
static uint32_t read_data(struct vsock *v, struct conn *c)
{
	uint32_t room = (uint32_t)min_u64(v->chain.write_len - VSOCK_HDR,
					  credit_available(&c->credit));
	struct iovec iov;
	uint32_t n;

	room = (uint32_t)min_u64(room, VSOCK_BOUNCE);
	if (!vsock_has_data(c) || room == 0)
		return 0;
	if (vq_chain_writable(&v->chain, VSOCK_HDR, room, &iov, 1) == 1) {
		n = host_recv(c, iov.iov_base, room);
	} else {
		n = host_recv(c, v->bounce, room);
		if (n > 0 && !vq_chain_write(&v->chain, VSOCK_HDR, v->bounce, n))
			return 0;
	}
	credit_sent(&c->credit, n);
	return n;
}

/* The most urgent thing @c has to say; VSOCK_OP_INVALID: nothing after all. */
static enum vsock_op choose(struct vsock *v, struct conn *c, uint32_t *len)
{
	if ((c->owed & OWE_RST) != 0)
		return VSOCK_OP_RST;
	if ((c->owed & OWE_REQUEST) != 0)
		return VSOCK_OP_REQUEST;
	if ((c->owed & OWE_RESPONSE) != 0)
		return VSOCK_OP_RESPONSE;
	if (vsock_news(c) != 0)
		return VSOCK_OP_SHUTDOWN;
	*len = read_data(v, c);
	if (*len > 0)
		return VSOCK_OP_RW;
	/* It may have been the end that was read. */
	if (c->eof && c->hup)
		c->broken = true;
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

/* One packet of @c into v->chain; returns its bytes, 0 when there was nothing to say.  May
 * give @c back. */
static uint32_t put_packet(struct vsock *v, struct conn *c)
{
	struct answer a = {
		.guest_port = c->guest_port, .host_port = c->host_port,
		.type = VSOCK_TYPE_STREAM,
		.buf_alloc = c->credit.window, .fwd_cnt = c->credit.fwd_cnt,
	};
	uint32_t written = 0;

	/* To the end of the line, if vsock_settle() finds that it has more. */
	conn_list_remove(&v->table, LIST_RUN, c);
	a.op = choose(v, c, &a.len);
	if (a.op == VSOCK_OP_SHUTDOWN)
		a.flags = vsock_news(c);
	if (a.op != VSOCK_OP_INVALID) {
		written = put(v, &a);
		said(v, c, a.op, a.flags);
	}
	vsock_settle(v, c);
	return written;
}

static bool nothing_to_say(const struct vsock *v)
{
	return v->strays == 0 && v->table.list[LIST_RUN].count == 0;
}

/* Fills v->chain; returns the bytes, 0 when it is not needed. */
static uint32_t fill(struct vsock *v)
{
	struct conn *c = conn_list_first(&v->table, LIST_RUN);

	v->stray_turn = !v->stray_turn;
	if (v->strays > 0 && (v->stray_turn || c == NULL))
		return put_stray(v);
	return c != NULL ? put_packet(v, c) : 0;
}

enum batch vsock_rx(struct vsock *v)
{
	static struct log_limit limit;
	struct virtqueue *vq = &v->queue[VSOCK_RX];

	if (v->starved)
		vq_disable_kick(vq);
	v->starved = false;
	for (int i = 0; i < VSOCK_BATCH && !nothing_to_say(v); i++) {
		int n = vq_pop(vq, &v->chain);
		bool small = v->chain.write_len <= VSOCK_HDR;
		uint32_t written;

		if (n < 0)
			return BATCH_BROKEN;
		if (n == 0) {
			v->starved = true;
			if (vq_enable_kick(vq))
				continue;
			return BATCH_EMPTY;
		}
		/* It must hold a header and a byte; one that cannot goes back as it came. */
		if (small)
			log_limited(&limit, "vsock: rx buffer of %u bytes",
				    v->chain.write_len);
		written = small ? 0 : fill(v);
		if (written == 0 && !small)
			vq_unpop(vq, &v->chain);
		else if (!vq_push(vq, &v->chain, written))
			return BATCH_BROKEN;
	}
	return nothing_to_say(v) ? BATCH_EMPTY : BATCH_FULL;
}
