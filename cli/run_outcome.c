/* SPDX-License-Identifier: Apache-2.0 */
/* run_outcome.c: one exit status out of what the guest, the machine and the caller did.
 *
 * The guest's word counts only for its own command: an EXIT or FAILED that arrived whole is the
 * result, whatever happened to the machine afterwards.  Without one, the machine's end decides,
 * and never looks like success. */
#include "cli/run_outcome.h"
#include "cli/say.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static bool ended_by(const struct run_outcome *r, const char *reason)
{
	return r->vm->end.known && strcmp(r->vm->end.reason, reason) == 0;
}

static int failed_status(enum proto_fail fail)
{
	switch (fail) {
	case PROTO_FAIL_SETUP: break;
	case PROTO_FAIL_NOEXEC: return EXIT_NOEXEC;
	case PROTO_FAIL_NOTFOUND: return EXIT_NOTFOUND;
	}
	return EXIT_IMMURE;
}

int outcome_status(const struct run_outcome *r)
{
	/* Of a command that ended by itself, a signal ends only what was not handed on yet. */
	if (r->session == SESSION_EXITED && r->cause == STOP_SIGNAL)
		return 128 + r->signo;
	if (r->session == SESSION_EXITED && !r->stream_errno)
		return r->exit_signo ? 128 + (int)r->exit_signo : (int)r->code;
	if (r->session == SESSION_FAILED)
		return failed_status(r->fail);
	if (ended_by(r, "timeout"))
		return EXIT_TIMEOUT;
	if (r->cause == STOP_SIGNAL)
		return 128 + r->signo;
	return EXIT_IMMURE;
}

/* For programs: the word for what outcome_explain() says in a sentence.  In its order. */
static const char *cause_word(const struct run_outcome *r)
{
	switch (r->session) {
	case SESSION_EXITED:
		return r->cause == STOP_SIGNAL ? "signal" : r->stream_errno ? "stream" : "command";
	case SESSION_FAILED:
		return r->fail == PROTO_FAIL_NOTFOUND ? "not-found" :
		       r->fail == PROTO_FAIL_NOEXEC ? "not-executable" : "guest-setup";
	case SESSION_WAITING:
	case SESSION_STARTING:
	case SESSION_RUNNING:
	case SESSION_BROKEN:
		break;
	}
	if (r->cause == STOP_SIGNAL)
		return "signal";
	if (r->cause == STOP_NO_HELLO)
		return "boot-timeout";
	if (ended_by(r, "timeout"))
		return "timeout";
	return r->cause == STOP_SESSION && r->session == SESSION_BROKEN ? "agent" : "machine";
}

/* The supervisor's sentence, or what can be said without one. */
static void explain_vm(const struct run_outcome *r)
{
	const struct vm_end *e = &r->vm->end;

	if (!e->known && WIFSIGNALED(r->vm->status))
		say_error("immure-jailer was killed by signal %d", WTERMSIG(r->vm->status));
	else if (!e->known)
		say_error("immure-jailer ended without a report (exit status %d)",
			  WEXITSTATUS(r->vm->status));
	else if (e->text[0])
		say_error("%s", e->text);
	else
		say_error("the machine ended: %s", e->reason);
	vm_print_log(r->vm);
}

static void explain_boot(const struct run_outcome *r, const struct run_options *o)
{
	say_error("the guest did not %s within %llu s (--boot-timeout)",
		  r->session == SESSION_WAITING ? "connect" : "start the command",
		  (unsigned long long)(o->boot_timeout_ms + 999) / 1000);
	vm_print_log(r->vm);
	if (!o->console)
		say_hint("--console shows the guest's messages; its kernel may not fit this machine");
}

/* The command never ended, as far as the guest said. */
static void explain_no_exit(const struct run_outcome *r, const struct run_options *o)
{
	if (r->cause == STOP_SIGNAL)
		say_error("stopped by signal %d", r->signo);
	else if (r->cause == STOP_NO_HELLO)
		explain_boot(r, o);
	else if (ended_by(r, "timeout"))
		say_error("stopped after %llu ms (--timeout)", (unsigned long long)o->timeout_ms);
	else if (ended_by(r, "guest-poweroff") || ended_by(r, "guest-reboot"))
		say_error("the guest %s before the command ended: its exit status is not known",
			  ended_by(r, "guest-reboot") ? "rebooted" : "powered off");
	else if (r->cause == STOP_SESSION && r->session == SESSION_BROKEN)
		say_error("the guest's agent is not to be trusted: %s", r->session_text);
	else
		explain_vm(r);
	if (!o->console && ended_by(r, "guest-panic"))
		say_hint("--console shows the guest's last words");
}

void outcome_explain(const struct run_outcome *r, const struct run_options *o)
{
	static const char *const streams[] = { "input", "output", "error" };

	if (r->stream_errno)
		say_error("standard %s: %s", streams[r->stream], strerror(r->stream_errno));
	if (r->session == SESSION_EXITED && r->cause == STOP_SIGNAL)
		say_error("stopped by signal %d before all of the command's output was written",
			  r->signo);
	else if (r->session == SESSION_FAILED)
		say_error("%s", r->session_text);
	else if (r->session != SESSION_EXITED)
		explain_no_exit(r, o);
}

static json_t *text_or_null(const char *s)
{
	return s[0] ? json_string(s) : json_null();
}

static void print_json(json_t *root, int fd)
{
	char *text = json_dumps(root, 0);

	json_decref(root);
	/* One write, so that it stays one line beside the command's own output. */
	if (text)
		dprintf(fd, "%s\n", text);
	free(text);
}

void outcome_json(const struct run_outcome *r, const struct run_options *o, const char *name)
{
	const struct vm_end *e = &r->vm->end;
	const char *cause = cause_word(r);
	json_t *root, *times, *notes;

	if (!o->json)
		return;
	notes = json_array();
	for (unsigned i = 0; i < r->vm->nnotes; i++)
		json_array_append_new(notes, json_string(r->vm->note[i]));
	root = json_object();
	times = json_pack("{s:I, s:I, s:I}", "boot_ms", (json_int_t)r->boot_ms, "command_ms",
			  (json_int_t)r->command_ms, "total_ms", (json_int_t)r->total_ms);
	json_object_set_new(root, "name", json_string(name));
	json_object_set_new(root, "exit_status", json_integer(outcome_status(r)));
	json_object_set_new(root, "signal", json_integer((json_int_t)r->exit_signo));
	json_object_set_new(root, "cause", json_string(cause));
	json_object_set_new(root, "error", strcmp(cause, "command") == 0 ? json_null() :
						  text_or_null(say_last()));
	json_object_set_new(root, "reason", json_string(e->known ? e->reason : "unknown"));
	json_object_set_new(root, "detail", json_integer(e->detail));
	json_object_set_new(root, "process", text_or_null(e->process));
	json_object_set_new(root, "syscall", text_or_null(e->syscall));
	json_object_set_new(root, "text", text_or_null(e->text));
	json_object_set_new(root, "user_exits", json_integer(e->user_exits));
	json_object_set_new(root, "notes", notes);
	json_object_set_new(root, "times", times);
	print_json(root, o->json_fd);
}

void outcome_json_unborn(const struct run_options *o, const char *text)
{
	if (o->json)
		print_json(json_pack("{s:i, s:s, s:s, s:s, s:s}", "exit_status", EXIT_IMMURE,
				     "cause", "setup", "error", text, "reason", "setup",
				     "text", text), o->json_fd);
}
