/* SPDX-License-Identifier: Apache-2.0 */
/* LIBS: -ljansson */
/* What `immure run` makes of its command line, of events, and of the end. */
#include <criterion/criterion.h>

#include "cli/limit_json.c"
#include "cli/limit_spec.c"
#include "cli/programs.c"
#include "cli/run_config.c"
#include "cli/run_net.c"
#include "cli/run_nets.c"
#include "jailer/wall_text.c"
#include "cli/run_options.c"
#include "cli/run_overlay.c"
#include "cli/run_outcome.c"
#include "cli/run_stop.c"
#include "cli/run_values.c"
#include "cli/run_vm.c"
#include "cli/say.c"
#include "jailer/mac.c"

/* ---- values ---- */

Test(values, sizes)
{
	static const struct { const char *s; uint64_t v; } good[] = {
		{ "0", 0 }, { "4096", 4096 }, { "1K", 1024 }, { "1k", 1024 }, { "16M", 16 << 20 },
		{ "2G", 2ull << 30 }, { "2GiB", 2ull << 30 }, { "2GB", 2ull << 30 }, { "1T", 1ull << 40 },
		{ "9223372036854775807", INT64_MAX },
	};
	static const char *const bad[] = { "", "M", "-1", "+1", " 1", "1 ", "1.5G", "1X", "1MM", "1GiBs",
					   "0x10", "lots", "9223372036854775808",
					   "18446744073709551616", "99999999999999999999T", "8388608T" };
	uint64_t v;

	for (size_t i = 0; i < array_len(good); i++)
		cr_assert(value_size(good[i].s, &v) && v == good[i].v, "%s", good[i].s);
	for (size_t i = 0; i < array_len(bad); i++)
		cr_assert_not(value_size(bad[i], &v), "%s", bad[i]);
}

Test(values, times)
{
	static const struct { const char *s; uint64_t v; } good[] = {
		{ "30", 30000 }, { "500ms", 500 }, { "30s", 30000 }, { "5m", 300000 }, { "1h", 3600000 },
		{ "0.5s", 500 }, { "1.5", 1500 }, { "0.0019s", 1 }, { "1.25m", 75000 }, { "1d", 86400000 },
	};
	static const char *const bad[] = { "", "s", "1x", "-1s", "1 s", "1.s", ".5s", "1e3", "5000d",
					   "18446744073709551616", "1..5s" };
	uint64_t v;

	for (size_t i = 0; i < array_len(good); i++)
		cr_assert(value_time(good[i].s, &v) && v == good[i].v, "%s", good[i].s);
	for (size_t i = 0; i < array_len(bad); i++)
		cr_assert_not(value_time(bad[i], &v), "%s", bad[i]);
}

Test(values, names)
{
	cr_assert(value_name("vm-1.a_b"));
	cr_assert(value_name("a"));
	static const char *const bad[] = { "", ".", "..", ".a", "-a", "a/b", "a b", "ä", "_a",
		"aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeeffffffffffggggg" };
	for (size_t i = 0; i < array_len(bad); i++)
		cr_assert_not(value_name(bad[i]), "%s", bad[i]);
}

/* ---- options ---- */

static struct run_options o;

/* Parses the words in @line, separated by spaces. */
static int words(const char *line)
{
	static char buf[512];
	static char *argv[64];
	int argc = 0;
	char *at = buf;

	snprintf(buf, sizeof(buf), "run %s", line);
	for (char *w; (w = strsep(&at, " "));)
		if (*w)
			argv[argc++] = w;
	argv[argc] = NULL;
	return run_options_parse(&o, argc, argv);
}

Test(options, defaults)
{
	cr_assert_eq(words("root true"), 0);
	cr_assert_str_eq(o.rootfs, "root");
	cr_assert_eq(o.argc, 1);
	cr_assert_str_eq(o.argv[0], "true");
	cr_assert(o.memory == 256 << 20 && o.cpus == 1 && o.boot_timeout_ms == 60000);
	cr_assert(!o.timeout_ms && !o.tty && !o.json && !o.console && !o.kernel && !o.ndisks);
	cr_assert(!o.core_scheduling && strcmp(o.speculation, "host") == 0);
	cr_assert(o.limits.cpu_percent == RUN_LIMIT_DEFAULT && o.limits.pids == 0);
	cr_assert(!o.vsock && o.vsock_connections == 6);
	cr_assert(o.limits.io == 0 && o.limits.overhead == 0);
}

Test(options, every_option_in_every_spelling)
{
	cr_assert_eq(dup2(STDERR_FILENO, 77), 77);
	cr_assert_eq(words("-m 1G --cpus=4 -e A=1 --env B=2 -w /tmp -u me:us -t --disk d,ro --disk e "
			   "--timeout 5s --boot-timeout=1m -k k --append x=y --entry pvh --console "
			   "--name n --vsock v --net tap=t0 --core-scheduling --speculation restrict --json=77 "
			   "root -- cmd -x"), 0);
	cr_assert(o.memory == 1u << 30 && o.cpus == 4 && o.nenv == 2);
	cr_assert_str_eq(o.env[1], "B=2");
	cr_assert_str_eq(o.dir, "/tmp");
	cr_assert_str_eq(o.user, "me:us");
	cr_assert(o.tty && o.console && o.json && o.json_fd == 77);
	cr_assert(o.ndisks == 2 && o.disk[0].readonly && !o.disk[1].readonly);
	cr_assert_str_eq(o.disk[0].path, "d");
	cr_assert(o.nnets == 1 && o.net[0].queues == 1 && o.net[0].offload);
	cr_assert_str_eq(o.net[0].tap, "t0");
	cr_assert(o.timeout_ms == 5000 && o.boot_timeout_ms == 60000);
	cr_assert_str_eq(o.entry, "pvh");
	cr_assert(o.core_scheduling && strcmp(o.speculation, "restrict") == 0);
	cr_assert_eq(o.argc, 2);
	cr_assert_str_eq(o.argv[1], "-x");
	cr_assert_str_eq(o.vsock, "v");
	cr_assert_eq(o.vsock_connections, PLAN_VSOCK_CONNS);
	cr_assert_eq(words("--vsock a,b,connections=12 root c"), 0);
	cr_assert_str_eq(o.vsock, "a,b");
	cr_assert_eq(o.vsock_connections, 12);
	cr_assert_eq(words("-m512M -t root c"), 0);
	cr_assert_eq(o.memory, 512 << 20);
}

static const uint8_t *bytes(unsigned a, unsigned b, unsigned c, unsigned d)
{
	static uint8_t out[4];

	out[0] = (uint8_t)a;
	out[1] = (uint8_t)b;
	out[2] = (uint8_t)c;
	out[3] = (uint8_t)d;
	return out;
}

static const uint8_t *mapped(unsigned a, unsigned b, unsigned c, unsigned d)
{
	static uint8_t out[16] = { [10] = 0xff, 0xff };

	memcpy(out + 12, bytes(a, b, c, d), 4);
	return out;
}

