/* SPDX-License-Identifier: Apache-2.0 */
/* disk.c: sectors of a file.
 *
 * The guest is kept out of here: ranges were checked against the capacity found at start.  The
 * host may still surprise: a short transfer, an image truncated under us (a read ends early,
 * which is an I/O error for the guest), a full file system.  None of them ends the process. */
#include "devices/blk/disk.h"
#include "core/log.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

static int size_of(int fd, uint64_t *bytes)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return -errno;
	if (S_ISBLK(st.st_mode))
		return ioctl(fd, BLKGETSIZE64, bytes) < 0 ? -errno : 0;
	if (!S_ISREG(st.st_mode) || st.st_size < 0)
		return -ENOTSUP;
	*bytes = (uint64_t)st.st_size;
	return 0;
}

int disk_open(struct disk *d, int fd, bool readonly)
{
	int mode = fcntl(fd, F_GETFL);
	uint64_t bytes = 0;
	int rc;

	if (mode < 0)
		return -errno;
	/* A descriptor that can do more, or less, than the disk may: somebody erred. */
	if ((mode & O_ACCMODE) != (readonly ? O_RDONLY : O_RDWR) || (mode & O_APPEND) != 0)
		return -EPERM;
	rc = size_of(fd, &bytes);
	if (rc < 0)
		return rc;
	if (bytes > INT64_MAX)
		return -EFBIG;	/* offsets are signed */
	*d = (struct disk){ .fd = fd, .readonly = readonly, .sectors = bytes / SECTOR };
	return 0;
}

bool disk_range_ok(const struct disk *d, uint64_t sector, uint32_t len)
{
	return len % SECTOR == 0 && range_fits(sector, len / SECTOR, d->sectors);
}

/* Takes @done bytes off the front of @*iov. */
static void advance(struct iovec **iov, int *n, size_t done)
{
	for (; *n > 0 && done >= (*iov)->iov_len; (*iov)++, (*n)--)
		done -= (*iov)->iov_len;
	if (*n > 0) {
		(*iov)->iov_base = (char *)(*iov)->iov_base + done;
		(*iov)->iov_len -= done;
	}
}

/* One direction of transfer until all is done, nothing moves, or the host fails.  Every turn
 * but an interrupted one moves at least a byte. */
static uint32_t transfer(const struct disk *d, bool write, uint64_t sector, struct iovec *iov,
			 int n, uint32_t len)
{
	static struct log_limit limit;
	off_t at = (off_t)(sector * SECTOR);
	uint32_t done = 0;

	while (done < len) {
		ssize_t rc = write ? pwritev2(d->fd, iov, n, at + done, 0)
				   : preadv2(d->fd, iov, n, at + done, 0);

		if (rc < 0 && errno == EINTR)
			continue;
		if (rc <= 0) {
			log_limited(&limit, "disk %s failed at sector %lu: %s",
				    write ? "write" : "read", (unsigned long)sector,
				    rc < 0 ? strerrorname_np(errno) : "end of file");
			break;
		}
		done += (uint32_t)rc;
		advance(&iov, &n, (size_t)rc);
	}
	return done;
}

uint32_t disk_read(struct disk *d, uint64_t sector, struct iovec *iov, int n, uint32_t len)
{
	return transfer(d, false, sector, iov, n, len);
}

bool disk_write(struct disk *d, uint64_t sector, struct iovec *iov, int n, uint32_t len)
{
	return transfer(d, true, sector, iov, n, len) == len;
}

bool disk_flush(struct disk *d)
{
	static struct log_limit limit;
	int rc;

	do
		rc = d->failed ? 0 : fdatasync(d->fd);
	while (rc < 0 && errno == EINTR);
	if (rc < 0) {
		d->failed = true;
		log_limited(&limit, "disk flush failed: %s; no later one can succeed",
			    strerrorname_np(errno));
	}
	return !d->failed;
}
