/* SPDX-License-Identifier: Apache-2.0 */
/* cache.h: where imported kernels and images made of directories are kept.
 *
 * $IMMURE_CACHE, else /var/cache/immure for root, else $XDG_CACHE_HOME/immure or
 * ~/.cache/immure.  Everything in it can be made again. */
#ifndef IMMURE_CLI_CACHE_H
#define IMMURE_CLI_CACHE_H

#include <stddef.h>

/* Puts the absolute path of the cache's subdirectory @sub ("images") into @path, making it (mode
 * 0700) when it is not there.  Refuses one that belongs to another user, except root, or that
 * others may write to.  Returns 0, or -1 after an error message. */
int cache_dir(const char *sub, char *path, size_t size);

#endif
