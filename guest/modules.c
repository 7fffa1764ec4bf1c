/* SPDX-License-Identifier: Apache-2.0 */
/* modules.c: finit_module() in the order that `immure kernel import` worked out.
 *
 * /modules/order holds one file name a line ("007-erofs.ko"), dependencies first; the files lie
 * beside it, decompressed.  Nothing depends on a file system, so each of them can wait until the
 * root image said which one it is: loading one costs a good part of the whole start.  Those for
 * the network wait until one of the machine's devices is one.  The
 * directory is written by the importer, not by a guest; names are bounded and taken relative to
 * it all the same. */
#include "guest/modules.h"
#include "guest/fail.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define SYSFS      "/sys"
#define VIRTIO_NET "0x0001\n"

enum { ORDER_MAX = 16 * 1024, DEVICES_MAX = 8 };

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

static bool is_one_of(const char *name, const char *const *modules, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (is_module(name, modules[i]))
			return true;
	return false;
}

static bool is_filesystem(const char *name)
{
	static const char *const all[] = { "erofs", "squashfs", "ext4" };

	return is_one_of(name, all, array_len(all));
}

static bool is_network(const char *name)
{
	static const char *const all[] = { "failover", "net_failover", "virtio_net" };

	return is_one_of(name, all, array_len(all));
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
	if (!is_filesystem(name) && !is_network(name))
		load(dir, name);
}

static void load_network(int dir, const char *name, const void *unused)
{
	(void)unused;
	if (is_network(name))
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

/* Is virtio device @i, as the drivers loaded so far found it, a network interface? */
static bool is_network_device(unsigned i)
{
	char path[64], text[16] = "";
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), SYSFS "/bus/virtio/devices/virtio%u/device", i);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	n = read(fd, text, sizeof(text) - 1);
	close(fd);
	return n > 0 && strcmp(text, VIRTIO_NET) == 0;
}

/* /sys is mounted for the look only: in the image it will be mounted again. */
static bool network_present(void)
{
	bool found = false;

	mkdir(SYSFS, 0755);
	if (mount("sysfs", SYSFS, "sysfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) < 0)
		return true;	/* in doubt a module too many */
	for (unsigned i = 0; i < DEVICES_MAX && !found; i++)
		found = is_network_device(i);
	umount2(SYSFS, 0);
	rmdir(SYSFS);
	return found;
}

void modules_load(void)
{
	if (with_modules(load_common, NULL) && network_present())
		with_modules(load_network, NULL);
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
