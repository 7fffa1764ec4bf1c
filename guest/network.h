/* SPDX-License-Identifier: Apache-2.0 */
/* network.h: the network interfaces, set up as the host says: nobody in here has to ask for it. */
#ifndef IMMURE_GUEST_NETWORK_H
#define IMMURE_GUEST_NETWORK_H

#include "guest/fail.h"
#include "guest/proto.h"

/* Brings the @count interfaces up as eth0, eth1..., in the order of @n and whatever order the kernel found
 * them in, with the addresses, default routes and name servers of @n.  Waits for a driver that is still
 * at work.  Returns 0, or -1 with @f filled: a command that was promised a network does not run
 * without. */
must_check int network_setup(const struct proto_net *n, unsigned count, struct fail *f);

/* Writes the lines of resolv.conf for the @count interfaces at @n to @buf (@size bytes); returns their
 * length, 0: none. */
size_t network_resolv(const struct proto_net *n, unsigned count, char *buf, size_t size);

#endif
