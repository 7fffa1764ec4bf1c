/* SPDX-License-Identifier: Apache-2.0 */
/* ending.h: the last things PID 1 does. */
#ifndef IMMURE_GUEST_ENDING_H
#define IMMURE_GUEST_ENDING_H

/* Kills every other process, waits for them (at most 5 s), and puts every disk in order.
 * @sigchld: from reap_open(). */
void ending_settle(int sigchld);

/* Ends the VM. */
_Noreturn void ending_power_off(void);

#endif
