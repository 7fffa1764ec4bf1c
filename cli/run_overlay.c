/* SPDX-License-Identifier: Apache-2.0 */
/* run_overlay.c: what --disk says about an overlay: the words, the file, the configuration. */
#include "cli/run_overlay.h"
#include "cli/run_values.h"
#include "cli/say.h"
#include "core/overlay.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool run_overlay_word(struct run_disk *d, char *word)
{
	if (strncmp(word, "limit=", 6) == 0)
		return value_size(word + 6, &d->overlay_limit) &&
		       d->overlay_limit >= OVERLAY_CLUSTER && d->overlay_limit <= OVERLAY_BASE_MAX;
	if (strcmp(word, "overlay") != 0 && (strncmp(word, "overlay=", 8) != 0 || word[8] == '\0'))
		return false;
	d->overlay = true;
	d->overlay_path = word[7] == '=' ? word + 8 : NULL;
	return true;
}

const char *run_overlay_wrong(const char *word)
{
	if (strcmp(word, "overlay=") == 0)
		return "overlay names a file, or stands alone";
	if (strncmp(word, "limit=", 6) == 0)
		return "an overlay's limit is a size of 64K to 1T";
	return NULL;
}

const char *run_overlay_clash(const struct run_disk *d)
{
	if (!d->overlay)
		return d->overlay_limit != 0 ? "limit is an overlay's" : NULL;
	if (d->readonly)
		return "an overlay is there to be written: ro or overlay";
	if (d->grow != 0)
		return "an overlay's base has one size: grow or overlay";
	return d->direct ? "an overlay goes by way of the host's cache: cache=direct or overlay" : NULL;
}

/* The file's directory is looked up here, its own name is left to the jailer. */
static int absolute(const char *given, char *path, size_t size)
{
	const char *slash = strrchr(given, '/'), *base = slash ? slash + 1 : given;
	char dir[PATH_MAX], real[PATH_MAX];
	int n = snprintf(dir, sizeof(dir), "%.*s", slash ? (int)(base - given) : 1,
			 slash ? given : ".");

	if (!base[0] || n < 0 || (size_t)n >= sizeof(dir)) {
		say_error("--disk: overlay=%s: not the path of a file", given);
		return -1;
	}
	if (!realpath(dir, real)) {
		say_error("--disk: overlay=%s: directory %s: %s", given, dir, strerror(errno));
		return -1;
	}
	n = snprintf(path, size, "%s/%s", strcmp(real, "/") == 0 ? "" : real, base);
	if (n < 0 || (size_t)n >= size) {
		say_error("--disk: overlay=%s: path too long", given);
		return -1;
	}
	return 0;
}

int run_overlay_paths(const struct run_options *o, char (*paths)[4096])
{
	for (unsigned i = 0; i < o->ndisks; i++) {
		paths[i][0] = '\0';
		if (o->disk[i].overlay_path &&
		    absolute(o->disk[i].overlay_path, paths[i], sizeof(paths[i])) < 0)
			return -1;
	}
	return 0;
}

bool run_overlay_json(json_t *disk, const struct run_disk *d, const char *path)
{
	if (!d->overlay)
		return true;
	if (json_object_set_new(disk, "overlay", json_true()) < 0)
		return false;
	if (d->overlay_path && json_object_set_new(disk, "overlay_path", json_string(path)) < 0)
		return false;
	return d->overlay_limit == 0 ||
	       json_object_set_new(disk, "overlay_limit", json_integer((json_int_t)d->overlay_limit)) == 0;
}
