/* SPDX-License-Identifier: Apache-2.0 */
/* disk.c: ranges of a file.
 *
 * The guest is kept out of here: ranges were checked against the capacity found at start.  The
 * host may still surprise: a short transfer, an image truncated under us (a read ends early,
 * which is an I/O error for the guest), a full file system.  None of them ends the process.
 *
 * Giving storage back is punching a hole, which on a block device is a discard that reads as
 * zeroes.  Zeroing keeps the storage where the host has a call for that; where it has none, or
 * may not be asked, zeroes are written. */
#include "devices/blk/disk.h"
#include "core/log.h"
#include "devices/blk/overlay.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
	PUNCH = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
	ZERO = FALLOC_FL_ZERO_RANGE,	/* not beyond the end: that is RLIMIT_FSIZE's to refuse */
	ZERO_PAGE = 4096,
	ZERO_SPANS = 64,
	BOUNCE = 64 << 10,	/* bytes of memory that is aligned */
};

_Static_assert(BOUNCE % VM_BLOCK_MAX == 0 && ZERO_PAGE % VM_BLOCK_MAX == 0, "direct I/O");

static int size_of(int fd, uint64_t *bytes, bool *regular)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return -errno;
	*regular = S_ISREG(st.st_mode);
	if (S_ISBLK(st.st_mode))
		return ioctl(fd, BLKGETSIZE64, bytes) < 0 ? -errno : 0;
	if (!*regular || st.st_size < 0)
		return -ENOTSUP;
	*bytes = (uint64_t)st.st_size;
	return 0;
}

/* Can holes be punched?  Beyond the end of a file there is nothing to lose by trying; a block
 * device has no such place, and answers the first discard. */
static bool can_punch(int fd, uint64_t size, bool regular)
{
	return !regular || fallocate(fd, PUNCH, (off_t)size, SECTOR) == 0;
}

int disk_open(struct disk *d, int fd, unsigned int flags, const struct vm_blocks *blocks)
{
	bool readonly = (flags & DISK_READONLY) != 0, regular = false;
	int mode = fcntl(fd, F_GETFL);
	uint64_t bytes = 0;
	int rc;

	if (mode < 0)
		return -errno;
	/* A descriptor that can do more, or less, than the disk may: somebody erred. */
	if ((mode & O_ACCMODE) != (readonly ? O_RDONLY : O_RDWR) || (mode & O_APPEND) != 0)
		return -EPERM;
	rc = size_of(fd, &bytes, &regular);
	if (rc < 0)
		return rc;
	if (bytes > INT64_MAX - VM_BLOCK_MAX)
		return -EFBIG;	/* offsets are signed */
	*d = (struct disk){
		.fd = fd, .readonly = readonly, .blocks = *blocks,
		.direct = (mode & O_DIRECT) != 0, .ahead = (mode & O_DIRECT) == 0,
		.size = bytes - bytes % blocks->logical,
		.discard = !readonly && (flags & DISK_DISCARD) != 0 &&
			   can_punch(fd, bytes, regular),
	};
	return 0;
}

/* Is logical block @n there, whole?  What is in it does not matter. */
static bool block_exists(const struct disk *d, uint64_t n)
{
	static _Alignas(VM_BLOCK_MAX) uint8_t block[VM_BLOCK_MAX];
	struct iovec iov = { block, d->blocks.logical };

	return preadv2(d->fd, &iov, 1, (off_t)(n * d->blocks.logical), 0) == (ssize_t)iov.iov_len;
}

/* No call that tells the size is among those that are left: the last block that can be read is sought, by
 * halves. */
bool disk_grown(struct disk *d)
{
	uint64_t there = d->size / d->blocks.logical, not = d->most / d->blocks.logical;

	if (there >= not || !block_exists(d, there))
		return false;
	while (not - there > 1) {
		uint64_t half = there + (not - there) / 2;

		if (block_exists(d, half))
			there = half;
		else
			not = half;
	}
	d->size = (there + 1) * d->blocks.logical;
	return true;
}

