/* SPDX-License-Identifier: Apache-2.0 */
/* kernel_import.h: makes a bootable pair of a kernel and immure-init. */
#ifndef IMMURE_CLI_KERNEL_IMPORT_H
#define IMMURE_CLI_KERNEL_IMPORT_H

#include "cli/kernel_unpack.h"

/* What to import. */
struct import {
	const char *path;	/* NULL: the newest of /boot */
	const char *name;	/* NULL: the kernel's version */
	bool bzimage;		/* keep the bzImage instead of the vmlinux inside */
};

/* Imports and prints the name under which it is known to standard output.  Interrupted by a
 * signal it cleans up first.  Returns 0, or -1 after an error message. */
must_check int kernel_import(const struct import *what);

/* Which immure-init would go into an initramfs now: its path, and a text that changes when the
 * file does.  False: it is not installed. */
must_check bool import_find_init(char *path, size_t path_size, char *stamp, size_t stamp_size);

/* The first half of an initramfs, /init made of the file at @path, appended to @out.  Returns 0
 * or -errno. */
must_check int import_init_archive(const char *path, struct blob *out);

enum { IMPORT_STAMP = 64 };

#endif
