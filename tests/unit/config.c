/* SPDX-License-Identifier: Apache-2.0 */
/* LIBS: -ljansson */
/* A configuration is read whole or refused by the name of the key that is wrong. */
#include "jailer/config.c"
#include "jailer/config_user.c"
#include "jailer/config_wall.c"
#include "jailer/wall_text.c"
#include "jailer/mac.c"
#include "jailer/failure.c"

#include <criterion/criterion.h>

static struct config c;
static struct failure f;

static int parse(const char *text)
{
	f.text[0] = 0;
	return config_parse(&c, text, strlen(text), &f);
}

/* @text is refused, and the message contains @word. */
static void refused(const char *text, const char *word)
{
	cr_assert_eq(parse(text), -1, "accepted: %s", text);
	cr_assert(strstr(f.text, word) != NULL, "for %s\n  no '%s' in: %s", text, word,
		  f.text);
	config_free(&c);
}

#define BASE "\"name\":\"v\",\"kernel\":\"/k\""
#define WITH(more) "{" BASE "," more "}"

Test(config, what_is_not_given_has_its_default)
{
	cr_assert_eq(parse("{" BASE "}"), 0, "%s", f.text);
	cr_assert_str_eq(c.name, "v");
	cr_assert_str_eq(c.kernel, "/k");
	cr_assert_str_eq(c.cmdline, "");
	cr_assert_eq(c.memory, 256ull << 20);
	cr_assert_eq(c.vcpus, 1);
	cr_assert_eq(c.entry, VM_ENTRY_AUTO);
	cr_assert_eq(c.uid_base, 2000000000u);
	cr_assert(!c.console && !c.cmdline_devices && !c.cgroup_off);
	cr_assert(!c.speculation_restrict && !c.core_scheduling);
	cr_assert(c.initrd == NULL && c.vsock_path == NULL && c.run_dir == NULL);
	cr_assert_eq(config_devices(&c), 0);
	config_free(&c);
}

Test(config, every_key_is_read)
{
	int rc = parse("{\"name\":\"a.b_c-1\",\"kernel\":\"/k\",\"initrd\":\"/i\","
		       "\"cmdline\":\"quiet x=1\",\"entry\":\"flat\",\"memory\":16777216,"
		       "\"vcpus\":32,\"console\":true,\"cmdline_devices\":true,"
		       "\"timeout_ms\":1500,\"disks\":[{\"path\":\"/d0\"},"
		       "{\"path\":\"/d1\",\"readonly\":false,\"serial\":\"S N\",\"discard\":false,"
		       "\"block_size\":2048,\"direct\":true,\"queues\":4,\"grow\":8192}],"
		       "\"vsock\":{\"cid\":4294967294,\"path\":\"/run/x/vsock.sock\"},"
		       "\"run_dir\":\"/run/x\",\"limits\":{\"memory_overhead\":1,"
		       "\"cpu_percent\":150,\"pids\":9,\"io_bytes_per_sec\":1048576},"
		       "\"uid_base\":100000,\"cgroup\":\"off\",\"id\":7}");

	cr_assert_eq(rc, 0, "%s", f.text);
	cr_assert_str_eq(c.initrd, "/i");
	cr_assert_str_eq(c.cmdline, "quiet x=1");
	cr_assert(c.entry == VM_ENTRY_FLAT && c.memory == 16u << 20 && c.vcpus == 32);
	cr_assert(c.console && c.cmdline_devices && c.cgroup_off && c.timeout_ms == 1500);
	cr_assert(c.ndisks == 2 && c.disk[0].readonly && !c.disk[1].readonly);
	cr_assert(c.disk[0].discard && !c.disk[1].discard);
	cr_assert(!c.disk[0].direct && c.disk[1].direct);
	cr_assert(c.disk[0].block_size == 0 && c.disk[1].block_size == 2048);
	cr_assert(c.disk[0].queues == 1 && c.disk[1].queues == 4);
	cr_assert(c.disk[0].grow == 0 && c.disk[1].grow == 8192);
	cr_assert_str_eq(c.disk[0].serial, "");
	cr_assert_str_eq(c.disk[1].serial, "S N");
	cr_assert(c.vsock_cid == 4294967294u && config_devices(&c) == 3);
	cr_assert(c.limits.cpu_percent == 150 && c.limits.pids == 9 && c.id == 7);
	cr_assert(c.limits.memory_overhead == 1 && c.limits.io_bytes_per_sec == 1048576);
	cr_assert_eq(c.uid_base, 100000);
	config_free(&c);
}

