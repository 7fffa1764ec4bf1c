/* SPDX-License-Identifier: Apache-2.0 */
/* clock.h: the time of the data path.
 *
 * CLOCK_MONOTONIC, read through the vDSO: no system call where the host's clock source is one
 * that user space can read, otherwise the one that the policies allow for it. */
#ifndef IMMURE_CORE_CLOCK_H
#define IMMURE_CORE_CLOCK_H

#include "core/base.h"

#include <time.h>

/* Nanoseconds since some moment before; never fewer than the last time. */
static inline uint64_t clock_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

#endif
