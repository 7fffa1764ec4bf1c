/* SPDX-License-Identifier: Apache-2.0 */
/* conn.h: the connections, and the arithmetic of who may send how much.
 *
 * Pure: no system call, no guest memory, no clock.  Two parts.
 *
 * Credit (virtio 1.3 §5.10.6.3).  For each direction there is a promise of buffer space and a
 * pair of counters that wrap at 2^32.  What we promise the guest (window) is fixed for the
 * life of a connection and backed by blocks of the pool that nobody else can get; what the
 * guest promises us is only believed as far as guest memory goes, because the bytes we send on
 * the strength of it lie in the guest's own buffers.
 *
 * The table.  A connection has two halves: the guest's, known by its pair of ports while it is
 * `bound`, and the host's, a descriptor.  An entry is given back when both are gone. */
#ifndef IMMURE_DEVICES_VSOCK_CONN_H
#define IMMURE_DEVICES_VSOCK_CONN_H

#include "core/base.h"
#include "core/fdplan.h"
#include "devices/vsock/buffer.h"
#include "devices/vsock/message.h"

enum {
	WINDOW_MIN = 2 << 10,		/* what every connection gets, in bytes */
	WINDOW_MAX = BACKLOG_WINDOW,	/* what it gets while there are few */
	/* What a SEQPACKET connection gets, always, as there are at most MESSAGE_SLOTS. */
	WINDOW_SEQ = MESSAGE_MAX,
	/* Blocks beyond what PLAN_VSOCK_CONNS connections at WINDOW_MIN, and those, can use. */
	WINDOW_SPARE = POOL_BLOCKS - PLAN_VSOCK_CONNS * FIFO_BLOCKS(WINDOW_MIN) -
		       MESSAGE_SLOTS * (FIFO_BLOCKS(WINDOW_SEQ) - FIFO_BLOCKS(WINDOW_MIN)),

	PORT_FIRST = 0x40000000,	/* host side of connections that the host opens */
	PORT_LAST = 0x7fffffff,

	CONN_HASH = 4096,
};

struct credit {
	uint32_t window;	/* guest → host: bytes it sent and we hold, at most */
	uint32_t rx_cnt;	/* bytes it ever sent */
	uint32_t fwd_cnt;	/* bytes we ever passed on (or threw away) */
	uint32_t told;		/* fwd_cnt as the guest last heard it */
	uint32_t tx_cnt;	/* host → guest: bytes we ever sent */
	uint32_t peer_buf_alloc;/* as the guest last said */
	uint32_t peer_fwd_cnt;
};

void credit_init(struct credit *c, uint32_t window);

/* The guest's header said so; any two numbers are fine. */
void credit_heard(struct credit *c, uint32_t buf_alloc, uint32_t fwd_cnt);

/* Bytes that may go to the guest now.  0 when it promised less than what is under way: it may
 * shrink its buffer at any time, and lie. */
must_check uint32_t credit_available(const struct credit *c);

/* @n bytes went to the guest, @n <= credit_available(). */
void credit_sent(struct credit *c, uint32_t n);

/* The guest sent @n bytes.  False, and nothing counted, when it had no credit for them. */
must_check bool credit_received(struct credit *c, uint32_t n);

/* @n of the received bytes left our hands. */
void credit_passed_on(struct credit *c, uint32_t n);

/* Is what the guest believes a quarter of its window behind?  So a guest that believes to have
 * nothing left hears of it before the host has taken the rest. */
must_check bool credit_should_tell(const struct credit *c);

enum conn_state {
	CONN_FREE,
	CONN_LINE,	/* host client without a complete CONNECT line; not bound */
	CONN_ASKING,	/* host client; REQUEST is on its way to the guest, or with it */
	CONN_DIALLING,	/* the guest asked; the supervisor has not answered */
	CONN_OPEN,
	CONN_ENDED,	/* over for the guest but for an RST it may be owed; what it sent still
			 * drains to the host */
};

/* Packets a connection owes the guest (SHUTDOWN and data are derived from its state). */
enum conn_owed {
	OWE_RST = 1 << 0,
	OWE_REQUEST = 1 << 1,
	OWE_RESPONSE = 1 << 2,
	OWE_CREDIT = 1 << 3,
	OWE_CREDIT_REQUEST = 1 << 4,
};

/* First come, first served. */
enum conn_list {
	LIST_RUN,	/* has something for the guest */
	LIST_HELD,	/* has data for the guest, and waits for the rate limit to let it go */
	LIST_DIAL,	/* waits to be asked for at the supervisor */
	LIST_PATIENCE,	/* somebody's answer is due at its deadline */
	LIST_LINE,	/* CONNECT line is due at its deadline */
	LIST_LINE_SEQ,	/* those of them that are SEQPACKET, and have a slot for messages */
	LIST_DRAIN,	/* over for the guest, and the host has yet to take what it sent */
	CONN_LISTS
};

enum { CONN_LINE_MAX = 32 };	/* bytes of "CONNECT <port>\n", generously */

struct conn_link { uint16_t next, prev; };	/* entry + 1; 0: none */

