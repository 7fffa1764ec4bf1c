/* SPDX-License-Identifier: Apache-2.0 */
/* machine.h: what a program expects of any machine: a name and a loopback interface. */
#ifndef IMMURE_GUEST_MACHINE_H
#define IMMURE_GUEST_MACHINE_H

/* Sets the host name, unless the kernel command line (hostname=) did, and brings "lo" up.
 * Failures are noted in the kernel log: most commands need neither. */
void machine_setup(void);

#endif
