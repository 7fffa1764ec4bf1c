/* SPDX-License-Identifier: Apache-2.0 */
/* The rate limit of a real immure-blk, and its page of counters as its owner sees them. */
#include "core/bucket.c"
#include "core/guestmem.c"
#include "core/link.c"
#include "core/limits.c"
#include "core/log.c"
#include "core/pages.h"
#include "tests/unit/process.h"

#include <sys/mman.h>
#include <time.h>

enum { SECTORS = 4096, QUEUE = 0x10000, HEADER = 0x30000, STATUS = 0x31000, DATA = 0x100000 };
enum { PAGES = 3 };

static struct ram ram;
static struct driver drv;
static struct process p;
static struct link_msg m;
static uint8_t *file;

static const struct limit_values unlimited[LIMITS_DIRECTIONS];

static struct limits_entry *limits(void)
{
	return &((struct limits_page *)(void *)file)->device[0];
}

static const struct stats_page *stats(void)
{
	return (const void *)(file + 2 * STATS_PAGE);
}

static uint64_t counter(unsigned n)
{
	return __atomic_load_n(&stats()->counter[n], __ATOMIC_RELAXED);
}

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void up(struct limit_values v)
{
	struct vm_config c = {
		.magic = VMCONFIG_MAGIC, .ram = 32 << 20, .vcpus = 1, .ndevices = 1, .kernel_size = 1,
		.flags = VM_PAGES,
		.device = { { .kind = VM_DEVICE_BLK, .nqueues = 1, .flags = VM_BLK_READONLY,
			      .blocks = { 512, 512, 0, 0 },
			      .limit = { v } } },
	};
	int image = memfd_create("image", MFD_CLOEXEC);
	char path[40];

	ram_init(&ram, 32 << 20);
	cr_assert_eq(ftruncate(image, SECTORS * 512), 0);
	process_plan(&p, &ram, &c, 1);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", image);
	p.from[BLK_DISK] = open(path, O_RDONLY | O_CLOEXEC);
	p.from[FD_PAGES] = memfd_create("pages", MFD_CLOEXEC);
	cr_assert_eq(ftruncate(p.from[FD_PAGES], PAGES * STATS_PAGE), 0);
	file = mmap(NULL, PAGES * STATS_PAGE, PROT_READ | PROT_WRITE, MAP_SHARED,
		    p.from[FD_PAGES], 0);
	cr_assert(file != MAP_FAILED);
	process_start(&p, "immure-blk", "0");
	process_expect(&p, LINK_HELLO, &m);
	driver_init(&drv, &ram, QUEUE, 256, VIRTIO_F_VERSION_1);
	process_activate(&p, &drv, 1);
}

static void queue_reads(int n, uint32_t len)
{
	struct { uint32_t type, zero; uint64_t sector; } h = { 0 };

	memcpy(ram_at(&ram, HEADER), &h, sizeof(h));
	for (int i = 0; i < n; i++)
		driver_add(&drv, (struct buf[]){ { HEADER, 16, false }, { DATA, len, true },
						 { STATUS, 1, true } }, 3);
	process_kick(&p, 0);
}

/* Waits until @n requests have been answered. */
static void answered(int n)
{
	uint16_t head;
	uint32_t len;

	while (n > 0) {
		process_interrupted(&p);
		while (driver_used(&drv, &head, &len))
			n--;
	}
	cr_assert_eq(n, 0);
}

static void quit(void)
{
	process_tell(&p, &(struct link_msg){ .type = LINK_QUIT });
	cr_assert(exited(process_end(&p), 0));
}

/* As many as there are tokens for: the time that passed, which nobody can hurry, bounds them. */
Test(blk_rate_process, it_is_never_faster_than_its_limit, .timeout = 120)
{
	uint64_t start = now_ns(), elapsed;

	up((struct limit_values){ .ops = { 20, 0, 500 } });
	queue_reads(60, 512);
	answered(60);
	elapsed = now_ns() - start;
	cr_assert_geq(elapsed, 975000000u, "40 operations beyond the first 20, at 40 a second");
	cr_assert_geq(counter(STATS_THROTTLES), 1);
	/* Those were there when it looked for the first time; this one it has to be told of. */
	queue_reads(1, 512);
	answered(1);
	cr_assert_eq(counter(STATS_BLK_READS), 61);
	cr_assert_eq(counter(STATS_BLK_READ_BYTES), 61 * 512);
	cr_assert_geq(counter(STATS_KICKS), 1);
	cr_assert_geq(counter(STATS_INTERRUPTS), 1);
	quit();
}

Test(blk_rate_process, limits_change_while_it_waits, .timeout = 120)
{
	up((struct limit_values){ .bytes = { 1, 0, BUCKET_REFILL_MS_MAX } });
	queue_reads(8, 4096);
	answered(1);
	limits_write(limits(), unlimited);	/* or it would take years */
	answered(7);
	cr_assert_eq(counter(STATS_LIMIT_CHANGES), 1);
	quit();
}

Test(blk_rate_process, orders_do_not_wait_for_tokens, .timeout = 120)
{
	struct link_msg reset = { .type = LINK_RESET };

	up((struct limit_values){ .ops = { 1, 0, BUCKET_REFILL_MS_MAX } });
	queue_reads(8, 4096);
	answered(1);
	cr_assert_eq(link_send(&p.vmm, &reset), LINK_OK);
	process_expect(&p, LINK_RESET_DONE, &m);
	cr_assert_eq(counter(STATS_RESETS), 1);
	cr_assert_eq(counter(STATS_BLK_READS), 1);
	quit();
}
