/* SPDX-License-Identifier: Apache-2.0 */
/* control.c: the control queue (virtio 1.3 §5.1.6.5).
 *
 *	readable: class, command, what belongs to it		writable: the ack byte
 *
 * One command is known, how many pairs the driver uses, and only where there may be more than
 * one.  Everything else is answered ERR. */
#include "devices/net/net.h"

/* §5.1.6.5.5.  Every queue of the pairs must have been set up. */
static enum net_ack set_pairs(struct net *n)
{
	le16_t want;
	unsigned pairs;

	if ((n->features & NET_F_MQ) == 0 ||
	    n->chain.read_len != sizeof(struct net_ctrl) + sizeof(want) ||
	    !vq_chain_read(&n->chain, sizeof(struct net_ctrl), &want, sizeof(want)))
		return NET_ACK_ERR;
	pairs = le16(want);
	if (pairs < 1 || pairs > n->pairs)
		return NET_ACK_ERR;
	for (unsigned i = 0; i < pairs; i++)
		if (!n->pair[i].rx.vq.ready || !n->pair[i].tx.vq.ready)
			return NET_ACK_ERR;
	n->active = pairs;
	/* What comes from a tap may have another queue now. */
	for (unsigned i = 0; i < n->pairs; i++)
		n->pair[i].readable = true;
	return NET_ACK_OK;
}

static enum net_ack obey(struct net *n)
{
	struct net_ctrl c;

	if (!vq_chain_read(&n->chain, 0, &c, sizeof(c)))
		return NET_ACK_ERR;
	if (c.class == NET_CTRL_MQ && c.command == NET_CTRL_MQ_PAIRS_SET)
		return set_pairs(n);
	return NET_ACK_ERR;
}

enum net_stop net_control(struct net *n, uint32_t *reason)
{
	if (!n->control.ready || !n->commanded)
		return NET_IDLE;
	vq_disable_kick(&n->control);
	for (int i = 0; i < NET_BATCH_CONTROL; i++) {
		int rc = vq_pop(&n->control, &n->chain);
		uint8_t ack;

		if (rc == 0 && !vq_enable_kick(&n->control)) {
			n->commanded = false;
			return NET_IDLE;
		}
		if (rc == 0)
			continue;
		*reason = rc < 0 ? (uint32_t)n->control.err : NET_E_NO_ACK;
		if (rc < 0 || n->chain.write_len == 0)
			return NET_BROKEN;
		ack = (uint8_t)obey(n);
		*reason = VQ_E_RANGE;
		if (!vq_chain_write(&n->chain, 0, &ack, 1) || !vq_push(&n->control, &n->chain, 1))
			return NET_BROKEN;
	}
	return NET_MORE;
}
