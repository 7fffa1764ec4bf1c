/* SPDX-License-Identifier: Apache-2.0 */
/* escape.c: what the hooks of all programs share. */
#include "tests/escape/escape.h"
#include "core/log.h"

#include <stdlib.h>
#include <string.h>

struct escape escape;

struct row {
	uint8_t number, sub;
};

static const struct row rows[] = {
#define ROW(number, sub, kinds, way, call, others, what) { number, sub },
	ESCAPE_TABLE(ROW)
#undef ROW
};

static const char *const layer_names[LAYERS] = {
#define LAYER_NAME(id, name, absent) name,
	ESCAPE_LAYERS(LAYER_NAME)
#undef LAYER_NAME
};

/* What follows " <key>=" in @text, or NULL. */
static const char *value(const char *text, const char *key)
{
	size_t len = strlen(key);

	for (; text != NULL; text = strchr(text + 1, ' ')) {
		text += *text == ' ';
		if (strncmp(text, key, len) == 0 && text[len] == '=')
			return text + len + 1;
	}
	return NULL;
}

static long number(const char *text, const char *key)
{
	const char *v = value(text, key);

	return v != NULL ? strtol(v, NULL, 10) : 0;
}

static void word(const char *text, const char *key, char *to, size_t size)
{
	const char *v = value(text, key);
	size_t n = v != NULL ? strcspn(v, " ") : 0;

	if (n >= size)
		n = 0;
	memcpy(to, v != NULL ? v : "", n);
	to[n] = 0;
}

static uint32_t layers(const char *list)
{
	uint32_t bits = 0;

	while (list != NULL && *list != 0 && *list != ' ') {
		size_t n = strcspn(list, ", ");

		for (unsigned i = 0; i < LAYERS; i++)
			if (strlen(layer_names[i]) == n && strncmp(layer_names[i], list, n) == 0)
				bits |= 1u << i;
		list += n + (list[n] == ',');
	}
	return bits;
}

void escape_parse(const char *cmdline)
{
	const char *who = value(cmdline, "escape");

	if (who == NULL)
		return;
	escape.kind = who[0];
	word(cmdline, "rows", escape.rows, sizeof(escape.rows));
	escape.without = layers(value(cmdline, "without"));
	word(cmdline, "dir", escape.dir, sizeof(escape.dir));
	word(cmdline, "name", escape.name, sizeof(escape.name));
	escape.pid = number(cmdline, "pid");
	escape.boss = number(cmdline, "boss");
	escape.tcp = number(cmdline, "tcp");
	escape.udp = number(cmdline, "udp");
	escape.vsock = number(cmdline, "vsock");
}

long each_fd(long (*f)(int fd))
{
	long last = -EBADF;

	for (int fd = 0; fd < ESCAPE_FDS; fd++) {
		long rc = f(fd);

		if (rc >= 0)
			return rc;
		if (rc != -EBADF)
			last = rc;
	}
	return last;
}

long attempt(unsigned number, unsigned sub)
{
	if (number <= 17)
		return attempt_files(number, sub);
	if (number <= 37 || number >= 61)
		return attempt_processes(number, sub);
	return number <= 45 ? attempt_sockets(number, sub) : attempt_kernel(number, sub);
}

_Static_assert(array_len(rows) < ESCAPE_ROWS, "room for the rows' bits");

static bool row_wanted(size_t i)
{
	char digit = i / 4 < strlen(escape.rows) ? escape.rows[i / 4] : '0';

	return ((digit <= '9' ? digit - '0' : digit - 'a' + 10) >> i % 4 & 1) != 0;
}

void escape_try(char kind, void (*say)(const char *line))
{
	char line[64];
	long rc = -1;

	if (escape.kind != kind)
		return;
	escape.kind = 0;
	escape.mine = kind;
	say("escape: trying");
	for (size_t i = 0; i < array_len(rows) && rc < 0; i++) {
		const struct row *r = &rows[i];

		if (!row_wanted(i))
			continue;
		rc = attempt(r->number, r->sub);
		log_format(line, sizeof(line), "escape: %u.%u = %ld", r->number, r->sub, rc);
		say(line);
	}
	say("escape: done");
}
