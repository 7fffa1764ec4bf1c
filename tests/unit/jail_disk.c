/* SPDX-License-Identifier: Apache-2.0 */
/* LIBS: -ljansson */
/* Images are opened as asked for, and what is found out about them reaches the device. */
#include "core/guestmem.c"
#include "core/bucket.c"
#include "core/limits.c"
#include "core/log.c"
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
#include "jailer/open.c"
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
