/* SPDX-License-Identifier: Apache-2.0 */
/* wall_text.c: a few characters at a time, each part by itself. */
#include "jailer/wall_text.h"

#include <arpa/inet.h>
#include <string.h>

/* Digits only, at most @max, nothing before or behind. */
static bool decimal(const char *text, unsigned max, unsigned *out)
{
	unsigned long v = 0;

	if (text[0] == 0 || strlen(text) > 5)
		return false;
	for (; *text; text++) {
		if (*text < '0' || *text > '9')
			return false;
		v = v * 10 + (unsigned long)(*text - '0');
	}
	*out = (unsigned)v;
	return v <= max;
}

/* Cuts @text at the first @c; the part behind it, or NULL. */
static char *cut(char *text, char c)
{
	char *at = strchr(text, c);

	if (at)
		*at++ = 0;
	return at;
}

static void set_mask(uint32_t mask[static 4], unsigned prefix)
{
	uint8_t bytes[16] = { 0 };

	for (unsigned i = 0; i < prefix; i++)
		bytes[i / 8] |= (uint8_t)(0x80 >> i % 8);
	memcpy(mask, bytes, sizeof(bytes));
}

/* "ADDRESS" or "ADDRESS/PREFIX", without brackets. */
static const char *network(char *text, bool v6, struct wall_allow *a)
{
	char *slash = cut(text, '/');
	unsigned prefix = v6 ? 128 : 32;

	if (inet_pton(v6 ? AF_INET6 : AF_INET, text, a->addr) != 1)
		return v6 ? "not an IPv6 address in [brackets]" : "not an IPv4 address";
	if (slash && !decimal(slash, prefix, &prefix))
		return v6 ? "its prefix is not 0 to 128" : "its prefix is not 0 to 32";
	a->version = v6 ? 6 : 4;
	set_mask(a->mask, prefix);
	for (int i = 0; i < 4; i++)
		a->addr[i] &= a->mask[i];
	return NULL;
}

/* "443", "5000-5009", "*", each with "/tcp" or "/udp" behind it or not. */
static const char *ports(char *text, struct wall_allow *a)
{
	char *proto = cut(text, '/'), *last = cut(text, '-');
	unsigned first = 0, to;

	if (proto && strcmp(proto, "tcp") != 0 && strcmp(proto, "udp") != 0)
		return "its protocol is not tcp or udp";
	if (proto)
		a->proto = proto[0] == 't' ? IPPROTO_TCP : IPPROTO_UDP;
	if (strcmp(text, "*") == 0 && !last)
		return NULL;
	if (!decimal(text, 65535, &first) || first == 0)
		return "its port is not 1 to 65535, or *";
	to = first;
	if (last && (!decimal(last, 65535, &to) || to < first))
		return "its last port is not one from the first to 65535";
	a->port = (uint16_t)first;
	a->port_last = (uint16_t)to;
	return NULL;
}

/* Finds where the ports begin, and takes the brackets off. */
static const char *split(char *text, bool v6, char **net, char **behind)
{
	char *end;

	*net = text;
	if (!v6) {
		*behind = cut(text, ':');
		return NULL;
	}
	*net = text + 1;
	end = cut(*net, ']');
	if (!end || (end[0] != 0 && end[0] != ':'))
		return "not an IPv6 address in [brackets]";
	*behind = end[0] == ':' ? end + 1 : NULL;
	return NULL;
}

const char *wall_allow_parse(const char *text, struct wall_allow *a)
{
	char copy[WALL_TEXT_MAX], *net, *behind;
	bool v6 = text[0] == '[';
	const char *wrong;

	if (strlen(text) >= sizeof(copy))
		return "too long";
	memcpy(copy, text, strlen(text) + 1);
	memset(a, 0, sizeof(*a));
	wrong = split(copy, v6, &net, &behind);
	if (!wrong)
		wrong = network(net, v6, a);
	return !wrong && behind ? ports(behind, a) : wrong;
}

const char *wall_address_parse(const char *text, struct wall_config *c)
{
	bool v6 = strchr(text, ':') != NULL;
	char copy[WALL_TEXT_MAX], *slash;
	unsigned prefix;

	if (strlen(text) >= sizeof(copy))
		return "too long";
	memcpy(copy, text, strlen(text) + 1);
	slash = cut(copy, '/');
	if (inet_pton(v6 ? AF_INET6 : AF_INET, copy, v6 ? c->ip6 : c->ip4) != 1)
		return "not an IP address";
	if (slash && !decimal(slash, v6 ? 128 : 32, &prefix))
		return "its prefix is out of range";
	c->flags |= v6 ? WALL_HAS_IP6 : WALL_HAS_IP4;
	return NULL;
}

void wall_config_init(struct wall_config *c, const uint8_t mac[static 6])
{
	memset(c, 0, sizeof(*c));
	memcpy(c->mac, mac, 6);
	/* RFC 4291, appendix A: the modified EUI-64 of the MAC. */
	c->link_local[0] = 0xfe;
	c->link_local[1] = 0x80;
	c->link_local[8] = mac[0] ^ 2;
	c->link_local[9] = mac[1];
	c->link_local[10] = mac[2];
	c->link_local[11] = 0xff;
	c->link_local[12] = 0xfe;
	c->link_local[13] = mac[3];
	c->link_local[14] = mac[4];
	c->link_local[15] = mac[5];
}
