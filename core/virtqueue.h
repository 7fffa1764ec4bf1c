/* SPDX-License-Identifier: Apache-2.0 */
/* virtqueue.h: the device side of a split virtqueue (virtio 1.3 §2.7), for every device.
 *
 * Devices never see descriptors.  vq_pop() returns a complete chain: readable spans, then
 * writable spans, with both lengths, every guest field read exactly once; or it declares the
 * queue broken, and it stays broken until reset (§2.1.2 DEVICE_NEEDS_RESET). */
#ifndef IMMURE_CORE_VIRTQUEUE_H
#define IMMURE_CORE_VIRTQUEUE_H

#include "core/base.h"
#include "core/guestmem.h"

enum {
	VQ_SIZE_MAX = 256,	/* descriptors; what QueueNumMax shows */
	VQ_SPANS_MAX = 512,	/* pieces of host memory one chain may become */
};

/* What one chain may carry, readable and writable together.  A chain beyond it is refused
 * (check 10): no request of any of our devices comes near. */
#define VQ_CHAIN_BYTES_MAX (64u << 20)

#define VIRTIO_F_INDIRECT_DESC (1ull << 28)
#define VIRTIO_F_EVENT_IDX     (1ull << 29)
#define VIRTIO_F_VERSION_1     (1ull << 32)

/* Why a queue is broken; the number is that of the check (see virtqueue.c). */
enum vq_err {
	VQ_OK = 0,
	VQ_E_AVAIL,		/* 1: avail.idx ran more than the queue size ahead */
	VQ_E_HEAD,		/* 2: head index outside the table */
	VQ_E_NEXT,		/* 3: next outside the table */
	VQ_E_LOOP,		/* 4: more descriptors than the table has */
	VQ_E_ORDER,		/* 5: readable descriptor after a writable one */
	VQ_E_INDIRECT,		/* 6: indirect: not negotiated, nested, with NEXT, or bad length */
	VQ_E_ZERO,		/* 7: descriptor of length 0 */
	VQ_E_SPANS,		/* 8: chain becomes more than VQ_SPANS_MAX spans */
	VQ_E_RANGE,		/* 9: buffer, table or ring outside RAM */
	VQ_E_LENGTH,		/* 10: total length over VQ_CHAIN_BYTES_MAX */
	VQ_E_SETUP,		/* 11: size or addresses refused by vq_setup() */
	VQ_E_INFLIGHT,		/* 12: head already handed out and not yet returned */
};

/* One request.  The spans point into guest RAM: for readv/writev and the two copy functions
 * below, nothing else looks through them. */
struct vq_chain {
	uint16_t head;
	uint16_t nread;			/* iov[0 .. nread): the device reads */
	uint16_t nwrite;		/* iov[nread .. nread + nwrite): the device writes */
	uint32_t read_len;		/* bytes in all readable spans */
	uint32_t write_len;		/* bytes in all writable spans */
	struct iovec iov[VQ_SPANS_MAX];
};

/* What is given back of one chain. */
struct vq_used {
	uint16_t head;
	uint32_t written;		/* bytes, at most the chain's write_len */
};

/* One virtqueue.  All fields private to virtqueue.c; positions are never read back from guest
 * memory. */
struct virtqueue {
	const struct guestmem *mem;
	uint64_t features;
	uint64_t desc, avail, used;	/* guest-physical, checked by vq_setup() */
	uint16_t size;
	uint16_t last_avail;		/* next avail ring slot to read */
	uint16_t next_used;		/* next used ring slot to write */
	uint16_t signalled;		/* next_used when the driver was last interrupted */
	uint16_t inflight_count;
	bool ready;
	bool signalled_valid;		/* false when next_used lapped it without a decision */
	enum vq_err err;		/* != VQ_OK: broken until vq_setup() */
	uint64_t inflight[VQ_SIZE_MAX / 64];	/* heads popped and not yet pushed */
};

/* Where a queue lies, as the driver wrote it (virtio 1.3 §4.2.2). */
struct vq_config {
	uint64_t desc, avail, used;	/* guest-physical */
	uint16_t size;			/* power of two, 1..VQ_SIZE_MAX */
	bool ready;
};

