/* SPDX-License-Identifier: Apache-2.0 */
/* virtio_mmio.c: the one implementation of virtio over MMIO (virtio 1.3 §4.2).
 *
 * The guest is hostile, has several vCPUs, and may write anything of any width anywhere in any
 * order.  The caller serialises; what is left is a small machine:
 *
 *     status   0 ──► ACKNOWLEDGE ──► DRIVER ──► FEATURES_OK ──► DRIVER_OK
 *     features                       writable │
 *     queues                                    writable until QueueReady │ frozen
 *
 * Only these steps exist, one at a time.  A queue is frozen while it is ready, all of them
 * from DRIVER_OK on; the way back is a reset.  The device gets one immutable copy at
 * DRIVER_OK (vmio_activation()), so that nothing checked once can be changed afterwards.
 * Whatever is not legal is ignored and reported to the caller, who logs it.
 *
 * The guest's reads are loads from the page: after every write it shows what a register-read
 * handler would have answered.
 *
 * InterruptStatus (§4.2.2.1): the device interrupts the guest directly and cannot set a bit
 * here, so bit 0, "used buffer", shows whenever the device is live: drivers look into their
 * rings and find nothing, which costs nothing and is what happens on a shared line.  Bit 1 is
 * exact: InterruptACK of just bit 0 stays in the kernel, one with bit 1 comes here. */
#include "vmm/virtio_mmio.h"

#include <linux/virtio_mmio.h>
#include <string.h>

enum {
	MAGIC = 0x74726976,		/* "virt" */
	VERSION = 2,
	VENDOR = 0x554d4d49,		/* "IMMU" */

	/* The four states a driver goes through (§3.1.1). */
	FOUND = VMIO_S_ACKNOWLEDGE,
	DRIVEN = FOUND | VMIO_S_DRIVER,
	AGREED = DRIVEN | VMIO_S_FEATURES_OK,
	LIVE = AGREED | VMIO_S_DRIVER_OK,
};

/* Bits 24..49 belong to the transport and the rings, or to nobody yet (§6).  What is not here
 * would change how this file or core/virtqueue works: NOTIFICATION_DATA puts data into QueueNotify, which is
 * compared by the kernel; RING_RESET has registers of its own. */
#define DEVICE_FEATURES    0xfffc000000ffffffull
#define TRANSPORT_FEATURES (VIRTIO_F_INDIRECT_DESC | VIRTIO_F_EVENT_IDX | VIRTIO_F_VERSION_1)

/* Aligned 32-bit stores do not tear; release: what a value announces is there first. */
static void show(struct virtio_mmio *d, uint32_t offset, uint32_t value)
{
	__atomic_store_n(&d->page[offset / 4], value, __ATOMIC_RELEASE);
}

static uint32_t word(uint64_t x, uint32_t sel)
{
	return sel > 1 ? 0 : (uint32_t)(x >> (32 * sel));
}

static void show_queue(struct virtio_mmio *d)
{
	bool exists = d->queue_sel < d->nqueues;

	/* §4.2.2.2: QueueNumMax 0 says that there is no such queue. */
	show(d, VIRTIO_MMIO_QUEUE_NUM_MAX, exists ? d->queue_max : 0);
	show(d, VIRTIO_MMIO_QUEUE_READY, exists && d->queue[d->queue_sel].ready);
}

static void show_status(struct virtio_mmio *d)
{
	bool live = (d->status & VMIO_S_DRIVER_OK) != 0;

	show(d, VIRTIO_MMIO_INTERRUPT_STATUS,
	     (live ? VIRTIO_MMIO_INT_VRING : 0u) |
	     (d->config_pending ? VIRTIO_MMIO_INT_CONFIG : 0u));
	show(d, VIRTIO_MMIO_STATUS, d->status);
}

/* Everything a reset brings back (§2.4, §4.2.2.1). */
static void clear(struct virtio_mmio *d)
{
	d->accepted = 0;
	d->beyond = false;
	d->resetting = false;
	d->config_pending = false;
	d->status = 0;
	d->driver_sel = 0;
	d->queue_sel = 0;
	memset(d->queue, 0, sizeof(d->queue));
	show(d, VIRTIO_MMIO_DEVICE_FEATURES, word(d->offered, 0));
	show_queue(d);
	show_status(d);
}

void vmio_init(struct virtio_mmio *d, uint32_t *page)
{
	memset(d, 0, sizeof(*d));
	d->page = page;
}

/* Configuration space, all of it: what the device does not have reads 0. */
static void show_config(struct virtio_mmio *d, const uint8_t bytes[LINK_CONFIG_BYTES])
{
	for (uint32_t i = 0; i < LINK_CONFIG_BYTES; i += 4) {
		uint32_t value;

		memcpy(&value, bytes + i, sizeof(value));
		show(d, VIRTIO_MMIO_CONFIG + i, value);
	}
}

