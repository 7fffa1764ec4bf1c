/* SPDX-License-Identifier: Apache-2.0 */
/* The link: every message in every state, every field out of range, real sockets. */
#include "core/link.c"

#include <criterion/criterion.h>
#include <string.h>
#include <sys/socket.h>

static struct link_msg hello(void)
{
	return (struct link_msg){
		.type = LINK_HELLO,
		.u.hello = { .version = LINK_VERSION, .device_id = 2, .nqueues = 1,
			     .features = VIRTIO_F_VERSION_1, .queue_max = 256,
			     .config_len = 24 },
	};
}

static struct link_msg msg(enum link_type type)
{
	return type == LINK_HELLO ? hello() : (struct link_msg){ .type = type };
}

/* What the picture in link.h says: state after @type from the device or to it, or -1. */
static int expected(enum link_state s, bool dev, enum link_type type)
{
	switch (type) {
	case LINK_HELLO: return dev && s == LINK_START ? LINK_IDLE : -1;
	case LINK_ACTIVATE: return !dev && s == LINK_IDLE ? LINK_ACTIVE : -1;
	case LINK_RESET:
		return !dev && (s == LINK_IDLE || s == LINK_ACTIVE || s == LINK_BROKEN)
			       ? LINK_RESETTING : -1;
	case LINK_RESET_DONE: return dev && s == LINK_RESETTING ? LINK_IDLE : -1;
	case LINK_NEEDS_RESET:
		if (dev && s == LINK_ACTIVE)
			return LINK_BROKEN;
		return dev && s == LINK_RESETTING ? LINK_RESETTING : -1;
	case LINK_CONFIG:
		return dev && s != LINK_START && s != LINK_CLOSED ? (int)s : -1;
	case LINK_QUIT: return !dev && s != LINK_CLOSED ? LINK_CLOSED : -1;
	}
	return -1;
}

Test(link, every_message_in_every_state_from_both_sides)
{
	for (uint32_t type = 0; type < 20; type++)
		for (int s = LINK_START; s <= LINK_CLOSED + 1; s++)
			for (int dev = 0; dev < 2; dev++) {
				struct link_msg m = msg(type);
				enum link_state next = LINK_CLOSED;
				int want = s > LINK_CLOSED ? -1 : expected(s, dev, type);
				bool ok = link_step(s, dev, &m, sizeof(m), &next);

				cr_assert_eq(ok, want >= 0, "type %u state %d dev %d", type, s,
					     dev);
				cr_assert(!ok || (int)next == want);
			}
}

Test(link, a_message_has_one_size)
{
	struct link_msg m = hello();
	enum link_state next;

	for (size_t len = 0; len < 2 * sizeof(m); len++)
		cr_assert_eq(link_step(LINK_START, true, &m, len, &next), len == sizeof(m));
}

#define REFUSED(start, dev, what, change) do { \
	struct link_msg m = msg(what); \
	enum link_state next; \
	cr_assert(link_step(start, dev, &m, sizeof(m), &next)); \
	change; \
	cr_assert_not(link_step(start, dev, &m, sizeof(m), &next), #change); \
} while (0)

Test(link, every_field_of_hello_has_a_range)
{
	struct link_hello *h;

#define HELLO(change) REFUSED(LINK_START, true, LINK_HELLO, h = &m.u.hello; change)
	HELLO(h->version = 2);
	HELLO(h->device_id = 0);
	HELLO(h->features = 1);
	HELLO(h->nqueues = 0);
	HELLO(h->nqueues = LINK_QUEUES_MAX + 1);
	HELLO(h->queue_max = 0);
	HELLO(h->queue_max = 255);
	HELLO(h->queue_max = 2 * VQ_SIZE_MAX);
	HELLO(h->queue_max = 0x80000000);
	HELLO(h->config_len = LINK_CONFIG_BYTES + 1);
	HELLO(h->config_len = 0xffffffff);
	HELLO(h->zero = 1);
	HELLO(h->config[24] = 1);
	HELLO(h->config[63] = 1);
	HELLO(m.zero = 1);
	HELLO(m.u.bytes[sizeof(*h)] = 1);
	HELLO(m.u.bytes[311] = 1);
}

