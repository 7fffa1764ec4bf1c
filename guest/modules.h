/* SPDX-License-Identifier: Apache-2.0 */
/* modules.h: the kernel modules that came with the initramfs. */
#ifndef IMMURE_GUEST_MODULES_H
#define IMMURE_GUEST_MODULES_H

/* Loads the modules named in /modules/order, in that order, except the file systems that only
 * the root image may need.  A module that is refused is noted in the kernel log and otherwise
 * ignored: what needs it fails later, with a better text. */
void modules_load(void);

/* Loads the file system @name ("erofs"), whose dependencies modules_load() has loaded.  Nothing
 * happens when it is built in. */
void modules_load_filesystem(const char *name);

/* Gives the memory of /modules and /init back.  After the last module was loaded. */
void modules_forget(void);

#endif
