/* SPDX-License-Identifier: Apache-2.0 */
/* landlock.h: no file, no port, no socket, no signal outside (landlock(7)). */
#ifndef IMMURE_JAILER_LANDLOCK_H
#define IMMURE_JAILER_LANDLOCK_H

#include "core/base.h"

/* Rights of include/uapi/linux/landlock.h that this program grants somewhere. */
#define LANDLOCK_EXECUTE     (1ull << 0)
#define LANDLOCK_READ_FILE   (1ull << 2)
#define LANDLOCK_REMOVE_DIR  (1ull << 4)
#define LANDLOCK_REMOVE_FILE (1ull << 5)
#define LANDLOCK_RESOLVE_UNIX (1ull << 16)	/* connect to a socket in the file system; ABI 9 */

/* An exception: @access to what lies at and below @fd. */
struct landlock_allow {
	int fd;
	uint64_t access;
};

enum landlock_scope {
	LANDLOCK_SCOPE_ALL,		/* everything that the kernel can deny */
	LANDLOCK_SCOPE_SIGNALS_PASS,	/* for the supervisor, which kills the others: what we know,
					 * without the scope of signals */
};

/* Rights, as bits, in the order of the kernel's struct landlock_ruleset_attr. */
struct landlock_rights {
	uint64_t fs;
	uint64_t net;		/* from ABI 4 */
	uint64_t scoped;	/* from ABI 6 */
};

/* What the kernel offers: its ABI version, or 0 when Landlock is absent or off. */
int landlock_abi(void);

/* The rights of @abi, as far as they are known here: to ABI 10.  Pure. */
struct landlock_rights landlock_rights(int abi);

/* Adds to @r what the running kernel knows beyond it, by asking. */
void landlock_ask(struct landlock_rights *r);

/* Denies the calling thread, for ever, what @scope says, apart from the @n entries of @allow.
 * @abi, of the running kernel, 0: does nothing.  Needs no_new_privs.  Returns 0 or -errno. */
must_check int landlock_deny(int abi, enum landlock_scope scope,
			     const struct landlock_allow *allow, size_t n);

#endif