bool vmio_hello(struct virtio_mmio *d, const struct link_hello *h)
{
	if ((h->features & ~(DEVICE_FEATURES | TRANSPORT_FEATURES)) != 0)
		return false;
	d->offered = h->features;
	d->nqueues = h->nqueues;
	d->queue_max = h->queue_max;
	show(d, VIRTIO_MMIO_MAGIC_VALUE, MAGIC);
	show(d, VIRTIO_MMIO_VERSION, VERSION);
	show(d, VIRTIO_MMIO_DEVICE_ID, h->device_id);
	show(d, VIRTIO_MMIO_VENDOR_ID, VENDOR);
	/* §4.2.2.1: all ones is "no such shared memory region". */
	show(d, VIRTIO_MMIO_SHM_LEN_LOW, ~0u);
	show(d, VIRTIO_MMIO_SHM_LEN_HIGH, ~0u);
	show(d, VIRTIO_MMIO_SHM_BASE_LOW, ~0u);
	show(d, VIRTIO_MMIO_SHM_BASE_HIGH, ~0u);
	show_config(d, h->config);
	clear(d);
	return true;
}

/* §3.1.1 steps 4 and 5: after DRIVER, before FEATURES_OK. */
static enum vmio_action write_features(struct virtio_mmio *d, uint32_t value)
{
	uint32_t shift = 32 * d->driver_sel;

	if (d->status != DRIVEN)
		return VMIO_REFUSED;
	if (d->driver_sel > 1) {
		d->beyond = d->beyond || value != 0;
		return VMIO_DONE;
	}
	d->accepted = (d->accepted & ~(0xffffffffull << shift)) | (uint64_t)value << shift;
	return VMIO_DONE;
}

/* §3.1.1 step 5; §6.1: a driver that does not know VERSION_1 speaks another language. */
static bool features_good(const struct virtio_mmio *d)
{
	return !d->beyond && (d->accepted & ~d->offered) == 0 &&
	       (d->accepted & VIRTIO_F_VERSION_1) != 0;
}

/* The selected queue when its registers may be written, else NULL. */
static struct vmio_queue *open_queue(struct virtio_mmio *d)
{
	if (d->status != AGREED || d->queue_sel >= d->nqueues)
		return NULL;
	return &d->queue[d->queue_sel];
}

static enum vmio_action write_size(struct virtio_mmio *d, uint32_t value)
{
	struct vmio_queue *q = open_queue(d);

	if (q == NULL || q->ready || !is_power_of_2(value) || value > d->queue_max)
		return VMIO_REFUSED;
	q->size = value;
	return VMIO_DONE;
}

/* One half of an address of the selected queue: QueueDescLow 0x80 to QueueDeviceHigh 0xa4. */
static enum vmio_action write_address(struct virtio_mmio *d, uint32_t offset, uint32_t value)
{
	struct vmio_queue *q = open_queue(d);
	uint32_t shift = (offset & 4) != 0 ? 32 : 0;
	uint64_t *address;

	if (q == NULL || q->ready)
		return VMIO_REFUSED;
	if (offset < VIRTIO_MMIO_QUEUE_AVAIL_LOW)
		address = &q->desc;
	else if (offset < VIRTIO_MMIO_QUEUE_USED_LOW)
		address = &q->driver;
	else
		address = &q->device;
	*address = (*address & ~(0xffffffffull << shift)) | (uint64_t)value << shift;
	return VMIO_DONE;
}

static enum vmio_action write_ready(struct virtio_mmio *d, uint32_t value)
{
	struct vmio_queue *q = open_queue(d);

	/* Drivers take down what they never set up: that is no news. */
	if (value == 0 && (d->queue_sel >= d->nqueues || !d->queue[d->queue_sel].ready))
		return VMIO_DONE;
	if (q == NULL || value > 1)
		return VMIO_REFUSED;
	/* §2.7: alignment.  Whether there is memory is for the device to find out. */
	if (value == 1 && (q->size == 0 || q->desc % 16 != 0 || q->driver % 2 != 0 ||
			   q->device % 4 != 0))
		return VMIO_REFUSED;
	q->ready = value == 1;
	show_queue(d);
	return VMIO_DONE;
}

/* Only a write with bit 1 arrives here; unknown bits have no meaning (§4.2.2.2). */
static enum vmio_action write_ack(struct virtio_mmio *d, uint32_t value)
{
	if (value > (VIRTIO_MMIO_INT_VRING | VIRTIO_MMIO_INT_CONFIG))
		return VMIO_REFUSED;
	if ((value & VIRTIO_MMIO_INT_CONFIG) != 0)
		d->config_pending = false;
	show_status(d);
	return VMIO_DONE;
}

/* What a driver in state @now may write next; @now itself: nothing more. */
static uint32_t next_state(uint32_t now)
{
	switch (now) {
	case 0: return FOUND;
	case FOUND: return DRIVEN;
	case DRIVEN: return AGREED;
	case AGREED: return LIVE;
	default: return now;
	}
}

