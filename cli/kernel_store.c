/* SPDX-License-Identifier: Apache-2.0 */
/* kernel_store.c: the directory of imported kernels. */
#include "cli/kernel_store.h"

#include "cli/cache.h"
#include "cli/say.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define WORK_PREFIX ".import-"

enum { OPEN_FILES = 16 };

bool store_name_valid(const char *name)
{
	size_t len = strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._+-");

	return len != 0 && name[len] == '\0' && len < KERNEL_NAME && strchr("._+-", name[0]) == NULL;
}

int store_root(char *root, size_t size)
{
	return cache_dir("kernels", root, size);
}

/* ---- removal ---- */

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

static int remove_tree(const char *path)
{
	return nftw(path, remove_one, OPEN_FILES, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
}

/* Opens and locks directory @path; -1: not there, or somebody else works in it. */
static int lock_dir(const char *path)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) != 0) {
		close(fd);
		fd = -1;
	}
	return fd;
}

static void sweep(const char *root)
{
	DIR *d = opendir(root);
	struct dirent *e;

	while (d != NULL && (e = readdir(d)) != NULL) {
		char path[PATH_MAX];
		int fd;

		if (strncmp(e->d_name, WORK_PREFIX, strlen(WORK_PREFIX)) != 0 ||
		    snprintf(path, sizeof(path), "%s/%s", root, e->d_name) >= (int)sizeof(path))
			continue;
		fd = lock_dir(path);
		if (fd < 0)
			continue;
		remove_tree(path);
		close(fd);
	}
	if (d != NULL)
		closedir(d);
}

/* ---- one piece of work ---- */

/* Under a lock of all, so that nobody sweeps the new directory before it has its own. */
static int make_work(struct store_work *w)
{
	int all = lock_dir(w->root);

	if (all < 0 && errno == EWOULDBLOCK) {
		all = open(w->root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (all >= 0 && flock(all, LOCK_EX) != 0) {
			close(all);
			all = -1;
		}
	}
	if (all < 0)
		return -1;
	sweep(w->root);
	snprintf(w->dir, sizeof(w->dir), "%s/" WORK_PREFIX "XXXXXX", w->root);
	if (mkdtemp(w->dir) == NULL)
		w->dir[0] = '\0';
	else
		w->lock = lock_dir(w->dir);
	close(all);
	return w->dir[0] != '\0' && w->lock >= 0 ? 0 : -1;
}

int store_begin(struct store_work *w)
{
	w->dir[0] = '\0';
	w->lock = -1;
	if (store_root(w->root, sizeof(w->root)) != 0)
		return -1;
	if (make_work(w) == 0 &&
	    snprintf(w->made, sizeof(w->made), "%s/new", w->dir) < (int)sizeof(w->made) &&
	    snprintf(w->unpacked, sizeof(w->unpacked), "%s/package", w->dir) <
		    (int)sizeof(w->unpacked) &&
	    mkdir(w->made, 0700) == 0)
		return 0;
	say_error("cannot work in %s: %s", w->root, strerror(errno));
	return -1;
}

static int write_file(const char *path, const void *bytes, size_t len)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	const char *p = bytes;
	int err = 0;

	if (fd < 0)
		return -errno;
	while (len != 0 && err == 0) {
		ssize_t n = write(fd, p, len);

		if (n < 0) {
			err = errno == EINTR ? 0 : -errno;
			continue;
		}
		p += n;
		len -= (size_t)n;
	}
	if (err == 0 && fsync(fd) != 0)
		err = -errno;
	close(fd);
	return err;
}

int store_put(const struct store_work *w, const char *file, const void *bytes, size_t len)
{
	char path[PATH_MAX + 32];
	int err;

	snprintf(path, sizeof(path), "%s/%s", w->made, file);
	err = write_file(path, bytes, len);
	if (err == 0)
		return 0;
	say_error("cannot write %s: %s", path, strerror(-err));
	if (err == -ENOSPC || err == -EDQUOT)
		say_hint("make room there, or set IMMURE_CACHE to another directory");
	return -1;
}

