/* SPDX-License-Identifier: Apache-2.0 */
/* wall.h: the packet wall of an interface without a tap.
 *
 * Before a tap it is the host's kernel that judges what comes out of the VM (policy/bpf/wall.bpf.c).
 * Without one there is nothing of the kernel's to hang a program on, so the same rules judge here.
 * That binds the guest; it does not bind this process once it was taken over. */
#ifndef IMMURE_DEVICES_NET_WALL_H
#define IMMURE_DEVICES_NET_WALL_H

#include "core/stats.h"
#include "policy/bpf/wall_model.h"

struct net_wall {
	struct wall wall;
	struct stats_page *stats;
	uint64_t now;				/* ns, of this turn; only where there is a rate */
	unsigned next;				/* of denied[]: where another one goes */
	struct wall_denied denied[STATS_WALL_DENIED];	/* as in @stats, which is never read back */
};

/* Makes @w, all zero, keep to @c, which wall_config_ok(), and count in @stats. */
void net_wall_init(struct net_wall *w, const struct wall_config *c, struct stats_page *stats);

/* A turn of the loop begins: looks at the clock, if there is a rate to keep. */
void net_wall_turn(struct net_wall *w);

/* May the guest send the frame whose first @n bytes, NET_FRONT or all of it, are at @front?  Counts
 * it. */
must_check bool net_wall_passes(struct net_wall *w, const uint8_t *front, uint32_t n);

#endif
