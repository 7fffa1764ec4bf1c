/* SPDX-License-Identifier: Apache-2.0 */
/* run_net.h: the option --net. */
#ifndef IMMURE_CLI_RUN_NET_H
#define IMMURE_CLI_RUN_NET_H

#include "core/base.h"
#include "guest/proto.h"
#include "policy/bpf/wall.h"

/* Strings point into the option's value. */
struct run_net {
	bool on;
	bool user;			/* through passt; then there is no tap */
	const char *tap;
	const char *mac;		/* NULL: made from the VM's name */
	unsigned mtu;			/* 0: the tap's */
	unsigned queues;
	bool offload, offload_given;
	const char *wall;		/* "auto", "on", "off" */
	const char *allow[WALL_ALLOW_MAX];
	unsigned nallow;
	uint32_t frame_rate;		/* 0: no limit */
	struct proto_net guest;		/* what immure-init sets up */
	bool dns_given;			/* user: else the gateway's is this host's resolver */
};

/* Reads "none", "user[,KEY=VALUE...]" or "tap=NAME[,KEY=VALUE...]"; @value is cut into its parts.
 * Returns false after saying which part will not do, and why. */
must_check bool run_net_parse(struct run_net *net, char *value);

#endif
