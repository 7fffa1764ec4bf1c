/* SPDX-License-Identifier: Apache-2.0 */
/* rootfs.c: image below, memory above, and then the switch.
 *
 * The image is shared between runs and its disk is read-only; everything the command writes
 * goes to a tmpfs and is gone with the VM.  The file system's kind is read from the image and
 * not guessed by mounting, so that a wrong image is named as such. */
#include "guest/rootfs.h"
#include "guest/modules.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define DEVICE "/dev/vda"
#define LOWER  "/lower"
#define UPPER  "/upper"
#define ROOT   "/newroot"

static const char *const kind_name[] = { "", "ext4", "squashfs", "erofs" };

enum { WAIT_SECONDS = 30, POLL_NS = 2 * 1000 * 1000, DISK_BLOCK = 4096 };

static uint32_t le32_at(const uint8_t *p)
{
	return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 |
	       (uint32_t)p[3] << 24;
}

enum rootfs_kind rootfs_kind(const uint8_t head[static ROOTFS_HEAD])
{
	/* ext4: s_magic at 0x38 of the superblock, which begins at 1024.  squashfs: "hsqs" at
	 * 0.  erofs: 0xe0f5e1e2 at 1024. */
	if (le32_at(head + 1024) == 0xe0f5e1e2)
		return ROOTFS_EROFS;
	if (le32_at(head) == 0x73717368)
		return ROOTFS_SQUASHFS;
	if ((le32_at(head + 1024 + 0x38) & 0xffff) == 0xef53)
		return ROOTFS_EXT4;
	return ROOTFS_UNKNOWN;
}

/* Opens the first disk as soon as its driver has made it. */
static int open_device(struct fail *f)
{
	const struct timespec pause = { .tv_nsec = POLL_NS };
	struct timespec now, start;
	int fd;

	clock_gettime(CLOCK_MONOTONIC, &start);
	while ((fd = open(DEVICE, O_RDONLY | O_CLOEXEC)) < 0) {
		clock_gettime(CLOCK_MONOTONIC, &now);
		if ((errno != ENOENT && errno != ENXIO) || now.tv_sec - start.tv_sec > WAIT_SECONDS)
			return fail_errno(f, errno, "no root disk: open " DEVICE);
		nanosleep(&pause, NULL);
	}
	return fd;
}

static int read_head(struct fail *f, uint8_t head[static ROOTFS_HEAD])
{
	int fd = open_device(f);
	ssize_t n;

	if (fd < 0)
		return -1;
	n = pread(fd, head, ROOTFS_HEAD, 0);
	close(fd);
	if (n < 0)
		return fail_errno(f, errno, "read the root image");
	if (n < ROOTFS_HEAD)
		return fail(f, PROTO_FAIL_SETUP, "the root image is only %zd bytes long", n);
	return 0;
}

static int mount_image(struct fail *f)
{
	uint8_t head[ROOTFS_HEAD];
	enum rootfs_kind kind;

	if (read_head(f, head) < 0)
		return -1;
	kind = rootfs_kind(head);
	if (kind == ROOTFS_UNKNOWN)
		return fail(f, PROTO_FAIL_SETUP,
			    "the root image is neither ext4 nor squashfs nor erofs");
	modules_load_filesystem(kind_name[kind]);
	if (mount(DEVICE, LOWER, kind_name[kind], MS_RDONLY, NULL) == 0)
		return 0;
	/* An ext4 that was not unmounted wants to replay its journal; the disk is read-only. */
	if (kind == ROOTFS_EXT4 && errno == EROFS &&
	    mount(DEVICE, LOWER, "ext4", MS_RDONLY, "noload") == 0)
		return 0;
	if (errno == ENODEV)
		return fail(f, PROTO_FAIL_SETUP,
			    "the root image is %s, which this kernel and its modules do not know",
			    kind_name[kind]);
	return fail_errno(f, errno, "mount the root image as %s", kind_name[kind]);
}

/* What the other disks carry is for the command to mount, when no module can be loaded any more: so now. On
 * one that carries nothing we know, it may yet make a file system that can be written.  One block of each is
 * read, past the cache, which would read on: disks may have rate limits. */
static void load_for_disks(void)
{
	static uint8_t block[DISK_BLOCK] __attribute__((aligned(DISK_BLOCK)));
	char path[] = "/dev/vd?";

	for (char letter = 'b'; letter <= 'z'; letter++) {
		enum rootfs_kind kind = ROOTFS_UNKNOWN;
		int fd;

		path[sizeof(path) - 2] = letter;
		fd = open(path, O_RDONLY | O_DIRECT | O_CLOEXEC);
		if (fd < 0)
			return;
		if (read(fd, block, sizeof(block)) == sizeof(block))
			kind = rootfs_kind(block);
		close(fd);
		modules_load_filesystem(kind_name[kind == ROOTFS_UNKNOWN ? ROOTFS_EXT4 : kind]);
	}
}

static int mount_overlay(struct fail *f)
{
	struct stat st;

	if (mount("tmpfs", UPPER, "tmpfs", 0, "mode=755") < 0)
		return fail_errno(f, errno, "mount a tmpfs");
	if (mkdir(UPPER "/data", 0755) < 0 || mkdir(UPPER "/work", 0755) < 0)
		return fail_errno(f, errno, "mkdir in the tmpfs");
	/* The overlay's top directory shows the attributes of the upper one. */
	if (stat(LOWER, &st) < 0 || chown(UPPER "/data", st.st_uid, st.st_gid) < 0 ||
	    chmod(UPPER "/data", st.st_mode & 07777) < 0)
		return fail_errno(f, errno, "attributes of the root directory");
	if (mount("overlay", ROOT, "overlay", 0,
		  "lowerdir=" LOWER ",upperdir=" UPPER "/data,workdir=" UPPER "/work") < 0)
		return fail_errno(f, errno, "mount the overlay over the root image");
	return 0;
}

static int switch_root(struct fail *f)
{
	if (mkdir(ROOT "/dev", 0755) < 0 && errno != EEXIST)
		return fail_errno(f, errno, "mkdir /dev in the root image");
	if (mount("/dev", ROOT "/dev", NULL, MS_MOVE, NULL) < 0)
		return fail_errno(f, errno, "move /dev into the root image");
	if (chdir(ROOT) < 0 || mount(".", "/", NULL, MS_MOVE, NULL) < 0 || chroot(".") < 0 ||
	    chdir("/") < 0)
		return fail_errno(f, errno, "switch to the root image");
	return 0;
}

int rootfs_switch(struct fail *f)
{
	if (mkdir(LOWER, 0755) < 0 || mkdir(UPPER, 0755) < 0 || mkdir(ROOT, 0755) < 0)
		return fail_errno(f, errno, "mkdir in the initramfs");
	if (mount_image(f) < 0 || mount_overlay(f) < 0)
		return -1;
	load_for_disks();
	modules_forget();
	return switch_root(f);
}
