/* SPDX-License-Identifier: Apache-2.0 */
/* relay.h: lines from a jailed process to the caller, bounded.
 *
 * What a process writes may have been chosen by the guest.  Per second a process gets at most
 * RELAY_LINES lines and RELAY_BYTES bytes read; after that it is not listened to until the
 * second is over, its pipe fills, and core/log.h counts what it drops.  Lines that the caller
 * does not take are dropped and counted here. */
#ifndef IMMURE_JAILER_RELAY_H
#define IMMURE_JAILER_RELAY_H

#include "core/base.h"

enum {
	RELAY_LINES = 100,
	RELAY_BYTES = 32 * 1024,
	RELAY_LINE = 256,	/* longer ones are cut into pieces */
};

struct relay {
	int fd;			/* read end; -1: closed */
	const char *process;
	uint64_t window;	/* start of the second counted, ms */
	uint32_t lines, bytes;	/* in it */
	uint64_t dropped;	/* lines since the last that got through */
	size_t len;
	char line[RELAY_LINE];
};

void relay_init(struct relay *r, int fd, const char *process, uint64_t now_ms);

/* Milliseconds until @r may be read again; 0: now. */
uint64_t relay_wait(const struct relay *r, uint64_t now_ms);

/* Reads once and passes complete lines on to @client.  At end of file closes r->fd. */
void relay_read(struct relay *r, int client, uint64_t now_ms);

/* Passes on what is left of an unfinished line. */
void relay_flush(struct relay *r, int client);

#endif