/* As Firecracker writes them. */
Test(config, rate_limiters_are_read)
{
	int rc = parse(WITH("\"disks\":[{\"path\":\"/0\",\"rate_limiter\":{\"bandwidth\":{\"size\":1000,"
			    "\"one_time_burst\":5,\"refill_time\":100},\"ops\":{\"size\":7,"
			    "\"one_time_burst\":null,\"refill_time\":1000}}},"
			    "{\"path\":\"/1\",\"rate_limiter\":null},"
			    "{\"path\":\"/2\",\"rate_limiter\":{\"bandwidth\":null}}],"
			    "\"vsock\":{\"cid\":3,\"path\":\"/r/v\","
			    "\"tx_rate_limiter\":{\"ops\":{\"size\":8,\"refill_time\":9}},"
			    "\"rx_rate_limiter\":{\"bandwidth\":{\"size\":10,\"refill_time\":11}}}"));
	const struct limit_values *l;

	cr_assert_eq(rc, 0, "%s", f.text);
	l = config_limit(&c, 0, LIMITS_OUT);
	cr_assert(l->bytes.size == 1000 && l->bytes.burst == 5 && l->bytes.refill_ms == 100);
	cr_assert(l->ops.size == 7 && l->ops.burst == 0 && l->ops.refill_ms == 1000);
	cr_assert_eq(config_limit(&c, 0, LIMITS_IN)->bytes.size, 0);
	cr_assert_eq(config_limit(&c, 1, LIMITS_OUT)->bytes.size, 0);
	cr_assert_eq(config_limit(&c, 2, LIMITS_OUT)->bytes.size, 0);
	l = config_limit(&c, 3, LIMITS_OUT);
	cr_assert(l->bytes.size == 0 && l->ops.size == 8 && l->ops.refill_ms == 9);
	l = config_limit(&c, 3, LIMITS_IN);
	cr_assert(l->ops.size == 0 && l->bytes.size == 10 && l->bytes.refill_ms == 11);
	config_free(&c);
}

#define LIMITER(text) WITH("\"disks\":[{\"path\":\"/0\",\"rate_limiter\":" text "}]")

Test(config, a_bad_rate_limiter_is_named)
{
	refused(LIMITER("1"), "disks[0].rate_limiter: must be an object");
	refused(LIMITER("{\"bw\":{}}"), "disks[0].rate_limiter.bw: unknown key");
	refused(LIMITER("{\"ops\":1}"), "disks[0].rate_limiter.ops: must be an object");
	refused(LIMITER("{\"ops\":{\"size\":1}}"), "rate_limiter.ops.refill_time: is required");
	refused(LIMITER("{\"ops\":{\"refill_time\":1}}"), "rate_limiter.ops.size: is required");
	refused(LIMITER("{\"bandwidth\":{\"size\":null,\"refill_time\":1}}"),
		"rate_limiter.bandwidth.size: must be an integer");
	refused(LIMITER("{\"bandwidth\":{\"size\":-1,\"refill_time\":1}}"),
		"rate_limiter.bandwidth.size: must be 0 to");
	refused(LIMITER("{\"bandwidth\":{\"size\":1,\"refill_time\":1000000001}}"),
		"rate_limiter.bandwidth.refill_time: must be 0 to 1000000000");
	refused(LIMITER("{\"bandwidth\":{\"size\":1,\"refill_time\":1,\"burst\":1}}"),
		"rate_limiter.bandwidth.burst: unknown key");
	refused(WITH("\"vsock\":{\"cid\":3,\"path\":\"/r/v\",\"rx_rate_limiter\":true}"),
		"vsock.rx_rate_limiter: must be an object");
}

Test(config, what_is_not_a_json_object_is_refused)
{
	refused("", "config");
	refused("[]", "must be an object");
	refused("{", "line 1");
	refused("{" BASE "} trailing", "line 1");
	refused("{" BASE ",}", "line 1");
	refused("{\"name\":\"\xff\"}", "line 1");
	refused("{\"name\":\"a\\u0000b\",\"kernel\":\"/k\"}", "line 1");
}

