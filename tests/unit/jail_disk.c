/* SPDX-License-Identifier: Apache-2.0 */
/* LIBS: -ljansson */
/* Images are opened as asked for, and what is found out about them reaches the device. */
#include "core/guestmem.c"
#include "core/bucket.c"
#include "core/limits.c"
#include "core/log.c"
#include "core/overlay.c"
#include "core/vmconfig.c"
#include "bpf/wall.c"
#include "jailer/blocks.c"
#include "jailer/direct.c"
#include "jailer/bpf.c"
#include "jailer/config.c"
#include "jailer/config_user.c"
#include "jailer/config_wall.c"
#include "jailer/wall_text.c"
#include "jailer/wall.c"
#include "jailer/mac.c"
#include "jailer/failure.c"
#include "jailer/memfd.c"
#include "jailer/open.c"
#include "jailer/overlay.c"
#include "jailer/path.c"
#include "jailer/plan.c"
#include "jailer/tap.c"

#include <criterion/criterion.h>
#include <linux/loop.h>
#include <sys/ioctl.h>

/* No interface of these tests is passt's. */
int passt_open(struct opened *opened, const struct plan *plan, struct failure *why)
{
	(void)opened, (void)plan, (void)why;
	return -1;
}

static struct config c;
static struct plan p;
static struct opened o;
static struct failure f;
static char path[32];

static void make_image(void)
{
	int fd;

	snprintf(path, sizeof(path), "/var/tmp/disk-XXXXXX");
	fd = mkstemp(path);
	cr_assert(fd >= 0 && ftruncate(fd, 64 << 10) == 0 && close(fd) == 0);
}

static void remove_image(void)
{
	cr_assert_eq(unlink(path), 0);
}

TestSuite(jail_disk, .init = make_image, .fini = remove_image, .timeout = 20);

/* Opens the image @at of a VM that says @more of it. */
static int opened_as(const char *at, const char *more)
{
	struct plan_caller who = { 0 };
	char text[256];

	snprintf(text, sizeof(text), "{\"name\":\"v\",\"kernel\":\"/k\","
		 "\"disks\":[{\"path\":\"%s\"%s}]}", at, more);
	cr_assert_eq(config_parse(&c, text, strlen(text), &f), 0, "%s", f.text);
	plan_make(&p, &c, &who);
	opened_init(&o);
	return open_disk(&o, &p, 0, &f);
}

/* What the device will read. */
static const struct vm_blocks *told(void)
{
	static struct vm_config vc;

	vc = (struct vm_config){ .magic = VMCONFIG_MAGIC, .ram = 32 << 20, .vcpus = 1, .kernel_size = 1 };
	fill_devices(&vc, &c, &o);
	cr_assert(vmconfig_valid(&vc));
	return &vc.device[0].blocks;
}

Test(jail_disk, a_file_has_blocks_that_pass_every_check)
{
	cr_assert_eq(opened_as(path, ""), 0, "%s", f.text);
	cr_assert_eq(told()->logical, 512);
	cr_assert_eq(fcntl(o.fd[OBJ_DISK][0], F_GETFL) & O_DIRECT, 0);
}

Test(jail_disk, the_block_size_asked_for_reaches_the_device)
{
	cr_assert_eq(opened_as(path, ",\"block_size\":4096"), 0, "%s", f.text);
	cr_assert(told()->logical == 4096 && told()->physical >= 4096);
	cr_assert_eq(truncate(path, 10000), 0);
	cr_assert_eq(opened_as(path, ",\"block_size\":1024"), -1);
	cr_assert_not_null(strstr(f.text, "its 10000 bytes are not whole blocks of 1024"), "%s", f.text);
}

