/* SPDX-License-Identifier: Apache-2.0 */
/* The real immure-blk, sealed, with this test as VMM and guest. */
#include "core/guestmem.c"
#include "core/link.c"
#include "core/virtqueue.c"

#include "tests/unit/process.h"

#include <dirent.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>

enum { SECTORS = 8192, QUEUE = 0x10000, HEADER = 0x30000, STATUS = 0x31000, DATA = 0x100000 };
enum { IN = 0, OUT = 1, FLUSH = 4, GET_ID = 8, DISCARD = 11, WRITE_ZEROES = 13 };
static const uint64_t usual = VIRTIO_F_VERSION_1 | VIRTIO_F_EVENT_IDX | 1 << 9;

static struct ram ram;
static struct driver drv;
static struct process p;
static struct link_msg m;
static int image;
static uint32_t block = 512;
static uint32_t queues = 1;
static uint64_t grow;
static uint64_t data = DATA;	/* where requests have it */

static struct vm_config config(bool readonly)
{
	return (struct vm_config){
		.magic = VMCONFIG_MAGIC, .ram = 32 << 20, .vcpus = 1, .ndevices = 2,
		.kernel_size = 1,
		.device = { { .kind = VM_DEVICE_VSOCK, .nqueues = 3, .guest_cid = 3, .connections = 9 },
			    { .kind = VM_DEVICE_BLK, .nqueues = queues, .serial = "disk-one",
			      .blocks = { block, 4096, 0, 0 }, .grow = grow,
			      .flags = readonly ? VM_BLK_READONLY : VM_BLK_DISCARD } },
	};
}

static void plan(bool readonly)
{
	struct vm_config c = config(readonly);
	char path[40];

	ram_init(&ram, 32 << 20);
	if (image == 0)
		image = memfd_create("image", MFD_CLOEXEC);
	cr_assert_eq(ftruncate(image, SECTORS * 512 + 100), 0);
	cr_assert_eq(pwrite(image, "sector 8", 8, 8 * 512), 8);
	process_plan(&p, &ram, &c, (int)queues);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", image);
	p.from[BLK_DISK] = open(path, (readonly ? O_RDONLY : O_RDWR) | O_CLOEXEC);
}

static void activate(uint64_t features)
{
	driver_init(&drv, &ram, QUEUE, 128, features);
	process_activate(&p, &drv, 1);
}

/* A device that has said HELLO, and a driver that is ready. */
static void up(bool readonly, uint64_t features)
{
	plan(readonly);
	process_start(&p, "immure-blk", "1");
	process_expect(&p, LINK_HELLO, &m);
	activate(features);
}

static void offer(uint32_t type, uint64_t sector, uint32_t len)
{
	struct { uint32_t type, zero; uint64_t sector; } h = { type, 0, sector };
	struct buf b[3] = { { HEADER, 16, false }, { data, len, type == IN || type == GET_ID },
			    { STATUS, 1, true } };

	memcpy(ram_at(&ram, HEADER), &h, sizeof(h));
	*(uint8_t *)ram_at(&ram, STATUS) = 0xee;
	if (len == 0)
		b[1] = b[2];
	driver_add(&drv, b, len == 0 ? 2 : 3);
}

/* One request through kick and interrupt; returns its status. */
static int ask(uint32_t type, uint64_t sector, uint32_t len)
{
	uint16_t head;
	uint32_t used;

	driver_used_event(&drv, drv.last_used);
	offer(type, sector, len);
	if (driver_must_kick(&drv))
		process_kick(&p, 0);
	/* An interrupt may be left over from before a reset. */
	while (!driver_used(&drv, &head, &used))
		process_interrupted(&p);
	return *(uint8_t *)ram_at(&ram, STATUS);
}

static void quit(void)
{
	process_tell(&p, &(struct link_msg){ .type = LINK_QUIT });
	cr_assert(exited(process_end(&p), 0));
}