Test(config, an_unknown_or_duplicate_or_missing_key_is_named)
{
	refused(WITH("\"kernal\":\"/k\""), "kernal: unknown key");
	refused(WITH("\"name\":\"w\""), "\"name\"");
	refused("{\"kernel\":\"/k\"}", "name: is required");
	refused("{\"name\":\"v\"}", "kernel: is required");
	refused(WITH("\"disks\":[{\"path\":\"/d\",\"ro\":true}]"), "disks[0].ro: unknown key");
	refused(WITH("\"disks\":[{\"path\":\"/d\"},{}]"), "disks[1].path: is required");
	refused(WITH("\"vsock\":{\"cid\":3}"), "vsock.path: is required");
	refused(WITH("\"vsock\":{\"path\":\"/v\"}"), "vsock.cid: is required");
	refused(WITH("\"limits\":{\"mem\":1}"), "limits.mem: unknown key");
}

Test(config, a_wrong_type_names_its_key)
{
	static const char *const strings[] = {
		"name", "kernel", "initrd", "cmdline", "run_dir",
	};
	static const char *const numbers[] = {
		"memory", "vcpus", "timeout_ms", "uid_base", "id",
	};
	static const char *const bools[] = { "console", "cmdline_devices" };
	char text[128];

	for (size_t i = 0; i < array_len(strings); i++) {
		snprintf(text, sizeof(text), "{\"%s\":1}", strings[i]);
		refused(text, strings[i]);
	}
	for (size_t i = 0; i < array_len(numbers); i++) {
		snprintf(text, sizeof(text), "{\"%s\":\"1\"}", numbers[i]);
		refused(text, numbers[i]);
		snprintf(text, sizeof(text), "{\"%s\":1.0}", numbers[i]);
		refused(text, numbers[i]);
	}
	for (size_t i = 0; i < array_len(bools); i++) {
		snprintf(text, sizeof(text), "{\"%s\":1}", bools[i]);
		refused(text, bools[i]);
	}
	refused(WITH("\"disks\":{}"), "disks: must be an array");
	refused(WITH("\"disks\":[1]"), "disks[0]: must be an object");
	refused(WITH("\"vsock\":[]"), "vsock: must be an object");
	refused(WITH("\"limits\":null"), "limits: must be an object");
	refused(WITH("\"disks\":[{\"path\":\"/d\",\"readonly\":0}]"), "disks[0].readonly");
	refused(WITH("\"disks\":[{\"path\":\"/d\",\"discard\":\"on\"}]"), "disks[0].discard");
	refused(WITH("\"disks\":[{\"path\":\"/d\",\"direct\":\"host\"}]"), "disks[0].direct");
}

Test(config, a_disk_has_one_to_four_queues)
{
	refused(WITH("\"disks\":[{\"path\":\"/d\",\"queues\":0}]"), "disks[0].queues: must be 1 to 4");
	refused(WITH("\"disks\":[{\"path\":\"/d\",\"queues\":5}]"), "disks[0].queues: must be 1 to 4");
}

Test(config, an_image_may_grow_to_a_size_but_not_below_an_overlay)
{
	refused(WITH("\"disks\":[{\"path\":\"/d\",\"grow\":4095}]"), "disks[0].grow: must be 4096 to");
	refused(WITH("\"disks\":[{\"path\":\"/d\",\"grow\":1099511627777}]"), "disks[0].grow: must be");
	refused(WITH("\"disks\":[{\"path\":\"/d\",\"grow\":8192,\"overlay\":true,\"readonly\":false}]"),
		"disks[0].overlay: must be false on a disk that grows");
}

Test(config, blocks_of_a_disk_have_four_sizes)
{
	static const char *const odd[] = { "0", "256", "511", "513", "1536", "4095", "4097", "8192",
					   "-512", "true", "\"512\"", "512.0", "4294967808" };
	char text[160];

	for (unsigned n = 512; n <= 4096; n *= 2) {
		snprintf(text, sizeof(text), WITH("\"disks\":[{\"path\":\"/d\",\"block_size\":%u}]"), n);
		cr_assert_eq(parse(text), 0, "%s", f.text);
		cr_assert_eq(c.disk[0].block_size, n);
		config_free(&c);
	}
	for (size_t i = 0; i < array_len(odd); i++) {
		snprintf(text, sizeof(text), WITH("\"disks\":[{\"path\":\"/d\",\"block_size\":%s}]"),
			 odd[i]);
		refused(text, "disks[0].block_size: must be");
	}
}