Test(options, a_network_interface_has_parts)
{
	cr_assert_eq(words("--net none root c"), 0);
	cr_assert(o.nnets == 0 && o.no_net);
	cr_assert_eq(words("--net=tap=t0,mac=52:54:00:00:00:01,ip=10.1.2.3/24,gw=10.1.2.1,dns=10.1.2.1,"
			   "dns=9.9.9.9,mtu=9000,queues=4,offload=off root c"), 0);
	cr_assert(o.nnets == 1 && o.net[0].mtu == 9000 && o.net[0].queues == 4 && !o.net[0].offload);
	cr_assert_eq(memcmp(o.net[0].guest.mac, "\x52\x54\0\0\0\1", 6), 0);
	cr_assert_eq(o.net[0].guest.prefix, 24);
	cr_assert_eq(memcmp(o.net[0].guest.address, bytes(10, 1, 2, 3), 4), 0);
	cr_assert_eq(memcmp(o.net[0].guest.gateway, bytes(10, 1, 2, 1), 4), 0);
	cr_assert_eq(memcmp(o.net[0].guest.dns[0], mapped(10, 1, 2, 1), 16), 0);
	cr_assert_eq(memcmp(o.net[0].guest.dns[1], mapped(9, 9, 9, 9), 16), 0);
	cr_assert(o.net[0].guest.prefix6 == 0 && is_none(o.net[0].guest.address6, 16));
}

Test(options, a_network_interface_has_an_address_of_each_kind)
{
	static const uint8_t address[16] = { 0xfd, [15] = 2 }, router[16] = { 0xfe, 0x80, [15] = 1 };
	const struct proto_net *g = &o.net[0].guest;

	cr_assert_eq(words("--net tap=t,ip=fd00::2/64,gw=fe80::1,dns=9.9.9.9,gw=10.1.2.1,ip=10.1.2.3/24,"
			   "dns=fd00::2 root c"), 0, "%s", say_last());
	cr_assert(g->prefix == 24 && g->prefix6 == 64);
	cr_assert_eq(memcmp(g->address, bytes(10, 1, 2, 3), 4), 0);
	cr_assert_eq(memcmp(g->gateway, bytes(10, 1, 2, 1), 4), 0);
	cr_assert_eq(memcmp(g->address6, address, 16), 0);
	cr_assert_eq(memcmp(g->gateway6, router, 16), 0);
	cr_assert_eq(memcmp(g->dns[0], mapped(9, 9, 9, 9), 16), 0);
	cr_assert_eq(memcmp(g->dns[1], address, 16), 0);
	cr_assert_eq(words("--net tap=t,ip=fd00::2/127,gw=fd00::3,mtu=1280 root c"), 0, "%s", say_last());
	cr_assert(g->prefix == 0 && g->prefix6 == 127 && is_none(g->address, 4));
	cr_assert_eq(words("--net tap=t,ip=2001:db8::7/128,gw=fe80::1 root c"), 0, "%s", say_last());
}

Test(options, a_network_through_passt_needs_no_more_words)
{
	cr_assert_eq(words("--net user root c"), 0);
	cr_assert(o.nnets == 1 && o.net[0].user && o.net[0].tap == NULL && !o.net[0].offload && !o.net[0].dns_given);
	cr_assert(memcmp(o.net[0].guest.address, "\x0a\0\2\x0f", 4) == 0 && o.net[0].guest.prefix == 24);
	cr_assert_eq(memcmp(o.net[0].guest.gateway, "\x0a\0\2\2", 4), 0);
	cr_assert_eq(memcmp(o.net[0].guest.dns[0], mapped(10, 0, 2, 2), 16), 0, "this host's resolver");
	cr_assert_eq(words("--net user,ip=10.1.0.9/16,gw=10.1.0.1,dns=9.9.9.9,mtu=9000,offload=off root c"), 0);
	cr_assert(o.net[0].user && o.net[0].mtu == 9000 && o.net[0].dns_given && o.net[0].guest.prefix == 16);
	cr_assert_eq(memcmp(o.net[0].guest.dns[0], mapped(9, 9, 9, 9), 16), 0);
	cr_assert_eq(memcmp(o.net[0].guest.gateway, "\x0a\1\0\1", 4), 0);
}

