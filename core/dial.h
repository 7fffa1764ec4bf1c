/* SPDX-License-Identifier: Apache-2.0 */
/* dial.h: how the vsock process gets a connection to PATH_PORT without being able to make one.
 *
 * The vsock process has neither socket() nor connect() and sees no file system.  For a guest's
 * connection request it sends one dial_request over VSOCK_DIAL (SOCK_SEQPACKET); the supervisor
 * connects to the Unix socket "<path>_<port>", with the type asked for, and answers with one
 * dial_reply, which carries the connected descriptor (SCM_RIGHTS, exactly one) when error is 0.
 * Replies come in the order of the requests.  The supervisor treats the requests as hostile: fixed
 * size, one of two types, and the port is any 32-bit number and becomes decimal digits in a name
 * below a directory it holds. */
#ifndef IMMURE_CORE_DIAL_H
#define IMMURE_CORE_DIAL_H

#include "core/base.h"

struct dial_request {
	uint32_t cookie;	/* chosen by the asker, returned unchanged */
	uint32_t port;		/* host port the guest asked for */
	uint32_t type;		/* SOCK_STREAM or SOCK_SEQPACKET; any other is refused */
};

struct dial_reply {
	uint32_t cookie;
	int32_t error;		/* 0, or an errno value: no descriptor is attached */
};

_Static_assert(sizeof(struct dial_request) == 12 && sizeof(struct dial_reply) == 8,
	       "wire format");

#endif
