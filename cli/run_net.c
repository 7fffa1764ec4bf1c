/* SPDX-License-Identifier: Apache-2.0 */
/* run_net.c: one value, many parts: tap=NAME or user,mac=..,ip=ADDRESS/PREFIX,gw=..,dns=.. */
#include "cli/run_net.h"
#include "cli/run_values.h"
#include "cli/say.h"
#include "core/fdplan.h"
#include "jailer/config_user.h"
#include "jailer/mac.h"
#include "jailer/wall_text.h"

#include <arpa/inet.h>
#include <net/if.h>
#include <string.h>

static bool refuse_part(const char *key, const char *value, const char *wanted)
{
	say_error("--net: %s=%s: %s", key, value, wanted);
	return false;
}

static bool set_tap(struct run_net *n, char *v)
{
	n->tap = v;
	return (value_name(v) && strlen(v) < IFNAMSIZ) ||
	       refuse_part("tap", v, "the name of an interface has 1 to 15 letters, digits, '.', '_' or '-'");
}

static bool set_mac(struct run_net *n, char *v)
{
	uint8_t mac[MAC_BYTES];

	n->mac = v;
	return mac_parse(v, mac) ||
	       refuse_part("mac", v, "not the address of one interface, like 52:54:00:12:34:56");
}

/* A dotted address that a machine can have. */
static bool read_address(const char *v, uint8_t out[static 4])
{
	return inet_pton(AF_INET, v, out) == 1 && out[0] != 0 && out[0] < 224 && out[0] != 127;
}

static bool set_ip(struct run_net *n, char *v)
{
	char *slash = strchr(v, '/');
	uint64_t prefix;
	bool ok;

	if (!slash || !value_count(slash + 1, 1, 31, &prefix))
		return refuse_part("ip", v, "wanted an IPv4 address and its prefix, like 10.0.0.2/24");
	*slash = '\0';
	ok = read_address(v, n->guest.address);
	*slash = '/';
	n->guest.prefix = (uint8_t)prefix;
	return ok || refuse_part("ip", v, "wanted an IPv4 address and its prefix, like 10.0.0.2/24");
}

static bool set_gw(struct run_net *n, char *v)
{
	return read_address(v, n->guest.gateway) ||
	       refuse_part("gw", v, "wanted the IPv4 address of the gateway");
}

static bool set_dns(struct run_net *n, char *v)
{
	static const uint8_t none[4];
	size_t i = 0;

	n->dns_given = true;
	while (i < PROTO_DNS_MAX && memcmp(n->guest.dns[i], none, 4) != 0)
		i++;
	if (i == PROTO_DNS_MAX)
		return refuse_part("dns", v, "two name servers at most");
	return read_address(v, n->guest.dns[i]) ||
	       refuse_part("dns", v, "wanted the IPv4 address of a name server");
}

static bool set_mtu(struct run_net *n, char *v)
{
	uint64_t mtu;

	if (!value_count(v, 68, UINT16_MAX, &mtu))
		return refuse_part("mtu", v, "a frame carries 68 to 65535 bytes");
	n->mtu = (unsigned)mtu;
	return true;
}

static bool set_queues(struct run_net *n, char *v)
{
	uint64_t queues;

	if (!value_count(v, 1, PLAN_NET_PAIRS, &queues))
		return refuse_part("queues", v, "an interface has 1 to 4 pairs of queues");
	n->queues = (unsigned)queues;
	return true;
}

static bool set_offload(struct run_net *n, char *v)
{
	n->offload = n->offload_given = strcmp(v, "on") == 0;
	return n->offload || strcmp(v, "off") == 0 || refuse_part("offload", v, "on or off");
}

static bool set_allow(struct run_net *n, char *v)
{
	struct wall_allow line;
	const char *wrong = wall_allow_parse(v, &line);

	if (n->nallow == WALL_ALLOW_MAX)
		return refuse_part("allow", v, "64 lines at most");
	n->allow[n->nallow++] = v;
	if (!wrong)
		return true;
	refuse_part("allow", v, wrong);
	say_hint("like 10.0.0.0/8:443, 192.0.2.7:5000-5009/udp, or an address alone");
	return false;
}

static bool set_rate(struct run_net *n, char *v)
{
	uint64_t rate;

	if (!value_count(v, 1, UINT32_MAX - 10, &rate))
		return refuse_part("rate", v, "wanted frames a second that the guest may send");
	n->frame_rate = (uint32_t)rate;
	return true;
}

