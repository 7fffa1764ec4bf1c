/* SPDX-License-Identifier: Apache-2.0 */
/* console.c: as much of a 16550 as a driver needs to find it and to print.
 *
 * There is no interrupt line and no input: drivers poll, and find the transmitter empty and
 * its interrupt pending whenever they have enabled it.  The rest is what probing looks at:
 * registers that keep what was written to them, the FIFO bits, and the loop-back of the modem
 * lines. */
#include "vmm/console.h"

#include "core/log.h"

#include <linux/serial_reg.h>
#include <string.h>
#include <unistd.h>

enum {
	IER_BITS = 0x0f,
	MCR_BITS = 0x1f,
	IIR_FIFO = 0xc0,
	LINES_UP = UART_MSR_DCD | UART_MSR_DSR | UART_MSR_CTS,
};

void console_init(struct console *c, int fd)
{
	memset(c, 0, sizeof(*c));
	c->fd = fd;
}

static bool divisor_latch(const struct console *c)
{
	return (c->lcr & UART_LCR_DLAB) != 0;
}

static void transmit(struct console *c, const uint8_t *data, size_t n)
{
	static struct log_limit full;
	ssize_t sent;

	if (c->fd < 0 || (c->mcr & UART_MCR_LOOP) != 0)
		return;
	sent = write(c->fd, data, n);
	if (sent == (ssize_t)n)
		return;
	c->dropped += n - (sent > 0 ? (size_t)sent : 0);
	log_limited(&full, "console: the reader is slow, %lu bytes dropped", c->dropped);
}

static void write_register(struct console *c, uint32_t reg, uint8_t value)
{
	switch (reg) {
	case UART_TX:
	case UART_IER:
		if (divisor_latch(c))
			c->divisor[reg] = value;
		else if (reg == UART_IER)
			c->ier = value & IER_BITS;
		break;
	case UART_FCR:
		c->fifo = (value & UART_FCR_ENABLE_FIFO) != 0;
		break;
	case UART_LCR:
		c->lcr = value;
		break;
	case UART_MCR:
		c->mcr = value & MCR_BITS;
		break;
	case UART_SCR:
		c->scratch = value;
		break;
	default:
		break;	/* LSR and MSR are read-only */
	}
}

void console_write(struct console *c, uint32_t reg, const uint8_t *data, size_t n)
{
	if (reg == UART_TX && !divisor_latch(c)) {
		transmit(c, data, n);
		return;
	}
	for (size_t i = 0; i < n; i++)
		write_register(c, reg, data[i]);
}

/* In loop-back the outputs are wired to the inputs: RTS to CTS, DTR to DSR, OUT1 to RI, OUT2
 * to DCD. */
static uint8_t modem_status(const struct console *c)
{
	uint8_t msr = 0;

	if ((c->mcr & UART_MCR_LOOP) == 0)
		return LINES_UP;
	if ((c->mcr & UART_MCR_RTS) != 0)
		msr |= UART_MSR_CTS;
	if ((c->mcr & UART_MCR_DTR) != 0)
		msr |= UART_MSR_DSR;
	if ((c->mcr & UART_MCR_OUT1) != 0)
		msr |= UART_MSR_RI;
	if ((c->mcr & UART_MCR_OUT2) != 0)
		msr |= UART_MSR_DCD;
	return msr;
}

uint8_t console_read(const struct console *c, uint32_t reg)
{
	switch (reg) {
	case UART_RX:
		return divisor_latch(c) ? c->divisor[0] : 0;
	case UART_IER:
		return divisor_latch(c) ? c->divisor[1] : c->ier;
	case UART_IIR:
		return ((c->ier & UART_IER_THRI) != 0 ? UART_IIR_THRI : UART_IIR_NO_INT) |
		       (c->fifo ? IIR_FIFO : 0);
	case UART_LCR:
		return c->lcr;
	case UART_MCR:
		return c->mcr;
	case UART_LSR:
		return UART_LSR_THRE | UART_LSR_TEMT;
	case UART_MSR:
		return modem_status(c);
	case UART_SCR:
		return c->scratch;
	default:
		return 0xff;
	}
}
