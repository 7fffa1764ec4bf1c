/* SPDX-License-Identifier: Apache-2.0 */
/* limit_spec.h: rate limits as people write them.
 *
 *	bw=SIZE		bytes a second; a second's worth may be saved up
 *	iops=N		operations a second, likewise
 *	burst=SIZE	bytes that may go once, at the start, beyond that
 *
 * each 0 for no limit; in front of each "tx-" (from the guest) or "rx-" (to it) where the device
 * has directions, else for both.  Joined by commas. */
#ifndef IMMURE_CLI_LIMIT_SPEC_H
#define IMMURE_CLI_LIMIT_SPEC_H

#include "core/limits.h"

/* Is @word "KEY=..." with one of the keys above? */
must_check bool limit_spec_is(const char *word);

/* Changes @v as one such word says.  @directions: the device has two.  Returns NULL, or what is
 * wrong with it. */
must_check const char *limit_spec_word(const char *word, bool directions,
				       struct limit_values v[LIMITS_DIRECTIONS]);

/* @v as Firecracker has it: "rate_limiter" without its name.  NULL: out of memory. */
struct json_t;
struct json_t *limit_json(const struct limit_values *v);

/* Writes @v in this form to @buf: "bw=1048576,iops=100", or "none"; what it has no form for
 * (a refill time that is no second) as "SIZE/MSms". */
void limit_spec_print(char *buf, size_t size, bool directions,
		      const struct limit_values v[LIMITS_DIRECTIONS]);

#endif
