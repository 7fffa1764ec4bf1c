/* SPDX-License-Identifier: Apache-2.0 */
/* walls_text.c: see walls_text.h. */
#include "cli/walls_text.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { TEXT_MAX = 1 << 20, TEXT_FIRST = 4096 };

/* Reads all of @fd into *@buf, which grows.  Returns 0 or an errno. */
static int slurp(int fd, char **buf)
{
	size_t size = TEXT_FIRST, used = 0;
	ssize_t n;

	for (;;) {
		char *more = used + 1 < size && *buf != NULL ? *buf : realloc(*buf, size *= 2);

		if (more == NULL)
			return ENOMEM;
		*buf = more;
		n = read(fd, *buf + used, size - used - 1);
		if (n < 0 && errno != EINTR)
			return errno;
		used += n > 0 ? (size_t)n : 0;
		(*buf)[used] = 0;
		if (n == 0)
			return 0;
		if (used >= TEXT_MAX)
			return EFBIG;
	}
}

char *walls_text(int dir, const char *path, int *err)
{
	int fd = openat(dir, path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	char *buf = NULL;

	*err = fd < 0 ? errno : slurp(fd, &buf);
	if (fd >= 0)
		close(fd);
	if (*err == 0)
		return buf;
	free(buf);
	return NULL;
}

char *walls_text2(int dir, const char *a, const char *b, int *err)
{
	char path[160];

	snprintf(path, sizeof(path), "%s/%s", a, b);
	return walls_text(dir, path, err);
}

int walls_link(int dir, const char *path, char *buf, size_t size)
{
	ssize_t n = readlinkat(dir, path, buf, size - 1);

	buf[n > 0 ? n : 0] = 0;
	return n < 0 ? errno : 0;
}

int walls_dir(int dir, const char *path)
{
	int fd = openat(dir, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

static int ascending(const void *a, const void *b)
{
	unsigned x = *(const unsigned *)a, y = *(const unsigned *)b;

	return (x > y) - (x < y);
}

int walls_numbers(int dir, const char *path, unsigned *number, int max)
{
	int fd = walls_dir(dir, path), n = 0;
	DIR *d = fd >= 0 ? fdopendir(fd) : NULL;
	struct dirent *e;

	if (d == NULL)
		return fd < 0 ? fd : -ENOMEM;
	errno = 0;
	while ((e = readdir(d)) != NULL) {
		char *end;
		unsigned long value = strtoul(e->d_name, &end, 10);

		if (e->d_name[0] < '0' || e->d_name[0] > '9' || *end != 0 || value > INT32_MAX)
			continue;
		if (n < max)
			number[n] = (unsigned)value;
		n++;
	}
	if (n == 0 && errno != 0)
		n = -errno;
	closedir(d);
	if (n > 0)
		qsort(number, (size_t)(n < max ? n : max), sizeof(*number), ascending);
	return n;
}