Test(config, a_value_out_of_range_names_its_key)
{
	refused(WITH("\"memory\":16773120"), "memory: must be");
	refused(WITH("\"memory\":16777217"), "memory: must be a multiple");
	refused(WITH("\"memory\":2199023255552"), "memory: must be");
	refused(WITH("\"memory\":-4096"), "memory: must be");
	refused(WITH("\"memory\":99999999999999999999"), "line 1");
	refused(WITH("\"vcpus\":0"), "vcpus: must be 1 to 32");
	refused(WITH("\"vcpus\":33"), "vcpus: must be 1 to 32");
	refused(WITH("\"vsock\":{\"cid\":2,\"path\":\"/v/s\"}"), "vsock.cid: must be 3 to");
	refused(WITH("\"vsock\":{\"cid\":4294967295,\"path\":\"/v/s\"}"), "vsock.cid");
	refused(WITH("\"uid_base\":0"), "uid_base");
	refused(WITH("\"id\":143435456"), "id: uid_base");
	refused(WITH("\"entry\":\"bios\""), "entry: must be one of: auto pvh linux64 flat");
	refused(WITH("\"cgroup\":\"on\""), "cgroup: must be one of: auto off");
	refused(WITH("\"limits\":{\"pids\":5000}"), "limits.pids: must be 0 to 4096");
}

#define OVERLAY(more) WITH("\"disks\":[{\"path\":\"/d\",\"readonly\":false" more "}]")

Test(config, an_overlay_is_in_memory_or_in_a_file)
{
	cr_assert_eq(parse(OVERLAY("")), 0);
	cr_assert(!c.disk[0].overlay && c.disk[0].overlay_limit == 0);
	config_free(&c);
	cr_assert_eq(parse(OVERLAY(",\"overlay\":true")), 0);
	cr_assert(c.disk[0].overlay && c.disk[0].overlay_path == NULL);
	cr_assert_eq(c.disk[0].overlay_limit, 256 << 20);
	config_free(&c);
	cr_assert_eq(parse(OVERLAY(",\"overlay\":true,\"overlay_path\":\"/o\"")), 0);
	cr_assert_str_eq(c.disk[0].overlay_path, "/o");
	cr_assert_eq(c.disk[0].overlay_limit, 0);
	config_free(&c);
	cr_assert_eq(parse(OVERLAY(",\"overlay\":true,\"overlay_limit\":100000")), 0);
	cr_assert_eq(c.disk[0].overlay_limit, 65536, "whole clusters");
	config_free(&c);
	refused(OVERLAY(",\"overlay\":1"), "disks[0].overlay: must be true or false");
	refused(OVERLAY(",\"overlay\":true,\"overlay_limit\":65535"), "disks[0].overlay_limit: must be");
	refused(OVERLAY(",\"overlay\":true,\"overlay_limit\":1099511627777"), "disks[0].overlay_limit");
	refused(OVERLAY(",\"overlay\":true,\"overlay_path\":\"o/o\""), "must be an absolute path");
	refused(OVERLAY(",\"overlay_path\":\"/o\""), "disks[0].overlay: must be true");
	refused(OVERLAY(",\"overlay_limit\":65536"), "disks[0].overlay: must be true");
	refused(OVERLAY(",\"overlay\":true,\"direct\":true"), "disk that is direct");
	refused(WITH("\"disks\":[{\"path\":\"/d\",\"overlay\":true}]"), "disk that is read-only");
}

Test(config, names_and_paths_are_what_they_may_be)
{
	refused("{\"name\":\"\",\"kernel\":\"/k\"}", "name: must be a string of length 1");
	refused("{\"name\":\"-v\",\"kernel\":\"/k\"}", "name");
	refused("{\"name\":\"a/b\",\"kernel\":\"/k\"}", "name");
	refused("{\"name\":\"..\",\"kernel\":\"/k\"}", "name");
	refused("{\"name\":\"v\",\"kernel\":\"k\"}", "kernel: must be an absolute path");
	refused(WITH("\"cmdline\":\"a\\nb\""), "cmdline: must be printable");
	refused(WITH("\"disks\":[{\"path\":\"/d\",\"serial\":\"123456789012345678901\"}]"),
		"disks[0].serial");
	refused(WITH("\"run_dir\":\"/run/x/\""), "run_dir: must not end");
	refused(WITH("\"vsock\":{\"cid\":3,\"path\":\"/run/x/\"}"), "vsock.path");
	refused(WITH("\"run_dir\":\"/run/x\",\"vsock\":{\"cid\":3,\"path\":\"/run/xy/s\"}"),
		"vsock.path: must lie directly in run_dir");
	refused(WITH("\"run_dir\":\"/run/x\",\"vsock\":{\"cid\":3,\"path\":\"/run/x/y/s\"}"),
		"vsock.path: must lie directly in run_dir");
}

