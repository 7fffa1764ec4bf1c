/* SPDX-License-Identifier: Apache-2.0 */
/* console.h: the debug console: a 16550 that only transmits (PC16550D datasheet).
 *
 * Bounded by construction: a byte goes into a non-blocking pipe or is dropped and counted; the
 * guest never waits for a reader and nothing grows.  The caller serialises. */
#ifndef IMMURE_VMM_CONSOLE_H
#define IMMURE_VMM_CONSOLE_H

#include "core/base.h"

enum { CONSOLE_PORTS = 8 };

struct console {
	int fd;			/* write end of a pipe; -1: bytes go nowhere */
	bool fifo;		/* FCR bit 0 */
	uint8_t ier, lcr, mcr, scratch;
	uint8_t divisor[2];	/* kept for the guest to read back; means nothing here */
	uint64_t dropped;	/* bytes that found the pipe full */
};

/* @fd must be non-blocking and stays the caller's. */
void console_init(struct console *c, int fd);

/* The guest writes the @n bytes at @data, one after another, to register @reg (0..7). */
void console_write(struct console *c, uint32_t reg, const uint8_t *data, size_t n);

/* The guest reads register @reg. */
uint8_t console_read(const struct console *c, uint32_t reg);

#endif
