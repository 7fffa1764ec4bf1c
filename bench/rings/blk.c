/* SPDX-License-Identifier: Apache-2.0 */
/* blk.c: what a request costs the sealed immure-blk when the host has the data in its cache, has not, or
 * is not to ask it (O_DIRECT), beside a thread that makes the same reads or writes of the same file one after
 * the other and nothing else.
 *
 * No guest runs: this program is the driver, in shared memory; it keeps so many requests in flight. See
 * vsock.c for what is compared.
 *
 *	build/bench/ring-blk FILE [ROUNDS [WAY]]	one line of JSON for each measure; overwrites FILE */
#include "core/guestmem.c"
#include "core/link.c"
#include "core/virtqueue.c"

#include "tests/unit/process.h"

#include "bench/rings/measure.h"

#include <pthread.h>
#include <sys/uio.h>

enum past { CACHED, COLD, DIRECT };

enum {
	DISK_BYTES = 64 << 20, REQUESTS = 16384, DEPTH_MAX = 32, QUEUE_SIZE = 128, SECTOR = 512,
	QUEUE = 0x10000, HEADERS = 0x30000, STATUSES = 0x31000, DATA = 0x100000, DATA_STEP = 64 << 10,
	IN = 0, OUT = 1,
};

struct way {
	const char *name;
	uint32_t type, len, depth;
	enum past past;	/* but for CACHED it is elapsed time, not that of a processor */
};

static const struct way ways[] = {
	{ "read 4 KiB, depth 1", IN, 4 << 10, 1, CACHED },
	{ "read 4 KiB, depth 32", IN, 4 << 10, 32, CACHED },
	{ "write 4 KiB, depth 32", OUT, 4 << 10, 32, CACHED },
	{ "read 64 KiB, depth 32", IN, 64 << 10, 32, CACHED },
	{ "cold read 4 KiB, depth 1, elapsed", IN, 4 << 10, 1, COLD },
	{ "cold read 4 KiB, depth 32, elapsed", IN, 4 << 10, 32, COLD },
	{ "direct read 4 KiB, depth 1, elapsed", IN, 4 << 10, 1, DIRECT },
	{ "direct read 4 KiB, depth 32, elapsed", IN, 4 << 10, 32, DIRECT },
	{ "direct write 4 KiB, depth 32, elapsed", OUT, 4 << 10, 32, DIRECT },
	{ "direct read 64 KiB, depth 32, elapsed", IN, 64 << 10, 32, DIRECT },
};

static struct ram ram;
static struct driver drv;
static struct process p;
static int image;		/* as the way has it */
static uint64_t interrupts, kicks;

/* The same places of the disk in the same order for all, all over it. */
static uint64_t place(uint32_t i, uint32_t len)
{
	return (uint64_t)i * 2654435761u % (DISK_BYTES / len) * len;
}

static void make_image(const char *path)
{
	static uint8_t some[1 << 20];

	image = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	cr_assert_geq(image, 0);
	for (int i = 0; i < DISK_BYTES / (int)sizeof(some); i++)
		cr_assert_eq(write(image, some, sizeof(some)), (ssize_t)sizeof(some));
	cr_assert_eq(fdatasync(image), 0);
	close(image);
}

/* False: this file system has no direct I/O. */
static bool up(const char *path, bool direct)
{
	const struct vm_config c = {
		.magic = VMCONFIG_MAGIC, .ram = 32 << 20, .vcpus = 1, .ndevices = 1, .kernel_size = 1,
		.device = { { .kind = VM_DEVICE_BLK, .nqueues = 1, .serial = "bench",
			      .blocks = { 512, 4096, 0, 0 } } },
	};
	struct link_msg m;

	image = open(path, O_RDWR | O_CLOEXEC | (direct ? O_DIRECT : 0));
	if (image < 0 && direct)
		return false;
	cr_assert_geq(image, 0);
	ram_init(&ram, 32 << 20);
	process_plan(&p, &ram, &c, 1);
	p.from[BLK_DISK] = image;
	p.from[BLK_WORK] = eventfd(0, EFD_SEMAPHORE | EFD_CLOEXEC);
	p.from[BLK_DONE] = eventfd(0, EFD_CLOEXEC);
	process_start(&p, "immure-blk", "0");
	process_expect(&p, LINK_HELLO, &m);
	driver_init(&drv, &ram, QUEUE, QUEUE_SIZE, VIRTIO_F_VERSION_1 | VIRTIO_F_EVENT_IDX | 1 << 9);
	process_activate(&p, &drv, 1);
	return true;
}

static void down(void)
{
	process_tell(&p, &(struct link_msg){ .type = LINK_QUIT });
	cr_assert(exited(process_end(&p), 0));
	close(image);
}

static void offer(const struct way *w, uint32_t slot, uint32_t i)
{
	const struct { uint32_t type, zero; uint64_t sector; } h = { w->type, 0, place(i, w->len) / SECTOR };
	const struct buf b[] = {
		{ HEADERS + slot * sizeof(h), sizeof(h), false },
		{ DATA + (uint64_t)slot * DATA_STEP, w->len, w->type == IN },
		{ STATUSES + slot, 1, true },
	};

	memcpy(ram_at(&ram, b[0].addr), &h, sizeof(h));
	*(uint8_t *)ram_at(&ram, b[2].addr) = 0xee;
	driver_add(&drv, b, 3);
}

