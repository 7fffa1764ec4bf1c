/* SPDX-License-Identifier: Apache-2.0 */
/* disk.h: the raw image or block device behind a virtio block device.
 *
 * Raw means raw: what the guest writes is never interpreted, so no image format can be forged
 * by writing a header into sector 0.
 *
 * Ranges are bytes, multiples of SECTOR, and have been checked with disk_range_ok().
 *
 * A descriptor that is open with O_DIRECT takes whole logical blocks alone, from and to memory
 * that is aligned to them: other ranges are not ok; other memory is served by way of a buffer. */
#ifndef IMMURE_DEVICES_BLK_DISK_H
#define IMMURE_DEVICES_BLK_DISK_H

#include "core/vmconfig.h"

#include <sys/uio.h>

enum { SECTOR = 512 };

/* What a disk may do. */
enum disk_flags {
	DISK_READONLY = 1 << 0,
	DISK_DISCARD = 1 << 1,	/* give storage back to the host */
};

struct overlay;

struct disk {
	int fd;
	struct overlay *over;	/* NULL: raw; else fd is the overlay's file: overlay.h */
	bool readonly;
	bool discard;		/* the host can, as far as it can be told, and we may */
	bool direct;		/* past the host's page cache, as the jailer opened it */
	bool failed;		/* a write or flush was lost; see disk_flush() */
	bool ahead;		/* the host can be told what will be read: disk_read_cached() */
	struct vm_blocks blocks;
	uint64_t size;		/* capacity in bytes; a partial last logical block does not count */
	uint64_t most;		/* what the image may grow to; not more than size: it is fixed */
};

/* Finds out what @fd is, a regular file or a block device, and what it can.  @flags: enum
 * disk_flags.  @blocks: as the jailer found them.  Before seal() only.  Returns 0 or -errno:
 * -ENOTSUP when it is neither, -EPERM when it is open for writing although it is to be read-only,
 * or the reverse. */
must_check int disk_open(struct disk *d, int fd, unsigned int flags,
			 const struct vm_blocks *blocks);

/* May @d become larger? */
static inline bool disk_may_grow(const struct disk *d)
{
	return d->most > d->size;
}

/* Looks whether the image has grown, as far as @d->most, and takes that as its size.  True: it has. */
must_check bool disk_grown(struct disk *d);

/* True when the @len bytes from @at on lie inside the disk and both are multiples of SECTOR, or of
 * a logical block where the disk is direct. */
must_check bool disk_range_ok(const struct disk *d, uint64_t at, uint64_t len);

/* Reads @len bytes at @at into the @n spans of @iov, which hold exactly @len bytes and are used
 * up.  Returns the number of bytes read from the start on: fewer than @len when the host
 * failed. */
must_check uint32_t disk_read(struct disk *d, uint64_t at, struct iovec *iov, int n,
			      uint32_t len);

/* Reads likewise, but only if the host has all of it in its cache.  False: it has not, or cannot tell (then
 * @d->ahead is false from now on); some of @iov's memory may have been written. */
must_check bool disk_read_cached(struct disk *d, uint64_t at, const struct iovec *iov, int n,
				 uint32_t len);

/* One call of the host that writes the @n spans of @iov to @at on, or reads them.  True: it moved all @len
 * bytes.  False: it did not, and nobody was told.  Any thread may: of @d only the descriptor is looked at.
 * Not of an overlay. */
must_check bool disk_try(const struct disk *d, bool write, uint64_t at, const struct iovec *iov, int n,
			 uint32_t len, bool durable);

/* Can the host use this memory as it is? */
must_check bool disk_takes(const struct disk *d, const struct iovec *iov, int n);

/* Has the host begin to read @len bytes at @at into its cache; does not wait for them. */
void disk_will_read(const struct disk *d, uint64_t at, uint64_t len);

/* Writes likewise.  True when everything was written: to the host's cache (see disk_flush), or
 * if @durable to stable storage.  The disk is not read-only. */
must_check bool disk_write(struct disk *d, uint64_t at, struct iovec *iov, int n, uint32_t len,
			   bool durable);

enum disk_result { DISK_OK, DISK_ERROR, DISK_UNSUPPORTED };

/* Gives the storage of @len > 0 bytes at @at back to the host.  They read as zeroes, or, where
 * the host cannot do it (DISK_UNSUPPORTED), as before.  The disk has discard. */
must_check enum disk_result disk_discard(struct disk *d, uint64_t at, uint64_t len);

/* Makes @len > 0 bytes at @at zeroes.  With @unmap their storage may go back to the host,
 * without it stays.  True when all of them are.  The disk is not read-only. */
must_check bool disk_zero(struct disk *d, uint64_t at, uint64_t len, bool unmap);

/* True when everything written before is on stable storage.  Once false, false for ever: the
 * host reports a lost page once and then forgets it, so a later success would be a lie. */
must_check bool disk_flush(struct disk *d);

#endif
