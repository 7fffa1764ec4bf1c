/* SPDX-License-Identifier: Apache-2.0 */
/* Rate limits as people write them: understood whole, or refused with the reason. */
#include "cli/limit_spec.c"
#include "cli/run_values.c"

#include <criterion/criterion.h>

static struct limit_values v[LIMITS_DIRECTIONS];

static void good(const char *word, bool directions)
{
	const char *wrong = limit_spec_word(word, directions, v);

	cr_assert_null(wrong, "%s: %s", word, wrong);
}

static void bad(const char *word, bool directions, const char *reason)
{
	struct limit_values before[LIMITS_DIRECTIONS];
	const char *wrong;

	memcpy(before, v, sizeof(v));
	wrong = limit_spec_word(word, directions, v);
	cr_assert(wrong != NULL && strstr(wrong, reason) != NULL, "%s: %s", word,
		  wrong != NULL ? wrong : "accepted");
	cr_assert_eq(memcmp(before, v, sizeof(v)), 0, "%s changed something", word);
}

static const char *printed(bool directions)
{
	static char text[256];

	limit_spec_print(text, sizeof(text), directions, v);
	return text;
}

Test(limit_spec, a_disk_has_one_limit)
{
	good("bw=10M", false);
	good("iops=500", false);
	good("burst=4K", false);
	cr_assert(v[0].bytes.size == 10 << 20 && v[0].bytes.refill_ms == 1000);
	cr_assert(v[0].bytes.burst == 4096);
	cr_assert(v[0].ops.size == 500 && v[0].ops.refill_ms == 1000 && v[0].ops.burst == 0);
	cr_assert_eq(v[1].bytes.size, 0, "and none for the direction that it does not have");
	cr_assert_str_eq(printed(false), "bw=10485760,burst=4096,iops=500");
	good("bw=0", false);
	cr_assert_str_eq(printed(false), "iops=500");
	good("iops=0", false);
	cr_assert_str_eq(printed(false), "none");
}

Test(limit_spec, others_have_two)
{
	good("bw=1000", true);
	good("tx-iops=7", true);
	good("rx-bw=2000", true);
	cr_assert_str_eq(printed(true), "tx-bw=1000,tx-iops=7,rx-bw=2000");
}

Test(limit_spec, what_is_not_understood_is_refused)
{
	bad("", false, "wanted bw=SIZE");
	bad("bw", false, "wanted bw=SIZE");
	bad("bandwidth=1", false, "wanted bw=SIZE");
	bad("bw=", false, "not a size");
	bad("bw=1.5M", false, "not a size");
	bad("bw=-1", false, "not a size");
	bad("bw=2305843009213693952", false, "larger than 2^60");
	bad("iops=10K", false, "not a number of operations");
	bad("iops=99999999999999999999", false, "not a number of operations");
	bad("tx-bw=1", false, "no tx-, no rx-");
	bad("tx-=1", true, "wanted bw=SIZE");
	bad("ux-bw=1", true, "wanted bw=SIZE");
}

Test(limit_spec, limits_of_other_forms_are_shown_too)
{
	v[0].bytes = (struct bucket_limit){ 100, 5, 250 };
	v[0].ops = (struct bucket_limit){ 9, 2, 1000 };
	cr_assert_str_eq(printed(false), "bw=100/250ms,burst=5,iops=9,iops-burst=2");
}

Test(limit_spec, its_words_are_told_from_others)
{
	cr_assert(limit_spec_is("bw=1") && limit_spec_is("iops=x") && limit_spec_is("rx-burst=1"));
	cr_assert(!limit_spec_is("ro") && !limit_spec_is("bw") && !limit_spec_is("/tmp/bw=1"));
}
