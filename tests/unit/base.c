/* SPDX-License-Identifier: Apache-2.0 */
/* Checked arithmetic at its edges. */
#include "core/base.h"

#include <criterion/criterion.h>

Test(base, range_fits_cannot_wrap)
{
	cr_assert(range_fits(0, 0, 0));
	cr_assert(range_fits(0, 10, 10));
	cr_assert(range_fits(10, 0, 10));
	cr_assert_not(range_fits(11, 0, 10));
	cr_assert_not(range_fits(1, 10, 10));
	cr_assert_not(range_fits(UINT64_MAX, 2, 10));
	cr_assert_not(range_fits(2, UINT64_MAX, 10));
	cr_assert(range_fits(UINT64_MAX - 1, 1, UINT64_MAX));
	cr_assert_not(range_fits(UINT64_MAX, 1, UINT64_MAX));
}

Test(base, sums_and_products_that_do_not_fit_are_refused)
{
	uint64_t x;

	cr_assert(add_u64(UINT64_MAX - 1, 1, &x) && x == UINT64_MAX);
	cr_assert_not(add_u64(UINT64_MAX, 1, &x));
	cr_assert(mul_u64(1ull << 32, (1ull << 32) - 1, &x) && x == 0xffffffff00000000);
	cr_assert_not(mul_u64(1ull << 32, 1ull << 32, &x));
	cr_assert(mul_u64(UINT64_MAX, 0, &x) && x == 0);
}

Test(base, powers_of_2)
{
	cr_assert_not(is_power_of_2(0));
	cr_assert(is_power_of_2(1) && is_power_of_2(256) && is_power_of_2(1ull << 63));
	cr_assert_not(is_power_of_2(3) || is_power_of_2(UINT64_MAX));
}

Test(base, rounding_and_minimum)
{
	cr_assert_eq(round_up(0, 4096), 0);
	cr_assert_eq(round_up(1, 4096), 4096);
	cr_assert_eq(round_up(4096, 4096), 4096);
	cr_assert(min_u64(3, 4) == 3 && min_u64(4, 3) == 3);
}

Test(base, wire_integers_keep_their_bytes)
{
	le32_t x = to_le32(0x11223344);

	cr_assert_eq(((uint8_t *)&x)[0], 0x44);
	cr_assert(le16(to_le16(0xabcd)) == 0xabcd && le32(x) == 0x11223344);
	cr_assert_eq(le64(to_le64(0x1122334455667788)), 0x1122334455667788);
}
