/* SPDX-License-Identifier: Apache-2.0 */
/* message.h: what the caller is told: one JSON object a message, over its SOCK_SEQPACKET.
 *
 * Formatted into fixed buffers, without a JSON library: the supervisor says these after it has
 * sealed itself and may not allocate. */
#ifndef IMMURE_JAILER_MESSAGE_H
#define IMMURE_JAILER_MESSAGE_H

#include "core/base.h"
#include "jailer/outcome.h"

enum { MESSAGE_BYTES = 4096 };

/* Writes @len bytes at @src to @dst as the inside of a JSON string: printable ASCII as it is,
 * quotes and backslashes escaped, everything else \u00XX.  Stops before an escape that does
 * not fit; always terminates @dst.  Returns the length written.  @size > 0. */
size_t message_escape(char *dst, size_t size, const char *src, size_t len);

/* {"event":"running"} and {"event":"log",...}.  Never wait: false when the caller does not
 * take it now. */
bool message_running(int client);
bool message_log(int client, const char *process, const char *text, size_t len);

/* {"event":"end",...}: waits a second at most. */
void message_end(int client, const struct outcome *o, const struct plan *p);

/* The same for a VM that could not be built. */
void message_setup_failed(int client, const struct failure *f);

#endif
