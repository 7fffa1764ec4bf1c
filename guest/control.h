/* SPDX-License-Identifier: Apache-2.0 */
/* control.h: frames on the control connection, the guest's side of proto.h. */
#ifndef IMMURE_GUEST_CONTROL_H
#define IMMURE_GUEST_CONTROL_H

#include "guest/fail.h"

#include <sys/types.h>

enum { CONTROL_SMALL = 64 };	/* no frame after START is longer */

struct control {
	int fd;
	size_t have;			/* bytes of a frame that has not arrived whole */
	uint8_t buf[CONTROL_SMALL];
};

/* A frame after START, checked. */
struct order {
	enum proto_type type;	/* PROTO_SIGNAL or PROTO_WINSIZE */
	int signo;		/* 1..64 */
	uint16_t rows, cols;
};

/* Waits for START and stores its body, at most @size bytes, in @body.  Returns its length, or
 * -1 with @f filled: the connection ended, another frame came first, or it is too long. */
must_check ssize_t control_start(struct control *c, char *body, size_t size, struct fail *f);

/* Takes the next order off the connection without waiting: 1 with @o filled, 0 when none is
 * complete, -1 when the host hung up or broke the protocol. */
must_check int control_order(struct control *c, struct order *o);

/* Sends a frame; waits for room.  False: the host is gone. */
must_check bool control_send(struct control *c, enum proto_type type, const void *body,
			     size_t len);

/* Sends @f as PROTO_FAILED. */
must_check bool control_fail(struct control *c, const struct fail *f);

/* Waits until the host closes its side, however long it takes to read what was sent. */
void control_wait_closed(struct control *c);

#endif
