/* SPDX-License-Identifier: Apache-2.0 */
/* Names of ends are for machines: each has one, all differ, unknown numbers are survived. */
#include "core/report.c"

#include <criterion/criterion.h>
#include <string.h>

Test(report, every_reason_has_a_name_of_its_own)
{
	for (int i = 0; i < END_REASONS; i++) {
		cr_assert_not_null(end_reason_name((enum end_reason)i));
		for (int k = 0; k < i; k++)
			cr_assert_str_neq(end_reason_name((enum end_reason)i),
					  end_reason_name((enum end_reason)k));
	}
	cr_assert_str_eq(end_reason_name(END_POWEROFF), "guest-poweroff");
	cr_assert_str_eq(end_reason_name(END_SETUP), "setup");
}

Test(report, a_number_from_elsewhere_is_unknown)
{
	cr_assert_str_eq(end_reason_name(END_REASONS), "unknown");
	cr_assert_str_eq(end_reason_name((enum end_reason)0xffffffffu), "unknown");
}
