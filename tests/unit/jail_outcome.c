/* SPDX-License-Identifier: Apache-2.0 */
/* LIBS: -ljansson */
/* One reason, whatever the order of a dying VM's events; and what is said of it. */
#include "core/guestmem.c"
#include "core/log.c"
#include "core/report.c"
#include "jailer/config.c"
#include "jailer/config_user.c"
#include "jailer/config_wall.c"
#include "jailer/wall_text.c"
#include "jailer/mac.c"
#include "jailer/failure.c"
#include "jailer/message.c"
#include "jailer/outcome.c"
#include "jailer/plan.c"
#include "jailer/violation.c"

#include <criterion/criterion.h>

enum { KILLED = SIGKILL, SEGV = SIGSEGV, SYS = SIGSYS, EXIT_1 = 1 << 8 };

static struct outcome o;
static struct plan p;

static void report(enum end_reason reason, uint64_t detail)
{
	struct vmm_report r = {
		.type = VMM_REPORT_END, .reason = reason, .detail = detail, .user_exits = 77,
	};

	outcome_report(&o, &r);
}

static void make_plan(void)
{
	static struct config c;
	static const char text[] =
		"{\"name\":\"v\",\"kernel\":\"/k\",\"disks\":[{\"path\":\"/d\"}],"
		"\"vsock\":{\"cid\":3,\"path\":\"/r/v\"}}";
	struct plan_caller who = { 0 };
	struct failure f;

	cr_assert_eq(config_parse(&c, text, sizeof(text) - 1, &f), 0);
	plan_make(&p, &c, &who);
	outcome_init(&o);
}

TestSuite(outcome, .init = make_plan);

Test(outcome, the_vmms_report_wins_over_what_follows)
{
	report(END_POWEROFF, 5);
	outcome_death(&o, 1, 0);
	outcome_violation(&o, 0, 257);
	outcome_order(&o, END_STOPPED);
	outcome_death(&o, 0, EXIT_1);
	cr_assert(o.reason == END_POWEROFF && o.detail == 5 && o.process == -1);
	cr_assert_eq(o.user_exits, 77);
}

Test(outcome, the_vmms_report_wins_over_a_device_that_left_first)
{
	outcome_death(&o, 1, 0);
	report(END_PANIC, 0);
	cr_assert_eq(o.reason, END_PANIC);
}

Test(outcome, a_violation_wins_over_the_deaths_it_caused)
{
	report(END_DEVICE_DIED, 0);
	outcome_death(&o, 2, KILLED);
	outcome_violation(&o, 1, 257);
	cr_assert(o.reason == END_VIOLATION && o.process == 1 && o.call == 257);
	cr_assert_eq(o.detail, 257);
}

Test(outcome, the_first_violation_stands)
{
	outcome_violation(&o, 1, 2);
	outcome_violation(&o, 2, 3);
	cr_assert(o.process == 1 && o.call == 2);
}

Test(outcome, a_call_that_becomes_known_later_is_filled_in)
{
	outcome_death(&o, 0, SYS);
	cr_assert(o.reason == END_VIOLATION && o.call == -1);
	outcome_violation(&o, 0, 41);
	outcome_violation(&o, 0, 42);
	cr_assert(o.call == 41 && o.detail == 41);
}

Test(outcome, the_first_death_is_the_reason)
{
	outcome_death(&o, 2, SEGV);
	outcome_death(&o, 1, KILLED);
	outcome_death(&o, 0, KILLED);
	cr_assert(o.reason == END_DEVICE_DIED && o.process == 2 && o.detail == 1);
	cr_assert_eq(o.status, SEGV);
}

Test(outcome, a_device_that_ended_quietly_gives_way_to_a_vmm_that_crashed)
{
	outcome_death(&o, 1, 0);
	outcome_death(&o, 0, SEGV);
	cr_assert(o.reason == END_VMM_DIED && o.process == 0 && o.status == SEGV);
}

Test(outcome, a_vmm_that_was_killed_with_the_rest_is_not_the_reason)
{
	outcome_death(&o, 1, KILLED);
	outcome_death(&o, 0, KILLED);
	cr_assert(o.reason == END_DEVICE_DIED && o.process == 1);
}

Test(outcome, an_order_is_the_reason_for_all_deaths_after_it)
{
	outcome_order(&o, END_TIMEOUT);
	outcome_order(&o, END_STOPPED);
	outcome_death(&o, 0, KILLED);
	cr_assert_eq(o.reason, END_TIMEOUT);
}

Test(outcome, the_memory_limit_explains_a_death_but_nothing_else)
{
	outcome_memory(&o);
	cr_assert_eq(o.reason, END_NONE);
	outcome_death(&o, 1, KILLED);
	outcome_memory(&o);
	cr_assert(o.reason == END_MEMORY && o.process == 1);
}

Test(outcome, a_guest_that_ended_by_itself_did_not_end_by_the_memory_limit)
{
	report(END_POWEROFF, 0);
	outcome_memory(&o);
	cr_assert_eq(o.reason, END_POWEROFF);
}

