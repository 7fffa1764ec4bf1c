/* SPDX-License-Identifier: Apache-2.0 */
/* Addresses: read, derived, written. */
#include "jailer/mac.c"

#include <criterion/criterion.h>

Test(mac, what_is_read_is_what_is_written)
{
	uint8_t mac[MAC_BYTES];
	char text[MAC_TEXT];

	cr_assert(mac_parse("52:54:00:aB:Cd:0f", mac));
	cr_assert_str_eq(mac_format(mac, text), "52:54:00:ab:cd:0f");
}

Test(mac, all_else_is_refused)
{
	static const char *const bad[] = {
		"", ":", "52", "52:54:00:12:34", "52:54:00:12:34:", "52:54:00:12:34:5",
		"52:54:00:12:34:56:", "52:54:00:12:34:56:78", "52:54:00:12:34:567", "5:54:00:12:34:56",
		"52:54:00:12:34:5g", "52-54-00-12-34-56", "525400123456", " 52:54:00:12:34:56",
		"00:00:00:00:00:00", "01:00:5e:00:00:01", "ff:ff:ff:ff:ff:ff", "53:54:00:12:34:56",
	};
	uint8_t mac[MAC_BYTES];

	for (size_t i = 0; i < array_len(bad); i++)
		cr_assert_not(mac_parse(bad[i], mac), "%s", bad[i]);
}

Test(mac, derived_from_the_name_it_is_always_the_same)
{
	uint8_t a[MAC_BYTES], b[MAC_BYTES];
	char text[MAC_TEXT];

	mac_derive("web", 0, a);
	mac_derive("web", 0, b);
	cr_assert_eq(memcmp(a, b, MAC_BYTES), 0);
	cr_assert(mac_parse(mac_format(a, text), b), "%s", text);
	cr_assert_eq(a[0] & 3, 2);
	mac_derive("web", 1, b);
	cr_assert_neq(memcmp(a, b, MAC_BYTES), 0);
	mac_derive("wfb", 0, b);
	cr_assert_neq(memcmp(a, b, MAC_BYTES), 0);
	/* Written down, so that it does not change from one version to the next. */
	cr_assert_str_eq(text, "82:93:ea:19:f6:6e");
}
