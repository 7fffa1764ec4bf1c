/* SPDX-License-Identifier: Apache-2.0 */
/* disk.h: the raw image or block device behind a virtio block device.
 *
 * Raw means raw: what the guest writes is never interpreted, so no image format can be forged
 * by writing a header into sector 0. */
#ifndef IMMURE_DEVICES_BLK_DISK_H
#define IMMURE_DEVICES_BLK_DISK_H

#include "core/base.h"

#include <sys/uio.h>

enum { SECTOR = 512 };

struct disk {
	int fd;
	bool readonly;
	bool failed;		/* a write or flush was lost; see disk_flush() */
	uint64_t sectors;	/* capacity; a partial last sector does not count */
};

/* Finds out the capacity of @fd, a regular file or a block device.  Before seal() only.
 * Returns 0 or -errno: -ENOTSUP when it is neither, -EPERM when it is open for writing
 * although @readonly, or the reverse. */
must_check int disk_open(struct disk *d, int fd, bool readonly);

/* True when @sector and the @len bytes from there on lie inside the disk and @len is a
 * multiple of SECTOR. */
must_check bool disk_range_ok(const struct disk *d, uint64_t sector, uint32_t len);

/* Reads @len bytes at @sector into the @n spans of @iov, which hold exactly @len bytes and are
 * used up.  Returns the number of bytes read from the start on: fewer than @len when the host
 * failed.  The range has been checked. */
must_check uint32_t disk_read(struct disk *d, uint64_t sector, struct iovec *iov, int n,
			      uint32_t len);

/* Writes likewise.  True when everything was written (to the host's cache: see disk_flush).
 * The disk is not read-only. */
must_check bool disk_write(struct disk *d, uint64_t sector, struct iovec *iov, int n,
			   uint32_t len);

/* True when everything written before is on stable storage.  Once false, false for ever: the
 * host reports a lost page once and then forgets it, so a later success would be a lie. */
must_check bool disk_flush(struct disk *d);

#endif
