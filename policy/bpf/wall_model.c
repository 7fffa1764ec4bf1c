/* SPDX-License-Identifier: Apache-2.0 */
/* wall_model.c: the rules of wall_rules.h on a buffer. */
#include "policy/bpf/wall_model.h"

#include <string.h>

typedef struct {
	const uint8_t *bytes;
	uint32_t len;
	struct wall_offload o;
} wall_frame;

static int load(const wall_frame *f, uint32_t off, void *to, uint32_t count)
{
	if (!range_fits(off, count, f->len))
		return -1;
	memcpy(to, f->bytes + off, count);
	return 0;
}

#define WALL_LOAD load
#define WALL_OPEN(f) ((f)->o.open)
#define WALL_OPEN_BEFORE(f, off) ((f)->o.checksum < (off))
#include "policy/bpf/wall_rules.h"

static bool allow_ok(const struct wall_allow *a)
{
	const int words = a->version == 6 ? 4 : a->version == 4 ? 1 : 0;
	bool ok = a->version == 0 || words > 0;

	ok = ok && a->zero[0] == 0 && a->zero[1] == 0;
	for (int i = 0; i < 4; i++)
		ok = ok && (a->addr[i] & ~a->mask[i]) == 0 && (i < words || a->mask[i] == 0);
	return ok && (a->port == 0 ? a->port_last == 0 : a->port_last >= a->port);
}

bool wall_config_ok(const struct wall_config *c)
{
	if ((c->mac[0] & 1) != 0 || c->zero[0] != 0 || c->zero[1] != 0 ||
	    (c->flags & ~(uint32_t)(WALL_HAS_IP4 | WALL_HAS_IP6 | WALL_HAS_ALLOW)) != 0)
		return false;
	for (uint32_t i = 0; i < WALL_ALLOW_MAX; i++) {
		if (!allow_ok(&c->allow[i]))
			return false;
		if (i > 0 && c->allow[i].version != 0 && c->allow[i - 1].version == 0)
			return false;
	}
	return true;
}

enum wall_rule wall_frame_check(struct wall *w, const uint8_t *frame, uint32_t len,
				const struct wall_offload *o, uint64_t now, struct wall_target *t)
{
	const wall_frame f = { frame, len, *o };
	enum wall_rule rule;

	memset(t, 0, sizeof(*t));
	rule = wall_judge(&f, &w->config, t);
	if (rule == WALL_PASS)
		rule = wall_rate(&w->config, &w->rate, wall_frames(len, o->gso_size), now);
	w->counts[rule]++;
	return rule;
}

#define NAME(name, text) [WALL_##name] = #name,
#define TEXT(name, text) [WALL_##name] = text,

const char *wall_rule_name(enum wall_rule rule)
{
	static const char *const names[WALL_NRULES] = { [WALL_PASS] = "PASS", WALL_RULES(NAME) };

	return rule < WALL_NRULES ? names[rule] : "?";
}

const char *wall_rule_text(enum wall_rule rule)
{
	static const char *const texts[WALL_NRULES] = { [WALL_PASS] = "that passes", WALL_RULES(TEXT) };

	return rule < WALL_NRULES ? texts[rule] : "?";
}
