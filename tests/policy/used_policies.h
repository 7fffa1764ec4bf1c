/* SPDX-License-Identifier: Apache-2.0 */
/* used_policies.h: the policy files, and under which of them each kind of thread lies. */
#ifndef IMMURE_TESTS_POLICY_USED_POLICIES_H
#define IMMURE_TESTS_POLICY_USED_POLICIES_H

#include "policy/compile.h"
#include "tests/policy/used.h"

struct used_policy {
	char path[64];
	struct policy policy;
	uint64_t calls[POLICY_RULES];	/* that satisfied this rule */
};

/* One a kind, in its order. */
struct used_policies {
	struct used_policy of[USED_KINDS];
};

/* Reads the files of @dir.  False, with a message: one of them is no policy. */
bool used_policies_load(struct used_policies *p, const char *dir);

/* The coarse policy that lies over threads of @kind too, or @kind if there is none. */
enum used_kind used_coarse(enum used_kind kind);

/* The bits of the arguments of call @nr that the rules over threads of @kind look at. */
struct used_mask used_mask_of(const struct used_policies *p, enum used_kind kind, int nr);

/* A number for all masks together: records that were made with other ones say nothing. */
uint64_t used_fingerprint(const struct used_policies *p);

#endif
