/* SPDX-License-Identifier: Apache-2.0 */
/* rootfs.h: the image on the first disk becomes the root file system. */
#ifndef IMMURE_GUEST_ROOTFS_H
#define IMMURE_GUEST_ROOTFS_H

#include "guest/fail.h"

enum rootfs_kind { ROOTFS_UNKNOWN, ROOTFS_EXT4, ROOTFS_SQUASHFS, ROOTFS_EROFS };

enum { ROOTFS_HEAD = 2048 };	/* bytes that tell the kind */

/* What the first ROOTFS_HEAD bytes of an image say it is.  Pure. */
enum rootfs_kind rootfs_kind(const uint8_t head[static ROOTFS_HEAD]);

/* Waits for /dev/vda (at most 30 s), mounts it read-only, covers it with an overlay in memory,
 * moves /dev there and makes it the root.  The initramfs is emptied and out of reach. Returns
 * 0, or -1 with @f filled. */
must_check int rootfs_switch(struct fail *f);

#endif