Test(options, a_network_that_cannot_be_is_refused_by_its_part)
{
	static const char *const bad[][2] = {
		{ "tap", "tap: not known" }, { "bridge=b", "bridge=b: not known" },
		{ "ip=10.0.0.2/24", "neither tap=NAME" }, { "tap=", "tap=: the name" },
		{ "tap=a2345678901234567", "the name of an interface" },
		{ "tap=../x", "the name of an interface" }, { "none,tap=t", "none: not known" },
		{ "tap=t,mac=01:00:00:00:00:00", "mac=01" }, { "tap=t,mac=x", "mac=x" },
		{ "tap=t,ip=10.0.0.2", "ip=10.0.0.2: wanted" }, { "tap=t,ip=10.0.0.2/33", "ip=" },
		{ "tap=t,ip=10.0.0/24", "ip=" }, { "tap=t,ip=224.0.0.1/24", "ip=" },
		{ "tap=t,ip=127.0.0.1/8", "ip=" }, { "tap=t,ip=fe80::1/64", "ip=" },
		{ "tap=t,gw=10.0.0.1", "gw= needs ip=" }, { "tap=t,ip=10.0.0.2/24,gw=x", "gw=x" },
		{ "tap=t,ip=10.0.0.2/24,gw=10.0.1.1", "gw= is not in" },
		{ "tap=t,ip=10.0.0.2/24,gw=10.0.0.2", "own address" },
		{ "tap=t,dns=1.1.1.1,dns=2.2.2.2,dns=3.3.3.3", "two name servers" },
		{ "tap=t,ip=fd00::2", "ip=fd00::2: wanted" }, { "tap=t,ip=fd00::2/129", "ip=fd00::2/129: wanted" },
		{ "tap=t,ip=fd00::2/0", "ip=" }, { "tap=t,ip=::/64", "ip=::/64" }, { "tap=t,ip=::1/128", "ip=::1/128" },
		{ "tap=t,ip=ff02::1/64", "ip=ff02::1/64" }, { "tap=t,ip=::ffff:10.0.0.2/96", "ip=::ffff" },
		{ "tap=t,ip=[fd00::2]/64", "ip=[fd00" }, { "tap=t,ip=fd00::2%eth0/64", "ip=fd00::2%eth0" },
		{ "tap=t,ip=10.0.0.2/24,ip=10.0.0.3/24", "ip=10.0.0.3/24: an interface has one IPv4" },
		{ "tap=t,ip=fd00::2/64,ip=fd00::3/64", "ip=fd00::3/64: an interface has one IPv4 and one IPv6" },
		{ "tap=t,ip=10.0.0.2/24,gw=10.0.0.1,gw=10.0.0.3", "gw=10.0.0.3: an interface has one" },
		{ "tap=t,ip=fd00::2/64,gw=fe80::1,gw=fd00::1", "gw=fd00::1: an interface has one" },
		{ "tap=t,ip=10.0.0.2/24,gw=fd00::1", "gw= needs ip= of its kind, IPv6" },
		{ "tap=t,ip=fd00::2/64,gw=10.0.0.1", "gw= needs ip= of its kind, IPv4" },
		{ "tap=t,ip=fd00::2/64,gw=fd00:0:0:1::1", "not in the network of ip= (IPv6)" },
		{ "tap=t,ip=fd00::2/127,gw=fd00::4", "not in the network of ip= (IPv6)" },
		{ "tap=t,ip=fd00::2/64,gw=fd00::2", "own address (IPv6)" }, { "tap=t,gw=ff02::2", "gw=ff02::2" },
		{ "tap=t,dns=fe80::1", "dns=fe80::1" }, { "tap=t,dns=::1", "dns=::1" },
		{ "tap=t,ip=fd00::2/64,mtu=1279", "mtu=1279: IPv6 takes 1280" },
		{ "user,ip=fd00::2/64", "user carries IPv4 only" }, { "user,dns=fd00::1", "user carries IPv4 only" },
		{ "ip=fd00::2/64,gw=fe80::1,user", "user carries IPv4 only" },
		{ "tap=t,mtu=67", "mtu=67" }, { "tap=t,mtu=65536", "mtu=65536" },
		{ "tap=t,queues=0", "queues=0" }, { "tap=t,queues=5", "queues=5" },
		{ "tap=t,offload=maybe", "offload=maybe" },
		{ "tap=t,allow=10.0.0.0/8:http", "allow=10.0.0.0/8:http: its port" },
		{ "tap=t,allow=example.org", "allow=example.org: not an IPv4 address" },
		{ "tap=t,rate=0", "rate=0" }, { "tap=t,wall=maybe", "wall=maybe" },
		{ "tap=t,wall=off,allow=10.0.0.0/8", "neither allow= nor rate=" },
		{ "user,tap=t", "not both" }, { "tap=t,user", "not both" }, { "user=on", "user=on: not known" },
		{ "User", "User: not known" }, { "user,queues=2", "one pair of queues" },
		{ "user,offload=on", "no offloads" }, { "user,mtu=32001", "mtu=32001" },
		{ "user,ip=10.1.0.2/24", "ip= needs gw=" }, { "user,gw=10.1.0.1", "gw= needs ip=" },
		{ "user,ip=10.1.0.2/24,gw=10.2.0.1", "gw= is not in" },
		{ "user,ip=10.1.0.2/24,gw=10.1.0.2", "own address" }, { "user,allow=x", "allow=x" },
		{ "user,wall=off,rate=9", "neither allow= nor rate=" }, { "none,user", "none: not known" },
	};
	char line[128];

	for (size_t i = 0; i < array_len(bad); i++) {
		snprintf(line, sizeof(line), "--net %s root c", bad[i][0]);
		cr_assert_eq(words(line), -1, "%s", line);
		cr_assert_not_null(strstr(say_last(), bad[i][1]), "%s: %s", line, say_last());
	}
	cr_assert_eq(words("--net tap=a --disk a --disk b --disk c --disk d --disk e --disk f root c"), -1);
	cr_assert_not_null(strstr(say_last(), "5 more disks"));
	cr_assert_eq(words("--net tap=a --disk a --disk b --disk c --disk d --disk e root c"), 0);
}

Test(options, a_machine_may_have_several_network_interfaces)
{
	cr_assert_eq(words("--net tap=a,ip=10.0.0.2/24,gw=10.0.0.1 --net=user --net tap=c root c"), -1);
	cr_assert_eq(words("--net tap=a,ip=10.0.0.2/24 --net=user --net tap=c,ip=fd00::2/64,gw=fe80::1 root c"), 0,
		     "%s", say_last());
	cr_assert_eq(o.nnets, 3);
	cr_assert_str_eq(o.net[0].tap, "a");
	cr_assert(o.net[1].user && !o.net[2].user);
	cr_assert_str_eq(o.net[2].tap, "c");
	cr_assert_eq(words("--net tap=a --net tap=b --net tap=c --net tap=d --net tap=e --net tap=f root c"), 0);
	cr_assert_eq(o.nnets, RUN_NETS);
	cr_assert_eq(words("--net tap=a --net tap=b --disk a --disk b --disk c --disk d root c"), 0);
	cr_assert_eq(words("--net none --net none root c"), 0);
}

Test(options, interfaces_that_cannot_be_together_are_refused)
{
	static const char *const bad[][2] = {
		{ "--net tap=a --net tap=a", "tap=a: given twice" }, { "--net user --net user", "user: given twice" },
		{ "--net none --net tap=a", "none goes with no other" }, { "--net tap=a --net none", "none goes with" },
		{ "--net tap=a --net tap=b --net tap=c --net tap=d --net tap=e --net tap=f --net tap=g",
		  "at most 6 network interfaces" },
		{ "--net tap=a --net tap=b --disk a --disk b --disk c --disk d --disk e",
		  "beside 2 network interfaces a machine has at most 4 more disks" },
		{ "--net tap=a,ip=10.0.0.2/24,gw=10.0.0.1 --net tap=b --net tap=c,ip=10.1.0.2/24,gw=10.1.0.1",
		  "tap=c: a second default route of IPv4, which tap=a has already" },
		{ "--net tap=a,ip=fd00::2/64,gw=fd00::1 --net tap=b,ip=fd01::2/64,gw=fe80::1",
		  "tap=b: a second default route of IPv6, which tap=a has already" },
		{ "--net user --net tap=b,ip=10.1.0.2/24,gw=10.1.0.1",
		  "tap=b: a second default route of IPv4, which user has already" },
		{ "--net tap=b,ip=10.1.0.2/24,gw=10.1.0.1 --net user", "user: a second default route of IPv4" },
		{ "--net tap=a,mac=52:54:00:00:00:01 --net tap=b --net tap=c,mac=52:54:00:00:00:01",
		  "tap=a and tap=c have the same hardware address, 52:54:00:00:00:01" },
	};
	char line[160];

	for (size_t i = 0; i < array_len(bad); i++) {
		snprintf(line, sizeof(line), "%s root c", bad[i][0]);
		cr_assert_eq(words(line), -1, "%s", line);
		cr_assert_not_null(strstr(say_last(), bad[i][1]), "%s: %s", line, say_last());
	}
}

