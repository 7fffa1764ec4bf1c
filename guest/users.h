/* SPDX-License-Identifier: Apache-2.0 */
/* users.h: who the command runs as, from the image's own /etc/passwd and /etc/group.
 *
 * Read by hand: the C library's lookup would load name-service modules of an image that may
 * have none, or hostile ones. */
#ifndef IMMURE_GUEST_USERS_H
#define IMMURE_GUEST_USERS_H

#include "guest/fail.h"

enum { USERS_GROUPS = 256, USERS_HOME = 256, USERS_FILE = 1024 * 1024 };

struct identity {
	uint32_t uid, gid;
	uint32_t groups[USERS_GROUPS];	/* supplementary */
	size_t ngroups;
	char home[USERS_HOME];		/* "/" when the image does not say */
};

/* Fills @id for @spec: "", "name", "uid", "name:group" or "uid:gid".  A name must be in
 * /etc/passwd (a group in /etc/group); a number need not.  Without ":group" the groups that
 * list the user are added.  Returns 0, or -1 with @f filled. */
must_check int users_lookup(struct identity *id, const char *spec, struct fail *f);

#endif
