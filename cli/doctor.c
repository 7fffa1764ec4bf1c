/* SPDX-License-Identifier: Apache-2.0 */
/* doctor.c: immure doctor: can this host do it, and if not, why and what to do.
 *
 * Nothing is concluded from processor flags, version numbers or configuration files: each check
 * does, in a child process, the thing that immure will do.  How the host should be set up besides
 * is advice (doctor_host.h), and counts only for who asks with --production. */
#include "cli/doctor.h"
#include "cli/commands.h"
#include "cli/doctor_host.h"
#include "cli/help.h"
#include "cli/say.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

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

struct options {
	bool json, production, probe, help;
};

static int parse(struct options *o, int argc, char **argv)
{
	*o = (struct options){ .json = false };
	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--json") == 0)
			o->json = true;
		else if (strcmp(argv[i], "--production") == 0)
			o->production = true;
		else if (strcmp(argv[i], "--probe-guest") == 0)
			o->probe = true;
		else if (strcmp(argv[i], "--help") == 0)
			o->help = true;
		else
			return say_error("doctor: unknown argument '%s'", argv[i]);
	}
	return 0;
}

static void print_json(json_t *list, const struct tally *t, const struct advices *advices)
{
	json_t *all = json_pack("{s:b, s:o, s:{s:b, s:o}, s:o}", "ok", t->missing == 0, "checks", list,
				"production", "ok", advices_given(advices) == 0, "checks",
				advices_json(advices), "rootless", rootless_json());

	json_dumpf(all, stdout, JSON_COMPACT);
	putchar('\n');
	json_decref(all);
}

static void print_end(const struct options *o, const struct tally *t, const struct advices *advices)
{
	printf("\n%s: %u missing, %u weaker\n",
	       t->missing == 0 ? "this host can run immure" : "this host cannot run immure",
	       t->missing, t->weaker);
	if (o->production) {
		printf("\nFor production, where strangers' programs run:\n\n");
		advices_print(advices);
		printf("\n%u of %u production checks advise something\n", advices_given(advices),
		       advices->n);
	} else {
		printf("%u of %u production checks advise something: immure doctor --production\n",
		       advices_given(advices), advices->n);
	}
	if (o->production || geteuid() != 0) {
		printf("\n");
		rootless_print();
	}
}

int cmd_doctor(int argc, char **argv)
{
	static struct advices advices;
	struct tally t = { 0, 0 };
	struct options o;
	json_t *list;

	if (parse(&o, argc, argv) != 0) {
		say_hint("immure doctor [--json] [--production] [--probe-guest]");
		return EXIT_IMMURE;
	}
	if (o.help)
		return help_print("doctor");
	if (o.probe)
		return probe_guest_only();
	list = o.json ? json_array() : NULL;
	run_checks(doctor_kvm_checks, doctor_kvm_count, list, &t);
	run_checks(doctor_jail_checks, doctor_jail_count, list, &t);
	advise_all(&advices);
	if (o.json)
		print_json(list, &t, &advices);
	else
		print_end(&o, &t, &advices);
	return doctor_status(t.missing, o.production, advices_given(&advices));
}
