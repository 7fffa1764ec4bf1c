/* SPDX-License-Identifier: Apache-2.0 */
/* console.c: vmm/console.c as a driver and as a flood sees it. */
#include "core/log.c"
#include "core/musl.c"
#include "vmm/console.c"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <signal.h>

static struct console c;
static int ends[2];

static void init(void)
{
	cr_assert_eq(pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
	console_init(&c, ends[1]);
}

TestSuite(console, .init = init);

static void put(uint32_t reg, uint8_t value)
{
	console_write(&c, reg, &value, 1);
}

static void expect(const char *text)
{
	char got[256] = "";
	ssize_t n = read(ends[0], got, sizeof(got) - 1);

	cr_assert_eq(n < 0 ? 0 : n, (ssize_t)strlen(text));
	cr_assert_str_eq(got, text);
}

Test(console, bytes_come_out_as_they_went_in)
{
	put(UART_TX, 'a');
	console_write(&c, UART_TX, (const uint8_t *)"bcd", 3);
	expect("abcd");
}

Test(console, the_line_is_always_free)
{
	cr_assert_eq(console_read(&c, UART_LSR), UART_LSR_THRE | UART_LSR_TEMT);
	cr_assert_eq(console_read(&c, UART_IIR), UART_IIR_NO_INT);
	cr_assert_eq(console_read(&c, UART_RX), 0);
}

Test(console, a_polling_driver_finds_the_transmit_interrupt_it_enabled)
{
	put(UART_IER, UART_IER_THRI);
	cr_assert_eq(console_read(&c, UART_IIR), UART_IIR_THRI);
	put(UART_TX, 'x');
	cr_assert_eq(console_read(&c, UART_IIR), UART_IIR_THRI, "empty again at once");
	put(UART_IER, 0);
	cr_assert_eq(console_read(&c, UART_IIR), UART_IIR_NO_INT);
}

Test(console, a_full_pipe_drops_and_counts_and_never_waits)
{
	static uint8_t block[4096];
	uint64_t sent = 0;
	uint64_t kept = 0;
	ssize_t n;

	memset(block, 'x', sizeof(block));
	for (int i = 0; i < 256; i++, sent += sizeof(block))
		console_write(&c, UART_TX, block, sizeof(block));
	cr_assert_gt(c.dropped, 0);
	while ((n = read(ends[0], block, sizeof(block))) > 0)
		kept += (uint64_t)n;
	cr_assert_eq(kept + c.dropped, sent);
	put(UART_TX, '!');
	expect("!");
}

Test(console, a_reader_that_is_gone_is_survived)
{
	signal(SIGPIPE, SIG_IGN);
	close(ends[0]);
	put(UART_TX, 'x');
	cr_assert_eq(c.dropped, 1);
}

Test(console, without_a_pipe_bytes_go_nowhere)
{
	console_init(&c, -1);
	put(UART_TX, 'x');
	cr_assert_eq(c.dropped, 0);
}

Test(console, the_divisor_latch_hides_data_and_interrupt_enable)
{
	put(UART_IER, 0xff);
	cr_assert_eq(console_read(&c, UART_IER), 0x0f, "four bits exist");
	put(UART_LCR, UART_LCR_DLAB);
	put(UART_DLL, 1);
	put(UART_DLM, 2);
	cr_assert_eq(console_read(&c, UART_DLL), 1);
	cr_assert_eq(console_read(&c, UART_DLM), 2);
	put(UART_LCR, UART_LCR_WLEN8);
	cr_assert_eq(console_read(&c, UART_IER), 0x0f);
	expect("");
}

Test(console, probing_finds_a_16550a)
{
	put(UART_FCR, UART_FCR_ENABLE_FIFO);
	cr_assert_eq(console_read(&c, UART_IIR) & 0xc0, 0xc0);
	put(UART_SCR, 0x5a);
	cr_assert_eq(console_read(&c, UART_SCR), 0x5a);
	put(UART_MCR, UART_MCR_LOOP | UART_MCR_OUT2 | UART_MCR_RTS);
	cr_assert_eq(console_read(&c, UART_MSR), UART_MSR_DCD | UART_MSR_CTS);
	put(UART_MCR, UART_MCR_LOOP | UART_MCR_OUT1 | UART_MCR_DTR);
	cr_assert_eq(console_read(&c, UART_MSR), UART_MSR_RI | UART_MSR_DSR);
	put(UART_TX, 'x');
	expect("");
	put(UART_MCR, 0);
	cr_assert_eq(console_read(&c, UART_MSR) & UART_MSR_DCD, UART_MSR_DCD);
}

Test(console, every_register_takes_every_byte)
{
	for (uint32_t reg = 0; reg < 16; reg++) {
		for (uint32_t value = 0; value < 256; value++) {
			put(reg, (uint8_t)value);
			(void)console_read(&c, reg);
		}
	}
}
