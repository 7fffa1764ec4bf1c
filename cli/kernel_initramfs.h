/* SPDX-License-Identifier: Apache-2.0 */
/* kernel_initramfs.h: the small archive a guest starts from, in the kernel's "newc" format. */
#ifndef IMMURE_CLI_KERNEL_INITRAMFS_H
#define IMMURE_CLI_KERNEL_INITRAMFS_H

#include "cli/kernel_modules.h"

/* Appends an archive with /init, whose bytes are @init, to @out.  Returns 0 or -ENOMEM. */
must_check int initramfs_init(struct blob *out, const struct blob *init);

/* Appends an archive with /modules/NNN-NAME.ko and /modules/order to @out; archives may follow one
 * another.  Returns 0 or -ENOMEM. */
must_check int initramfs_modules(struct blob *out, const struct modules *m);

#endif
