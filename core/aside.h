/* SPDX-License-Identifier: Apache-2.0 */
/* aside.h: makes room for a task that was just started. */
#ifndef IMMURE_CORE_ASIDE_H
#define IMMURE_CORE_ASIDE_H

/* Moves the caller to another CPU, if it may use one, so that the task it has just made can run
 * on this one at once.  The kernel often leaves a new task in its parent's queue until the
 * parent sleeps, although another CPU is idle; while a VM starts, parent and child both have
 * work that the guest waits for.  Where the caller may run does not change.  A hint: a failure
 * costs nothing but time, and is not told. */
void step_aside(void);

#endif
