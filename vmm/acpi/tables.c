/* SPDX-License-Identifier: Apache-2.0 */
/* tables.c: the fixed ACPI tables (ACPI 6.5 §5.2) of a hardware-reduced machine.
 *
 * What is absent matters as much as what is there: no PIC, no PIT, no RTC, no i8042, no VGA and
 * no power-management timer, each denied in the FADT so that no kernel spends time probing for
 * it.  Everything here is ours; nothing is read from the guest. */
#include "vmm/acpi/acpi.h"

#include "vmm/acpi/aml.h"
#include "vmm/acpi/dsdt.h"
#include "vmm/x86_64/layout.h"

#include <string.h>

/* §5.2.3.2 */
struct gas {
	uint8_t space;			/* 1: system I/O */
	uint8_t bits;
	uint8_t offset;
	uint8_t access;			/* 1: byte */
	uint64_t address;
} __attribute__((packed));

/* §5.2.6 */
struct header {
	char signature[4];
	uint32_t length;
	uint8_t revision;
	uint8_t checksum;
	char oem[6];
	char oem_table[8];
	uint32_t oem_revision;
	char creator[4];
	uint32_t creator_revision;
} __attribute__((packed));

/* §5.2.5.3 */
struct rsdp {
	char signature[8];
	uint8_t checksum;		/* of the first 20 bytes */
	char oem[6];
	uint8_t revision;
	uint32_t rsdt;
	uint32_t length;
	uint64_t xsdt;
	uint8_t extended_checksum;
	uint8_t reserved[3];
} __attribute__((packed));

/* §5.2.8 */
struct xsdt {
	struct header h;
	uint64_t entry[2];		/* FADT, MADT */
} __attribute__((packed));

/* §5.2.9; fields that a hardware-reduced machine leaves zero are not named one by one. */
struct fadt {
	struct header h;
	uint32_t facs, dsdt;
	uint8_t reserved0;
	uint8_t profile;
	uint8_t fixed_hardware[63];	/* SCI_INT .. CENTURY */
	uint16_t iapc_boot_arch;
	uint8_t reserved1;
	uint32_t flags;
	struct gas reset;
	uint8_t reset_value;
	uint16_t arm_boot_arch;
	uint8_t minor;
	uint64_t x_facs, x_dsdt;
	struct gas x_fixed_hardware[8];	/* PM1a event block .. GPE1 block */
	struct gas sleep_control, sleep_status;
	char hypervisor[8];
} __attribute__((packed));

/* §5.2.12 */
struct madt {
	struct header h;
	uint32_t lapic_address;
	uint32_t flags;			/* 0: no dual 8259 */
} __attribute__((packed));

/* §5.2.12.2 */
struct madt_lapic {
	uint8_t type, length;
	uint8_t uid, apic_id;
	uint32_t flags;			/* 1: enabled */
} __attribute__((packed));

/* §5.2.12.3 */
struct madt_ioapic {
	uint8_t type, length;
	uint8_t id, reserved;
	uint32_t address;
	uint32_t gsi_base;
} __attribute__((packed));

_Static_assert(sizeof(struct gas) == 12 && sizeof(struct header) == 36 &&
	       sizeof(struct rsdp) == 36 && sizeof(struct fadt) == 276 &&
	       sizeof(struct madt) == 44 && sizeof(struct madt_lapic) == 8 &&
	       sizeof(struct madt_ioapic) == 12, "ACPI 6.5 §5.2");
_Static_assert(offsetof(struct fadt, iapc_boot_arch) == 109 &&
	       offsetof(struct fadt, reset) == 116 && offsetof(struct fadt, x_dsdt) == 140 &&
	       offsetof(struct fadt, sleep_control) == 244, "ACPI 6.5 table 5.9");
_Static_assert(LAYOUT_ACPI + ACPI_BYTES_MAX <= ACPI_VMGENID_GPA &&
	       ACPI_VMGENID_GPA + ACPI_VMGENID_BYTES <= LAYOUT_ACPI_END, "layout");
_Static_assert(PLAN_VCPUS <= 255, "local APIC ids fit the MADT's short entries");

enum {
	SPACE_IO = 1,
	ACCESS_BYTE = 1,
	FADT_REVISION = 6, FADT_MINOR = 5,
	/* IA-PC boot architecture flags, table 5.10; legacy devices, 8042 and "MSI not
	 * supported" are zeros. */
	BOOT_NO_VGA = 1 << 2,
	BOOT_NO_RTC = 1 << 5,
	/* Feature flags, table 5.9. */
	FLAG_WBINVD = 1 << 0,
	FLAG_PWR_BUTTON = 1 << 4,	/* set: no fixed power button */
	FLAG_SLP_BUTTON = 1 << 5,
	FLAG_RESET_REG = 1 << 10,
	FLAG_HW_REDUCED = 1 << 20,
	MADT_LAPIC = 0, MADT_IOAPIC = 1,
	MADT_ENABLED = 1,
	IOAPIC_ID = 0,
};

static uint8_t checksum(const uint8_t *bytes, size_t len)
{
	uint8_t sum = 0;

	for (size_t i = 0; i < len; i++)
		sum = (uint8_t)(sum + bytes[i]);
	return (uint8_t)-sum;
}

static struct header make_header(const char signature[4], uint8_t revision, size_t length)
{
	struct header h = {
		.length = (uint32_t)length,
		.revision = revision,
		.oem = "IMMURE",
		.oem_table = "IMMUREVM",
		.oem_revision = 1,
		.creator = "IMMU",
		.creator_revision = 1,
	};

	memcpy(h.signature, signature, sizeof(h.signature));
	return h;
}

