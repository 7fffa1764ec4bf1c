/* SPDX-License-Identifier: Apache-2.0 */
/* image.h: a directory or an image file as the root disk of a machine.
 *
 * A directory becomes a read-only image, once, kept in the cache under a key made of its
 * listing (path, type, mode, size, times of modification and change, owner of every entry); an
 * image file is used as it is.  An image's first bytes are looked at here only to give an early
 * error: they never choose how the host treats the file, which is raw always. */
#ifndef IMMURE_CLI_IMAGE_H
#define IMMURE_CLI_IMAGE_H

#include <stdbool.h>
#include <stddef.h>

/* Finds or makes the image of @rootfs and puts its absolute path into @path (@size bytes).
 * Progress goes to standard error when that is a terminal.  Returns 0; otherwise a message
 * ("immure: ...": what failed, why, what to do) has been printed and it returns -1.  Interrupted
 * or failed, it leaves no half-made file. */
int image_prepare(const char *rootfs, char *path, size_t size);

#endif
