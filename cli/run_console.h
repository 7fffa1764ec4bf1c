/* SPDX-License-Identifier: Apache-2.0 */
/* run_console.h: the guest's debug console on the caller's standard error, as text.
 *
 * Whoever reads standard error may stop reading; then the console waits, and nothing else does. */
#ifndef IMMURE_CLI_RUN_CONSOLE_H
#define IMMURE_CLI_RUN_CONSOLE_H

#include "core/base.h"

#include <poll.h>

enum { CONSOLE_CHUNK = 2048 };

struct run_console {
	int out;			/* where to; not owned unless console_open() made it */
	bool crlf;			/* the terminal is the guest's, and raw */
	size_t at, len;			/* of text: not written yet */
	char text[2 * CONSOLE_CHUNK];
};

/* Once, before the first poll. */
void console_open(struct run_console *c, bool crlf);

/* What to wait for: text on @from (-1: it ended), or room for what was read. */
struct pollfd console_wants(const struct run_console *c, int from);

/* Does what poll() found possible.  False when @from ended: nothing more will come. */
must_check bool console_turn(struct run_console *c, int from);

/* Something was read that is not shown yet. */
bool console_pending(const struct run_console *c);

#endif