/* Makes @vq ready on @c under the negotiated @features.  Refuses (VQ_E_SETUP / VQ_E_RANGE) a
 * size that is not a power of two in 1..VQ_SIZE_MAX, misaligned addresses (§2.7: 16/2/4) and
 * areas outside RAM.  @mem outlives @vq. */
must_check enum vq_err vq_setup(struct virtqueue *vq, const struct guestmem *mem,
				const struct vq_config *c, uint64_t features);

/* Back to not ready; nothing in flight. */
void vq_reset(struct virtqueue *vq);

/* Takes the next available chain.  Returns 1 with @c filled, 0 when there is none, -1 when the
 * queue is broken (vq->err says why) or not ready.  Does O(descriptors) work, at most
 * vq->size per call.  (§2.7.14) */
must_check int vq_pop(struct virtqueue *vq, struct vq_chain *c);

/* Un-takes the chain last popped, which must be @c: the next vq_pop() returns it again.  Several
 * are given back in reverse order, even when others popped before them were pushed meanwhile. */
void vq_unpop(struct virtqueue *vq, const struct vq_chain *c);

/* Returns @c to the driver with @written bytes written (clamped to c->write_len).  The entry
 * is published in the used ring, the driver is not interrupted yet.  False: queue broken.
 * (§2.7.8) */
must_check bool vq_push(struct virtqueue *vq, const struct vq_chain *c, uint32_t written);

/* Returns @n chains at once: the driver sees all of them or, when the queue is broken (false),
 * none.  (§5.1.6.4.1: the buffers of one frame) */
must_check bool vq_push_all(struct virtqueue *vq, const struct vq_used *u, unsigned n);

/* True when the driver wants an interrupt for what was pushed since the last call
 * (§2.7.7 flags, §2.7.10 used_event).  Call once a batch, after the last vq_push(). */
must_check bool vq_should_interrupt(struct virtqueue *vq);

/* Asks the driver to kick at the next chain (§2.7.10 avail_event; without EVENT_IDX: clears
 * NO_NOTIFY).  Returns true when chains arrived meanwhile: go round again instead of
 * sleeping. */
must_check bool vq_enable_kick(struct virtqueue *vq);

/* Tells the driver not to kick while the device is polling the ring.  Advisory. */
void vq_disable_kick(struct virtqueue *vq);

/* Copies @len bytes from offset @off of the readable part of @c.  False when it is shorter. */
must_check bool vq_chain_read(const struct vq_chain *c, uint32_t off, void *dst, uint32_t len);

/* Copies @len bytes to offset @off of the writable part of @c.  False when it is shorter. */
must_check bool vq_chain_write(const struct vq_chain *c, uint32_t off, const void *src,
			       uint32_t len);

/* Describes @len bytes at offset @off of the readable (or writable) part of @c as spans in
 * @iov (@max of them).  Returns their number, or -1 when the part is shorter or @max is too
 * small. */
must_check int vq_chain_readable(const struct vq_chain *c, uint32_t off, uint32_t len,
				 struct iovec *iov, int max);
must_check int vq_chain_writable(const struct vq_chain *c, uint32_t off, uint32_t len,
				 struct iovec *iov, int max);

/* The first contiguous piece, of at most @len > 0 bytes, at offset @off of the readable part of
 * @c.  False when the part ends there. */
must_check bool vq_chain_piece(const struct vq_chain *c, uint32_t off, uint32_t len,
			       struct iovec *piece);
/* The same for spans that were taken out of chains: describes @len bytes at offset @off of the
 * @n in @v, and copies @len bytes to there. */
must_check int vq_spans_part(const struct iovec *v, unsigned n, uint64_t off, uint64_t len,
			     struct iovec *iov, int max);
must_check bool vq_spans_write(const struct iovec *v, unsigned n, uint64_t off, const void *src,
			       uint32_t len);

/* A short name of @err for the log. */
const char *vq_err_name(enum vq_err err);

#endif
