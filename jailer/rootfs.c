/* SPDX-License-Identifier: Apache-2.0 */
/* rootfs.c: pivots into an empty read-only tmpfs and lets go of the host's file systems.
 *
 * /proc serves as the place to mount on because it exists on every host that works at all; a
 * directory of our own making would have to be removed again.  The tmpfs is read-only from its
 * first moment and has no inode to spare.  MS_PRIVATE first: what we do to the copy of the
 * host's mounts must not propagate back, and pivot_root insists on it. */
#include "jailer/rootfs.h"

#include <errno.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef MS_NOSYMFOLLOW
#define MS_NOSYMFOLLOW 256		/* Linux 5.10 */
#endif

int rootfs_enter(struct failure *f)
{
	unsigned long flags = MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC | MS_NOSYMFOLLOW;

	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		return fail(f, errno, NULL, "make mounts private");
	if (mount("immure", "/proc", "tmpfs", flags, "mode=0555,nr_inodes=1,size=4k") < 0)
		return fail(f, errno, NULL, "mount an empty root");
	if (chdir("/proc") < 0 || syscall(SYS_pivot_root, ".", ".") < 0)
		return fail(f, errno, "the root must not be a ramfs (initramfs)",
			    "change the root");
	/* The old root now lies over the new one. */
	if (umount2(".", MNT_DETACH) < 0 || chdir("/") < 0)
		return fail(f, errno, NULL, "detach the old root");
	return 0;
}
