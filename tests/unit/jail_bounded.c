/* SPDX-License-Identifier: Apache-2.0 */
/* LIBS: -ljansson */
/* What a jailed process can waste when everything but the jailer's walls has fallen: it gets no
 * more than the VM was given, and another VM goes on.  fake_hostile.c does the wasting. */
#include "tests/unit/jail_fakes.h"

#include "core/guestmem.c"

#include <linux/loop.h>
#include <sys/ioctl.h>

enum {
	RAM = 32 << 20,			/* of rig_config() */
	OVERHEAD_MAX = 8 << 20,		/* beyond the guest's memory */
	CPU_PERCENT = 50,
	MEASURE_MS = 3000,
	IO_RATE = 1 << 20,		/* bytes a second */
};

static struct rig r;

static void make(void)
{
	r = rig_make(0);
	rig_fakes(&r, "fake_hostile");
}

static void undo(void)
{
	char path[64];

	rig_remove_fakes(&r);
	/* The one directory these VMs do not use, and so do not remove. */
	snprintf(path, sizeof(path), "%s/parent/run", r.dir);
	rmdir(path);
	rig_nothing_left(&r);
	rig_remove(&r);
}

TestSuite(bounded, .init = make, .fini = undo, .timeout = 120);

/* Starts the VM, with a disk and nothing else; @more is added to its configuration. */
static void start(const char *what, const char *disk, const char *more)
{
	char text[1024];

	snprintf(text, sizeof(text), "{\"name\":\"%s\",\"id\":5,\"kernel\":\"%s/idle\",\"entry\":\"flat\","
		 "\"memory\":%d,\"disks\":[{\"path\":\"%s\",\"readonly\":false}],\"cmdline\":\"%s\"%s}",
		 r.name, r.dir, RAM, disk, what, more);
	rig_start(&r, text);
}

static const char *disk(void)
{
	static char path[64];

	snprintf(path, sizeof(path), "%s/disk", r.dir);
	return path;
}

static void stop(void)
{
	cr_assert_eq(kill(r.jailer, SIGTERM), 0);
	json_decref(rig_end(&r, "stopped", 0));
}

/* Another VM starts, runs its guest and ends, while this one does its worst. */
static void neighbour_answers(void)
{
	struct rig other = rig_make(0);
	char text[512];

	snprintf(text, sizeof(text), "{\"name\":\"%s-n\",\"id\":6,\"kernel\":\"%s/done\","
		 "\"entry\":\"flat\",\"memory\":%d}", r.name, other.dir, RAM);
	for (int i = 0; i < 5; i++) {
		rig_start(&other, text);
		json_decref(rig_end(&other, "guest-poweroff", 0));
	}
	rig_remove(&other);
}

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + 1e-9 * (double)ts.tv_nsec;
}

static void sleep_ms(long ms)
{
	struct timespec ts = { .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000 };

	nanosleep(&ts, NULL);
}

/* Seconds of CPU that the VM's processes have had. */
static double cpu_seconds(void)
{
	unsigned long long ns, sum = 0;
	char path[64];

	for (unsigned i = 0; i < r.nprocs; i++) {
		FILE *f;

		snprintf(path, sizeof(path), "/proc/%d/schedstat", (int)r.pid[i]);
		f = fopen(path, "re");
		if (f != NULL && fscanf(f, "%llu", &ns) == 1)
			sum += ns;
		if (f != NULL)
			fclose(f);
	}
	return 1e-9 * (double)sum;
}

Test(bounded, processes_that_spin_get_their_quota_and_no_more)
{
	double from, to, used;

	start("spin", disk(), ",\"limits\":{\"cpu_percent\":50}");
	rig_running(&r);
	sleep_ms(300);
	used = cpu_seconds();
	from = now();
	neighbour_answers();
	sleep_ms(MEASURE_MS);
	used = cpu_seconds() - used;
	to = now();
	cr_log_info("%.2f s of CPU in %.2f s", used, to - from);
	cr_assert_leq(used, (CPU_PERCENT + 5) / 100.0 * (to - from));
	cr_assert_geq(used, 0.05 * (to - from), "nothing was wasted: %f", used);
	stop();
}

/* The limit of the VM's memory as the kernel has it; -1 where there is no memory cgroup. */
static long long memory_limit(void)
{
	static const char *const files[] = {
		"/sys/fs/cgroup/memory/immure/%s/memory.limit_in_bytes",
		"/sys/fs/cgroup/immure/%s/memory.max",
	};
	long long limit = -1;
	char path[128];

	for (size_t i = 0; i < array_len(files); i++) {
		FILE *f;

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
		snprintf(path, sizeof(path), files[i], r.name);
#pragma GCC diagnostic pop
		f = fopen(path, "re");
		if (f != NULL && fscanf(f, "%lld", &limit) != 1)
			limit = -1;
		if (f != NULL)
			fclose(f);
	}
	return limit;
}

