/* SPDX-License-Identifier: Apache-2.0 */
/* run_dir.c: names, locks, and the broom.
 *
 * Making and sweeping happen under a lock on the parent directory, so that a directory which
 * was made and is not locked yet is never taken for a dead one.  The parent may lie in /tmp:
 * it is used only when it is a directory of ours that nobody else may write to, and everything
 * below is reached through its descriptor. */
#include "cli/run_dir.h"
#include "cli/run_values.h"
#include "cli/say.h"
#include "core/pages.h"
#include "jailer/cgroup.h"
#include "jailer/rundir.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#define ROOT_PARENT "/run/immure"
#define ROOT_IDS    "/run/immure.ids"
#define SOCKET      "vsock.sock"

static int say_errno(const char *what, const char *path)
{
	say_error("%s %s: %s", what, path, strerror(errno));
	return -1;
}

static void parent_path(char *path, size_t size)
{
	const char *runtime = getenv("XDG_RUNTIME_DIR");

	if (geteuid() == 0)
		snprintf(path, size, ROOT_PARENT);
	else if (runtime && runtime[0] == '/')
		snprintf(path, size, "%s/immure", runtime);
	else
		snprintf(path, size, "/tmp/immure-%u", (unsigned)geteuid());
}

int run_dir_path(const char *name, char *path, size_t size)
{
	char parent[RUN_PATH];
	int n;

	parent_path(parent, sizeof(parent));
	n = snprintf(path, size, "%s/%s", parent, name);
	if (n >= 0 && (size_t)n < size)
		return 0;
	say_error("run directory %s/%s: path too long for sockets", parent, name);
	return -1;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(a, b);
}

unsigned run_dir_names(char (*names)[RUN_NAME], unsigned max)
{
	char parent[4096];
	struct dirent *e;
	unsigned n = 0;
	DIR *d;

	parent_path(parent, sizeof(parent));
	d = opendir(parent);
	while (d && n < max && (e = readdir(d)))
		if (value_name(e->d_name))
			snprintf(names[n++], RUN_NAME, "%.*s", RUN_NAME - 1, e->d_name);
	if (d)
		closedir(d);
	qsort(names, n, sizeof(names[0]), by_name);
	return n;
}

bool run_dir_has(const char *name, const char *file)
{
	char parent[4096], path[3 * 4096];

	parent_path(parent, sizeof(parent));
	snprintf(path, sizeof(path), "%s/%s/%s", parent, name, file);
	return access(path, F_OK) == 0;
}

/* Opens the parent, made if need be, and locks it. */
static int open_parent(const char *path)
{
	struct stat st;
	int fd;

	if (mkdir(path, 0700) < 0 && errno != EEXIST)
		return say_errno("cannot make the run directory", path);
	fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return say_errno("cannot open the run directory", path);
	if (fstat(fd, &st) < 0 || st.st_uid != geteuid() || (st.st_mode & 022)) {
		say_error("run directory %s: not yours alone", path);
		say_hint("remove it, or set XDG_RUNTIME_DIR to a directory of your own");
		close(fd);
		return -1;
	}
	if (flock(fd, LOCK_EX) < 0) {
		close(fd);
		return say_errno("cannot lock the run directory", path);
	}
	return fd;
}

/* Removes the sockets, the counters and the lock in @dir. */
static void empty(int dir)
{
	int copy = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = copy < 0 ? NULL : fdopendir(copy);
	struct dirent *e;

	if (!d)
		return;
	while ((e = readdir(d)))
		if (strncmp(e->d_name, SOCKET, strlen(SOCKET)) == 0 ||
		    strcmp(e->d_name, PAGES_NAME) == 0 || strcmp(e->d_name, RUNDIR_LOCK) == 0)
			unlinkat(dir, e->d_name, 0);
	closedir(d);
}

/* Under the parent's lock: one that is being made has its own by then, and one that is being removed
 * has nothing any more that could be taken from it. */
static bool abandoned(int dir)
{
	int lock = openat(dir, RUNDIR_LOCK, O_RDWR | O_NOFOLLOW | O_CLOEXEC);
	bool free = lock < 0 ? errno == ENOENT : flock(lock, LOCK_EX | LOCK_NB) == 0;

	if (lock >= 0)
		close(lock);
	return free;
}

