/* SPDX-License-Identifier: Apache-2.0 */
/* tap.h: the host's end of a network interface. */
#ifndef IMMURE_JAILER_TAP_H
#define IMMURE_JAILER_TAP_H

#include "core/base.h"
#include "jailer/failure.h"

enum {
	TAP_OFFLOADS = 1u << 0,		/* it takes and gives open checksums and TCP segments */
	TAP_USO = 1u << 1,		/* and UDP segments */
};

struct tap {
	const char *name;
	unsigned queues;		/* 1.. */
	bool offload;			/* wanted */
	uint16_t mtu;			/* wanted; 0: as it is.  Afterwards: what it is for the guest */
	unsigned flags;			/* afterwards: TAP_OFFLOADS, TAP_USO */
};

/* Attaches to the tap @t->name in the caller's network namespace, or makes one that is up and
 * exists as long as its descriptors, and prepares it: a header of twelve bytes before each
 * frame.  @fd[0 .. queues) become its queues.  Returns 0, or -1 with @f filled. */
must_check int tap_open(struct tap *t, int *fd, struct failure *f);

#endif
