/* SPDX-License-Identifier: Apache-2.0 */
/* request.c: requests of a virtio block driver (virtio 1.3 §5.2.6).
 *
 *	readable: le32 type, le32 reserved, le64 sector, data of a write, or ranges
 *	writable: data of a read, status byte
 *
 * The driver may cut both parts into descriptors as it likes (§2.7.4.2: no assumption on
 * framing); the status is the very last writable byte.  Header and ranges are copied once and
 * the copy is judged.  Data is not looked at: it goes between guest memory and the disk by
 * preadv2 and pwritev2, without a copy here.
 *
 * A request that makes no sense is answered with IOERR, one that is unknown or was not agreed
 * on with UNSUPP.
 *
 * Durability (§5.2.6.2).  With FLUSH accepted the driver knows about our cache, which is the
 * host's page cache, and orders it out with FLUSH.  Without, it believes that what is done is
 * done: then every write is on stable storage before it is answered. */
#include "devices/blk/request.h"

struct blk_header {
	le32_t type;
	le32_t reserved;
	le64_t sector;
};

/* §5.2.6: of DISCARD and WRITE_ZEROES. */
struct blk_wire_range {
	le64_t sector;
	le32_t sectors;
	le32_t flags;
};

enum { RANGE_UNMAP = 1 };

_Static_assert(sizeof(struct blk_header) == 16, "virtio 1.3 §5.2.6");
_Static_assert(sizeof(struct blk_wire_range) == 16, "virtio 1.3 §5.2.6");
_Static_assert(BLK_ZERO_RANGES <= BLK_DISCARD_RANGES, "one array for both");

static bool done(struct blk_request *r, enum blk_status status)
{
	r->status = status;
	return false;
}

/* Sectors to bytes; what is too large becomes an address that no disk has. */
static uint64_t bytes(uint64_t sectors)
{
	uint64_t b;

	return mul_u64(sectors, SECTOR, &b) ? b : UINT64_MAX - UINT64_MAX % SECTOR;
}

/* The data part of a read is what is writable but the status byte. */
static bool parse_read(struct blk_request *r, const struct blk_terms *t, uint64_t sector)
{
	r->at = bytes(sector);
	r->len = r->chain.write_len - 1;
	return disk_range_ok(t->disk, r->at, r->len) || done(r, VIRTIO_BLK_S_IOERR);
}

static bool parse_write(struct blk_request *r, const struct blk_terms *t, uint64_t sector)
{
	r->at = bytes(sector);
	r->len = r->chain.read_len - (uint32_t)sizeof(struct blk_header);
	r->durable = (t->features & VIRTIO_BLK_F_FLUSH) == 0;
	return (!t->disk->readonly && disk_range_ok(t->disk, r->at, r->len)) ||
	       done(r, VIRTIO_BLK_S_IOERR);
}

/* A read-only disk has nothing to flush and offered no FLUSH. */
static bool parse_flush(struct blk_request *r, const struct blk_terms *t)
{
	return !t->disk->readonly || done(r, VIRTIO_BLK_S_UNSUPP);
}

static bool answer_id(struct blk_request *r, const struct blk_terms *t)
{
	if (r->chain.write_len - 1 < BLK_ID_BYTES ||
	    !vq_chain_write(&r->chain, 0, t->serial, BLK_ID_BYTES))
		return done(r, VIRTIO_BLK_S_IOERR);
	r->written = BLK_ID_BYTES;
	return done(r, VIRTIO_BLK_S_OK);
}

/* One range, taken from the copy @w. */
static enum blk_status judge_range(const struct blk_terms *t, enum blk_type type,
				   const struct blk_wire_range *w, struct blk_range *out)
{
	bool discard = type == VIRTIO_BLK_T_DISCARD;
	uint32_t sectors = le32(w->sectors), flags = le32(w->flags);

	/* §5.2.6.2: any unknown flag, and of a discard also UNMAP. */
	if ((flags & ~(uint32_t)(discard ? 0 : RANGE_UNMAP)) != 0)
		return VIRTIO_BLK_S_UNSUPP;
	*out = (struct blk_range){ bytes(le64(w->sector)), bytes(sectors), flags != 0 };
	if (sectors > (discard ? BLK_DISCARD_SECTORS : BLK_ZERO_SECTORS) ||
	    !disk_range_ok(t->disk, out->at, out->len))
		return VIRTIO_BLK_S_IOERR;
	return VIRTIO_BLK_S_OK;
}

