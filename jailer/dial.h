/* SPDX-License-Identifier: Apache-2.0 */
/* dial.h: connects on behalf of the vsock process (core/dial.h). */
#ifndef IMMURE_JAILER_DIAL_H
#define IMMURE_JAILER_DIAL_H

#include "core/base.h"

/* Answers one request waiting on SUP_DIAL, by a connection to "<name>_<port>" in the working
 * directory.  Returns false when the conversation is over: end of file, or a request or an
 * answer that is not possible. */
must_check bool dial_serve(int fd, const char *name);

#endif
