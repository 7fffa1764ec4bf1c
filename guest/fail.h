/* SPDX-License-Identifier: Apache-2.0 */
/* fail.h: why something could not be done, in words for the person at the host.
 *
 * One struct travels down every set-up step; the first step that fails fills it and returns -1.
 * The text becomes the body of PROTO_FAILED, or a line in the kernel log while there is no
 * connection to the host yet. */
#ifndef IMMURE_GUEST_FAIL_H
#define IMMURE_GUEST_FAIL_H

#include "guest/proto.h"

enum { FAIL_TEXT = 512 };

struct fail {
	enum proto_fail kind;
	char text[FAIL_TEXT];	/* what failed and why; one line, always terminated */
};

/* Fills @f; returns -1, so that a step can end with `return fail(...)`. */
int fail(struct fail *f, enum proto_fail kind, const char *fmt, ...) printf_like(3, 4);

/* As fail(PROTO_FAIL_SETUP), followed by ": " and the name of @err, an errno value. */
int fail_errno(struct fail *f, int err, const char *fmt, ...) printf_like(3, 4);

/* Writes "immure-init: <text>" to the kernel log at level "error": the debug console shows it
 * even when the kernel is quiet.  Cut to 256 bytes; lost when there is no kernel log. */
void note(const char *fmt, ...) printf_like(1, 2);

#endif
