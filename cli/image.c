/* SPDX-License-Identifier: Apache-2.0 */
/* image.c: see image.h.
 *
 * The key of a directory is a hash of its listing, so that an unchanged directory costs a walk
 * and no copying.  mkfs.erofs does the work (erofs-utils): it writes to a temporary name in the
 * cache, which becomes the image by rename, under a lock, so that two runs that start at once
 * make one image.  Signals wait while a child works, so that no half-made file stays behind. */
#include "cli/image.h"
#include "cli/cache.h"
#include "cli/say.h"

#include <errno.h>
#include <fcntl.h>
#include <fts.h>
#include <limits.h>
#include <linux/magic.h>
#include <sha2.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

struct tree {
	char key[SHA256_DIGEST_STRING_LENGTH];
	uint64_t files;
	uint64_t bytes;
};

/* ---- image files ---- */

static const struct {
	const char *name;
	off_t offset;
	const char *magic;
	size_t len;
} formats[] = {
	{ "ext4", 1024 + 56, "\x53\xef", 2 },
	{ "squashfs", 0, "hsqs", 4 },
	{ "erofs", 1024, "\xe2\xe1\xf5\xe0", 4 },
};

static bool known_format(int fd)
{
	char magic[4];

	for (size_t i = 0; i < sizeof(formats) / sizeof(formats[0]); i++) {
		ssize_t n = pread(fd, magic, formats[i].len, formats[i].offset);

		if (n == (ssize_t)formats[i].len && memcmp(magic, formats[i].magic, formats[i].len) == 0)
			return true;
	}
	return false;
}

