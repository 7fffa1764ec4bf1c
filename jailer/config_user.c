/* SPDX-License-Identifier: Apache-2.0 */
/* config_user.c: addresses that become arguments of passt.
 *
 * Each must be what inet_pton() takes, digits and dots and nothing else: an argument that began with
 * '-' would be an option of passt's, and one that it reads otherwise than we do, another network than
 * the packet wall's.  The MTU: passt loses its place among the frames of its socket when one comes in
 * pieces, and the kernel leaves none longer than 32 KiB in one. */
#include "jailer/config_user.h"

#include <arpa/inet.h>
#include <string.h>

static int bad_user(const char *prefix, const char *key, const char *must, struct failure *f)
{
	return fail(f, 0, NULL, "config: %s.%s: %s", prefix, key, must);
}

/* An address that one machine can have. */
static bool host_address(const char *text, uint32_t *address)
{
	struct in_addr in;
	uint32_t top;

	if (inet_pton(AF_INET, text, &in) != 1)
		return false;
	*address = ntohl(in.s_addr);
	top = *address >> 24;
	return top != 0 && top != 127 && top < 224;
}

/* "a.b.c.d/n" */
static bool split_address(struct config_user *u, uint32_t *address)
{
	const char *slash = strchr(u->address, '/');
	size_t len = slash != NULL ? (size_t)(slash - u->address) : 0;

	if (len == 0 || len >= sizeof(u->host))
		return false;
	memcpy(u->host, u->address, len);
	u->host[len] = 0;
	u->prefix = 0;
	for (const char *c = slash + 1; *c != 0; c++) {
		if (*c < '0' || *c > '9' || u->prefix > 31)
			return false;
		u->prefix = u->prefix * 10 + (uint32_t)(*c - '0');
	}
	return u->prefix >= 1 && u->prefix <= 31 && host_address(u->host, address);
}

int config_user_check(struct config_net *net, const char *prefix, struct failure *f)
{
	struct config_user *u = &net->user;
	uint32_t address, gateway, dns;

	if (!split_address(u, &address))
		return bad_user(prefix, "user.address", "must be like 10.0.2.15/24", f);
	if (!host_address(u->gateway, &gateway) || gateway == address ||
	    (gateway ^ address) >> (32 - u->prefix) != 0)
		return bad_user(prefix, "user.gateway", "must be another address of the guest's network", f);
	if (u->dns != NULL && (!host_address(u->dns, &dns) || dns == address))
		return bad_user(prefix, "user.dns", "must be an address, and not the guest's", f);
	if (net->queues != 1)
		return bad_user(prefix, "queues", "must be 1 with user", f);
	if (net->mtu > USER_MTU_MAX)
		return bad_user(prefix, "mtu", "must be 68 to 32000 with user", f);
	net->mtu = net->mtu == 0 ? USER_MTU : net->mtu;
	net->offload = false;
	return 0;
}
