/* SPDX-License-Identifier: Apache-2.0 */
/* ports.c: power off, reset, console bytes.
 *
 * The power registers are those the FADT names (ACPI 6.5 §4.8.3.7 sleep control and status,
 * §4.8.3.6 reset); all are one byte wide.  A port where nothing is reads all ones.
 *
 * A reset means two things.  Linux, told `reboot=panic_warm`, stores the BIOS's warm-boot
 * magic only when a panic restarts the machine, so the word at LAYOUT_WARM_BOOT tells a panic
 * from a reboot.  The guest can lie about that, to itself.
 *
 * Flat guests (tests, measurements) end the VM by one OUT of any width to the test port; its
 * low byte becomes the detail of the report. */
#include "vmm/ports.h"

#include "core/log.h"
#include "vmm/x86_64/layout.h"

#include <string.h>

enum {
	SLP_EN = 1 << 5,
	SLP_TYP_SHIFT = 2,
	SLP_TYP_MASK = 7,
};

static void write_sleep(struct machine *m, uint8_t value)
{
	static struct log_limit other;

	if ((value & SLP_EN) == 0)
		return;
	if ((value >> SLP_TYP_SHIFT & SLP_TYP_MASK) == LAYOUT_SLP_TYP_S5)
		end_vm(&m->end, END_POWEROFF, 0, 0);
	else
		log_limited(&other, "sleep state 0x%x does not exist", value);
}

static void write_reset(struct machine *m, uint8_t value)
{
	uint16_t magic;

	if (value != LAYOUT_RESET_VALUE)
		return;
	if (guestmem_read(&m->mem, gpa(LAYOUT_WARM_BOOT), &magic, sizeof(magic)) &&
	    magic == LAYOUT_WARM_MAGIC)
		end_vm(&m->end, END_PANIC, 0, 0);
	else
		end_vm(&m->end, END_REBOOT, 0, 0);
}

static bool is_console(const struct machine *m, uint16_t port)
{
	return m->has_console && port >= LAYOUT_PORT_CONSOLE &&
	       port < LAYOUT_PORT_CONSOLE + CONSOLE_PORTS;
}

void ports_out(struct machine *m, uint16_t port, uint32_t size, const uint8_t *data,
	       uint32_t count)
{
	if (port == LAYOUT_PORT_TEST && m->flat)
		end_vm(&m->end, END_POWEROFF, data[0], 0);
	if (size != 1)
		return;
	if (is_console(m, port)) {
		pthread_mutex_lock(&m->lock);
		console_write(&m->console, port - LAYOUT_PORT_CONSOLE, data, count);
		pthread_mutex_unlock(&m->lock);
		return;
	}
	for (uint32_t i = 0; i < count; i++) {
		if (port == LAYOUT_PORT_SLEEP_CONTROL)
			write_sleep(m, data[i]);
		else if (port == LAYOUT_PORT_RESET)
			write_reset(m, data[i]);
	}
}

void ports_in(struct machine *m, uint16_t port, uint32_t size, uint8_t *data, uint32_t count)
{
	memset(data, 0xff, (size_t)size * count);
	if (size != 1)
		return;
	if (port == LAYOUT_PORT_SLEEP_CONTROL || port == LAYOUT_PORT_SLEEP_STATUS)
		memset(data, 0, count);
	if (!is_console(m, port))
		return;
	pthread_mutex_lock(&m->lock);
	for (uint32_t i = 0; i < count; i++)
		data[i] = console_read(&m->console, port - LAYOUT_PORT_CONSOLE);
	pthread_mutex_unlock(&m->lock);
}
