/* SPDX-License-Identifier: Apache-2.0 */
/* ioapic.c: what the guest programs into vmm/ioapic.c, and what becomes of it. */
#include "vmm/ioapic.c"

#include <criterion/criterion.h>

static struct ioapic io;

static void init(void)
{
	ioapic_init(&io);
}

TestSuite(ioapic, .init = init);

static uint32_t get(uint32_t index)
{
	cr_assert_not(ioapic_write(&io, 0, 4, index));
	return ioapic_read(&io, 0x10, 4);
}

static bool set(uint32_t index, uint32_t value)
{
	cr_assert_not(ioapic_write(&io, 0, 4, index));
	return ioapic_write(&io, 0x10, 4, value);
}

static bool set_pin(uint32_t pin, uint32_t low, uint32_t high)
{
	bool changed = set(0x11 + 2 * pin, high);

	return set(0x10 + 2 * pin, low) || changed;
}

Test(ioapic, it_is_version_0x11_with_24_pins_all_masked)
{
	cr_assert_eq(get(1), 0x170011);
	for (uint32_t pin = 0; pin < 24; pin++) {
		cr_assert_eq(get(0x10 + 2 * pin), 0x10000);
		cr_assert_eq(get(0x11 + 2 * pin), 0);
		cr_assert_not(io.route[pin].valid);
	}
}

Test(ioapic, the_id_keeps_its_four_bits)
{
	cr_assert_not(set(0, 0xffffffff));
	cr_assert_eq(get(0), 0x0f000000);
	cr_assert_eq(get(2), 0x0f000000);
	cr_assert_not(set(1, 0));
	cr_assert_eq(get(1), 0x170011, "the version is read-only");
}

Test(ioapic, an_unmasked_entry_becomes_a_message)
{
	cr_assert(set_pin(16, 0x0931, 0x03000000));	/* logical, lowest priority, vector 0x31 */
	cr_assert(io.route[16].valid);
	cr_assert_eq(io.route[16].address, 0xfee03004);
	cr_assert_eq(io.route[16].data, 0x131);
	cr_assert(set_pin(0, 0x0040, 0x01000000));
	cr_assert_eq(io.route[0].address, 0xfee01000);
	cr_assert_eq(io.route[0].data, 0x40);
}

Test(ioapic, a_level_triggered_entry_is_routed_as_edge)
{
	cr_assert(set_pin(17, 0xa050, 0));
	cr_assert_eq(io.route[17].data, 0x50);
	cr_assert_eq(get(0x10 + 34), 0xa050, "but reads as it was written");
}

Test(ioapic, writing_the_same_again_changes_nothing)
{
	cr_assert(set_pin(16, 0x31, 0));
	cr_assert_not(set_pin(16, 0x31, 0));
}

Test(ioapic, a_masked_pin_keeps_its_route)
{
	const struct ioapic_route *r = &io.route[16];

	cr_assert(set_pin(16, 0x31, 0x01000000));
	cr_assert_not(set_pin(16, 0x10031, 0x01000000));
	cr_assert_not(set_pin(16, 0x10044, 0x02000000), "rewritten while masked");
	cr_assert(r->valid && r->data == 0x31 && r->address == 0xfee01000);
	cr_assert(set_pin(16, 0x44, 0x02000000));
	cr_assert(r->valid && r->data == 0x44 && r->address == 0xfee02000);
}

Test(ioapic, only_two_delivery_modes_and_legal_vectors_are_routed)
{
	for (uint32_t mode = 0; mode < 8; mode++) {
		for (uint32_t vector = 0; vector < 256; vector++) {
			bool legal = mode <= 1 && vector >= 16;

			ioapic_init(&io);
			cr_assert_eq(set_pin(5, mode << 8 | vector, 0), legal);
			cr_assert_eq(io.route[5].valid, legal, "mode %u vector %u", mode, vector);
		}
	}
	ioapic_init(&io);
	cr_assert(set_pin(5, 0x31, 0));
	cr_assert(set_pin(5, 0x231, 0), "from an interrupt to an SMI: the route goes");
	cr_assert_not(io.route[5].valid);
}

Test(ioapic, status_bits_are_the_controllers)
{
	cr_assert(set_pin(3, 0x5031, 0));
	cr_assert_eq(get(0x10 + 6), 0x0031);
}

Test(ioapic, registers_that_do_not_exist_read_zero_and_ignore_writes)
{
	const struct ioapic before = io;

	for (uint32_t index = 3; index < 256; index++) {
		if (index >= 0x10 && index < 0x40)
			continue;
		cr_assert_not(set(index, 0xffffffff));
		cr_assert_eq(get(index), 0);
	}
	io.select = 0;
	cr_assert(memcmp(&before, &io, sizeof(io)) == 0);
}

Test(ioapic, every_offset_and_width_is_survived)
{
	static const uint32_t widths[] = { 1, 2, 3, 4, 8 };
	const struct ioapic before = io;

	for (uint64_t offset = 0; offset < IOAPIC_SIZE; offset++) {
		for (size_t w = 0; w < array_len(widths); w++) {
			if (offset == 0 || (offset == 0x10 && widths[w] == 4))
				continue;
			cr_assert_not(ioapic_write(&io, offset, widths[w], 0x31));
			cr_assert_eq(ioapic_read(&io, offset, widths[w]), 0);
		}
	}
	cr_assert(memcmp(&before, &io, sizeof(io)) == 0);
	cr_assert_not(ioapic_write(&io, 0, 2, 0x31));
	cr_assert_eq(ioapic_read(&io, 0, 4), 0);
	cr_assert_not(ioapic_write(&io, 0, 4, 0xffffff01));
	cr_assert_eq(ioapic_read(&io, 0, 4), 1, "IOREGSEL is eight bits");
}