Test(blk_process, is_sealed_before_it_says_hello)
{
	plan(false);
	process_start(&p, "immure-blk", "1");
	process_expect(&p, LINK_HELLO, &m);
	cr_assert_eq(process_status(&p, "Seccomp"), 2);
	cr_assert_eq(process_status(&p, "NoNewPrivs"), 1);
	cr_assert_eq(process_status(&p, "Threads"), 1);
	cr_assert(m.u.hello.device_id == 2 && m.u.hello.nqueues == 1);
	cr_assert_eq(*(uint64_t *)(void *)m.u.hello.config, SECTORS);
	quit();
}

Test(blk_process, holds_the_descriptors_of_its_plan_and_no_other)
{
	char path[40], list[200] = "";
	struct dirent *e;
	DIR *d;

	plan(false);
	p.from[BLK_NFDS] = p.from[BLK_DISK];
	p.from[PROCESS_FDS - 1] = p.from[BLK_DISK];
	p.from[1] = p.from[BLK_DISK];
	process_start(&p, "immure-blk", "1");
	process_expect(&p, LINK_HELLO, &m);
	snprintf(path, sizeof(path), "/proc/%d/fd", p.pid);
	d = opendir(path);
	if (d == NULL)
		cr_skip_test("only root looks into a process that is not dumpable");
	while ((e = readdir(d)) != NULL)
		if (e->d_name[0] != '.')
			strncat(list, e->d_name, sizeof(list) - strlen(list) - 1);
	closedir(d);
	cr_assert_str_eq(list, "256713");
	quit();
}

Test(blk_process, reads_writes_flushes_and_tells_its_name)
{
	up(false, usual);
	cr_assert_eq(ask(IN, 8, 4096), 0);
	cr_assert_str_eq(ram_at(&ram, DATA), "sector 8");
	memset(ram_at(&ram, DATA), 0x5a, 65536);
	cr_assert_eq(ask(OUT, 1000, 65536), 0);
	cr_assert_eq(ask(FLUSH, 0, 0), 0);
	memset(ram_at(&ram, DATA), 0, 65536);
	cr_assert_eq(pread(image, ram_at(&ram, DATA), 65536, 1000 * 512), 65536);
	for (int i = 0; i < 65536; i++)
		cr_assert_eq(((uint8_t *)ram_at(&ram, DATA))[i], 0x5a);
	cr_assert_eq(ask(GET_ID, 0, 20), 0);
	cr_assert_str_eq(ram_at(&ram, DATA), "disk-one");
	cr_assert_eq(ask(IN, SECTORS, 512), 1);
	cr_assert_eq(ask(2, 0, 512), 2);
	quit();
}

/* One range of @sectors sectors, to be discarded or zeroed. */
static int ask_range(uint32_t type, uint64_t sector, uint32_t sectors, uint32_t flags)
{
	struct { uint64_t sector; uint32_t sectors, flags; } r = { sector, sectors, flags };

	memcpy(ram_at(&ram, DATA), &r, sizeof(r));
	return ask(type, 0, sizeof(r));
}

/* Starts it on a plan that cannot work: exit status 1 and a line that names the step. */
static void fails_with(const char *index, const char *why)
{
	const char *text;

	process_start(&p, "immure-blk", index);
	cr_assert(exited(process_end(&p), 1));
	text = process_log(&p);
	cr_assert_not_null(strstr(text, why), "%s", text);
}

/* A disk that the kernel itself transfers past its cache. */
static int direct_file(void)
{
	int fd = open("/var/tmp", O_TMPFILE | O_RDWR | O_DIRECT | O_CLOEXEC, 0600);

	if (fd < 0)
		cr_skip_test("NO DIRECT I/O in /var/tmp: not tried");
	cr_assert_eq(ftruncate(fd, SECTORS * 512), 0);
	return fd;
}

/* Puts it into the plan, with what the threads need. */
static void make_direct(int fd)
{
	close(p.from[BLK_DISK]);
	p.from[BLK_DISK] = fd;
	p.from[BLK_WORK] = eventfd(0, EFD_SEMAPHORE | EFD_CLOEXEC);
	p.from[BLK_DONE] = eventfd(0, EFD_CLOEXEC);
}

/* A driver at work on the disk @fd, past the cache. */
static void start_direct(int fd)
{
	block = 4096;
	plan(false);
	make_direct(fd);
	process_start(&p, "immure-blk", "1");
	process_expect(&p, LINK_HELLO, &m);
	activate(usual);
}