/* Removes directory @name when nobody lives in it: its supervisor may be dead and a process of the
 * machine not, or not yet.  The directory goes last, or nobody would look for the rest again. */
static void sweep_one(int parent, const char *name)
{
	int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (fd < 0)
		return;
	if (abandoned(fd) && cgroup_sweep(name, 0)) {
		empty(fd);
		unlinkat(parent, name, AT_REMOVEDIR);
	}
	close(fd);
}

static void sweep(int parent)
{
	int copy = openat(parent, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = copy < 0 ? NULL : fdopendir(copy);
	struct dirent *e;

	if (!d)
		return;
	while ((e = readdir(d)))
		if (e->d_name[0] != '.')
			sweep_one(parent, e->d_name);
	closedir(d);
}

/* Takes the lowest number that no running machine has: a byte of a file, locked. */
static int take_id(struct run_dir *d)
{
	d->ids = open(ROOT_IDS, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (d->ids < 0)
		return say_errno("cannot open", ROOT_IDS);
	for (d->id = 0; d->id < RUN_IDS; d->id++) {
		struct flock byte = { .l_type = F_WRLCK, .l_whence = SEEK_SET,
				      .l_start = d->id, .l_len = 1 };

		if (fcntl(d->ids, F_OFD_SETLK, &byte) == 0)
			return 0;
		if (errno != EAGAIN && errno != EACCES)
			break;
	}
	return say_errno("cannot lock a number in", ROOT_IDS);
}

static void make_up_name(char name[static RUN_NAME])
{
	uint32_t r = 0;

	if (getrandom(&r, sizeof(r), 0) < 0)
		r = (uint32_t)getpid();
	snprintf(name, RUN_NAME, "vm-%08x", r);
}

/* Makes and locks the directory itself.  Under the parent's lock. */
static int make_own(struct run_dir *d)
{
	if (mkdirat(d->parent, d->name, 0700) < 0) {
		if (errno != EEXIST)
			return say_errno("cannot make the run directory", d->path);
		say_error("a machine named %s is running", d->name);
		say_hint("choose another --name, or none");
		return -1;
	}
	d->fd = openat(d->parent, d->name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	d->lock = openat(d->fd, RUNDIR_LOCK, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (d->fd < 0 || d->lock < 0 || flock(d->lock, LOCK_EX | LOCK_NB) < 0)
		return say_errno("cannot lock the run directory", d->path);
	return 0;
}

int run_dir_make(struct run_dir *d, const char *name)
{
	char parent[4096];
	int n, ret = -1;

	*d = (struct run_dir){ .parent = -1, .fd = -1, .lock = -1, .ids = -1 };
	parent_path(parent, sizeof(parent));
	if (name)
		snprintf(d->name, sizeof(d->name), "%s", name);
	else
		make_up_name(d->name);
	n = snprintf(d->path, sizeof(d->path), "%s/%s", parent, d->name);
	if (n < 0 || (size_t)n >= sizeof(d->path)) {
		say_error("run directory %s/%s: longer than %zu bytes, too long for a socket", parent,
			  d->name, sizeof(d->path) - 1);
		say_hint("choose a shorter --name");
		return -1;
	}
	d->parent = open_parent(parent);
	if (d->parent < 0)
		return -1;
	sweep(d->parent);
	if (geteuid() != 0 || take_id(d) == 0)
		ret = make_own(d);
	flock(d->parent, LOCK_UN);
	return ret;
}

void run_dir_leave(struct run_dir *d)
{
	if (d->fd >= 0)
		close(d->fd);
	if (d->lock >= 0)
		close(d->lock);
	if (d->parent >= 0)
		close(d->parent);
	if (d->ids >= 0)
		close(d->ids);
	*d = (struct run_dir){ .parent = -1, .fd = -1, .lock = -1, .ids = -1 };
}

/* True when the name still leads to the directory that we made. */
static bool is_ours(const struct run_dir *d)
{
	struct stat own, now;

	return fstat(d->fd, &own) == 0 && fstatat(d->parent, d->name, &now, AT_SYMLINK_NOFOLLOW) == 0 &&
	       own.st_dev == now.st_dev && own.st_ino == now.st_ino;
}

void run_dir_remove(struct run_dir *d)
{
	if (d->fd >= 0) {
		empty(d->fd);
		if (is_ours(d))
			unlinkat(d->parent, d->name, AT_REMOVEDIR);
	}
	run_dir_leave(d);
}
