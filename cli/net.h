/* SPDX-License-Identifier: Apache-2.0 */
/* net.h: what the packet wall of a running VM has refused, as the kernel counts it.
 *
 * Before a tap nothing is asked of the VM's processes: the tap that immure-net holds leads to the
 * interface, the interface to the program before it, the program to its maps (policy/bpf/wall.h).
 * Where there is none the process of the interface keeps the same rules and counts itself
 * (devices/net/wall.h). */
#ifndef IMMURE_CLI_NET_H
#define IMMURE_CLI_NET_H

#include "core/base.h"
#include "policy/bpf/wall.h"

#include <net/if.h>
#include <sys/types.h>

struct net_target {
	struct wall_denied what;
	uint64_t frames;
};

struct net_denied {
	bool user;				/* there is no tap */
	char tap[IFNAMSIZ];			/* cleaned */
	uint64_t count[WALL_NRULES];		/* frames; [WALL_PASS]: those that passed */
	unsigned n;
	struct net_target target[WALL_DENIED_MAX];	/* of late; most frames first */
};

/* Takes the process to the network namespace of the tap that process @pid, an immure-net, holds, and
 * fills @d->tap and *@ifindex.  Returns a NETLINK_ROUTE socket there, or -1 after an error message. */
must_check int net_tap_open(pid_t pid, struct net_denied *d, unsigned *ifindex);

/* Fills the rest of @d from the wall before interface @ifindex in the namespace of @sock.  Returns 0,
 * or -1 after an error message. */
must_check int net_wall_read(int sock, unsigned ifindex, struct net_denied *d);

/* Fills @d for the running VM @name of this user, if one of its walls is in the interface's own process.
 * Returns 1: one is, 2: and it has other interfaces, 0: none is, or -1 after an error message. */
must_check int net_user_read(const char *name, struct net_denied *d);

/* The same from @vm; false: it is not. */
struct stats_vm;
must_check bool net_user_take(struct net_denied *d, const struct stats_vm *vm);

/* Is @w something that a wall may have refused?  And most frames first. */
must_check bool net_target_ok(const struct wall_denied *w);
void net_sort(struct net_denied *d);

/* One more line below an error when @err says that the caller has not the right. */
void net_hint_root(int err);

/* The printers. */
void net_print(const struct net_denied *d);
struct json_t;
struct json_t *net_json(const struct net_denied *d);

#endif
