/* SPDX-License-Identifier: Apache-2.0 */
/* overlay.c: makes overlays, and never reads one.
 *
 * What is in the file may have been written by a jail: only the sealed device process looks at it.
 * Here a new file gets the one header that an overlay of this base can have, an existing one is
 * taken when it is as large as it should be.
 *
 * A file that is as large as it should be has its header on stable storage: it grows only then.  A
 * power cut before leaves an empty file, which is as good as none, or one that is nothing else
 * than too small. */
#include "jailer/overlay.h"
#include "core/overlay.h"
#include "jailer/memfd.h"
#include "jailer/path.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static int in_memory(const struct config_disk *disk, const struct overlay_layout *l,
		     struct failure *f)
{
	int fd = memfd_make("immure-overlay");

	if (fd >= 0 && ftruncate(fd, (off_t)l->size) == 0 &&
	    fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) == 0)
		return fd;
	return fail(f, errno, NULL, "make an overlay over disk %s", disk->path);
}

/* Opens @name below @dir, or makes it.  Returns a descriptor or -errno. */
static int open_or_create(int dir, const char *name)
{
	int fd = path_open(dir, name, O_RDWR | O_NONBLOCK | O_NOCTTY, PATH_BELOW);

	return fd == -ENOENT ? path_create(dir, name) : fd;
}

/* Makes an overlay of the empty file @fd, which lies in @dir.  Returns 0, or -errno with the file
 * empty again.  A file system that does not sync directories has no use for it. */
static int fill(int fd, int dir, const struct overlay_layout *l)
{
	static struct overlay_header header;
	int err;

	overlay_header(&header, l);
	errno = ENOSPC;		/* a short write does not say why */
	if (pwrite(fd, &header, sizeof(header), 0) == (ssize_t)sizeof(header) && fsync(fd) == 0 &&
	    ftruncate(fd, (off_t)l->size) == 0 && fsync(fd) == 0 &&
	    (fsync(dir) == 0 || errno == EINVAL))
		return 0;
	err = errno;
	if (ftruncate(fd, 0) < 0)
		return -errno;
	return -err;
}

/* The locked file @fd in @dir: is it one, is it empty, is it as large as it should be? */
static int take_file(int fd, int dir, const struct config_disk *disk,
		     const struct overlay_layout *l, struct failure *f)
{
	const char *path = disk->overlay_path;
	struct stat st;
	int rc;

	if (fstat(fd, &st) < 0)
		return fail(f, errno, NULL, "overlay %s", path);
	if (!S_ISREG(st.st_mode))
		return fail(f, 0, "name one, or a file that does not exist yet",
			    "overlay %s: not a regular file", path);
	if (flock(fd, LOCK_EX | LOCK_NB) < 0)
		return fail(f, errno == EWOULDBLOCK ? 0 : errno, NULL, "overlay %s: in use by another VM",
			    path);
	/* Again, now that nobody else makes something of it. */
	if (fstat(fd, &st) < 0)
		return fail(f, errno, NULL, "overlay %s", path);
	rc = st.st_size == 0 ? fill(fd, dir, l) : 0;
	if (rc < 0)
		return fail(f, -rc, NULL, "make overlay %s", path);
	if (st.st_size != 0 && st.st_size != (off_t)l->size)
		return fail(f, 0, "name the base that it was made for, or another file",
			    "overlay %s: not an overlay of %s: has %llu bytes, not %llu", path,
			    disk->path, (unsigned long long)st.st_size, (unsigned long long)l->size);
	return 0;
}

/* The directory in which the file of @disk lies; *@name: what it is called there. */
static int open_directory(const struct config_disk *disk, const char **name)
{
	const char *slash = strrchr(disk->overlay_path, '/');
	const size_t len = (size_t)(slash - disk->overlay_path);
	char path[PATH_MAX] = "/";

	*name = slash + 1;
	if (**name == 0)
		return -EISDIR;
	if (len > 0)
		memcpy(path, disk->overlay_path, len);
	return path_open_named(path, O_RDONLY | O_DIRECTORY);
}

static int in_file(const struct config_disk *disk, const struct overlay_layout *l,
		   uint64_t *dev, struct failure *f)
{
	const char *name;
	int dir = open_directory(disk, &name);
	int fd = dir < 0 ? dir : open_or_create(dir, name), rc;
	struct stat st;

	if (fd < 0) {
		rc = fail(f, -fd, path_advice(-fd, NULL), "open overlay %s", disk->overlay_path);
	} else {
		rc = take_file(fd, dir, disk, l, f);
		*dev = fstat(fd, &st) == 0 ? st.st_dev : 0;
	}
	if (dir >= 0)
		close(dir);
	if (rc != 0 && fd >= 0)
		close(fd);
	return rc == 0 ? fd : -1;
}

int overlay_make(const struct config_disk *disk, uint64_t base, uint64_t *size, uint64_t *dev,
		 struct failure *f)
{
	struct overlay_layout l;

	if (!overlay_layout(&l, base))
		return fail(f, 0, NULL, "disk %s: an overlay takes a base of a sector to %llu GiB",
			    disk->path, OVERLAY_BASE_MAX >> 30);
	*size = l.size;
	*dev = 0;
	return disk->overlay_path == NULL ? in_memory(disk, &l, f) : in_file(disk, &l, dev, f);
}
