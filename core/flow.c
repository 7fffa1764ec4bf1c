/* SPDX-License-Identifier: Apache-2.0 */
/* flow.c: counters and rate limits of a device with two directions. */
#include "core/flow.h"
#include "core/clock.h"

static const unsigned throttles[LIMITS_DIRECTIONS] = {
	[LIMITS_OUT] = STATS_THROTTLES, [LIMITS_IN] = STATS_THROTTLES_IN,
};

void flow_init(struct flow *m, const struct pages *pages, const struct vm_device *d)
{
	*m = (struct flow){ .stats = pages->stats, .now = clock_ns() };
	limits_init(&m->limits, pages->limits, d->limit, m->now);
}

void flow_turn(struct flow *m)
{
	bool news = limits_news(&m->limits);

	flow_count(m, STATS_TURNS, 1);
	for (unsigned d = 0; d < LIMITS_DIRECTIONS; d++) {
		m->before[d] = m->held[d];
		m->held[d] = false;
	}
	if (news || limiter_on(&m->limits.direction[LIMITS_OUT]) ||
	    limiter_on(&m->limits.direction[LIMITS_IN]))
		m->now = clock_ns();
	if (news && limits_take(&m->limits, m->now))
		flow_count(m, STATS_LIMIT_CHANGES, 1);
}

bool flow_open(struct flow *m, enum limits_direction d)
{
	struct limiter *l = &m->limits.direction[d];

	return !limiter_on(l) || limiter_open(l, m->now);
}

void flow_hold(struct flow *m, enum limits_direction d)
{
	if (!m->held[d] && !m->before[d])
		flow_count(m, throttles[d], 1);
	m->held[d] = true;
}

void flow_unit(struct flow *m, enum limits_direction d, uint64_t len)
{
	flow_count(m, FLOW_UNITS + d, 1);
	flow_count(m, FLOW_BYTES + d, len);
	if (limiter_on(&m->limits.direction[d]))
		limiter_charge(&m->limits.direction[d], len);
}

void flow_reset(struct flow *m)
{
	m->held[LIMITS_OUT] = m->held[LIMITS_IN] = false;
}

uint64_t flow_wait(const struct flow *m)
{
	uint64_t wait = LIMITS_LOOK_NS;

	if (!m->held[LIMITS_OUT] && !m->held[LIMITS_IN])
		return 0;
	for (unsigned d = 0; d < LIMITS_DIRECTIONS; d++)
		if (m->held[d])
			wait = min_u64(wait, limiter_wait(&m->limits.direction[d]));
	return wait == 0 ? 1 : wait;
}
