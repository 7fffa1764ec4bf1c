/* SPDX-License-Identifier: Apache-2.0 */
/* run_console.c: one chunk at a time, cleaned.
 *
 * Standard error is the caller's and shared, so its flags are left alone.  A pipe that poll() calls
 * writable takes PIPE_BUF bytes, and a chunk is no longer; a file never blocks.  A terminal may take
 * less than it is given and block for the rest: it is opened once more, for us alone. */
#include "cli/run_console.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <unistd.h>

_Static_assert(2 * CONSOLE_CHUNK <= PIPE_BUF, "what poll() promises of a pipe");

void console_open(struct run_console *c, bool crlf)
{
	int own = -1;

	*c = (struct run_console){ .out = STDERR_FILENO, .crlf = crlf };
	if (isatty(STDERR_FILENO) == 1)
		own = open("/proc/self/fd/2", O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (own >= 0)
		c->out = own;
}

bool console_pending(const struct run_console *c)
{
	return c->at < c->len;
}

struct pollfd console_wants(const struct run_console *c, int from)
{
	if (console_pending(c))
		return (struct pollfd){ .fd = c->out, .events = POLLOUT };
	return (struct pollfd){ .fd = from, .events = POLLIN };
}

static void show(struct run_console *c)
{
	ssize_t n = write(c->out, c->text + c->at, c->len - c->at);

	if (n >= 0)
		c->at += (size_t)n;
	else if (errno != EAGAIN && errno != EINTR)
		c->at = c->len;		/* nobody wants to see it */
}

/* The guest's bytes on the caller's terminal: text only. */
static void clean(struct run_console *c, const char *buf, size_t n)
{
	c->at = c->len = 0;
	for (size_t i = 0; i < n; i++) {
		if (buf[i] == '\n' && c->crlf)
			c->text[c->len++] = '\r';
		if (buf[i] != '\r')
			c->text[c->len++] = (buf[i] >= ' ' && buf[i] < 0x7f) || buf[i] == '\n' ||
					    buf[i] == '\t' ? buf[i] : '?';
	}
}

bool console_turn(struct run_console *c, int from)
{
	char buf[CONSOLE_CHUNK];
	ssize_t n;

	if (console_pending(c)) {
		show(c);
		return true;
	}
	n = read(from, buf, sizeof(buf));
	if (n > 0)
		clean(c, buf, (size_t)n);
	return n > 0 || (n < 0 && (errno == EINTR || errno == EAGAIN));
}