Test(blk_process, goes_past_the_cache_and_needs_no_more_calls)
{
	enum { LEN = 200 << 10 };
	uint8_t *memory;
	int fd = direct_file();

	start_direct(fd);
	memory = ram_at(&ram, DATA);
	for (uint32_t i = 0; i < LEN + 4096; i++)
		memory[i] = (uint8_t)(i * 5 + i / 253);
	for (uint32_t off = 0; off < 4096; off += 819) {	/* the first one aligned, none after it */
		data = DATA + off;
		cr_assert_eq(ask(OUT, 64, LEN), 0);
		data = DATA + (1 << 20) + 3 * off;
		cr_assert_eq(ask(IN, 64, LEN), 0);
		cr_assert_eq(memcmp(memory + off, memory + (1 << 20) + 3 * off, LEN), 0);
	}
	cr_assert_eq(ask(IN, 1, 4096), 1, "not of whole blocks");
	cr_assert_eq(ask(FLUSH, 0, 0), 0);
	quit();
	cr_assert_not_null(strstr(process_log(&p), "sector 1 is not of whole blocks of 4096"));
}

/* Request @i of many: header and status of its own, and 4 KiB of data. */
static void offer_slot(unsigned i, uint32_t type, uint64_t sector)
{
	struct { uint32_t type, zero; uint64_t sector; } h = { type, 0, sector };
	const struct buf b[3] = { { HEADER + i * 16, 16, false }, { DATA + i * 4096, 4096, type == IN },
				  { STATUS + i, 1, true } };

	memcpy(ram_at(&ram, b[0].addr), &h, sizeof(h));
	*(uint8_t *)ram_at(&ram, b[2].addr) = 0xee;
	driver_add(&drv, b, 3);
}

static void finish_slots(unsigned n)
{
	uint16_t head;
	uint32_t used;

	driver_used_event(&drv, (uint16_t)(drv.last_used + n - 1));
	process_kick(&p, 0);
	for (unsigned done = 0; done < n; done++)
		while (!driver_used(&drv, &head, &used))
			process_interrupted(&p);
	for (unsigned i = 0; i < n; i++)
		cr_assert_eq(*(uint8_t *)ram_at(&ram, STATUS + i), 0);
}

/* Every thread is sealed, and what they carried out is what was asked for. */
Test(blk_process, past_the_cache_it_has_threads, .timeout = 60)
{
	enum { N = 40 };
	int fd = direct_file();
	unsigned stamp = 0;

	block = 4096;
	for (int readonly = 0; readonly < 2; readonly++) {
		plan(readonly != 0);
		make_direct(fcntl(fd, F_DUPFD_CLOEXEC, 100));
		if (readonly) {
			char path[40];

			snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
			make_direct(open(path, O_RDONLY | O_DIRECT | O_CLOEXEC));
		}
		process_start(&p, "immure-blk", "1");
		process_expect(&p, LINK_HELLO, &m);
		cr_assert_eq(process_status(&p, "Threads"), 1 + PLAN_BLK_THREADS);
		activate(readonly ? usual & ~(1ull << 9) : usual);
		for (int round = 0; round < 100 && !readonly; round++) {
			for (unsigned i = 0; i < N; i++, stamp++) {
				memset(ram_at(&ram, DATA + i * 4096), (int)(stamp % 251), 4096);
				offer_slot(i, OUT, i * 8);
			}
			finish_slots(N);
			memset(ram_at(&ram, DATA), 0xee, N * 4096);
			for (unsigned i = 0; i < N; i++)
				offer_slot(i, IN, i * 8);
			finish_slots(N);
			for (unsigned i = 0; i < N * 4096; i++)
				cr_assert_eq(((uint8_t *)ram_at(&ram, DATA))[i], (stamp - N + i / 4096) % 251);
		}
		for (unsigned i = 0; i < N; i++)
			offer_slot(i, IN, i * 8);
		finish_slots(N);
		for (unsigned i = 0; i < N * 4096; i++)
			cr_assert_eq(((uint8_t *)ram_at(&ram, DATA))[i], (stamp - N + i / 4096) % 251);
		quit();
	}
}