Test(bounded, memory_ends_with_the_guests_and_eight_mebibytes)
{
	long long limit;
	json_t *end;

	start("spin", disk(), "");
	rig_running(&r);
	limit = memory_limit();
	cr_assert_geq(limit, RAM, "no limit");
	cr_assert_leq(limit, (long long)guestmem_file_size(RAM) + OVERHEAD_MAX);
	stop();
	start("touch", disk(), "");
	end = rig_end(&r, "memory-limit", 1);
	cr_assert_str_eq(rig_word(end, "process"), "blk0");
	json_decref(end);
	neighbour_answers();
}

Test(bounded, a_process_cannot_multiply)
{
	json_t *e;

	start("fork", disk(), "");
	e = rig_end(&r, "violation", 1);
	cr_assert_str_eq(rig_word(e, "process"), "blk0");
	cr_assert_str_eq(rig_word(e, "syscall"), "clone");
	json_decref(e);
	/* Threads the VMM may have, as many as the VM has processors, and one for KVM. */
	start("threads", disk(), "");
	e = rig_expect(&r, "log");
	cr_assert_str_eq(rig_word(e, "process"), "vmm");
	cr_assert(strcmp(rig_word(e, "text"), "threads: 01") == 0 ||
		  strcmp(rig_word(e, "text"), "threads: 02") == 0, "%s", rig_word(e, "text"));
	json_decref(e);
	stop();
}

Test(bounded, a_storm_of_flushes_leaves_the_neighbour_alone)
{
	start("storm", disk(), "");
	rig_running(&r);
	neighbour_answers();
	stop();
}

/* Bytes that the VM's cgroup (v2) has read from all devices together. */
static unsigned long long bytes_read(void)
{
	unsigned long long n, sum = 0;
	char path[128], line[512];
	const char *at;
	FILE *f;

	snprintf(path, sizeof(path), "/sys/fs/cgroup/immure/%s/io.stat", r.name);
	f = fopen(path, "re");
	while (f != NULL && fgets(line, sizeof(line), f) != NULL) {
		at = strstr(line, "rbytes=");
		if (at != NULL && sscanf(at, "rbytes=%llu", &n) == 1)
			sum += n;
	}
	if (f != NULL)
		fclose(f);
	return sum;
}

/* A block device on top of a file; -1 where the host has none to give. */
static int make_block_device(char *path, size_t size)
{
	char file[64];
	int control = open("/dev/loop-control", O_RDWR | O_CLOEXEC), n, loop, fd;

	n = control < 0 ? -1 : ioctl(control, LOOP_CTL_GET_FREE);
	if (n < 0)
		return -1;
	close(control);
	snprintf(file, sizeof(file), "%s/backing", r.dir);
	snprintf(path, size, "/dev/loop%d", n);
	fd = open(file, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	loop = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0 || loop < 0 || ftruncate(fd, 64 << 20) < 0 || ioctl(loop, LOOP_SET_FD, fd) < 0)
		return -1;
	close(fd);
	unlink(file);
	return loop;
}

Test(bounded, reading_a_block_device_keeps_to_its_rate)
{
	char path[32], more[64];
	double from, seconds;
	unsigned long long got;
	int loop;

	if (access("/sys/fs/cgroup/io.stat", F_OK) != 0 &&
	    access("/sys/fs/cgroup/cgroup.controllers", F_OK) != 0)
		cr_skip("needs cgroup v2");
	loop = make_block_device(path, sizeof(path));
	if (loop < 0)
		cr_skip("needs a loop device");
	snprintf(more, sizeof(more), ",\"limits\":{\"io_bytes_per_sec\":%d}", IO_RATE);
	start("drink", path, more);
	from = now();
	rig_running(&r);
	sleep_ms(2 * MEASURE_MS);
	got = bytes_read();
	seconds = now() - from;
	stop();
	ioctl(loop, LOOP_CLR_FD, 0);
	close(loop);
	cr_log_info("%llu bytes in %.2f s", got, seconds);
	cr_assert_gt(got, 0);
	/* The kernel hands out a slice of time before it begins to hold back. */
	cr_assert_leq((double)got, IO_RATE * (1.05 * seconds + 1));
}
