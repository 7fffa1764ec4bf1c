/* SPDX-License-Identifier: Apache-2.0 */
/* say.h: how immure speaks to the person who typed the command.
 *
 * An error is what failed, why, and what to do next, on standard error.  Text that came from a
 * guest, a supervisor or a file passes through say_clean() before it is printed: it must not
 * move the cursor, set a title or forge a second message. */
#ifndef IMMURE_CLI_SAY_H
#define IMMURE_CLI_SAY_H

#include "core/base.h"

enum {
	EXIT_TIMEOUT = 124,
	EXIT_IMMURE = 125,	/* immure itself failed */
	EXIT_NOEXEC = 126,
	EXIT_NOTFOUND = 127,
};

/* Prints "immure: <text>" to standard error, cleaned, one write.  Returns EXIT_IMMURE, so that
 * a command can end with `return say_error(...)`. */
int say_error(const char *fmt, ...) printf_like(1, 2);

/* What the last say_error() said, cleaned; "" when there was none. */
const char *say_last(void);

/* Prints "immure: note: <text>": not an error, but not what one would expect either. */
void say_note(const char *fmt, ...) printf_like(1, 2);

/* Prints "  <text>": what to do next. */
void say_hint(const char *fmt, ...) printf_like(1, 2);

/* Replaces what a terminal would act upon in @s, in place: control characters (a tab becomes a
 * space) and bytes that are not UTF-8 become '?'. */
void say_clean(char *s);

/* True when standard error is a terminal. */
bool say_to_terminal(void);

/* Lines end with CR LF from now on: the terminal is raw. */
void say_raw(bool raw);

#endif
