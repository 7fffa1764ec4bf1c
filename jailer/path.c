/* SPDX-License-Identifier: Apache-2.0 */
/* path.c: opening by name as root, in directories that belong to others.
 *
 * Who may be lying: the owner of any directory on the way.  He may have made a symbolic link to
 * a place he cannot reach himself, or put one there between two of our looks.  Refusing all
 * links would be simple, but hosts are full of honest ones (/var/run, /boot/vmlinuz).  So the
 * kernel is asked first to resolve the path without any; only if it meets one, the path is
 * walked one component at a time, each looked at through its descriptor, and a link is followed
 * when nobody but root and ourselves could have placed it. */
#include "jailer/path.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

enum { LINKS_MAX = 40 };		/* as in the kernel */

/* A walk in progress. */
struct walk {
	int dir;			/* O_PATH: where we are */
	unsigned links;			/* followed so far */
	char rest[PATH_MAX];		/* what remains, without leading slashes */
};

int path_open(int dir, const char *path, int flags, unsigned resolve)
{
	struct open_how how = { .flags = (unsigned)(flags | O_CLOEXEC), .resolve = resolve };
	long fd = syscall(SYS_openat2, dir, path, &how, sizeof(how));

	return fd < 0 ? -errno : (int)fd;
}

int path_create(int dir, const char *name)
{
	struct open_how how = {
		.flags = O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, .mode = 0600, .resolve = PATH_BELOW,
	};
	long fd = syscall(SYS_openat2, dir, name, &how, sizeof(how));

	return fd < 0 ? -errno : (int)fd;
}

static bool ours(const struct stat *st)
{
	return st->st_uid == 0 || st->st_uid == geteuid();
}

/* May the link @fd, found in @dir, be followed?  In a sticky directory (/tmp) each entry is
 * its owner's; in others it is whoever's who may write there. */
static bool trusted(int dir, int fd)
{
	struct stat in, link;
	struct statfs fs;

	if (fstat(dir, &in) < 0 || fstat(fd, &link) < 0 || fstatfs(fd, &fs) < 0)
		return false;
	if (fs.f_type == PROC_SUPER_MAGIC || !ours(&in))
		return false;
	if ((in.st_mode & (S_IWGRP | S_IWOTH)) == 0)
		return true;
	return (in.st_mode & S_ISVTX) != 0 && ours(&link);
}

static int move_to(struct walk *w, int fd)
{
	if (fd < 0)
		return fd;
	close(w->dir);
	w->dir = fd;
	return 0;
}

/* Puts the text of the link @fd before what remains. */
static int follow(struct walk *w, int fd)
{
	char text[PATH_MAX];
	ssize_t n = readlinkat(fd, "", text, sizeof(text));
	size_t rest = strlen(w->rest);

	if (n <= 0 || !trusted(w->dir, fd) || ++w->links > LINKS_MAX)
		return -ELOOP;
	if ((size_t)n + 1 + rest >= sizeof(w->rest))
		return -ENAMETOOLONG;
	memmove(w->rest + n + 1, w->rest, rest + 1);
	memcpy(w->rest, text, (size_t)n);
	w->rest[n] = '/';
	if (text[0] != '/')
		return 0;
	return move_to(w, path_open(AT_FDCWD, "/", O_PATH | O_DIRECTORY, PATH_HOST_DIRECT));
}

/* Takes the next component off @w into @name; false at the end. */
static bool component(struct walk *w, char name[NAME_MAX + 1])
{
	const char *from = w->rest + strspn(w->rest, "/");
	size_t len = strcspn(from, "/");

	if (len == 0 || len > NAME_MAX)
		return false;
	memcpy(name, from, len);
	name[len] = 0;
	from += len;
	from += strspn(from, "/");
	memmove(w->rest, from, strlen(from) + 1);
	return true;
}

/* One component.  Returns a descriptor when it was the last, 0 to go on, or -errno.  (The
 * jailer's descriptors begin at 3.) */
static int step(struct walk *w, int flags)
{
	char name[NAME_MAX + 1];
	struct stat st;
	int fd, rc;

	if (!component(w, name))
		return -ENOENT;
	fd = path_open(w->dir, name, O_PATH | O_NOFOLLOW, PATH_HOST_DIRECT);
	if (fd < 0)
		return fd;
	if (fstat(fd, &st) == 0 && S_ISLNK(st.st_mode)) {
		rc = follow(w, fd);
		close(fd);
		return rc;
	}
	if (w->rest[0] != 0)
		return move_to(w, fd);
	close(fd);
	/* If it is a link by now, this fails. */
	return path_open(w->dir, name, flags, PATH_HOST_DIRECT);
}

int path_open_named(const char *path, int flags)
{
	int fd = path_open(AT_FDCWD, path, flags, PATH_HOST_DIRECT);
	struct walk w = { .dir = -1 };

	if (fd != -ELOOP)
		return fd;
	if (strlen(path) >= sizeof(w.rest))
		return -ENAMETOOLONG;
	memcpy(w.rest, path, strlen(path) + 1);
	w.dir = path_open(AT_FDCWD, "/", O_PATH | O_DIRECTORY, PATH_HOST_DIRECT);
	if (w.dir < 0)
		return w.dir;
	do
		fd = step(&w, flags);
	while (fd == 0);
	close(w.dir);
	return fd;
}

const char *path_advice(int err, const char *otherwise)
{
	return err != ELOOP ? otherwise
	     : "it leads over a symbolic link that another user could change: name the real path";
}