struct conn {
	uint32_t guest_port, host_port;	/* while bound */
	int fd;				/* host half; -1: none */
	uint32_t generation;		/* of this entry */
	uint8_t state;			/* enum conn_state */
	uint8_t type;			/* VSOCK_TYPE_STREAM or VSOCK_TYPE_SEQPACKET */
	uint8_t slot;			/* of its messages; SEQPACKET only */
	uint8_t owed;			/* enum conn_owed */
	uint8_t guest_shut;		/* enum vsock_shut: the guest said */
	uint8_t told_shut;		/* enum vsock_shut: we said to the guest */
	uint8_t lists;			/* bit per enum conn_list it is on */
	bool bound;
	bool readable;			/* the descriptor may have bytes or an end for us */
	bool hup;			/* both directions of the descriptor are over */
	bool eof;			/* nothing more comes from the host */
	bool broken;			/* nothing more goes to the host */
	bool greedy;			/* the last read filled a whole buffer */
	bool armed;			/* waiting for room in the descriptor */
	bool asked;			/* CREDIT_REQUEST sent since credit was last there */
	bool large;			/* has one of the BACKLOG_LARGES send buffers */
	uint8_t line_len;
	uint32_t peeked;		/* bytes of the host's message that the guest has */
	uint16_t extra;			/* blocks beyond FIFO_BLOCKS(WINDOW_MIN) reserved */
	uint16_t hash_next;		/* entry + 1; also links the free entries */
	struct conn_link link[CONN_LISTS];
	uint64_t deadline;		/* milliseconds */
	struct credit credit;
	struct fifo fifo;		/* guest → host; its length is rx_cnt - fwd_cnt */
	char line[CONN_LINE_MAX];
};

struct conn_ends { uint16_t first, last; uint32_t count; };

/* All zero but for what conn_table_init() sets: entries and blocks that were never used were
 * never touched. */
struct conn_table {
	uint32_t limit;			/* entries in use at a time, at most */
	uint64_t seed;			/* unknown to the guest, which chooses the ports */
	uint32_t next_port;
	uint32_t used;			/* entries in use */
	uint32_t spare;			/* blocks of WINDOW_SPARE given out */
	uint32_t larges;		/* entries that are large */
	uint16_t free, fresh;		/* as in struct pool */
	struct conn_ends list[CONN_LISTS];
	uint16_t hash[CONN_HASH];
	struct conn conn[PLAN_VSOCK_CONNS];
	struct pool pool;
	struct messages messages;
};

/* @t is all zero.  @seed is random; @limit connections at a time, 1..PLAN_VSOCK_CONNS. */
void conn_table_init(struct conn_table *t, uint64_t seed, uint32_t limit);

/* A new entry with host half @fd (or -1) and no guest half; NULL when the table is full, or there
 * are MESSAGE_SLOTS of type SEQPACKET. */
must_check struct conn *conn_new(struct conn_table *t, enum conn_state state, int type, int fd);

/* May anything that the guest sent go to the host now?  Of a message, only when it is whole. */
must_check bool conn_waiting(const struct conn_table *t, const struct conn *c);

/* Forgets all that the guest sent and the host has not taken. */
void conn_drop_backlog(struct conn_table *t, struct conn *c);

/* Takes @c off all lists and gives entry, blocks and window back.  The descriptor is gone by
 * now (fd is -1). */
void conn_free(struct conn_table *t, struct conn *c);

/* Gives @c a guest half and its window.  No other entry has this pair of ports. */
void conn_bind(struct conn_table *t, struct conn *c, uint32_t guest_port, uint32_t host_port);
void conn_unbind(struct conn_table *t, struct conn *c);

/* The entry bound to this pair of ports, or NULL. */
must_check struct conn *conn_find(struct conn_table *t, uint32_t guest_port,
				  uint32_t host_port);

/* A host port of PORT_FIRST..PORT_LAST that no entry uses towards @guest_port; they are taken
 * in turn, so that one comes back as late as possible. */
must_check uint32_t conn_pick_port(struct conn_table *t, uint32_t guest_port);

/* A number for this use of this entry, and back: NULL when that use is over. */
uint32_t conn_cookie(const struct conn_table *t, const struct conn *c);
must_check struct conn *conn_by_cookie(struct conn_table *t, uint32_t cookie);

/* Appends @c to @which, unless it is on it; takes it off, if it is on it. */
void conn_list_add(struct conn_table *t, enum conn_list which, struct conn *c);
void conn_list_remove(struct conn_table *t, enum conn_list which, struct conn *c);
must_check struct conn *conn_list_first(struct conn_table *t, enum conn_list which);

/* The one behind @c, which is on @which; NULL: it is the last. */
must_check struct conn *conn_list_next(struct conn_table *t, enum conn_list which,
				       const struct conn *c);

_Static_assert(WINDOW_SPARE >= 0, "every connection has its smallest window");
_Static_assert(WINDOW_MIN % BLOCK_BYTES == 0 && WINDOW_MAX % BLOCK_BYTES == 0, "whole blocks");

#endif