Test(config, a_socket_name_leaves_room_for_any_port)
{
	char text[512], name[128];

	memset(name, 's', sizeof(name));
	name[96] = 0;
	snprintf(text, sizeof(text), WITH("\"vsock\":{\"cid\":3,\"path\":\"/%s\"}"), name);
	cr_assert_eq(parse(text), 0, "%s", f.text);
	config_free(&c);
	name[96] = 's';
	name[97] = 0;
	snprintf(text, sizeof(text), WITH("\"vsock\":{\"cid\":3,\"path\":\"/%s\"}"), name);
	refused(text, "vsock.path: the name");
}

Test(config, more_devices_than_slots_are_refused)
{
#define D "{\"path\":\"/d\"}"
#define EIGHT "\"disks\":[" D "," D "," D "," D "," D "," D "," D "," D "]"
	cr_assert_eq(parse(WITH(EIGHT)), 0, "%s", f.text);
	config_free(&c);
	refused(WITH(EIGHT ",\"vsock\":{\"cid\":3,\"path\":\"/v/s\"}"),
		"disks: at most 8 devices");
}

static const struct config_net *net_of(const char *net)
{
	static char text[512];

	snprintf(text, sizeof(text), WITH("\"net\":[%s]"), net);
	cr_assert_eq(parse(text), 0, "%s", f.text);
	return &c.net[0];
}

Test(config, a_network_interface)
{
	const struct config_net *net = net_of("{\"tap\":\"tap0\"}");
	uint8_t derived[6];

	cr_assert_eq(c.nnets, 1);
	cr_assert_str_eq(net->tap, "tap0");
	cr_assert(net->mtu == 0 && net->queues == 1 && net->offload);
	cr_assert((net->mac[0] & 3) == 2, "locally administered, one interface's");
	memcpy(derived, net->mac, 6);
	config_free(&c);
	net = net_of("{\"tap\":\"other\",\"queues\":4,\"mtu\":9000,\"offload\":false}");
	cr_assert_eq(memcmp(net->mac, derived, 6), 0, "from the VM's name alone");
	cr_assert(net->mtu == 9000 && net->queues == 4 && !net->offload);
	config_free(&c);
	net = net_of("{\"tap\":\"a\",\"mac\":\"52:54:00:aB:Cd:0f\"},{\"tap\":\"b\"}");
	cr_assert_eq(memcmp(net->mac, (uint8_t[]){ 0x52, 0x54, 0, 0xab, 0xcd, 0x0f }, 6), 0);
	cr_assert_neq(memcmp(c.net[1].mac, derived, 6), 0, "the second has another");
	cr_assert(config_devices(&c) == 2 && config_net(&c, 1) == &c.net[1]);
	cr_assert(config_net(&c, 2) == NULL);
	config_free(&c);
}

Test(config, a_packet_wall)
{
	const struct config_net *net = net_of("{\"tap\":\"t\"}");

	cr_assert(net->wall_mode == CONFIG_WALL_AUTO && net->wall.flags == 0 && net->wall.rate == 0);
	cr_assert_eq(memcmp(net->wall.mac, net->mac, 6), 0);
	config_free(&c);
	net = net_of("{\"tap\":\"t\",\"addresses\":[\"10.0.0.2/24\",\"fd00::2\"],"
		     "\"allow\":[\"10.0.0.0/8:443\",\"[::/0]\"],\"frame_rate\":5}");
	cr_assert_eq(net->wall_mode, CONFIG_WALL_ON, "there is something to keep");
	cr_assert_eq(net->wall.flags, WALL_HAS_IP4 | WALL_HAS_IP6 | WALL_HAS_ALLOW);
	cr_assert(net->wall.allow[0].version == 4 && net->wall.allow[1].version == 6 &&
		  net->wall.allow[2].version == 0 && net->wall.rate == 5);
	config_free(&c);
	net = net_of("{\"tap\":\"t\",\"allow\":[]}");
	cr_assert_eq(net->wall.flags, WALL_HAS_ALLOW, "an empty list lets nothing out");
	config_free(&c);
	net = net_of("{\"tap\":\"t\",\"wall\":\"off\"}");
	cr_assert_eq(net->wall_mode, CONFIG_WALL_OFF);
	config_free(&c);
}

