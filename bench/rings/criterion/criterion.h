/* SPDX-License-Identifier: Apache-2.0 */
/* criterion.h: the asserts of the unit tests' driver and rig, for programs that measure. */
#ifndef IMMURE_BENCH_RINGS_CRITERION_H
#define IMMURE_BENCH_RINGS_CRITERION_H

#include <stdio.h>
#include <stdlib.h>

#define CHECK_(condition, text, ...) \
	((condition) ? (void)0 : (fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, text), exit(1)))

#define cr_assert(condition, ...) CHECK_(condition, #condition)
#define cr_assert_not(condition, ...) CHECK_(!(condition), "not " #condition)
#define cr_assert_eq(a, b, ...) CHECK_((a) == (b), #a " == " #b)
#define cr_assert_neq(a, b, ...) CHECK_((a) != (b), #a " != " #b)
#define cr_assert_lt(a, b, ...) CHECK_((a) < (b), #a " < " #b)
#define cr_assert_leq(a, b, ...) CHECK_((a) <= (b), #a " <= " #b)
#define cr_assert_gt(a, b, ...) CHECK_((a) > (b), #a " > " #b)
#define cr_assert_geq(a, b, ...) CHECK_((a) >= (b), #a " >= " #b)
#define cr_assert_not_null(a, ...) CHECK_((a) != NULL, #a)
#define cr_assert_str_eq(a, b, ...) CHECK_(strcmp((a), (b)) == 0, #a " == " #b)
#define cr_assert_fail(...) CHECK_(0, "" __VA_ARGS__)

#endif