static int use_file(const char *rootfs)
{
	int fd = open(rootfs, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	bool known;

	if (fd < 0) {
		say_error("cannot open the image %s: %s", rootfs, strerror(errno));
		return -1;
	}
	known = known_format(fd);
	close(fd);
	if (known)
		return 0;
	say_error("%s is not a root file system: neither a directory nor an image of ext4, "
		  "squashfs or erofs", rootfs);
	say_hint("give the directory itself, or make an image: mkfs.erofs image.erofs DIRECTORY");
	return -1;
}

/* ---- directories ---- */

static void hash_entry(SHA2_CTX *sha, const FTSENT *e, size_t skip)
{
	const struct stat *st = e->fts_statp;
	struct {
		uint64_t mode, uid, gid, size, rdev, ino, sec, nsec, changed_sec, changed_nsec;
	} facts = {
		.mode = st->st_mode, .uid = st->st_uid, .gid = st->st_gid,
		.size = S_ISDIR(st->st_mode) ? 0 : (uint64_t)st->st_size,
		.rdev = st->st_rdev, .ino = st->st_nlink > 1 ? st->st_ino : 0,
		.sec = (uint64_t)st->st_mtim.tv_sec, .nsec = (uint64_t)st->st_mtim.tv_nsec,
		/* A file may be replaced by one of the same size and, where builds are
		 * reproducible, of the same modification time. */
		.changed_sec = (uint64_t)st->st_ctim.tv_sec,
		.changed_nsec = (uint64_t)st->st_ctim.tv_nsec,
	};

	SHA256Update(sha, (const uint8_t *)e->fts_path + skip, e->fts_pathlen - skip + 1u);
	SHA256Update(sha, (const uint8_t *)&facts, sizeof(facts));
}

/* File systems known to say when a file was really changed. */
static bool keeps_change_times(long type)
{
	static const long known[] = { EXT4_SUPER_MAGIC, XFS_SUPER_MAGIC, BTRFS_SUPER_MAGIC,
				      TMPFS_MAGIC, F2FS_SUPER_MAGIC };

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (type == known[i])
			return true;
	return false;
}

/* Elsewhere (a mounted image: erofs and squashfs keep one time a file, and show it as both) files
 * of the same size and time may differ: then their bytes tell.  Returns 0 or -errno. */
static int hash_contents(SHA2_CTX *sha, const FTSENT *e)
{
	const struct stat *st = e->fts_statp;
	static uint8_t buf[256 * 1024];
	struct statfs fs;
	ssize_t n = -1;
	int fd;

	if (e->fts_info != FTS_F || st->st_size == 0 || st->st_mtim.tv_sec != st->st_ctim.tv_sec ||
	    st->st_mtim.tv_nsec != st->st_ctim.tv_nsec)
		return 0;
	fd = open(e->fts_accpath, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (fd < 0)
		return -errno;
	if (fstatfs(fd, &fs) == 0 && keeps_change_times((long)fs.f_type))
		n = 0;
	else
		while ((n = read(fd, buf, sizeof(buf))) > 0)
			SHA256Update(sha, buf, (size_t)n);
	n = n < 0 ? -errno : 0;
	close(fd);
	return (int)n;
}

static int by_name(const FTSENT **a, const FTSENT **b)
{
	return strcmp((*a)->fts_name, (*b)->fts_name);
}

static void unreadable(const char *path, int err)
{
	say_error("cannot read %s: %s", path, strerror(err));
	say_hint("the root file system must be readable; run as its owner or as root");
}

/* Walks @root; returns 0, or -1 after a message. */
static int list_tree(char *root, bool all_root, struct tree *t)
{
	char *roots[] = { root, NULL };
	size_t skip = strlen(root);
	SHA2_CTX sha;
	FTS *walk = fts_open(roots, FTS_PHYSICAL | FTS_NOCHDIR, by_name);
	FTSENT *e;
	int err;

	if (!walk) {
		say_error("cannot read %s: %s", root, strerror(errno));
		return -1;
	}
	SHA256Init(&sha);
	SHA256Update(&sha, (const uint8_t *)(all_root ? "erofs root" : "erofs kept"), 10);
	while ((e = fts_read(walk)) != NULL) {
		if (e->fts_info == FTS_DP)
			continue;
		if (e->fts_info == FTS_DNR || e->fts_info == FTS_ERR || e->fts_info == FTS_NS) {
			unreadable(e->fts_path, e->fts_errno);
			fts_close(walk);
			return -1;
		}
		hash_entry(&sha, e, skip);
		err = hash_contents(&sha, e);
		if (err != 0) {
			unreadable(e->fts_path, -err);
			fts_close(walk);
			return -1;
		}
		t->files++;
		t->bytes += e->fts_info == FTS_F ? (uint64_t)e->fts_statp->st_size : 0;
	}
	fts_close(walk);
	SHA256End(&sha, t->key);
	return 0;
}

static pid_t start_mkfs(const char *image, const char *root, bool all_root, const sigset_t *mask)
{
	const char *argv[] = { "mkfs.erofs", "--quiet", image, root, NULL, NULL };
	pid_t pid;

	if (all_root) {
		argv[2] = "--all-root";
		argv[3] = image;
		argv[4] = root;
	}
	pid = fork();
	if (pid != 0)
		return pid;
	sigprocmask(SIG_SETMASK, mask, NULL);
	if (dup2(open("/dev/null", O_WRONLY), STDOUT_FILENO) < 0)
		_exit(EXIT_IMMURE);
	execvp(argv[0], (char *const *)argv);
	_exit(errno == ENOENT ? EXIT_NOTFOUND : EXIT_IMMURE);
}

static void show_progress(const char *image, const char *root, const struct tree *t)
{
	struct stat st;

	if (!say_to_terminal() || stat(image, &st) != 0)
		return;
	fprintf(stderr, "\rimmure: making an image of %s: %llu of %llu MiB ", root,
		(unsigned long long)st.st_size >> 20, (unsigned long long)t->bytes >> 20);
}

/* Waits for @pid with INT, TERM, HUP and CHLD blocked.  Returns its wait status, or the number
 * of the signal that should end us, negative. */
static int wait_child(pid_t pid, const sigset_t *blocked, const char *image, const char *root,
		      const struct tree *t)
{
	const struct timespec tick = { .tv_nsec = 250 * 1000 * 1000 };
	int status, sig;

	for (;;) {
		if (waitpid(pid, &status, WNOHANG) == pid)
			return status;
		sig = sigtimedwait(blocked, NULL, &tick);
		if (sig < 0)
			show_progress(image, root, t);
		if (sig > 0 && sig != SIGCHLD) {
			kill(pid, SIGKILL);
			waitpid(pid, &status, 0);
			return -sig;
		}
	}
}

static int mkfs_failed(const char *root, int status)
{
	if (WIFEXITED(status) && WEXITSTATUS(status) == EXIT_NOTFOUND) {
		say_error("cannot make an image of %s: mkfs.erofs is not installed", root);
		say_hint("install it: apt-get install erofs-utils");
	} else if (WIFEXITED(status)) {
		say_error("mkfs.erofs could not make an image of %s (status %d)", root,
			  WEXITSTATUS(status));
		say_hint("is there room in the cache directory? set IMMURE_CACHE to another one");
	} else {
		say_error("mkfs.erofs was killed by signal %d while it made an image of %s",
			  WTERMSIG(status), root);
	}
	return -1;
}

/* What would end us while a child works, and the child's own end. */
static void ending_signals(sigset_t *set)
{
	static const int signals[] = { SIGINT, SIGTERM, SIGHUP };

	sigemptyset(set);
	sigaddset(set, SIGCHLD);
	for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++) {
		struct sigaction old;

		/* What nohup ignores stays ignored; blocked, it would reach us all the same. */
		if (sigaction(signals[i], NULL, &old) == 0 && old.sa_handler != SIG_IGN)
			sigaddset(set, signals[i]);
	}
}

/* What is there under its name is trusted to be whole: on the disk first, then named.  (A crash
 * that loses the name costs making it again.) */
static int sync_path(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC), rc;

	if (fd < 0)
		return -1;
	rc = fsync(fd);
	close(fd);
	return rc;
}

