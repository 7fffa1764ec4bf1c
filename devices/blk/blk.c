/* SPDX-License-Identifier: Apache-2.0 */
/* blk.c: the virtio block device (virtio 1.3 §5.2): what it offers, its queue and its turns.
 *
 * What a request says and what becomes of it is request.c.  Only a chain that cannot even be
 * answered, or one that the queue refuses, ends in a reset. */
#include "devices/blk/blk.h"
#include "core/log.h"

#include <string.h>

enum { VIRTIO_ID_BLOCK = 2 };

/* §5.2.4, as far as the features we offer go. */
struct blk_config {
	le64_t capacity;
	le32_t size_max;
	le32_t seg_max;
	uint8_t geometry[4];
	le32_t blk_size;
	uint8_t physical_block_exp;	/* log2 of logical blocks in a physical one */
	uint8_t alignment_offset;	/* and these three in logical blocks */
	le16_t min_io_size;
	le32_t opt_io_size;
	uint8_t writeback;
	uint8_t unused0;
	le16_t num_queues;
	le32_t max_discard_sectors;
	le32_t max_discard_seg;
	le32_t discard_sector_alignment;
	le32_t max_write_zeroes_sectors;
	le32_t max_write_zeroes_seg;
	uint8_t write_zeroes_may_unmap;
	uint8_t unused1[3];
	le32_t max_secure_erase_sectors;	/* not offered: 0 */
};

_Static_assert(offsetof(struct blk_config, opt_io_size) == 28, "virtio 1.3 §5.2.4");
_Static_assert(VM_BLOCK_PHYSICAL_MAX / VM_BLOCK_MIN <= UINT8_MAX, "an offset fits");
_Static_assert(offsetof(struct blk_config, num_queues) == 34, "virtio 1.3 §5.2.4");
_Static_assert(sizeof(struct blk_config) == 64, "virtio 1.3 §5.2.4");
_Static_assert(sizeof(struct blk_config) <= LINK_CONFIG_BYTES, "fits a HELLO");

/* One turn: long enough to be cheap, short enough that an order of the VMM does not wait. */
enum { TURN_CHAINS = 128, TURN_BYTES = 1 << 20 };

/* How far a read that waits for the disk looks: as many as disks take at once, without much of the host's
 * memory. */
enum { LOOK_CHAINS = 32, LOOK_BYTES = 2 << 20 };

/* How much more is carried out together: as much, without being more than a driver that resets waits for. */
enum { BATCH_BYTES = 2 << 20 };

/* Sectors: what any host file system can give back. */
enum { DISCARD_ALIGNMENT = 8 };

static uint64_t offered(const struct blk *b)
{
	uint64_t f = VIRTIO_F_VERSION_1 | VIRTIO_F_EVENT_IDX | VIRTIO_F_INDIRECT_DESC |
		     VIRTIO_BLK_F_SIZE_MAX | VIRTIO_BLK_F_SEG_MAX | VIRTIO_BLK_F_BLK_SIZE |
		     VIRTIO_BLK_F_TOPOLOGY;

	if (b->nqueues > 1)
		f |= VIRTIO_BLK_F_MQ;
	if (b->disk.readonly)
		return f | VIRTIO_BLK_F_RO;
	return f | VIRTIO_BLK_F_FLUSH | VIRTIO_BLK_F_WRITE_ZEROES |
	       (b->disk.discard ? VIRTIO_BLK_F_DISCARD : 0);
}

void blk_init(struct blk *b, const struct guestmem *mem, const struct disk *disk,
	      uint32_t nqueues, const char *serial)
{
	b->mem = mem;
	b->disk = *disk;
	b->nqueues = nqueues;
	b->pool = NULL;
	b->terms.disk = &b->disk;
	memcpy(b->terms.serial, serial, sizeof(b->terms.serial));
	blk_reset(b);
}

/* Hints: requests name sectors, and any that the host takes is served. */
static void fill_blocks(const struct vm_blocks *b, struct blk_config *c)
{
	c->blk_size = to_le32(b->logical);
	c->physical_block_exp = (uint8_t)__builtin_ctz(b->physical / b->logical);
	c->alignment_offset = (uint8_t)(b->offset / b->logical);
	c->min_io_size = to_le16((uint16_t)(b->physical / b->logical));
	c->opt_io_size = to_le32(b->optimal / b->logical);
}

static void fill_config(const struct blk *b, struct blk_config *c)
{
	*c = (struct blk_config){
		.capacity = to_le64(b->disk.size / SECTOR),
		.size_max = to_le32(BLK_SIZE_MAX),
		.seg_max = to_le32(BLK_SEG_MAX),
		.num_queues = to_le16(b->nqueues > 1 ? (uint16_t)b->nqueues : 0),
	};
	fill_blocks(&b->disk.blocks, c);
	if (b->disk.discard) {
		c->max_discard_sectors = to_le32(BLK_DISCARD_SECTORS);
		c->max_discard_seg = to_le32(BLK_DISCARD_RANGES);
		c->discard_sector_alignment = to_le32(DISCARD_ALIGNMENT);
		c->write_zeroes_may_unmap = 1;
	}
	if (!b->disk.readonly) {
		c->max_write_zeroes_sectors = to_le32(BLK_ZERO_SECTORS);
		c->max_write_zeroes_seg = to_le32(BLK_ZERO_RANGES);
	}
}

