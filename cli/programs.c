/* SPDX-License-Identifier: Apache-2.0 */
/* programs.c: see programs.h.  Never searches PATH: what the jailer's privileges are given to is
 * decided by where immure itself is. */
#include "cli/programs.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

bool program_find(const char *name, char *path, size_t size)
{
	static const char *const beside[] = { "", "../lib/immure/", "../libexec/immure/" };
	char self[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	char *slash;

	if (n < 0)
		return false;
	self[n] = '\0';
	slash = strrchr(self, '/');
	if (!slash)
		return false;
	slash[1] = '\0';
	for (size_t i = 0; i < array_len(beside); i++) {
		int len = snprintf(path, size, "%s%s%s", self, beside[i], name);

		if (len > 0 && (size_t)len < size && access(path, X_OK) == 0)
			return true;
	}
	return false;
}
