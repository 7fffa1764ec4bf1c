/* SPDX-License-Identifier: Apache-2.0 */
/* The real immure-blk over a base, sealed, with this test as VMM and guest. */
#include "core/guestmem.c"
#include "core/link.c"
#include "core/overlay.c"
#include "core/virtqueue.c"

#include "tests/unit/process.h"

#include <dirent.h>
#include <sys/mman.h>

enum { SIZE = 8 << 20, QUEUE = 0x10000, HEADER = 0x30000, STATUS = 0x31000, DATA = 0x100000 };
enum { IN = 0, OUT = 1, FLUSH = 4, DISCARD = 11, WRITE_ZEROES = 13 };
static const uint64_t usual = VIRTIO_F_VERSION_1 | VIRTIO_F_EVENT_IDX | 1 << 9 | 1 << 13 | 1 << 14;

static struct ram ram;
static struct driver drv;
static struct process p;
static struct link_msg m;
static int base, store;

static int again(int fd, int flags)
{
	char path[40];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return open(path, flags | O_CLOEXEC);
}

/* A base and an empty overlay over it. */
static void make_files(void)
{
	struct overlay_layout l;
	struct overlay_header h;

	base = memfd_create("base", MFD_CLOEXEC);
	cr_assert(ftruncate(base, SIZE) == 0 && pwrite(base, "sector 8", 8, 8 * 512) == 8);
	cr_assert(overlay_layout(&l, SIZE));
	overlay_header(&h, &l);
	store = memfd_create("overlay", MFD_CLOEXEC);
	cr_assert_eq(pwrite(store, &h, sizeof(h), 0), (ssize_t)sizeof(h));
	cr_assert_eq(ftruncate(store, (off_t)l.size), 0);
}

static void plan(uint32_t flags, uint64_t limit)
{
	struct vm_config c = {
		.magic = VMCONFIG_MAGIC, .ram = 32 << 20, .vcpus = 1, .ndevices = 1, .kernel_size = 1,
		.device = { { .kind = VM_DEVICE_BLK, .nqueues = 1, .blocks = { 512, 4096, 0, 0 },
			      .flags = flags | VM_BLK_DISCARD, .base_size = SIZE,
			      .overlay_limit = limit } },
	};

	ram_init(&ram, 32 << 20);
	process_plan(&p, &ram, &c, 1);
	p.from[BLK_DISK] = again(store, O_RDWR);
	p.from[BLK_BASE] = again(base, O_RDONLY);
}

static void up(uint32_t flags, uint64_t limit)
{
	plan(flags, limit);
	process_start(&p, "immure-blk", "0");
	process_expect(&p, LINK_HELLO, &m);
	driver_init(&drv, &ram, QUEUE, 128, usual);
	process_activate(&p, &drv, 1);
}

static void quit(void)
{
	process_tell(&p, &(struct link_msg){ .type = LINK_QUIT });
	cr_assert(exited(process_end(&p), 0));
	close(p.from[BLK_DISK]);
	close(p.from[BLK_BASE]);
}

/* One request of @len bytes at DATA; its status. */
static int ask(uint32_t type, uint64_t sector, uint32_t len)
{
	const struct { uint32_t type, zero; uint64_t sector; } h = { type, 0, sector };
	const struct buf b[] = { { HEADER, 16, false }, { DATA, len, type == IN }, { STATUS, 1, true } };
	const struct buf none[] = { b[0], b[2] };
	uint16_t head;
	uint32_t used;

	memcpy(ram_at(&ram, HEADER), &h, sizeof(h));
	memset(ram_at(&ram, STATUS), 0xee, 1);
	driver_add(&drv, len == 0 ? none : b, len == 0 ? 2 : 3);
	if (driver_must_kick(&drv))
		process_kick(&p, 0);
	driver_used_event(&drv, drv.last_used);
	while (!driver_used(&drv, &head, &used))
		process_interrupted(&p);
	return *(uint8_t *)ram_at(&ram, STATUS);
}

static int ask_range(uint32_t type, uint64_t sector, uint32_t sectors, uint32_t flags)
{
	const struct { uint64_t sector; uint32_t sectors, flags; } r = { sector, sectors, flags };

	memcpy(ram_at(&ram, DATA), &r, sizeof(r));
	return ask(type, 0, sizeof(r));
}

static const char *read_text(uint64_t sector)
{
	cr_assert_eq(ask(IN, sector, 512), 0);
	return ram_at(&ram, DATA);
}

static void write_text(uint64_t sector, const char *text)
{
	snprintf(ram_at(&ram, DATA), 512, "%s", text);
	cr_assert_eq(ask(OUT, sector, 512), 0);
}

