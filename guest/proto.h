/* SPDX-License-Identifier: Apache-2.0 */
/* proto.h: what immure run (host) and immure-init (guest) say to each other over vsock.
 *
 * The guest opens four stream connections to the host (CID 2), in any order:
 *   PROTO_PORT_CONTROL  frames, both directions (below)
 *   PROTO_PORT_STDIN    host → guest bytes; the host's shutdown is end of file
 *   PROTO_PORT_STDOUT   guest → host bytes; with a terminal: both output streams
 *   PROTO_PORT_STDERR   guest → host bytes; not opened when START asks for a terminal
 * Bytes on the three are the command's, unframed, so nothing of it is ever parsed by the host.
 *
 * Control frames: struct proto_frame, then `len` bytes.  Host → guest: START first and once,
 * then SIGNAL and WINSIZE at any time.  Guest → host: FAILED once, or STARTED once and then, after
 * stdout and stderr were shut down, EXIT once.  After FAILED or EXIT the guest waits until the
 * host closes the control connection, which it does when it has read everything, and powers off.
 *
 * The host treats every byte as hostile: a frame longer than PROTO_FRAME_MAX, an unknown type,
 * a second connection to a port, or a value out of range ends the session. */
#ifndef IMMURE_GUEST_PROTO_H
#define IMMURE_GUEST_PROTO_H

#include "core/base.h"

enum {
	PROTO_VERSION = 4,
	PROTO_PORT_CONTROL = 1024,
	PROTO_PORT_STDIN = 1025,
	PROTO_PORT_STDOUT = 1026,
	PROTO_PORT_STDERR = 1027,
	PROTO_FRAME_MAX = 256 * 1024,	/* START carries arguments and environment */
	PROTO_ARGS_MAX = 4096,		/* strings in argv and in env, each */
	PROTO_NETS_MAX = 6,		/* network interfaces: devices but for the root image and vsock */
	PROTO_DNS_MAX = 2,		/* of each */
};

enum proto_type {
	PROTO_START = 1,	/* host → guest: struct proto_start, then interfaces and strings */
	PROTO_SIGNAL,		/* host → guest: struct proto_signal */
	PROTO_WINSIZE,		/* host → guest: struct proto_winsize */
	PROTO_STARTED,		/* guest → host: empty; the command runs */
	PROTO_FAILED,		/* guest → host: struct proto_failed, then a text for the user */
	PROTO_EXIT,		/* guest → host: struct proto_exit */
};

struct proto_frame {
	le32_t type;		/* enum proto_type */
	le32_t len;		/* bytes that follow, <= PROTO_FRAME_MAX */
};

struct proto_winsize {
	le16_t rows, cols;
};

enum proto_start_flags {
	PROTO_TTY = 1u << 0,
};

/* A network interface to be set up, eth0 the first.  Addresses in network order, of IPv4 and of IPv6;
 * all zero: none. */
struct proto_net {
	uint8_t mac[6];		/* by which it is found */
	uint8_t prefix;		/* of address: 0..32 */
	uint8_t prefix6;	/* of address6: 1..128; 0: it has none */
	uint8_t address[4], gateway[4];
	uint8_t address6[16], gateway6[16];
	uint8_t dns[PROTO_DNS_MAX][16];	/* of either kind; IPv4 as ::ffff:a.b.c.d */
};

/* Followed by struct proto_net for each of nets, then argc + envc + 2 NUL-terminated strings: argv,
 * env ("K=V"), directory, user ("name", "uid", "name:group" or "uid:gid"; empty: root). */
struct proto_start {
	le32_t version;		/* PROTO_VERSION */
	le32_t flags;		/* enum proto_start_flags */
	le32_t argc;		/* 1..PROTO_ARGS_MAX */
	le32_t envc;		/* 0..PROTO_ARGS_MAX */
	struct proto_winsize winsize;
	le32_t nets;		/* 0..PROTO_NETS_MAX */
};

struct proto_signal {
	le32_t signo;		/* 1..64 */
};

/* Why the command could not be started; the host turns it into an exit status. */
enum proto_fail {
	PROTO_FAIL_SETUP = 1,	/* mounts, modules, user: 125 */
	PROTO_FAIL_NOEXEC,	/* found but cannot be executed: 126 */
	PROTO_FAIL_NOTFOUND,	/* 127 */
};

struct proto_failed {
	le32_t fail;		/* enum proto_fail */
};

struct proto_exit {
	le32_t code;		/* exit status 0..255 */
	le32_t signo;		/* 0, or the signal 1..64 that ended the command */
};

_Static_assert(sizeof(struct proto_frame) == 8 && sizeof(struct proto_start) == 24 &&
	       sizeof(struct proto_net) == 80 &&
	       sizeof(struct proto_exit) == 8, "wire format");

#endif
