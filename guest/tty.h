/* SPDX-License-Identifier: Apache-2.0 */
/* tty.h: the pseudo-terminal of a command that was started with -t. */
#ifndef IMMURE_GUEST_TTY_H
#define IMMURE_GUEST_TTY_H

#include "guest/fail.h"

struct tty {
	int master, slave;
};

/* Opens a pair of @rows by @cols whose slave belongs to user @uid.  Needs /dev/pts.  Returns 0,
 * or -1 with @f filled and nothing open. */
must_check int tty_open(struct tty *t, uint16_t rows, uint16_t cols, uint32_t uid,
			struct fail *f);

/* The host's window changed; the foreground process group gets SIGWINCH from the kernel. */
void tty_resize(const struct tty *t, uint16_t rows, uint16_t cols);

#endif