Test(options, interfaces_have_the_hardware_addresses_that_the_jailer_makes)
{
	uint8_t mac[MAC_BYTES];
	char line[96], text[MAC_TEXT];

	cr_assert_eq(words("--net tap=a --net tap=b,mac=52:54:00:00:00:01 --net tap=c root c"), 0);
	cr_assert(run_nets_macs(o.net, o.nnets, "web"));
	mac_derive("web", 0, mac);
	cr_assert_eq(memcmp(o.net[0].guest.mac, mac, 6), 0);
	cr_assert_eq(memcmp(o.net[1].guest.mac, "\x52\x54\0\0\0\1", 6), 0);
	mac_derive("web", 2, mac);
	cr_assert_eq(memcmp(o.net[2].guest.mac, mac, 6), 0);
	snprintf(line, sizeof(line), "--net tap=a,mac=%s --net tap=b --net tap=c root c", mac_format(mac, text));
	cr_assert_eq(words(line), 0);
	cr_assert_not(run_nets_macs(o.net, o.nnets, "web"));
	cr_assert_not_null(strstr(say_last(), "tap=a and tap=c have the same hardware address"), "%s", say_last());
}

Test(options, end_at_the_first_word_that_is_none)
{
	cr_assert_eq(words("root -m 1G --json"), 0);
	cr_assert_eq(o.argc, 3);
	cr_assert_str_eq(o.argv[0], "-m");
	cr_assert_not(o.json);
	cr_assert_eq(words("-- -root -- -- x"), 0);
	cr_assert_str_eq(o.rootfs, "-root");
	cr_assert_eq(o.argc, 2);
	cr_assert_str_eq(o.argv[0], "--");
	cr_assert_eq(words("root"), 0);
	cr_assert_null(o.argv, "plan needs no command");
}

Test(options, words_behind_the_name_of_a_disk)
{
	cr_assert_eq(words("--disk a,b --disk c,discard=off,rw --disk d,ro,x,discard=on root"), 0);
	cr_assert_str_eq(o.disk[0].path, "a,b", "a comma may be part of a name");
	cr_assert_str_eq(o.disk[1].path, "c");
	cr_assert(o.disk[1].keep && !o.disk[1].readonly && !o.disk[0].keep);
	cr_assert_str_eq(o.disk[2].path, "d,ro,x");
	cr_assert(!o.disk[2].keep && !o.disk[2].readonly);
}

Test(options, a_disk_may_have_blocks_of_its_own)
{
	cr_assert_eq(words("--disk a --disk b,block=4096 --disk c,block=512,ro "
			   "--disk d,block=2K,bw=1M root"), 0);
	cr_assert(o.disk[0].block == 0 && o.disk[1].block == 4096 && o.disk[2].block == 512);
	cr_assert(o.disk[2].readonly && o.disk[3].block == 2048 && o.disk[3].limit[0].bytes.size == 1 << 20);
	cr_assert_str_eq(o.disk[1].path, "b");
}

Test(options, a_disk_may_go_past_the_cache)
{
	cr_assert_eq(words("--disk a,cache=direct,ro --disk b,cache=direct,cache=host --disk c,xcache=direct root"),
		     0);
	cr_assert(o.disk[0].direct && o.disk[0].readonly);
	cr_assert(o.disk[1].direct, "the first word wins: they are taken from the end");
	cr_assert_not(o.disk[2].direct);
	cr_assert_str_eq(o.disk[2].path, "c,xcache=direct");
}

Test(options, a_disk_may_have_an_overlay)
{
	cr_assert_eq(words("--disk a,overlay --disk b,overlay=../o,limit=1G,bw=1M --disk c,xoverlay "
			   "--disk d,limit=64K,overlay,discard=off --disk e root"), 0);
	cr_assert(o.disk[0].overlay && !o.disk[0].overlay_path && o.disk[0].overlay_limit == 0);
	cr_assert_str_eq(o.disk[0].path, "a");
	cr_assert_str_eq(o.disk[1].path, "b");
	cr_assert_str_eq(o.disk[1].overlay_path, "../o");
	cr_assert(o.disk[1].overlay_limit == 1 << 30 && o.disk[1].limit[0].bytes.size == 1 << 20);
	cr_assert_str_eq(o.disk[2].path, "c,xoverlay");
	cr_assert(o.disk[3].overlay && o.disk[3].overlay_limit == 65536 && o.disk[3].keep);
	cr_assert_not(o.disk[4].overlay);
	cr_assert_eq(words("--disk d,overlay,ro root"), -1);
	cr_assert_not_null(strstr(say_last(), "ro or overlay"), "%s", say_last());
	cr_assert_eq(words("--disk d,overlay=o,cache=direct root"), -1);
	cr_assert_not_null(strstr(say_last(), "cache=direct or overlay"), "%s", say_last());
	cr_assert_eq(words("--disk d,limit=1M root"), -1);
	cr_assert_not_null(strstr(say_last(), "limit is an overlay's"), "%s", say_last());
}

Test(options, a_disk_may_have_a_rate_limit)
{
	cr_assert_eq(words("--disk d,bw=10M,ro,iops=500 --disk e,burst=1K,bw=0 root"), 0);
	cr_assert_str_eq(o.disk[0].path, "d");
	cr_assert(o.disk[0].readonly && o.disk[0].limit[0].bytes.size == 10 << 20);
	cr_assert(o.disk[0].limit[0].ops.size == 500 && o.disk[0].limit[0].ops.refill_ms == 1000);
	cr_assert_str_eq(o.disk[1].path, "e");
	cr_assert(o.disk[1].limit[0].bytes.size == 0 && o.disk[1].limit[0].bytes.burst == 1024);
	cr_assert_eq(words("--disk d,bw=fast root"), -1);
	cr_assert_eq(words("--disk d,iops=1.5,ro root"), -1);
	cr_assert_eq(words("--disk d,rx-bw=1 root"), -1);
}

Test(options, what_is_not_understood_is_refused)
{
	static const char *const bad[] = {
		"", "--", "-m", "--frobnicate root", "-x root", "-m lots root", "-m 1M root", "-m 2T root",
		"-m 16777217 root", "--cpus 0 root", "--cpus 33 root", "--cpus 1.5 root", "-e =x root",
		"-w tmp root", "--timeout 0 root", "--timeout never root", "--entry flat root",
		"--speculation root", "--speculation off root", "--core-scheduling=1 root",
		"--vsock v,connections=5 root", "--vsock v,connections=2049 root", "--vsock ,connections=9 root",
		"--cpu-limit 50 root", "--cpu-limit 0% root", "--cpu-limit 5%% root", "--cpu-limit %", "--cpu-limit= root",
		"--cpu-limit 102401% root", "--io-limit 0 root", "--io-limit fast root", "--pids-limit 0 root",
		"--pids-limit 4097 root", "--memory-overhead 1K root", "--memory-overhead 2T root",
		"--name ../x root", "--json=x root", "--console=1 root", "-tt root", "--tty=1 root",
		"--mem 1G root", "--disk ,ro root", "--disk d,discard=no root", "--disk d,discard=,ro root",
		"--disk d,queues=0 root", "--disk d,grow=1 root", "--disk d,grow=2T,ro root", "--disk d,grow=1G,overlay root", "--disk d,queues=5,ro root", "--disk d,queues= root", "--disk d,block=0 root", "--disk d,block=256 root", "--disk d,block=1536,ro root",
		"--disk d,block= root", "--disk d,block=8192 root", "--disk d,block=4097 root", "--disk ,block=512 root",
		"--disk d,overlay= root", "--disk d,overlay=,limit=1G root", "--disk d,overlay,limit=63K root",
		"--disk d,overlay,limit=2T root", "--disk d,overlay,limit=much root", "--disk ,overlay root",
		"--disk d,cache=on root", "--disk d,cache=,ro root", "--disk d,cache=none,block=512 root",
		"--disk a --disk b --disk c --disk d --disk e --disk f --disk g root",
	};

	for (size_t i = 0; i < array_len(bad); i++)
		cr_assert_eq(words(bad[i]), -1, "%s", bad[i]);
}

