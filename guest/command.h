/* SPDX-License-Identifier: Apache-2.0 */
/* command.h: the user's command, from START to a running process. */
#ifndef IMMURE_GUEST_COMMAND_H
#define IMMURE_GUEST_COMMAND_H

#include "guest/fail.h"
#include "guest/start.h"
#include "guest/users.h"

#include <sys/types.h>

/* What becomes descriptors 0, 1 and 2 of the command.  With a terminal all three are its
 * slave. */
struct command_fds {
	int in, out, err;
	bool tty;
};

/* Starts @s as @id in a new session (and with the terminal as its controlling one), waits
 * until the program image was replaced, and returns its process id.  Adds PATH, HOME and TERM
 * to the environment where it lacks them.  Returns -1 with @f filled: NOTFOUND and NOEXEC as a
 * shell tells 127 from 126, SETUP for everything before.  Descriptors in @io stay open. */
must_check pid_t command_start(struct start *s, const struct identity *id,
			       const struct command_fds *io, struct fail *f);

#endif