/* After the answer to a reset nothing is written. */
Test(blk_process, a_reset_finds_no_thread_at_work, .timeout = 60)
{
	int fd = direct_file();

	start_direct(fd);
	for (int turn = 0; turn < 100; turn++) {
		for (unsigned i = 0; i < 40; i++)
			offer_slot(i, IN, i * 8);
		process_kick(&p, 0);
		if (turn % 3 == 0)
			usleep((unsigned)turn * 10);
		process_tell(&p, &(struct link_msg){ .type = LINK_RESET });
		process_expect(&p, LINK_RESET_DONE, &m);
		memset(ram_at(&ram, DATA), 0xab, 40 * 4096);
		usleep(500);
		for (int i = 0; i < 40 * 4096; i += 512)
			cr_assert_eq(((uint8_t *)ram_at(&ram, DATA))[i], 0xab);
		activate(usual);
	}
	quit();
}

Test(blk_process, without_what_its_threads_need_it_does_not_start)
{
	int fd = direct_file();

	plan(false);
	close(p.from[BLK_DISK]);
	p.from[BLK_DISK] = fd;
	fails_with("1", "blk: seal: EBADF");
}

Test(blk_process, discards_and_zeroes)
{
	static uint8_t b[4 * 4096], zeroes[4 * 4096];
	struct stat before, after;

	up(false, usual | 1 << 13 | 1 << 14);
	cr_assert_eq(m.u.hello.features & (1 << 13 | 1 << 14), 1 << 13 | 1 << 14);
	memset(ram_at(&ram, DATA), 0x5a, 65536);
	cr_assert_eq(ask(OUT, 1024, 65536), 0);
	fstat(image, &before);
	cr_assert_eq(ask_range(DISCARD, 1024, 8, 0), 0);
	cr_assert_eq(ask_range(WRITE_ZEROES, 1032, 8, 1), 0);
	fstat(image, &after);
	cr_assert_eq(after.st_blocks, before.st_blocks - 16);
	cr_assert_eq(ask_range(WRITE_ZEROES, 1040, 8, 0), 0);
	cr_assert_eq(pread(image, b, sizeof(b), 1024 * 512), (ssize_t)sizeof(b));
	cr_assert_eq(memcmp(b, zeroes, 3 * 4096), 0);
	cr_assert_eq(b[3 * 4096], 0x5a);
	cr_assert_eq(ask_range(DISCARD, SECTORS, 8, 0), 1);
	quit();
}

Test(blk_process, writes_through_when_the_driver_knows_no_cache)
{
	up(false, usual & ~(1ull << 9));
	memset(ram_at(&ram, DATA), 0x5a, 4096);
	cr_assert_eq(ask(OUT, 1000, 4096), 0);
	quit();
}

/* A file system of 1 MiB for a larger image. */
static int full_soon(void)
{
	int fd;

	cr_assert_eq(unshare(geteuid() == 0 ? CLONE_NEWNS : CLONE_NEWUSER | CLONE_NEWNS), 0);
	cr_assert_eq(mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL), 0);
	cr_assert_eq(mount("none", "/mnt", "tmpfs", 0, "size=1m"), 0);
	fd = open("/mnt/image", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	cr_assert_geq(fd, 0);
	return fd;
}

Test(blk_process, a_full_file_system_is_an_error_of_the_disk)
{
	int full = 0, got;

	image = full_soon();
	up(false, usual | 1 << 13 | 1 << 14);
	for (uint64_t i = 16; i < SECTORS - 512; i += 512) {
		got = ask(OUT, i, 512 * 512);
		cr_assert(got == 0 || got == 1);
		full += got;
	}
	cr_assert_geq(full, 8, "3 MiB did not fit");
	cr_assert_eq(ask(IN, 8, 512), 0, "the disk lives on");
	cr_assert_str_eq(ram_at(&ram, DATA), "sector 8");
	cr_assert_not_null(strstr(process_log(&p), "ENOSPC"));
	cr_assert_eq(ask_range(DISCARD, 512, 1024, 0), 0);
	cr_assert_eq(ask(OUT, 6000, 4096), 0, "what was given back can be used");
	quit();
}

