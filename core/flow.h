/* SPDX-License-Identifier: Apache-2.0 */
/* flow.h: what a device with two directions counts, and how fast each of them may go.
 *
 * A unit is a packet or a frame.  All are counted; of vsock's packets to the guest only those with
 * data are limited, in operations as in bytes, as the others are answers, or news that makes room.
 * With a limit the clock is read once a turn, without one never. */
#ifndef IMMURE_CORE_FLOW_H
#define IMMURE_CORE_FLOW_H

#include "core/pages.h"

/* The same numbers for all such devices. */
enum {
	FLOW_UNITS = STATS_VSOCK_OUT_PACKETS,	/* + enum limits_direction */
	FLOW_BYTES = STATS_VSOCK_OUT_BYTES,
};

_Static_assert((int)FLOW_UNITS == (int)STATS_NET_OUT_FRAMES, "for net and vsock");
_Static_assert((int)FLOW_BYTES == (int)STATS_NET_OUT_BYTES, "for net and vsock");

struct flow {
	struct stats_page *stats;
	struct limits limits;
	uint64_t now;				/* ns: of this turn, if there is a limit */
	bool held[LIMITS_DIRECTIONS];		/* something was held back in this turn */
	bool before[LIMITS_DIRECTIONS];		/* and in the one before */
};

/* Counts in @pages->stats and keeps to the limits that @d names, until others come with
 * @pages->limits. */
void flow_init(struct flow *m, const struct pages *pages, const struct vm_device *d);

/* A turn of the loop begins: looks for other limits, and at the clock if there are any. */
void flow_turn(struct flow *m);

/* May something go in direction @d? */
must_check bool flow_open(struct flow *m, enum limits_direction d);

/* There is something that may not; counted when it was not so in the turn before. */
void flow_hold(struct flow *m, enum limits_direction d);

/* A unit with @len bytes has gone. */
void flow_unit(struct flow *m, enum limits_direction d, uint64_t len);

/* Nothing is being held back. */
void flow_reset(struct flow *m);

/* Nanoseconds, less than a second, until it is worth asking again for what is held back; 0: nothing
 * is. */
must_check uint64_t flow_wait(const struct flow *m);

static inline void flow_count(struct flow *m, unsigned counter, uint64_t n)
{
	stats_add(&m->stats->counter[counter], n);
}

#endif
