/* SPDX-License-Identifier: Apache-2.0 */
/* pool.h: threads that carry out transfers side by side, for a disk past the host's cache.
 *
 * A job is one transfer of one request: where in the disk, from or to which memory.  The main thread fills
 * in jobs, pool_run() returns when all of them have been tried, and between two calls no thread has one.
 * One that did not move everything is not done; to find out why is the caller's, who tries it again alone. */
#ifndef IMMURE_DEVICES_BLK_POOL_H
#define IMMURE_DEVICES_BLK_POOL_H

#include "core/fdplan.h"
#include "core/seal.h"
#include "devices/blk/disk.h"

enum {
	POOL_THREADS = PLAN_BLK_THREADS,	/* beside the main one, which takes a job too */
	POOL_JOBS = 32,		/* at once */
	POOL_SPANS = 64,	/* pieces of memory a job may have */
};

struct pool_job {
	bool write, durable;
	bool done;		/* all of it was moved */
	int n;			/* pieces */
	uint32_t len;		/* bytes */
	uint64_t at;
	struct iovec iov[POOL_SPANS];
};

struct pool {
	int work, done;			/* eventfds: a permit for each job; the last one is finished */
	const struct disk *disk;
	const struct seal_filter *filter;
	struct pool_job job[POOL_JOBS];
	unsigned next;			/* job to be taken; atomic */
	unsigned left;			/* jobs, or threads being started, not finished yet; atomic */
	unsigned unsealed;		/* threads that could not be sealed; atomic */
};

/* Starts the threads of @p on @d, which outlives it and keeps its descriptor.  @work is an eventfd with
 * EFD_SEMAPHORE, @done one without; both block.  Returns 0 when all threads have put @filter on themselves,
 * or -errno: then the process must end. */
must_check int pool_start(struct pool *p, const struct disk *d, int work, int done,
			  const struct seal_filter *filter);

/* Carries out the first @n > 0 jobs, at most POOL_JOBS, in any order. */
void pool_run(struct pool *p, unsigned n);

#endif
