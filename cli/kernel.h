/* SPDX-License-Identifier: Apache-2.0 */
/* kernel.h: imported kernels: what `immure run` boots.
 *
 * An imported kernel is a directory <cache>/kernels/NAME with
 *     vmlinux      the kernel: ELF, or with --bzimage the file as it was
 *     initramfs    immure-init and the modules, newc cpio, not compressed
 *     modules.cpio the second half of initramfs, so that it can be made again with another init
 *     meta.json    name, version, format, sha256 (of the file it was made of), created (seconds
 *                  since 1970), init (which immure-init is inside: size and time)
 * It appears and disappears as a whole: made beside, then renamed. */
#ifndef IMMURE_CLI_KERNEL_H
#define IMMURE_CLI_KERNEL_H

#include "core/base.h"

#include <limits.h>

enum { KERNEL_NAME = 65, KERNEL_VERSION = 128, KERNEL_SHA256 = 65 };

struct kernel {
	char name[KERNEL_NAME];		/* [a-zA-Z0-9][a-zA-Z0-9._+-]*, or "" for a path */
	char version[KERNEL_VERSION];	/* as uname -r says it */
	char sha256[KERNEL_SHA256];	/* hexadecimal, of the vmlinuz it was made of */
	bool bzimage;
	int64_t created;		/* seconds since 1970 */
	char vmlinux[PATH_MAX];		/* absolute path of the kernel, whichever its format */
	char initramfs[PATH_MAX];
	char store_dir[PATH_MAX];	/* where it is kept; "" for a path */
};

/* Finds the kernel @name: an imported one; with a slash in it, a directory with vmlinux and
 * initramfs (whoever owns it: nothing else in it is looked at); NULL, the one imported last.
 * Changes nothing.  Returns 0, or -1 after an error message. */
must_check int kernel_find(const char *name, struct kernel *out);

/* Makes the initramfs of an imported kernel again when it has another build's immure-init inside
 * and may be written.  What cannot be renewed is said, and used as it is. */
void kernel_renew(const struct kernel *k);

#endif
