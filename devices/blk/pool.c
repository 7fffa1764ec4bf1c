/* SPDX-License-Identifier: Apache-2.0 */
/* pool.c: threads of immure-blk that do nothing but transfers.
 *
 * With the host's cache reads get their depth from the host (look_ahead() in blk.c); past it a process has
 * one transfer under way for each thread that waits for one.  So there are some, each sealed as the main
 * thread is before it looks for work.  They share its memory and are no wall against it.
 *
 * No locks and no futex: two descriptors that the jailer made.  Main writes to `work` how many jobs others
 * may take; a thread sleeps in read() until it gets one of these permits, each of which is good for one job.
 * Whoever finishes the last job wakes main through `done`, unless main did that itself.
 *
 * Who may touch what follows from two counters alone; the descriptors only put to sleep and wake.  Main
 * fills the jobs, then stores `next` (release).  A thread takes a job by adding to `next` (acquire): it sees
 * what main wrote, and the number it gets is nobody else's.  Having carried it out it subtracts from `left`
 * (release) and looks at no job until its next permit.  Main reads `left` (acquire) until it is 0: it sees
 * all results, and no permit is left, since there were as many as jobs to take.  A wake-up that comes late,
 * when main has seen the 0 already, makes it look once more the next time, which does no harm.
 *
 * Nothing of the guest is decided here: where a job goes was judged when its request was parsed, and the
 * memory is in spans of host addresses that the queue has checked.  Threads log nothing. */
#include "devices/blk/pool.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <unistd.h>

enum { STACK_BYTES = 64 * 1024 };	/* address space, with a guard below; two pages are used */

static void try_job(const struct pool *p, struct pool_job *j)
{
	j->done = disk_try(p->disk, j->write, j->at, j->iov, j->n, j->len, j->durable);
}

/* True when it was the last. */
static bool was_last(struct pool *p)
{
	return __atomic_sub_fetch(&p->left, 1, __ATOMIC_ACQ_REL) == 0;
}

/* Main waits for `left`, whatever becomes of the call that wakes it. */
static void wait_for_all(struct pool *p)
{
	uint64_t times;

	while (__atomic_load_n(&p->left, __ATOMIC_ACQUIRE) != 0)
		(void)!read(p->done, &times, sizeof(times));
}

static void wake_main(struct pool *p)
{
	const uint64_t one = 1;

	(void)!write(p->done, &one, sizeof(one));	/* it cannot overflow: it counts batches */
}

static void *thread(void *arg)
{
	struct pool *p = arg;
	uint64_t permit;

	if (seal(p->filter) != 0)
		__atomic_add_fetch(&p->unsealed, 1, __ATOMIC_RELAXED);
	for (;;) {
		unsigned i;

		if (was_last(p))
			wake_main(p);
		while (read(p->work, &permit, sizeof(permit)) != (ssize_t)sizeof(permit))
			;	/* stopped, and going on */
		i = __atomic_fetch_add(&p->next, 1, __ATOMIC_ACQUIRE);
		if (i < POOL_JOBS)
			try_job(p, &p->job[i]);
	}
	return NULL;
}

int pool_start(struct pool *p, const struct disk *d, int work, int done,
	       const struct seal_filter *filter)
{
	pthread_attr_t attr;
	pthread_t id;
	int rc = fcntl(work, F_GETFD) < 0 || fcntl(done, F_GETFD) < 0 ? -errno : -pthread_attr_init(&attr);

	p->work = work;
	p->done = done;
	p->disk = d;
	p->filter = filter;
	p->left = POOL_THREADS;
	if (rc == 0)
		rc = -pthread_attr_setstacksize(&attr, STACK_BYTES);
	for (int i = 0; i < POOL_THREADS && rc == 0; i++)
		rc = -pthread_create(&id, &attr, thread, p);
	if (rc != 0)
		return rc;
	wait_for_all(p);
	return p->unsealed != 0 ? -EPERM : 0;
}

void pool_run(struct pool *p, unsigned n)
{
	const uint64_t permits = n - 1;

	p->job[0].done = false;
	for (unsigned i = 1; i < n; i++)
		p->job[i].done = false;
	__atomic_store_n(&p->left, n, __ATOMIC_RELAXED);
	__atomic_store_n(&p->next, 1, __ATOMIC_RELEASE);
	if (write(p->work, &permits, sizeof(permits)) != (ssize_t)sizeof(permits))
		return;		/* nobody has a permit */
	try_job(p, &p->job[0]);
	if (!was_last(p))
		wait_for_all(p);
}
