/* SPDX-License-Identifier: Apache-2.0 */
/* machine.c: the parts of the machine, and which address belongs to which.
 *
 * Reads of registers never arrive here: their pages are memory to the guest.  What does arrive
 * is a write to one of them, the I/O APIC, or an address where nothing is: that reads all ones
 * and ignores writes, as on a bus nobody answers. */
#include "vmm/machine.h"

#include "core/log.h"
#include "vmm/kvm.h"

#include <string.h>

static _Alignas(VMIO_PAGE) uint8_t register_pages[PLAN_DEVICES][VMIO_PAGE];

_Static_assert(LAYOUT_MMIO_SIZE == VMIO_PAGE, "a device is a page");

void *machine_register_pages(void)
{
	return register_pages;
}

void machine_init(struct machine *m, const struct vm_config *c)
{
	m->ndevices = c->ndevices;
	m->flat = c->entry == VM_ENTRY_FLAT;
	m->has_console = (c->flags & VM_CONSOLE) != 0;
	m->lock = (pthread_mutex_t)PTHREAD_MUTEX_INITIALIZER;
	for (uint32_t i = 0; i < c->ndevices; i++) {
		device_init(&m->device[i], i, &c->device[i],
			    (uint32_t *)(void *)register_pages[i]);
		m->device[i].stats = m->stats;
	}
	ioapic_init(&m->ioapic);
	console_init(&m->console, m->has_console ? VMM_CONSOLE : -1);
}

enum machine_part machine_part(const struct machine *m, uint64_t addr)
{
	if (addr - LAYOUT_MMIO < m->ndevices * LAYOUT_MMIO_SIZE)
		return PART_REGISTERS;
	return addr - LAYOUT_IOAPIC < IOAPIC_SIZE ? PART_IOAPIC : PART_NOBODY;
}

void machine_mmio_read(struct machine *m, uint64_t addr, uint8_t *data, uint32_t len)
{
	uint32_t value;

	memset(data, 0xff, len);
	if (machine_part(m, addr) != PART_IOAPIC)
		return;
	pthread_mutex_lock(&m->lock);
	value = ioapic_read(&m->ioapic, addr - LAYOUT_IOAPIC, len);
	pthread_mutex_unlock(&m->lock);
	memset(data, 0, len);
	memcpy(data, &value, min_u64(len, sizeof(value)));
}

static void write_ioapic(struct machine *m, uint64_t offset, uint32_t len, uint32_t value)
{
	int rc = 0;

	pthread_mutex_lock(&m->lock);
	if (ioapic_write(&m->ioapic, offset, len, value))
		rc = kvm_set_routes(m->ioapic.route);
	pthread_mutex_unlock(&m->lock);
	if (rc == 0)
		return;
	log_errno(-rc, "KVM_SET_GSI_ROUTING");
	end_vm(&m->end, END_KVM_ERROR, (uint64_t)-rc, 0);
}

void machine_mmio_write(struct machine *m, uint64_t addr, const uint8_t *data, uint32_t len)
{
	static struct log_limit nothing_there;
	const uint64_t in_devices = addr - LAYOUT_MMIO;
	uint32_t value = 0;

	memcpy(&value, data, min_u64(len, sizeof(value)));
	switch (machine_part(m, addr)) {
	case PART_REGISTERS:
		device_write(&m->device[in_devices / LAYOUT_MMIO_SIZE], &m->end,
			     in_devices % LAYOUT_MMIO_SIZE, len, value);
		break;
	case PART_IOAPIC:
		write_ioapic(m, addr - LAYOUT_IOAPIC, len, value);
		break;
	case PART_NOBODY:
		log_limited(&nothing_there, "write of %u bytes to 0x%lx, where nothing is",
			    len, addr);
		break;
	}
}
