/* SPDX-License-Identifier: Apache-2.0 */
/* Claims about the ACPI tables: structure and checksums by our own reading, then the same bytes
 * through ACPICA's disassembler and compiler (iasl). */
#include "vmm/acpi/tables.c"
#include "vmm/acpi/dsdt.c"
#include "vmm/acpi/aml.c"

#include "core/guestmem.c"

#include <criterion/criterion.h>

#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static const struct acpi_machine largest = {
	.vcpus = PLAN_VCPUS,
	.devices = PLAN_DEVICES,
	.console = true,
	.vmgenid = { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16 },
};

static uint8_t blob[ACPI_BYTES_MAX];
static size_t blob_len;

static uint8_t sum(const uint8_t *p, size_t len)
{
	uint8_t s = 0;

	while (len-- != 0)
		s = (uint8_t)(s + *p++);
	return s;
}

static const uint8_t *at(uint64_t address)
{
	cr_assert_geq(address, LAYOUT_ACPI);
	cr_assert_lt(address - LAYOUT_ACPI, blob_len);
	return blob + (address - LAYOUT_ACPI);
}

/* The table at @address, its header checked. */
static const uint8_t *table(uint64_t address, const char *signature, uint32_t *length)
{
	const uint8_t *p = at(address);

	cr_assert_eq(address % 8, 0);
	cr_assert_eq(memcmp(p, signature, 4), 0, "signature %.4s", (const char *)p);
	memcpy(length, p + 4, 4);
	cr_assert_leq(*length, blob_len - (size_t)(p - blob));
	cr_assert_eq(sum(p, *length), 0, "checksum of %s", signature);
	return p;
}

static void build(const struct acpi_machine *m)
{
	blob_len = acpi_build(m, LAYOUT_ACPI, blob);
	cr_assert_neq(blob_len, 0);
}

static struct fadt get_fadt(void)
{
	struct rsdp r;
	struct xsdt x;
	struct fadt f;
	uint32_t len;

	memcpy(&r, blob, sizeof(r));
	memcpy(&x, table(r.xsdt, "XSDT", &len), sizeof(x));
	memcpy(&f, table(x.entry[0], "FACP", &len), sizeof(f));
	cr_assert_eq(len, 276);
	return f;
}

static struct madt_lapic get_lapic(const uint8_t *madt, uint32_t i)
{
	struct madt_lapic c;

	memcpy(&c, madt + sizeof(struct madt) + i * sizeof(c), sizeof(c));
	return c;
}

Test(acpi, rsdp_is_revision_2_and_both_checksums_hold)
{
	struct rsdp r;

	build(&largest);
	memcpy(&r, blob, sizeof(r));
	cr_assert_eq(memcmp(r.signature, "RSD PTR ", 8), 0);
	cr_assert_eq(r.revision, 2);
	cr_assert_eq(r.rsdt, 0);
	cr_assert_eq(r.length, 36);
	cr_assert_eq(sum(blob, 20), 0);
	cr_assert_eq(sum(blob, 36), 0);
}

Test(acpi, fadt_describes_a_hardware_reduced_machine)
{
	struct fadt f;

	build(&largest);
	f = get_fadt();
	cr_assert_eq(f.h.revision, 6);
	cr_assert(f.flags & FLAG_HW_REDUCED);
	cr_assert(f.flags & FLAG_RESET_REG);
	cr_assert_eq(f.iapc_boot_arch, BOOT_NO_VGA | BOOT_NO_RTC);
	cr_assert_eq(f.reset.space, SPACE_IO);
	cr_assert_eq(f.reset.address, 0x604);
	cr_assert_eq(f.reset_value, 6);
	cr_assert_eq(f.sleep_control.address, 0x600);
	cr_assert_eq(f.sleep_status.address, 0x601);
	cr_assert_eq(f.facs, 0);
	cr_assert_eq(f.dsdt, 0);
	for (size_t i = 0; i < sizeof(f.fixed_hardware); i++)
		cr_assert_eq(f.fixed_hardware[i], 0);
}

Test(acpi, madt_lists_every_vcpu_and_the_ioapic_and_no_pic)
{
	for (uint32_t n = 1; n <= PLAN_VCPUS; n++) {
		struct acpi_machine m = largest;
		struct rsdp r;
		struct xsdt x;
		struct madt t;
		struct madt_ioapic io;
		const uint8_t *p;
		uint32_t len;

		m.vcpus = n;
		build(&m);
		memcpy(&r, blob, sizeof(r));
		memcpy(&x, table(r.xsdt, "XSDT", &len), sizeof(x));
		p = table(x.entry[1], "APIC", &len);
		cr_assert_eq(len, 44 + 8 * n + 12);
		memcpy(&t, p, sizeof(t));
		cr_assert_eq(t.flags, 0);
		cr_assert_eq(t.lapic_address, 0xfee00000);
		for (uint32_t i = 0; i < n; i++) {
			cr_assert_eq(get_lapic(p, i).apic_id, i);
			cr_assert_eq(get_lapic(p, i).flags, MADT_ENABLED);
		}
		memcpy(&io, p + 44 + 8 * n, sizeof(io));
		cr_assert_eq(io.type, 1);
		cr_assert_eq(io.address, 0xfec00000);
		cr_assert_eq(io.gsi_base, 0);
	}
}

