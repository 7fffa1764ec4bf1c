/* SPDX-License-Identifier: Apache-2.0 */
/* used_policies.c: see used_policies.h. */
#include "tests/policy/used_policies.h"

#include <string.h>

static const char *const policy_of_kind[USED_KINDS] = {
	[USED_JAIL] = "jail", [USED_JAILER] = "jailer", [USED_SUPERVISOR] = "supervisor",
	[USED_BLK] = "blk", [USED_NET] = "net", [USED_VSOCK] = "vsock",
	[USED_MAIN] = "vmm-main", [USED_VCPU] = "vmm-vcpu",
};

bool used_policies_load(struct used_policies *p, const char *dir)
{
	for (int kind = 0; kind < USED_KINDS; kind++) {
		struct used_policy *u = &p->of[kind];
		FILE *f;
		bool ok;

		memset(u, 0, sizeof(*u));
		snprintf(u->path, sizeof(u->path), "%s/%s.policy", dir, policy_of_kind[kind]);
		f = fopen(u->path, "re");
		if (!f) {
			perror(u->path);
			return false;
		}
		ok = policy_parse(&u->policy, f, u->path);
		fclose(f);
		if (!ok) {
			fprintf(stderr, "%s\n", u->policy.error);
			return false;
		}
	}
	return true;
}

enum used_kind used_coarse(enum used_kind kind)
{
	switch (kind) {
	case USED_SUPERVISOR:
		return USED_JAILER;
	case USED_BLK:
	case USED_NET:
	case USED_VSOCK:
	case USED_MAIN:
	case USED_VCPU:
		return USED_JAIL;
	case USED_JAIL:
	case USED_JAILER:
	case USED_KINDS:
		break;
	}
	return kind;
}

static void add_masks(struct used_mask *m, const struct policy *p, int nr)
{
	for (size_t i = 0; i < p->nrules; i++) {
		const struct policy_rule *r = &p->rule[i];

		for (unsigned int c = 0; c < r->nconds && r->nr == nr; c++)
			m->arg[r->cond[c].arg] |= r->cond[c].op == POLICY_FROM ? UINT64_MAX :
									       r->cond[c].mask;
	}
}

struct used_mask used_mask_of(const struct used_policies *p, enum used_kind kind, int nr)
{
	struct used_mask m = { { 0 } };

	add_masks(&m, &p->of[kind].policy, nr);
	add_masks(&m, &p->of[used_coarse(kind)].policy, nr);
	return m;
}

uint64_t used_fingerprint(const struct used_policies *p)
{
	uint64_t hash = 0xcbf29ce484222325;	/* FNV-1a, of words */

	for (int kind = 0; kind < USED_KINDS; kind++) {
		for (int nr = 0; nr < USED_NUMBERS; nr++) {
			struct used_mask m = used_mask_of(p, (enum used_kind)kind, nr);

			for (int i = 0; i < 6; i++)
				hash = (hash ^ m.arg[i]) * 0x100000001b3;
		}
	}
	return hash;
}
