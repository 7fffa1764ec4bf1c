/* SPDX-License-Identifier: Apache-2.0 */
/* The allow-list as text: what is read as what, and what is refused with which words. */
#include "policy/bpf/wall_model.c"
#include "jailer/wall_text.c"

#include <criterion/criterion.h>

static struct wall_allow parsed(const char *text)
{
	struct wall_allow a;
	const char *wrong = wall_allow_parse(text, &a);

	cr_assert_null(wrong, "%s: %s", text, wrong);
	cr_assert(allow_ok(&a), "%s is out of the rules' ranges", text);
	return a;
}

static void expect(const char *text, const char *addr, unsigned bits, unsigned proto, unsigned first,
		   unsigned last)
{
	struct wall_allow a = parsed(text);
	uint8_t wanted[16] = { 0 }, mask[16] = { 0 };

	inet_pton(a.version == 6 ? AF_INET6 : AF_INET, addr, wanted);
	for (unsigned i = 0; i < bits; i++)
		mask[i / 8] |= (uint8_t)(0x80 >> i % 8);
	cr_assert(memcmp(a.addr, wanted, 16) == 0 && memcmp(a.mask, mask, 16) == 0, "%s", text);
	cr_assert(a.proto == proto && a.port == first && a.port_last == last, "%s", text);
}

Test(wall_text, lines_as_people_write_them)
{
	expect("10.0.0.0/8:443", "10.0.0.0", 8, 0, 443, 443);
	expect("10.1.2.3/8:443/tcp", "10.0.0.0", 8, IPPROTO_TCP, 443, 443);
	expect("192.0.2.7:5000-5009/udp", "192.0.2.7", 32, IPPROTO_UDP, 5000, 5009);
	expect("192.0.2.7", "192.0.2.7", 32, 0, 0, 0);
	expect("0.0.0.0/0", "0.0.0.0", 0, 0, 0, 0);
	expect("192.0.2.7:*/udp", "192.0.2.7", 32, IPPROTO_UDP, 0, 0);
	expect("[2001:db8::1]", "2001:db8::1", 128, 0, 0, 0);
	expect("[2001:db8::/32]:1-65535/tcp", "2001:db8::", 32, IPPROTO_TCP, 1, 65535);
	cr_assert_eq(parsed("[::/0]").version, 6);
}

Test(wall_text, anything_else_is_refused)
{
	static const char *const bad[] = {
		"", ":", "/", "10.0.0.0/", "10.0.0.0/33", "10.0.0.0/-1", "10.0.0.0/8/8", "10.0.0/8", "example.org",
		"10.0.0.0:", "10.0.0.0:0", "10.0.0.0:65536", "10.0.0.0:443-", "10.0.0.0:443-442", "10.0.0.0:*-5",
		"10.0.0.0:443/icmp", "10.0.0.0:443/", "10.0.0.0:443/tcp/udp", " 10.0.0.0", "10.0.0.0 ",
		"2001:db8::1", "[2001:db8::1", "[2001:db8::1]x", "[2001:db8::1]/64", "[2001:db8::/129]", "[10.0.0.0]",
		"10.0.0.0:+443", "10.0.0.0:00000443",
		"[2001:0db8:0000:0000:0000:0000:0000:0001/128]:10000-20000/tcp-and-what-is-too-long-for-a-line",
	};
	struct wall_allow a;

	for (size_t i = 0; i < array_len(bad); i++)
		cr_assert_not_null(wall_allow_parse(bad[i], &a), "'%s'", bad[i]);
}

Test(wall_text, an_interface_has_addresses)
{
	const uint8_t mac[6] = { 0x02, 0x11, 0x22, 0x33, 0x44, 0x55 };
	uint8_t wanted[16];
	struct wall_config c;

	wall_config_init(&c, mac);
	inet_pton(AF_INET6, "fe80::11:22ff:fe33:4455", wanted);
	cr_assert_eq(memcmp(c.link_local, wanted, 16), 0);
	cr_assert(wall_config_ok(&c) && c.flags == 0);
	cr_assert_null(wall_address_parse("10.9.0.2/24", &c));
	cr_assert_eq(c.flags, WALL_HAS_IP4);
	cr_assert_null(wall_address_parse("fd09::2/64", &c));
	cr_assert_eq(c.flags, WALL_HAS_IP4 | WALL_HAS_IP6);
	cr_assert(c.ip4[0] == 10 && c.ip4[3] == 2 && c.ip6[0] == 0xfd && c.ip6[15] == 2);
	cr_assert_not_null(wall_address_parse("10.9.0.2/33", &c));
	cr_assert_not_null(wall_address_parse("10.9.0", &c));
	cr_assert_not_null(wall_address_parse("fd09::2/129", &c));
}
