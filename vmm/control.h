/* SPDX-License-Identifier: Apache-2.0 */
/* control.h: what the main thread does once it is sealed: listen and report. */
#ifndef IMMURE_VMM_CONTROL_H
#define IMMURE_VMM_CONTROL_H

#include "core/base.h"
#include "core/report.h"
#include "vmm/machine.h"

/* Waits until every device has said HELLO.  Ends the machine (see end.h) when one does not
 * within its deadline, dies or misbehaves, or when the supervisor is gone. */
void control_wait_devices(struct machine *m);

/* Listens to the devices, the supervisor and the vCPUs until the machine has ended. */
void control_serve(struct machine *m);

/* Tells the supervisor that the guest runs. */
void control_running(void);

/* Tells the supervisor why the machine ended, and the devices that it did. */
void control_ended(struct machine *m, uint64_t user_exits);

/* The VM could not be built (before sealing). */
void control_not_built(void);

#endif