int store_replace(const char *dir, const char *file, const void *bytes, size_t len)
{
	char temporary[PATH_MAX], path[PATH_MAX];
	int err;

	if (snprintf(path, sizeof(path), "%s/%s", dir, file) >= (int)sizeof(path) ||
	    snprintf(temporary, sizeof(temporary), "%s/.%s.%d", dir, file, getpid()) >=
		    (int)sizeof(temporary))
		return -ENAMETOOLONG;
	unlink(temporary);
	err = write_file(temporary, bytes, len);
	if (err == 0 && rename(temporary, path) != 0)
		err = -errno;
	if (err != 0)
		unlink(temporary);
	return err;
}

int store_commit(struct store_work *w, const char *name)
{
	char path[PATH_MAX], old[PATH_MAX + 8];

	snprintf(path, sizeof(path), "%s/%s", w->root, name);
	snprintf(old, sizeof(old), "%s/old", w->dir);
	if (chmod(w->made, 0755) != 0)
		goto failed;
	if (renameat2(AT_FDCWD, w->made, AT_FDCWD, path, RENAME_NOREPLACE) == 0 ||
	    renameat2(AT_FDCWD, w->made, AT_FDCWD, path, RENAME_EXCHANGE) == 0)
		return 0;
	/* A file system without these two. */
	if ((rename(path, old) == 0 || errno == ENOENT) && rename(w->made, path) == 0)
		return 0;
failed:
	say_error("cannot put the kernel in place as %s: %s", path, strerror(errno));
	return -1;
}

void store_end(struct store_work *w)
{
	if (w->dir[0] != '\0')
		remove_tree(w->dir);
	if (w->lock >= 0)
		close(w->lock);
	w->dir[0] = '\0';
	w->lock = -1;
}

int store_remove(const char *name)
{
	char path[PATH_MAX];
	struct store_work w;
	int rc = store_begin(&w);

	if (rc == 0) {
		snprintf(path, sizeof(path), "%s/%s", w.root, name);
		/* Into the work directory, which goes with all that is in it. */
		if (!store_name_valid(name))
			errno = ENOENT;
		if (!store_name_valid(name) || rename(path, w.unpacked) != 0) {
			say_error("kernel %s: %s", name,
				  errno == ENOENT ? "not imported" : strerror(errno));
			say_hint("see: immure kernel list");
			rc = -1;
		}
	}
	store_end(&w);
	return rc;
}

/* ---- meta.json ---- */

char *store_meta_text(const struct kernel *k, const char *init)
{
	json_t *o = json_pack("{s:s, s:s, s:s, s:s, s:I, s:s}", "name", k->name, "version",
			      k->version, "format", k->bzimage ? "bzimage" : "elf", "sha256",
			      k->sha256, "created", (json_int_t)k->created, "init", init);
	char *text = o == NULL ? NULL : json_dumps(o, JSON_INDENT(2));

	json_decref(o);
	return text;
}

static bool copy_text(const json_t *o, const char *key, char *out, size_t size)
{
	const char *s = json_string_value(json_object_get(o, key));

	return s != NULL && snprintf(out, size, "%s", s) < (int)size;
}

bool store_meta_read(const char *dir, struct kernel *k, char *init, size_t size)
{
	char path[PATH_MAX], format[16];
	json_t *o;
	bool ok;

	if (snprintf(path, sizeof(path), "%s/meta.json", dir) >= (int)sizeof(path))
		return false;
	o = json_load_file(path, JSON_REJECT_DUPLICATES, NULL);
	ok = copy_text(o, "name", k->name, sizeof(k->name)) &&
	     copy_text(o, "version", k->version, sizeof(k->version)) &&
	     copy_text(o, "sha256", k->sha256, sizeof(k->sha256)) &&
	     copy_text(o, "format", format, sizeof(format)) &&
	     copy_text(o, "init", init, size) && json_is_integer(json_object_get(o, "created"));
	if (ok) {
		k->bzimage = strcmp(format, "bzimage") == 0;
		k->created = json_integer_value(json_object_get(o, "created"));
	}
	json_decref(o);
	return ok;
}
