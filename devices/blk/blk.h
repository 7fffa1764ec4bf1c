/* SPDX-License-Identifier: Apache-2.0 */
/* blk.h: the virtio block device (virtio 1.3 §5.2), one disk, one queue or several.
 *
 * Knows nothing of sockets and event descriptors: main.c does that.  Every entry point runs to
 * completion; between two calls no request is in flight, in no thread (pool.h). */
#ifndef IMMURE_DEVICES_BLK_BLK_H
#define IMMURE_DEVICES_BLK_BLK_H

#include "core/link.h"
#include "core/virtqueue.h"
#include "core/vmconfig.h"
#include "devices/blk/meter.h"
#include "devices/blk/request.h"

enum {
	BLK_QUEUE_MAX = VQ_SIZE_MAX,
	BLK_SEG_MAX = BLK_QUEUE_MAX - 2,	/* a header, segments, a status byte */
	BLK_SIZE_MAX = 256 << 10,		/* bytes a segment */
};

/* A driver that keeps to what it was offered never makes a chain that the queue refuses. */
_Static_assert((uint64_t)BLK_SEG_MAX * BLK_SIZE_MAX + 17 <= VQ_CHAIN_BYTES_MAX,
	       "virtio 1.3 §5.2.4: seg_max segments of size_max bytes");

/* Why the device itself, not its queue, asked for a reset (struct link_needs_reset.reason). */
enum { BLK_E_NO_STATUS = 0x100 + 1 };	/* a chain without a byte to answer in */

struct blk_queue {
	struct virtqueue vq;
	unsigned seen;			/* chains at its front that look_ahead() saw */
};

struct blk {
	const struct guestmem *mem;
	struct disk disk;
	struct blk_terms terms;
	uint32_t nqueues;
	struct blk_queue queue[PLAN_BLK_QUEUES];
	uint32_t next;			/* the queue whose turn it is */
	struct meter meter;		/* the caller's to meter_init() */
	struct pool *pool;		/* the caller's to set; NULL: one transfer at a time */
	bool slow;			/* this turn waited for the disk itself */
	struct blk_request request;	/* being served */
	unsigned nbehind;		/* served together with it */
	struct blk_request behind[POOL_JOBS - 1];	/* these; or one that is being looked at */
	struct iovec iov[VQ_SPANS_MAX];
};

/* What blk_serve() stopped for. */
enum blk_stop {
	BLK_IDLE,	/* nothing left; the driver will kick */
	BLK_MORE,	/* enough for one turn; call again */
	BLK_HELD,	/* the rate limit: call again in meter_wait(), kick or not */
	BLK_BROKEN,	/* driver misbehaved: tell it that it must reset; *reason says why */
};

/* Makes @b a device on @disk with 1 to PLAN_BLK_QUEUES queues, identified by @serial (BLK_ID_BYTES, NUL
 * padded).  @mem outlives it. */
void blk_init(struct blk *b, const struct guestmem *mem, const struct disk *disk, uint32_t nqueues,
	      const char *serial);

/* Fills in what the device is: features, queue, configuration space (§5.2.3, §5.2.4). */
void blk_hello(const struct blk *b, struct link_hello *h);

/* What LINK_CONFIG says: the configuration space as it is now. */
void blk_config(const struct blk *b, struct link_config *c);

/* Looks, about once a second, whether the disk has grown; never true where it may not.  True: it has, and
 * the driver must be told. */
must_check bool blk_grown(struct blk *b);

/* Starts on what the driver set up.  False: refused, *@reason says why; or VMM wrote nonsense:
 * features that were not offered, more queues than there are (*@reason is 0). */
must_check bool blk_activate(struct blk *b, const struct link_activate *a, uint32_t *reason);

/* Forgets the driver.  Nothing is in flight before or after. */
void blk_reset(struct blk *b);

/* Serves requests, a bounded number and a bounded number of bytes, of the queue whose turn it is; those that
 * have nothing are passed over.  *@interrupt: the driver wants to be interrupted now. */
must_check enum blk_stop blk_serve(struct blk *b, bool *interrupt, uint32_t *reason);

#endif
