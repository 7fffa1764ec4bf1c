/* SPDX-License-Identifier: Apache-2.0 */
/* run_stop.h: when a second ^C means the machine.
 *
 * The first ^C (or SIGTERM) is the command's.  A second one within a second doubts that there
 * is anybody: when the guest then shows no sign of life for another second, the machine ends.
 * A command that prints, or ends, is left alone.  Pure: time and life are given. */
#ifndef IMMURE_CLI_RUN_STOP_H
#define IMMURE_CLI_RUN_STOP_H

#include "core/base.h"

enum { STOP_WINDOW_MS = 1000 };

struct stop {
	int64_t pressed_ms;	/* last press; 0: none yet */
	int64_t doubted_ms;	/* 0: no doubt */
	uint64_t life;		/* as it was when the doubt began */
};

/* ^C or SIGTERM came at @now_ms (> 0). */
void stop_press(struct stop *s, int64_t now_ms, uint64_t life);

/* True when the machine shall be stopped. */
must_check bool stop_decide(struct stop *s, int64_t now_ms, uint64_t life);

/* Milliseconds until stop_decide() should be asked again; -1: no need. */
int stop_wait(const struct stop *s, int64_t now_ms);

#endif
