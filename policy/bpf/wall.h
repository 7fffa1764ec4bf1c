/* SPDX-License-Identifier: Apache-2.0 */
/* wall.h: what a VM may send: the rules of the packet wall, and what they go by.
 *
 * The wall is a BPF program at the kernel's side of a tap (wall.bpf.c).  Its rules are compiled a
 * second time as a function of a buffer (wall_model.c); the two differ only in WALL_LOAD, which
 * copies bytes of the frame, and in how it is found out what the frame's sender left to the host.
 * Each byte is copied once.
 *
 * WALL_RULES is the table: a frame is tried against it from top to bottom, the first rule that
 * holds drops it, and what no rule drops passes. */
#ifndef IMMURE_POLICY_BPF_WALL_H
#define IMMURE_POLICY_BPF_WALL_H

#include <linux/types.h>

/*   name            drops a frame ... */
#define WALL_RULES(X)                                                                           \
	X(SHORT,        "that ends inside a header")                                            \
	X(MAC,          "from a MAC address that is not the VM's")                              \
	X(ETHERTYPE,    "of a kind that the VM has no address of: IPv4 and ARP, or IPv6")       \
	X(ARP,          "of ARP that is malformed or claims another's address")                 \
	X(SOURCE,       "from an IP address that is not the VM's")                              \
	X(ROUTER,       "of ICMP that speaks as a router, or as another neighbour")             \
	X(EXTENSION,    "of IPv4 with options or IPv6 with extension headers")                  \
	X(METADATA,     "to link-local IPv4 or a cloud's metadata service")                     \
	X(LOOPBACK,     "to a loopback or unspecified address")                                 \
	X(DHCP_SERVER,  "that speaks as a DHCP server")                                         \
	X(FRAGMENT,     "that is a fragment, whose port the allow-list cannot see")             \
	X(EGRESS,       "to where the allow-list does not lead")                                \
	X(CHECKSUM,     "in which the host would yet change what was judged: a checksum left open") \
	X(RATE,         "beyond the frames a second that the VM may send")

enum wall_rule {
	WALL_PASS,
#define WALL_ENUM(name, text) WALL_##name,
	WALL_RULES(WALL_ENUM)
#undef WALL_ENUM
	WALL_NRULES
};

enum { WALL_ALLOW_MAX = 64, WALL_DENIED_MAX = 256 };

enum wall_flags {
	WALL_HAS_IP4 = 1u << 0,		/* ip4 is the VM's; without any address any IPv4 source
					 * passes SOURCE */
	WALL_HAS_IP6 = 1u << 1,		/* ip6 is; without it IPv6 does not pass ETHERTYPE, and with it alone
					 * IPv4 and ARP do not */
	WALL_HAS_ALLOW = 1u << 2,	/* the allow-list counts: what is not on it is dropped */
	WALL_ANY_CHECKSUM = 1u << 3,	/* CHECKSUM passes all: set by the jailer where the kernel is
					 * too old to tell, never by a configuration */
};

/* One line of the allow-list.  Addresses are as on the wire. */
struct wall_allow {
	__u32 addr[4];		/* IPv4: the first word; the others and what mask leaves out: 0 */
	__u32 mask[4];		/* bits of addr that count */
	__u8 version;		/* 4 or 6; 0: not in use, and neither is what follows */
	__u8 proto;		/* IPPROTO_TCP, IPPROTO_UDP; 0: both, and with port 0 any protocol */
	__u8 zero[2];
	__u16 port;		/* first, host order; 0: any */
	__u16 port_last;
};

struct wall_config {
	__u32 flags;		/* enum wall_flags */
	__u32 rate;		/* frames a second, as the host sends them on; 0: no limit */
	__u8 mac[6];
	__u8 zero[2];
	__u8 ip4[4];
	__u8 ip6[16];
	__u8 link_local[16];	/* fe80::/64 with the MAC's interface identifier */
	struct wall_allow allow[WALL_ALLOW_MAX];
};

_Static_assert(sizeof(struct wall_allow) == 40, "shared layout");
_Static_assert(sizeof(struct wall_config) == 52 + 64 * 40, "shared layout");

/* How far the rate is used up, in frames since the clock began; at least what was due before the
 * current tenth of a second, for nothing is saved up.  A frame that the host cuts into many counts
 * as many, and goes while there is one left: the rest comes off the tenths that follow.  So in any
 * number of whole tenths no more than their part of the rate goes, and less than one frame more; a
 * second that begins inside a tenth meets eleven. */
struct wall_rate {
	__u64 passed;
};

/* Where a frame goes, for the record of what was refused. */
struct wall_target {
	__u8 addr[16];
	__u16 port;		/* host order; 0: none */
	__u8 version;		/* 4, 6; 0: not IP */
	__u8 proto;
};

struct wall_denied {
	__u32 rule;		/* enum wall_rule */
	struct wall_target target;
};

_Static_assert(sizeof(struct wall_denied) == 24, "a key: no byte that is not written");

#endif