Test(acpi, dsdt_checksum_holds_for_every_number_of_devices)
{
	for (uint32_t n = 0; n <= PLAN_DEVICES; n++) {
		struct acpi_machine m = largest;
		uint32_t len;

		m.devices = n;
		build(&m);
		table(get_fadt().x_dsdt, "DSDT", &len);
	}
}

Test(acpi, largest_machine_takes_at_most_half_of_the_buffer)
{
	build(&largest);
	cr_assert_leq(blob_len, ACPI_BYTES_MAX / 2, "%zu bytes", blob_len);
}

Test(acpi, a_machine_out_of_range_is_refused)
{
	struct acpi_machine m = largest;

	m.vcpus = 0;
	cr_assert_eq(acpi_build(&m, LAYOUT_ACPI, blob), 0);
	m.vcpus = PLAN_VCPUS + 1;
	cr_assert_eq(acpi_build(&m, LAYOUT_ACPI, blob), 0);
	m = largest;
	m.devices = PLAN_DEVICES + 1;
	cr_assert_eq(acpi_build(&m, LAYOUT_ACPI, blob), 0);
}

Test(acpi, tables_and_vmgenid_arrive_in_guest_memory)
{
	static uint8_t ram[1 << 20];
	static uint64_t dirty[8];
	struct guestmem m = {
		.nregions = 1,
		.region = { { .size = sizeof(ram), .hva = ram } },
		.dirty = dirty,
		.size = sizeof(ram),
	};

	cr_assert(acpi_write(&m, &largest));
	cr_assert_eq(memcmp(ram + LAYOUT_ACPI, "RSD PTR ", 8), 0);
	cr_assert_eq(memcmp(ram + ACPI_VMGENID_GPA, largest.vmgenid, 16), 0);
	m.region[0].size = m.size = LAYOUT_ACPI;
	cr_assert_not(acpi_write(&m, &largest));
}

Test(aml, a_full_buffer_is_noticed_and_nothing_is_written_past_it)
{
	uint8_t buf[64];
	struct aml a;

	for (size_t size = 0; size < 40; size++) {
		size_t dev;

		memset(buf, 0xee, sizeof(buf));
		aml_init(&a, buf, size);
		dev = aml_open_device(&a, "DEV0");
		aml_name_string(&a, "_HID", "LNRO0005");
		aml_name_integer(&a, "_UID", 0x12345678);
		aml_close(&a, dev);
		cr_assert_eq(a.overflow, size < 33, "size %zu", size);
		cr_assert_leq(a.len, size);
		for (size_t i = size; i < sizeof(buf); i++)
			cr_assert_eq(buf[i], 0xee);
	}
}

Test(aml, integers_take_the_shortest_form)
{
	static const uint8_t want[] = { 0, 1, 0x0a, 2, 0x0a, 0xff, 0x0b, 0, 1, 0x0c, 0, 0, 1, 0 };
	uint8_t buf[32];
	struct aml a;

	aml_init(&a, buf, sizeof(buf));
	aml_integer(&a, 0);
	aml_integer(&a, 1);
	aml_integer(&a, 2);
	aml_integer(&a, 0xff);
	aml_integer(&a, 0x100);
	aml_integer(&a, 0x10000);
	cr_assert_eq(a.len, sizeof(want));
	cr_assert_eq(memcmp(buf, want, sizeof(want)), 0);
}

Test(aml, a_package_longer_than_its_length_field_is_an_overflow)
{
	static uint8_t buf[8192], filling[4096];
	struct aml a;
	size_t dev;

	aml_init(&a, buf, sizeof(buf));
	dev = aml_open_device(&a, "DEV0");
	aml_bytes(&a, filling, 4095 - 2 - 4);
	aml_close(&a, dev);
	cr_assert_not(a.overflow);
	aml_bytes(&a, filling, 1);
	aml_close(&a, dev);
	cr_assert(a.overflow);
}

/* ---- through ACPICA ---- */

static char dir[] = "/tmp/immure-acpi-XXXXXX";

static void save(const char *name, const uint8_t *bytes, size_t len)
{
	FILE *f = fopen(name, "wb");

	cr_assert_not_null(f);
	cr_assert_eq(fwrite(bytes, 1, len, f), len);
	cr_assert_eq(fclose(f), 0);
}

/* Runs iasl with @argv, its output into the file "log"; its exit status. */
static int iasl(const char *const argv[])
{
	posix_spawn_file_actions_t fa;
	pid_t pid;
	int status;

	posix_spawn_file_actions_init(&fa);
	posix_spawn_file_actions_addopen(&fa, 1, "log", O_WRONLY | O_CREAT | O_TRUNC, 0600);
	posix_spawn_file_actions_adddup2(&fa, 1, 2);
	if (posix_spawnp(&pid, "iasl", &fa, NULL, (char *const *)(uintptr_t)argv, environ) != 0)
		return 127;
	posix_spawn_file_actions_destroy(&fa);
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128;
}

