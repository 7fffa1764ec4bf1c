/* SPDX-License-Identifier: Apache-2.0 */
/* meter.h: what immure-net counts, and how fast it may go, each way (enum limits_direction). */
#ifndef IMMURE_DEVICES_NET_METER_H
#define IMMURE_DEVICES_NET_METER_H

#include "core/pages.h"

struct meter {
	struct stats_page *stats;
	struct limits limits;
	uint64_t now;				/* ns: of this turn, if there is a limit */
	bool held[LIMITS_DIRECTIONS];		/* frames are being held back */
};

/* Counts in @pages->stats and keeps to the limits that @d names, until others come with
 * @pages->limits. */
void meter_init(struct meter *m, const struct pages *pages, const struct vm_device *d);

/* A turn of the loop begins: looks for other limits, and at the clock if there are any. */
void meter_turn(struct meter *m);

/* May a frame be moved?  If not, meter_wait() says when to ask again. */
must_check bool meter_open(struct meter *m, enum limits_direction d);

/* A frame of @len bytes was. */
void meter_frame(struct meter *m, enum limits_direction d, uint64_t len);

/* Nothing is being held back. */
void meter_reset(struct meter *m);

/* Nanoseconds, less than a second, until what is held back may go; 0: nothing is. */
uint64_t meter_wait(const struct meter *m);

static inline void meter_count(struct meter *m, unsigned counter, uint64_t n)
{
	stats_add(&m->stats->counter[counter], n);
}

#endif
