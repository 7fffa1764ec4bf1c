/* SPDX-License-Identifier: Apache-2.0 */
/* blk.c: requests of a virtio block driver (virtio 1.3 §5.2.6).
 *
 *	readable: le32 type, le32 reserved, le64 sector, data of a write
 *	writable: data of a read, status byte
 *
 * The driver may cut both parts into descriptors as it likes (§2.7.4.2: no assumption on
 * framing); the status is the very last writable byte.  The header is copied once and the copy
 * is judged.  Data is not looked at: it goes between guest memory and the disk by preadv2 and
 * pwritev2, without a copy here.
 *
 * A request that makes no sense is answered with IOERR, an unknown one with UNSUPP.  Only a
 * chain that cannot even be answered, or one that the queue refuses, ends in a reset.
 *
 * Durability (§5.2.6.2).  With FLUSH accepted the driver knows about our cache, which is the
 * host's page cache, and orders it out with FLUSH.  Without, it believes that what is done is
 * done: then every write is flushed before it is answered. */
#include "devices/blk/blk.h"
#include "core/log.h"

#include <string.h>

#define VIRTIO_BLK_F_SIZE_MAX (1ull << 1)
#define VIRTIO_BLK_F_SEG_MAX  (1ull << 2)
#define VIRTIO_BLK_F_RO       (1ull << 5)
#define VIRTIO_BLK_F_BLK_SIZE (1ull << 6)
#define VIRTIO_BLK_F_FLUSH    (1ull << 9)

enum { VIRTIO_ID_BLOCK = 2 };

enum blk_type {
	VIRTIO_BLK_T_IN = 0,
	VIRTIO_BLK_T_OUT = 1,
	VIRTIO_BLK_T_FLUSH = 4,
	VIRTIO_BLK_T_GET_ID = 8,
};

enum blk_status { VIRTIO_BLK_S_OK = 0, VIRTIO_BLK_S_IOERR = 1, VIRTIO_BLK_S_UNSUPP = 2 };

struct blk_header {
	le32_t type;
	le32_t reserved;
	le64_t sector;
};

/* §5.2.4, as far as the features we offer go. */
struct blk_config {
	le64_t capacity;
	le32_t size_max;
	le32_t seg_max;
	uint8_t geometry[4];
	le32_t blk_size;
};

_Static_assert(sizeof(struct blk_header) == 16, "virtio 1.3 §5.2.6");
_Static_assert(sizeof(struct blk_config) == 24, "virtio 1.3 §5.2.4");
_Static_assert(sizeof(struct blk_config) <= LINK_CONFIG_BYTES, "fits a HELLO");

/* One turn: long enough to be cheap, short enough that an order of the VMM does not wait. */
enum { TURN_CHAINS = 128, TURN_BYTES = 1 << 20 };

static uint64_t offered(const struct blk *b)
{
	return VIRTIO_F_VERSION_1 | VIRTIO_F_EVENT_IDX | VIRTIO_F_INDIRECT_DESC |
	       VIRTIO_BLK_F_SIZE_MAX | VIRTIO_BLK_F_SEG_MAX | VIRTIO_BLK_F_BLK_SIZE |
	       (b->disk.readonly ? VIRTIO_BLK_F_RO : VIRTIO_BLK_F_FLUSH);
}

void blk_init(struct blk *b, const struct guestmem *mem, const struct disk *disk,
	      const char *serial)
{
	b->mem = mem;
	b->disk = *disk;
	memcpy(b->serial, serial, sizeof(b->serial));
	blk_reset(b);
}

void blk_hello(const struct blk *b, struct link_hello *h)
{
	struct blk_config c = {
		.capacity = to_le64(b->disk.sectors),
		.size_max = to_le32(BLK_SIZE_MAX),
		.seg_max = to_le32(BLK_SEG_MAX),
		.blk_size = to_le32(SECTOR),
	};

	*h = (struct link_hello){
		.version = LINK_VERSION,
		.device_id = VIRTIO_ID_BLOCK,
		.features = offered(b),
		.nqueues = 1,
		.queue_max = BLK_QUEUE_MAX,
		.config_len = sizeof(c),
	};
	memcpy(h->config, &c, sizeof(c));
}

bool blk_activate(struct blk *b, const struct link_activate *a, uint32_t *reason)
{
	const struct link_queue *q = &a->queue[0];
	struct vq_config c = { q->desc, q->avail, q->used, q->size, q->ready == 1 };

	*reason = 0;
	if ((a->features & ~offered(b)) != 0 || (a->features & VIRTIO_F_VERSION_1) == 0)
		return false;
	for (size_t i = 1; i < LINK_QUEUES_MAX; i++)
		if (a->queue[i].ready != 0)
			return false;
	b->writethrough = !b->disk.readonly && (a->features & VIRTIO_BLK_F_FLUSH) == 0;
	if (!c.ready)
		return true;	/* a driver without a queue: there will be nothing to do */
	*reason = vq_setup(&b->vq, b->mem, &c, a->features);
	return *reason == VQ_OK;
}

void blk_reset(struct blk *b)
{
	vq_reset(&b->vq);
	b->writethrough = false;
}

