/* SPDX-License-Identifier: Apache-2.0 */
/* escape.h: inside the test build of a program: what it was told, and how it tries.
 *
 * The runner puts one word after another on the VM's kernel command line, which every process can
 * read:  escape=KIND rows=HEX without=LAYER,... dir= pid= boss= tcp= udp= vsock= name= */
#ifndef IMMURE_TESTS_ESCAPE_ESCAPE_H
#define IMMURE_TESTS_ESCAPE_ESCAPE_H

#include "core/guestmem.h"
#include "core/seal.h"
#include "tests/escape/table.h"

#include <errno.h>
#include <stdbool.h>
#include <sys/syscall.h>
#include <sys/types.h>

enum escape_layer {
#define LAYER_ID(id, name, absent) LAYER_##id,
	ESCAPE_LAYERS(LAYER_ID)
#undef LAYER_ID
	LAYERS
};

enum {
	ESCAPE_MARK = 0x45534341,	/* at the end of guest memory: all processes are sealed */
	ESCAPE_LEFT = 0x4c454654,	/* what an earlier VM leaves in its memory (63) */
	ESCAPE_ROWS = 256,		/* of the table, at most */
	ESCAPE_FDS = 256,		/* descriptors looked at */
	ESCAPE_LEAK = 200,		/* with the layer FDS off: a directory, a file, KVM */
	ESCAPE_EXECUTED = 77,		/* exit status of a program of ours that was executed (15) */
};

struct escape {
	char kind;		/* whose turn it is; 0: nobody's */
	char mine;		/* who makes attempts in this process */
	char rows[ESCAPE_ROWS / 4];	/* of the table, hexadecimal: row 0 is the first digit's lowest bit */
	uint32_t without;	/* bits of enum escape_layer */
	char dir[64];		/* the host's objects that are aimed at */
	char name[64];		/* abstract Unix socket of the host */
	long pid, boss;		/* a process of the host; who started the jailer */
	long tcp, udp, vsock;	/* ports of the host */
	struct guestmem *mem;	/* of this process; NULL: none */
	pid_t peer;		/* the supervisor's first child */
};

extern struct escape escape;

static inline bool escape_without(enum escape_layer layer)
{
	return (escape.without >> layer & 1) != 0;
}

/* Takes what it says from a kernel command line. */
void escape_parse(const char *cmdline);

/* When it is @kind's turn, tries the rows: tells @say that it begins, the result of each (a call's: an error
 * is negative; what is not is an escape, and the last), then that it is done. */
void escape_try(char kind, void (*say)(const char *line));

/* One attempt. */
long attempt(unsigned number, unsigned sub);

/* attempt_*.c */
long attempt_files(unsigned number, unsigned sub);
long attempt_processes(unsigned number, unsigned sub);
long attempt_sockets(unsigned number, unsigned sub);
long attempt_frames(unsigned number, unsigned sub);
long attempt_kernel(unsigned number, unsigned sub);

static inline long escape_call(long nr, long a, long b, long c, long d, long e, long f)
{
	register long r10 __asm__("r10") = d, r8 __asm__("r8") = e, r9 __asm__("r9") = f;
	long rc;

	__asm__ volatile("syscall" : "=a"(rc)
			 : "a"(nr), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
			 : "rcx", "r11", "memory");
	return rc;
}

/* CALL(number, up to six arguments): the bare system call; -errno when it was refused. */
#define CALL_7(nr, a, b, c, d, e, f, ...) \
	escape_call((nr), (long)(a), (long)(b), (long)(c), (long)(d), (long)(e), (long)(f))
#define CALL(...) CALL_7(__VA_ARGS__, 0, 0, 0, 0, 0, 0, 0)

/* @f of every descriptor: the first success, else the last refusal of one that is open. */
long each_fd(long (*f)(int fd));

#endif
