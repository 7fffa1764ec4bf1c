/* SPDX-License-Identifier: Apache-2.0 */
/* log.h: bounded, rate-limited lines to the supervisor.
 *
 * One line is one write() of at most LOG_LINE bytes to descriptor 2 (FD_LOG), a non-blocking
 * pipe: when it is full the line is dropped and counted, a guest cannot make us wait or grow.
 * No allocation, no stdio, no locale; safe from every thread. */
#ifndef IMMURE_CORE_LOG_H
#define IMMURE_CORE_LOG_H

#include "core/base.h"

enum { LOG_LINE = 256 };

/* Writes "<fmt>\n", shortened to LOG_LINE bytes.  Knows %s %d %u %x %c %% with l and ll (and z),
 * field width and 0 flag; nothing else. */
void log_line(const char *fmt, ...) printf_like(1, 2);

/* As log_line(), followed by ": <name of errno value err>". */
void log_errno(int err, const char *fmt, ...) printf_like(2, 3);

/* A guest-triggered complaint.  Each kind (a static variable at the call) may speak LOG_BURST
 * times, then only at every power of two, with the count. */
struct log_limit { uint64_t count; };
enum { LOG_BURST = 4 };
void log_limited(struct log_limit *limit, const char *fmt, ...) printf_like(2, 3);

/* Logs and exits with status 1.  For the time before seal() only: the word may not appear in
 * code that runs on behalf of a guest. */
_Noreturn void die(const char *fmt, ...) printf_like(1, 2);
_Noreturn void die_errno(int err, const char *fmt, ...) printf_like(2, 3);

/* Formats into @buf (always terminated when @size > 0) with log_line()'s conversions; returns
 * the length written. */
size_t log_format(char *buf, size_t size, const char *fmt, ...) printf_like(3, 4);

#endif
