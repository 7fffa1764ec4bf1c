/* SPDX-License-Identifier: Apache-2.0 */
/* console.c: a pump with one buffer, and a rate.
 *
 * The output descriptor is the caller's and may be shared with others, so its flags are left
 * alone: we write only when poll says that it takes a chunk, never blocking on a pipe or a
 * file. */
#include "jailer/console.h"
#include "core/fdplan.h"

#include <errno.h>
#include <unistd.h>

enum { SECOND_MS = 1000, DRAIN_CHUNKS = 64 };

void console_init(struct console *c, const struct plan *p, uint64_t now_ms)
{
	*c = (struct console){ .open = p->config->console, .window = now_ms };
}

void console_poll(const struct console *c, uint64_t now_ms, struct pollfd *at,
		  uint64_t *wait_ms)
{
	uint64_t end = c->window + SECOND_MS;

	if (!c->open)
		return;
	if (c->bytes >= CONSOLE_RATE && now_ms < end) {
		*wait_ms = min_u64(*wait_ms, end - now_ms);
		return;
	}
	at->fd = c->len > 0 ? SUP_CONSOLE_OUT : SUP_CONSOLE;
	at->events = c->len > 0 ? POLLOUT : POLLIN;
}

static void fill(struct console *c)
{
	ssize_t n = read(SUP_CONSOLE, c->buf, sizeof(c->buf));

	if (n > 0) {
		c->at = 0;
		c->len = (size_t)n;
	} else if (n == 0 || (errno != EAGAIN && errno != EINTR)) {
		c->open = false;
	}
}

static void empty(struct console *c)
{
	ssize_t n = write(SUP_CONSOLE_OUT, c->buf + c->at, c->len);

	if (n > 0) {
		c->at += (size_t)n;
		c->len -= (size_t)n;
		c->bytes += (uint32_t)n;
	} else if (n < 0 && errno != EAGAIN && errno != EINTR) {
		c->open = false;	/* the reader is gone: the VMM's bytes are dropped */
	}
}

void console_serve(struct console *c, uint64_t now_ms)
{
	if (now_ms >= c->window + SECOND_MS) {
		c->window = now_ms;
		c->bytes = 0;
	}
	if (c->len > 0)
		empty(c);
	else
		fill(c);
}

void console_drain(struct console *c, uint64_t now_ms)
{
	struct timespec now = { 0 };

	for (int i = 0; i < 2 * DRAIN_CHUNKS && c->open; i++) {
		struct pollfd at = { .fd = -1 };
		uint64_t wait;

		c->bytes = 0;
		console_poll(c, now_ms, &at, &wait);
		if (ppoll(&at, 1, &now, NULL) <= 0)
			return;
		console_serve(c, now_ms);
	}
}
