/* SPDX-License-Identifier: Apache-2.0 */
/* run_values.h: sizes, times, counts and names as people write them.  All pure. */
#ifndef IMMURE_CLI_RUN_VALUES_H
#define IMMURE_CLI_RUN_VALUES_H

#include "core/base.h"

/* "512M": decimal digits and at most one of K M G T (powers of 1024, either case, "iB" or "B"
 * may follow).  Nothing: bytes.  False when it is anything else or over 2^63 - 1. */
must_check bool value_size(const char *s, uint64_t *bytes);

/* "500ms", "30s", "5m", "1h", "30" (seconds), also with a decimal point ("0.5s").  False when
 * it is anything else or over a year. */
must_check bool value_time(const char *s, uint64_t *ms);

/* Decimal digits only, @min..@max. */
must_check bool value_count(const char *s, uint64_t min, uint64_t max, uint64_t *count);

/* A name for a machine or kernel: [a-zA-Z0-9][a-zA-Z0-9._-]{0,63}. */
must_check bool value_name(const char *s);

#endif
