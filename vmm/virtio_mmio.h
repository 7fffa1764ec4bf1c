/* SPDX-License-Identifier: Apache-2.0 */
/* virtio_mmio.h: the registers of one virtio device (virtio 1.3 §4.2.2), as a state machine.
 *
 * The registers are a page of memory that the guest reads without leaving guest mode; its
 * writes come here.  The module is pure: it knows no descriptor, no lock and no guest memory.
 * It changes the page and says what the caller must do, before the vCPU goes on.
 *
 * Order: vmio_init(), vmio_hello(), then the rest in any order, one call at a time (the caller
 * holds the device's lock).  The page is written here and never read back. */
#ifndef IMMURE_VMM_VIRTIO_MMIO_H
#define IMMURE_VMM_VIRTIO_MMIO_H

#include "core/base.h"
#include "core/link.h"

enum { VMIO_PAGE = 4096 };

/* The device status field (§2.1).  Names of our own: linux/virtio_config.h, which has these,
 * redefines core/virtqueue.h's feature masks as bit numbers. */
enum vmio_status {
	VMIO_S_ACKNOWLEDGE = 1,
	VMIO_S_DRIVER = 2,
	VMIO_S_DRIVER_OK = 4,
	VMIO_S_FEATURES_OK = 8,
	VMIO_S_NEEDS_RESET = 64,
	VMIO_S_FAILED = 128,
};

/* What the driver wrote about one queue.  The addresses are only ever handed on. */
struct vmio_queue {
	uint64_t desc, driver, device;
	uint32_t size;
	bool ready;
};

struct virtio_mmio {
	uint32_t *page;			/* VMIO_PAGE bytes; the guest's view */
	uint64_t offered;		/* features of the device */
	uint64_t accepted;		/* features the driver wrote */
	bool beyond;			/* it wrote bits from 64 on, which do not exist */
	bool resetting;			/* status 0 was written, vmio_reset_done() is due */
	bool config_pending;		/* bit 1 of InterruptStatus */
	uint32_t status;		/* of enum vmio_status */
	uint32_t driver_sel;		/* DriverFeaturesSel */
	uint32_t queue_sel;		/* QueueSel */
	uint32_t generation;		/* ConfigGeneration */
	uint32_t nqueues;
	uint32_t queue_max;
	struct vmio_queue queue[LINK_QUEUES_MAX];
};

/* What a write asks of the caller. */
enum vmio_action {
	VMIO_DONE,		/* nothing: the page is up to date */
	VMIO_REFUSED,		/* not legal (here, now): it was ignored */
	VMIO_ACTIVATE,		/* DRIVER_OK: send what vmio_activation() says */
	VMIO_RESET,		/* status 0: have the device stop, then vmio_reset_done() */
};

/* An empty machine over @page (VMIO_PAGE bytes, all zero, aligned; it outlives @d). */
void vmio_init(struct virtio_mmio *d, uint32_t *page);

/* The device said who it is; link_step() has checked @h.  False, with nothing changed: @h
 * offers a feature that this transport does not implement. */
must_check bool vmio_hello(struct virtio_mmio *d, const struct link_hello *h);

/* The guest wrote @len bytes with @value (little-endian, the low 32 bits of it) at @offset of
 * the page.  Any @offset and @len. */
must_check enum vmio_action vmio_write(struct virtio_mmio *d, uint64_t offset, uint32_t len,
				       uint32_t value);

/* After VMIO_ACTIVATE: what the device is told. */
void vmio_activation(const struct virtio_mmio *d, struct link_activate *out);

/* The device has stopped: everything back to its first state, status reads 0 (§2.4). */
void vmio_reset_done(struct virtio_mmio *d);

/* The device gave up on its driver (§2.1.2).  True: interrupt the driver. */
must_check bool vmio_needs_reset(struct virtio_mmio *d);

/* The configuration space changed; link_step() has checked @c.  True: interrupt the driver. */
must_check bool vmio_config(struct virtio_mmio *d, const struct link_config *c);

#endif
