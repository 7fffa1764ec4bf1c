/* SPDX-License-Identifier: Apache-2.0 */
/* wall_text.h: an allow-list as people write it, and as the packet wall reads it.
 *
 *	10.0.0.0/8:443			TCP and UDP to port 443 of any of these
 *	192.0.2.7:5000-5009/udp		UDP only
 *	192.0.2.7			whatever there is, ping and all ports included
 *	[2001:db8::/32]:443/tcp		IPv6 */
#ifndef IMMURE_JAILER_WALL_TEXT_H
#define IMMURE_JAILER_WALL_TEXT_H

#include "core/base.h"
#include "policy/bpf/wall.h"

enum { WALL_TEXT_MAX = 80 };	/* of one line, with its NUL */

/* Reads one line.  Bits of the address behind the prefix do not matter.  Returns NULL, or what is
 * wrong with @text. */
const char *wall_allow_parse(const char *text, struct wall_allow *a);

/* Reads an address of an interface, with or without a prefix behind it ("10.9.0.2/24"), into @c: its
 * IPv4 or IPv6 address is known from now on.  Returns NULL, or what is wrong. */
const char *wall_address_parse(const char *text, struct wall_config *c);

/* An empty wall for the interface with address @mac: it knows no IP address and allows all. */
void wall_config_init(struct wall_config *c, const uint8_t mac[static 6]);

#endif