/* Asks for an interrupt and sleeps, unless a request is done by then. */
static void wait_for_one(void)
{
	driver_used_event(&drv, drv.last_used);
	if (__atomic_load_n(driver_word(&drv, drv.used + 2), __ATOMIC_ACQUIRE) != drv.last_used)
		return;
	process_interrupted(&p);
	interrupts++;
}

/* All REQUESTS, w->depth of them in flight at any time; a slot is free when its chain was used. */
static void drive(const struct way *w)
{
	uint32_t slot_of[QUEUE_SIZE], vacant[DEPTH_MAX], nvacant = 0, sent = 0, done = 0, len;
	uint16_t head;

	for (uint32_t i = 0; i < w->depth; i++)
		vacant[nvacant++] = i;
	while (done < REQUESTS) {
		while (nvacant > 0 && sent < REQUESTS) {
			uint32_t slot = vacant[--nvacant];

			offer(w, slot, sent++);
			head = *driver_word(&drv, drv.avail + 4 + 2ull * ((drv.avail_idx - 1u) % QUEUE_SIZE));
			slot_of[head] = slot;
		}
		if (driver_must_kick(&drv)) {
			process_kick(&p, 0);
			kicks++;
		}
		if (!driver_used(&drv, &head, &len)) {
			wait_for_one();
			continue;
		}
		do {
			cr_assert_eq(*(uint8_t *)ram_at(&ram, STATUSES + slot_of[head]), 0);
			vacant[nvacant++] = slot_of[head];
			done++;
		} while (driver_used(&drv, &head, &len));
	}
}

/* Of a file system in memory nothing can be forgotten; cold is warm there. */
static void forget(void)
{
	cr_assert_eq(fdatasync(image), 0);
	cr_assert_eq(posix_fadvise(image, 0, 0, POSIX_FADV_DONTNEED), 0);
}

static uint64_t device_round(const void *way, struct measured *r, bool count)
{
	const struct way *w = way;
	int fd = count ? counter(p.pid) : -1;
	uint64_t ns, calls;

	if (w->past == COLD)
		forget();
	interrupts = kicks = 0;
	ns = w->past != CACHED ? clock_ns(CLOCK_MONOTONIC) : device_ns(p.pid);
	drive(w);
	ns = (w->past != CACHED ? clock_ns(CLOCK_MONOTONIC) : device_ns(p.pid)) - ns;
	r->calls = fd >= 0 && read(fd, &calls, 8) == 8 ? (double)calls : r->calls;
	r->interrupts = (double)interrupts;
	r->kicks = (double)kicks;
	close(fd);
	return ns;
}

/* In a thread of its own, as the device is a process of its own. */
static void *floor_thread(void *arg)
{
	const struct way *w = arg;
	const clockid_t clock = w->past != CACHED ? CLOCK_MONOTONIC : CLOCK_THREAD_CPUTIME_ID;
	static uint64_t ns;

	if (w->past == COLD)
		forget();
	ns = clock_ns(clock);
	for (uint32_t i = 0; i < REQUESTS; i++) {
		struct iovec v = { ram_at(&ram, DATA + (uint64_t)(i % w->depth) * DATA_STEP), w->len };
		ssize_t n = w->type == IN ? preadv2(image, &v, 1, (off_t)place(i, w->len), 0)
					  : pwritev2(image, &v, 1, (off_t)place(i, w->len), 0);

		cr_assert_eq(n, (ssize_t)w->len);
	}
	ns = clock_ns(clock) - ns;
	return &ns;
}

static uint64_t floor_round(const void *way)
{
	pthread_t thread;
	void *ns;

	cr_assert_eq(pthread_create(&thread, NULL, floor_thread, (void *)(uintptr_t)way), 0);
	pthread_join(thread, &ns);
	return *(uint64_t *)ns;
}

static void measure(const struct way *w, int rounds)
{
	const struct measured r = measure_rounds(w, rounds, device_round, floor_round);

	measured_print(&r, "blk", w->name, "request", REQUESTS);
}

int main(int argc, char **argv)
{
	int rounds = argc > 2 ? (int)strtol(argv[2], NULL, 10) : 10;

	if (argc < 2) {
		fprintf(stderr, "usage: ring-blk FILE [ROUNDS [WAY]]\n");
		return 2;
	}
	make_image(argv[1]);
	for (int direct = 0; direct < 2; direct++) {
		if (!up(argv[1], direct != 0))
			break;
		for (size_t i = 0; i < array_len(ways); i++)
			if ((ways[i].past == DIRECT) == (direct != 0) &&
			    (argc < 4 || strstr(ways[i].name, argv[3]) != NULL))
				measure(&ways[i], rounds);
		down();
	}
	unlink(argv[1]);
	return 0;
}
