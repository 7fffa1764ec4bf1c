/* SPDX-License-Identifier: Apache-2.0 */
/* aside.c: out of the way of one's own child. */
#include "core/aside.h"

#include <sched.h>

void step_aside(void)
{
	cpu_set_t all, others;
	int here = sched_getcpu();

	if (here < 0 || here >= CPU_SETSIZE || sched_getaffinity(0, sizeof(all), &all) != 0)
		return;
	others = all;
	CPU_CLR((size_t)here, &others);
	if (CPU_COUNT(&others) > 0 && sched_setaffinity(0, sizeof(others), &others) == 0)
		(void)!sched_setaffinity(0, sizeof(all), &all);
}
