/* SPDX-License-Identifier: Apache-2.0 */
/* driver.h: guest RAM and the driver's side of a split virtqueue, for unit tests.
 *
 * Plays a guest (virtio 1.3 §2.7): well-behaved through driver_add() and driver_used(), and as
 * badly as a test likes through driver_desc(), driver_offer() and ram_at().  Include it after
 * core/guestmem.c or core/guestmem.h; it asserts with Criterion.
 *
 *	static struct ram ram;
 *	static struct driver drv;
 *
 *	ram_init(&ram, 16 << 20);
 *	driver_init(&drv, &ram, 0x10000, 8, VIRTIO_F_VERSION_1);
 *	vq_setup(&vq, &ram.mem, &(struct vq_config){ driver_config(&drv) }, drv.features);
 *	driver_add(&drv, (struct buf[]){ { 0x20000, 16, false }, { 0x21000, 1, true } }, 2);
 *	...the device serves the queue...
 *	cr_assert(driver_used(&drv, &head, &len)); */
#ifndef IMMURE_TESTS_UNIT_DRIVER_H
#define IMMURE_TESTS_UNIT_DRIVER_H

#include "core/guestmem.h"
#include "core/virtqueue.h"

#include <criterion/criterion.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { DRV_NEXT = 1, DRV_WRITE = 2, DRV_INDIRECT = 4 };

/* Guest RAM in a memfd of its own. */
struct ram {
	int fd;
	struct guestmem mem;
};

static inline void ram_init(struct ram *r, uint64_t size)
{
	r->fd = memfd_create("guest", MFD_CLOEXEC);
	cr_assert_geq(r->fd, 0);
	cr_assert_eq(ftruncate(r->fd, (off_t)guestmem_file_size(size)), 0);
	cr_assert_eq(guestmem_map(&r->mem, r->fd, size), 0);
}

/* The host's view of guest address @a; NULL outside RAM. */
static inline void *ram_at(const struct ram *r, uint64_t a)
{
	for (uint32_t i = 0; i < r->mem.nregions; i++) {
		const struct guestmem_region *reg = &r->mem.region[i];

		if (a - reg->start < reg->size)
			return reg->hva + (a - reg->start);
	}
	return NULL;
}

/* Is the page of guest address @a marked in the dirty bitmap? */
static inline bool ram_dirty(const struct ram *r, uint64_t a)
{
	for (uint32_t i = 0; i < r->mem.nregions; i++) {
		const struct guestmem_region *reg = &r->mem.region[i];
		uint64_t page = (reg->offset + (a - reg->start)) / GUESTMEM_PAGE;

		if (a - reg->start < reg->size)
			return (r->mem.dirty[page / 64] >> (page % 64) & 1) != 0;
	}
	return false;
}

static inline void ram_clean(const struct ram *r)
{
	memset(r->mem.dirty, 0, guestmem_file_size(r->mem.size) - r->mem.size);
}

struct buf {
	uint64_t addr;
	uint32_t len;
	bool write;		/* the device writes */
};

struct drv_desc {
	uint64_t addr;
	uint32_t len;
	uint16_t flags, next;
};

struct driver {
	const struct ram *ram;
	uint64_t desc, avail, used;
	uint64_t features;
	uint16_t size;
	uint16_t avail_idx;		/* next avail index to publish */
	uint16_t last_used;		/* next used entry to look at */
	uint16_t kicked;		/* avail_idx when last asked whether to kick */
	uint16_t nfree;
	uint16_t free[VQ_SIZE_MAX];	/* stack of free descriptors */
	uint16_t count[VQ_SIZE_MAX];	/* descriptors of the chain with this head */
};

static inline uint16_t *driver_word(const struct driver *d, uint64_t a)
{
	return ram_at(d->ram, a);
}

/* An empty queue of @size at @base (page aligned; it needs 3 pages at most). */
static inline void driver_init(struct driver *d, const struct ram *r, uint64_t base,
			       uint16_t size, uint64_t features)
{
	*d = (struct driver){ .ram = r, .size = size, .features = features };
	d->desc = base;
	d->avail = base + GUESTMEM_PAGE;
	d->used = base + 2 * GUESTMEM_PAGE;
	memset(ram_at(r, base), 0, 3 * GUESTMEM_PAGE);
	for (uint16_t i = size; i > 0; i--)
		d->free[d->nfree++] = (uint16_t)(i - 1);
}

static inline struct vq_config driver_config(const struct driver *d)
{
	return (struct vq_config){ d->desc, d->avail, d->used, d->size, true };
}

