/* SPDX-License-Identifier: Apache-2.0 */
/* start.c: the one parser in PID 1 of the guest.
 *
 * The bytes come from the host, which owns the guest anyway; being strict here means that a
 * broken or newer host is told so, instead of a command running with half of its arguments. */
#include "guest/start.h"

#include <string.h>

struct cursor {
	char *at;
	size_t left;
};

/* The next NUL-terminated string, or NULL when none ends inside what is left. */
static char *next_string(struct cursor *c)
{
	char *s = c->at, *end = c->left ? memchr(s, '\0', c->left) : NULL;

	if (!end)
		return NULL;
	c->left -= (size_t)(end - s) + 1;
	c->at = end + 1;
	return s;
}

/* Fills @list with @count strings and a NULL. */
static bool strings(struct cursor *c, char **list, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++) {
		list[i] = next_string(c);
		if (!list[i])
			return false;
	}
	list[count] = NULL;
	return true;
}

static const char *check_values(const struct start *s)
{
	if (s->argv[0][0] == '\0')
		return "START: the command's name is empty";
	for (uint32_t i = 0; i < s->envc; i++)
		if (s->env[i][0] == '=' || !strchr(s->env[i], '='))
			return "START: an environment entry is not NAME=VALUE";
	if (s->dir[0] != '\0' && s->dir[0] != '/')
		return "START: the directory is not absolute";
	return NULL;
}

static bool network_valid(const struct start *s)
{
	static const struct proto_net none;

	if (!s->net)
		return memcmp(&s->network, &none, sizeof(none)) == 0;
	return s->network.prefix <= 32 && s->network.prefix6 <= 128 &&
	       (s->network.prefix6 != 0 || memcmp(s->network.address6, none.address6, 16) == 0) &&
	       memcmp(s->network.zero, none.zero, sizeof(none.zero)) == 0;
}

static const char *parse(struct start *s, char *body, size_t len)
{
	struct proto_start head;
	struct cursor c;

	if (len < sizeof(head))
		return "START: shorter than its header";
	memcpy(&head, body, sizeof(head));
	if (le32(head.version) != PROTO_VERSION)
		return "START: another protocol version; immure-init and immure differ in age";
	if (le32(head.flags) & ~(uint32_t)(PROTO_TTY | PROTO_NET))
		return "START: unknown flag";
	s->argc = le32(head.argc);
	s->envc = le32(head.envc);
	if (s->argc < 1 || s->argc > PROTO_ARGS_MAX || s->envc > PROTO_ARGS_MAX)
		return "START: too many arguments or environment entries";
	s->network = head.net;
	s->net = le32(head.flags) & PROTO_NET;
	if (!network_valid(s))
		return "START: a network that cannot be";
	s->tty = le32(head.flags) & PROTO_TTY;
	s->rows = le16(head.winsize.rows);
	s->cols = le16(head.winsize.cols);
	c = (struct cursor){ body + sizeof(head), len - sizeof(head) };
	if (!strings(&c, s->argv, s->argc) || !strings(&c, s->env, s->envc))
		return "START: a string does not end inside the frame";
	s->dir = next_string(&c);
	s->user = s->dir ? next_string(&c) : NULL;
	if (!s->user)
		return "START: a string does not end inside the frame";
	if (c.left)
		return "START: bytes behind the last string";
	return check_values(s);
}

int start_parse(struct start *s, char *body, size_t len, const char **why)
{
	memset(s, 0, sizeof(*s));
	*why = parse(s, body, len);
	return *why ? -1 : 0;
}
