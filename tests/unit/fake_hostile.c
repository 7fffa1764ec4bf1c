/* SPDX-License-Identifier: Apache-2.0 */
/* fake_hostile.c: a jailed process that was taken over before it sealed itself, so that only the
 * jailer's walls are left, and now wastes what it can.
 *
 * What it wastes says the kernel command line of the VM. */
#include "tests/unit/fake.h"

#include "core/report.h"
#include "core/vmconfig.h"

#include <linux/sched.h>
#include <sys/mman.h>
#include <sys/uio.h>

enum { CHUNK = 1 << 20, CHUNKS = 512, THREADS = 64, STACK = 4096, DISK_BYTES = 1 << 20 };

static void spin(void)
{
	for (volatile unsigned long n = 0;; n++)
		;
}

/* Takes memory until the kernel puts an end to it. */
static void touch(void)
{
	for (int i = 0; i < CHUNKS; i++) {
		long at = call(SYS_mmap, 0, CHUNK, PROT_READ | PROT_WRITE,
			       MAP_PRIVATE | MAP_ANONYMOUS);

		if (at < 0 && at > -4096) {
			SAY("no more");
			return;
		}
		for (long n = 0; n < CHUNK; n += 4096)
			*(volatile char *)(at + n) = 1;
	}
	SAY("took all");
}

/* A thread that does nothing.  Returns its id or -errno. */
static long start_thread(char *stack)
{
	long flags = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM;
	long rc;

	__asm__ volatile("xor %%edx, %%edx; xor %%r10d, %%r10d; xor %%r8d, %%r8d; syscall\n"
			 "test %%rax, %%rax; jnz 2f\n"
			 "1: mov %[ppoll], %%eax; xor %%edi, %%edi; xor %%esi, %%esi\n"
			 "xor %%edx, %%edx; xor %%r10d, %%r10d; syscall; jmp 1b\n"
			 "2:"
			 : "=a"(rc)
			 : "a"((long)SYS_clone), "D"(flags), "S"(stack), [ppoll] "i"(SYS_ppoll)
			 : "rcx", "rdx", "r8", "r10", "r11", "memory");
	return rc;
}

static void threads(void)
{
	static char stacks[THREADS][STACK];
	char text[] = "threads: 00\n";
	int n = 0;

	while (n < THREADS && start_thread(stacks[n] + STACK) > 0)
		n++;
	text[9] = (char)('0' + n / 10);
	text[10] = (char)('0' + n % 10);
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

static void waste(const char *what, const char *name)
{
	bool blk = same(name, "immure-blk"), vmm = same(name, "immure-vmm");

	if (same(what, "spin"))
		spin();
	if (same(what, "fork") && blk)
		call(SYS_clone, 17 /* SIGCHLD */, 0, 0, 0);
	if (same(what, "touch") && blk)
		touch();
	if (same(what, "threads") && vmm)
		threads();
	if (same(what, "storm") && blk)
		storm();
	if (same(what, "drink") && blk)
		drink();
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
