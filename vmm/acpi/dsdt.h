/* SPDX-License-Identifier: Apache-2.0 */
/* dsdt.h: the body of the DSDT. */
#ifndef IMMURE_VMM_ACPI_DSDT_H
#define IMMURE_VMM_ACPI_DSDT_H

#include "vmm/acpi/acpi.h"
#include "vmm/acpi/aml.h"

/* Appends the definition block's terms: \_S5 and, below \_SB, one node per virtio-mmio slot,
 * the VMGenID and the console. */
void dsdt_terms(struct aml *a, const struct acpi_machine *machine);

#endif
