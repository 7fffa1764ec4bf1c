/* SPDX-License-Identifier: Apache-2.0 */
/* modules.c: finit_module() in the order that `immure kernel import` worked out.
 *
 * /modules/order holds one file name a line ("007-erofs.ko"), dependencies first; the files lie
 * beside it, decompressed.  Nothing depends on a file system, so each of them can wait until the
 * root image said which one it is: loading one costs a good part of the whole start.  The
 * directory is written by the importer, not by a guest; names are bounded and taken relative to
 * it all the same. */
#include "guest/modules.h"
#include "guest/fail.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { ORDER_MAX = 16 * 1024 };

/* Reads the list into @buf, terminated.  Returns its length, or 0 when there is none: a kernel
 * with everything built in. */
static size_t read_order(int dir, char *buf, size_t size)
{
	int fd = openat(dir, "order", O_RDONLY | O_CLOEXEC);
	size_t len = 0;
	ssize_t n;

	if (fd < 0)
		return 0;
	while (len < size - 1 && (n = read(fd, buf + len, size - 1 - len)) > 0)
		len += (size_t)n;
	close(fd);
	buf[len] = '\0';
	return len;
}

static void load(int dir, const char *name)
{
	int fd = openat(dir, name, O_RDONLY | O_CLOEXEC);

	if (fd < 0) {
		note("module %s: %s", name, strerror(errno));
		return;
	}
	if (syscall(SYS_finit_module, fd, "", 0) < 0 && errno != EEXIST)
		note("module %s: %s", name, strerror(errno));
	close(fd);
}

/* True when the file @name holds module @module. */
static bool is_module(const char *name, const char *module)
{
	const char *dash = strchr(name, '-');
	size_t len = strlen(module);

	name = dash ? dash + 1 : name;
	return strncmp(name, module, len) == 0 && strcmp(name + len, ".ko") == 0;
}

static bool is_filesystem(const char *name)
{
	static const char *const filesystems[] = { "erofs", "squashfs", "ext4" };

	for (size_t i = 0; i < array_len(filesystems); i++)
		if (is_module(name, filesystems[i]))
			return true;
	return false;
}

/* Calls @each for every name in the list. */
static void for_each_module(int dir, void (*each)(int, const char *, const void *),
			    const void *arg)
{
	static char order[ORDER_MAX];
	char *line = order, *end;

	if (!read_order(dir, order, sizeof(order)))
		return;
	for (; *line; line = end + 1) {
		end = strchrnul(line, '\n');
		if (*end == '\0') {
			each(dir, line, arg);
			return;
		}
		*end = '\0';
		if (*line)
			each(dir, line, arg);
	}
}

static void load_common(int dir, const char *name, const void *unused)
{
	(void)unused;
	if (!is_filesystem(name))
		load(dir, name);
}

static void load_matching(int dir, const char *name, const void *module)
{
	if (is_module(name, module))
		load(dir, name);
}

static void forget(int dir, const char *name, const void *unused)
{
	(void)unused;
	unlinkat(dir, name, 0);
}

/* Calls @each for every module there is; returns false when there are none. */
static bool with_modules(void (*each)(int, const char *, const void *), const void *arg)
{
	int dir = open("/modules", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (dir < 0)
		return false;
	for_each_module(dir, each, arg);
	close(dir);
	return true;
}

void modules_load(void)
{
	with_modules(load_common, NULL);
}

void modules_load_filesystem(const char *name)
{
	with_modules(load_matching, name);
}

void modules_forget(void)
{
	unlink("/init");
	if (!with_modules(forget, NULL))
		return;
	unlink("/modules/order");
	rmdir("/modules");
}