Test(config, a_network_interface_that_cannot_be)
{
#define NET(text) WITH("\"net\":[{" text "}]")
	refused(WITH("\"net\":{}"), "net: must be an array");
	refused(NET("\"mtu\":1500"), "net[0].tap: is required");
	refused(NET("\"tap\":\"a2345678901234567\""), "net[0].tap: must be a string of length");
	refused(NET("\"tap\":\"../x\""), "net[0].tap");
	refused(NET("\"tap\":\"a/b\""), "net[0].tap");
	refused(NET("\"tap\":\"t%d\""), "net[0].tap");
	refused(NET("\"tap\":\"t\",\"queues\":0"), "net[0].queues: must be 1 to 4");
	refused(NET("\"tap\":\"t\",\"queues\":5"), "net[0].queues: must be 1 to 4");
	refused(NET("\"tap\":\"t\",\"mtu\":67"), "net[0].mtu: must be 68 to 65535");
	refused(NET("\"tap\":\"t\",\"mac\":\"01:00:00:00:00:00\""), "net[0].mac: must be the address");
	refused(NET("\"tap\":\"t\",\"mac\":\"00:00:00:00:00:00\""), "net[0].mac");
	refused(NET("\"tap\":\"t\",\"mac\":\"2:00:00:00:00:00\""), "net[0].mac");
	refused(NET("\"tap\":\"t\",\"mac\":\"02:00:00:00:00:0g\""), "net[0].mac");
	refused(NET("\"tap\":\"t\",\"mac\":\"02-00-00-00-00-00\""), "net[0].mac");
	refused(NET("\"tap\":\"t\",\"wall\":\"maybe\""), "net[0].wall");
	refused(NET("\"tap\":\"t\",\"addresses\":\"10.0.0.2\""), "net[0].addresses: must be an array");
	refused(NET("\"tap\":\"t\",\"addresses\":[7]"), "net[0].addresses[0]: : must be a string");
	refused(NET("\"tap\":\"t\",\"addresses\":[\"10.0.0\"]"), "addresses[0]: 10.0.0: not an IP address");
	refused(NET("\"tap\":\"t\",\"addresses\":[\"10.0.0.2\",\"10.0.0.3\"]"), "addresses[1]: 10.0.0.3: one of each");
	refused(NET("\"tap\":\"t\",\"allow\":[\"10.0.0.0/8:443\",\"x\"]"), "net[0].allow[1]: x: not an IPv4 address");
	refused(NET("\"tap\":\"t\",\"wall\":\"off\",\"allow\":[]"), "keeps neither allow nor frame_rate");
	refused(NET("\"tap\":\"t\",\"wall\":\"off\",\"frame_rate\":1"), "keeps neither allow nor frame_rate");
	refused(WITH("\"net\":[{\"tap\":\"t\"},{\"tap\":\"t\"}]"), "net[1].tap: given twice");
#define USER(address, gateway, more) \
	NET("\"user\":{\"address\":\"" address "\",\"gateway\":\"" gateway "\"}" more)
	refused(USER("10.0.2.15/24", "10.0.2.2", ",\"tap\":\"t\""), "net[0].tap: not together with user");
	refused(NET("\"user\":true"), "net[0].user: must be an object");
	refused(NET("\"user\":{\"address\":\"10.0.2.15/24\"}"), "net[0].user.gateway: is required");
	refused(NET("\"user\":{\"gateway\":\"10.0.2.2\"}"), "net[0].user.address: is required");
	refused(NET("\"user\":{\"program\":\"/bin/sh\"}"), "net[0].user.program: unknown key");
	refused(USER("10.0.2.15", "10.0.2.2", ""), "net[0].user.address: must be");
	refused(USER("10.0.2.15/", "10.0.2.2", ""), "net[0].user.address");
	refused(USER("10.0.2.15/0", "10.0.2.2", ""), "net[0].user.address");
	refused(USER("10.0.2.15/32", "10.0.2.2", ""), "net[0].user.address");
	refused(USER("10.0.2.15/+24", "10.0.2.2", ""), "net[0].user.address");
	refused(USER("10.0.2.15/24 -x", "10.0.2.2", ""), "net[0].user.address");
	refused(USER("127.0.0.1/24", "127.0.0.2", ""), "net[0].user.address");
	refused(USER("::1.2.3.4/24", "10.0.2.2", ""), "net[0].user.address");
	refused(USER("10.0.2.15/24", "--debug", ""), "net[0].user.gateway");
	refused(USER("10.0.2.15/24", "10.0.2.15", ""), "net[0].user.gateway");
	refused(USER("10.0.2.15/24", "10.0.3.2", ""), "net[0].user.gateway");
	refused(USER("10.0.2.15/24", "224.0.0.1", ""), "net[0].user.gateway");
	refused(NET("\"user\":{\"address\":\"10.0.2.15/24\",\"gateway\":\"10.0.2.2\",\"dns\":\"none\"}"),
		"net[0].user.dns: must be");
	refused(NET("\"user\":{\"address\":\"10.0.2.15/24\",\"gateway\":\"10.0.2.2\",\"dns\":\"-D1.1.1.1\"}"),
		"net[0].user.dns");
	refused(USER("10.0.2.15/24", "10.0.2.2", ",\"queues\":2"), "net[0].queues: must be 1 with user");
	refused(USER("10.0.2.15/24", "10.0.2.2", ",\"mtu\":32001"), "net[0].mtu: must be 68 to 32000");
	refused(USER("10.0.2.15/24", "10.0.2.2", ",\"addresses\":[\"10.0.2.16/24\"]"), "net[0].addresses[0]");
#define USER_NET "{\"user\":{\"address\":\"10.0.2.15/24\",\"gateway\":\"10.0.2.2\"}}"
	refused(WITH("\"net\":[" USER_NET "," USER_NET "]"), "net[1].user: given twice");
}

