/* SPDX-License-Identifier: Apache-2.0 */
/* limits.h: rate limits of a device, and how its owner changes them while it runs.
 *
 * A device starts with the limits of its configuration.  Its owner may write others into the
 * limits page (core/pages.h), which the device sees read-only: it looks at the sequence number
 * of its entry, which is odd while somebody writes, and takes the values when they were not
 * touched meanwhile.  A set that is torn, or out of range, is never used: the limits in force
 * stay.  Nothing waits for anybody.
 *
 * A limiter is two buckets, bytes and operations.  A request goes when both are open and is
 * charged to both. */
#ifndef IMMURE_CORE_LIMITS_H
#define IMMURE_CORE_LIMITS_H

#include "core/bucket.h"

enum {
	LIMITS_MAGIC = 0x694c6d49,	/* "ImLi" */
	LIMITS_VERSION = 1,
	LIMITS_PAGE = 4096,
	LIMITS_DEVICES = 31,
	LIMITS_DIRECTIONS = 2,
	/* A device that waits for tokens looks for other limits this often. */
	LIMITS_LOOK_NS = 100 * 1000 * 1000,
};

/* Directions; a disk has one limit for both, the first. */
enum limits_direction { LIMITS_OUT, LIMITS_IN };	/* from the guest, to the guest */

struct limit_values {
	struct bucket_limit bytes, ops;
};

struct limits_entry {
	uint64_t sequence;	/* odd: being written */
	struct limit_values direction[LIMITS_DIRECTIONS];
	uint64_t kind;		/* enum vm_device_kind; nobody but the jailer writes it */
	uint64_t zero[2];
};

struct limits_page {
	uint32_t magic;		/* LIMITS_MAGIC */
	uint32_t version;	/* LIMITS_VERSION */
	uint32_t devices;	/* entries in use */
	uint32_t zero[29];
	struct limits_entry device[LIMITS_DEVICES];
};

_Static_assert(sizeof(struct limits_entry) == 128, "shared layout");
_Static_assert(sizeof(struct limits_page) == LIMITS_PAGE, "shared layout");

/* Both buckets in range (bucket_limit_ok). */
must_check bool limit_values_ok(const struct limit_values *v);

/* Copies the values of @e to @out.  False, and *@out unspecified, when somebody is writing
 * them, or did meanwhile.  *@sequence is that of the copy. */
must_check bool limits_read(const struct limits_entry *e, uint64_t *sequence,
			    struct limit_values out[LIMITS_DIRECTIONS]);

/* Writes @v as values of @e; the caller is the only one who writes (it holds a lock).  A writer
 * that died half way has left an odd number: this repairs it. */
void limits_write(struct limits_entry *e, const struct limit_values v[LIMITS_DIRECTIONS]);

struct limiter {
	struct limit_values values;	/* what it was made of */
	struct bucket bytes, ops;
};

/* @v is limit_values_ok(). */
void limiter_init(struct limiter *l, const struct limit_values *v, uint64_t now);

/* Other limits from now on: a bucket whose values differ starts anew (full, its burst whole),
 * the other one goes on as it is. */
void limiter_change(struct limiter *l, const struct limit_values *v, uint64_t now);

/* Is there any limit?  Without one nobody needs to know the time. */
static inline bool limiter_on(const struct limiter *l)
{
	return (l->bytes.size | l->ops.size) != 0;
}

/* May a request go at @now? */
must_check bool limiter_open(struct limiter *l, uint64_t now);

/* Charges a request that went. */
void limiter_charge(struct limiter *l, uint64_t bytes);

/* Nanoseconds from the last limiter_open() until another may succeed. */
must_check uint64_t limiter_wait(const struct limiter *l);

/* The limits of one device, and where others may come from. */
struct limits {
	const struct limits_entry *entry;	/* NULL: nowhere */
	uint64_t sequence;			/* of the values in force */
	struct limiter direction[LIMITS_DIRECTIONS];
};

/* @configured: LIMITS_DIRECTIONS values, all limit_values_ok(). */
void limits_init(struct limits *l, const struct limits_entry *entry,
		 const struct limit_values *configured, uint64_t now);

/* Is there anything new in the page?  Cheap: one load. */
static inline bool limits_news(const struct limits *l)
{
	return l->entry != NULL &&
	       __atomic_load_n(&l->entry->sequence, __ATOMIC_ACQUIRE) != l->sequence;
}

/* Takes over what is new, if it is whole and in range.  True when limits changed. */
bool limits_take(struct limits *l, uint64_t now);

#endif
