/* SPDX-License-Identifier: Apache-2.0 */
/* meter.c: counters and rate limits of a network interface. */
#include "devices/net/meter.h"
#include "core/clock.h"

void meter_init(struct meter *m, const struct pages *pages, const struct vm_device *d)
{
	*m = (struct meter){ .stats = pages->stats, .now = clock_ns() };
	limits_init(&m->limits, pages->limits, d->limit, m->now);
}

static bool limited(const struct meter *m)
{
	return limiter_on(&m->limits.direction[LIMITS_OUT]) ||
	       limiter_on(&m->limits.direction[LIMITS_IN]);
}

void meter_turn(struct meter *m)
{
	bool news = limits_news(&m->limits);

	meter_count(m, STATS_TURNS, 1);
	if (news || limited(m))
		m->now = clock_ns();
	if (news && limits_take(&m->limits, m->now))
		meter_count(m, STATS_LIMIT_CHANGES, 1);
}

bool meter_open(struct meter *m, enum limits_direction d)
{
	struct limiter *l = &m->limits.direction[d];
	bool open = !limiter_on(l) || limiter_open(l, m->now);

	if (!open && !m->held[d])
		meter_count(m, d == LIMITS_OUT ? STATS_THROTTLES : STATS_THROTTLES_IN, 1);
	m->held[d] = !open;
	return open;
}

void meter_frame(struct meter *m, enum limits_direction d, uint64_t len)
{
	meter_count(m, d == LIMITS_OUT ? STATS_NET_OUT_FRAMES : STATS_NET_IN_FRAMES, 1);
	meter_count(m, d == LIMITS_OUT ? STATS_NET_OUT_BYTES : STATS_NET_IN_BYTES, len);
	if (limiter_on(&m->limits.direction[d]))
		limiter_charge(&m->limits.direction[d], len);
}

void meter_reset(struct meter *m)
{
	m->held[LIMITS_OUT] = m->held[LIMITS_IN] = false;
}

uint64_t meter_wait(const struct meter *m)
{
	uint64_t wait = LIMITS_LOOK_NS;

	if (!m->held[LIMITS_OUT] && !m->held[LIMITS_IN])
		return 0;
	for (unsigned d = 0; d < LIMITS_DIRECTIONS; d++)
		if (m->held[d])
			wait = min_u64(wait, limiter_wait(&m->limits.direction[d]));
	return wait == 0 ? 1 : wait;
}
