/* SPDX-License-Identifier: Apache-2.0 */
/* link.c: which message is legal when, and its way through the socket.
 *
 * Both ends treat each other as hostile: the device because the VMM repeats what a guest
 * wrote, the VMM because a device process may have been taken over by its guest.  What may be
 * said in which state is the table below and nothing else; everything else about a message is
 * checked in well_formed().  link_step() is pure, so that it can be fuzzed and proven.
 *
 * Two messages can cross on the way.  The VMM may send RESET while a CONFIG or NEEDS_RESET of
 * the device is still in the socket; so these two remain legal until RESET_DONE, and change
 * nothing then. */
#include "core/link.h"

#include <errno.h>
#include <unistd.h>

struct rule {
	enum link_type type;
	bool from_device;
	enum link_state state, next;
};

static const struct rule rules[] = {
	{ LINK_HELLO, true, LINK_START, LINK_IDLE },
	{ LINK_ACTIVATE, false, LINK_IDLE, LINK_ACTIVE },
	{ LINK_RESET, false, LINK_IDLE, LINK_RESETTING },
	{ LINK_RESET, false, LINK_ACTIVE, LINK_RESETTING },
	{ LINK_RESET, false, LINK_BROKEN, LINK_RESETTING },
	{ LINK_RESET_DONE, true, LINK_RESETTING, LINK_IDLE },
	{ LINK_NEEDS_RESET, true, LINK_ACTIVE, LINK_BROKEN },
	{ LINK_NEEDS_RESET, true, LINK_RESETTING, LINK_RESETTING },
	{ LINK_CONFIG, true, LINK_IDLE, LINK_IDLE },
	{ LINK_CONFIG, true, LINK_ACTIVE, LINK_ACTIVE },
	{ LINK_CONFIG, true, LINK_BROKEN, LINK_BROKEN },
	{ LINK_CONFIG, true, LINK_RESETTING, LINK_RESETTING },
	{ LINK_QUIT, false, LINK_START, LINK_CLOSED },
	{ LINK_QUIT, false, LINK_IDLE, LINK_CLOSED },
	{ LINK_QUIT, false, LINK_ACTIVE, LINK_CLOSED },
	{ LINK_QUIT, false, LINK_RESETTING, LINK_CLOSED },
	{ LINK_QUIT, false, LINK_BROKEN, LINK_CLOSED },
};

static bool legal(enum link_state state, bool from_device, uint32_t type,
		  enum link_state *next)
{
	for (size_t i = 0; i < array_len(rules); i++) {
		const struct rule *r = &rules[i];

		if (r->type == type && r->state == state && r->from_device == from_device) {
			*next = r->next;
			return true;
		}
	}
	return false;
}

static bool zero_from(const uint8_t *bytes, size_t from, size_t size)
{
	uint8_t any = 0;

	for (size_t i = from; i < size; i++)
		any |= bytes[i];
	return any == 0;
}

static bool hello_ok(const struct link_hello *h)
{
	return h->version == LINK_VERSION && h->device_id != 0 && h->zero == 0 &&
	       h->nqueues >= 1 && h->nqueues <= LINK_QUEUES_MAX &&
	       is_power_of_2(h->queue_max) && h->queue_max <= VQ_SIZE_MAX &&
	       (h->features & VIRTIO_F_VERSION_1) != 0 &&
	       h->config_len <= LINK_CONFIG_BYTES &&
	       zero_from(h->config, h->config_len, LINK_CONFIG_BYTES);
}

/* Sizes and addresses are the guest's: vq_setup() judges them, and refusing one is an answer
 * to the guest (NEEDS_RESET), not the end of the VM. */
static bool activate_ok(const struct link_activate *a)
{
	for (size_t i = 0; i < LINK_QUEUES_MAX; i++)
		if (a->queue[i].ready > 1 || a->queue[i].zero != 0)
			return false;
	return true;
}

static bool config_ok(const struct link_config *c)
{
	return c->zero == 0 && c->len <= LINK_CONFIG_BYTES &&
	       zero_from(c->config, c->len, LINK_CONFIG_BYTES);
}

/* Fields in their ranges, and nothing in the bytes that the type does not use: what is not
 * there cannot leak. */
static bool well_formed(const struct link_msg *m, size_t len)
{
	size_t used = 0;
	bool ok = true;

	if (len != sizeof(*m) || m->zero != 0)
		return false;
	switch ((enum link_type)m->type) {
	case LINK_HELLO:
		used = sizeof(m->u.hello);
		ok = hello_ok(&m->u.hello);
		break;
	case LINK_ACTIVATE:
		used = sizeof(m->u.activate);
		ok = activate_ok(&m->u.activate);
		break;
	case LINK_CONFIG:
		used = sizeof(m->u.config);
		ok = config_ok(&m->u.config);
		break;
	case LINK_NEEDS_RESET:
		used = sizeof(m->u.needs_reset);
		ok = m->u.needs_reset.queue < LINK_QUEUES_MAX;
		break;
	case LINK_RESET:
	case LINK_RESET_DONE:
	case LINK_QUIT:
		break;
	}
	return ok && zero_from(m->u.bytes, used, sizeof(m->u.bytes));
}

bool link_step(enum link_state state, bool from_device, const struct link_msg *m, size_t len,
	       enum link_state *next)
{
	return well_formed(m, len) && legal(state, from_device, m->type, next);
}

enum link_result link_send(struct link *l, const struct link_msg *m)
{
	enum link_state next;

	if (!link_step(l->state, l->device, m, sizeof(*m), &next))
		return LINK_BAD;
	if (write(l->fd, m, sizeof(*m)) != (ssize_t)sizeof(*m))
		return LINK_BAD;
	l->state = next;
	return LINK_OK;
}

enum link_result link_recv(struct link *l, struct link_msg *m)
{
	/* One byte more than a message: the socket cuts what does not fit, silently. */
	struct { struct link_msg m; uint8_t more; } in;
	enum link_state next;
	ssize_t n = read(l->fd, &in, sizeof(in.m) + 1);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return LINK_AGAIN;
	/* ECONNRESET: the peer died with messages of ours unread. */
	if (n == 0 || (n < 0 && errno == ECONNRESET))
		return LINK_EOF;
	if (n < 0 || !link_step(l->state, !l->device, &in.m, (size_t)n, &next))
		return LINK_BAD;
	l->state = next;
	*m = in.m;
	return LINK_OK;
}

const char *link_type_name(uint32_t type)
{
	switch ((enum link_type)type) {
	case LINK_HELLO: return "HELLO";
	case LINK_ACTIVATE: return "ACTIVATE";
	case LINK_RESET: return "RESET";
	case LINK_RESET_DONE: return "RESET_DONE";
	case LINK_CONFIG: return "CONFIG";
	case LINK_NEEDS_RESET: return "NEEDS_RESET";
	case LINK_QUIT: return "QUIT";
	}
	return "unknown";
}
