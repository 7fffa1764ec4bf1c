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

enum { IP6_MTU_MIN = 1280 };	/* RFC 8200 §5 */

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
	return mac_parse(v, n->guest.mac) ||
	       refuse_part("mac", v, "not the address of one interface, like 52:54:00:12:34:56");
}

static bool is_ip6(const char *v)
{
	return strchr(v, ':') != NULL;
}

static bool is_none(const uint8_t *address, size_t len)
{
	static const uint8_t none[16];

	return memcmp(address, none, len) == 0;
}

/* A dotted address that a machine can have. */
static bool read_ip4(const char *v, uint8_t out[static 4])
{
	return inet_pton(AF_INET, v, out) == 1 && out[0] != 0 && out[0] < 224 && out[0] != 127;
}

/* The same of IPv6: not ::, ::1 or another that stands for one of IPv4, and no group's. */
static bool read_ip6(const char *v, uint8_t out[static 16])
{
	return inet_pton(AF_INET6, v, out) == 1 && !is_none(out, 10) && out[0] != 0xff;
}

static bool is_link_local(const uint8_t ip6[static 16])
{
	return ip6[0] == 0xfe && (ip6[1] & 0xc0) == 0x80;
}

static bool set_ip(struct run_net *n, char *v)
{
	static const char wanted[] = "wanted an address and its prefix, like 10.0.0.2/24 or fd00::2/64";
	uint8_t *known = is_ip6(v) ? &n->guest.prefix6 : &n->guest.prefix;
	char *slash = strchr(v, '/');
	uint64_t prefix;
	bool ok;

	if (*known != 0)
		return refuse_part("ip", v, "an interface has one IPv4 and one IPv6 address, and no more");
	if (!slash || !value_count(slash + 1, 1, is_ip6(v) ? 128 : 31, &prefix))
		return refuse_part("ip", v, wanted);
	*slash = '\0';
	ok = is_ip6(v) ? read_ip6(v, n->guest.address6) && !is_link_local(n->guest.address6)
		       : read_ip4(v, n->guest.address);
	*slash = '/';
	*known = (uint8_t)prefix;
	return ok || refuse_part("ip", v, wanted);
}

static bool set_gw(struct run_net *n, char *v)
{
	uint8_t *out = is_ip6(v) ? n->guest.gateway6 : n->guest.gateway;

	if (!is_none(out, is_ip6(v) ? 16 : 4))
		return refuse_part("gw", v, "an interface has one IPv4 and one IPv6 gateway, and no more");
	return (is_ip6(v) ? read_ip6(v, out) : read_ip4(v, out)) ||
	       refuse_part("gw", v, "wanted the IPv4 or IPv6 address of the gateway");
}

/* Writes an IPv4 address where either kind may stand. */
static void map_ip4(uint8_t out[static 16], const uint8_t ip4[static 4])
{
	memset(out, 0, 10);
	out[10] = out[11] = 0xff;
	memcpy(out + 12, ip4, 4);
}

static bool set_dns(struct run_net *n, char *v)
{
	uint8_t ip4[4];
	size_t i = 0;
	bool ok;

	n->dns_given = true;
	while (i < PROTO_DNS_MAX && !is_none(n->guest.dns[i], 16))
		i++;
	if (i == PROTO_DNS_MAX)
		return refuse_part("dns", v, "two name servers at most");
	if (is_ip6(v)) {
		ok = read_ip6(v, n->guest.dns[i]) && !is_link_local(n->guest.dns[i]);
	} else {
		ok = read_ip4(v, ip4);
		map_ip4(n->guest.dns[i], ip4);
	}
	return ok || refuse_part("dns", v, "wanted the IPv4 or IPv6 address of a name server");
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
	say_hint("none alone, or tap=NAME or user, and then any of mac= ip= gw= dns= mtu= queues= offload= "
		 "allow= rate= wall=");
	return false;
}

static bool has_ip6(const struct proto_net *g)
{
	bool any = g->prefix6 != 0 || !is_none(g->gateway6, 16);

	for (size_t i = 0; i < PROTO_DNS_MAX; i++)
		any |= !is_none(g->dns[i], 10);
	return any;
}

/* What passt is good for. */
static bool check_user(const struct run_net *n)
{
	if (has_ip6(&n->guest))
		say_error("--net: user carries IPv4 only: ip=, gw= and dns= are IPv4 addresses");
	else if (n->queues > 1)
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
		map_ip4(n->guest.dns[0], n->guest.gateway);
	n->offload = false;
}

static bool same_network(const uint8_t *a, const uint8_t *b, unsigned prefix)
{
	const unsigned whole = prefix / 8, rest = prefix % 8;

	return memcmp(a, b, whole) == 0 && (rest == 0 || (a[whole] ^ b[whole]) >> (8 - rest) == 0);
}

/* One kind's address and gateway, of @len bytes each. */
static bool check_gateway(const char *kind, const uint8_t *address, unsigned prefix, const uint8_t *gateway,
			  size_t len)
{
	if (is_none(gateway, len))
		return true;
	if (prefix == 0)
		say_error("--net: gw= needs ip= of its kind, %s: who has no address reaches no gateway",
			  kind);
	else if (!same_network(address, gateway, prefix) && !(len == 16 && is_link_local(gateway)))
		say_error("--net: gw= is not in the network of ip= (%s)", kind);
	else if (memcmp(address, gateway, len) == 0)
		say_error("--net: gw= is the guest's own address (%s)", kind);
	else
		return true;
	return false;
}

static bool check_together(const struct run_net *n)
{
	const struct proto_net *g = &n->guest;

	if (!check_gateway("IPv4", g->address, g->prefix, g->gateway, sizeof(g->gateway)) ||
	    !check_gateway("IPv6", g->address6, g->prefix6, g->gateway6, sizeof(g->gateway6)))
		return false;
	if (g->prefix6 != 0 && n->mtu != 0 && n->mtu < IP6_MTU_MIN)
		say_error("--net: mtu=%u: IPv6 takes %d bytes at least", n->mtu, IP6_MTU_MIN);
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
	return check_together(n);
}