void blk_hello(const struct blk *b, struct link_hello *h)
{
	struct blk_config c;

	fill_config(b, &c);
	*h = (struct link_hello){
		.version = LINK_VERSION,
		.device_id = VIRTIO_ID_BLOCK,
		.features = offered(b),
		.nqueues = b->nqueues,
		.queue_max = BLK_QUEUE_MAX,
		.config_len = sizeof(c),
	};
	memcpy(h->config, &c, sizeof(c));
}

void blk_config(const struct blk *b, struct link_config *c)
{
	struct blk_config config;

	fill_config(b, &config);
	*c = (struct link_config){ .len = sizeof(config) };
	memcpy(c->config, &config, sizeof(config));
}

bool blk_grown(struct blk *b)
{
	return disk_may_grow(&b->disk) && meter_second(&b->meter) && disk_grown(&b->disk);
}

static void forget_queues(struct blk *b)
{
	for (uint32_t i = 0; i < b->nqueues; i++) {
		vq_reset(&b->queue[i].vq);
		b->queue[i].seen = 0;
	}
	b->next = 0;
}

bool blk_activate(struct blk *b, const struct link_activate *a, uint32_t *reason)
{
	*reason = 0;
	if ((a->features & ~offered(b)) != 0 || (a->features & VIRTIO_F_VERSION_1) == 0)
		return false;
	for (size_t i = b->nqueues; i < LINK_QUEUES_MAX; i++)
		if (a->queue[i].ready != 0)
			return false;
	b->terms.features = a->features;
	for (uint32_t i = 0; i < b->nqueues && *reason == VQ_OK; i++) {
		const struct link_queue *q = &a->queue[i];
		struct vq_config c = { q->desc, q->avail, q->used, q->size, q->ready == 1 };

		/* Of several a driver need not use all; without any there will be nothing to do. */
		if (c.ready)
			*reason = vq_setup(&b->queue[i].vq, b->mem, &c, a->features);
	}
	if (*reason != VQ_OK)
		forget_queues(b);
	return *reason == VQ_OK;
}

void blk_reset(struct blk *b)
{
	forget_queues(b);
	b->terms.features = 0;
}

static void count(struct blk *b, const struct blk_request *r, uint64_t since)
{
	uint64_t len = r->len;
	enum meter_op op = METER_OTHER;

	for (uint32_t i = 0; i < r->nranges; i++)
		len += r->range[i].len;
	if (r->type == VIRTIO_BLK_T_IN)
		op = METER_READ;
	else if (r->type == VIRTIO_BLK_T_OUT || r->type == VIRTIO_BLK_T_WRITE_ZEROES)
		op = METER_WRITE;
	else if (r->type == VIRTIO_BLK_T_FLUSH)
		op = METER_FLUSH;
	else if (r->type == VIRTIO_BLK_T_DISCARD)
		op = METER_DISCARD;
	meter_request(&b->meter, op, len, r->status == VIRTIO_BLK_S_OK, since);
}

/* Has the host begin with the reads behind one that it has to wait for, so that a disk which can do many
 * things at once does.  The chains are put back and served in their turn, from the start.  False: the queue
 * is broken. */
static bool look_ahead(struct blk *b, struct blk_queue *q)
{
	struct blk_request *r = &b->behind[0];
	uint16_t head[LOOK_CHAINS];
	uint64_t bytes = 0;
	unsigned n = 0;
	int rc = 1;

	if (q->seen > LOOK_CHAINS / 2)
		return true;
	while (n < LOOK_CHAINS && bytes < LOOK_BYTES && (rc = vq_pop(&q->vq, &r->chain)) > 0) {
		head[n++] = r->chain.head;
		if (!request_moves(r, &b->terms) || r->type != VIRTIO_BLK_T_IN)
			continue;
		if (n > q->seen)
			disk_will_read(&b->disk, r->at, r->len);
		bytes += r->len;
	}
	q->seen = n;
	while (n > 0) {
		r->chain.head = head[--n];
		vq_unpop(&q->vq, &r->chain);
	}
	return rc >= 0;
}

/* Takes the reads and writes that wait behind the request in b->request and can be carried out together with
 * it, up to the first chain that is something else: that is put back.  No two have the same head, which the
 * queue would refuse; two that name the same memory or the same sectors are the driver's own affair, as with
 * any disk that has a queue.  False: the queue is broken. */
static bool gather(struct blk *b, struct blk_queue *q)
{
	uint64_t bytes = b->request.len;

	while (b->nbehind < POOL_JOBS - 1 && bytes < BATCH_BYTES) {
		struct blk_request *r = &b->behind[b->nbehind];
		int rc = vq_pop(&q->vq, &r->chain);

		if (rc <= 0)
			return rc == 0;
		if (!request_moves(r, &b->terms) ||
		    !request_job(r, &b->disk, &b->pool->job[1 + b->nbehind])) {
			vq_unpop(&q->vq, &r->chain);
			break;
		}
		bytes += r->len;
		b->nbehind++;
	}
	return true;
}

