/* SPDX-License-Identifier: Apache-2.0 */
/* run_outcome.h: how a run ended, and what that means for the caller. */
#ifndef IMMURE_CLI_RUN_OUTCOME_H
#define IMMURE_CLI_RUN_OUTCOME_H

#include "cli/run_options.h"
#include "cli/run_vm.h"
#include "cli/session.h"

/* Why immure itself gave the order to stop; NONE when it did not. */
enum run_stop_cause {
	STOP_NONE,
	STOP_SIGNAL,		/* ^C or a signal before the command ran, or a doubted guest */
	STOP_NO_HELLO,		/* the guest did not connect within --boot-timeout */
	STOP_SESSION,		/* the session ended (any way): the machine has no use any more */
};

struct run_outcome {
	enum run_stop_cause cause;
	int signo;			/* STOP_SIGNAL: which */
	enum session_state session;	/* its last state */
	enum proto_fail fail;		/* SESSION_FAILED */
	unsigned code, exit_signo;	/* SESSION_EXITED */
	const char *session_text;
	int stream_errno, stream;	/* the first broken standard stream of ours; 0: none */
	const struct vm *vm;
	uint64_t boot_ms, command_ms, total_ms;	/* 0: never got there */
};

/* The exit status of `immure run`.  Pure. */
int outcome_status(const struct run_outcome *r);

/* Says on standard error what went wrong, if anything did: what, why, what next. */
void outcome_explain(const struct run_outcome *r, const struct run_options *o);

/* Prints the JSON object of --json to o->json_fd.  After outcome_explain(), whose last sentence
 * is its "error". */
void outcome_json(const struct run_outcome *r, const struct run_options *o, const char *name);

/* The same for a run that failed before there was a machine: @text is the error. */
void outcome_json_unborn(const struct run_options *o, const char *text);

#endif
