/* SPDX-License-Identifier: Apache-2.0 */
/* failure.c: one sentence about what went wrong. */
#include "jailer/failure.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static void append(struct failure *f, const char *s)
{
	size_t used = strlen(f->text);

	snprintf(f->text + used, sizeof(f->text) - used, ": %s", s);
}

int fail(struct failure *f, int err, const char *advice, const char *fmt, ...)
{
	const char *description = strerrordesc_np(err);
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(f->text, sizeof(f->text), fmt, ap);
	va_end(ap);
	if (err != 0)
		append(f, description != NULL ? description : "unknown error");
	if (advice != NULL)
		append(f, advice);
	return -1;
}
