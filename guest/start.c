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

static bool network_valid(const struct proto_net *n)
{
	static const struct proto_net none;

	return n->prefix <= 32 && n->prefix6 <= 128 && memcmp(n->mac, none.mac, sizeof(none.mac)) != 0 &&
	       (n->prefix6 != 0 || memcmp(n->address6, none.address6, sizeof(none.address6)) == 0);
}

/* Takes the interfaces.  What finds one by its address must not find another. */
static const char *networks(struct start *s, struct cursor *c)
{
	if (c->left < s->nets * sizeof(s->net[0]))
		return "START: shorter than its network interfaces";
	memcpy(s->net, c->at, s->nets * sizeof(s->net[0]));
	c->at += s->nets * sizeof(s->net[0]);
	c->left -= s->nets * sizeof(s->net[0]);
	for (uint32_t i = 0; i < s->nets; i++) {
		if (!network_valid(&s->net[i]))
			return "START: a network that cannot be";
		for (uint32_t j = 0; j < i; j++)
			if (memcmp(s->net[i].mac, s->net[j].mac, sizeof(s->net[i].mac)) == 0)
				return "START: two network interfaces with one hardware address";
	}
	return NULL;
}

static const char *parse(struct start *s, char *body, size_t len)
{
	struct proto_start head;
	struct cursor c;
	const char *wrong;

	if (len < sizeof(head))
		return "START: shorter than its header";
	memcpy(&head, body, sizeof(head));
	if (le32(head.version) != PROTO_VERSION)
		return "START: another protocol version; immure-init and immure differ in age";
	if (le32(head.flags) & ~(uint32_t)PROTO_TTY)
		return "START: unknown flag";
	s->argc = le32(head.argc);
	s->envc = le32(head.envc);
	if (s->argc < 1 || s->argc > PROTO_ARGS_MAX || s->envc > PROTO_ARGS_MAX)
		return "START: too many arguments or environment entries";
	s->nets = le32(head.nets);
	if (s->nets > PROTO_NETS_MAX)
		return "START: too many network interfaces";
	s->tty = le32(head.flags) & PROTO_TTY;
	s->rows = le16(head.winsize.rows);
	s->cols = le16(head.winsize.cols);
	c = (struct cursor){ body + sizeof(head), len - sizeof(head) };
	wrong = networks(s, &c);
	if (wrong)
		return wrong;
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