/* Makes @image out of @root, by way of @temp. */
static int build(const char *root, bool all_root, const char *temp, const char *image,
		 const struct tree *t)
{
	sigset_t blocked, before;
	int status;
	pid_t pid;

	ending_signals(&blocked);
	sigprocmask(SIG_BLOCK, &blocked, &before);
	pid = start_mkfs(temp, root, all_root, &before);
	if (pid < 0) {
		say_error("cannot start mkfs.erofs: %s", strerror(errno));
		sigprocmask(SIG_SETMASK, &before, NULL);
		return -1;
	}
	status = wait_child(pid, &blocked, temp, root, t);
	if (say_to_terminal())
		fputs("\r\033[K", stderr);
	if (status != 0)
		unlink(temp);
	sigprocmask(SIG_SETMASK, &before, NULL);
	if (status < 0) {
		raise(-status);
		return -1;
	}
	if (status != 0)
		return mkfs_failed(root, status);
	if (sync_path(temp) != 0 || rename(temp, image) != 0) {
		say_error("cannot keep the image %s: %s", image, strerror(errno));
		unlink(temp);
		return -1;
	}
	return 0;
}

/* Holds the lock of the image directory; one builder at a time.  Returns it or -1. */
static int lock_images(const char *dir)
{
	char path[PATH_MAX];
	int fd;

	if ((size_t)snprintf(path, sizeof(path), "%s/lock", dir) >= sizeof(path))
		return -1;
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0 || flock(fd, LOCK_EX) != 0) {
		say_error("cannot lock %s: %s", path, strerror(errno));
		if (fd >= 0)
			close(fd);
		return -1;
	}
	return fd;
}

static int use_directory(char *root, char *path, size_t size)
{
	bool all_root = geteuid() != 0;
	char dir[PATH_MAX], temp[PATH_MAX];
	struct tree t = { .files = 0 };
	int lock, rc = 0;

	if (list_tree(root, all_root, &t) != 0 || cache_dir("images", dir, sizeof(dir)) != 0)
		return -1;
	if ((size_t)snprintf(path, size, "%s/%s.erofs", dir, t.key) >= size ||
	    (size_t)snprintf(temp, sizeof(temp), "%s/making", dir) >= sizeof(temp)) {
		say_error("%s: path too long", dir);
		return -1;
	}
	if (access(path, R_OK) == 0)
		return 0;
	lock = lock_images(dir);
	if (lock < 0)
		return -1;
	/* Whoever held the lock may have made it meanwhile, or died half-way. */
	if (access(path, R_OK) != 0) {
		unlink(temp);
		rc = build(root, all_root, temp, path, &t);
	}
	close(lock);
	return rc;
}

int image_prepare(const char *rootfs, char *path, size_t size)
{
	char real[PATH_MAX];
	struct stat st;

	if (!realpath(rootfs, real) || stat(real, &st) != 0) {
		say_error("root file system %s: %s", rootfs, strerror(errno));
		return -1;
	}
	if (S_ISDIR(st.st_mode))
		return use_directory(real, path, size);
	if ((size_t)snprintf(path, size, "%s", real) >= size) {
		say_error("root file system %s: path too long", rootfs);
		return -1;
	}
	return use_file(real);
}
