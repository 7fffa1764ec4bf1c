/* SPDX-License-Identifier: Apache-2.0 */
/* wall_model.h: the packet wall as a function of a buffer.
 *
 * What the kernel's program is compared with: by the tests, and by whoever fuzzes it. */
#ifndef IMMURE_POLICY_BPF_WALL_MODEL_H
#define IMMURE_POLICY_BPF_WALL_MODEL_H

#include "core/base.h"
#include "policy/bpf/wall.h"

struct wall {
	struct wall_config config;
	struct wall_rate rate;
	uint64_t counts[WALL_NRULES];	/* frames a rule; [WALL_PASS]: those that passed */
};

/* What the sender of a frame left to the host. */
struct wall_offload {
	bool open;			/* a checksum to be stored ... */
	uint32_t checksum;		/* ... at this offset */
	uint32_t gso_size;		/* to be cut into pieces of so much; 0: not */
};

/* No rule reads a byte behind this one: Ethernet, the longest IPv4, eight bytes of what follows. */
enum { WALL_FRONT = 14 + 60 + 8 };

/* True when every field of @c is in its range; the rules trust them. */
must_check bool wall_config_ok(const struct wall_config *c);

/* May the VM send the @len bytes at @frame, from the destination MAC address on and with @o left to
 * the host, at time @now (ns of any clock that does not go back)?  Counts it.  @t is filled as far
 * as the frame says. */
must_check enum wall_rule wall_frame_check(struct wall *w, const uint8_t *frame, uint32_t len,
					   const struct wall_offload *o, uint64_t now, struct wall_target *t);

/* "metadata", and the rest of the sentence "drops a frame ...". */
const char *wall_rule_name(enum wall_rule rule);
const char *wall_rule_text(enum wall_rule rule);

#endif
