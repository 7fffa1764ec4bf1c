/* SPDX-License-Identifier: Apache-2.0 */
/* blocks.h: the sizes that an image would like to be read and written in. */
#ifndef IMMURE_JAILER_BLOCKS_H
#define IMMURE_JAILER_BLOCKS_H

#include "jailer/config.h"

#include <sys/stat.h>

/* Finds out about the image @fd of @disk, of which @st is what fstat() says: a regular file or a
 * block device.  Returns 0, or -1 with @f filled. */
must_check int blocks_find(struct vm_blocks *b, int fd, const struct stat *st,
			   const struct config_disk *disk, struct failure *f);

/* How many bytes the image @fd has, of which @st is what fstat() says.  Returns 0 or -errno. */
must_check int blocks_size(uint64_t *size, int fd, const struct stat *st);

/* Fills @f: @disk is to be direct, and cannot be.  Returns -1. */
int blocks_no_direct(const struct config_disk *disk, struct failure *f);

#endif
