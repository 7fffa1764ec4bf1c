/* SPDX-License-Identifier: Apache-2.0 */
/* session_pump.h: one thread that copies one standard stream.
 *
 * Standard input, output and error are the caller's: other processes share their open file
 * descriptions, so O_NONBLOCK must not be set on them, and may be set on them already.  A
 * thread each makes both harmless: what blocks, blocks one stream. */
#ifndef IMMURE_CLI_SESSION_PUMP_H
#define IMMURE_CLI_SESSION_PUMP_H

#include "core/base.h"

#include <pthread.h>
#include <stdatomic.h>

enum pump_direction {
	PUMP_IN,	/* local → connection; end of file becomes shutdown(SHUT_WR) */
	PUMP_OUT,	/* connection → local; a local reader that left breaks the connection */
};

struct pump {
	pthread_t thread;
	bool started;
	enum pump_direction direction;
	int local;		/* not owned */
	int conn;		/* connected stream socket, owned */
	int notify;		/* eventfd: written when something below changed; not owned */
	bool watch_keys;	/* PUMP_IN: count ^C */
	atomic_bool done;
	atomic_int error;	/* errno of the local side; 0: none, or its reader left (EPIPE) */
	atomic_uint interrupts;	/* ^C bytes seen */
	_Atomic uint64_t moved;	/* bytes that reached the other side */
};

/* Starts copying.  Owns @conn even when it fails.  Returns 0 or -errno. */
must_check int pump_start(struct pump *p, enum pump_direction direction, int local, int conn,
			  int notify, bool watch_keys);

/* Breaks the connection, waits for the thread (at most 200 ms: it may hang in a read of the
 * caller's terminal, and is abandoned there) and closes it.  Safe when never started. */
void pump_stop(struct pump *p);

#endif
