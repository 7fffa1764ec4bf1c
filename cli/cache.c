/* SPDX-License-Identifier: Apache-2.0 */
/* cache.c: finds the cache and makes its directories. */
#include "cli/cache.h"
#include "cli/say.h"

#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int cache_root(char *path, size_t size)
{
	const char *dir = getenv("IMMURE_CACHE");
	const char *home = getenv("HOME");
	int n;

	if (dir && *dir)
		n = snprintf(path, size, "%s", dir);
	else if (geteuid() == 0)
		n = snprintf(path, size, "/var/cache/immure");
	else if ((dir = getenv("XDG_CACHE_HOME")) != NULL && *dir == '/')
		n = snprintf(path, size, "%s/immure", dir);
	else if (home && *home == '/')
		n = snprintf(path, size, "%s/.cache/immure", home);
	else {
		say_error("no place for the cache: HOME is not set");
		say_hint("set IMMURE_CACHE to a directory");
		return -1;
	}
	if (path[0] != '/' || n < 0 || (size_t)n >= size) {
		say_error("cache directory '%s' is not an absolute path of usable length", path);
		return -1;
	}
	return 0;
}

/* mkdir -p, one component after the other. */
static int make_path(char *path)
{
	for (char *slash = path; slash != NULL;) {
		slash = strchr(slash + 1, '/');
		if (slash)
			*slash = '\0';
		if (mkdir(path, 0700) != 0 && errno != EEXIST) {
			say_error("cannot make the cache directory %s: %s", path, strerror(errno));
			say_hint("set IMMURE_CACHE to a directory you may write to");
			return -1;
		}
		if (slash)
			*slash = '/';
	}
	return 0;
}

static bool others_may_write(const struct stat *st)
{
	return (st->st_uid != geteuid() && st->st_uid != 0) ||
	       (!S_ISLNK(st->st_mode) && (st->st_mode & 022));
}

/* What lies in the cache is booted, and made with our rights: nobody else may put it there, nor
 * say where it is. */
static int check_owner(const char *path)
{
	struct stat own, target;

	if (lstat(path, &own) != 0 || stat(path, &target) != 0) {
		say_error("cache directory %s: %s", path, strerror(errno));
		return -1;
	}
	if (!others_may_write(&own) && !others_may_write(&target))
		return 0;
	say_error("cache directory %s: others than you may write to it (user %u, mode %o)", path,
		  (unsigned)target.st_uid, (unsigned)target.st_mode & 07777);
	say_hint("make it yours and nobody else's, or set IMMURE_CACHE to a directory of your own");
	return -1;
}

int cache_dir(const char *sub, char *path, size_t size)
{
	char root[PATH_MAX];
	int n;

	if (cache_root(root, sizeof(root)) != 0)
		return -1;
	n = snprintf(path, size, "%s/%s", root, sub);
	if (n < 0 || (size_t)n >= size) {
		say_error("cache directory '%s': path too long", root);
		return -1;
	}
	return make_path(path) == 0 && check_owner(root) == 0 ? check_owner(path) : -1;
}