Test(blk_process, a_limit_on_its_files_is_an_error_of_the_disk)
{
	const struct rlimit limit = { 4096 * 512, 4096 * 512 };

	plan(false);
	cr_assert_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
	process_start(&p, "immure-blk", "1");
	process_expect(&p, LINK_HELLO, &m);
	activate(usual | 1 << 14);
	cr_assert_eq(ask(OUT, 4095, 512), 0);
	cr_assert_eq(ask(OUT, 4096, 512), 1);
	cr_assert_eq(ask_range(WRITE_ZEROES, 8000, 8, 0), 1);
	cr_assert_eq(ask(IN, 4096, 512), 0);
	quit();
}

Test(blk_process, an_image_that_is_cut_short_is_an_error_of_the_disk)
{
	up(false, usual);
	cr_assert_eq(ftruncate(image, 100 * 512), 0);
	cr_assert_eq(ask(IN, 99, 512), 0);
	cr_assert_eq(ask(IN, 99, 1024), 1);
	cr_assert_eq(ask(IN, 4000, 512), 1);
	cr_assert_eq(ask(OUT, 4000, 512), 0, "and grows again where it is written");
	cr_assert_eq(ask(IN, 4000, 512), 0);
	quit();
}

Test(blk_process, every_access_is_in_the_shared_dirty_bitmap)
{
	up(false, usual);
	ram_clean(&ram);
	cr_assert_eq(ask(IN, 8, 8192), 0);
	cr_assert(ram_dirty(&ram, DATA) && ram_dirty(&ram, DATA + 4096));
	cr_assert_not(ram_dirty(&ram, DATA + 8192));
	cr_assert(ram_dirty(&ram, STATUS) && ram_dirty(&ram, drv.used));
	cr_assert_not(ram_dirty(&ram, HEADER));
	quit();
}

Test(blk_process, a_read_only_disk)
{
	up(true, usual & ~(1ull << 9));
	cr_assert((m.u.hello.features & 1 << 5) != 0);
	cr_assert_eq(ask(IN, 8, 512), 0);
	cr_assert_str_eq(ram_at(&ram, DATA), "sector 8");
	cr_assert_eq(ask(OUT, 8, 512), 1);
	cr_assert_eq(ask(FLUSH, 0, 0), 2);
	quit();
}

Test(blk_process, works_through_a_hundred_thousand_requests, .timeout = 60)
{
	uint16_t head;
	uint32_t used, done = 0, sent = 0;

	up(false, usual);
	while (done < 100000) {
		for (; drv.nfree >= 3 && sent < 100000; sent++)
			offer(IN, sent % SECTORS, 512);
		if (driver_must_kick(&drv))
			process_kick(&p, 0);
		driver_used_event(&drv, drv.last_used);
		if (!driver_used(&drv, &head, &used)) {
			process_interrupted(&p);
			continue;
		}
		do
			done++;
		while (driver_used(&drv, &head, &used));
	}
	cr_assert_eq(ask(IN, 8, 512), 0);
	quit();
}

/* What a driver does after DEVICE_NEEDS_RESET. */
static void recover(void)
{
	process_tell(&p, &(struct link_msg){ .type = LINK_RESET });
	process_expect(&p, LINK_RESET_DONE, &m);
	activate(usual);
	cr_assert_eq(ask(IN, 8, 512), 0);
}

Test(blk_process, a_misbehaving_driver_must_reset_and_may_go_on)
{
	up(false, usual);
	for (int i = 0; i < 20; i++) {
		driver_offer(&drv, (uint16_t)(128 + i));
		process_kick(&p, 0);
		process_expect(&p, LINK_NEEDS_RESET, &m);
		cr_assert_eq(m.u.needs_reset.reason, VQ_E_HEAD);
		recover();
	}
	driver_add(&drv, &(struct buf){ HEADER, 16, false }, 1);
	process_kick(&p, 0);
	process_expect(&p, LINK_NEEDS_RESET, &m);
	cr_assert_geq(m.u.needs_reset.reason, 0x100);
	recover();
	process_log(&p);
	quit();
}

