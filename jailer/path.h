/* SPDX-License-Identifier: Apache-2.0 */
/* path.h: the only way in which the jailer opens anything by name. */
#ifndef IMMURE_JAILER_PATH_H
#define IMMURE_JAILER_PATH_H

#include "core/base.h"

#include <linux/openat2.h>

enum {
	/* What the kernel or the host's administrator made: /proc, /sys. */
	PATH_HOST = RESOLVE_NO_MAGICLINKS,
	/* The same, of which we know that no link leads there. */
	PATH_HOST_DIRECT = RESOLVE_NO_MAGICLINKS | RESOLVE_NO_SYMLINKS,
	/* Below a directory that we hold. */
	PATH_BELOW = RESOLVE_NO_MAGICLINKS | RESOLVE_NO_SYMLINKS | RESOLVE_BENEATH,
};

/* openat2() with RESOLVE_ bits @resolve, close-on-exec.  Returns a descriptor or -errno. */
must_check int path_open(int dir, const char *path, int flags, unsigned resolve);

/* Makes the file @name, mode 0600, directly below @dir, for reading and writing; whatever is there
 * already, a link too, is an error (-EEXIST).  Returns a descriptor or -errno. */
must_check int path_create(int dir, const char *name);

/* Opens absolute @path, named by the caller.  Symbolic links are followed only where nobody but
 * root and this user could have put them; for others, and for links of /proc, -ELOOP. */
must_check int path_open_named(const char *path, int flags);

/* What to tell the user about @err of path_open_named(), or @otherwise. */
const char *path_advice(int err, const char *otherwise);

#endif