Test(options, json_is_found_behind_what_is_refused)
{
	cr_assert_eq(words("-m lots --frobnicate -e A=1 --json root"), -1);
	cr_assert(o.json && o.json_fd == 2);
	cr_assert_eq(words("-m lots -e --json root --json"), -1);
	cr_assert_not(o.json, "a value, and a word of the command");
	cr_assert_eq(words("-m lots -- --json"), -1);
	cr_assert_not(o.json);
}

Test(options, json_goes_only_where_it_can_be_written)
{
	int fd = open("/dev/null", O_RDONLY);
	char line[32];

	snprintf(line, sizeof(line), "--json=%d root", fd);
	cr_assert_eq(words(line), -1, "only readable");
	close(fd);
	cr_assert_eq(words(line), -1, "closed");
	cr_assert(o.json && o.json_fd == 2, "then standard error has it");
}

Test(options, a_bare_variable_passes_ours_on)
{
	setenv("IMMURE_TEST", "v=1", 1);
	unsetenv("IMMURE_NONE");
	cr_assert_eq(words("-e IMMURE_TEST -e IMMURE_NONE root c"), 0);
	cr_assert_eq(o.nenv, 1);
	cr_assert_str_eq(o.env[0], "IMMURE_TEST=v=1");
}

/* ---- configuration ---- */

Test(config, is_what_the_options_say)
{
	struct run_parts p = { .name = "n", .kernel = "/k", .initrd = "/i", .image = "/img",
			       .disk = { "/d0" }, .vsock = "/r/v", .run_dir = "/r", .id = 9 };
	char *text;
	json_t *j, *v;

	cr_assert_eq(words("-m 64M --cpus 2 --disk d0 --timeout 3s --append foo=1 root c"), 0);
	text = run_config(&o, &p);
	cr_assert_not_null(text);
	j = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
	cr_assert_eq(json_integer_value(json_object_get(j, "memory")), 64 << 20);
	cr_assert_eq(json_integer_value(json_object_get(j, "vcpus")), 2);
	cr_assert_eq(json_integer_value(json_object_get(j, "timeout_ms")), 3000);
	cr_assert_eq(json_integer_value(json_object_get(j, "id")), 9);
	cr_assert_str_eq(json_string_value(json_object_get(j, "run_dir")), "/r");
	cr_assert_str_eq(json_string_value(json_object_get(j, "speculation")), "host");
	cr_assert(json_is_false(json_object_get(j, "core_scheduling")));
	v = json_object_get(j, "disks");
	cr_assert_eq(json_array_size(v), 2);
	cr_assert(json_is_true(json_object_get(json_array_get(v, 0), "readonly")));
	cr_assert(json_is_false(json_object_get(json_array_get(v, 1), "readonly")));
	cr_assert(strstr(json_string_value(json_object_get(j, "cmdline")), " foo=1"));
	cr_assert(!strstr(text, "ttyS0"));
	json_decref(j);
	free(text);
	cr_assert_eq(words("--speculation=restrict --core-scheduling --disk d root c"), 0);
	text = run_config(&o, &p);
	j = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
	cr_assert_str_eq(json_string_value(json_object_get(j, "speculation")), "restrict");
	cr_assert(json_is_true(json_object_get(j, "core_scheduling")));
	json_decref(j);
	free(text);
	p.disk[0] = "/\xff";
	cr_assert_null(run_config(&o, &p), "a path that JSON cannot carry");
}

Test(config, says_of_a_network_through_passt_what_the_option_says)
{
	struct run_parts p = { .name = "n", .kernel = "/k", .initrd = "/i", .image = "/img",
			       .vsock = "/r/v", .run_dir = "/r" };
	static const char *const lines[][2] = {
		{ "--net user,allow=10.0.0.0/8:443 root c",
		  "{\"queues\":1,\"offload\":false,\"user\":{\"address\":\"10.0.2.15/24\","
		  "\"gateway\":\"10.0.2.2\",\"dns\":\"10.0.2.2\"},\"wall\":\"auto\",\"addresses\":[],"
		  "\"allow\":[\"10.0.0.0/8:443\",\"10.0.2.2:53\"]}" },
		{ "--net user,dns=9.9.9.9,wall=off root c",
		  "{\"queues\":1,\"offload\":false,\"user\":{\"address\":\"10.0.2.15/24\","
		  "\"gateway\":\"10.0.2.2\"},\"wall\":\"off\",\"addresses\":[]}" },
	};

	for (size_t i = 0; i < 2; i++) {
		char *text;

		cr_assert_eq(words(lines[i][0]), 0);
		text = run_config(&o, &p);
		cr_assert_not_null(strstr(text, lines[i][1]), "%s", text);
		free(text);
	}
}

Test(config, has_the_interfaces_in_their_order)
{
	struct run_parts p = { .name = "n", .kernel = "/k", .initrd = "/i", .image = "/img",
			       .vsock = "/r/v", .run_dir = "/r" };
	char want[128], mac[MAC_TEXT];
	json_t *j, *list;
	char *text;

	cr_assert_eq(words("--net tap=b,mac=52:54:00:00:00:01 --net user --net tap=a,mtu=1400 root c"), 0);
	cr_assert(run_nets_macs(o.net, o.nnets, p.name));
	text = run_config(&o, &p);
	j = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
	list = json_object_get(j, "net");
	cr_assert_eq(json_array_size(list), 3);
	cr_assert_str_eq(json_string_value(json_object_get(json_array_get(list, 0), "tap")), "b");
	cr_assert_str_eq(json_string_value(json_object_get(json_array_get(list, 0), "mac")), "52:54:00:00:00:01");
	cr_assert_not_null(json_object_get(json_array_get(list, 1), "user"));
	snprintf(want, sizeof(want), "\"tap\":\"a\",\"mac\":\"%s\",\"mtu\":1400",
		 mac_format(o.net[2].guest.mac, mac));
	cr_assert_not_null(strstr(text, want), "%s", text);
	json_decref(j);
	free(text);
}

