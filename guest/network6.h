/* SPDX-License-Identifier: Apache-2.0 */
/* network6.h: IPv6 of the network interface. */
#ifndef IMMURE_GUEST_NETWORK6_H
#define IMMURE_GUEST_NETWORK6_H

#include "guest/fail.h"
#include "guest/proto.h"

/* Before the interface @name is up: with an address of the host's it takes none from routers. */
void network6_prepare(const char *name, const struct proto_net *n);

/* Gives @name, which is up, the IPv6 address and the default route of @n, if it has any.  Returns 0,
 * or -1 with @f filled. */
must_check int network6_setup(const char *name, const struct proto_net *n, struct fail *f);

#endif