Test(blk_process, a_queue_it_cannot_use_needs_a_reset)
{
	plan(false);
	process_start(&p, "immure-blk", "1");
	process_expect(&p, LINK_HELLO, &m);
	driver_init(&drv, &ram, QUEUE, 128, usual);
	drv.desc = 0xd0000000;
	process_activate(&p, &drv, 1);
	process_expect(&p, LINK_NEEDS_RESET, &m);
	cr_assert_eq(m.u.needs_reset.reason, VQ_E_RANGE);
	recover();
	quit();
}

Test(blk_process, complaints_in_the_log_are_limited)
{
	const char *text;
	int lines = 0;

	up(false, usual);
	for (int i = 0; i < 100; i++) {
		driver_offer(&drv, 999);
		process_kick(&p, 0);
		process_expect(&p, LINK_NEEDS_RESET, &m);
		recover();
	}
	text = process_log(&p);
	for (const char *c = text; *c != 0; c++)
		lines += *c == '\n';
	cr_assert_eq(lines, 4 + 4, "%s", text);	/* 1..4, 8, 16, 32, 64 */
	cr_assert_not_null(strstr(text, "head outside the table"));
	quit();
}

Test(blk_process, a_kick_before_the_driver_is_ready_does_no_harm)
{
	long ticks;

	plan(false);
	process_kick(&p, 0);
	process_start(&p, "immure-blk", "1");
	process_expect(&p, LINK_HELLO, &m);
	ticks = process_ticks(&p);
	process_kick(&p, 0);
	usleep(300000);
	cr_assert_leq(process_ticks(&p) - ticks, 2, "it spins");
	activate(usual);
	cr_assert_eq(ask(IN, 8, 512), 0);
	quit();
}

Test(blk_process, requests_offered_before_activation_are_found_without_a_kick)
{
	plan(false);
	process_start(&p, "immure-blk", "1");
	process_expect(&p, LINK_HELLO, &m);
	driver_init(&drv, &ram, QUEUE, 128, usual);
	offer(IN, 8, 512);
	process_activate(&p, &drv, 1);
	process_interrupted(&p);
	cr_assert_str_eq(ram_at(&ram, DATA), "sector 8");
	quit();
}

Test(blk_process, kicks_for_nothing_and_for_a_broken_queue_are_cheap)
{
	long ticks;

	up(false, usual);
	for (int i = 0; i < 200000; i++)
		process_kick(&p, 0);
	cr_assert_eq(ask(IN, 8, 512), 0);
	driver_offer(&drv, 999);
	process_kick(&p, 0);
	process_expect(&p, LINK_NEEDS_RESET, &m);
	ticks = process_ticks(&p);
	for (int i = 0; i < 1000; i++)
		process_kick(&p, 0);
	usleep(300000);
	cr_assert_leq(process_ticks(&p) - ticks, 2, "it spins");
	recover();
	quit();
}

Test(blk_process, a_reset_under_load_is_answered_and_ends_all_writing)
{
	up(false, usual);
	for (int turn = 0; turn < 50; turn++) {
		for (int i = 0; i < 40; i++)
			offer(IN, 0, 1 << 20);
		process_kick(&p, 0);
		process_tell(&p, &(struct link_msg){ .type = LINK_RESET });
		process_expect(&p, LINK_RESET_DONE, &m);
		memset(ram_at(&ram, DATA), 0xab, 1 << 20);
		usleep(1000);
		for (int i = 0; i < 1 << 20; i += 512)
			cr_assert_eq(((uint8_t *)ram_at(&ram, DATA))[i], 0xab);
		activate(usual);
	}
	cr_assert_eq(ask(IN, 8, 512), 0);
	quit();
}

Test(blk_process, ends_quietly_with_the_VMM)
{
	up(false, usual);
	cr_assert_eq(ask(IN, 8, 512), 0);
	close(p.vmm.fd);
	cr_assert(exited(process_end(&p), 0));
	up(false, usual);
	for (int i = 0; i < 40; i++)
		offer(IN, 0, 1 << 20);
	process_kick(&p, 0);
	close(p.vmm.fd);
	cr_assert(exited(process_end(&p), 0), "with requests waiting");
}

