/* SPDX-License-Identifier: Apache-2.0 */
/* request.h: one request of a virtio block driver (virtio 1.3 §5.2.6).
 *
 * Its life: a chain is popped into it, request_parse() finds out what is wanted, request_run()
 * carries that out on the disk, request_answer() writes the status.  Between parsing and the
 * answer nothing is read from the request's header again. */
#ifndef IMMURE_DEVICES_BLK_REQUEST_H
#define IMMURE_DEVICES_BLK_REQUEST_H

#include "core/virtqueue.h"
#include "devices/blk/disk.h"
#include "devices/blk/pool.h"

#define VIRTIO_BLK_F_SIZE_MAX     (1ull << 1)
#define VIRTIO_BLK_F_SEG_MAX      (1ull << 2)
#define VIRTIO_BLK_F_RO           (1ull << 5)
#define VIRTIO_BLK_F_BLK_SIZE     (1ull << 6)
#define VIRTIO_BLK_F_FLUSH        (1ull << 9)
#define VIRTIO_BLK_F_TOPOLOGY     (1ull << 10)
#define VIRTIO_BLK_F_MQ           (1ull << 12)
#define VIRTIO_BLK_F_DISCARD      (1ull << 13)
#define VIRTIO_BLK_F_WRITE_ZEROES (1ull << 14)

enum blk_type {
	VIRTIO_BLK_T_IN = 0,
	VIRTIO_BLK_T_OUT = 1,
	VIRTIO_BLK_T_FLUSH = 4,
	VIRTIO_BLK_T_GET_ID = 8,
	VIRTIO_BLK_T_DISCARD = 11,
	VIRTIO_BLK_T_WRITE_ZEROES = 13,
};

enum blk_status { VIRTIO_BLK_S_OK = 0, VIRTIO_BLK_S_IOERR = 1, VIRTIO_BLK_S_UNSUPP = 2 };

enum {
	BLK_ID_BYTES = 20,
	BLK_DISCARD_RANGES = 16,		/* of one DISCARD */
	BLK_ZERO_RANGES = 1,			/* of one WRITE_ZEROES */
	BLK_DISCARD_SECTORS = 1 << 19,		/* of one range: 256 MiB */
	BLK_ZERO_SECTORS = 1 << 15,		/* 16 MiB, which may have to be written */
};

/* What requests are judged by: the disk and what was agreed with the driver. */
struct blk_terms {
	const struct disk *disk;
	uint64_t features;		/* accepted by the driver */
	char serial[BLK_ID_BYTES];	/* NUL padded */
};

struct blk_range {
	uint64_t at, len;		/* bytes */
	bool unmap;
};

struct blk_request {
	enum blk_type type;
	enum blk_status status;
	uint64_t at;			/* IN, OUT: bytes */
	uint32_t len;			/* bytes of data */
	uint32_t written;		/* bytes at the start of the writable part */
	bool durable;			/* OUT: on stable storage before it is answered */
	uint32_t nranges;		/* DISCARD, WRITE_ZEROES */
	struct blk_range range[BLK_DISCARD_RANGES];
	struct vq_chain chain;		/* last: of most its end is never touched */
};

/* Finds out what is wanted from @r->chain, which has at least one writable byte.  True: it is
 * for the disk.  False: it has been dealt with, @r->status is the answer. */
must_check bool request_parse(struct blk_request *r, const struct blk_terms *t);

/* Whether @r->chain is a read or write that the disk can serve: then @r is as request_parse() would leave it.
 * Nothing of the guest is changed: the chain may also be put back, and parsed later. */
must_check bool request_moves(struct blk_request *r, const struct blk_terms *t);

/* Makes a job of @r, a read or write that has been parsed.  False: its memory is in too many pieces for one,
 * or is none that the host takes as it is; or there is nothing to move. */
must_check bool request_job(const struct blk_request *r, const struct disk *d, struct pool_job *j);

/* Takes over what became of @j; carries out @r again by itself when it is not done. */
void request_settle(struct blk_request *r, struct disk *d, const struct pool_job *j, struct iovec *iov);

/* Carries out a read that request_parse() returned true for if that takes no time.  @iov: as below. */
must_check bool request_run_cached(struct blk_request *r, struct disk *d, struct iovec *iov);

/* Carries out what request_parse() returned true for.  Takes as long as the host takes.  @iov:
 * room for VQ_SPANS_MAX, the caller's own. */
void request_run(struct blk_request *r, struct disk *d, struct iovec *iov);

/* Writes the status byte.  Returns the length for the used ring. */
must_check uint32_t request_answer(const struct blk_request *r);

#endif
