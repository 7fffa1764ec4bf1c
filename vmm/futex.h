/* SPDX-License-Identifier: Apache-2.0 */
/* futex.h: how threads of the VMM wait for each other.
 *
 * The raw call, because the wanted parts of pthreads would bring system calls (clocks) that no
 * policy grants.  A word counts something; waiters say which count they have seen. */
#ifndef IMMURE_VMM_FUTEX_H
#define IMMURE_VMM_FUTEX_H

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* Sleeps while @word is @seen, at most @limit (relative; NULL: for ever).  Returns 0 or
 * -errno: -ETIMEDOUT; -EAGAIN, -EINTR and 0 mean "look again". */
static inline int futex_wait(_Atomic uint32_t *word, uint32_t seen,
			     const struct timespec *limit)
{
	long rc = syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, seen, limit, NULL, 0);

	return rc == 0 ? 0 : -errno;
}

/* Wakes everybody who sleeps on @word. */
static inline void futex_wake(_Atomic uint32_t *word)
{
	syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0);
}

#endif