/* Appends tables one after the other, each aligned to 8 bytes. */
struct layout {
	struct aml out;			/* used for its bounds only */
	uint64_t base;
};

static void align(struct layout *l)
{
	static const uint8_t zero[8];

	aml_bytes(&l->out, zero, (8 - l->out.len % 8) % 8);
}

/* Fixes length and checksum of the table that began at offset @start; its address. */
static uint64_t finish(struct layout *l, size_t start)
{
	uint8_t *table = l->out.buf + start;
	uint32_t length = (uint32_t)(l->out.len - start);

	if (l->out.overflow)
		return 0;
	memcpy(table + offsetof(struct header, length), &length, sizeof(length));
	table[offsetof(struct header, checksum)] = 0;
	table[offsetof(struct header, checksum)] = checksum(table, length);
	align(l);
	return l->base + start;
}

static uint64_t put_dsdt(struct layout *l, const struct acpi_machine *machine)
{
	struct header h = make_header("DSDT", 2, 0);
	size_t start = l->out.len;

	aml_bytes(&l->out, &h, sizeof(h));
	dsdt_terms(&l->out, machine);
	return finish(l, start);
}

static struct gas io_byte(uint64_t port)
{
	return (struct gas){ SPACE_IO, 8, 0, ACCESS_BYTE, port };
}

static uint64_t put_fadt(struct layout *l, uint64_t dsdt)
{
	struct fadt t = {
		.h = make_header("FACP", FADT_REVISION, sizeof(t)),
		.minor = FADT_MINOR,
		.iapc_boot_arch = BOOT_NO_VGA | BOOT_NO_RTC,
		.flags = FLAG_WBINVD | FLAG_PWR_BUTTON | FLAG_SLP_BUTTON | FLAG_RESET_REG |
			 FLAG_HW_REDUCED,
		.reset = io_byte(LAYOUT_PORT_RESET),
		.reset_value = LAYOUT_RESET_VALUE,
		.x_dsdt = dsdt,
		.sleep_control = io_byte(LAYOUT_PORT_SLEEP_CONTROL),
		.sleep_status = io_byte(LAYOUT_PORT_SLEEP_STATUS),
		.hypervisor = "IMMURE",
	};
	size_t start = l->out.len;

	aml_bytes(&l->out, &t, sizeof(t));
	return finish(l, start);
}

static uint64_t put_madt(struct layout *l, const struct acpi_machine *machine)
{
	struct madt t = {
		.h = make_header("APIC", 6, 0),
		.lapic_address = (uint32_t)LAYOUT_LAPIC,
	};
	struct madt_ioapic io = {
		.type = MADT_IOAPIC,
		.length = sizeof(io),
		.id = IOAPIC_ID,
		.address = (uint32_t)LAYOUT_IOAPIC,
	};
	size_t start = l->out.len;

	aml_bytes(&l->out, &t, sizeof(t));
	for (uint32_t i = 0; i < machine->vcpus; i++) {
		struct madt_lapic cpu = {
			.type = MADT_LAPIC,
			.length = sizeof(cpu),
			.uid = (uint8_t)i,
			.apic_id = (uint8_t)i,
			.flags = MADT_ENABLED,
		};

		aml_bytes(&l->out, &cpu, sizeof(cpu));
	}
	aml_bytes(&l->out, &io, sizeof(io));
	return finish(l, start);
}

static uint64_t put_xsdt(struct layout *l, uint64_t fadt, uint64_t madt)
{
	struct xsdt t = {
		.h = make_header("XSDT", 1, sizeof(t)),
		.entry = { fadt, madt },
	};
	size_t start = l->out.len;

	aml_bytes(&l->out, &t, sizeof(t));
	return finish(l, start);
}

/* The RSDP goes to the start, into room left for it. */
static void put_rsdp(struct layout *l, uint64_t xsdt)
{
	struct rsdp t = {
		.signature = "RSD PTR ",
		.oem = "IMMURE",
		.revision = 2,
		.length = sizeof(t),
		.xsdt = xsdt,
	};
	const uint8_t *bytes = (const uint8_t *)&t;

	t.checksum = checksum(bytes, offsetof(struct rsdp, length));
	t.extended_checksum = checksum(bytes, sizeof(t));
	memcpy(l->out.buf, &t, sizeof(t));
}

size_t acpi_build(const struct acpi_machine *machine, uint64_t base, uint8_t *buf)
{
	static const struct rsdp room;
	struct layout l = { .base = base };
	uint64_t dsdt, fadt, madt, xsdt;

	if (machine->vcpus == 0 || machine->vcpus > PLAN_VCPUS || machine->devices > PLAN_DEVICES)
		return 0;
	aml_init(&l.out, buf, ACPI_BYTES_MAX);
	aml_bytes(&l.out, &room, sizeof(room));
	align(&l);
	dsdt = put_dsdt(&l, machine);
	fadt = put_fadt(&l, dsdt);
	madt = put_madt(&l, machine);
	xsdt = put_xsdt(&l, fadt, madt);
	if (l.out.overflow)
		return 0;
	put_rsdp(&l, xsdt);
	return l.out.len;
}

bool acpi_write(const struct guestmem *m, const struct acpi_machine *machine)
{
	uint8_t buf[ACPI_BYTES_MAX];
	size_t len = acpi_build(machine, LAYOUT_ACPI, buf);

	return len != 0 && guestmem_write(m, gpa(LAYOUT_ACPI), buf, len) &&
	       guestmem_write(m, gpa(ACPI_VMGENID_GPA), machine->vmgenid, ACPI_VMGENID_BYTES);
}
