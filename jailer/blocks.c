/* SPDX-License-Identifier: Apache-2.0 */
/* blocks.c: block sizes of an image.
 *
 * A block device is asked.  A regular file may be written in any sizes; what lies below it is the
 * file system's, whose own block is what is cheap to write: st_blksize, where that is a size that
 * a disk may have.  Only the jailer asks; the device process is told.
 *
 * Direct I/O is done in units that the file system names.  They become the disk's logical blocks,
 * because a guest keeps to those. */
#include "jailer/blocks.h"
#include "jailer/direct.h"

#include <errno.h>
#include <linux/fs.h>
#include <sys/ioctl.h>

/* Hints that contradict each other, or that a guest could not be told, are dropped. */
static void settle(struct vm_blocks *b)
{
	if (!is_power_of_2(b->physical) || b->physical < b->logical ||
	    b->physical > VM_BLOCK_PHYSICAL_MAX ||
	    b->offset % b->logical != 0 || b->offset >= b->physical) {
		b->physical = b->logical;
		b->offset = 0;
	}
	if (b->optimal % b->physical != 0)
		b->optimal = 0;
}

/* What the kernel knows of a block device.  It says -1 for an offset that is not one. */
static int ask_device(struct vm_blocks *b, int fd)
{
	unsigned physical = 0, optimal = 0;
	int logical = 0, offset = 0;

	if (ioctl(fd, BLKSSZGET, &logical) < 0 || ioctl(fd, BLKPBSZGET, &physical) < 0 ||
	    ioctl(fd, BLKALIGNOFF, &offset) < 0 || ioctl(fd, BLKIOOPT, &optimal) < 0)
		return -errno;
	*b = (struct vm_blocks){
		.logical = (uint32_t)logical, .physical = physical, .optimal = optimal,
		.offset = offset < 0 ? UINT32_MAX : (uint32_t)offset,
	};
	return 0;
}

static void guess_file(struct vm_blocks *b, const struct stat *st)
{
	*b = (struct vm_blocks){
		.logical = VM_BLOCK_MIN,
		.physical = st->st_blksize > 0 && st->st_blksize <= VM_BLOCK_PHYSICAL_MAX
			    ? (uint32_t)st->st_blksize : 0,
	};
}

int blocks_no_direct(const struct config_disk *disk, struct failure *f)
{
	return fail(f, 0, "attach it without cache=direct",
		    "disk %s: its file system has no direct I/O", disk->path);
}

int blocks_size(uint64_t *size, int fd, const struct stat *st)
{
	*size = (uint64_t)st->st_size;
	return S_ISBLK(st->st_mode) && ioctl(fd, BLKGETSIZE64, size) < 0 ? -errno : 0;
}

/* Makes the logical blocks those of direct I/O, if that is wanted.  A file system that does not
 * name any can always do its own. */
static int go_direct(struct vm_blocks *b, int fd, const struct stat *st)
{
	uint32_t unit = 0;
	int rc = direct_unit(fd, &unit);

	if (unit == 0 && S_ISREG(st->st_mode))
		unit = b->physical > VM_BLOCK_MIN && b->physical <= VM_BLOCK_MAX &&
		       is_power_of_2(b->physical) ? b->physical : VM_BLOCK_MAX;
	if (unit > b->logical)
		b->logical = unit;
	return rc;
}

/* The block size that the caller wishes, if any.  A smaller one than the host's own would make
 * promises that nobody keeps; an image that ends within a block would lose that end. */
static int fulfil(struct vm_blocks *b, const struct config_disk *disk, uint64_t size,
		  struct failure *f)
{
	const uint32_t n = disk->block_size != 0 ? disk->block_size : b->logical;

	if (disk->block_size == 0 && !disk->direct)
		return 0;
	if (n < b->logical)
		return fail(f, 0, NULL, "disk %s: has blocks of %u bytes; %u asked", disk->path,
			    b->logical, n);
	if (size % n != 0)
		return fail(f, 0, "enlarge the image, or ask for smaller blocks",
			    "disk %s: its %llu bytes are not whole blocks of %u", disk->path,
			    (unsigned long long)size, n);
	b->logical = n;
	return 0;
}

int blocks_find(struct vm_blocks *b, int fd, const struct stat *st,
		const struct config_disk *disk, struct failure *f)
{
	uint64_t size;
	int rc = blocks_size(&size, fd, st);

	if (rc == 0 && S_ISBLK(st->st_mode))
		rc = ask_device(b, fd);
	else
		guess_file(b, st);
	if (rc == 0 && disk->direct)
		rc = go_direct(b, fd, st);
	if (rc == -EOPNOTSUPP && disk->direct)
		return blocks_no_direct(disk, f);
	if (rc < 0)
		return fail(f, -rc, NULL, "disk %s: ask for its block size", disk->path);
	if (!is_power_of_2(b->logical) || b->logical < VM_BLOCK_MIN || b->logical > VM_BLOCK_MAX)
		return fail(f, 0, NULL, "disk %s: has blocks of %u bytes; a guest's are of %u to %u",
			    disk->path, b->logical, VM_BLOCK_MIN, VM_BLOCK_MAX);
	if (fulfil(b, disk, size, f) != 0)
		return -1;
	settle(b);
	return 0;
}
