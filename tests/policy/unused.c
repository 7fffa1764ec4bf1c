/* SPDX-License-Identifier: Apache-2.0 */
/* unused.c: which rules did nothing need while the end-to-end suite ran?
 *
 *   unused [--table] POLICIES LIST RECORDS...
 *
 * POLICIES is the directory of the policy files, RECORDS what tests/policy/used.c wrote.  LIST has
 * a line for each rule that no recorded call needed, "FILE: RULE # REASON"; in front of it "maybe"
 * if that depends on timing or on the host.  It is compared both ways.  Prints TAP lines, with
 * --table before them how many calls each rule let pass. */
#include "tests/policy/used_policies.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

enum { LISTED = 256, TEXT = 512 };

struct unused_line {
	unsigned int line;
	bool maybe, found;
	char rule[TEXT];	/* "FILE: RULE" */
};

static struct used_policies policies;
static struct unused_line listed[LISTED];
static size_t nlisted;
static unsigned int unused_passed, unused_failed;
static bool claim_ok;	/* what is said of the claim being checked */

static void wrong(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

static void wrong(const char *fmt, ...)
{
	va_list ap;

	claim_ok = false;
	fputs("# ", stdout);
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	putchar('\n');
}

static void conclude(const char *claim)
{
	printf("%sok - %s\n", claim_ok ? "" : "not ", claim);
	unused_passed += claim_ok;
	unused_failed += !claim_ok;
	claim_ok = true;
}

static void append(char *text, const char *between, const char *what)
{
	size_t len = strlen(text);

	snprintf(text + len, TEXT - len, "%s%s", between, what);
}

/* As the list has it: "policy/blk.policy: fdatasync fd == BLK_DISK when writable". */
static void rule_text(char *text, const struct used_policy *u, const struct policy_rule *r)
{
	snprintf(text, TEXT, "%s: %s", u->path, r->name);
	for (unsigned int c = 0; c < r->nconds; c++)
		append(text, c ? " && " : " ", r->cond[c].text);
	for (unsigned int bit = 1, n = 0; bit <= r->when; bit <<= 1) {
		if ((r->when & bit) != 0)
			append(text, n++ ? " && " : " when ", policy_word_name(bit));
	}
}

/* ---- records ---- */

static bool satisfies(const struct policy_rule *r, int nr, const uint64_t args[6])
{
	static struct policy one;

	one.nrules = 1;
	one.rule[0] = *r;
	return policy_allows(&one, nr, args);
}

/* Counts a call for the rules of one policy that lies over it.  False: there is none. */
static bool use(struct used_policy *u, int nr, const uint64_t args[6], uint64_t count)
{
	bool any = false;

	for (size_t i = 0; i < u->policy.nrules; i++) {
		if (satisfies(&u->policy.rule[i], nr, args)) {
			u->calls[i] += count;
			any = true;
		}
	}
	return any;
}

static bool use_everywhere(unsigned int kind, int nr, const uint64_t args[6], uint64_t count)
{
	enum used_kind coarse = used_coarse((enum used_kind)kind);
	bool tight = use(&policies.of[kind], nr, args, count);

	return tight && (coarse == kind || use(&policies.of[coarse], nr, args, count));
}

/* A line of a record.  A call that the policy it was counted under does not have means that calls
 * were counted under the wrong one, and all numbers are worth nothing. */
static void read_call(const char *path, const char *line)
{
	unsigned int kind;
	uint64_t a[6], count;
	int nr;

	if (sscanf(line, "%u %d %" SCNx64 " %" SCNx64 " %" SCNx64 " %" SCNx64 " %" SCNx64 " %" SCNx64
		   " %" SCNu64, &kind, &nr, &a[0], &a[1], &a[2], &a[3], &a[4], &a[5], &count) != 9 ||
	    kind >= USED_KINDS) {
		wrong("%s: not a record: %s", path, line);
		return;
	}
	if (!use_everywhere(kind, nr, a, count))
		wrong("%s: under %s, but no rule allows it: %s (call %s)", path,
		      policies.of[kind].path, line, policy_syscall_name(nr));
}

static void read_record(const char *path)
{
	FILE *f = fopen(path, "re");
	char line[256];
	uint64_t masks = 0, lost = 0;
	size_t calls = 0;
	bool ended = false;

	if (!f) {
		wrong("%s: %s", path, strerror(errno));
		return;
	}
	while (fgets(line, sizeof(line), f)) {
		line[strcspn(line, "\n")] = '\0';
		if (sscanf(line, "masks %" SCNx64, &masks) == 1)
			continue;
		if (sscanf(line, "lost %" SCNu64, &lost) == 1) {
			ended = true;
			continue;
		}
		calls++;
		read_call(path, line);
	}
	fclose(f);
	if (masks != used_fingerprint(&policies))
		wrong("%s: made with other policies than these", path);
	if (!ended || calls == 0)
		wrong("%s: empty, or without an end", path);
	if (lost != 0)
		wrong("%s: %" PRIu64 " calls were not counted", path, lost);
}

/* ---- the list ---- */

/* Runs of white space become one space, those at the ends nothing. */
static void squeeze(char *text)
{
	char *to = text;

	for (const char *p = text; *p; p++) {
		if (!isspace((unsigned char)*p))
			*to++ = *p;
		else if (to > text && to[-1] != ' ')
			*to++ = ' ';
	}
	while (to > text && to[-1] == ' ')
		to--;
	*to = '\0';
}

static void read_line(const char *path, unsigned int number, char *line)
{
	struct unused_line *l = &listed[nlisted];
	char *reason = strchr(line, '#');
	const char *rule = line;

	if (reason)
		*reason++ = '\0';
	squeeze(line);
	if (*line == '\0')
		return;
	if (reason)
		squeeze(reason);
	if (!reason || *reason == '\0')
		wrong("%s:%u: no reason", path, number);
	if (nlisted == LISTED) {
		wrong("%s:%u: more than %d lines", path, number, LISTED);
		return;
	}
	l->line = number;
	l->found = false;
	l->maybe = strncmp(rule, "maybe ", 6) == 0;
	snprintf(l->rule, sizeof(l->rule), "%s", l->maybe ? rule + 6 : rule);
	nlisted++;
}

static void read_list(const char *path)
{
	FILE *f = fopen(path, "re");
	char line[TEXT];

	if (!f) {
		wrong("%s: %s", path, strerror(errno));
		return;
	}
	for (unsigned int number = 1; fgets(line, sizeof(line), f); number++)
		read_line(path, number, line);
	fclose(f);
}

static struct unused_line *find_listed(const char *rule)
{
	struct unused_line *found = NULL;

	for (size_t i = 0; i < nlisted; i++) {
		if (strcmp(listed[i].rule, rule) != 0)
			continue;
		if (found)
			wrong("line %u of the list is there twice", listed[i].line);
		listed[i].found = true;
		found = &listed[i];
	}
	return found;
}

/* ---- the comparison ---- */

static void compare(const struct used_policy *u)
{
	size_t used = 0;
	char claim[160], rule[TEXT];

	for (size_t i = 0; i < u->policy.nrules; i++) {
		const struct policy_rule *r = &u->policy.rule[i];
		const struct unused_line *l;

		rule_text(rule, u, r);
		l = find_listed(rule);
		used += u->calls[i] != 0;
		if (u->calls[i] == 0 && !l)
			wrong("%s (line %u): nothing needed it, and the list does not say why", rule,
			      r->line);
		if (u->calls[i] != 0 && l && !l->maybe)
			wrong("%s (line %u): needed by %" PRIu64 " calls, but in line %u of the list",
			      rule, r->line, u->calls[i], l->line);
	}
	snprintf(claim, sizeof(claim), "%s: %zu of %zu rules were needed, and the list has the others",
		 u->path, used, u->policy.nrules);
	conclude(claim);
}

static void print_table(const struct used_policy *u)
{
	char rule[TEXT];

	for (size_t i = 0; i < u->policy.nrules; i++) {
		rule_text(rule, u, &u->policy.rule[i]);
		printf("# %12" PRIu64 "  %s\n", u->calls[i], rule);
	}
}

static void check_found(const char *path)
{
	for (size_t i = 0; i < nlisted; i++) {
		if (!listed[i].found)
			wrong("%s:%u: there is no such rule: %s", path, listed[i].line, listed[i].rule);
	}
	conclude("each line of the list is a rule that is there, once, with a reason");
}

int main(int argc, char *argv[])
{
	bool table = argc > 1 && strcmp(argv[1], "--table") == 0;
	char **arg = argv + 1 + table;
	bool read_well;

	if (argc - table < 4) {
		fputs("usage: unused [--table] POLICIES LIST RECORDS...\n", stderr);
		return 2;
	}
	memset(listed, 0, sizeof(listed));
	nlisted = 0;
	unused_passed = unused_failed = 0;
	claim_ok = true;
	if (!used_policies_load(&policies, arg[0]))
		return 2;
	for (char **record = arg + 2; *record; record++)
		read_record(*record);
	conclude("every call that was made is one that a rule over its thread allows");
	read_list(arg[1]);
	read_well = claim_ok;
	for (int kind = 0; kind < USED_KINDS && table; kind++)
		print_table(&policies.of[kind]);
	claim_ok = true;
	for (int kind = 0; kind < USED_KINDS; kind++)
		compare(&policies.of[kind]);
	claim_ok = read_well;
	check_found(arg[1]);
	printf("%u passed, %u failed, 0 skipped\n", unused_passed, unused_failed);
	return unused_failed != 0;
}