Test(config, says_of_an_interface_both_its_addresses)
{
	struct run_parts p = { .name = "n", .kernel = "/k", .initrd = "/i", .image = "/img",
			       .vsock = "/r/v", .run_dir = "/r" };
	char *text;

	cr_assert_eq(words("--net tap=t,ip=fd00:0::2/64,ip=10.0.0.2/24,dns=fd00::1,dns=9.9.9.9,"
			   "allow=[2001:db8::/32]:443 root c"), 0);
	text = run_config(&o, &p);
	cr_assert_not_null(strstr(text, "\"addresses\":[\"10.0.0.2\",\"fd00::2\"],"
				  "\"allow\":[\"[2001:db8::/32]:443\",\"[fd00::1]:53\",\"9.9.9.9:53\"]"), "%s", text);
	free(text);
	cr_assert_eq(words("--net tap=t,ip=fd00::2/64 root c"), 0);
	text = run_config(&o, &p);
	cr_assert_not_null(strstr(text, "\"addresses\":[\"fd00::2\"]"), "%s", text);
	free(text);
}

Test(config, says_of_a_disk_what_the_option_says)
{
	struct run_parts p = { .name = "n", .kernel = "/k", .initrd = "/i", .image = "/img",
			       .disk = { "/d0", "/d1" }, .vsock = "/r/v", .run_dir = "/r" };
	char *text;
	json_t *j, *v;

	cr_assert_eq(words("--disk d0,block=4096,cache=direct,queues=2,grow=1G --disk d1 root c"), 0);
	text = run_config(&o, &p);
	cr_assert_not_null(text);
	j = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
	v = json_object_get(j, "disks");
	cr_assert_null(json_object_get(json_array_get(v, 0), "block_size"), "the root");
	cr_assert_eq(json_integer_value(json_object_get(json_array_get(v, 1), "block_size")), 4096);
	cr_assert_null(json_object_get(json_array_get(v, 2), "block_size"));
	cr_assert_eq(json_integer_value(json_object_get(json_array_get(v, 1), "queues")), 2);
	cr_assert_null(json_object_get(json_array_get(v, 2), "queues"));
	cr_assert_eq(json_integer_value(json_object_get(json_array_get(v, 1), "grow")), 1 << 30);
	cr_assert_null(json_object_get(json_array_get(v, 2), "grow"));
	cr_assert(json_is_false(json_object_get(json_array_get(v, 0), "direct")));
	cr_assert(json_is_true(json_object_get(json_array_get(v, 1), "direct")));
	cr_assert(json_is_false(json_object_get(json_array_get(v, 2), "direct")));
	json_decref(j);
	free(text);
}

Test(config, says_where_an_overlay_is_kept)
{
	static char paths[RUN_DISKS][4096];
	struct run_parts p = { .name = "n", .kernel = "/k", .initrd = "/i", .image = "/img",
			       .disk = { "/d", "/d", "/d" }, .vsock = "/r/v", .run_dir = "/r" };
	char *text;
	json_t *j, *v;

	cr_assert_eq(words("--disk d,overlay --disk d,overlay=/tmp/../tmp/o,limit=1M --disk d root c"), 0);
	cr_assert_eq(run_overlay_paths(&o, paths), 0);
	cr_assert_str_eq(paths[0], "");
	cr_assert_str_eq(paths[1], "/tmp/o", "which need not be there");
	for (unsigned i = 0; i < 3; i++)
		p.overlay[i] = paths[i];
	text = run_config(&o, &p);
	cr_assert_not_null(text);
	j = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
	v = json_object_get(j, "disks");
	cr_assert(json_is_true(json_object_get(json_array_get(v, 1), "overlay")));
	cr_assert(json_is_false(json_object_get(json_array_get(v, 1), "readonly")));
	cr_assert_null(json_object_get(json_array_get(v, 1), "overlay_path"));
	cr_assert_null(json_object_get(json_array_get(v, 1), "overlay_limit"));
	cr_assert_str_eq(json_string_value(json_object_get(json_array_get(v, 2), "overlay_path")), "/tmp/o");
	cr_assert_eq(json_integer_value(json_object_get(json_array_get(v, 2), "overlay_limit")), 1 << 20);
	cr_assert_null(json_object_get(json_array_get(v, 3), "overlay"));
	json_decref(j);
	free(text);
	p.overlay[1] = "/\xff";
	cr_assert_null(run_config(&o, &p), "a path that JSON cannot carry");
	cr_assert_not_null(strstr(say_last(), "--disk: overlay"), "%s", say_last());
	cr_assert_eq(words("--disk d,overlay=/nowhere/o root c"), 0);
	cr_assert_eq(run_overlay_paths(&o, paths), -1);
	cr_assert_not_null(strstr(say_last(), "directory /nowhere/"), "%s", say_last());
	cr_assert_eq(words("--disk d,overlay=/tmp/ root c"), 0);
	cr_assert_eq(run_overlay_paths(&o, paths), -1);
}

/* What the configuration says of limit @name, of the options in @line. */
static json_int_t limit_in(const char *line, const char *name)
{
	struct run_parts p = { .name = "n", .kernel = "/k", .initrd = "/i", .image = "/img", .vsock = "/r/v" };
	json_int_t value;
	char *text;
	json_t *j;

	cr_assert_eq(words(line), 0, "%s", line);
	text = run_config(&o, &p);
	j = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
	value = json_integer_value(json_object_get(json_object_get(j, "limits"), name));
	json_decref(j);
	free(text);
	return value;
}

Test(config, has_the_limits_of_the_cgroup)
{
	static const char all[] = "--cpu-limit 150% --io-limit 2M --pids-limit 40 --memory-overhead=32M root c";

	cr_assert_eq(limit_in("root c", "cpu_percent"), 200);
	cr_assert_eq(limit_in("-c 4 root c", "cpu_percent"), 500);
	cr_assert_eq(limit_in("--cpu-limit none root c", "cpu_percent"), 0);
	cr_assert_eq(limit_in(all, "cpu_percent"), 150);
	cr_assert_eq(limit_in(all, "io_bytes_per_sec"), 2 << 20);
	cr_assert_eq(limit_in(all, "pids"), 40);
	cr_assert_eq(limit_in(all, "memory_overhead"), 32 << 20);
	cr_assert_eq(limit_in("root c", "pids") + limit_in("root c", "memory_overhead"), 0);
}

