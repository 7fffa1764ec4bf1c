/* SPDX-License-Identifier: Apache-2.0 */
/* LIBS: -lseccomp */
/* unused.c: the comparison of tests/policy/unused refuses what is wrong. */
int unused_main(int argc, char *argv[]);
#define main unused_main
#include "tests/policy/unused.c"
#undef main
#include "policy/compile_bpf.c"
#include "policy/compile_names.c"
#include "policy/compile_parse.c"
#include "tests/policy/used_policies.c"

#include <criterion/criterion.h>
#include <linux/falloc.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static char unused_dir[] = "/tmp/immure-unused.XXXXXX";
static char printed[16384];

static const char *write_file(const char *name, const char *text)
{
	static char path[2][sizeof(unused_dir) + 32];
	static unsigned int turn;
	char *p = path[turn++ % 2];
	FILE *f;

	snprintf(p, sizeof(path[0]), "%s/%s", unused_dir, name);
	f = fopen(p, "we");
	cr_assert_not_null(f);
	cr_assert_geq(fputs(text, f), 0);
	cr_assert_eq(fclose(f), 0);
	return p;
}

/* Of the jail a rule for all, of the disk's process one that is masked and one that is not. */
static void make_policies(void)
{
	static const char *const others[] = { "jailer", "supervisor", "net", "vsock", "vmm-main",
					      "vmm-vcpu" };
	char name[32];

	cr_assert_not_null(mkdtemp(unused_dir));
	write_file("jail.policy", "close # c\nread # r\nfallocate # f\n");
	write_file("blk.policy", "read fd >= BLK_DISK && len < 16 # r\n"
				 "fallocate mode == FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE "
				 "when discard && writable # f\n");
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
		snprintf(name, sizeof(name), "%s.policy", others[i]);
		write_file(name, "close # c\n");
	}
	cr_assert(used_policies_load(&policies, unused_dir));
}

/* One call of each rule of all policies but the disk's. */
static size_t others_called(char *text, size_t size)
{
	size_t n = (size_t)snprintf(text, size, "masks %" PRIx64 "\n", used_fingerprint(&policies));

	for (int kind = 0; kind < USED_KINDS; kind++) {
		if (kind != USED_BLK)
			n += (size_t)snprintf(text + n, size - n, "%d %d 0 0 0 0 0 0 1\n", kind, SYS_close);
	}
	n += (size_t)snprintf(text + n, size - n, "%d %d 0 0 0 0 0 0 1\n", USED_JAIL, SYS_read);
	return n + (size_t)snprintf(text + n, size - n, "%d %d 0 0 0 0 0 0 1\n", USED_JAIL,
				    SYS_fallocate);
}

/* Compares @list with a record of others_called() and @calls.  The exit status; what was printed is
 * in @printed. */
static int compared_to(const char *list, const char *calls)
{
	char record[4096], listfile[128], self[] = "unused";
	char *argv[] = { self, unused_dir, listfile, NULL, NULL };
	size_t n = others_called(record, sizeof(record));
	int out = memfd_create("out", 0), kept = dup(1), status;
	ssize_t len;

	snprintf(record + n, sizeof(record) - n, "%s", calls);
	snprintf(listfile, sizeof(listfile), "%s", write_file("list", list));
	argv[3] = (char *)(uintptr_t)write_file("record", record);
	fflush(stdout);
	dup2(out, 1);
	status = unused_main(4, argv);
	fflush(stdout);
	dup2(kept, 1);
	len = pread(out, printed, sizeof(printed) - 1, 0);
	cr_assert_gt(len, 0);
	printed[len] = '\0';
	close(out);
	close(kept);
	return status;
}

#define READ_CALL "3 0 d 0 0 0 0 0 7\n"
#define PUNCH_CALL "3 285 0 3 0 0 0 0 2\n"
#define END "lost 0\n"
#define PUNCH_RULE \
	"blk.policy: fallocate mode == FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE when writable && discard"

static char *list_of(const char *before, const char *rule)
{
	static char text[TEXT];

	snprintf(text, sizeof(text), "# comment\n\n%s%s/%s\n", before, unused_dir, rule);
	return text;
}

TestSuite(unused, .init = make_policies);

Test(unused, what_was_needed_needs_no_line)
{
	cr_assert_eq(compared_to("# nothing\n", READ_CALL PUNCH_CALL END), 0, "%s", printed);
	cr_assert_not_null(strstr(printed, "10 passed, 0 failed, 0 skipped"));
	cr_assert_not_null(strstr(printed, "blk.policy: 2 of 2 rules"));
}

Test(unused, what_nothing_needed_needs_a_line)
{
	cr_assert_eq(compared_to("", READ_CALL END), 1);
	cr_assert_not_null(strstr(printed, PUNCH_RULE " (line 2): nothing needed it"), "%s", printed);
	cr_assert_not_null(strstr(printed, "9 passed, 1 failed"));
	cr_assert_eq(compared_to(list_of("", PUNCH_RULE " # none"), READ_CALL END), 0, "%s", printed);
	cr_assert_eq(compared_to(list_of("maybe  ", PUNCH_RULE " # t"), READ_CALL END), 0, "%s", printed);
}

