/* SPDX-License-Identifier: Apache-2.0 */
/* capabilities.h: few for the jailer, and none, in any of the five sets and with no way to get
 * one back, for whatever it becomes or starts. */
#ifndef IMMURE_JAILER_CAPABILITIES_H
#define IMMURE_JAILER_CAPABILITIES_H

#include "core/base.h"

enum { JAILER_CAPABILITIES = 6 };

/* Where the jailer uses a capability for the last time, in the order it goes through them. */
enum capability_step {
	CAPABILITY_LOCK,	/* bounding set and securebits are settled */
	CAPABILITY_TAP,		/* every tap is open, or there is none */
	CAPABILITY_LISTEN,	/* everything is opened, the sockets' directory included */
	CAPABILITY_SPAWN,	/* the last child has its ids */
	CAPABILITY_LEAVE,	/* out of the VM's cgroup; no namespace is entered any more */
};

/* What the jailer needs, by when it lets go of it. */
struct capability {
	uint8_t number;			/* CAP_ of linux/capability.h */
	uint8_t until;			/* enum capability_step */
	const char *name;
	const char *why;
};

extern const struct capability capabilities[JAILER_CAPABILITIES];

/* The jailer's first act with privilege (root: at once, rootless: in its user namespace): empties
 * the bounding set, locks the securebits, and keeps of the rest those in the table.  Returns 0
 * or -errno. */
must_check int capabilities_limit(void);

/* Gives up what the table says is not needed after @step.  Returns 0 or -errno. */
must_check int capabilities_after(enum capability_step step);

/* In a child: empties the bounding set and locks the securebits, while it may still change its
 * ids.  Needs CAP_SETPCAP.  Returns 0 or -errno. */
must_check int capabilities_bound(void);

/* Empties the permitted, effective, inheritable and ambient sets.  Returns 0 or -errno. */
must_check int capabilities_drop(void);

#endif