Test(config, has_the_packet_wall)
{
	struct run_parts p = { .name = "n", .kernel = "/k", .initrd = "/i", .image = "/img",
			       .vsock = "/r/v" };
	char *text;
	json_t *j, *net;

	cr_assert_eq(words("--net tap=t0,ip=10.1.2.3/24,dns=9.9.9.9,allow=10.0.0.0/8:443,allow=[::/0],rate=500 "
			   "root c"), 0);
	text = run_config(&o, &p);
	j = json_loads(text, 0, NULL);
	net = json_array_get(json_object_get(j, "net"), 0);
	cr_assert_str_eq(json_string_value(json_object_get(net, "wall")), "auto");
	cr_assert_eq(json_integer_value(json_object_get(net, "frame_rate")), 500);
	cr_assert_not_null(strstr(text, "\"addresses\":[\"10.1.2.3\"]"));
	cr_assert_not_null(strstr(text, "\"allow\":[\"10.0.0.0/8:443\",\"[::/0]\",\"9.9.9.9:53\"]"), "%s", text);
	json_decref(j);
	free(text);
	cr_assert_eq(words("--net tap=t0,wall=off root c"), 0);
	text = run_config(&o, &p);
	cr_assert_not_null(strstr(text, "\"wall\":\"off\""));
	cr_assert_null(strstr(text, "allow"));
	free(text);
}

Test(config, has_the_network_interface)
{
	struct run_parts p = { .name = "n", .kernel = "/k", .initrd = "/i", .image = "/img",
			       .vsock = "/r/v" };
	json_t *j, *net;
	char *text;

	cr_assert_eq(words("--net tap=t0,mac=52:54:00:00:00:01,mtu=9000,queues=2,offload=off root c"), 0);
	text = run_config(&o, &p);
	j = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
	net = json_array_get(json_object_get(j, "net"), 0);
	cr_assert_str_eq(json_string_value(json_object_get(net, "tap")), "t0");
	cr_assert_str_eq(json_string_value(json_object_get(net, "mac")), "52:54:00:00:00:01");
	cr_assert_eq(json_integer_value(json_object_get(net, "mtu")), 9000);
	cr_assert_eq(json_integer_value(json_object_get(net, "queues")), 2);
	cr_assert(json_is_false(json_object_get(net, "offload")));
	json_decref(j);
	free(text);
	cr_assert_eq(words("root c"), 0);
	text = run_config(&o, &p);
	cr_assert(!strstr(text, "net"));
	free(text);
}

Test(config, a_path_that_cannot_be_passed_on_is_named)
{
	struct run_parts p = { .name = "n", .kernel = "/k", .initrd = "/i", .image = "/img\xff",
			       .vsock = "/r/v" };

	cr_assert_eq(words("root c"), 0);
	cr_assert_null(run_config(&o, &p));
	cr_assert_not_null(strstr(say_last(), "/img?"), "%s", say_last());
}

Test(config, a_disk_given_twice_is_refused_unless_only_read)
{
	static char paths[RUN_DISKS][4096];
	char file[] = "/tmp/immure-disk-XXXXXX", line[160];

	close(mkstemp(file));
	snprintf(line, sizeof(line), "--disk %s --disk %s,ro root c", file, file);
	cr_assert_eq(words(line), 0);
	cr_assert_eq(run_disks(&o, paths), -1);
	cr_assert_not_null(strstr(say_last(), "twice"), "%s", say_last());
	snprintf(line, sizeof(line), "--disk %s,ro --disk %s,ro root c", file, file);
	cr_assert_eq(words(line), 0);
	cr_assert_eq(run_disks(&o, paths), 0);
	snprintf(line, sizeof(line), "--disk %s,overlay --disk %s,overlay --disk %s,ro root c", file, file,
		 file);
	cr_assert_eq(words(line), 0);
	cr_assert_eq(run_disks(&o, paths), 0, "each has a base that it only reads");
	snprintf(line, sizeof(line), "--disk %s,overlay --disk %s root c", file, file);
	cr_assert_eq(words(line), 0);
	cr_assert_eq(run_disks(&o, paths), -1);
	unlink(file);
}

Test(config, a_console_is_asked_for_on_the_command_line)
{
	char line[2048];

	cr_assert_eq(words("--console root c"), 0);
	cr_assert_eq(run_cmdline(&o, line, sizeof(line)), 0);
	cr_assert(strstr(line, "console=ttyS0"));
	o.append = "caf\xc3\xa9";
	cr_assert_eq(run_cmdline(&o, line, sizeof(line)), -1);
}

Test(config, a_socket_path_is_no_other_machines_port)
{
	static const char *const bad[] = { "/tmp/vm_2", "vm_0", "_7", "/tmp/vm_x_4294967295" };
	static const char *const good[] = { "/tmp/vm_2x", "/tmp/vm2", "/tmp/vm_", "/tmp/_2/vm" };
	char path[108];

	cr_assert(mkdir("/tmp/_2", 0700) == 0 || errno == EEXIST);
	for (size_t i = 0; i < array_len(bad); i++)
		cr_assert_eq(run_vsock_path(bad[i], path, sizeof(path)), -1, "%s", bad[i]);
	for (size_t i = 0; i < array_len(good); i++)
		cr_assert_eq(run_vsock_path(good[i], path, sizeof(path)), 0, "%s", good[i]);
	rmdir("/tmp/_2");
}

Test(config, a_socket_path_becomes_absolute)
{
	char path[92];

	cr_assert_eq(run_vsock_path("/tmp/../tmp/v.sock", path, sizeof(path)), 0);
	cr_assert_str_eq(path, "/tmp/v.sock");
	cr_assert_eq(chdir("/"), 0);
	cr_assert_eq(run_vsock_path("v.sock", path, sizeof(path)), 0);
	cr_assert_str_eq(path, "/v.sock");
	cr_assert_eq(run_vsock_path("/no/such/dir/v", path, sizeof(path)), -1);
	cr_assert_eq(run_vsock_path("/tmp/", path, sizeof(path)), -1);
}

/* ---- ^C ---- */

Test(stop, one_press_is_the_commands)
{
	struct stop s = { 0 };

	stop_press(&s, 1000, 5);
	cr_assert_eq(stop_wait(&s, 1000), -1);
	cr_assert_not(stop_decide(&s, 100000, 5));
}

Test(stop, two_slow_presses_are_the_commands)
{
	struct stop s = { 0 };

	stop_press(&s, 1000, 5);
	stop_press(&s, 2001, 5);
	cr_assert_not(stop_decide(&s, 100000, 5));
}

Test(stop, two_quick_presses_and_silence_end_the_machine)
{
	struct stop s = { 0 };

	stop_press(&s, 1000, 5);
	stop_press(&s, 1900, 5);
	cr_assert_eq(stop_wait(&s, 2000), 900);
	cr_assert_not(stop_decide(&s, 2899, 5));
	cr_assert(stop_decide(&s, 2900, 5));
}

Test(stop, a_sign_of_life_takes_the_doubt_away)
{
	struct stop s = { 0 };

	stop_press(&s, 1000, 5);
	stop_press(&s, 1100, 5);
	cr_assert_not(stop_decide(&s, 1500, 6));
	cr_assert_not(stop_decide(&s, 9000, 6));
}

/* ---- events ---- */

static struct vm vm;

