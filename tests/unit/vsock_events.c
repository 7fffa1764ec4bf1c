/* SPDX-License-Identifier: Apache-2.0 */
/* vsock_events.c: a driver hears that a reset took its connections (virtio 1.3 §5.10.6.7). */
#include "tests/unit/vsock.h"

TestSuite(vsock_events, .init = device_init, .timeout = 60);

enum { EVENT_AT = 0x600000 };

static struct driver events;

/* The driver starts anew, with an event queue that has @n buffers of @len bytes. */
static void start_again(int n, uint32_t len)
{
	struct link_activate a = { .features = VSOCK_FEATURES };
	uint32_t queue;

	driver_init(&rx, &ram, 0x10000, QLEN, VSOCK_FEATURES);
	driver_init(&tx, &ram, 0x20000, QLEN, VSOCK_FEATURES);
	driver_init(&events, &ram, 0x30000, 8, VSOCK_FEATURES);
	a.queue[VSOCK_RX] = queue_of(&rx);
	a.queue[VSOCK_TX] = queue_of(&tx);
	a.queue[VSOCK_EVENT] = queue_of(&events);
	memset(ram_at(&ram, EVENT_AT), 0xff, 64);
	for (int i = 0; i < n; i++)
		driver_add(&events, &(struct buf){ EVENT_AT + 8u * (unsigned)i, len, true }, 1);
	cr_assert_eq(vsock_activate(&dev, &a, &queue), VQ_OK);
	give_buffers();
}

static bool heard(uint32_t *len)
{
	uint16_t head;

	return driver_used(&events, &head, len);
}

Test(vsock_events, a_reset_with_connections_is_told_once)
{
	uint32_t len, id;
	int fd = guest_connects(1, 2);

	vsock_reset(&dev);
	cr_assert(is_closed(fd));
	start_again(2, 4);
	dev.interrupt = false;
	pump();
	cr_assert(heard(&len));
	cr_assert_eq(len, 4);
	memcpy(&id, ram_at(&ram, EVENT_AT), 4);
	cr_assert_eq(id, VSOCK_EVENT_TRANSPORT_RESET);
	cr_assert(dev.interrupt);
	guest_connects(1, 2);
	cr_assert_not(heard(&len));
	cr_assert_eq(*(uint32_t *)ram_at(&ram, EVENT_AT + 8), UINT32_MAX);
}

Test(vsock_events, a_reset_without_connections_is_not)
{
	uint32_t len;

	guest_connects(1, 2);
	guest_op(VSOCK_OP_RST, 1, 2);
	vsock_reset(&dev);
	start_again(2, 4);
	pump();
	cr_assert_not(heard(&len));
}

Test(vsock_events, a_buffer_that_comes_later_is_waited_for)
{
	uint32_t len;

	guest_connects(1, 2);
	vsock_reset(&dev);
	start_again(0, 4);
	driver_must_kick(&events);
	pump();
	driver_add(&events, &(struct buf){ EVENT_AT, 4, true }, 1);
	cr_assert(driver_must_kick(&events));
	pump();
	cr_assert(heard(&len) && len == 4);
}

/* Whoever has a new connection would take it for the end of that one. */
Test(vsock_events, with_a_new_connection_it_is_old)
{
	uint32_t len;

	guest_connects(1, 2);
	vsock_reset(&dev);
	start_again(0, 4);
	guest_connects(1, 2);
	driver_add(&events, &(struct buf){ EVENT_AT, 4, true }, 1);
	pump();
	cr_assert_not(heard(&len));
}

Test(vsock_events, a_driver_may_do_without_or_give_buffers_of_no_use)
{
	uint32_t len;

	guest_connects(1, 2);
	vsock_reset(&dev);
	activate(VSOCK_FEATURES);
	pump();
	give_buffers();
	guest_connects(1, 2);
	vsock_reset(&dev);
	start_again(2, 3);
	pump();
	cr_assert(heard(&len));
	cr_assert_eq(len, 0);
	driver_add(&events, &(struct buf){ EVENT_AT, 64, true }, 1);
	pump();
	cr_assert(heard(&len));
	pump();
	cr_assert(heard(&len) && len == 4);
}

Test(vsock_events, a_broken_event_queue_is_reported)
{
	uint32_t queue;

	guest_connects(1, 2);
	vsock_reset(&dev);
	start_again(0, 4);
	driver_offer(&events, 99);
	cr_assert_eq(vsock_run(&dev), VSOCK_BROKEN);
	cr_assert_eq(vsock_broken(&dev, &queue), VQ_E_HEAD);
	cr_assert_eq(queue, VSOCK_EVENT);
}