bool disk_range_ok(const struct disk *d, uint64_t at, uint64_t len)
{
	static struct log_limit limit;
	const uint64_t odd = (at | len) & (d->blocks.logical - 1);

	if ((at | len) % SECTOR != 0 || !range_fits(at, len, d->size))
		return false;
	if (d->direct && odd != 0)
		log_limited(&limit, "disk request at sector %lu is not of whole blocks of %u, which "
			    "cache=direct takes alone", (unsigned long)(at / SECTOR),
			    d->blocks.logical);
	return !d->direct || odd == 0;
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
static uint32_t transfer(const struct disk *d, bool write, uint64_t at, struct iovec *iov, int n,
			 uint32_t len, int flags)
{
	static struct log_limit limit;
	uint32_t done = 0;

	while (done < len) {
		ssize_t rc = write ? pwritev2(d->fd, iov, n, (off_t)(at + done), flags)
				   : preadv2(d->fd, iov, n, (off_t)(at + done), flags);

		if (rc < 0 && errno == EINTR)
			continue;
		if (rc <= 0) {
			log_limited(&limit, "disk %s failed at sector %lu: %s",
				    write ? "write" : "read", (unsigned long)(at / SECTOR),
				    rc < 0 ? strerrorname_np(errno) : "end of file");
			break;
		}
		done += (uint32_t)rc;
		advance(&iov, &n, (size_t)rc);
	}
	return done;
}

/* Copies @len bytes between @buf and the front of @*iov, and takes them off there. */
static void copy_spans(uint8_t *buf, uint32_t len, struct iovec **iov, int *n, bool to_buf)
{
	while (len > 0 && *n > 0) {
		uint32_t here = (uint32_t)min_u64(len, (*iov)->iov_len);

		if (to_buf)
			memcpy(buf, (*iov)->iov_base, here);
		else
			memcpy((*iov)->iov_base, buf, here);
		buf += here;
		len -= here;
		advance(iov, n, here);
	}
}

/* A transfer of whole blocks from or to memory that direct I/O does not take, in pieces. */
static uint32_t transfer_bounced(const struct disk *d, bool write, uint64_t at,
				 struct iovec *iov, int n, uint32_t len, int flags)
{
	static _Alignas(VM_BLOCK_MAX) uint8_t buf[BOUNCE];
	uint32_t done = 0;

	while (done < len) {
		uint32_t here = (uint32_t)min_u64(len - done, BOUNCE), moved;
		struct iovec whole = { buf, here };

		if (write)
			copy_spans(buf, here, &iov, &n, true);
		moved = transfer(d, write, at + done, &whole, 1, here, flags);
		if (!write)
			copy_spans(buf, moved, &iov, &n, false);
		done += moved;
		if (moved < here)
			break;
	}
	return done;
}

bool disk_takes(const struct disk *d, const struct iovec *iov, int n)
{
	uintptr_t bits = 0;

	for (int i = 0; d->direct && i < n; i++)
		bits |= (uintptr_t)iov[i].iov_base | iov[i].iov_len;
	return (bits & (d->blocks.logical - 1)) == 0;
}

static uint32_t move(const struct disk *d, bool write, uint64_t at, struct iovec *iov, int n,
		     uint32_t len, int flags)
{
	return disk_takes(d, iov, n) ? transfer(d, write, at, iov, n, len, flags)
				     : transfer_bounced(d, write, at, iov, n, len, flags);
}

uint32_t disk_read(struct disk *d, uint64_t at, struct iovec *iov, int n, uint32_t len)
{
	if (d->over != NULL)
		return overlay_read(d->over, at, iov, n, len);
	return move(d, false, at, iov, n, len, 0);
}

bool disk_read_cached(struct disk *d, uint64_t at, const struct iovec *iov, int n, uint32_t len)
{
	ssize_t rc;

	if (!d->ahead)
		return false;
	if (len == 0)
		return true;
	if (d->over != NULL)
		return overlay_read_cached(d->over, at, iov, n, len, &d->ahead);
	rc = preadv2(d->fd, iov, n, (off_t)at, RWF_NOWAIT);
	if (rc < 0 && errno == EOPNOTSUPP)
		d->ahead = false;
	return rc == (ssize_t)len;
}

bool disk_try(const struct disk *d, bool write, uint64_t at, const struct iovec *iov, int n, uint32_t len,
	      bool durable)
{
	ssize_t rc = write ? pwritev2(d->fd, iov, n, (off_t)at, durable ? RWF_DSYNC : 0)
			   : preadv2(d->fd, iov, n, (off_t)at, 0);

	return rc == (ssize_t)len;
}

/* Advice: whatever becomes of it, the read itself will tell.  A length of 0 the host would take for all that
 * follows. */
void disk_will_read(const struct disk *d, uint64_t at, uint64_t len)
{
	if (len == 0)
		return;
	if (d->over != NULL)
		overlay_will_read(d->over, at, len);
	else
		(void)posix_fadvise(d->fd, (off_t)at, (off_t)len, POSIX_FADV_WILLNEED);
}

bool disk_write(struct disk *d, uint64_t at, struct iovec *iov, int n, uint32_t len, bool durable)
{
	if (d->over != NULL)
		return overlay_write(d->over, at, iov, n, len, durable);
	return move(d, true, at, iov, n, len, durable ? RWF_DSYNC : 0) == len;
}

static enum disk_result allocate(const struct disk *d, int mode, uint64_t at, uint64_t len)
{
	static struct log_limit limit;
	int rc;

	do
		rc = fallocate(d->fd, mode, (off_t)at, (off_t)len);
	while (rc < 0 && errno == EINTR);
	if (rc == 0)
		return DISK_OK;
	if (errno == EOPNOTSUPP)
		return DISK_UNSUPPORTED;
	log_limited(&limit, "disk %s failed at sector %lu: %s",
		    mode == PUNCH ? "discard" : "zeroing", (unsigned long)(at / SECTOR),
		    strerrorname_np(errno));
	return DISK_ERROR;
}

enum disk_result disk_discard(struct disk *d, uint64_t at, uint64_t len)
{
	if (d->over != NULL)
		return overlay_discard(d->over, at, len) ? DISK_OK : DISK_ERROR;
	return allocate(d, PUNCH, at, len);
}

/* The same page of zeroes again and again. */
static bool write_zeroes(const struct disk *d, uint64_t at, uint64_t len)
{
	static _Alignas(ZERO_PAGE) uint8_t page[ZERO_PAGE];	/* not const: no page of the program */
	struct iovec iov[ZERO_SPANS];

	while (len > 0) {
		uint32_t here = (uint32_t)min_u64(len, ZERO_PAGE * ZERO_SPANS);
		int n = 0;

		for (uint32_t left = here; left > 0; left -= (uint32_t)iov[n++].iov_len)
			iov[n] = (struct iovec){ page, min_u64(left, ZERO_PAGE) };
		if (transfer(d, true, at, iov, n, here, 0) != here)
			return false;
		at += here;
		len -= here;
	}
	return true;
}

bool disk_zero(struct disk *d, uint64_t at, uint64_t len, bool unmap)
{
	enum disk_result r = DISK_UNSUPPORTED;

	if (d->over != NULL)
		return overlay_zero(d->over, at, len, unmap);
	if (d->discard)
		r = allocate(d, unmap ? PUNCH : ZERO, at, len);
	return r == DISK_OK || (r == DISK_UNSUPPORTED && write_zeroes(d, at, len));
}

bool disk_flush(struct disk *d)
{
	static struct log_limit limit;
	int rc;

	if (d->over != NULL)
		return overlay_flush(d->over);
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
