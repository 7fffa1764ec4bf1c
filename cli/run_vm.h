/* SPDX-License-Identifier: Apache-2.0 */
/* run_vm.h: immure-jailer and what it reports, seen from `immure run`.
 *
 * The jailer is trusted with the caller's rights until it has become the supervisor; what the
 * supervisor sends afterwards is bounded and checked like anything else, because parts of its
 * texts come from processes that a guest may have taken over. */
#ifndef IMMURE_CLI_RUN_VM_H
#define IMMURE_CLI_RUN_VM_H

#include "core/base.h"

#include <sys/types.h>

enum { VM_TEXT = 512, VM_WORD = 32, VM_LOG_LINES = 8, VM_LOG_LINE = 320,
       VM_LOCKS = 2, VM_NOTES = 4, VM_EVENTS = 16 };

/* The one machine-readable end of a machine (core/report.h names the reasons). */
struct vm_end {
	bool known;
	char reason[VM_WORD];
	char process[VM_WORD];		/* "" when it does not apply */
	char syscall[VM_WORD];		/* "" when it does not apply */
	char text[VM_TEXT];
	int64_t detail;
	int64_t user_exits;
	int64_t left;			/* processes that were killed but still exist */
};

struct vm {
	pid_t pid;			/* of the jailer, later the supervisor; 0 once reaped */
	int client;			/* events and orders; -1 once it closed */
	int console;			/* the guest's debug console; -1: none */
	bool running;			/* the first instruction was executed */
	bool reaped;
	int status;			/* of waitpid(), once reaped */
	struct vm_end end;
	unsigned nlog;			/* lines ever; the last VM_LOG_LINES are kept */
	char log[VM_LOG_LINES][VM_LOG_LINE];
	unsigned nnotes;		/* what the jailer could not do on this host; said at once */
	char note[VM_NOTES][VM_LOG_LINE];
};

/* Starts the jailer on the @len bytes of JSON at @config.  It keeps the descriptors @lock (-1:
 * none), and with them what is locked through them, until nothing of the machine exists any more.
 * Returns 0, or -1 after an error message. */
must_check int vm_start(struct vm *vm, const char *config, size_t len, bool console,
			const int lock[static VM_LOCKS]);

/* Takes in what waits, at most VM_EVENTS: signals and streams have their turn however much the
 * supervisor says.  vm->client becomes -1 when the supervisor is gone. */
void vm_events(struct vm *vm);

/* One event, as text; used by vm_events(). */
void vm_event(struct vm *vm, const char *text, size_t len);

/* Asks the supervisor to end the machine. */
void vm_stop(struct vm *vm);

/* Waits for the supervisor's exit, at most @ms, then kills it (and with it the machine: the
 * kernel ends what it traces).  A supervisor that said that it waits for processes which do not end
 * is left to itself, vm->reaped is false then.  Closes everything. */
void vm_finish(struct vm *vm, unsigned ms);

/* Prints the last log lines of the machine's processes. */
void vm_print_log(const struct vm *vm);

#endif
