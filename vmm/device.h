/* SPDX-License-Identifier: Apache-2.0 */
/* device.h: the VMM's half of one device: its registers, its link, its lock.
 *
 * vCPU threads bring the guest's writes, the main thread brings what the device process says;
 * the lock makes them take turns.  Nothing blocks under it. */
#ifndef IMMURE_VMM_DEVICE_H
#define IMMURE_VMM_DEVICE_H

#include "core/link.h"
#include "core/stats.h"
#include "core/vmconfig.h"
#include "vmm/end.h"
#include "vmm/virtio_mmio.h"

#include <pthread.h>

enum {
	DEVICE_HELLO_S = 5,
	/* A device finishes the request it is at, and the disk below may be slow or throttled:
	 * only the vCPU that resets waits, and Linux resets all devices when it shuts down. */
	DEVICE_RESET_S = 30,
};

struct device {
	uint32_t index;			/* MMIO slot, and place in the descriptor plan */
	uint32_t kind;			/* enum vm_device_kind: what it has to say it is */
	uint32_t nqueues;
	pthread_mutex_t lock;		/* mmio and link */
	struct virtio_mmio mmio;
	struct link link;
	struct stats_page *stats;	/* the main thread counts here; NULL: nowhere */
	_Atomic uint32_t resets;	/* completed ones; vCPUs sleep on it */
};

/* Device @index as @c describes it, behind the register page @page (see vmio_init()). */
void device_init(struct device *d, uint32_t index, const struct vm_device *c, uint32_t *page);

/* The guest wrote @len bytes at @offset of the register page.  Returns when the guest may see
 * the effect: after a reset only when the device has confirmed it. */
void device_write(struct device *d, struct end *end, uint64_t offset, uint32_t len,
		  uint32_t value);

/* The device process said something, or is gone: takes one message. */
void device_message(struct device *d, struct end *end);

/* It has said HELLO. */
bool device_ready(struct device *d);

/* The VM ends: tells the process, if it still listens. */
void device_quit(struct device *d);

#endif
