/* SPDX-License-Identifier: Apache-2.0 */
/* virtqueue.h: one queue in a small guest, for the tests of core/virtqueue.c. */
#ifndef IMMURE_TESTS_UNIT_VIRTQUEUE_H
#define IMMURE_TESTS_UNIT_VIRTQUEUE_H

#include "core/guestmem.c"

/* Splits spans at this many bytes on top of what guestmem does, as guest memory in blocks
 * would: 0 leaves them alone. */
static uint32_t block;

static int blocked_spans(const struct guestmem *m, gpa_t a, uint32_t len,
			 enum guestmem_access access, struct iovec *iov, int max)
{
	int n = 0;

	while (block != 0 && len > 0) {
		uint32_t here = (uint32_t)min_u64(len, block - a.v % block);

		if (n == max || guestmem_spans(m, a, here, access, iov + n, 1) != 1)
			return -1;
		n++;
		len -= here;
		a.v += here;
	}
	return len > 0 ? guestmem_spans(m, a, len, access, iov, max) : n;
}
#define guestmem_spans blocked_spans
#include "core/virtqueue.c"
#undef guestmem_spans

#include "tests/unit/driver.h"

enum { QUEUE = 0x10000, TABLE = 0x20000, DATA = 0x100000 };
#define plain     VIRTIO_F_VERSION_1
#define indirect  (VIRTIO_F_VERSION_1 | VIRTIO_F_INDIRECT_DESC)
#define event_idx (VIRTIO_F_VERSION_1 | VIRTIO_F_EVENT_IDX)

static struct ram ram;
static struct driver drv;
static struct virtqueue vq;
static struct vq_chain chain;

static inline void setup(uint16_t size, uint64_t features)
{
	struct vq_config c;

	block = 0;
	if (ram.mem.nregions == 0)
		ram_init(&ram, 64 << 20);
	driver_init(&drv, &ram, QUEUE, size, features);
	c = driver_config(&drv);
	cr_assert_eq(vq_setup(&vq, &ram.mem, &c, features), VQ_OK);
}

static inline struct buf in(uint64_t addr, uint32_t len)
{
	return (struct buf){ addr, len, true };
}

static inline struct buf out(uint64_t addr, uint32_t len)
{
	return (struct buf){ addr, len, false };
}

#endif
