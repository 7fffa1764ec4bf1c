/* SPDX-License-Identifier: Apache-2.0 */
/* kernel_source.c: where a kernel comes from.
 *
 * A kernel says its version itself, in its header; file names are only used to put the newest
 * first.  Of a machine's own kernels the newest that has its modules is taken. */
#include "cli/kernel_source.h"

#include "cli/kernel_vmlinux.h"
#include "cli/say.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { IMAGE_MAX = 256 << 20, CANDIDATES_MAX = 64 };

void kernel_source_free(struct kernel_source *s)
{
	blob_free(&s->image);
}

/* Puts the directory of modules for @s->version into @s->modules, searching below @root. */
static bool find_modules(struct kernel_source *s, const char *root)
{
	static const char *const places[] = { "lib/modules", "usr/lib/modules" };
	struct stat st;

	for (size_t i = 0; i < array_len(places); i++) {
		int n = snprintf(s->modules, sizeof(s->modules), "%s/%s/%s", root, places[i],
				 s->version);

		if (n > 0 && (size_t)n < sizeof(s->modules) && stat(s->modules, &st) == 0 &&
		    S_ISDIR(st.st_mode))
			return true;
	}
	s->modules[0] = '\0';
	return false;
}

static int read_image(struct kernel_source *s)
{
	int fd = open(s->vmlinuz, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	int err = fd < 0 ? -errno : blob_read(fd, IMAGE_MAX, &s->image);
	enum vmlinux_err why;

	if (fd >= 0)
		close(fd);
	if (err != 0) {
		say_error("kernel %s: %s", s->vmlinuz, strerror(-err));
		if (err == -EACCES)
			say_hint("run it with sudo, or make the file readable");
		return -1;
	}
	why = vmlinux_version(&s->image, s->version, sizeof(s->version));
	if (why == VMLINUX_OK)
		return 0;
	say_error("kernel %s: %s", s->vmlinuz, vmlinux_err_text(why));
	return -1;
}

static bool join(char *out, size_t size, const char *dir, const char *name)
{
	int n = snprintf(out, size, "%s/%s", dir, name);

	return n > 0 && (size_t)n < size;
}

/* ---- the newest of a directory ---- */

struct candidates {
	unsigned int count;
	char name[CANDIDATES_MAX][NAME_MAX + 1];
};

static int newer_first(const void *a, const void *b)
{
	return strverscmp(b, a);
}

static int list_kernels(const char *dir, struct candidates *c)
{
	DIR *d = opendir(dir);
	struct dirent *e;

	c->count = 0;
	if (d == NULL)
		return -errno;
	while ((e = readdir(d)) != NULL && c->count < CANDIDATES_MAX) {
		if (strncmp(e->d_name, "vmlinuz-", 8) == 0 || strcmp(e->d_name, "vmlinuz") == 0)
			snprintf(c->name[c->count++], sizeof(c->name[0]), "%s", e->d_name);
	}
	closedir(d);
	qsort(c->name, c->count, sizeof(c->name[0]), newer_first);
	return 0;
}

/* Takes the newest of @dir whose modules are below @root; when none has any (@own false: a tree
 * given by the user), the newest.  Returns 1: there is none. */
static int newest_in(const char *dir, const char *root, bool own, struct kernel_source *s)
{
	struct candidates *c = malloc(sizeof(*c));
	int rc = 1;

	if (c == NULL || list_kernels(dir, c) != 0)
		c = (free(c), NULL);
	for (unsigned int i = 0; c != NULL && i < c->count && rc == 1; i++) {
		kernel_source_free(s);
		if (!join(s->vmlinuz, sizeof(s->vmlinuz), dir, c->name[i]) || read_image(s) != 0)
			rc = -1;
		else if (find_modules(s, root))
			rc = 0;
	}
	if (rc == 1 && c != NULL && c->count != 0 && !own) {
		kernel_source_free(s);
		rc = join(s->vmlinuz, sizeof(s->vmlinuz), dir, c->name[0]) ? read_image(s) : -1;
	}
	free(c);
	return rc;
}

static int open_own(struct kernel_source *s)
{
	int rc = newest_in("/boot", "", true, s);

	if (rc != 1)
		return rc;
	say_error("no kernel in /boot that has its modules in /lib/modules");
	say_hint("take one from a package, nothing gets installed:");
	say_hint("  apt-get download linux-image-6.1.0-NN-cloud-amd64");
	say_hint("  immure kernel import ./linux-image-*.deb");
	return -1;
}

static int open_dir(const char *path, struct kernel_source *s)
{
	char boot[PATH_MAX], parent[PATH_MAX];
	int rc;

	if (!join(boot, sizeof(boot), path, "boot") || !join(parent, sizeof(parent), path, "..")) {
		say_error("%s: path too long", path);
		return -1;
	}
	rc = newest_in(boot, path, false, s);
	if (rc == 1)
		rc = newest_in(path, parent, false, s);
	if (rc == 1) {
		say_error("no kernel in %s: neither vmlinuz-* nor boot/vmlinuz-* is there", path);
		rc = -1;
	}
	return rc;
}

/* One bzImage; its modules may be beside the directory it lies in, as in /boot. */
static int open_file(const char *path, struct kernel_source *s)
{
	char parent[PATH_MAX];
	const char *slash = strrchr(path, '/');
	int dir_len = slash == NULL ? 1 : (int)(slash - path);
	int n = snprintf(parent, sizeof(parent), "%.*s/..", dir_len, slash == NULL ? "." : path);

	if (n < 0 || (size_t)n >= sizeof(parent) || strlen(path) >= sizeof(s->vmlinuz)) {
		say_error("%s: path too long", path);
		return -1;
	}
	memcpy(s->vmlinuz, path, strlen(path) + 1);
	if (read_image(s) != 0)
		return -1;
	find_modules(s, parent);
	return 0;
}

int kernel_source_open(const char *path, struct kernel_source *out)
{
	struct stat st;

	*out = (struct kernel_source){ 0 };
	if (path == NULL)
		return open_own(out);
	if (stat(path, &st) != 0) {
		say_error("kernel %s: %s", path, strerror(errno));
		return -1;
	}
	return S_ISDIR(st.st_mode) ? open_dir(path, out) : open_file(path, out);
}

/* ---- packages ---- */

bool kernel_source_is_deb(const char *path)
{
	static const char magic[] = "!<arch>\ndebian-binary";
	char head[sizeof(magic) - 1];
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	bool deb = fd >= 0 && read(fd, head, sizeof(head)) == (ssize_t)sizeof(head) &&
		   memcmp(head, magic, sizeof(head)) == 0;

	if (fd >= 0)
		close(fd);
	return deb;
}

int kernel_source_unpack(const char *deb, const char *dir)
{
	const char *const argv[] = { "dpkg-deb", "--extract", deb, dir, NULL };
	int status = 0;
	pid_t pid;
	/* posix_spawn() does not write to the strings; its type is older than const. */
	int err = posix_spawnp(&pid, argv[0], NULL, NULL, (char *const *)(uintptr_t)argv, environ);

	if (err != 0) {
		say_error("cannot start dpkg-deb: %s", strerror(err));
		say_hint("install the package dpkg, or unpack %s yourself and give the directory",
			 deb);
		return -1;
	}
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return 0;
	if (!WIFSIGNALED(status))
		say_error("dpkg-deb could not unpack %s", deb);
	return -1;
}
