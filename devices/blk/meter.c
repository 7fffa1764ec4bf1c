/* SPDX-License-Identifier: Apache-2.0 */
/* meter.c: counters, durations and the rate limit of a disk.
 *
 * What is charged is what was asked for, so that a driver whose requests fail is held back like
 * any other. */
#include "devices/blk/meter.h"
#include "core/clock.h"

static const struct {
	uint8_t requests, bytes, errors, ns;
} counters[] = {
	[METER_READ] = { STATS_BLK_READS, STATS_BLK_READ_BYTES, STATS_BLK_READ_ERRORS,
			 STATS_BLK_READ_NS },
	[METER_WRITE] = { STATS_BLK_WRITES, STATS_BLK_WRITE_BYTES, STATS_BLK_WRITE_ERRORS,
			  STATS_BLK_WRITE_NS },
	[METER_FLUSH] = { STATS_BLK_FLUSHES, 0, STATS_BLK_FLUSH_ERRORS, STATS_BLK_FLUSH_NS },
	[METER_DISCARD] = { STATS_BLK_DISCARDS, STATS_BLK_DISCARD_BYTES,
			    STATS_BLK_DISCARD_ERRORS, STATS_BLK_DISCARD_NS },
	[METER_OTHER] = { STATS_BLK_OTHERS, 0, STATS_BLK_OTHER_ERRORS, 0 },
};

static struct limiter *limiter(struct meter *m)
{
	return &m->limits.direction[LIMITS_OUT];
}

void meter_init(struct meter *m, const struct pages *pages, const struct vm_device *d)
{
	*m = (struct meter){ .stats = pages->stats, .now = clock_ns() };
	limits_init(&m->limits, pages->limits, d->limit, m->now);
}

void meter_turn(struct meter *m)
{
	m->now = clock_ns();
	stats_add(&m->stats->counter[STATS_TURNS], 1);
	if (limits_news(&m->limits) && limits_take(&m->limits, m->now))
		stats_add(&m->stats->counter[STATS_LIMIT_CHANGES], 1);
}

bool meter_second(struct meter *m)
{
	uint64_t now = clock_ns();

	if (now - m->second < METER_SECOND)
		return false;
	m->second = now;
	return true;
}

bool meter_open(struct meter *m)
{
	if (limiter_on(limiter(m)) && !limiter_open(limiter(m), m->now))
		return false;
	m->throttled = false;
	return true;
}

bool meter_limited(struct meter *m)
{
	return limiter_on(limiter(m));
}

void meter_held(struct meter *m)
{
	if (!m->throttled)
		stats_add(&m->stats->counter[STATS_THROTTLES], 1);
	m->throttled = true;
}

void meter_request(struct meter *m, enum meter_op op, uint64_t len, bool ok, uint64_t since)
{
	uint64_t *c = m->stats->counter;

	m->now = clock_ns();
	stats_add(&c[counters[op].requests], 1);
	if (!ok)
		stats_add(&c[counters[op].errors], 1);
	else if (counters[op].bytes != 0)
		stats_add(&c[counters[op].bytes], len);
	if (op != METER_OTHER)
		stats_duration(&m->stats->u.histogram[counters[op].ns], m->now - since);
	if (limiter_on(limiter(m)))
		limiter_charge(limiter(m), op == METER_DISCARD ? 0 : len);
}

uint64_t meter_wait(const struct meter *m)
{
	return min_u64(limiter_wait(&m->limits.direction[LIMITS_OUT]), LIMITS_LOOK_NS);
}
