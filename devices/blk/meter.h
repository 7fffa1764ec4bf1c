/* SPDX-License-Identifier: Apache-2.0 */
/* meter.h: what immure-blk counts, and how fast it may go.
 *
 * The clock is read once a turn and once a request: the end of a request is the beginning of
 * the next one, and the moment at which its successor asks for tokens.  Durations are those of
 * the device, from taking a request to answering it; how long it lay in the queue is not known.
 * Requests that are carried out together were all taken when the first was. */
#ifndef IMMURE_DEVICES_BLK_METER_H
#define IMMURE_DEVICES_BLK_METER_H

#include "core/pages.h"

enum meter_op { METER_READ, METER_WRITE, METER_FLUSH, METER_DISCARD, METER_OTHER };

struct meter {
	struct stats_page *stats;
	struct limits limits;
	uint64_t now;			/* ns: the last look at the clock */
	bool throttled;			/* a request is being held back */
	uint64_t second;		/* ns: when meter_second() was last true */
};

#define METER_SECOND 1000000000ull	/* ns */

/* Counts in @pages->stats and keeps to the limits that @d names, until others come with
 * @pages->limits. */
void meter_init(struct meter *m, const struct pages *pages, const struct vm_device *d);

/* A turn of the loop begins: looks at the clock, and for other limits. */
void meter_turn(struct meter *m);

/* Looks at the clock: true once a second. */
must_check bool meter_second(struct meter *m);

/* May a request be taken from the queue? */
must_check bool meter_open(struct meter *m);

/* Is there a limit at all? */
must_check bool meter_limited(struct meter *m);

/* There is one that may not. */
void meter_held(struct meter *m);

/* A request that was taken at @since (m->now of then) has been answered.  @len: bytes that it was
 * about.  Counted if it succeeded (@ok); charged in either case, but for what is discarded, which
 * moves none. */
void meter_request(struct meter *m, enum meter_op op, uint64_t len, bool ok, uint64_t since);

/* Nanoseconds until it is worth asking again after meter_open() said no. */
must_check uint64_t meter_wait(const struct meter *m);

#endif
