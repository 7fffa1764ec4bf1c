/* SPDX-License-Identifier: Apache-2.0 */
/* session_start.h: START as bytes. */
#ifndef IMMURE_CLI_SESSION_START_H
#define IMMURE_CLI_SESSION_START_H

#include "cli/session.h"

/* Encodes @start as a whole frame.  Returns its length and sets *@frame to memory that the
 * caller frees, with @room unused bytes behind the frame; or 0 with *@why a constant sentence:
 * empty name, too long for a frame. */
must_check size_t session_encode_start(const struct session_start *start, size_t room,
				       uint8_t **frame, const char **why);

#endif
