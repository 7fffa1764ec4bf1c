/* SPDX-License-Identifier: Apache-2.0 */
/* run_term.c: raw mode, and the promise to leave it.
 *
 * Signals that would end the process are blocked and read from a descriptor (run_loop.c), so
 * every end runs exit handlers; only SIGKILL can leave a terminal raw, as everywhere. */
#include "cli/run_term.h"
#include "cli/say.h"

#include <stdlib.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

static struct termios saved;
static bool raw, registered;

bool term_interactive(void)
{
	return isatty(STDIN_FILENO) == 1 && isatty(STDOUT_FILENO) == 1;
}

void term_size(uint16_t *rows, uint16_t *cols)
{
	static const int fds[] = { STDOUT_FILENO, STDIN_FILENO, STDERR_FILENO };

	*rows = *cols = 0;
	for (size_t i = 0; i < array_len(fds); i++) {
		struct winsize w;

		if (ioctl(fds[i], TIOCGWINSZ, &w) < 0 || (!w.ws_row && !w.ws_col))
			continue;
		*rows = w.ws_row;
		*cols = w.ws_col;
		return;
	}
}

void term_raw(void)
{
	struct termios t;

	if (!raw && tcgetattr(STDIN_FILENO, &saved) < 0)
		return;
	if (!registered && atexit(term_restore) != 0)
		return;
	registered = true;
	t = saved;
	cfmakeraw(&t);
	if (tcsetattr(STDIN_FILENO, TCSADRAIN, &t) < 0)
		return;
	raw = true;
	say_raw(true);
}

void term_signals(void)
{
	struct termios t;

	if (!raw || tcgetattr(STDIN_FILENO, &t) < 0 || (t.c_lflag & ISIG))
		return;
	t.c_lflag |= ISIG;
	/* Not after the output was read: that may be what never happens. */
	tcsetattr(STDIN_FILENO, TCSANOW, &t);
}

void term_restore(void)
{
	if (!raw)
		return;
	tcsetattr(STDIN_FILENO, TCSADRAIN, &saved);
	raw = false;
	say_raw(false);
}
