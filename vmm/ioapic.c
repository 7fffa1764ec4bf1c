/* SPDX-License-Identifier: Apache-2.0 */
/* ioapic.c: from redirection entries to messages.
 *
 * Two registers are visible: IOREGSEL chooses, IOWIN reads and writes.  The guest may write
 * any bits into an entry; only vector, destination and two delivery modes leave this file, so
 * what it asks for beyond interrupts to its own local APICs (SMI, INIT, NMI, ExtINT) goes
 * nowhere.
 *
 * A pin that gets masked keeps the route it had.  On hardware an edge on a masked pin is
 * lost; here delivering it is what a message already under way would do, drivers expect it,
 * and KVM's table, whose change waits for every CPU, stays as it is while a driver rewrites
 * an entry half by half.  All pins count as edge-triggered: there is no end-of-interrupt
 * traffic. */
#include "vmm/ioapic.h"

#include <string.h>

enum {
	REG_SELECT = 0x00,
	REG_WINDOW = 0x10,

	INDEX_ID = 0,
	INDEX_VERSION = 1,
	INDEX_ARBITRATION = 2,
	INDEX_ENTRIES = 0x10,

	VERSION_VALUE = 0x11 | (LAYOUT_IOAPIC_PINS - 1) << 16,
	ID_MASK = 0x0f000000,

	VECTOR_MASK = 0xff,
	VECTOR_FIRST = 16,	/* SDM vol. 3 §11.5.2: 0..15 are illegal */
	MODE_SHIFT = 8,		/* delivery mode: 3 bits */
	MODE_MASK = 7,
	MODE_FIXED = 0,
	MODE_LOWEST = 1,
	LOGICAL_BIT = 11,
	DEST_SHIFT = 56,
};

#define ENTRY_MASKED (1ull << 16)
#define ENTRY_READONLY (1ull << 12 | 1ull << 14)	/* delivery status, remote IRR */

void ioapic_init(struct ioapic *io)
{
	memset(io, 0, sizeof(*io));
	for (uint32_t i = 0; i < LAYOUT_IOAPIC_PINS; i++)
		io->entry[i] = ENTRY_MASKED;
}

static uint32_t read_index(const struct ioapic *io, uint32_t index)
{
	uint32_t pin = (index - INDEX_ENTRIES) / 2;

	if (index == INDEX_ID || index == INDEX_ARBITRATION)
		return io->id;
	if (index == INDEX_VERSION)
		return VERSION_VALUE;
	if (index < INDEX_ENTRIES || pin >= LAYOUT_IOAPIC_PINS)
		return 0;
	return (uint32_t)(io->entry[pin] >> (index % 2 != 0 ? 32 : 0));
}

uint32_t ioapic_read(const struct ioapic *io, uint64_t offset, uint32_t len)
{
	if (len != 4)
		return 0;
	if (offset == REG_SELECT)
		return io->select;
	return offset == REG_WINDOW ? read_index(io, io->select) : 0;
}

/* SDM vol. 3 §11.11: address and data of a message. */
static struct ioapic_route translate(uint64_t entry)
{
	uint32_t mode = (uint32_t)(entry >> MODE_SHIFT) & MODE_MASK;
	uint32_t vector = (uint32_t)entry & VECTOR_MASK;
	uint32_t logical = (uint32_t)(entry >> LOGICAL_BIT) & 1;
	uint32_t dest = (uint32_t)(entry >> DEST_SHIFT) & 0xff;

	if (vector < VECTOR_FIRST || (mode != MODE_FIXED && mode != MODE_LOWEST))
		return (struct ioapic_route){ .valid = false };
	return (struct ioapic_route){
		.address = (uint32_t)LAYOUT_LAPIC | dest << 12 | logical << 2,
		.data = vector | mode << MODE_SHIFT,
		.valid = true,
	};
}

static bool same(const struct ioapic_route *a, const struct ioapic_route *b)
{
	return a->valid == b->valid && a->address == b->address && a->data == b->data;
}

static bool write_entry(struct ioapic *io, uint32_t index, uint32_t value)
{
	uint32_t pin = (index - INDEX_ENTRIES) / 2;
	uint32_t shift = index % 2 != 0 ? 32 : 0;
	struct ioapic_route route;

	if (index < INDEX_ENTRIES || pin >= LAYOUT_IOAPIC_PINS)
		return false;
	io->entry[pin] &= ~(0xffffffffull << shift);
	io->entry[pin] |= ((uint64_t)value << shift) & ~ENTRY_READONLY;
	if ((io->entry[pin] & ENTRY_MASKED) != 0)
		return false;
	route = translate(io->entry[pin]);
	if (same(&route, &io->route[pin]))
		return false;
	io->route[pin] = route;
	return true;
}

bool ioapic_write(struct ioapic *io, uint64_t offset, uint32_t len, uint32_t value)
{
	/* IOREGSEL is 8 bits wide in effect, and some firmware writes it so. */
	if (offset == REG_SELECT && (len == 4 || len == 1)) {
		io->select = value & 0xff;
		return false;
	}
	if (offset != REG_WINDOW || len != 4)
		return false;
	if (io->select == INDEX_ID) {
		io->id = value & ID_MASK;
		return false;
	}
	return write_entry(io, io->select, value);
}
