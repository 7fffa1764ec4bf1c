/* SPDX-License-Identifier: Apache-2.0 */
/* run_open.c: the attempts that are known to succeed when one layer is left out. */
#include "tests/escape/run.h"

#include <stdio.h>
#include <string.h>

enum { OPEN_MAX = 512 };

struct line {
	char layer[24], kinds[48];
	unsigned number, sub;
	enum open_row how;
};

static struct line lines[OPEN_MAX];
static size_t nlines;

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
	l->how = OPEN;
	if (strcmp(when, "maybe") == 0)
		l->how = MAYBE_OPEN;
	else if (strcmp(when, rootless ? "root" : "rootless") == 0)
		return true;
	else if (strcmp(when, "always") != 0 && strcmp(when, "root") != 0 && strcmp(when, "rootless") != 0) {
		printf("open-rows:%u: when is \"%s\"?\n", at, when);
		return false;
	}
	nlines++;
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