Test(config, a_text_that_is_too_long_is_not_even_parsed)
{
	static char text[CONFIG_BYTES_MAX + 2];

	memset(text, ' ', sizeof(text) - 1);
	refused(text, "longer than");
}

/* Whatever is cut off, the answer is a message and not a crash. */
Test(config, every_prefix_is_refused_with_a_message)
{
	const char *whole = WITH("\"disks\":[{\"path\":\"/d\",\"readonly\":true}],"
				 "\"vsock\":{\"cid\":3,\"path\":\"/v/s\"}");

	for (size_t n = 0; n < strlen(whole); n++) {
		f.text[0] = 0;
		cr_assert_eq(config_parse(&c, whole, n, &f), -1);
		cr_assert(f.text[0] != 0);
		config_free(&c);
	}
}

Test(config, what_shares_the_processor_can_be_restricted)
{
	cr_assert_eq(parse(WITH("\"speculation\":\"restrict\",\"core_scheduling\":true")), 0);
	cr_assert(c.speculation_restrict && c.core_scheduling);
	config_free(&c);
	cr_assert_eq(parse(WITH("\"speculation\":\"host\",\"core_scheduling\":false")), 0);
	cr_assert(!c.speculation_restrict && !c.core_scheduling);
	config_free(&c);
	refused(WITH("\"speculation\":\"off\""), "speculation: must be one of: host restrict");
	refused(WITH("\"core_scheduling\":1"), "core_scheduling: must be true or false");
}

Test(config, a_network_through_passt)
{
	static const struct wall_config zero;

	cr_assert_eq(parse(WITH("\"net\":[{\"tap\":\"t\"}," USER_NET "]")), 0, "%s", f.text);
	cr_assert_eq(config_user_net(&c), 1);
	cr_assert(c.net[1].tap == NULL && c.net[1].mtu == 1500 && c.net[1].queues == 1 && !c.net[1].offload);
	cr_assert_str_eq(c.net[1].user.host, "10.0.2.15");
	cr_assert(c.net[1].user.prefix == 24 && c.net[1].user.dns == NULL);
	cr_assert_eq(c.net[1].wall.flags, WALL_HAS_IP4, "its address is the guest's only one");
	cr_assert_eq(memcmp(c.net[1].wall.ip4, "\x0a\0\2\x0f", 4), 0);
	cr_assert_eq(c.net[1].wall_mode, CONFIG_WALL_AUTO);
	config_free(&c);
	cr_assert_eq(parse(NET("\"tap\":\"t\"")), 0);
	cr_assert_eq(config_user_net(&c), -1);
	cr_assert_neq(memcmp(&c.net[0].wall, &zero, sizeof(zero)), 0);
	config_free(&c);
}
