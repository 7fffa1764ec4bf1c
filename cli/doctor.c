/* SPDX-License-Identifier: Apache-2.0 */
/* doctor.c: immure doctor: can this host do it, and if not, why and what to do.
 *
 * Nothing is concluded from processor flags, version numbers or configuration files: each check
 * does, in a child process, the thing that immure will do. */
#include "cli/doctor.h"
#include "cli/commands.h"
#include "cli/say.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

struct tally {
	unsigned missing, weaker;
};

static const char *const words[] = {
	[DOCTOR_OK] = "ok", [DOCTOR_MISSING] = "missing", [DOCTOR_WEAKER] = "weaker",
};

static void print_line(const struct doctor_check *c, enum doctor_result r, const char *detail)
{
	printf("%-8s %-28s %s\n", words[r], c->name, detail);
	if (r != DOCTOR_OK)
		printf("         why: %s\n         fix: %s\n", c->why, c->fix);
	fflush(stdout);
}

static void add_json(json_t *list, const struct doctor_check *c, enum doctor_result r,
		     const char *detail)
{
	json_array_append_new(list, json_pack("{s:s, s:s, s:s, s:s, s:s}", "check", c->name,
					      "result", words[r], "detail", detail, "why",
					      c->why, "fix", c->fix));
}

static void run_checks(const struct doctor_check *checks, size_t n, json_t *list,
		       struct tally *t)
{
	for (size_t i = 0; i < n; i++) {
		char detail[DOCTOR_DETAIL] = "";
		enum doctor_result r = checks[i].run(detail);

		say_clean(detail);
		t->missing += r == DOCTOR_MISSING;
		t->weaker += r == DOCTOR_WEAKER;
		if (list)
			add_json(list, &checks[i], r, detail);
		else
			print_line(&checks[i], r, detail);
	}
}

static int probe_guest_only(void)
{
	char detail[DOCTOR_DETAIL] = "";

	if (doctor_probe_guest(detail) == DOCTOR_OK)
		return 0;
	say_clean(detail);
	printf("%s\n", detail);
	return 1;
}

static int usage(FILE *out)
{
	fputs("usage: immure doctor [--json]\n"
	      "       immure doctor --probe-guest\n"
	      "\n"
	      "Tests by doing whether this host can run immure: KVM, a probe guest, namespaces,\n"
	      "control groups, seccomp, Landlock.  Says for each what it is for and how to get it.\n"
	      "Exit status 0: nothing is missing; 1: something is.\n"
	      "\n"
	      "  --json         one JSON object instead of lines\n"
	      "  --probe-guest  only run the probe guest: status 0 when a Linux guest can run here,\n"
	      "                 otherwise one line that says why not\n",
	      out);
	return out == stdout ? 0 : EXIT_IMMURE;
}

int cmd_doctor(int argc, char **argv)
{
	struct tally t = { 0, 0 };
	json_t *list = NULL;

	if (argc == 2 && strcmp(argv[1], "--help") == 0)
		return usage(stdout);
	if (argc == 2 && strcmp(argv[1], "--probe-guest") == 0)
		return probe_guest_only();
	if (argc == 2 && strcmp(argv[1], "--json") == 0)
		list = json_array();
	else if (argc != 1) {
		say_error("doctor: unknown argument '%s'", argv[1]);
		return usage(stderr);
	}
	run_checks(doctor_kvm_checks, doctor_kvm_count, list, &t);
	run_checks(doctor_jail_checks, doctor_jail_count, list, &t);
	if (list) {
		json_t *all = json_pack("{s:b, s:o}", "ok", t.missing == 0, "checks", list);

		json_dumpf(all, stdout, JSON_COMPACT);
		putchar('\n');
		json_decref(all);
	} else {
		printf("\n%s: %u missing, %u weaker\n",
		       t.missing == 0 ? "this host can run immure" : "this host cannot run immure",
		       t.missing, t.weaker);
	}
	return t.missing == 0 ? 0 : 1;
}
