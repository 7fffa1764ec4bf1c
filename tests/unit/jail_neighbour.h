/* SPDX-License-Identifier: Apache-2.0 */
/* jail_neighbour.h: a VM that answers, all the way through its own disk process, its VMM and its
 * supervisor: its guest reads the first byte of its disk again and again, and prints each new
 * value on the debug console. */
#ifndef IMMURE_TESTS_UNIT_JAIL_NEIGHBOUR_H
#define IMMURE_TESTS_UNIT_JAIL_NEIGHBOUR_H

#include "tests/unit/jail_rig.h"

/* A queue at 2 MiB with one request, which is made over and over: descriptors, avail, used, header
 * (zeros: read sector 0), data and status are a page each. */
#define PUT(offset, value) "movl $" #value ", " #offset "(%rdi);"
#define DESCRIPTOR(n, at, len, next_flags)                                              \
	"movq $" #at ", 16*" #n "(%rsi); movl $" #len ", 16*" #n "+8(%rsi);"            \
	"movl $" #next_flags ", 16*" #n "+12(%rsi);"
__asm__(".pushsection .rodata\nneighbour_guest:\n"
	"mov $0xd0000000, %edi; mov $0x200000, %esi;"
	DESCRIPTOR(0, 0x203000, 16, 0x10001) DESCRIPTOR(1, 0x204000, 512, 0x20003)
	DESCRIPTOR(2, 0x205000, 1, 2)
	"movw $1, 0x1000(%rsi);"		/* polls: no interrupts */
	PUT(0x70, 1) PUT(0x70, 3)
	PUT(0x24, 1) PUT(0x20, 1) PUT(0x24, 0) PUT(0x20, 0) PUT(0x70, 0xb)
	PUT(0x30, 0) PUT(0x38, 16)
	PUT(0x80, 0x200000) PUT(0x84, 0) PUT(0x90, 0x201000) PUT(0x94, 0)
	PUT(0xa0, 0x202000) PUT(0xa4, 0) PUT(0x44, 1) PUT(0x70, 0xf)
	"xor %ecx, %ecx; xor %ebx, %ebx; mov $0x3f8, %edx;"
	"1: inc %ecx; mov %cx, 0x1002(%rsi);" PUT(0x50, 0)
	"2: pause; cmp %cx, 0x2002(%rsi); jne 2b;"
	"mov 0x4000(%rsi), %al; cmp %al, %bl; je 1b;"
	"mov %al, %bl; out %al, %dx; jmp 1b\n"
	"neighbour_guest_end:\n.popsection\n");
#undef DESCRIPTOR
#undef PUT
extern const char neighbour_guest[], neighbour_guest_end[];

struct neighbour {
	struct rig r;
	int disk;
	int console;		/* read end */
	unsigned asked;
};

static inline void neighbour_start(struct neighbour *n)
{
	size_t len = (size_t)(neighbour_guest_end - neighbour_guest);
	char text[512], path[64];
	int ends[2];

	*n = (struct neighbour){ .r = rig_make(0) };
	rig_file(&n->r, "idle", neighbour_guest, len, (off_t)len);
	snprintf(path, sizeof(path), "%s/disk", n->r.dir);
	n->disk = open(path, O_WRONLY | O_CLOEXEC);
	cr_assert(n->disk >= 0 && pipe2(ends, O_CLOEXEC) == 0);
	n->console = ends[0];
	n->r.console = ends[1];
	snprintf(text, sizeof(text), "{\"name\":\"%s\",\"id\":6,\"kernel\":\"%s/idle\","
		 "\"entry\":\"flat\",\"memory\":33554432,\"console\":true,"
		 "\"disks\":[{\"path\":\"%s\",\"readonly\":true}]}", n->r.name, n->r.dir, path);
	rig_start(&n->r, text);
	close(ends[1]);
	json_decref(rig_expect(&n->r, "running"));
}

/* Asks @questions, one after the other, and waits for each answer. */
static inline void neighbour_answers(struct neighbour *n, unsigned questions)
{
	for (unsigned i = 0; i < questions; i++) {
		struct pollfd at = { .fd = n->console, .events = POLLIN };
		char question = (char)('A' + n->asked++ % 26), answer = 0;

		cr_assert_eq(pwrite(n->disk, &question, 1, 0), 1);
		cr_assert_eq(poll(&at, 1, RIG_SECONDS * 1000), 1, "no answer %u", i);
		cr_assert_eq(read(n->console, &answer, 1), 1);
		cr_assert_eq(answer, question, "'%c' is no answer to '%c'", answer, question);
	}
}

static inline void neighbour_stop(struct neighbour *n)
{
	char path[64];

	cr_assert_eq(kill(n->r.jailer, SIGTERM), 0);
	json_decref(rig_end(&n->r, "stopped", 0));
	close(n->disk);
	close(n->console);
	snprintf(path, sizeof(path), "%s/parent/run", n->r.dir);
	rmdir(path);
	rig_nothing_left(&n->r);
	rig_remove(&n->r);
}

#endif
