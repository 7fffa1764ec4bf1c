/* SPDX-License-Identifier: Apache-2.0 */
/* LIBS: -ljansson */
/* The same as jail_bounded.c for disks: a hostile disk process makes its disk work as hard as it
 * can, which is as hard as the VM may. */
#include "tests/unit/jail_hostile.h"

#include <linux/loop.h>
#include <sys/ioctl.h>

enum {
	MEASURE_MS = 6000,
	IO_RATE = 1 << 20,		/* bytes a second */
	DEVICE_BYTES = 64 << 20,
};

TestSuite(bounded_io, .init = make, .fini = undo, .timeout = 600);

/* What the disk process has done so far, by the kernel's count: calls that write, or bytes it
 * has had.  (A cgroup's own count is of what was asked for, the kernel's reading ahead included.) */
static unsigned long long done(const char *what)
{
	return usage_sum(usage_proc(r.pid[1], "io"), what);
}

Test(bounded_io, a_storm_of_flushes_leaves_the_neighbour_alone)
{
	unsigned long long before;

	start("storm blk", disk(), true, "");
	rig_running(&r);
	before = done("syscw: ");
	neighbour_answers(&n, QUESTIONS);
	while (done("syscw: ") == before)	/* the test's own time limit ends this */
		sleep_ms(1);
	neighbour_answers(&n, QUESTIONS);
	stop();
}

/* A block device on top of a file; -1 where the host has none to give. */
static int make_block_device(char *path, size_t size)
{
	char file[64];
	int control = open("/dev/loop-control", O_RDWR | O_CLOEXEC), number, loop, fd;

	number = control < 0 ? -1 : ioctl(control, LOOP_CTL_GET_FREE);
	if (number < 0)
		return -1;
	close(control);
	snprintf(file, sizeof(file), "%s/backing", r.dir);
	snprintf(path, size, "/dev/loop%d", number);
	fd = open(file, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	loop = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0 || loop < 0 || chown(path, r.uid, r.uid) < 0 || ftruncate(fd, DEVICE_BYTES) < 0 ||
	    ioctl(loop, LOOP_SET_FD, fd) < 0)
		return -1;
	close(fd);
	unlink(file);
	return loop;
}

static void keeps_to_its_rate(const char *order, const char *bytes)
{
	char path[32], limit[48];
	unsigned long long got;
	double from, seconds;
	int loop = make_block_device(path, sizeof(path));

	if (loop < 0)
		cr_skip("needs a loop device");
	snprintf(limit, sizeof(limit), "\"io_bytes_per_sec\":%d", IO_RATE);
	start(order, path, true, limit);
	from = usage_now();
	rig_running(&r);
	neighbour_answers(&n, QUESTIONS);
	sleep_ms(MEASURE_MS);
	got = done(bytes);
	seconds = usage_now() - from;
	neighbour_answers(&n, QUESTIONS);
	stop();
	ioctl(loop, LOOP_CLR_FD, 0);
	close(loop);
	cr_log_info("%llu bytes in %.2f s", got, seconds);
	cr_assert_gt(got, IO_RATE);
	/* The kernel hands out a slice of time before it begins to hold back. */
	cr_assert_leq((double)got, IO_RATE * (1.05 * seconds + 1));
}

Test(bounded_io, reading_a_block_device_keeps_to_its_rate)
{
	keeps_to_its_rate("drink blk", "rchar: ");
}

Test(bounded_io, writing_a_block_device_keeps_to_its_rate)
{
	keeps_to_its_rate("storm blk", "wchar: ");
}
