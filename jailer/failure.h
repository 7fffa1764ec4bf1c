/* SPDX-License-Identifier: Apache-2.0 */
/* failure.h: why a VM could not be built, as one sentence for a person.
 *
 * Every step before the first process runs returns 0, or -1 with a struct failure filled in:
 * what was tried, what the kernel said, what to do next. */
#ifndef IMMURE_JAILER_FAILURE_H
#define IMMURE_JAILER_FAILURE_H

#include "core/base.h"

enum { FAILURE_TEXT = 640 };

struct failure {
	char text[FAILURE_TEXT];	/* "" until something failed */
};

/* Writes "<what>[: <errno text>][: <advice>]" to @f, where <what> is @fmt formatted.  @err is
 * an errno value or 0 for none, @advice NULL for none.  Returns -1, always, so that a step can
 * end with `return fail(...)`. */
int fail(struct failure *f, int err, const char *advice, const char *fmt, ...)
	printf_like(4, 5);

#endif
