/* SPDX-License-Identifier: Apache-2.0 */
/* doctor_admin.c: what is the administrator's to see to: that nobody else has the machines' user
 * ids, and what becomes of output that is kept. */
#include "cli/doctor_host.h"
#include "cli/run_dir.h"
#include "cli/walls_text.h"
#include "jailer/config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The ids of all machines that root may run at a time: first, and first beyond. */
static const uint64_t ours_from = CONFIG_UID_BASE;
static const uint64_t ours_end = CONFIG_UID_BASE + (uint64_t)RUN_IDS * CONFIG_UIDS;

/* Field @n of the line at @at, fields separated by ':', as a number. */
static bool field(const char *at, unsigned n, uint64_t *value)
{
	char *stop;

	for (; n > 0; n--) {
		at += strcspn(at, ":\n");
		if (*at != ':')
			return false;
		at++;
	}
	*value = strtoull(at, &stop, 10);
	return stop != at && (*stop == ':' || *stop == '\n' || *stop == 0);
}

/* The first line of @text that has an id of ours: NAME:x:ID or, with @ranges, NAME:FROM:COUNT. */
static const char *taken(const char *text, bool ranges)
{
	for (const char *line = text; line != NULL && *line != 0;
	     line = strchr(line, '\n') != NULL ? strchr(line, '\n') + 1 : NULL) {
		uint64_t from, count = 1;

		if (!field(line, ranges ? 1 : 2, &from) || (ranges && !field(line, 2, &count)))
			continue;
		if (from < ours_end && (from >= ours_from || count > ours_from - from))
			return line;
	}
	return NULL;
}

static void ids(const struct doctor_host *h, struct advices *to)
{
	static const char why[] = "each process of root's machines has a user id of its own; whoever "
				  "else has that id can signal it, and owns what it owns";
	static const char fix[] = "give the account or the range in that file other numbers";
	static const struct {
		const char *file;
		bool ranges;
	} files[] = {
		{ "passwd", false }, { "group", false }, { "subuid", true }, { "subgid", true },
	};

	for (size_t i = 0; i < array_len(files); i++) {
		int err;
		char *text = walls_text(h->etc, files[i].file, &err);
		const char *line = text != NULL ? taken(text, files[i].ranges) : NULL;

		if (line != NULL)
			advise(to, "user ids of machines", ADVICE_GIVEN, why, fix, "/etc/%s: %.*s",
			       files[i].file, (int)strcspn(line, "\n"), line);
		else if (text == NULL && err != ENOENT)
			advise(to, "user ids of machines", ADVICE_UNKNOWN, why, fix, "/etc/%s: %s",
			       files[i].file, strerror(err));
		free(text);
		if (line != NULL || (text == NULL && err != ENOENT))
			return;
	}
	advise(to, "user ids of machines", ADVICE_OK, why, fix, "%llu to %llu, and nobody else's",
	       (unsigned long long)ours_from, (unsigned long long)ours_end - 1);
}

/* Told, because nobody can test it from here. */
static void output(struct advices *to)
{
	advise(to, "output that is kept", ADVICE_UNKNOWN, "immure bounds the log and --console to so much a "
	       "second, but not for ever, and COMMAND's own output not at all",
	       "give immure's standard output and error to something that rotates or limits them",
	       "cannot be told from here");
}

/* What immure does of itself about two things that other checklists ask of a host. */
static void defaults(bool root, struct advices *to)
{
	advise(to, "metadata service", root ? ADVICE_OK : ADVICE_GIVEN,
	       "a guest that reaches a cloud's metadata service can take the host's credentials",
	       "without root: --net user, or a tap whose rules drop 169.254.0.0/16 and fd00:ec2::254",
	       "%s", root ? "no machine of root's reaches it: the packet wall, unless wall=off"
			  : "no packet wall before the taps of machines without root");
	advise(to, "guest's serial port", ADVICE_OK, "a console that writes without end fills disks",
	       "start machines without --console", "%s",
	       "off, unless a machine is started with --console; then so much a second");
}

void advise_admin(const struct doctor_host *h, struct advices *to)
{
	ids(h, to);
	defaults(geteuid() == 0, to);
	output(to);
}
