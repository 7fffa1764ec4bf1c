/* SPDX-License-Identifier: Apache-2.0 */
/* say.c: messages, cleaned and whole. */
#include "cli/say.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define ERROR_PREFIX "immure: "

enum { LINE_MAX_BYTES = 4096 };

static bool raw_terminal;
static char last[LINE_MAX_BYTES];

/* Bytes of the well-formed UTF-8 sequence at @s that is not a control character, or 0.  Stops
 * at the terminating NUL by itself: it is no continuation byte. */
static size_t printable(const unsigned char *s)
{
	uint32_t c = s[0];
	size_t more;

	if (c < 0x80)
		return c >= 0x20 && c != 0x7f;
	if (c >= 0xc2 && c <= 0xdf)
		more = 1;
	else if ((c & 0xf0) == 0xe0)
		more = 2;
	else if (c >= 0xf0 && c <= 0xf4)
		more = 3;
	else
		return 0;
	c &= 0x3fu >> more;
	for (size_t i = 1; i <= more; i++) {
		if ((s[i] & 0xc0) != 0x80)
			return 0;
		c = c << 6 | (s[i] & 0x3f);
	}
	/* C1 controls, overlong forms, surrogates; marks that turn the direction of text. */
	if (c < 0xa0 || (more == 2 && c < 0x800) || (more == 3 && (c < 0x10000 || c > 0x10ffff)) ||
	    (c >= 0xd800 && c <= 0xdfff) || (c >= 0x200b && c <= 0x200f) ||
	    (c >= 0x2028 && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069) || c == 0xfeff)
		return 0;
	return more + 1;
}

void say_clean(char *s)
{
	while (*s) {
		size_t n = printable((const unsigned char *)s);

		if (n == 0) {
			*s = *s == '\t' ? ' ' : '?';
			n = 1;
		}
		s += n;
	}
}

bool say_to_terminal(void)
{
	return isatty(STDERR_FILENO) == 1;
}

void say_raw(bool raw)
{
	raw_terminal = raw;
}

__attribute__((format(printf, 2, 0)))
static void print(const char *prefix, const char *fmt, va_list args)
{
	char line[LINE_MAX_BYTES];
	size_t len = strlen(prefix);

	memcpy(line, prefix, len);
	vsnprintf(line + len, sizeof(line) - len - 2, fmt, args);
	say_clean(line + len);
	if (strcmp(prefix, ERROR_PREFIX) == 0)
		memcpy(last, line + len, strlen(line + len) + 1);
	len = strlen(line);
	if (raw_terminal)
		line[len++] = '\r';
	line[len++] = '\n';
	if (write(STDERR_FILENO, line, len) < 0) {
		/* Standard error is gone; the exit status still tells. */
	}
}

int say_error(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	print(ERROR_PREFIX, fmt, args);
	va_end(args);
	return EXIT_IMMURE;
}

const char *say_last(void)
{
	return last;
}

void say_note(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	print("immure: note: ", fmt, args);
	va_end(args);
}

void say_hint(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	print("  ", fmt, args);
	va_end(args);
}