/* The data part of a read is what is writable but the status byte. */
static enum blk_status do_read(struct blk *b, uint64_t sector, uint32_t *written)
{
	uint32_t len = b->chain.write_len - 1;
	int n = vq_chain_writable(&b->chain, 0, len, b->iov, VQ_SPANS_MAX);

	if (n < 0 || !disk_range_ok(&b->disk, sector, len))
		return VIRTIO_BLK_S_IOERR;
	*written = disk_read(&b->disk, sector, b->iov, n, len);
	return *written == len ? VIRTIO_BLK_S_OK : VIRTIO_BLK_S_IOERR;
}

/* Waits for the disk itself, which may take seconds. */
static bool flush(struct blk *b)
{
	b->flushed = true;
	return disk_flush(&b->disk);
}

static enum blk_status do_write(struct blk *b, uint64_t sector)
{
	uint32_t header = sizeof(struct blk_header);
	uint32_t len = b->chain.read_len - header;
	int n = vq_chain_readable(&b->chain, header, len, b->iov, VQ_SPANS_MAX);

	if (b->disk.readonly || n < 0 || !disk_range_ok(&b->disk, sector, len) ||
	    !disk_write(&b->disk, sector, b->iov, n, len))
		return VIRTIO_BLK_S_IOERR;
	if (b->writethrough && !flush(b))
		return VIRTIO_BLK_S_IOERR;
	return VIRTIO_BLK_S_OK;
}

/* A read-only disk has nothing to flush and offered no FLUSH. */
static enum blk_status do_flush(struct blk *b)
{
	if (b->disk.readonly)
		return VIRTIO_BLK_S_UNSUPP;
	return flush(b) ? VIRTIO_BLK_S_OK : VIRTIO_BLK_S_IOERR;
}

static enum blk_status do_get_id(struct blk *b, uint32_t *written)
{
	if (b->chain.write_len - 1 < BLK_ID_BYTES ||
	    !vq_chain_write(&b->chain, 0, b->serial, BLK_ID_BYTES))
		return VIRTIO_BLK_S_IOERR;
	*written = BLK_ID_BYTES;
	return VIRTIO_BLK_S_OK;
}

/* Serves the request in b->chain, which has a byte for the status.  *@written: data bytes
 * written from the start of the writable part on. */
static enum blk_status request(struct blk *b, uint32_t *written)
{
	struct blk_header h;

	*written = 0;
	if (!vq_chain_read(&b->chain, 0, &h, sizeof(h)))
		return VIRTIO_BLK_S_IOERR;
	switch ((enum blk_type)le32(h.type)) {
	case VIRTIO_BLK_T_IN: return do_read(b, le64(h.sector), written);
	case VIRTIO_BLK_T_OUT: return do_write(b, le64(h.sector));
	case VIRTIO_BLK_T_FLUSH: return do_flush(b);
	case VIRTIO_BLK_T_GET_ID: return do_get_id(b, written);
	}
	return VIRTIO_BLK_S_UNSUPP;
}

/* Answers the request in b->chain.  False: there is no way to. */
static bool serve_one(struct blk *b, uint32_t *reason)
{
	uint32_t last = b->chain.write_len - 1;
	uint32_t written;
	uint8_t status;

	if (b->chain.write_len == 0) {
		*reason = BLK_E_NO_STATUS;
		return false;
	}
	status = (uint8_t)request(b, &written);
	/* §2.7.8.2: the used length counts from the first byte, without a gap; the status is
	 * part of it only when the data before it was written. */
	if (vq_chain_write(&b->chain, last, &status, 1) && written == last)
		written++;
	*reason = VQ_E_RANGE;
	return vq_push(&b->vq, &b->chain, written);
}

/* Pops and answers until the queue is empty or the turn is over.  A flush is the last of its
 * turn: a driver that resets waits for no more than one. */
static enum blk_stop serve_turn(struct blk *b, uint32_t *reason)
{
	uint64_t bytes = 0;

	b->flushed = false;
	for (int i = 0; i < TURN_CHAINS && bytes < TURN_BYTES && !b->flushed; i++) {
		int rc = vq_pop(&b->vq, &b->chain);

		if (rc == 0 && !vq_enable_kick(&b->vq))
			return BLK_IDLE;
		if (rc < 0) {
			*reason = b->vq.err;
			return BLK_BROKEN;
		}
		if (rc > 0 && !serve_one(b, reason))
			return BLK_BROKEN;
		bytes += rc > 0 ? b->chain.read_len + b->chain.write_len : 0;
	}
	return BLK_MORE;
}

enum blk_stop blk_serve(struct blk *b, bool *interrupt, uint32_t *reason)
{
	enum blk_stop stop;

	*interrupt = false;
	*reason = 0;
	if (!b->vq.ready)
		return BLK_IDLE;
	vq_disable_kick(&b->vq);
	stop = serve_turn(b, reason);
	*interrupt = vq_should_interrupt(&b->vq);
	if (stop == BLK_BROKEN)
		vq_reset(&b->vq);	/* not a byte more until the driver starts again */
	return stop;
}