Test(unused, a_line_for_what_was_needed_is_wrong)
{
	cr_assert_eq(compared_to(list_of("", PUNCH_RULE " # wrong"), READ_CALL PUNCH_CALL END), 1);
	cr_assert_not_null(strstr(printed, "needed by 2 calls, but in line 3 of the list"), "%s", printed);
	cr_assert_eq(compared_to(list_of("maybe ", PUNCH_RULE " # timing"), READ_CALL PUNCH_CALL END), 0);
}

Test(unused, a_line_has_a_reason_and_a_rule)
{
	cr_assert_eq(compared_to(list_of("", PUNCH_RULE " #  "), READ_CALL END), 1);
	cr_assert_not_null(strstr(printed, "no reason"));
	cr_assert_eq(compared_to(list_of("", PUNCH_RULE), READ_CALL END), 1);
	cr_assert_not_null(strstr(printed, "no reason"));
	cr_assert_eq(compared_to(list_of("", "blk.policy: write # gone"), READ_CALL PUNCH_CALL END), 1);
	cr_assert_not_null(strstr(printed, "there is no such rule"));
}

Test(unused, a_rule_is_not_listed_twice)
{
	char twice[2 * TEXT];

	snprintf(twice, sizeof(twice), "%s", list_of("", PUNCH_RULE " # once"));
	strncat(twice, list_of("maybe ", PUNCH_RULE " # twice"), TEXT);
	cr_assert_eq(compared_to(twice, READ_CALL END), 1);
	cr_assert_not_null(strstr(printed, "is there twice"), "%s", printed);
}

Test(unused, a_record_that_is_not_whole_is_refused)
{
	cr_assert_eq(compared_to("", READ_CALL PUNCH_CALL), 1);
	cr_assert_not_null(strstr(printed, "without an end"));
	cr_assert_eq(compared_to("", READ_CALL PUNCH_CALL "lost 3\n"), 1);
	cr_assert_not_null(strstr(printed, "3 calls were not counted"));
	cr_assert_eq(compared_to("", READ_CALL PUNCH_CALL "3 0 b\n" END), 1);
	cr_assert_not_null(strstr(printed, "not a record"));
}

Test(unused, a_record_of_other_policies_is_refused)
{
	cr_assert_eq(compared_to("", "masks 1\n" READ_CALL PUNCH_CALL END), 1);
	cr_assert_not_null(strstr(printed, "made with other policies"));
}

/* Were a call counted under a policy that it was not made under, the numbers would be worth nothing. */
Test(unused, a_call_that_its_policy_does_not_have_is_refused)
{
	cr_assert_eq(compared_to("", READ_CALL PUNCH_CALL "3 3 0 0 0 0 0 0 1\n" END), 1);
	cr_assert_not_null(strstr(printed, "no rule allows it"));
	cr_assert_eq(compared_to("", READ_CALL PUNCH_CALL "3 0 3 0 0 0 0 0 1\n" END), 1);
	cr_assert_not_null(strstr(printed, "no rule allows it"));
}

Test(unused, both_filters_over_a_thread_count)
{
	write_file("jail.policy", "close # c\nread # r\n");
	cr_assert(used_policies_load(&policies, unused_dir));
	/* blk.policy has it, jail.policy does not. */
	cr_assert_eq(compared_to("", READ_CALL PUNCH_CALL END), 1);
	cr_assert_not_null(strstr(printed, "no rule allows it"));
}

Test(unused, masks_keep_what_a_rule_looks_at)
{
	struct used_mask m = used_mask_of(&policies, USED_BLK, SYS_read);

	cr_assert_eq(m.arg[0], UINT64_MAX);		/* fd >= BLK_DISK */
	cr_assert_eq(m.arg[1], 0);
	cr_assert_eq(m.arg[2], ~UINT64_C(15));		/* len < 16 */
	m = used_mask_of(&policies, USED_BLK, SYS_close);
	cr_assert_eq(m.arg[0], 0);
	cr_assert_eq(used_coarse(USED_BLK), USED_JAIL);
	cr_assert_eq(used_coarse(USED_SUPERVISOR), USED_JAILER);
	cr_assert_eq(used_coarse(USED_JAIL), USED_JAIL);
}

/* Whether they are unused only a test host can tell. */
Test(unused, lines_of_the_real_list_are_real_rules)
{
	char rule[TEXT];

	cr_assert(used_policies_load(&policies, "policy"));
	claim_ok = true;
	read_list("tests/policy/unused-rules");
	for (int kind = 0; kind < USED_KINDS; kind++) {
		for (size_t i = 0; i < policies.of[kind].policy.nrules; i++) {
			rule_text(rule, &policies.of[kind], &policies.of[kind].policy.rule[i]);
			(void)find_listed(rule);
		}
	}
	check_found("tests/policy/unused-rules");
	cr_assert_eq(unused_failed, 0);
}
