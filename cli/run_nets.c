/* SPDX-License-Identifier: Apache-2.0 */
/* run_nets.c: what the interfaces of one machine have between them. */
#include "cli/run_net.h"
#include "cli/say.h"
#include "jailer/mac.h"

#include <stdio.h>
#include <string.h>

enum { SIDE = 24 };	/* "tap=" and the longest name of an interface */

static const char *side_of(const struct run_net *n, char text[static SIDE])
{
	snprintf(text, SIDE, "%s%.15s", n->user ? "user" : "tap=", n->user ? "" : n->tap);
	return text;
}

static bool is_given(const uint8_t *bytes, size_t len)
{
	static const uint8_t none[16];

	return memcmp(bytes, none, len) != 0;
}

/* Each of the two, that is. */
static bool both_given(const uint8_t *a, const uint8_t *b, size_t len)
{
	return is_given(a, len) && is_given(b, len);
}

static bool same_mac(const struct run_net *a, const struct run_net *b)
{
	return both_given(a->guest.mac, b->guest.mac, MAC_BYTES) &&
	       memcmp(a->guest.mac, b->guest.mac, MAC_BYTES) == 0;
}

/* The guest tells its interfaces apart by it. */
static bool refuse_mac(const struct run_net *was, const struct run_net *now)
{
	char text[2][SIDE], mac[MAC_TEXT];

	say_error("--net: %s and %s have the same hardware address, %s", side_of(was, text[0]),
		  side_of(now, text[1]), mac_format(now->guest.mac, mac));
	return false;
}

static bool refuse_route(const struct run_net *was, const struct run_net *now, const char *kind)
{
	char text[2][SIDE];

	say_error("--net: %s: a second default route of %s, which %s has already",
		  side_of(now, text[0]), kind, side_of(was, text[1]));
	say_hint("a machine has one of each kind; user always has that of IPv4");
	return false;
}

static bool fit(const struct run_net *was, const struct run_net *now)
{
	const struct proto_net *w = &was->guest, *n = &now->guest;

	if (was->user && now->user) {
		say_error("--net: user: given twice; a machine has one passt");
		return false;
	}
	if (!was->user && !now->user && strcmp(was->tap, now->tap) == 0) {
		say_error("--net: tap=%s: given twice; an interface has a tap of its own", now->tap);
		return false;
	}
	if (both_given(w->gateway, n->gateway, sizeof(n->gateway)))
		return refuse_route(was, now, "IPv4");
	if (both_given(w->gateway6, n->gateway6, sizeof(n->gateway6)))
		return refuse_route(was, now, "IPv6");
	return same_mac(was, now) ? refuse_mac(was, now) : true;
}

bool run_nets_fit(const struct run_net *net, unsigned count)
{
	for (unsigned i = 0; i + 1 < count; i++)
		if (!fit(&net[i], &net[count - 1]))
			return false;
	return true;
}

bool run_nets_macs(struct run_net *net, unsigned count, const char *name)
{
	for (unsigned i = 0; i < count; i++)
		if (!is_given(net[i].guest.mac, MAC_BYTES))
			mac_derive(name, i, net[i].guest.mac);
	for (unsigned i = 0; i < count; i++)
		for (unsigned j = 0; j < i; j++)
			if (same_mac(&net[j], &net[i]))
				return refuse_mac(&net[j], &net[i]);
	return true;
}
