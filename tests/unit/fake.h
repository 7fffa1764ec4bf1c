/* SPDX-License-Identifier: Apache-2.0 */
/* fake.h: what programs that stand in for jailed ones are written with: no C library, exactly
 * the system calls written down.  Each defines run(), which is entered with the stack. */
#ifndef IMMURE_TESTS_UNIT_FAKE_H
#define IMMURE_TESTS_UNIT_FAKE_H

#include "core/base.h"
#include "core/fdplan.h"

#include <linux/sched.h>
#include <sys/syscall.h>

static inline long call(long nr, long a, long b, long c, long d)
{
	register long r10 __asm__("r10") = d, r8 __asm__("r8") = 0, r9 __asm__("r9") = 0;
	long rc;

	__asm__ volatile("syscall" : "=a"(rc) : "a"(nr), "D"(a), "S"(b), "d"(c), "r"(r10),
			   "r"(r8), "r"(r9)
			 : "rcx", "r11", "memory");
	return rc;
}

static inline bool same(const char *a, const char *b)
{
	while (*a != 0 && *a == *b) {
		a++;
		b++;
	}
	return *a == *b;
}

static inline _Noreturn void wait_for_ever(void)
{
	for (;;)
		call(SYS_ppoll, 0, 0, 0, 0);
}

static inline void say(const char *line, long len)
{
	call(SYS_write, FD_LOG, (long)line, len, 0);
}
#define SAY(line) say(line "\n", sizeof(line))

/* A thread that makes call @nr with zeroes for arguments, again and again; its stack ends at @stack.  Returns its
 * id or -errno. */
static inline long start_thread(char *stack, long nr)
{
	long flags = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM;
	long rc;

	__asm__ volatile("xor %%edx, %%edx; xor %%r10d, %%r10d; xor %%r8d, %%r8d; syscall\n"
			 "test %%rax, %%rax; jnz 2f\n"
			 "1: mov %[nr], %%rax; xor %%edi, %%edi; xor %%esi, %%esi\n"
			 "xor %%edx, %%edx; xor %%r10d, %%r10d; syscall; jmp 1b\n"
			 "2:"
			 : "=a"(rc)
			 : "a"((long)SYS_clone), "D"(flags), "S"(stack), [nr] "b"(nr)
			 : "rcx", "rdx", "r8", "r10", "r11", "memory");
	return rc;
}

__asm__(".globl _start\n_start: mov %rsp, %rdi\n and $-16, %rsp\n call run\n");

#endif
