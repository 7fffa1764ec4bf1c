/* SPDX-License-Identifier: Apache-2.0 */
/* device.c: carries between the registers (virtio_mmio.c) and the device process (core/link).
 *
 * Two hostile sides: the guest in front, a device process behind that a guest may have taken
 * over.  The guest's mistakes are ignored and logged, within bounds; a mistake of the process
 * ends the VM.
 *
 * A reset is the one thing a vCPU waits for.  Only the main thread reads the link, so the vCPU
 * sends RESET, lets go of the lock, and sleeps until the main thread has seen RESET_DONE. */
#include "vmm/device.h"

#include "core/fdplan.h"
#include "core/log.h"
#include "vmm/futex.h"

#include <linux/virtio_ids.h>
#include <string.h>

void device_init(struct device *d, uint32_t index, const struct vm_device *c, uint32_t *page)
{
	memset(d, 0, sizeof(*d));
	d->index = index;
	d->kind = c->kind;
	d->nqueues = c->nqueues;
	d->lock = (pthread_mutex_t)PTHREAD_MUTEX_INITIALIZER;
	d->link.fd = VMM_LINK0 + (int)index;
	vmio_init(&d->mmio, page);
}

static void broken(struct device *d, struct end *end, const char *what)
{
	log_line("device %u: %s", d->index, what);
	end_vm(end, END_DEVICE_DIED, d->index, 0);
}

static bool send_message(struct device *d, struct end *end, const struct link_msg *m)
{
	if (link_send(&d->link, m) == LINK_OK)
		return true;
	broken(d, end, "its process does not listen");
	return false;
}

static void activate(struct device *d, struct end *end)
{
	struct link_msg m = { .type = LINK_ACTIVATE };

	vmio_activation(&d->mmio, &m.u.activate);
	(void)send_message(d, end, &m);
}

/* A device that was never activated has nothing to stop. */
static void begin_reset(struct device *d, struct end *end)
{
	struct link_msg m = { .type = LINK_RESET };

	if (d->link.state == LINK_RESETTING)
		return;
	if (d->link.state == LINK_ACTIVE || d->link.state == LINK_BROKEN)
		(void)send_message(d, end, &m);
	else
		vmio_reset_done(&d->mmio);
}

/* @seen was read under the lock, so a RESET_DONE that is already here is not slept through.
 * Only a completed reset wakes, so the limit is not stretched by other messages. */
static void wait_reset(struct device *d, struct end *end, uint32_t seen)
{
	const struct timespec limit = { .tv_sec = DEVICE_RESET_S };

	while (atomic_load(&d->resets) == seen && !end_reached(end)) {
		if (futex_wait(&d->resets, seen, &limit) == -ETIMEDOUT) {
			log_line("device %u: does not stop", d->index);
			end_vm(end, END_DEVICE_SILENT, d->index, 0);
		}
	}
}

static void complain(const struct device *d, uint64_t offset, uint32_t len, uint32_t value)
{
	static struct log_limit refused;

	log_limited(&refused, "device %u: ignored a write of %u bytes at 0x%lx, value 0x%x, "
		    "status 0x%x", d->index, len, offset, value, d->mmio.status);
}

void device_write(struct device *d, struct end *end, uint64_t offset, uint32_t len,
		  uint32_t value)
{
	bool waiting = false;
	uint32_t seen;

	pthread_mutex_lock(&d->lock);
	seen = atomic_load(&d->resets);
	switch (vmio_write(&d->mmio, offset, len, value)) {
	case VMIO_DONE:
		break;
	case VMIO_REFUSED:
		complain(d, offset, len, value);
		break;
	case VMIO_ACTIVATE:
		activate(d, end);
		break;
	case VMIO_RESET:
		begin_reset(d, end);
		waiting = d->mmio.resetting;
		break;
	}
	pthread_mutex_unlock(&d->lock);
	if (waiting)
		wait_reset(d, end, seen);
}

static void count(const struct device *d, enum stats_vmm_counter counter)
{
	if (d->stats != NULL)
		stats_add(&d->stats->counter[counter], 1);
}

/* The descriptor is an eventfd bound to the guest's interrupt line. */
static void interrupt(const struct device *d)
{
	const uint64_t one = 1;

	if (write(VMM_CALL0 + (int)d->index, &one, sizeof(one)) != (ssize_t)sizeof(one))
		log_line("device %u: configuration interrupt lost", d->index);
	count(d, STATS_VMM_CONFIG_INTERRUPTS);
}

static uint32_t virtio_id(enum vm_device_kind kind)
{
	switch (kind) {
	case VM_DEVICE_BLK: return VIRTIO_ID_BLOCK;
	case VM_DEVICE_NET: return VIRTIO_ID_NET;
	case VM_DEVICE_VSOCK: return VIRTIO_ID_VSOCK;
	case VM_DEVICE_NONE: break;
	}
	return 0;	/* reserved: no device says that it is this */
}

static void hello(struct device *d, struct end *end, const struct link_hello *h)
{
	if (h->device_id != virtio_id((enum vm_device_kind)d->kind) ||
	    h->nqueues != d->nqueues || !vmio_hello(&d->mmio, h))
		broken(d, end, "says it is another device, or one we cannot carry");
}

static void needs_reset(struct device *d, const struct link_needs_reset *m)
{
	static struct log_limit given_up;

	log_limited(&given_up, "device %u: queue %u is broken (reason 0x%x), waits for a "
		    "reset", d->index, m->queue, m->reason);
	if (vmio_needs_reset(&d->mmio))
		interrupt(d);
}

/* link_recv() has made sure that the device may say this now. */
static void dispatch(struct device *d, struct end *end, const struct link_msg *m)
{
	switch ((enum link_type)m->type) {
	case LINK_HELLO:
		hello(d, end, &m->u.hello);
		break;
	case LINK_RESET_DONE:
		vmio_reset_done(&d->mmio);
		atomic_fetch_add(&d->resets, 1);
		break;
	case LINK_CONFIG:
		if (vmio_config(&d->mmio, &m->u.config))
			interrupt(d);
		break;
	case LINK_NEEDS_RESET:
		needs_reset(d, &m->u.needs_reset);
		break;
	case LINK_ACTIVATE:
	case LINK_RESET:
	case LINK_QUIT:
		broken(d, end, "speaks our lines");
		break;
	}
}

void device_message(struct device *d, struct end *end)
{
	struct link_msg m;
	bool reset_done = false;

	pthread_mutex_lock(&d->lock);
	switch (link_recv(&d->link, &m)) {
	case LINK_OK:
		count(d, STATS_VMM_MESSAGES);
		dispatch(d, end, &m);
		reset_done = m.type == LINK_RESET_DONE;
		break;
	case LINK_AGAIN:
		break;
	case LINK_EOF:
		broken(d, end, "its process is gone");
		break;
	case LINK_BAD:
		broken(d, end, "its process broke the protocol");
		break;
	}
	pthread_mutex_unlock(&d->lock);
	if (reset_done)
		futex_wake(&d->resets);
}

bool device_ready(struct device *d)
{
	bool ready;

	pthread_mutex_lock(&d->lock);
	ready = d->link.state != LINK_START;
	pthread_mutex_unlock(&d->lock);
	return ready;
}

void device_quit(struct device *d)
{
	const struct link_msg m = { .type = LINK_QUIT };

	pthread_mutex_lock(&d->lock);
	/* Nobody listens any more when this fails, which is as good. */
	(void)(link_send(&d->link, &m) == LINK_OK);
	pthread_mutex_unlock(&d->lock);
}
