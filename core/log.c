/* SPDX-License-Identifier: Apache-2.0 */
/* log.c: lines to the supervisor, with a formatter of its own.
 *
 * What is logged may have been chosen by the guest or by a hostile peer, and somebody will
 * read it in a terminal: every byte that is not printable ASCII becomes '?', so a line stays
 * one line and carries no escape sequence.  stdio is not used because it allocates, locks,
 * and asks for system calls (fstat) that no policy grants. */
#include "core/log.h"
#include "core/fdplan.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>
#include <unistd.h>

struct text {
	char *buf;
	size_t size;	/* room for characters, the NUL not counted */
	size_t len;
};

/* One conversion: %[0][width][l|ll|z]type. */
struct conversion {
	unsigned width;
	bool zeros;
	bool wide;	/* 64 bits */
	char type;
};

static void put_char(struct text *t, char c)
{
	if (t->len < t->size)
		t->buf[t->len++] = c;
}

static void put_padded(struct text *t, const struct conversion *v, const char *s, size_t n)
{
	for (size_t i = n; i < v->width; i++)
		put_char(t, v->zeros ? '0' : ' ');
	for (size_t i = 0; i < n; i++)
		put_char(t, s[i]);
}

static void put_number(struct text *t, struct conversion v, uint64_t x, bool negative)
{
	char digits[20];	/* 2^64 has 20 decimal digits */
	size_t at = sizeof(digits);
	unsigned base = v.type == 'x' ? 16 : 10;

	do {
		digits[--at] = "0123456789abcdef"[x % base];
		x /= base;
	} while (x != 0);
	if (negative && v.width > 0)
		v.width--;
	if (negative && !v.zeros)
		for (; v.width > sizeof(digits) - at; v.width--)
			put_char(t, ' ');
	if (negative)
		put_char(t, '-');
	put_padded(t, &v, digits + at, sizeof(digits) - at);
}

/* Parses the conversion behind a '%' at @s; returns what follows it. */
static const char *parse(const char *s, struct conversion *v)
{
	*v = (struct conversion){ .zeros = *s == '0' };
	for (; *s >= '0' && *s <= '9' && v->width < LOG_LINE; s++)
		v->width = v->width * 10 + (unsigned)(*s - '0');
	for (; *s == 'l' || *s == 'z'; s++)
		v->wide = true;
	v->type = *s;
	return *s != 0 ? s + 1 : s;
}

static void put_signed(struct text *t, struct conversion v, int64_t x)
{
	put_number(t, v, x < 0 ? -(uint64_t)x : (uint64_t)x, x < 0);
}

static void put_string(struct text *t, const struct conversion *v, const char *s)
{
	if (s == NULL)
		s = "(null)";
	put_padded(t, v, s, strnlen(s, LOG_LINE));
}

static size_t format(char *buf, size_t size, const char *fmt, va_list ap)
{
	struct text t = { .buf = buf, .size = size > 0 ? size - 1 : 0 };
	struct conversion v;

	while (*fmt != 0) {
		if (*fmt != '%') {
			put_char(&t, *fmt++);
			continue;
		}
		fmt = parse(fmt + 1, &v);
		if (v.type == 's')
			put_string(&t, &v, va_arg(ap, const char *));
		else if (v.type == 'd')
			put_signed(&t, v, v.wide ? va_arg(ap, long) : va_arg(ap, int));
		else if (v.type == 'u' || v.type == 'x')
			put_number(&t, v, v.wide ? va_arg(ap, unsigned long)
						 : va_arg(ap, unsigned), false);
		else if (v.type == 'c')
			put_char(&t, (char)va_arg(ap, int));
		else if (v.type != 0)
			put_char(&t, v.type);
	}
	if (size > 0)
		buf[t.len] = 0;
	return t.len;
}

size_t log_format(char *buf, size_t size, const char *fmt, ...)
{
	va_list ap;
	size_t n;

	va_start(ap, fmt);
	n = format(buf, size, fmt, ap);
	va_end(ap);
	return n;
}

/* Lines that found the pipe full since the last one that did not. */
static uint64_t lost_lines;

static bool write_line(char *line, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (line[i] < ' ' || line[i] > '~')
			line[i] = '?';
	line[len] = '\n';
	/* At most PIPE_BUF bytes: the pipe takes all of it or nothing. */
	return write(FD_LOG, line, len + 1) == (ssize_t)(len + 1);
}

static void emit(char *line, size_t len)
{
	uint64_t lost = __atomic_exchange_n(&lost_lines, 0, __ATOMIC_RELAXED);
	char note[64];

	size_t n = log_format(note, sizeof(note), "%lu lines lost", lost);

	if (lost > 0 && !write_line(note, n))
		__atomic_fetch_add(&lost_lines, lost, __ATOMIC_RELAXED);
	if (!write_line(line, len))
		__atomic_fetch_add(&lost_lines, 1, __ATOMIC_RELAXED);
}

static void say(const char *fmt, va_list ap)
{
	char line[LOG_LINE];

	emit(line, format(line, sizeof(line), fmt, ap));
}

static void say_errno(int err, const char *fmt, va_list ap)
{
	char line[LOG_LINE];
	size_t n = format(line, sizeof(line), fmt, ap);
	const char *name = strerrorname_np(err);

	if (name != NULL)
		n += log_format(line + n, sizeof(line) - n, ": %s", name);
	else
		n += log_format(line + n, sizeof(line) - n, ": error %d", err);
	emit(line, n);
}

void log_line(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	say(fmt, ap);
	va_end(ap);
}

void log_errno(int err, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	say_errno(err, fmt, ap);
	va_end(ap);
}

void log_limited(struct log_limit *limit, const char *fmt, ...)
{
	uint64_t n = __atomic_add_fetch(&limit->count, 1, __ATOMIC_RELAXED);
	char line[LOG_LINE];
	va_list ap;
	size_t len;

	if (n > LOG_BURST && !is_power_of_2(n))
		return;
	va_start(ap, fmt);
	len = format(line, sizeof(line), fmt, ap);
	va_end(ap);
	if (n > LOG_BURST)
		len += log_format(line + len, sizeof(line) - len, " (%lu times)", n);
	emit(line, len);
}

_Noreturn void die(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	say(fmt, ap);
	va_end(ap);
	_exit(1);
}

_Noreturn void die_errno(int err, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	say_errno(err, fmt, ap);
	va_end(ap);
	_exit(1);
}
