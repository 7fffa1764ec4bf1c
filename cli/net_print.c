/* SPDX-License-Identifier: Apache-2.0 */
/* net_print.c: what was refused, for people and as JSON.  Where frames were to go is the VM's word:
 * it becomes numbers and addresses here, and nothing else. */
#include "cli/net.h"
#include "policy/bpf/wall_model.h"

#include <arpa/inet.h>
#include <jansson.h>
#include <stdio.h>

/* The address, or "" when the frame carried no IP. */
static const char *address(const struct wall_target *t, char buf[INET6_ADDRSTRLEN])
{
	buf[0] = 0;
	if (t->version != 0 &&
	    inet_ntop(t->version == 6 ? AF_INET6 : AF_INET, t->addr, buf, INET6_ADDRSTRLEN) == NULL)
		buf[0] = 0;
	return buf;
}

/* Those that have a name in an allow-list, and ping; NULL for others. */
static const char *protocol(unsigned number)
{
	switch (number) {
	case IPPROTO_TCP: return "tcp";
	case IPPROTO_UDP: return "udp";
	case IPPROTO_ICMP: return "icmp";
	case IPPROTO_ICMPV6: return "icmpv6";
	default: return NULL;
	}
}

static uint64_t refused(const struct net_denied *d)
{
	uint64_t sum = 0;

	for (unsigned i = WALL_PASS + 1; i < WALL_NRULES; i++)
		sum += d->count[i];
	return sum;
}

static void print_target(const struct net_target *t)
{
	const struct wall_target *to = &t->what.target;
	const char *name = protocol(to->proto);
	char text[INET6_ADDRSTRLEN];

	printf("%-12s %20llu  ", wall_rule_name((enum wall_rule)t->what.rule),
	       (unsigned long long)t->frames);
	if (to->version == 0) {
		printf("(not IP)\n");
		return;
	}
	printf("%s", address(to, text));
	if (to->port != 0)
		printf(" port %u", to->port);
	if (name != NULL)
		printf(" %s\n", name);
	else
		printf(" protocol %u\n", to->proto);
}

void net_print(const struct net_denied *d)
{
	printf("%s%s: %llu frames passed, %llu refused\n\n", d->user ? "user" : "tap ", d->tap,
	       (unsigned long long)d->count[WALL_PASS], (unsigned long long)refused(d));
	printf("%-12s %20s  %s\n", "RULE", "FRAMES", "REFUSES A FRAME");
	for (unsigned i = WALL_PASS + 1; i < WALL_NRULES; i++)
		printf("%-12s %20llu  %s\n", wall_rule_name((enum wall_rule)i),
		       (unsigned long long)d->count[i], wall_rule_text((enum wall_rule)i));
	if (d->n == 0)
		return;
	printf("\n%-12s %20s  %s\n", "RULE", "FRAMES", "TO, OF LATE");
	for (unsigned i = 0; i < d->n; i++)
		print_target(&d->target[i]);
}

/* JSON integers end at 2^63 - 1. */
static json_t *number(uint64_t value)
{
	return json_integer((json_int_t)min_u64(value, INT64_MAX));
}

static json_t *target_json(const struct net_target *t)
{
	const struct wall_target *to = &t->what.target;
	char text[INET6_ADDRSTRLEN];
	json_t *o = json_pack("{s:s, s:o}", "rule", wall_rule_name((enum wall_rule)t->what.rule), "frames",
			      number(t->frames));

	json_object_set_new(o, "address", to->version != 0 ? json_string(address(to, text)) : json_null());
	json_object_set_new(o, "protocol", to->version != 0 ? json_integer(to->proto) : json_null());
	json_object_set_new(o, "port", to->port != 0 ? json_integer(to->port) : json_null());
	return o;
}

json_t *net_json(const struct net_denied *d)
{
	json_t *rules = json_object(), *targets = json_array();

	for (unsigned i = WALL_PASS + 1; i < WALL_NRULES; i++)
		json_object_set_new(rules, wall_rule_name((enum wall_rule)i), number(d->count[i]));
	for (unsigned i = 0; i < d->n; i++)
		json_array_append_new(targets, target_json(&d->target[i]));
	return json_pack("{s:s?, s:o, s:o, s:o, s:o}", "tap", d->user ? NULL : d->tap,
			 "passed", number(d->count[WALL_PASS]), "refused", number(refused(d)),
			 "rules", rules, "targets", targets);
}
