/* SPDX-License-Identifier: Apache-2.0 */
/* mmio_threads.c: vmm/device.c between several vCPUs and its device process, all at once.
 *
 * The threads here play the vCPUs (random register writes, and whole bring-ups and resets),
 * the main thread (the only reader of the link) and the device process, which insists on the
 * protocol: link_recv() on its side refuses whatever is out of order. */
#include "core/fdplan.h"
#include "core/link.c"
#include "core/log.c"
#include "core/musl.c"
#include "vmm/device.c"
#include "vmm/virtio_mmio.c"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

enum { VCPUS = 3, WRITES = 200000, BRING_UPS = 3000 };

static _Alignas(VMIO_PAGE) uint32_t page[VMIO_PAGE / 4];
static struct device device;
static struct end end;
static struct link theirs;
static _Atomic bool over;
static uint64_t activations, stops;

static bool ready(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	return poll(&p, 1, 20) == 1;
}

static void tell(enum link_type type)
{
	struct link_msg m = { .type = type };

	cr_assert_eq(link_send(&theirs, &m), LINK_OK);
}

static void *play_device(void *arg)
{
	struct link_msg m;

	(void)arg;
	while (!atomic_load(&over)) {
		if (!ready(theirs.fd))
			continue;
		cr_assert_eq(link_recv(&theirs, &m), LINK_OK);
		if (m.type == LINK_ACTIVATE) {
			cr_assert_leq(m.u.activate.queue[0].size, 64);
			activations++;
			/* Now and then it gives up, or its configuration changes. */
			if (activations % 3 == 0)
				tell(LINK_CONFIG);
			if (activations % 2 == 0)
				tell(LINK_NEEDS_RESET);
		} else {
			cr_assert_eq(m.type, LINK_RESET);
			stops++;
			tell(LINK_RESET_DONE);
		}
	}
	return NULL;
}

static void *play_main(void *arg)
{
	(void)arg;
	while (!atomic_load(&over))
		if (ready(device.link.fd))
			device_message(&device, &end);
	return NULL;
}

static void put(uint32_t offset, uint32_t value)
{
	device_write(&device, &end, offset, 4, value);
}

static void *play_random(void *arg)
{
	uint32_t state = (uint32_t)(uintptr_t)arg;

	for (int i = 0; i < WRITES && !end_reached(&end); i++) {
		static const uint32_t widths[] = { 1, 2, 4, 4, 4, 4, 4, 8 };

		state = state * 1664525 + 1013904223;
		device_write(&device, &end, state >> 8 & 0xff, widths[state >> 29],
			     state >> 4 & 0xf);
	}
	return NULL;
}

static void *play_driver(void *arg)
{
	(void)arg;
	for (int i = 0; i < BRING_UPS && !end_reached(&end); i++) {
		put(VIRTIO_MMIO_STATUS, 0);
		put(VIRTIO_MMIO_STATUS, 1);
		put(VIRTIO_MMIO_STATUS, 3);
		put(VIRTIO_MMIO_DRIVER_FEATURES_SEL, 1);
		put(VIRTIO_MMIO_DRIVER_FEATURES, 1);
		put(VIRTIO_MMIO_STATUS, 0xb);
		put(VIRTIO_MMIO_QUEUE_NUM, 64);
		put(VIRTIO_MMIO_QUEUE_READY, 1);
		put(VIRTIO_MMIO_STATUS, 0xf);
	}
	return NULL;
}

static void set_up(void)
{
	const struct vm_device blk = { .kind = VM_DEVICE_BLK, .nqueues = 1 };
	struct link_msg hello_msg = { .type = LINK_HELLO };
	int pair[2];
	int fd;

	/* The complaints about the guest are not of interest. */
	fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
	dup2(fd, FD_LOG);
	fd = eventfd(0, EFD_NONBLOCK);
	dup2(fd, VMM_CALL0);
	device_init(&device, 0, &blk, page);
	cr_assert_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	device.link.fd = pair[0];
	theirs = (struct link){ .fd = pair[1], .device = true };
	hello_msg.u.hello = (struct link_hello){
		.version = LINK_VERSION, .device_id = VIRTIO_ID_BLOCK,
		.features = VIRTIO_F_VERSION_1, .nqueues = 1, .queue_max = 64,
	};
	cr_assert_eq(link_send(&theirs, &hello_msg), LINK_OK);
	device_message(&device, &end);
	cr_assert(device_ready(&device));
}

Test(mmio_threads, vcpus_at_once_keep_the_protocol, .timeout = 120)
{
	pthread_t dev, main_thread, vcpu[VCPUS];

	set_up();
	cr_assert_eq(pthread_create(&dev, NULL, play_device, NULL), 0);
	cr_assert_eq(pthread_create(&main_thread, NULL, play_main, NULL), 0);
	for (uintptr_t i = 0; i < VCPUS; i++)
		cr_assert_eq(pthread_create(&vcpu[i], NULL, i == 0 ? play_driver : play_random,
					    (void *)i), 0);
	for (int i = 0; i < VCPUS; i++)
		pthread_join(vcpu[i], NULL);
	put(VIRTIO_MMIO_STATUS, 0);
	atomic_store(&over, true);
	pthread_join(dev, NULL);
	pthread_join(main_thread, NULL);
	cr_assert_not(end_reached(&end), "reason %d", (int)end.reason);
	cr_assert_gt(activations, 0);
	cr_assert_eq(activations, stops, "every activation was stopped: %lu, %lu", activations,
		     stops);
	cr_assert_eq(page[VIRTIO_MMIO_STATUS / 4], 0);
}