static void event(const char *text)
{
	vm_event(&vm, text, strlen(text));
}

Test(events, running_and_end_are_taken)
{
	memset(&vm, 0, sizeof(vm));
	event("{\"event\":\"running\"}");
	cr_assert(vm.running);
	event("{\"event\":\"end\",\"reason\":\"violation\",\"detail\":257,\"process\":\"blk0\","
	      "\"syscall\":\"openat\",\"text\":\"t\",\"user_exits\":12}");
	cr_assert(vm.end.known && vm.end.detail == 257 && vm.end.user_exits == 12);
	cr_assert_str_eq(vm.end.reason, "violation");
	cr_assert_str_eq(vm.end.process, "blk0");
	event("{\"event\":\"end\",\"reason\":\"other\"}");
	cr_assert_str_eq(vm.end.reason, "violation", "the first end counts");
}

Test(events, nonsense_changes_nothing)
{
	static const char *const bad[] = { "", "x", "[]", "{}", "{\"event\":5}", "{\"event\":\"end\"",
					   "{\"event\":\"other\"}", "null" };

	memset(&vm, 0, sizeof(vm));
	for (size_t i = 0; i < array_len(bad); i++)
		event(bad[i]);
	cr_assert(!vm.running && !vm.end.known && vm.nlog == 0);
	event("{\"event\":\"end\",\"reason\":7,\"text\":{}}");
	cr_assert(vm.end.known && !vm.end.reason[0] && !vm.end.text[0]);
}

Test(events, a_talkative_supervisor_gets_its_turn_only)
{
	static const char event[] = "{\"event\":\"log\",\"process\":\"p\",\"text\":\"t\"}";
	struct vm v = { .console = -1 };
	int pair[2];

	cr_assert_eq(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), 0);
	v.client = pair[0];
	for (unsigned i = 0; i < VM_EVENTS + 4; i++)
		cr_assert_gt(send(pair[1], event, sizeof(event) - 1, 0), 0);
	vm_events(&v);
	cr_assert_eq(v.nlog, VM_EVENTS);
	vm_finish(&v, 0);
	cr_assert_eq(v.nlog, VM_EVENTS + 4, "the last words are taken in whole");
	close(pair[1]);
}

Test(events, texts_are_cut_and_cleaned)
{
	char text[2048];
	int n = snprintf(text, sizeof(text),
			 "{\"event\":\"log\",\"process\":\"blk0\",\"text\":\"\\u001b]0;x\\u0007");

	memset(text + n, 'x', 1000);
	memcpy(text + n + 1000, "\"}", 3);
	memset(&vm, 0, sizeof(vm));
	for (int i = 0; i < 20; i++)
		event(text);
	cr_assert_eq(vm.nlog, 20);
	cr_assert_eq(strncmp(vm.log[3], "blk0: ?]0;x?xxx", 15), 0, "%s", vm.log[3]);
}

/* ---- text ---- */

Test(text, what_a_terminal_would_act_on_is_replaced)
{
	static const struct { const char *dirty, *clean; } cases[] = {
		{ "plain text", "plain text" }, { "a\tb", "a b" }, { "a\nb\rc", "a?b?c" },
		{ "\x1b[2J", "?[2J" }, { "\x7f", "?" }, { "caf\xc3\xa9", "caf\xc3\xa9" },
		{ "\xe2\x82\xac \xf0\x9f\x98\x80", "\xe2\x82\xac \xf0\x9f\x98\x80" },
		{ "\xc2\x9b[2J", "??[2J" }, { "\xff\xfe", "??" }, { "\xc3", "?" },
		{ "\xc0\xaf", "??" }, { "\xe0\x80\xaf", "???" }, { "\xed\xa0\x80", "???" },
		{ "\xe2\x80\xae", "???" }, { "\xf5\x80\x80\x80", "????" }, { "\xe2\x82", "??" },
	};

	for (size_t i = 0; i < array_len(cases); i++) {
		char s[64];

		snprintf(s, sizeof(s), "%s", cases[i].dirty);
		say_clean(s);
		cr_assert_str_eq(s, cases[i].clean, "case %zu", i);
	}
}

/* ---- exit status ---- */

static int status(struct run_outcome r, const char *reason)
{
	static struct vm ended;

	memset(&ended, 0, sizeof(ended));
	ended.end.known = reason != NULL;
	snprintf(ended.end.reason, sizeof(ended.end.reason), "%s", reason ? reason : "");
	r.vm = &ended;
	return outcome_status(&r);
}

#define END(...) ((struct run_outcome){ __VA_ARGS__ })

Test(outcome, the_commands_status_is_ours)
{
	cr_assert_eq(status(END(.session = SESSION_EXITED), "guest-poweroff"), 0);
	cr_assert_eq(status(END(.session = SESSION_EXITED, .code = 7), "guest-poweroff"), 7);
	cr_assert_eq(status(END(.session = SESSION_EXITED, .exit_signo = 15), "stopped"), 143);
	cr_assert_eq(status(END(.session = SESSION_EXITED, .code = 3), NULL), 3);
}

Test(outcome, a_command_that_never_started_says_why)
{
	cr_assert_eq(status(END(.session = SESSION_FAILED, .fail = PROTO_FAIL_NOTFOUND), "stopped"), 127);
	cr_assert_eq(status(END(.session = SESSION_FAILED, .fail = PROTO_FAIL_NOEXEC), "stopped"), 126);
	cr_assert_eq(status(END(.session = SESSION_FAILED, .fail = PROTO_FAIL_SETUP), "stopped"), 125);
}

Test(outcome, without_a_status_nothing_is_success)
{
	static const char *const reasons[] = { "guest-poweroff", "guest-reboot", "guest-panic", "stopped",
					       "device-died", "violation", "setup", "", NULL };
	static const enum session_state states[] = { SESSION_WAITING, SESSION_STARTING,
						     SESSION_RUNNING, SESSION_BROKEN };

	for (size_t i = 0; i < array_len(reasons); i++)
		for (size_t j = 0; j < array_len(states); j++)
			cr_assert_eq(status(END(.session = states[j]), reasons[i]), 125);
}

Test(outcome, timeout_and_signals_have_their_numbers)
{
	cr_assert_eq(status(END(.session = SESSION_RUNNING), "timeout"), 124);
	cr_assert_eq(status(END(.session = SESSION_BROKEN), "timeout"), 124);
	cr_assert_eq(status(END(.session = SESSION_RUNNING, .cause = STOP_SIGNAL, .signo = 2), "stopped"),
		     130);
	cr_assert_eq(status(END(.session = SESSION_EXITED, .code = 7, .cause = STOP_SIGNAL, .signo = 15),
			    "stopped"), 143);
}

Test(outcome, output_that_could_not_be_written_is_a_failure)
{
	cr_assert_eq(status(END(.session = SESSION_EXITED, .stream_errno = ENOSPC), "guest-poweroff"),
		     125);
}
