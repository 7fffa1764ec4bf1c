/* SPDX-License-Identifier: Apache-2.0 */
/* run_loop.h: the life of one machine, seen from `immure run`. */
#ifndef IMMURE_CLI_RUN_LOOP_H
#define IMMURE_CLI_RUN_LOOP_H

#include "cli/run_console.h"
#include "cli/run_options.h"
#include "cli/run_outcome.h"
#include "cli/run_stop.h"
#include "cli/run_vm.h"
#include "cli/session.h"

struct run {
	const struct run_options *options;
	struct session session;
	struct vm vm;
	struct run_console console;
	bool tty;			/* the command has a terminal */
	int signals;			/* signalfd */
	enum run_stop_cause cause;
	int signo;			/* of STOP_SIGNAL */
	bool hurry;			/* a signal came when the machine was gone already */
	struct stop stop;
	unsigned interrupts;		/* ^C bytes seen in the terminal's input so far */
	int64_t started_ms, running_ms, over_ms;	/* monotonic; 0: not yet */
	int64_t stop_by_ms;		/* the machine is stopped then; 0: it is not to be */
	int64_t kill_by_ms;		/* the supervisor is killed then; 0: it was not asked yet */
};

/* Blocks the signals that are passed on or end the run, except those the caller ignores, and
 * opens r->signals.  Before any thread is started.  Returns 0, or -1 after an error message. */
must_check int run_signals(struct run *r);

/* Runs until the machine is gone and what it wrote is handed on.  The session is open and the
 * jailer started. */
void run_loop(struct run *r);

/* Now, in milliseconds, never 0. */
int64_t run_now_ms(void);

#endif
