/* SPDX-License-Identifier: Apache-2.0 */
/* dsdt.c: the body of the DSDT, what the tables' fixed fields cannot say.
 *
 * Data only, no methods: there is nothing for the guest's interpreter to run.  In ASL:
 *
 *     Name (\_S5, Package () { 5, 0, 0, 0 })
 *     Scope (\_SB) {
 *         Device (VR00) {
 *             Name (_HID, "LNRO0005")  Name (_UID, 0)  Name (_CCA, 1)
 *             Name (_CRS, ResourceTemplate () {
 *                 Memory32Fixed (ReadWrite, 0xD0000000, 0x1000)
 *                 Interrupt (ResourceConsumer, Edge, ActiveHigh, Exclusive) { 16 } })
 *         }
 *         Device (VGEN) { ... }
 *     }
 *
 * No processor nodes: the MADT names the processors, and without nodes Linux's processor driver,
 * which would look for C-states and throttling, has nothing to do. */
#include "vmm/acpi/dsdt.h"

#include "vmm/x86_64/layout.h"

#include <string.h>

/* Resource descriptors, ACPI 6.5 §6.4. */
struct res_memory32 {
	uint8_t tag;			/* 0x86, §6.4.3.4 */
	uint16_t length;
	uint8_t info;			/* 1: writable */
	uint32_t base;
	uint32_t size;
} __attribute__((packed));

struct res_interrupt {
	uint8_t tag;			/* 0x89, §6.4.3.6 */
	uint16_t length;
	uint8_t flags;
	uint8_t count;
	uint32_t gsi;
} __attribute__((packed));

struct res_io {
	uint8_t tag;			/* 0x47, §6.4.2.5 */
	uint8_t info;			/* 1: decodes 16 bits */
	uint16_t min, max;
	uint8_t align, len;
} __attribute__((packed));

struct res_end {
	uint8_t tag;			/* 0x79, §6.4.2.9 */
	uint8_t checksum;		/* 0: not used */
} __attribute__((packed));

enum {
	INTERRUPT_CONSUMER = 1 << 0,
	INTERRUPT_EDGE = 1 << 1,	/* active high and exclusive are zeros */
	CONSOLE_PORTS = 8,
};

_Static_assert(sizeof(struct res_memory32) == 12 && sizeof(struct res_interrupt) == 9 &&
	       sizeof(struct res_io) == 8 && sizeof(struct res_end) == 2, "ACPI 6.5 §6.4");

static void name_buffer(struct aml *a, const char *name, const void *bytes, uint8_t len)
{
	size_t buffer;

	aml_name(a, name);
	buffer = aml_open_buffer(a, len);
	aml_bytes(a, bytes, len);
	aml_close(a, buffer);
}

static void sleep_state_5(struct aml *a)
{
	size_t package;

	aml_name(a, "_S5_");
	package = aml_open_package(a, 4);
	aml_integer(a, LAYOUT_SLP_TYP_S5);
	for (int i = 0; i < 3; i++)
		aml_integer(a, 0);
	aml_close(a, package);
}

static void virtio_node(struct aml *a, uint32_t slot)
{
	const struct {
		struct res_memory32 memory;
		struct res_interrupt interrupt;
		struct res_end end;
	} __attribute__((packed)) crs = {
		.memory = { 0x86, 9, 1, (uint32_t)(LAYOUT_MMIO + slot * LAYOUT_MMIO_SIZE),
			    (uint32_t)LAYOUT_MMIO_SIZE },
		.interrupt = { 0x89, 6, INTERRUPT_CONSUMER | INTERRUPT_EDGE, 1,
			       LAYOUT_GSI0 + slot },
		.end = { 0x79, 0 },
	};
	const char name[] = { 'V', 'R', '0', (char)('0' + slot), '\0' };
	size_t device = aml_open_device(a, name);

	aml_name_string(a, "_HID", "LNRO0005");
	aml_name_integer(a, "_UID", slot);
	aml_name_integer(a, "_CCA", 1);
	name_buffer(a, "_CRS", &crs, sizeof(crs));
	aml_close(a, device);
}

/* "Virtual Machine Generation ID" (Microsoft, 2012): the driver binds to the _CID, and ADDR is
 * the low and the high half of the buffer's address. */
static void vmgenid_node(struct aml *a)
{
	size_t device = aml_open_device(a, "VGEN");
	size_t package;

	aml_name_string(a, "_HID", "IMMU0001");
	aml_name_string(a, "_CID", "VM_Gen_Counter");
	aml_name_string(a, "_DDN", "VM_Gen_Counter");
	aml_name(a, "ADDR");
	package = aml_open_package(a, 2);
	aml_integer(a, (uint32_t)ACPI_VMGENID_GPA);
	aml_integer(a, (uint32_t)(ACPI_VMGENID_GPA >> 32));
	aml_close(a, package);
	aml_close(a, device);
}

/* COM1 without an interrupt: the port only transmits, and Linux then drives it by polling. */
static void console_node(struct aml *a)
{
	const struct {
		struct res_io io;
		struct res_end end;
	} __attribute__((packed)) crs = {
		.io = { 0x47, 1, LAYOUT_PORT_CONSOLE, LAYOUT_PORT_CONSOLE, 1, CONSOLE_PORTS },
		.end = { 0x79, 0 },
	};
	size_t device = aml_open_device(a, "COM1");

	aml_name_string(a, "_HID", "PNP0501");
	aml_name_integer(a, "_UID", 1);
	name_buffer(a, "_CRS", &crs, sizeof(crs));
	aml_close(a, device);
}

_Static_assert(PLAN_DEVICES <= 10, "slot numbers in names have one digit");

void dsdt_terms(struct aml *a, const struct acpi_machine *machine)
{
	size_t scope;

	sleep_state_5(a);
	scope = aml_open_scope(a, "_SB_");
	for (uint32_t i = 0; i < machine->devices; i++)
		virtio_node(a, i);
	vmgenid_node(a);
	if (machine->console)
		console_node(a);
	aml_close(a, scope);
}