Test(link, every_field_of_the_others_has_a_range)
{
	REFUSED(LINK_IDLE, false, LINK_ACTIVATE, m.u.activate.queue[0].ready = 2);
	REFUSED(LINK_IDLE, false, LINK_ACTIVATE, m.u.activate.queue[7].zero = 1);
	REFUSED(LINK_IDLE, false, LINK_ACTIVATE, m.u.bytes[sizeof(m.u.activate)] = 1);
	REFUSED(LINK_ACTIVE, true, LINK_CONFIG, m.u.config.len = LINK_CONFIG_BYTES + 1);
	REFUSED(LINK_ACTIVE, true, LINK_CONFIG, m.u.config.zero = 1);
	REFUSED(LINK_ACTIVE, true, LINK_CONFIG, m.u.config.config[0] = 1);
	REFUSED(LINK_ACTIVE, true, LINK_NEEDS_RESET, m.u.needs_reset.queue = LINK_QUEUES_MAX);
	REFUSED(LINK_ACTIVE, false, LINK_RESET, m.u.bytes[0] = 1);
	REFUSED(LINK_RESETTING, true, LINK_RESET_DONE, m.u.bytes[311] = 1);
	REFUSED(LINK_ACTIVE, false, LINK_QUIT, m.zero = 1);
}

Test(link, what_the_guest_chose_passes_to_the_queue)
{
	struct link_msg m = { .type = LINK_ACTIVATE };
	enum link_state next;

	m.u.activate.queue[0] = (struct link_queue){ UINT64_MAX, 3, 1, 0xffff, 1, 0 };
	cr_assert(link_step(LINK_IDLE, false, &m, sizeof(m), &next));
}

static struct link dev, vmm;

static void connect_both(void)
{
	int type = SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC;
	int fd[2];

	cr_assert_eq(socketpair(AF_UNIX, type, 0, fd), 0);
	dev = (struct link){ .fd = fd[0], .device = true };
	vmm = (struct link){ .fd = fd[1] };
}

/* Sends @type from @from to @to; both must agree on the state afterwards. */
static void pass(struct link *from, struct link *to, enum link_type type)
{
	struct link_msg m = msg(type), got;

	cr_assert_eq(link_send(from, &m), LINK_OK, "%s", link_type_name(type));
	cr_assert_eq(link_recv(to, &got), LINK_OK, "%s", link_type_name(type));
	cr_assert_eq(memcmp(&m, &got, sizeof(m)), 0);
	cr_assert_eq(from->state, to->state);
}

Test(link, a_life)
{
	struct link_msg got;

	connect_both();
	cr_assert_eq(link_recv(&vmm, &got), LINK_AGAIN);
	pass(&dev, &vmm, LINK_HELLO);
	pass(&vmm, &dev, LINK_ACTIVATE);
	pass(&dev, &vmm, LINK_CONFIG);
	pass(&vmm, &dev, LINK_RESET);
	pass(&dev, &vmm, LINK_RESET_DONE);
	pass(&vmm, &dev, LINK_ACTIVATE);
	pass(&dev, &vmm, LINK_NEEDS_RESET);
	pass(&vmm, &dev, LINK_RESET);
	pass(&dev, &vmm, LINK_RESET_DONE);
	pass(&vmm, &dev, LINK_QUIT);
	cr_assert_eq(dev.state, LINK_CLOSED);
	close(vmm.fd);
	cr_assert_eq(link_recv(&dev, &got), LINK_EOF);
}