/* Writes descriptor @i, whatever is in it. */
static inline void driver_desc(const struct driver *d, uint16_t i, uint64_t addr, uint32_t len,
			       uint16_t flags, uint16_t next)
{
	struct drv_desc x = { addr, len, flags, next };

	memcpy(ram_at(d->ram, d->desc + 16ull * i), &x, sizeof(x));
}

/* Makes @head available. */
static inline void driver_offer(struct driver *d, uint16_t head)
{
	uint64_t entry = d->avail + 4 + 2ull * (d->avail_idx & (d->size - 1u));

	*driver_word(d, entry) = head;
	d->avail_idx++;
	__atomic_store_n(driver_word(d, d->avail + 2), d->avail_idx, __ATOMIC_RELEASE);
}

/* Makes a chain of @n buffers available; returns its head. */
static inline uint16_t driver_add(struct driver *d, const struct buf *b, uint16_t n)
{
	uint16_t head = 0, next = 0;

	cr_assert(n > 0 && n <= d->nfree, "out of descriptors");
	for (uint16_t i = n; i > 0; i--) {
		uint16_t flags = (uint16_t)((b[i - 1].write ? DRV_WRITE : 0) |
					    (i < n ? DRV_NEXT : 0));

		head = d->free[--d->nfree];
		driver_desc(d, head, b[i - 1].addr, b[i - 1].len, flags, next);
		next = head;
	}
	d->count[head] = n;
	driver_offer(d, head);
	return head;
}

/* The same through an indirect table at @table. */
static inline uint16_t driver_add_indirect(struct driver *d, uint64_t table,
					   const struct buf *b, uint16_t n)
{
	uint16_t head;

	cr_assert(n > 0 && d->nfree > 0, "out of descriptors");
	for (uint16_t i = 0; i < n; i++) {
		struct drv_desc x = { b[i].addr, b[i].len,
				      (uint16_t)((b[i].write ? DRV_WRITE : 0) |
						 (i + 1 < n ? DRV_NEXT : 0)),
				      (uint16_t)(i + 1) };

		memcpy(ram_at(d->ram, table + 16ull * i), &x, sizeof(x));
	}
	head = d->free[--d->nfree];
	driver_desc(d, head, table, 16u * n, DRV_INDIRECT, 0);
	d->count[head] = 1;
	driver_offer(d, head);
	return head;
}

/* Takes the next used entry, if there is one, and frees its descriptors. */
static inline bool driver_used(struct driver *d, uint16_t *head, uint32_t *len)
{
	uint16_t idx = __atomic_load_n(driver_word(d, d->used + 2), __ATOMIC_ACQUIRE);
	uint32_t e[2];
	uint16_t i;

	if (idx == d->last_used)
		return false;
	memcpy(e, ram_at(d->ram, d->used + 4 + 8ull * (d->last_used & (d->size - 1u))), 8);
	d->last_used++;
	cr_assert_lt(e[0], d->size);
	*head = (uint16_t)e[0];
	*len = e[1];
	i = *head;
	for (uint16_t n = d->count[*head]; n > 0; n--) {
		struct drv_desc x;

		memcpy(&x, ram_at(d->ram, d->desc + 16ull * i), sizeof(x));
		d->free[d->nfree++] = i;
		i = x.next;
	}
	d->count[*head] = 0;
	return true;
}

/* Asks for an interrupt when used.idx passes @at (EVENT_IDX). */
static inline void driver_used_event(const struct driver *d, uint16_t at)
{
	__atomic_store_n(driver_word(d, d->avail + 4 + 2ull * d->size), at, __ATOMIC_SEQ_CST);
}

static inline void driver_no_interrupt(const struct driver *d, bool on)
{
	__atomic_store_n(driver_word(d, d->avail), on ? 1 : 0, __ATOMIC_SEQ_CST);
}

/* Does the device want a kick for what was made available since the last call? */
static inline bool driver_must_kick(struct driver *d)
{
	uint16_t old = d->kicked, event;

	d->kicked = d->avail_idx;
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if ((d->features & VIRTIO_F_EVENT_IDX) == 0)
		return (__atomic_load_n(driver_word(d, d->used), __ATOMIC_ACQUIRE) & 1) == 0;
	event = __atomic_load_n(driver_word(d, d->used + 4 + 8ull * d->size),
				__ATOMIC_ACQUIRE);
	return (uint16_t)(d->avail_idx - event - 1) < (uint16_t)(d->avail_idx - old);
}

#endif
