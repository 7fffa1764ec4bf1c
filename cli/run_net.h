/* SPDX-License-Identifier: Apache-2.0 */
/* run_net.h: the option --net, for each interface once. */
#ifndef IMMURE_CLI_RUN_NET_H
#define IMMURE_CLI_RUN_NET_H

#include "core/base.h"
#include "guest/proto.h"
#include "policy/bpf/wall.h"

/* Strings point into the option's value. */
struct run_net {
	bool user;			/* through passt; then there is no tap */
	const char *tap;
	unsigned mtu;			/* 0: the tap's */
	unsigned queues;
	bool offload, offload_given;
	const char *wall;		/* "auto", "on", "off" */
	const char *allow[WALL_ALLOW_MAX];
	unsigned nallow;
	uint32_t frame_rate;		/* 0: no limit */
	struct proto_net guest;		/* what immure-init sets up; mac: see run_nets_macs() */
	bool dns_given;			/* user: else the gateway's is this host's resolver */
};

/* Reads "user[,KEY=VALUE...]" or "tap=NAME[,KEY=VALUE...]"; @value is cut into its parts.
 * Returns false after saying which part will not do, and why. */
must_check bool run_net_parse(struct run_net *net, char *value);

/* Can one machine have the @count interfaces at @net?  Returns false after saying what the last cannot
 * share with one before. */
must_check bool run_nets_fit(const struct run_net *net, unsigned count);

/* Gives each that was given none the hardware address that it has in the VM @name.  Returns false after
 * saying which two then have the same. */
must_check bool run_nets_macs(struct run_net *net, unsigned count, const char *name);

#endif
