/* SPDX-License-Identifier: Apache-2.0 */
/* kernel_source.h: where a kernel comes from: a package, a directory, /boot. */
#ifndef IMMURE_CLI_KERNEL_SOURCE_H
#define IMMURE_CLI_KERNEL_SOURCE_H

#include "cli/kernel_unpack.h"

#include <limits.h>

/* A kernel that was found: its bzImage, its version, and its modules. */
struct kernel_source {
	char vmlinuz[PATH_MAX];
	char version[128];
	char modules[PATH_MAX];		/* "": it has none */
	struct blob image;		/* contents of vmlinuz; owned */
};

/* Looks at @path: a bzImage, a directory that holds one or several (itself, or in boot/), or,
 * NULL, the machine's own /boot; of several it takes the newest.  Modules are those of that
 * version in lib/modules or usr/lib/modules beside.  Returns 0, or -1 after an error message.
 * kernel_source_free() is right in either case. */
must_check int kernel_source_open(const char *path, struct kernel_source *out);
void kernel_source_free(struct kernel_source *s);

/* True when the file at @path is a Debian package. */
bool kernel_source_is_deb(const char *path);

/* Unpacks the package at @deb into the empty directory @dir (dpkg-deb).  Returns 0, or -1 after
 * an error message. */
must_check int kernel_source_unpack(const char *deb, const char *dir);

#endif
