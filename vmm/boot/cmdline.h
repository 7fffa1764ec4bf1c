/* SPDX-License-Identifier: Apache-2.0 */
/* cmdline.h: the kernel command line. */
#ifndef IMMURE_VMM_BOOT_CMDLINE_H
#define IMMURE_VMM_BOOT_CMDLINE_H

#include "vmm/boot/image.h"

enum { CMDLINE_BYTES = VMCONFIG_CMDLINE + PLAN_DEVICES * 48 };

/* Makes the command line of @c in @out: the configured one and, with VM_CMDLINE_DEVICES, one
 * virtio_mmio.device= word per device behind it (before a "--", which ends the kernel's words).
 * Returns its length without the NUL, or -1 when it is longer than @max bytes.  Pure. */
must_check int cmdline_build(const struct vm_config *c, uint32_t max, char out[CMDLINE_BYTES]);

#endif