static void slurp(const char *name, char *buf, size_t size)
{
	FILE *f = fopen(name, "rb");
	size_t n;

	cr_assert_not_null(f, "%s", name);
	n = fread(buf, 1, size - 1, f);
	buf[n] = '\0';
	fclose(f);
}

static void need_iasl(void)
{
	if (iasl((const char *[]){ "iasl", "-v", NULL }) == 127)
		cr_skip("iasl (package acpica-tools) is not installed");
}

/* Disassembles table @name and expects no complaint. */
static void disassemble(const char *name, char *dsl, size_t size)
{
	static char log[1 << 16];
	char file[32], out[32];

	snprintf(file, sizeof(file), "%s.dat", name);
	snprintf(out, sizeof(out), "%s.dsl", name);
	cr_assert_eq(iasl((const char *[]){ "iasl", "-d", file, NULL }), 0);
	slurp("log", log, sizeof(log));
	cr_assert_null(strstr(log, "rror"), "%s", log);
	cr_assert_null(strstr(log, "arning"), "%s", log);
	slurp(out, dsl, size);
	cr_assert_null(strstr(dsl, "Incorrect"), "%s", dsl);
	cr_assert_null(strstr(dsl, "Invalid"), "%s", dsl);
}

static void save_tables(void)
{
	struct rsdp r;
	struct xsdt x;
	const uint8_t *p;
	uint32_t len;

	build(&largest);
	memcpy(&r, blob, sizeof(r));
	p = table(r.xsdt, "XSDT", &len);
	memcpy(&x, p, sizeof(x));
	save("xsdt.dat", p, len);
	p = table(x.entry[0], "FACP", &len);
	save("facp.dat", p, len);
	p = table(x.entry[1], "APIC", &len);
	save("apic.dat", p, len);
	p = table(get_fadt().x_dsdt, "DSDT", &len);
	save("dsdt.dat", p, len);
}

static void enter_dir(void)
{
	cr_assert_not_null(mkdtemp(dir));
	cr_assert_eq(chdir(dir), 0);
}

static void leave_dir(void)
{
	static const char *const files[] = { "xsdt.dat", "facp.dat", "apic.dat", "dsdt.dat",
					     "xsdt.dsl", "facp.dsl", "apic.dsl", "dsdt.dsl",
					     "dsdt.aml", "log" };

	for (size_t i = 0; i < array_len(files); i++)
		unlink(files[i]);
	rmdir(dir);
}

TestSuite(iasl, .init = enter_dir, .fini = leave_dir);

Test(iasl, reads_fadt_madt_and_xsdt_without_complaint)
{
	static char dsl[1 << 17];

	need_iasl();
	save_tables();
	disassemble("xsdt", dsl, sizeof(dsl));
	disassemble("facp", dsl, sizeof(dsl));
	cr_assert_not_null(strstr(dsl, "Hardware Reduced (V5) : 1"), "%s", dsl);
	cr_assert_not_null(strstr(dsl, "Reset Register Supported (V2) : 1"));
	cr_assert_not_null(strstr(dsl, "8042 Present on ports 60/64 (V2) : 0"));
	cr_assert_not_null(strstr(dsl, "VGA Not Present (V4) : 1"));
	cr_assert_not_null(strstr(dsl, "CMOS RTC Not Present (V5) : 1"));
	disassemble("apic", dsl, sizeof(dsl));
	cr_assert_not_null(strstr(dsl, "PC-AT Compatibility : 0"), "%s", dsl);
}

Test(iasl, reads_the_dsdt_and_compiles_it_again_without_complaint)
{
	static char dsl[1 << 17];

	need_iasl();
	save_tables();
	disassemble("dsdt", dsl, sizeof(dsl));
	cr_assert_not_null(strstr(dsl, "Device (VR07)"), "%s", dsl);
	cr_assert_not_null(strstr(dsl, "\"LNRO0005\""));
	cr_assert_not_null(strstr(dsl, "0xD0007000"));
	cr_assert_not_null(strstr(dsl, "Interrupt (ResourceConsumer, Edge, ActiveHigh, Exclusive"));
	cr_assert_not_null(strstr(dsl, "0x00000017"));
	cr_assert_not_null(strstr(dsl, "Name (ADDR, Package (0x02)"));
	cr_assert_not_null(strstr(dsl, "Name (_S5, Package (0x04)"));
	cr_assert_eq(iasl((const char *[]){ "iasl", "-we", "dsdt.dsl", NULL }), 0);
	slurp("log", dsl, sizeof(dsl));
	cr_assert_not_null(strstr(dsl, " 0 Errors, 0 Warnings"), "%s", dsl);
}
