/* SPDX-License-Identifier: Apache-2.0 */
/* ports.h: the x86 I/O ports of the machine: power, the debug console, nothing else. */
#ifndef IMMURE_VMM_PORTS_H
#define IMMURE_VMM_PORTS_H

#include "vmm/machine.h"

/* The guest writes @count values of @size (1, 2 or 4) bytes, one after another, to @port. */
void ports_out(struct machine *m, uint16_t port, uint32_t size, const uint8_t *data,
	       uint32_t count);

/* The guest reads @count values of @size bytes from @port into @data. */
void ports_in(struct machine *m, uint16_t port, uint32_t size, uint8_t *data, uint32_t count);

#endif
