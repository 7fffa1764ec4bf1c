/* SPDX-License-Identifier: Apache-2.0 */
/* kernel_store.h: the directory of imported kernels, <cache>/kernels.
 *
 * A kernel is made in a work directory beside the others and put in its place by rename, so
 * that nobody ever sees half of one.  Work directories are locked while somebody lives who
 * works in them; those of the dead are swept by the next import. */
#ifndef IMMURE_CLI_KERNEL_STORE_H
#define IMMURE_CLI_KERNEL_STORE_H

#include "cli/kernel.h"

#include <limits.h>

struct store_work {
	char root[PATH_MAX - 128];	/* <cache>/kernels */
	char dir[PATH_MAX];		/* the work directory; "": none */
	char made[PATH_MAX];		/* dir/new: becomes the kernel */
	char unpacked[PATH_MAX];	/* dir/package: scratch, not made yet */
	int lock;			/* of the work directory */
};

/* Letters, digits and "._+-", beginning with a letter or digit, at most KERNEL_NAME - 1. */
bool store_name_valid(const char *name);

/* All below return 0, or -1 after an error message. */

/* The path of <cache>/kernels, which is made when it is not there. */
must_check int store_root(char *root, size_t size);

/* Sweeps what the dead left, then makes a work directory.  store_end() is right in any case. */
must_check int store_begin(struct store_work *w);
must_check int store_put(const struct store_work *w, const char *file, const void *bytes,
			 size_t len);
/* Puts dir/new in place as kernel @name, replacing one that is there. */
must_check int store_commit(struct store_work *w, const char *name);
/* Removes the work directory. */
void store_end(struct store_work *w);

must_check int store_remove(const char *name);

/* Writes @file in @dir by way of a temporary name.  Returns 0 or -errno. */
must_check int store_replace(const char *dir, const char *file, const void *bytes, size_t len);

/* meta.json of a kernel as text (malloc), NULL when there is no memory; @init says which
 * immure-init is in the initramfs. */
char *store_meta_text(const struct kernel *k, const char *init);

/* Reads <dir>/meta.json into @k and @init (@size bytes).  False: not there or not ours. */
must_check bool store_meta_read(const char *dir, struct kernel *k, char *init, size_t size);

#endif
