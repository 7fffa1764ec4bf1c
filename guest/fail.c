/* SPDX-License-Identifier: Apache-2.0 */
/* fail.c: error texts, bounded, to the host or to the kernel log. */
#include "guest/fail.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

enum { KMSG_MAJOR = 1, KMSG_MINOR = 11 };	/* Documentation/admin-guide/devices.txt */

int fail(struct fail *f, enum proto_fail kind, const char *fmt, ...)
{
	va_list args;

	f->kind = kind;
	va_start(args, fmt);
	vsnprintf(f->text, sizeof(f->text), fmt, args);
	va_end(args);
	return -1;
}

int fail_errno(struct fail *f, int err, const char *fmt, ...)
{
	va_list args;
	size_t len;

	f->kind = PROTO_FAIL_SETUP;
	va_start(args, fmt);
	vsnprintf(f->text, sizeof(f->text), fmt, args);
	va_end(args);
	len = strlen(f->text);
	snprintf(f->text + len, sizeof(f->text) - len, ": %s", strerror(err));
	return -1;
}

/* The kernel log, and nothing that the command put in its place: that might never take a line. */
static int open_log(void)
{
	int fd = open("/dev/kmsg", O_WRONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	struct stat st;

	if (fd >= 0 && (fstat(fd, &st) < 0 || !S_ISCHR(st.st_mode) ||
			st.st_rdev != makedev(KMSG_MAJOR, KMSG_MINOR))) {
		close(fd);
		return -1;
	}
	return fd;
}

void note(const char *fmt, ...)
{
	static const char prefix[] = "<3>immure-init: ";
	char line[256];
	va_list args;
	size_t len;
	int fd;

	memcpy(line, prefix, sizeof(prefix));
	va_start(args, fmt);
	vsnprintf(line + sizeof(prefix) - 1, sizeof(line) - sizeof(prefix), fmt, args);
	va_end(args);
	len = strlen(line);
	line[len++] = '\n';
	fd = open_log();
	if (fd < 0)
		return;
	if (write(fd, line, len) < 0) {
		/* Nobody is left to tell. */
	}
	close(fd);
}