Test(jail_disk, direct_is_a_flag_of_the_descriptor)
{
	static const char *const modes[] = { "", ",\"readonly\":false" };
	int fd = open(path, O_RDONLY | O_DIRECT | O_CLOEXEC);

	if (fd < 0)
		cr_skip_test("NO DIRECT I/O in /var/tmp: not tried");
	close(fd);
	for (size_t i = 0; i < 2; i++) {
		char more[64];

		snprintf(more, sizeof(more), ",\"direct\":true%s", modes[i]);
		cr_assert_eq(opened_as(path, more), 0, "%s", f.text);
		cr_assert_neq(fcntl(o.fd[OBJ_DISK][0], F_GETFL) & O_DIRECT, 0);
		cr_assert(told()->logical >= 512);
		close(o.fd[OBJ_DISK][0]);
	}
}

Test(jail_disk, a_file_system_without_direct_io_is_named)
{
	cr_assert_eq(opened_as("/proc/version", ",\"direct\":true"), -1);
	cr_assert_str_eq(f.text, "disk /proc/version: its file system has no direct I/O: "
			 "attach it without cache=direct");
}

/* A block device of the image, with blocks of @block bytes, that goes when it is closed; -1: none
 * can be made here. */
static int loop_device(uint32_t block, char *name, size_t size)
{
	int control = open("/dev/loop-control", O_RDWR | O_CLOEXEC);
	int image = open(path, O_RDWR | O_CLOEXEC), fd = -1;
	struct loop_config lc = {
		.fd = (uint32_t)image, .block_size = block, .info.lo_flags = LO_FLAGS_AUTOCLEAR,
	};

	/* Somebody else may take the free one first. */
	for (int i = 0; control >= 0 && fd < 0 && i < 20; i++) {
		snprintf(name, size, "/dev/loop%d", ioctl(control, LOOP_CTL_GET_FREE));
		fd = open(name, O_RDWR | O_CLOEXEC);
		if (fd >= 0 && ioctl(fd, LOOP_CONFIGURE, &lc) < 0) {
			close(fd);
			fd = -1;
		}
	}
	close(control);
	close(image);
	return fd;
}

Test(jail_disk, a_block_device_of_this_machine_is_asked)
{
	char name[24];
	int fd = loop_device(4096, name, sizeof(name));

	if (fd < 0)
		cr_skip_test("NO LOOP DEVICE can be made here: no block device was asked");
	cr_assert_eq(opened_as(name, ""), 0, "%s", f.text);
	cr_assert(told()->logical == 4096 && told()->physical == 4096);
	close(o.fd[OBJ_DISK][0]);
	cr_assert_eq(opened_as(name, ",\"direct\":true,\"block_size\":4096"), 0, "%s", f.text);
	cr_assert_eq(told()->logical, 4096);
	close(o.fd[OBJ_DISK][0]);
	cr_assert_eq(opened_as(name, ",\"block_size\":512"), -1);
	cr_assert_not_null(strstr(f.text, "has blocks of 4096 bytes; 512 asked"), "%s", f.text);
	close(o.fd[OBJ_DISK][0]);
	close(fd);
}

/* ---- overlays ---- */

static char file[48];	/* of the overlay, beside the image */

static int overlaid(const char *at, const char *more)
{
	char text[200];

	snprintf(file, sizeof(file), "%s.overlay", path);
	snprintf(text, sizeof(text), ",\"readonly\":false,\"overlay\":true%s%s%s%s", at != NULL ?
		 ",\"overlay_path\":\"" : "", at != NULL ? at : "", at != NULL ? "\"" : "", more);
	return opened_as(path, text);
}

static void close_both(void)
{
	close(o.fd[OBJ_OVERLAY][0]);
	close(o.fd[OBJ_DISK][0]);
}

static const struct vm_device *device(void)
{
	return (const struct vm_device *)(const void *)((const char *)told() -
							offsetof(struct vm_device, blocks));
}

static struct stat stat_of(int fd)
{
	struct stat st;

	cr_assert_eq(fstat(fd, &st), 0);
	return st;
}

