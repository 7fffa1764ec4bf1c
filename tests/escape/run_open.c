/* SPDX-License-Identifier: Apache-2.0 */
/* run_open.c: the attempts that are known to succeed when one layer is left out. */
#include "tests/escape/run.h"

#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>

enum { OPEN_MAX = 512 };

struct line {
	char layer[24], kinds[48];
	unsigned number, sub;
	enum open_row how;
};

static struct line lines[OPEN_MAX];
static size_t nlines;

bool kernel_before(unsigned major, unsigned minor)
{
	unsigned a = 0, b = 0;
	struct utsname u;

	return uname(&u) == 0 && sscanf(u.release, "%u.%u", &a, &b) == 2 &&
	       (a < major || (a == major && b < minor));
}

/* What a row means here; true and *@how, or false when @when is no word of ours. */
static bool read_when(char *when, bool rootless, enum open_row *how)
{
	char *older = strchr(when, '<');
	unsigned major, minor;
	bool here = true;

	if (older != NULL) {
		if (sscanf(older, "<%u.%u", &major, &minor) != 2)
			return false;
		here = kernel_before(major, minor);
		*older = 0;
	}
	*how = OPEN;
	if (strcmp(when, "maybe") == 0)
		*how = MAYBE_OPEN;
	else if (strcmp(when, "root") == 0)
		here = here && !rootless;
	else if (strcmp(when, "rootless") == 0)
		here = here && rootless;
	else if (strcmp(when, "always") != 0)
		return false;
	*how = here ? *how : NOT_OPEN;
	return true;
}

static bool take(char *text, unsigned at, bool rootless)
{
	struct line *l = &lines[nlines];
	char when[16], reason[8];

	if (text[0] == '#' || text[0] == '\n')
		return true;
	if (nlines == OPEN_MAX || sscanf(text, "%23s %47s %u.%u %15s %7s", l->layer, l->kinds, &l->number,
					 &l->sub, when, reason) != 6) {
		printf("open-rows:%u: not LAYER KINDS ATTEMPT WHEN REASON\n", at);
		return false;
	}
	if (!read_when(when, rootless, &l->how)) {
		printf("open-rows:%u: when is \"%s\"?\n", at, when);
		return false;
	}
	nlines += l->how != NOT_OPEN;
	return true;
}

bool open_rows_read(const char *path, bool rootless)
{
	FILE *f = fopen(path, "re");
	char text[400];
	bool ok = f != NULL;

	for (unsigned at = 1; f != NULL && fgets(text, sizeof(text), f) != NULL; at++)
		ok = take(text, at, rootless) && ok;
	if (f != NULL)
		fclose(f);
	return ok;
}

/* True when @name is in the comma-separated @list, or that is "*". */
static bool in_list(const char *list, const char *name)
{
	size_t n = strlen(name);

	if (strcmp(list, "*") == 0)
		return true;
	for (; *list != 0; list += strcspn(list, ","), list += *list == ',')
		if (strncmp(list, name, n) == 0 && (list[n] == ',' || list[n] == 0))
			return true;
	return false;
}

enum open_row open_rows_find(const char *layer, const struct kind *k, const struct row *r)
{
	enum open_row how = NOT_OPEN;

	for (size_t i = 0; i < nlines; i++) {
		const struct line *l = &lines[i];

		if (l->number != r->number || l->sub != r->sub || !in_list(l->layer, layer) ||
		    !in_list(l->kinds, k->name))
			continue;
		how = how == OPEN ? OPEN : l->how;
	}
	return how;
}
