/* SPDX-License-Identifier: Apache-2.0 */
/* memfd.h: memory with a descriptor. */
#ifndef IMMURE_JAILER_MEMFD_H
#define IMMURE_JAILER_MEMFD_H

#include "core/base.h"

/* Makes an empty one, close-on-exec, that may be sealed and, where the kernel can say so, not
 * executed.  Returns it, or -1 with errno set. */
must_check int memfd_make(const char *name);

#endif