Test(blk_process, a_VMM_that_breaks_the_protocol_ends_it)
{
	struct link_msg bad[4] = { { .type = 99 }, { .type = LINK_HELLO },
				   { .type = LINK_ACTIVATE, .zero = 1 }, { .type = LINK_ACTIVATE } };

	for (size_t i = 0; i < array_len(bad); i++) {
		plan(false);
		process_start(&p, "immure-blk", "1");
		process_expect(&p, LINK_HELLO, &m);
		cr_assert_eq(write(p.vmm.fd, &bad[i], sizeof(bad[i])), (ssize_t)sizeof(bad[i]));
		cr_assert(exited(process_end(&p), 1), "message %zu", i);
	}
	up(false, usual);
	cr_assert_eq(write(p.vmm.fd, "short", 5), 5);
	cr_assert(exited(process_end(&p), 1));
}

Test(blk_process, its_death_is_seen_on_the_link)
{
	up(false, usual);
	kill(p.pid, SIGKILL);
	cr_assert(WIFSIGNALED(process_end(&p)));
	cr_assert(readable_soon(p.vmm.fd));
	cr_assert_neq(link_recv(&p.vmm, &m), LINK_OK);
}

Test(blk_process, says_which_step_of_its_start_failed)
{
	plan(false);
	fails_with("0", "device 0 is not a disk");
	plan(false);
	fails_with("2", "device 2 is not a disk");
	plan(false);
	fails_with("1x", "usage");
	plan(false);
	fails_with(NULL, "usage");
	plan(false);
	cr_assert_eq(ftruncate(p.from[3], 100), 0);
	fails_with("1", "configuration: EINVAL");
	plan(false);
	p.from[4] = image;
	fails_with("1", "guest memory: EINVAL");
	plan(false);
	p.from[BLK_DISK] = p.call;
	fails_with("1", "disk: ");
	plan(true);
	p.from[BLK_DISK] = image;
	fails_with("1", "disk: EPERM");
}

/* Each kicks by a descriptor of its own. */
Test(blk_process, has_four_queues_when_told_so)
{
	struct driver d[PLAN_BLK_QUEUES];
	uint16_t head;
	uint32_t used;

	queues = PLAN_BLK_QUEUES;
	plan(false);
	process_start(&p, "immure-blk", "1");
	process_expect(&p, LINK_HELLO, &m);
	cr_assert_eq(m.u.hello.nqueues, PLAN_BLK_QUEUES);
	for (unsigned i = 0; i < PLAN_BLK_QUEUES; i++)
		driver_init(&d[i], &ram, QUEUE + i * 0x4000, 128, usual);
	process_activate(&p, d, PLAN_BLK_QUEUES);
	for (unsigned i = 0; i < 4 * PLAN_BLK_QUEUES; i++) {
		drv = d[i % PLAN_BLK_QUEUES];
		driver_used_event(&drv, drv.last_used);
		offer(IN, 8, 512);
		if (driver_must_kick(&drv))
			process_kick(&p, (int)(i % PLAN_BLK_QUEUES));
		while (!driver_used(&drv, &head, &used))
			process_interrupted(&p);
		d[i % PLAN_BLK_QUEUES] = drv;
		cr_assert_eq(*(uint8_t *)ram_at(&ram, STATUS), 0);
		cr_assert_eq(memcmp(ram_at(&ram, DATA), "sector 8", 8), 0);
	}
	quit();
}

/* By itself, within seconds, whether or not the driver asks for anything. */
static void grows(bool readonly)
{
	grow = 2 * SECTORS * 512;
	up(readonly, readonly ? usual & ~(1ull << 9) : usual);
	cr_assert_eq(ask(IN, SECTORS, 512), 1);
	cr_assert_eq(ftruncate(image, (SECTORS + 5) * 512), 0);
	process_expect(&p, LINK_CONFIG, &m);
	cr_assert_eq(*(uint64_t *)(void *)m.u.config.config, SECTORS + 5);
	cr_assert_eq(ask(readonly ? IN : OUT, SECTORS + 4, 512), 0);
	cr_assert_eq(ask(IN, SECTORS + 5, 512), 1);
	quit();
}

Test(blk_process, tells_of_an_image_that_has_grown)
{
	grows(false);
}

Test(blk_process, tells_of_a_read_only_image_that_has_grown)
{
	grows(true);
}