Test(jail_disk, an_overlay_in_memory_can_neither_grow_nor_shrink)
{
	int fd;

	cr_assert_eq(overlaid(NULL, ""), 0, "%s", f.text);
	fd = o.fd[OBJ_OVERLAY][0];
	cr_assert_eq(fcntl(fd, F_GET_SEALS) & (F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL),
		     F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL);
	cr_assert(stat_of(fd).st_size == 131072 && stat_of(fd).st_blocks == 0);
	cr_assert(o.disk_size[0] == 131072 && o.overlay_dev[0] == 0);
	cr_assert_eq(fcntl(o.fd[OBJ_DISK][0], F_GETFL) & O_ACCMODE, O_RDONLY, "the base");
	cr_assert(device()->base_size == 65536 && device()->overlay_limit == 256 << 20);
	cr_assert_eq(device()->flags, VM_BLK_DISCARD);
	close_both();
}

Test(jail_disk, an_overlay_in_a_file_is_made_once_and_found_again)
{
	struct overlay_layout l;
	struct overlay_header want, have;

	snprintf(file, sizeof(file), "%s.overlay", path);
	cr_assert_eq(overlaid(file, ",\"overlay_limit\":65536"), 0, "%s", f.text);
	cr_assert(overlay_layout(&l, 65536));
	overlay_header(&want, &l);
	cr_assert_eq(pread(o.fd[OBJ_OVERLAY][0], &have, sizeof(have), 0), (ssize_t)sizeof(have));
	cr_assert_eq(memcmp(&have, &want, sizeof(have)), 0);
	cr_assert_eq(stat_of(o.fd[OBJ_OVERLAY][0]).st_mode, S_IFREG | 0600);
	cr_assert_eq(o.disk_size[0], l.size);
	cr_assert_eq(o.overlay_dev[0], stat_of(o.fd[OBJ_OVERLAY][0]).st_dev);
	cr_assert(device()->flags == (VM_BLK_DISCARD | VM_BLK_KEPT) && device()->overlay_limit == 65536);
	cr_assert_eq(pwrite(o.fd[OBJ_OVERLAY][0], "kept", 4, (off_t)l.data), 4);
	close_both();
	cr_assert_eq(overlaid(file, ""), 0, "%s", f.text);
	memset(&have, 0, sizeof(have));
	cr_assert_eq(pread(o.fd[OBJ_OVERLAY][0], &have, 4, (off_t)l.data), 4);
	cr_assert_eq(memcmp(&have, "kept", 4), 0);
	close_both();
	cr_assert_eq(unlink(file), 0);
}

Test(jail_disk, an_empty_file_becomes_an_overlay)
{
	int fd;

	snprintf(file, sizeof(file), "%s.overlay", path);
	fd = open(file, O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0600);
	cr_assert_eq(overlaid(file, ""), 0, "%s", f.text);
	cr_assert_eq(stat_of(fd).st_size, 131072);
	close(fd);
	close_both();
	cr_assert_eq(unlink(file), 0);
}

/* One base for many, a file for one. */
Test(jail_disk, a_base_is_shared_and_an_overlay_is_not)
{
	struct opened first;

	cr_assert_eq(overlaid(NULL, ""), 0, "%s", f.text);
	first = o;
	cr_assert_eq(overlaid(NULL, ""), 0, "%s", f.text);
	close_both();
	cr_assert_eq(opened_as(path, ""), 0, "and with who only reads it");
	close(o.fd[OBJ_DISK][0]);
	cr_assert_eq(opened_as(path, ",\"readonly\":false"), -1, "but not with who writes it");
	cr_assert_not_null(strstr(f.text, "in use by another VM"), "%s", f.text);
	close(o.fd[OBJ_DISK][0]);
	o = first;
	close_both();
	cr_assert_eq(overlaid(file, ""), 0, "%s", f.text);
	first = o;
	cr_assert_eq(overlaid(file, ""), -1);
	cr_assert_not_null(strstr(f.text, ".overlay: in use by another VM"), "%s", f.text);
	close(o.fd[OBJ_DISK][0]);
	o = first;
	close_both();
	cr_assert_eq(unlink(file), 0);
}