/* All ranges are judged before the first is acted on. */
static bool parse_ranges(struct blk_request *r, const struct blk_terms *t, uint64_t feature)
{
	const uint32_t header = sizeof(struct blk_header);
	uint32_t max = r->type == VIRTIO_BLK_T_DISCARD ? BLK_DISCARD_RANGES : BLK_ZERO_RANGES;
	uint32_t len = r->chain.read_len - header;

	if ((t->features & feature) == 0)
		return done(r, VIRTIO_BLK_S_UNSUPP);
	if (len == 0 || len % sizeof(struct blk_wire_range) != 0 ||
	    len / sizeof(struct blk_wire_range) > max)
		return done(r, VIRTIO_BLK_S_IOERR);
	r->nranges = len / (uint32_t)sizeof(struct blk_wire_range);
	r->durable = (t->features & VIRTIO_BLK_F_FLUSH) == 0;
	for (uint32_t i = 0; i < r->nranges; i++) {
		struct blk_wire_range w;
		enum blk_status s = VIRTIO_BLK_S_IOERR;

		if (vq_chain_read(&r->chain, header + i * (uint32_t)sizeof(w), &w, sizeof(w)))
			s = judge_range(t, r->type, &w, &r->range[i]);
		if (s != VIRTIO_BLK_S_OK)
			return done(r, s);
	}
	return true;
}

static void blank(struct blk_request *r, enum blk_type type)
{
	r->type = type;
	r->len = 0;
	r->written = 0;
	r->nranges = 0;
	r->durable = false;
}

bool request_parse(struct blk_request *r, const struct blk_terms *t)
{
	struct blk_header h;

	blank(r, VIRTIO_BLK_T_GET_ID);	/* nothing that moves data, if it cannot be read */
	if (!vq_chain_read(&r->chain, 0, &h, sizeof(h)))
		return done(r, VIRTIO_BLK_S_IOERR);
	r->type = (enum blk_type)le32(h.type);
	switch (r->type) {
	case VIRTIO_BLK_T_IN: return parse_read(r, t, le64(h.sector));
	case VIRTIO_BLK_T_OUT: return parse_write(r, t, le64(h.sector));
	case VIRTIO_BLK_T_FLUSH: return parse_flush(r, t);
	case VIRTIO_BLK_T_GET_ID: return answer_id(r, t);
	case VIRTIO_BLK_T_DISCARD: return parse_ranges(r, t, VIRTIO_BLK_F_DISCARD);
	case VIRTIO_BLK_T_WRITE_ZEROES: return parse_ranges(r, t, VIRTIO_BLK_F_WRITE_ZEROES);
	}
	return done(r, VIRTIO_BLK_S_UNSUPP);
}

bool request_moves(struct blk_request *r, const struct blk_terms *t)
{
	struct blk_header h;

	if (r->chain.write_len == 0 || !vq_chain_read(&r->chain, 0, &h, sizeof(h)))
		return false;
	blank(r, (enum blk_type)le32(h.type));
	return (r->type == VIRTIO_BLK_T_IN && parse_read(r, t, le64(h.sector))) ||
	       (r->type == VIRTIO_BLK_T_OUT && parse_write(r, t, le64(h.sector)));
}

bool request_run_cached(struct blk_request *r, struct disk *d, struct iovec *iov)
{
	int n = vq_chain_writable(&r->chain, 0, r->len, iov, VQ_SPANS_MAX);

	if (n < 0 || !disk_read_cached(d, r->at, iov, n, r->len))
		return false;
	r->written = r->len;
	r->status = VIRTIO_BLK_S_OK;
	return true;
}

