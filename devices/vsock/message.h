/* SPDX-License-Identifier: Apache-2.0 */
/* message.h: where the messages end that wait in the fifos of SEQPACKET connections.
 *
 * A message goes to the host in one piece, so it stays in the fifo until its last packet is there,
 * and then until the host takes it.  The fifo itself is bytes; here is a bit for each of them
 * that is the last of a message.  As many messages fit as bytes, whatever a guest makes of its
 * window. */
#ifndef IMMURE_DEVICES_VSOCK_MESSAGE_H
#define IMMURE_DEVICES_VSOCK_MESSAGE_H

#include "core/backlog.h"
#include "core/base.h"

enum {
	MESSAGE_MAX = 64 << 10,		/* bytes; so much may wait in one fifo, too */
	MESSAGE_SLOTS = BACKLOG_SEQS,	/* SEQPACKET connections at a time */
};

/* All zero: no message, no slot taken. */
struct messages {
	uint32_t taken;			/* bit per slot */
	uint32_t count[MESSAGE_SLOTS];	/* whole messages in the fifo */
	uint64_t last[MESSAGE_SLOTS][MESSAGE_MAX / 64];
};

/* A slot that is not taken, or -1. */
must_check int message_slot(const struct messages *m);
void message_take_slot(struct messages *m, uint32_t slot);

/* The slot has no messages. */
void message_free_slot(struct messages *m, uint32_t slot);

/* The byte number @at (mod 2^32, of all that ever came) is the last of a message.  Saying it
 * twice changes nothing. */
void message_ends(struct messages *m, uint32_t slot, uint32_t at);

/* The length of the message that begins with byte number @at; there is a whole one. */
must_check uint32_t message_length(const struct messages *m, uint32_t slot, uint32_t at);

/* The message that ends with byte number @at is out of the fifo. */
void message_took(struct messages *m, uint32_t slot, uint32_t at);

/* All messages are. */
void message_drop(struct messages *m, uint32_t slot);

_Static_assert(MESSAGE_SLOTS == 32, "a bit each in taken");
_Static_assert(BACKLOG_SEQ_MARKS == MESSAGE_MAX / 8, "what the marks take");
_Static_assert((MESSAGE_MAX & (MESSAGE_MAX - 1)) == 0, "numbers wrap at a multiple of it");

#endif
