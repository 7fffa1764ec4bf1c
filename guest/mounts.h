/* SPDX-License-Identifier: Apache-2.0 */
/* mounts.h: the kernel's own file systems, before and after the root was switched. */
#ifndef IMMURE_GUEST_MOUNTS_H
#define IMMURE_GUEST_MOUNTS_H

#include "guest/fail.h"

/* In the initramfs: /dev, and descriptors 0 to 2 so that nothing else lands there.  Returns 0
 * or -1 with @f filled. */
must_check int mounts_early(struct fail *f);

/* In the image: /proc, /sys, /dev/pts, /dev/shm, /dev/mqueue, /run, /sys/fs/cgroup, and the
 * links programs expect in /dev; /tmp is made when the image has none.  Missing mount points
 * are made in the overlay: an image needs no directory of its own.  Returns 0 or -1 with @f
 * filled. */
must_check int mounts_late(struct fail *f);

/* Unmounts what the command mounted from block devices, last first, so that those file systems
 * are clean; what is busy becomes read-only.  After every process is gone. */
void mounts_undo(void);

#endif
