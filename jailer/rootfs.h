/* SPDX-License-Identifier: Apache-2.0 */
/* rootfs.h: an empty directory as the root of everything. */
#ifndef IMMURE_JAILER_ROOTFS_H
#define IMMURE_JAILER_ROOTFS_H

#include "core/base.h"
#include "jailer/failure.h"

/* Replaces the root of the calling process's (own) mount namespace by an empty read-only
 * directory, which is then the working directory too.  /proc and everything else is gone,
 * descriptors stay.  Returns 0, or -1 with @f filled. */
must_check int rootfs_enter(struct failure *f);

#endif
