/* SPDX-License-Identifier: Apache-2.0 */
/* overlay.h: a writable disk over a base image that is only read.
 *
 * What was written lies in a second file, in clusters, each in its own place; a map says which of
 * them count (docs/overlay-format.md).  The map is kept in memory and written when the guest
 * flushes, so that the file of a VM that ends at any moment is whole: every flushed write is in
 * it, every other one is there or not.
 *
 * A range changes the map in two steps around the transfer, overlay.c's begin() and finish();
 * between two calls of this file's functions no cluster is in between. */
#ifndef IMMURE_DEVICES_BLK_OVERLAY_H
#define IMMURE_DEVICES_BLK_OVERLAY_H

#include "core/overlay.h"
#include "devices/blk/disk.h"

enum { OVERLAY_MAP_PAGES = OVERLAY_MAP_MAX / OVERLAY_PAGE };

struct overlay {
	struct disk base;		/* read-only */
	struct disk store;		/* the file */
	struct overlay_layout layout;
	bool kept;			/* the file outlives the VM; else it is memory */
	uint64_t limit, used;		/* clusters that may be data, and that are */
	uint64_t *map;
	uint64_t dirty[OVERLAY_MAP_PAGES / 64];	/* pages of the map that the file lacks */
};

/* What an overlay is made of, besides the file itself. */
struct overlay_terms {
	int base;		/* descriptor, open for reading only */
	uint64_t base_size;	/* bytes, as the jailer found it */
	uint64_t limit;		/* bytes that may be kept; 0: as many as the disk has */
	bool kept;
};

/* Turns @d, which is the overlay's file as disk_open() left it, into the disk that a guest sees,
 * with @o, which outlives it, behind it.  Makes room for the map; reads nothing.  Before seal()
 * only.  Returns 0 or -errno: -EINVAL when the file or the base is not as large as it should be,
 * -EPERM when the base can be written. */
must_check int overlay_open(struct overlay *o, struct disk *d, const struct overlay_terms *t);

/* Reads what is in the file, which may be anything: after seal().  False: it is not the overlay of
 * this base; that has been logged, and nothing was written. */
must_check bool overlay_load(struct overlay *o);

/* As the functions of disk.h. */
must_check uint32_t overlay_read(struct overlay *o, uint64_t at, struct iovec *iov, int n,
				 uint32_t len);

/* Likewise, of @len > 0 bytes.  *@ahead becomes false when a host that was asked cannot tell. */
must_check bool overlay_read_cached(struct overlay *o, uint64_t at, const struct iovec *iov, int n,
				    uint32_t len, bool *ahead);
void overlay_will_read(const struct overlay *o, uint64_t at, uint64_t len);
must_check bool overlay_write(struct overlay *o, uint64_t at, struct iovec *iov, int n,
			      uint32_t len, bool durable);
must_check bool overlay_discard(struct overlay *o, uint64_t at, uint64_t len);
must_check bool overlay_zero(struct overlay *o, uint64_t at, uint64_t len, bool unmap);
must_check bool overlay_flush(struct overlay *o);

#endif
