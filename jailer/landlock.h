/* SPDX-License-Identifier: Apache-2.0 */
/* landlock.h: no file, no TCP port, no signal or abstract socket outside (landlock(7)). */
#ifndef IMMURE_JAILER_LANDLOCK_H
#define IMMURE_JAILER_LANDLOCK_H

#include "core/base.h"

/* Rights of include/uapi/linux/landlock.h that this program grants somewhere. */
#define LANDLOCK_EXECUTE     (1ull << 0)
#define LANDLOCK_READ_FILE   (1ull << 2)
#define LANDLOCK_REMOVE_DIR  (1ull << 4)
#define LANDLOCK_REMOVE_FILE (1ull << 5)

/* An exception: @access to what lies at and below @fd. */
struct landlock_allow {
	int fd;
	uint64_t access;
};

enum landlock_scope {
	LANDLOCK_SCOPE_ALL,		/* neither abstract sockets nor signals leave */
	LANDLOCK_SCOPE_SIGNALS_PASS,	/* for the supervisor, which kills the others */
};

/* What the kernel offers: its ABI version, or 0 when Landlock is absent or off. */
int landlock_abi(void);

/* All file system rights that exist in @abi.  Pure. */
uint64_t landlock_fs_rights(int abi);

/* Denies the calling thread, for ever, everything that @abi can deny, apart from the @n
 * entries of @allow.  @abi 0: does nothing.  Needs no_new_privs.  Returns 0 or -errno. */
must_check int landlock_deny(int abi, enum landlock_scope scope,
			     const struct landlock_allow *allow, size_t n);

#endif