/* Carries out the request in b->request, and with it those that gather() finds.  Alone it is carried out as
 * if there were no threads. */
static bool carry_out_together(struct blk *b, struct blk_queue *q)
{
	struct pool *p = b->pool;

	if (request_job(&b->request, &b->disk, &p->job[0]) && !gather(b, q))
		return false;
	if (b->nbehind == 0) {
		request_run(&b->request, &b->disk, b->iov);
		return true;
	}
	b->slow = true;
	pool_run(p, 1 + b->nbehind);
	request_settle(&b->request, &b->disk, &p->job[0], b->iov);
	for (unsigned i = 0; i < b->nbehind; i++)
		request_settle(&b->behind[i], &b->disk, &p->job[1 + i], b->iov);
	return true;
}

/* Carries out the request in b->request.  A driver that is held back by its rate must not have the host
 * read what it has not paid for, nor have more than one request carried out for the tokens of one. */
static bool carry_out(struct blk *b, struct blk_queue *q)
{
	struct blk_request *r = &b->request;
	bool ok = true;

	b->slow = r->type == VIRTIO_BLK_T_FLUSH || r->nranges > 0 || r->durable;
	if (b->pool != NULL && !meter_limited(&b->meter) &&
	    (r->type == VIRTIO_BLK_T_IN || r->type == VIRTIO_BLK_T_OUT))
		return carry_out_together(b, q);
	if (r->type == VIRTIO_BLK_T_IN && b->disk.ahead && !meter_limited(&b->meter)) {
		if (request_run_cached(r, &b->disk, b->iov))
			return true;
		b->slow = b->disk.ahead;
		ok = !b->slow || look_ahead(b, q);
	}
	request_run(r, &b->disk, b->iov);
	return ok;
}

/* Counts and gives back a request that has been dealt with. */
static bool answer(struct blk *b, struct blk_queue *q, struct blk_request *r, uint64_t since)
{
	count(b, r, since);
	return vq_push(&q->vq, &r->chain, request_answer(r));
}

/* Answers the request in b->request, and those that were carried out with it.  False: there is no way to. */
static bool serve_one(struct blk *b, struct blk_queue *q, uint32_t *reason)
{
	struct blk_request *r = &b->request;
	const uint64_t since = b->meter.now;
	bool ok;

	*reason = BLK_E_NO_STATUS;
	if (r->chain.write_len == 0)
		return false;
	b->nbehind = 0;
	if (request_parse(r, &b->terms) && !carry_out(b, q)) {
		*reason = q->vq.err;
		return false;
	}
	*reason = VQ_E_RANGE;
	ok = answer(b, q, r, since);
	for (unsigned i = 0; i < b->nbehind && ok; i++)
		ok = answer(b, q, &b->behind[i], since);
	return ok;
}

/* No request may be taken now.  Without one there is nothing to wait for but a kick. */
static enum blk_stop hold(struct blk *b, struct virtqueue *vq)
{
	if (!vq_enable_kick(vq))
		return BLK_IDLE;
	vq_disable_kick(vq);
	meter_held(&b->meter);
	return BLK_HELD;
}

/* Pops and answers until the queue is empty or the turn is over.  A request that may take the
 * disk seconds is the last of its turn: a driver that resets waits for no more than one. */
static enum blk_stop serve_turn(struct blk *b, struct blk_queue *q, uint32_t *reason)
{
	uint64_t bytes = 0;

	b->slow = false;
	vq_disable_kick(&q->vq);
	for (int i = 0; i < TURN_CHAINS && bytes < TURN_BYTES && !b->slow; i++) {
		int rc;

		if (!meter_open(&b->meter))
			return hold(b, &q->vq);
		rc = vq_pop(&q->vq, &b->request.chain);
		if (rc == 0 && !vq_enable_kick(&q->vq))
			return BLK_IDLE;
		if (rc < 0) {
			*reason = q->vq.err;
			return BLK_BROKEN;
		}
		q->seen -= rc > 0 && q->seen > 0;
		if (rc > 0 && !serve_one(b, q, reason))
			return BLK_BROKEN;
		bytes += rc > 0 ? b->request.chain.read_len + b->request.chain.write_len : 0;
	}
	return BLK_MORE;
}

/* The queues one after the other until one has more than a turn; the next one begins the next time. */
enum blk_stop blk_serve(struct blk *b, bool *interrupt, uint32_t *reason)
{
	enum blk_stop stop = BLK_IDLE;

	*interrupt = false;
	*reason = 0;
	meter_turn(&b->meter);
	for (uint32_t i = 0; i < b->nqueues && stop == BLK_IDLE; i++) {
		struct blk_queue *q = &b->queue[b->next];

		b->next = (b->next + 1) % b->nqueues;
		if (!q->vq.ready)
			continue;
		stop = serve_turn(b, q, reason);
		*interrupt |= vq_should_interrupt(&q->vq);
	}
	if (stop == BLK_BROKEN)
		forget_queues(b);	/* not a byte more until the driver starts again */
	return stop;
}
