/* SPDX-License-Identifier: Apache-2.0 */
/* run_dir.h: one directory a running machine, and a number that is its own.
 *
 *   <parent>/NAME/lock, vsock.sock, vsock.sock_1024, ...
 *
 * parent is /run/immure for root, else $XDG_RUNTIME_DIR/immure, else /tmp/immure-UID.  The
 * file "lock" is locked (flock), and for root a byte of /run/immure.ids, as long as the `immure run`
 * that made it or its machine lives: the supervisor inherits both descriptors.  (Not the directory
 * itself: a descriptor of that would be a way to the rest of the file system.)  A directory whose
 * file is not locked belongs to nobody and is swept by the next run. */
#ifndef IMMURE_CLI_RUN_DIR_H
#define IMMURE_CLI_RUN_DIR_H

#include "core/base.h"

enum {
	RUN_NAME = 65,
	RUN_PATH = 92,		/* leaves room for "/vsock.sock_1027" in a socket's address */
	RUN_IDS = 1 << 20,	/* machines that root may run at a time */
};

struct run_dir {
	char name[RUN_NAME];
	char path[RUN_PATH];
	int parent;		/* descriptors; -1: not there */
	int fd;			/* of the directory */
	int lock;		/* holds the lock of the name */
	int ids;		/* holds the lock of the number */
	uint32_t id;		/* root: unique among running machines; else 0 */
};

/* Sweeps what dead runs left, then makes the directory of machine @name (NULL: a made-up name)
 * and takes the lowest free number.  Returns 0, or -1 after an error message; run_dir_remove()
 * is right in either case. */
must_check int run_dir_make(struct run_dir *d, const char *name);

/* Where run_dir_make() would put machine @name, without making anything.  Returns 0, or -1 after an
 * error message. */
must_check int run_dir_path(const char *name, char *path, size_t size);

/* The names of directories that are there, sorted, at most @max; not all of them need be of
 * running machines.  Returns how many. */
unsigned run_dir_names(char (*names)[RUN_NAME], unsigned max);

/* Is there a @file in the directory of machine @name? */
must_check bool run_dir_has(const char *name, const char *file);

/* Removes the directory with the sockets in it, and gives the number back. */
void run_dir_remove(struct run_dir *d);

/* Gives up all three without removing anything: a supervisor that waits for processes still has
 * them. */
void run_dir_leave(struct run_dir *d);

#endif