/* NEEDS_RESET is the device's; drivers write back what they have read. */
static enum vmio_action write_status(struct virtio_mmio *d, uint32_t value)
{
	const uint32_t sticky = d->status & VMIO_S_NEEDS_RESET;
	const uint32_t now = d->status & ~sticky;

	value &= ~(uint32_t)VMIO_S_NEEDS_RESET;
	if (value == now)
		return VMIO_DONE;
	/* §2.1: a driver may give up at any time; then only a reset helps. */
	if (value != next_state(now) && value != (now | VMIO_S_FAILED))
		return VMIO_REFUSED;
	if (value == AGREED && !features_good(d))
		return VMIO_REFUSED;
	d->status = value | sticky;
	show_status(d);
	return value == LIVE ? VMIO_ACTIVATE : VMIO_DONE;
}

/* The driver asks for status 0; the guest sees it when the device has stopped. */
static enum vmio_action start_reset(struct virtio_mmio *d)
{
	d->resetting = true;
	return VMIO_RESET;
}

enum vmio_action vmio_write(struct virtio_mmio *d, uint64_t offset, uint32_t len,
			    uint32_t value)
{
	/* §4.2.2.2: 32 bits wide and aligned.  No device of ours has writable configuration. */
	if (len != 4 || offset % 4 != 0 || offset >= VIRTIO_MMIO_CONFIG)
		return VMIO_REFUSED;
	/* While the device stops there is nothing to set up; asking again is waiting too. */
	if (d->resetting && !(offset == VIRTIO_MMIO_STATUS && value == 0))
		return VMIO_REFUSED;
	switch (offset) {
	case VIRTIO_MMIO_DEVICE_FEATURES_SEL:
		show(d, VIRTIO_MMIO_DEVICE_FEATURES, word(d->offered, value));
		return VMIO_DONE;
	case VIRTIO_MMIO_DRIVER_FEATURES_SEL:
		d->driver_sel = value;
		return VMIO_DONE;
	case VIRTIO_MMIO_DRIVER_FEATURES:
		return write_features(d, value);
	case VIRTIO_MMIO_QUEUE_SEL:
		d->queue_sel = value;
		show_queue(d);
		return VMIO_DONE;
	case VIRTIO_MMIO_QUEUE_NUM:
		return write_size(d, value);
	case VIRTIO_MMIO_QUEUE_DESC_LOW:
	case VIRTIO_MMIO_QUEUE_DESC_HIGH:
	case VIRTIO_MMIO_QUEUE_AVAIL_LOW:
	case VIRTIO_MMIO_QUEUE_AVAIL_HIGH:
	case VIRTIO_MMIO_QUEUE_USED_LOW:
	case VIRTIO_MMIO_QUEUE_USED_HIGH:
		return write_address(d, (uint32_t)offset, value);
	case VIRTIO_MMIO_QUEUE_READY:
		return write_ready(d, value);
	case VIRTIO_MMIO_INTERRUPT_ACK:
		return write_ack(d, value);
	case VIRTIO_MMIO_STATUS:
		return value == 0 ? start_reset(d) : write_status(d, value);
	case VIRTIO_MMIO_SHM_SEL:
		return VMIO_DONE;	/* no region, whichever is selected */
	default:
		/* Read-only, reserved, or a QueueNotify that no queue of ours matches. */
		return VMIO_REFUSED;
	}
}

void vmio_activation(const struct virtio_mmio *d, struct link_activate *out)
{
	memset(out, 0, sizeof(*out));
	out->features = d->accepted;
	for (uint32_t i = 0; i < d->nqueues; i++) {
		const struct vmio_queue *q = &d->queue[i];

		if (!q->ready)
			continue;
		out->queue[i] = (struct link_queue){
			.desc = q->desc,
			.avail = q->driver,
			.used = q->device,
			.size = (uint16_t)q->size,
			.ready = 1,
		};
	}
}

void vmio_reset_done(struct virtio_mmio *d)
{
	clear(d);
}

/* §2.1.2: the driver hears about a change of status only when it is live. */
static bool announce(struct virtio_mmio *d)
{
	if ((d->status & VMIO_S_DRIVER_OK) == 0)
		return false;
	d->config_pending = true;
	show_status(d);
	return true;
}

bool vmio_needs_reset(struct virtio_mmio *d)
{
	if (d->resetting)
		return false;
	d->status |= VMIO_S_NEEDS_RESET;
	show_status(d);
	return announce(d);
}

bool vmio_config(struct virtio_mmio *d, const struct link_config *c)
{
	/* §4.2.2.1: before and after, the guest reads at any moment.  A driver that reads the
	 * generation and a value of several words wholly in between takes half of each; the
	 * interrupt that follows makes it read again. */
	show(d, VIRTIO_MMIO_CONFIG_GENERATION, ++d->generation);
	show_config(d, c->config);
	show(d, VIRTIO_MMIO_CONFIG_GENERATION, ++d->generation);
	return !d->resetting && announce(d);
}
