/* SPDX-License-Identifier: Apache-2.0 */
/* wall.c: judges by the model of the kernel's program, and remembers what it refused.
 *
 * Judged is our own copy of a frame's front, which is what is sent: the rules read no byte behind
 * NET_FRONT.  The memory of what was refused is a table without order; when it is full, the entry
 * that is the longest there makes room. */
#include "devices/net/wall.h"

#include "devices/net/header.h"

#include <string.h>
#include <time.h>

_Static_assert((int)NET_FRONT >= WALL_FRONT, "the rules see all that they ask for");

void net_wall_init(struct net_wall *w, const struct wall_config *c, struct stats_page *stats)
{
	w->wall.config = *c;
	w->stats = stats;
	stats->walled = 1;
}

void net_wall_turn(struct net_wall *w)
{
	struct timespec t;

	if (w->wall.config.rate == 0)
		return;
	clock_gettime(CLOCK_MONOTONIC, &t);
	w->now = (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static unsigned place_of(const struct net_wall *w, const struct wall_denied *d)
{
	unsigned i = 0;

	while (i < STATS_WALL_DENIED && memcmp(&w->denied[i], d, sizeof(*d)) != 0)
		i++;
	return i;
}

static void remember(struct net_wall *w, const struct wall_denied *d)
{
	unsigned i = place_of(w, d);

	if (i == STATS_WALL_DENIED) {
		i = w->next;
		w->next = (w->next + 1) % STATS_WALL_DENIED;
		w->denied[i] = *d;
		__atomic_store_n(&w->stats->u.wall.denied[i].frames, 0, __ATOMIC_RELAXED);
		w->stats->u.wall.denied[i].what = *d;
	}
	stats_add(&w->stats->u.wall.denied[i].frames, 1);
}

bool net_wall_passes(struct net_wall *w, const uint8_t *front, uint32_t n)
{
	static const struct wall_offload nothing_open;
	struct wall_denied d = { 0 };

	d.rule = wall_frame_check(&w->wall, front, n, &nothing_open, w->now, &d.target);
	stats_add(&w->stats->u.wall.count[d.rule], 1);
	if (d.rule == WALL_PASS)
		return true;
	stats_add(&w->stats->counter[STATS_NET_DENIED], 1);
	remember(w, &d);
	return false;
}