Test(outcome, a_process_that_never_became_its_program_is_a_setup_failure)
{
	outcome_death(&o, 1, 127 << 8);
	outcome_setup(&o, 1);
	outcome_death(&o, 0, KILLED);
	cr_assert(o.reason == END_SETUP && o.process == 1);
}

Test(outcome, a_hostile_vmm_cannot_report_what_only_the_supervisor_knows)
{
	static const enum end_reason lies[] = {
		END_NONE, END_VIOLATION, END_VMM_DIED, END_STOPPED, END_TIMEOUT, END_SETUP,
		END_MEMORY, END_REASONS, (enum end_reason)0xffffffff,
	};

	for (size_t i = 0; i < array_len(lies); i++)
		report(lies[i], 0);
	report(END_DEVICE_DIED, PLAN_DEVICES);
	report(END_DEVICE_SILENT, UINT64_MAX);
	cr_assert_eq(o.reason, END_NONE);
}

static void says(const char *want)
{
	char text[FAILURE_TEXT];

	outcome_text(&o, &p, text, sizeof(text));
	cr_assert_str_eq(text, want);
}

Test(outcome, a_person_is_told_who_and_how)
{
	outcome_violation(&o, 1, 257);
	says("process blk0 was killed by its policy: system call openat (257)");
	outcome_init(&o);
	outcome_death(&o, 2, SEGV);
	says("process vsock died of signal 11 (SEGV)");
	outcome_init(&o);
	outcome_death(&o, 0, EXIT_1);
	says("process vmm ended with status 1");
	outcome_init(&o);
	report(END_DEVICE_SILENT, 1);
	says("process vsock did not answer in time");
	outcome_init(&o);
	report(END_KVM_ERROR, 17ull << 32 | 1);
	says("KVM could not go on: exit reason 17, error 1, rip 0");
}

static int pair[2];

static const char *received(void)
{
	static char text[MESSAGE_BYTES + 1];
	ssize_t n = recv(pair[1], text, sizeof(text) - 1, MSG_DONTWAIT);

	text[n > 0 ? n : 0] = 0;
	return text;
}

Test(outcome, the_end_message_is_one_json_object)
{
	json_t *e;

	cr_assert_eq(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), 0);
	outcome_violation(&o, 1, 257);
	message_end(pair[0], &o, &p);
	e = json_loads(received(), 0, NULL);
	cr_assert_not_null(e);
	cr_assert_str_eq(json_string_value(json_object_get(e, "event")), "end");
	cr_assert_str_eq(json_string_value(json_object_get(e, "reason")),
			 end_reason_name(END_VIOLATION));
	cr_assert_str_eq(json_string_value(json_object_get(e, "process")), "blk0");
	cr_assert_str_eq(json_string_value(json_object_get(e, "syscall")), "openat");
	cr_assert_eq(json_integer_value(json_object_get(e, "detail")), 257);
	json_decref(e);
}

Test(outcome, the_longest_failure_still_fits_a_message)
{
	json_t *e;

	cr_assert_eq(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), 0);
	memset(o.failure.text, '\1', sizeof(o.failure.text) - 1);
	message_setup_failed(pair[0], &o.failure);
	e = json_loads(received(), 0, NULL);
	cr_assert_not_null(e);
	cr_assert_eq(json_string_length(json_object_get(e, "text")),
		     sizeof(o.failure.text) - 1);
	json_decref(e);
}

Test(outcome, any_bytes_become_a_json_string)
{
	char all[256], escaped[8 * 256], text[8 * 256 + 16];
	json_t *s;

	for (int i = 0; i < 256; i++)
		all[i] = (char)i;
	cr_assert_eq(message_escape(escaped, sizeof(escaped), all, 256), strlen(escaped));
	snprintf(text, sizeof(text), "[\"%s\"]", escaped);
	s = json_loads(text, JSON_ALLOW_NUL, NULL);
	cr_assert_not_null(s, "%s", text);
	json_decref(s);
	cr_assert_str_eq((message_escape(escaped, sizeof(escaped), "a\"b\\c\n", 6), escaped),
			 "a\\\"b\\\\c\\u000a");
}

Test(outcome, escaping_never_passes_its_buffer_nor_cuts_an_escape)
{
	for (size_t size = 1; size < 24; size++) {
		char buf[32];
		size_t n;

		memset(buf, '#', sizeof(buf));
		n = message_escape(buf, size, "\"\1\"\2\"", 5);
		cr_assert(n < size && buf[n] == 0 && buf[size] == '#');
		cr_assert(n == 0 || n == 2 || n == 8 || n == 10 || n == 16 || n == 18);
	}
}

Test(outcome, a_system_call_has_its_name)
{
	cr_assert_str_eq(violation_name(0), "read");
	cr_assert_str_eq(violation_name(257), "openat");
	cr_assert_str_eq(violation_name(-1), "unknown");
	cr_assert_str_eq(violation_name(100000), "unknown");
	cr_assert_str_eq(violation_name(335), "unknown");
}