static enum blk_status run_read(struct blk_request *r, struct disk *d, struct iovec *iov)
{
	int n = vq_chain_writable(&r->chain, 0, r->len, iov, VQ_SPANS_MAX);

	if (n < 0)
		return VIRTIO_BLK_S_IOERR;
	r->written = disk_read(d, r->at, iov, n, r->len);
	return r->written == r->len ? VIRTIO_BLK_S_OK : VIRTIO_BLK_S_IOERR;
}

static enum blk_status run_write(struct blk_request *r, struct disk *d, struct iovec *iov)
{
	int n = vq_chain_readable(&r->chain, sizeof(struct blk_header), r->len, iov,
				  VQ_SPANS_MAX);

	return n >= 0 && disk_write(d, r->at, iov, n, r->len, r->durable) ? VIRTIO_BLK_S_OK
									   : VIRTIO_BLK_S_IOERR;
}

bool request_job(const struct blk_request *r, const struct disk *d, struct pool_job *j)
{
	const bool write = r->type == VIRTIO_BLK_T_OUT;
	int n = write ? vq_chain_readable(&r->chain, sizeof(struct blk_header), r->len, j->iov, POOL_SPANS)
		      : vq_chain_writable(&r->chain, 0, r->len, j->iov, POOL_SPANS);

	j->write = write;
	j->durable = r->durable;
	j->n = n;
	j->len = r->len;
	j->at = r->at;
	return n > 0 && disk_takes(d, j->iov, n);
}

void request_settle(struct blk_request *r, struct disk *d, const struct pool_job *j, struct iovec *iov)
{
	if (!j->done) {
		request_run(r, d, iov);
		return;
	}
	r->written = j->write ? 0 : j->len;
	r->status = VIRTIO_BLK_S_OK;
}

static enum blk_status run_range(const struct blk_request *r, const struct blk_range *g,
				 struct disk *d)
{
	enum disk_result result;

	if (g->len == 0)
		return VIRTIO_BLK_S_OK;
	if (r->type == VIRTIO_BLK_T_WRITE_ZEROES)
		return disk_zero(d, g->at, g->len, g->unmap) ? VIRTIO_BLK_S_OK
							     : VIRTIO_BLK_S_IOERR;
	result = disk_discard(d, g->at, g->len);
	if (result == DISK_UNSUPPORTED)
		return VIRTIO_BLK_S_UNSUPP;
	return result == DISK_OK ? VIRTIO_BLK_S_OK : VIRTIO_BLK_S_IOERR;
}

static enum blk_status run_ranges(const struct blk_request *r, struct disk *d)
{
	enum blk_status s = VIRTIO_BLK_S_OK;

	for (uint32_t i = 0; i < r->nranges && s == VIRTIO_BLK_S_OK; i++)
		s = run_range(r, &r->range[i], d);
	if (s == VIRTIO_BLK_S_OK && r->durable && !disk_flush(d))
		s = VIRTIO_BLK_S_IOERR;
	return s;
}

void request_run(struct blk_request *r, struct disk *d, struct iovec *iov)
{
	switch (r->type) {
	case VIRTIO_BLK_T_IN:
		r->status = run_read(r, d, iov);
		break;
	case VIRTIO_BLK_T_OUT:
		r->status = run_write(r, d, iov);
		break;
	case VIRTIO_BLK_T_FLUSH:
		r->status = disk_flush(d) ? VIRTIO_BLK_S_OK : VIRTIO_BLK_S_IOERR;
		break;
	case VIRTIO_BLK_T_DISCARD:
	case VIRTIO_BLK_T_WRITE_ZEROES:
		r->status = run_ranges(r, d);
		break;
	case VIRTIO_BLK_T_GET_ID:
		break;		/* never comes here */
	}
}

uint32_t request_answer(const struct blk_request *r)
{
	uint32_t last = r->chain.write_len - 1;
	uint8_t status = (uint8_t)r->status;

	/* §2.7.8.2: the used length counts from the first byte, without a gap; the status is
	 * part of it only when the data before it was written. */
	if (vq_chain_write(&r->chain, last, &status, 1) && r->written == last)
		return r->written + 1;
	return r->written;
}
