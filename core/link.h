/* SPDX-License-Identifier: Apache-2.0 */
/* link.h: the conversation between the VMM and one device process.
 *
 * A SOCK_SEQPACKET pair, fixed-size messages, zeroed before they are filled.  Each side treats
 * the other as hostile: a message of the wrong size, an unknown type, or one that is not legal
 * in the present state ends the VM.  None of this is on the data path.
 *
 *   device                              VMM
 *     HELLO  ─────────────────────────►     after the device has sealed itself
 *            ◄─────────────────────  ACTIVATE    driver wrote DRIVER_OK
 *     NEEDS_RESET ────────────────────►     driver misbehaved (virtio 1.3 §2.1.2)
 *     CONFIG ─────────────────────────►     configuration space changed
 *            ◄─────────────────────  RESET       driver wrote status 0
 *     RESET_DONE ─────────────────────►     nothing in flight any more
 *            ◄─────────────────────  QUIT        VM ends; EOF means the same */
#ifndef IMMURE_CORE_LINK_H
#define IMMURE_CORE_LINK_H

#include "core/base.h"
#include "core/virtqueue.h"

enum {
	LINK_QUEUES_MAX = 9,	/* net: four pairs and the control queue */
	LINK_CONFIG_BYTES = 64,
	LINK_VERSION = 1,
};

enum link_type {
	LINK_HELLO = 1,		/* device → VMM */
	LINK_ACTIVATE,		/* VMM → device */
	LINK_RESET,		/* VMM → device */
	LINK_RESET_DONE,	/* device → VMM */
	LINK_CONFIG,		/* device → VMM */
	LINK_NEEDS_RESET,	/* device → VMM */
	LINK_QUIT,		/* VMM → device */
};

struct link_queue {
	uint64_t desc, avail, used;
	uint16_t size;
	uint16_t ready;		/* 0 or 1 */
	uint32_t zero;
};

struct link_hello {
	uint32_t version;	/* LINK_VERSION */
	uint32_t device_id;	/* virtio 1.3 §5: 1 net, 2 block, 19 socket */
	uint64_t features;	/* offered */
	uint32_t nqueues;	/* 1..LINK_QUEUES_MAX */
	uint32_t queue_max;	/* QueueNumMax of each queue: power of two, <= VQ_SIZE_MAX */
	uint32_t config_len;	/* bytes of config[] that exist */
	uint32_t zero;
	uint8_t config[LINK_CONFIG_BYTES];
};

struct link_activate {
	uint64_t features;	/* accepted by the driver */
	struct link_queue queue[LINK_QUEUES_MAX];
};

struct link_config {
	uint32_t len;
	uint32_t zero;
	uint8_t config[LINK_CONFIG_BYTES];
};

struct link_needs_reset {
	uint32_t reason;	/* enum vq_err, or 0x100 + a device's own number; for the log only */
	uint32_t queue;
};

struct link_msg {
	uint32_t type;		/* enum link_type */
	uint32_t zero;
	union {
		struct link_hello hello;
		struct link_activate activate;
		struct link_config config;
		struct link_needs_reset needs_reset;
		uint8_t bytes[312];
	} u;
};

_Static_assert(sizeof(struct link_queue) == 32, "wire format");
_Static_assert(sizeof(struct link_hello) == 96, "wire format");
_Static_assert(sizeof(struct link_activate) == 296, "wire format");
_Static_assert(sizeof(struct link_msg) == 320, "wire format");
_Static_assert(offsetof(struct link_msg, u) == 8, "wire format");

/* What one side believes about the conversation. */
enum link_state {
	LINK_START,		/* nothing said */
	LINK_IDLE,		/* HELLO said; device not active */
	LINK_ACTIVE,		/* ACTIVATE said */
	LINK_RESETTING,		/* RESET said, RESET_DONE not yet */
	LINK_BROKEN,		/* NEEDS_RESET said; only a reset helps */
	LINK_CLOSED,
};

struct link {
	int fd;			/* non-blocking */
	enum link_state state;
	bool device;		/* which end this is: true in a device process, false in the VMM */
};

enum link_result { LINK_OK, LINK_AGAIN, LINK_EOF, LINK_BAD };

/* Sends @m, checking that its type is legal to send in the present state, and moves the
 * state. LINK_BAD: not legal, or the kernel refused.  Never blocks: a peer that lets its
 * receive buffer (8 messages and more) fill up has broken the protocol. */
must_check enum link_result link_send(struct link *l, const struct link_msg *m);

/* Receives one message into @m and moves the state.  LINK_AGAIN: none there.  LINK_BAD: wrong
 * size, unknown type, not legal now, or a field out of its range. */
must_check enum link_result link_recv(struct link *l, struct link_msg *m);

/* The pure half of both, used by the fuzzer and the proofs: is @m well formed, and legal in
 * @state when travelling from the device (@from_device) or to it?  On success *@next is the
 * state afterwards. */
must_check bool link_step(enum link_state state, bool from_device, const struct link_msg *m,
			  size_t len, enum link_state *next);

const char *link_type_name(uint32_t type);

#endif