Test(overlay_process, holds_the_base_beside_the_disk_and_cannot_write_it)
{
	char path[40], list[200] = "";
	struct dirent *e;
	DIR *d;

	make_files();
	up(VM_BLK_KEPT, 0);
	cr_assert_eq(*(uint64_t *)(void *)m.u.hello.config, SIZE / 512, "as large as the base");
	cr_assert_eq(m.u.hello.features & (1 << 5), 0, "it is not read-only");
	snprintf(path, sizeof(path), "/proc/%d/fd", p.pid);
	d = opendir(path);
	while (d != NULL && (e = readdir(d)) != NULL)
		if (e->d_name[0] != '.')
			strncat(list, e->d_name, sizeof(list) - strlen(list) - 1);
	if (d != NULL)
		closedir(d);
	cr_assert_str_eq(list, d != NULL ? "25671314" : "");
	quit();
	plan(VM_BLK_KEPT, 0);
	p.from[BLK_BASE] = again(base, O_RDWR);
	process_start(&p, "immure-blk", "0");
	cr_assert(exited(process_end(&p), 1));
	cr_assert_not_null(strstr(process_log(&p), "overlay: EPERM"));
}

Test(overlay_process, what_was_flushed_is_there_in_the_next_run_and_the_base_as_it_was)
{
	char text[512] = "";

	make_files();
	up(VM_BLK_KEPT, 0);
	cr_assert_str_eq(read_text(8), "sector 8");
	write_text(9, "written");
	write_text(4000, "far away");
	cr_assert_eq(ask_range(WRITE_ZEROES, 8, 1, 0), 0);
	cr_assert_eq(ask(FLUSH, 0, 0), 0);
	kill(p.pid, SIGKILL);
	process_end(&p);
	up(VM_BLK_KEPT, 0);
	cr_assert_str_eq(read_text(9), "written");
	cr_assert_str_eq(read_text(4000), "far away");
	cr_assert_str_eq(read_text(8), "");
	cr_assert_eq(ask_range(DISCARD, 0, 1024, 0), 0);
	cr_assert_str_eq(read_text(9), "");
	cr_assert_eq(ask(FLUSH, 0, 0), 0);
	quit();
	cr_assert_eq(pread(base, text, sizeof(text), 8 * 512), (ssize_t)sizeof(text));
	cr_assert_str_eq(text, "sector 8");
	cr_assert_eq(pread(base, text, sizeof(text), 4000 * 512), (ssize_t)sizeof(text));
	cr_assert_str_eq(text, "");
}

Test(overlay_process, memory_forgets_and_is_bounded)
{
	make_files();
	up(0, 1 << 20);
	for (int i = 0; i < 16; i++)
		write_text((uint64_t)i * 128, "kept");
	cr_assert_eq(ask(OUT, 16 * 128, 512), 1, "the limit");
	cr_assert_eq(ask(FLUSH, 0, 0), 0);
	cr_assert_str_eq(read_text(15 * 128), "kept");
	cr_assert_not_null(strstr(process_log(&p), "has reached its limit of 1024 KiB"));
	quit();
	up(0, 1 << 20);
	cr_assert_str_eq(read_text(0), "", "the map was in the process");
	cr_assert_str_eq(read_text(8), "sector 8");
	quit();
}

/* Starts it on an overlay that it has to refuse; @size bytes of it are as they were. */
static void refused(const char *why)
{
	static uint8_t before[1 << 20], after[1 << 20];

	cr_assert_gt(pread(store, before, sizeof(before), 0), 0);
	plan(VM_BLK_KEPT, 0);
	process_start(&p, "immure-blk", "0");
	cr_assert(exited(process_end(&p), 1), "no HELLO, an exit");
	cr_assert_not_null(strstr(process_log(&p), why), "%s", why);
	cr_assert_gt(pread(store, after, sizeof(after), 0), 0);
	cr_assert_eq(memcmp(before, after, sizeof(before)), 0);
}

Test(overlay_process, refuses_what_is_no_overlay_and_leaves_it_alone)
{
	struct overlay_layout l, other;
	struct overlay_header h;
	const uint8_t bad = 0x0c;

	make_files();
	cr_assert(overlay_layout(&l, SIZE) && overlay_layout(&other, SIZE - 512));
	cr_assert_eq(pwrite(store, &bad, 1, OVERLAY_HEADER), 1);
	refused("its map is damaged");
	overlay_header(&h, &other);
	cr_assert_eq(pwrite(store, &h, sizeof(h), 0), (ssize_t)sizeof(h));
	refused("its base had another size");
	memset(&h, 0, sizeof(h));
	cr_assert_eq(pwrite(store, &h, sizeof(h), 0), (ssize_t)sizeof(h));
	refused("it is not an overlay");
	cr_assert_eq(ftruncate(store, (off_t)l.size - 512), 0);
	refused("overlay: EINVAL");
}