static bool set_wall(struct run_net *n, char *v)
{
	n->wall = v;
	return strcmp(v, "on") == 0 || strcmp(v, "off") == 0 || strcmp(v, "auto") == 0 ||
	       refuse_part("wall", v, "on, off or auto");
}

static const struct {
	const char *key;
	bool (*set)(struct run_net *n, char *value);
} parts[] = {
	{ "tap", set_tap },	{ "mac", set_mac },	{ "ip", set_ip },
	{ "gw", set_gw },	{ "dns", set_dns },	{ "mtu", set_mtu },
	{ "queues", set_queues },	{ "offload", set_offload },	{ "allow", set_allow },
	{ "rate", set_rate },	{ "wall", set_wall },
};

static bool set_part(struct run_net *n, char *part)
{
	char *equals = strchr(part, '=');

	if (strcmp(part, "user") == 0)
		return n->user = true;
	for (size_t i = 0; equals && i < array_len(parts); i++) {
		size_t len = strlen(parts[i].key);

		if (len == (size_t)(equals - part) && memcmp(parts[i].key, part, len) == 0)
			return parts[i].set(n, equals + 1);
	}
	say_error("--net: %s: not known", part);
	say_hint("none, or tap=NAME or user, and then any of mac= ip= gw= dns= mtu= queues= offload= "
		 "allow= rate= wall=");
	return false;
}

/* What passt is good for. */
static bool check_user(const struct run_net *n)
{
	if (n->queues > 1)
		say_error("--net: user has one pair of queues");
	else if (n->offload_given)
		say_error("--net: user takes no offloads");
	else if (n->mtu > USER_MTU_MAX)
		say_error("--net: mtu=%u: user carries 68 to %d bytes", n->mtu, USER_MTU_MAX);
	else if (n->guest.prefix == 0 && n->guest.gateway[0] != 0)
		say_error("--net: gw= needs ip=: who has no address reaches no gateway");
	else if (n->guest.prefix != 0 && n->guest.gateway[0] == 0)
		say_error("--net: user: ip= needs gw=, another address of the same network");
	else
		return true;
	return false;
}

/* A network that nobody has to think about, and this host's resolver at its gateway. */
static void complete_user(struct run_net *n)
{
	static const uint8_t guest[4] = { 10, 0, 2, 15 }, gateway[4] = { 10, 0, 2, 2 };

	if (n->guest.prefix == 0) {
		memcpy(n->guest.address, guest, 4);
		memcpy(n->guest.gateway, gateway, 4);
		n->guest.prefix = 24;
	}
	if (!n->dns_given)
		memcpy(n->guest.dns[0], n->guest.gateway, 4);
	n->offload = false;
}

static bool check_together(const struct run_net *n)
{
	const uint32_t mask = n->guest.prefix == 0 ? 0 : htonl(~0u << (32 - n->guest.prefix));
	uint32_t address, gateway;

	memcpy(&address, n->guest.address, 4);
	memcpy(&gateway, n->guest.gateway, 4);
	if (gateway != 0 && address == 0)
		say_error("--net: gw= needs ip=: who has no address reaches no gateway");
	else if (gateway != 0 && ((address ^ gateway) & mask) != 0)
		say_error("--net: gw= is not in the network of ip=");
	else if (gateway != 0 && address == gateway)
		say_error("--net: gw= is the guest's own address");
	else if (strcmp(n->wall, "off") == 0 && (n->nallow > 0 || n->frame_rate > 0))
		say_error("--net: wall=off keeps neither allow= nor rate=");
	else
		return true;
	return false;
}

bool run_net_parse(struct run_net *n, char *value)
{
	char *part;

	*n = (struct run_net){ .queues = 1, .offload = true, .wall = "auto" };
	if (strcmp(value, "none") == 0)
		return true;
	while ((part = strsep(&value, ",")))
		if (!set_part(n, part))
			return false;
	if (!n->tap == !n->user) {
		say_error(n->user ? "--net: tap=NAME or user, not both"
				  : "--net: neither tap=NAME nor user given");
		return false;
	}
	if (n->user && !check_user(n))
		return false;
	if (n->user)
		complete_user(n);
	n->on = true;
	return check_together(n);
}