Test(link, reset_and_needs_reset_may_cross)
{
	struct link_msg m;

	connect_both();
	pass(&dev, &vmm, LINK_HELLO);
	pass(&vmm, &dev, LINK_ACTIVATE);
	m = msg(LINK_RESET);
	cr_assert_eq(link_send(&vmm, &m), LINK_OK);
	m = msg(LINK_NEEDS_RESET);
	cr_assert_eq(link_send(&dev, &m), LINK_OK);
	cr_assert_eq(link_recv(&vmm, &m), LINK_OK);
	cr_assert_eq(vmm.state, LINK_RESETTING);
	cr_assert_eq(link_recv(&dev, &m), LINK_OK);
	pass(&dev, &vmm, LINK_RESET_DONE);
	cr_assert_eq(vmm.state, LINK_IDLE);
}

Test(link, what_is_not_legal_is_not_sent)
{
	struct link_msg m = msg(LINK_ACTIVATE);

	connect_both();
	cr_assert_eq(link_send(&vmm, &m), LINK_BAD, "before HELLO");
	cr_assert_eq(link_send(&dev, &m), LINK_BAD, "wrong way");
	m = msg(LINK_HELLO);
	m.u.hello.nqueues = 99;
	cr_assert_eq(link_send(&dev, &m), LINK_BAD);
	cr_assert_eq(link_recv(&vmm, &m), LINK_AGAIN, "nothing arrived");
}

Test(link, what_is_not_legal_is_not_received)
{
	struct { struct link_msg m; uint8_t tail[64]; } big = { .m = hello() };
	static const size_t sizes[] = { 1, 8, 319, 321, 384 };
	struct link_msg m;

	for (size_t i = 0; i < array_len(sizes); i++) {
		connect_both();
		cr_assert_eq(write(dev.fd, &big, sizes[i]), (ssize_t)sizes[i]);
		cr_assert_eq(link_recv(&vmm, &m), LINK_BAD, "%zu bytes", sizes[i]);
		cr_assert_eq(vmm.state, LINK_START);
	}
	/* The peer says what only we may say. */
	connect_both();
	pass(&dev, &vmm, LINK_HELLO);
	m = msg(LINK_ACTIVATE);
	cr_assert_eq(write(dev.fd, &m, sizeof(m)), (ssize_t)sizeof(m));
	cr_assert_eq(link_recv(&vmm, &m), LINK_BAD);
	m = msg(LINK_HELLO);
	cr_assert_eq(write(vmm.fd, &m, sizeof(m)), (ssize_t)sizeof(m));
	cr_assert_eq(link_recv(&dev, &m), LINK_BAD);
}

Test(link, an_empty_message_is_an_end)
{
	struct link_msg m;

	connect_both();
	cr_assert_eq(write(dev.fd, &m, 0), 0);
	cr_assert_eq(send(dev.fd, &m, 0, 0), 0);
	cr_assert_eq(link_recv(&vmm, &m), LINK_EOF);
}

Test(link, a_peer_that_died_with_our_messages_unread_is_an_end)
{
	struct link_msg m = hello();

	connect_both();
	cr_assert_eq(link_send(&dev, &m), LINK_OK);
	close(vmm.fd);
	cr_assert_eq(link_recv(&dev, &m), LINK_EOF);
}

Test(link, a_peer_that_does_not_read_is_an_error_not_a_wait, .timeout = 10)
{
	struct link_msg m = msg(LINK_CONFIG);
	enum link_result r = LINK_OK;
	int sent = 0;

	connect_both();
	pass(&dev, &vmm, LINK_HELLO);
	for (; r == LINK_OK && sent < 100000; sent++)
		r = link_send(&dev, &m);
	cr_assert_eq(r, LINK_BAD);
	cr_assert_gt(sent, 8, "the promised room: %d", sent);
}

Test(link, types_have_names)
{
	cr_assert_str_eq(link_type_name(LINK_HELLO), "HELLO");
	cr_assert_str_eq(link_type_name(LINK_QUIT), "QUIT");
	cr_assert_str_eq(link_type_name(0), "unknown");
	cr_assert_str_eq(link_type_name(8), "unknown");
}
