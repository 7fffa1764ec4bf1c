/* SPDX-License-Identifier: Apache-2.0 */
/* kernel_modules.h: which modules a guest needs, and in which order. */
#ifndef IMMURE_CLI_KERNEL_MODULES_H
#define IMMURE_CLI_KERNEL_MODULES_H

#include "cli/kernel_unpack.h"

#include <limits.h>

enum { MODULES_MAX = 64, MODULE_NAME = 64 };

/* One module file, unpacked; a signature at its end is kept. */
struct module {
	char name[MODULE_NAME];			/* "virtio_blk": '-' written as '_' */
	struct blob file;
	char depends[512];			/* names, separated by commas */
};

/* In load order after modules_collect(). */
struct modules {
	unsigned int count;
	struct module list[MODULES_MAX];
};

/* Finds what a guest of immure needs in @dir (lib/modules/VERSION; NULL: the kernel has no
 * modules): drivers for virtio-mmio, block and vsock, overlay, and the file systems a root
 * image may have, with everything they depend on, each unless it is built in.  Returns 0, or -1
 * after an error message: a driver is neither there nor built in, or a file is damaged.
 * modules_free() is right in either case. */
must_check int modules_collect(const char *dir, struct modules *out);

void modules_free(struct modules *m);

/* The value of @key in the .modinfo section of @elf (a whole .ko file) into @value, at most
 * @size bytes with the NUL.  False: no such file, section or key, or it is longer. */
must_check bool modules_info(const struct blob *elf, const char *key, char *value, size_t size);

/* Puts @m in an order where everything comes behind what it depends on (as far as that is in
 * the list).  False: there is none, it is a circle. */
must_check bool modules_sort(struct modules *m);

#endif
