/* SPDX-License-Identifier: Apache-2.0 */
/* machine.h: what a guest access that leaves guest mode can reach.
 *
 * Every function here is called by a vCPU thread with values of the guest's choice, on several
 * threads at once, and returns in bounded time. */
#ifndef IMMURE_VMM_MACHINE_H
#define IMMURE_VMM_MACHINE_H

#include "core/guestmem.h"
#include "core/stats.h"
#include "core/vmconfig.h"
#include "vmm/console.h"
#include "vmm/device.h"
#include "vmm/end.h"
#include "vmm/ioapic.h"

#include <pthread.h>

struct machine {
	struct guestmem mem;
	struct stats_page *stats;	/* where the VMM counts */
	uint32_t ndevices;
	struct device device[PLAN_DEVICES];
	bool flat;			/* VM_ENTRY_FLAT: the test port exists */
	bool has_console;
	pthread_mutex_t lock;		/* ioapic and console */
	struct ioapic ioapic;
	struct console console;
	struct end end;
};

/* The machine of @c; @m->mem and @m->stats stay as they are. */
void machine_init(struct machine *m, const struct vm_config *c);

/* Memory that the guest sees as the devices' registers: PLAN_DEVICES pages, one a device. */
void *machine_register_pages(void);

/* Who answers at guest-physical address @addr, which is not memory. */
enum machine_part { PART_REGISTERS, PART_IOAPIC, PART_NOBODY };
enum machine_part machine_part(const struct machine *m, uint64_t addr);

/* The guest reads or writes @len (1..8) bytes at a guest-physical address without memory. */
void machine_mmio_read(struct machine *m, uint64_t addr, uint8_t *data, uint32_t len);
void machine_mmio_write(struct machine *m, uint64_t addr, const uint8_t *data, uint32_t len);

#endif