/* Refused with @why in the message, and @file still of @size bytes, all of them 'x'. */
static void unharmed(const char *why, size_t size)
{
	static char have[1 << 18];
	int fd;

	cr_assert_eq(overlaid(file, ""), -1);
	cr_assert_not_null(strstr(f.text, why), "%s", f.text);
	fd = open(file, O_RDONLY | O_CLOEXEC);
	cr_assert_eq(read(fd, have, sizeof(have)), (ssize_t)size);
	for (size_t i = 0; i < size; i++)
		cr_assert_eq(have[i], 'x');
	close(fd);
	close(o.fd[OBJ_DISK][0]);
}

Test(jail_disk, a_file_of_another_size_is_no_overlay)
{
	static const size_t sizes[] = { 1, 512, 4096, 131071, 131073 };
	static char x[1 << 18];

	memset(x, 'x', sizeof(x));
	snprintf(file, sizeof(file), "%s.overlay", path);
	for (size_t i = 0; i < array_len(sizes); i++) {
		int fd = open(file, O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0600);

		cr_assert_eq(write(fd, x, sizes[i]), (ssize_t)sizes[i]);
		close(fd);
		unharmed("not an overlay of", sizes[i]);
	}
	cr_assert_eq(unlink(file), 0);
}

Test(jail_disk, links_pipes_and_devices_are_no_overlays)
{
	char other[64];

	snprintf(file, sizeof(file), "%s.overlay", path);
	snprintf(other, sizeof(other), "%s.other", path);
	cr_assert_eq(symlink(other, file), 0);
	cr_assert_eq(overlaid(file, ""), -1);
	cr_assert_not_null(strstr(f.text, "symbolic link"), "%s", f.text);
	cr_assert(access(other, F_OK) < 0, "nothing was made where it leads");
	cr_assert(unlink(file) == 0 && mkfifo(file, 0600) == 0);
	cr_assert_eq(overlaid(file, ""), -1);
	cr_assert_not_null(strstr(f.text, "not a regular file"), "%s", f.text);
	cr_assert(unlink(file) == 0 && mkdir(file, 0700) == 0);
	cr_assert_eq(overlaid(file, ""), -1);
	cr_assert_not_null(strstr(f.text, "Is a directory"), "%s", f.text);
	cr_assert_eq(rmdir(file), 0);
	cr_assert_eq(overlaid("/dev/null", ""), -1);
	cr_assert_not_null(strstr(f.text, "not a regular file"), "%s", f.text);
	cr_assert_eq(overlaid("/nowhere/overlay", ""), -1);
	cr_assert_not_null(strstr(f.text, "open overlay /nowhere/overlay"), "%s", f.text);
	cr_assert_eq(overlaid(path, ""), -1, "nor the base itself");
}

Test(jail_disk, a_base_without_a_sector_has_no_overlay)
{
	cr_assert_eq(truncate(path, 511), 0);
	cr_assert_eq(overlaid(NULL, ""), -1);
	cr_assert_not_null(strstr(f.text, "an overlay takes a base of a sector to 1024 GiB"), "%s", f.text);
	cr_assert_eq(truncate(path, 1000), 0);
	cr_assert_eq(overlaid(NULL, ""), 0, "%s", f.text);
	cr_assert_eq(device()->base_size, 512);
	cr_assert_eq(truncate(path, (1ll << 40) + 512), 0);
	cr_assert_eq(overlaid(NULL, ""), -1);
}

Test(jail_disk, a_block_device_can_be_a_base)
{
	char name[24], text[200];
	int fd = loop_device(4096, name, sizeof(name));

	if (fd < 0)
		cr_skip_test("NO LOOP DEVICE can be made here: no block device was a base");
	snprintf(text, sizeof(text), ",\"readonly\":false,\"overlay\":true");
	cr_assert_eq(opened_as(name, text), 0, "%s", f.text);
	cr_assert(device()->base_size == 65536 && o.disk_size[0] == 131072);
	close_both();
	close(fd);
}
