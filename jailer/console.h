/* SPDX-License-Identifier: Apache-2.0 */
/* console.h: the guest's debug console, to where the caller wants it.
 *
 * The bytes are the guest's and are passed on as they are, at most CONSOLE_RATE a second, and
 * only while the caller's descriptor takes them; otherwise the pipe fills and the VMM drops.
 */
#ifndef IMMURE_JAILER_CONSOLE_H
#define IMMURE_JAILER_CONSOLE_H

#include "core/base.h"
#include "jailer/plan.h"

#include <poll.h>

enum {
	CONSOLE_RATE = 1 << 20,		/* bytes a second */
	CONSOLE_CHUNK = 4096,		/* what a pipe that polls writable takes at once */
};

struct console {
	bool open;
	uint64_t window;		/* start of the second counted, ms */
	uint32_t bytes;			/* passed on in it */
	size_t at, len;			/* waiting in buf */
	char buf[CONSOLE_CHUNK];
};

/* Uses SUP_CONSOLE and SUP_CONSOLE_OUT; does nothing when the plan has no console. */
void console_init(struct console *c, const struct plan *p, uint64_t now_ms);

/* Sets up @at for what the console waits for now, or shortens *@wait_ms. */
void console_poll(const struct console *c, uint64_t now_ms, struct pollfd *at,
		  uint64_t *wait_ms);

/* Moves one chunk. */
void console_serve(struct console *c, uint64_t now_ms);

/* At the end: moves what is left in the pipe, as far as the caller takes it at once. */
void console_drain(struct console *c, uint64_t now_ms);

#endif
