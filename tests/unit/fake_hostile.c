/* SPDX-License-Identifier: Apache-2.0 */
/* fake_hostile.c: a jailed process that was taken over before it sealed itself, so that only the
 * jailer's walls are left, and now wastes what it can.
 *
 * What it wastes, and which process, says the kernel command line of the VM: "touch blk", "spin
 * all". */
#include "tests/unit/fake.h"

#include "core/report.h"
#include "core/vmconfig.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <time.h>

enum {
	CHUNK = 64 << 10, CHUNKS = 8192, THREADS = 64, STACK = 4096, DISK_BYTES = 1 << 20,
	LINE = 256, BLOCK = 64 << 10, FDS = 1 << 20,
};

static void spin(void)
{
	for (volatile unsigned long n = 0;; n++)
		;
}

static void pause_ms(long ms)
{
	const struct timespec moment = { .tv_nsec = ms * 1000 * 1000 };

	call(SYS_ppoll, 0, 0, (long)&moment, 0);
}

/* Takes a chunk of memory. */
static bool take(void)
{
	long at = call(SYS_mmap, 0, CHUNK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS);

	if (at < 0 && at > -4096)
		return false;
	for (long n = 0; n < CHUNK; n += 4096)
		*(volatile char *)(at + n) = 1;
	return true;
}

/* Takes memory until the kernel puts an end to it, at a pace that can be watched. */
static void touch(void)
{
	for (int i = 0; i < CHUNKS && take(); i++)
		pause_ms(1);
	SAY("no more");
}

static void threads(void)
{
	static char stacks[THREADS][STACK];
	char text[] = "threads: 00\n";
	int n = 0;

	while (n < THREADS && start_thread(stacks[n] + STACK, SYS_ppoll) > 0)
		n++;
	text[9] = (char)('0' + n / 10);
	text[10] = (char)('0' + n % 10);
	say(text, sizeof(text) - 1);
}

static void put_number(char *end, unsigned long n);

/* Copies of the log's, as many as it gets. */
static void descriptors(void)
{
	char text[] = "........ descriptors\n";
	unsigned long n = 0;

	while (n < FDS && call(SYS_fcntl, FD_LOG, F_DUPFD_CLOEXEC, 0, 0) >= 0)
		n++;
	put_number(text + 8, n);
	say(text, sizeof(text) - 1);
}

/* Makes the disk work as hard as it can. */
static void storm(void)
{
	static char data[65536];
	struct iovec iov = { data, sizeof(data) };

	for (long at = 0;; at = (at + (long)sizeof(data)) % DISK_BYTES) {
		call(SYS_pwritev2, BLK_DISK, (long)&iov, 1, at);
		call(SYS_fdatasync, BLK_DISK, 0, 0, 0);
	}
}

/* Reads all of the disk, again and again. */
static void drink(void)
{
	static char data[65536];
	struct iovec iov = { data, sizeof(data) };
	long at = 0;

	for (;;) {
		long n = call(SYS_preadv2, BLK_DISK, (long)&iov, 1, at);

		at = n > 0 ? at + n : 0;
	}
}

/* Writes @n, as many as eight digits of it, to the end of the text before @end. */
static void put_number(char *end, unsigned long n)
{
	for (int i = 0; i < 8; i++, n /= 10)
		*--end = (char)('0' + n % 10);
}

/* A block of whole lines, numbered from @line on. */
static void put_lines(char *block, unsigned long line, unsigned long offered)
{
	static const char form[] = "........ taken, ........ MiB offered";

	for (char *at = block; at < block + BLOCK; at += LINE) {
		for (int i = 0; i < LINE; i++)
			at[i] = i < (int)sizeof(form) - 1 ? form[i] : '~';
		put_number(at + 8, line++);
		put_number(at + 24, offered >> 20);
		at[LINE - 1] = '\n';
	}
}

/* Writes to the log without a pause, by the block.  Each line has its number among those that the
 * pipe has taken (it takes whole pages), and how much was offered to it before. */
static _Noreturn void flood(void)
{
	static char block[BLOCK];
	unsigned long line = 1, offered = 0;
	long n = 1;

	for (;;) {
		if (n > 0)
			put_lines(block, line, offered);
		n = call(SYS_write, FD_LOG, (long)block, BLOCK, 0);
		offered += BLOCK;
		line += n > 0 ? (unsigned long)n / LINE : 0;
	}
}

/* Is this process, @name, the one to do @what? */
static bool told(const char *order, const char *what, const char *name)
{
	while (*what != 0)
		if (*order++ != *what++)
			return false;
	return *order++ == ' ' && (same(order, "all") || same(order, name + sizeof("immure-") - 1));
}

static void waste(const char *order, const char *name)
{
	if (told(order, "spin", name))
		spin();
	if (told(order, "fork", name))
		call(SYS_clone, 17 /* SIGCHLD */, 0, 0, 0);
	if (told(order, "touch", name))
		touch();
	if (told(order, "threads", name))
		threads();
	if (told(order, "descriptors", name))
		descriptors();
	if (told(order, "storm", name))
		storm();
	if (told(order, "drink", name))
		drink();
	if (told(order, "flood", name))
		flood();
}

__attribute__((used)) static _Noreturn void run(long *stack)
{
	static const struct vmm_report running = { .type = VMM_REPORT_RUNNING };
	static struct vm_config config;
	const char *name = (const char *)stack[1];

	call(SYS_pread64, FD_CONFIG, (long)&config, sizeof(config), 0);
	if (same(name, "immure-vmm"))
		call(SYS_write, VMM_CTL, (long)&running, sizeof(running), 0);
	waste(config.cmdline, name);
	wait_for_ever();
}
