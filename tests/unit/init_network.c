/* SPDX-License-Identifier: Apache-2.0 */
/* The guest's network interfaces, played by taps in a network namespace. */
#include "guest/fail.c"
#include "guest/network.c"
#include "guest/network6.c"

#include <criterion/criterion.h>
#include <linux/if_tun.h>
#include <sched.h>

static int sock;

/* A network namespace without taps. */
static void own_network(void)
{
	if (unshare(CLONE_NEWNET) < 0)
		cr_skip_test("needs root");
	sock = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
}

#define MAC(n) { 2, 0, 0, 0, 0, n }

/* A tap called @name with the hardware address MAC(@last). */
static void tap(const char *name, uint8_t last)
{
	struct ifreq req = { .ifr_flags = IFF_TAP | IFF_NO_PI };
	const uint8_t mac[6] = MAC(last);
	int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);

	snprintf(req.ifr_name, sizeof(req.ifr_name), "%s", name);
	if (fd < 0 || ioctl(fd, TUNSETIFF, &req) < 0)
		cr_skip_test("no tap can be made here");
	req.ifr_hwaddr.sa_family = ARPHRD_ETHER;
	memcpy(req.ifr_hwaddr.sa_data, mac, 6);
	cr_assert_eq(ioctl(sock, SIOCSIFHWADDR, &req), 0);
}

static void eth0(void)
{
	own_network();
	tap("eth0", 1);
}

static struct in_addr get(unsigned long what)
{
	struct ifreq req = { .ifr_name = "eth0" };
	struct sockaddr_in a;

	cr_assert_eq(ioctl(sock, what, &req), 0);
	memcpy(&a, &req.ifr_addr, sizeof(a));
	return a.sin_addr;
}

static bool is_up(void)
{
	struct ifreq req = { .ifr_name = "eth0" };

	cr_assert_eq(ioctl(sock, SIOCGIFFLAGS, &req), 0);
	return (req.ifr_flags & IFF_UP) != 0;
}

/* The line of the default route, as the kernel prints it. */
static bool default_route(const char *gateway)
{
	char line[256], name[32], to[16], via[16];
	FILE *f = fopen("/proc/thread-self/net/route", "re");
	bool found = false;

	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "%31s %15s %15s", name, to, via) == 3)
			found |= strcmp(to, "00000000") == 0 && strcmp(via, gateway) == 0;
	if (f)
		fclose(f);
	return found;
}

Test(network, is_set_up_as_the_host_says)
{
	const struct proto_net n = { .mac = MAC(1), .address = { 10, 1, 2, 3 }, .gateway = { 10, 1, 2, 1 }, .prefix = 23 };
	struct fail f = { 0 };

	eth0();
	cr_assert_not(is_up());
	cr_assert_eq(network_setup(&n, 1, &f), 0, "%s", f.text);
	cr_assert(is_up());
	cr_assert_eq(get(SIOCGIFADDR).s_addr, htonl(0x0a010203));
	cr_assert_eq(get(SIOCGIFNETMASK).s_addr, htonl(0xfffffe00));
	cr_assert(default_route("0102010A"));
}

/* The line of /proc/net/if_inet6 that ends with eth0 and has @address; its flags and prefix. */
static bool has_address6(const char *address, unsigned *prefix, unsigned *flags)
{
	char line[256], text[40], name[32];
	FILE *f = fopen("/proc/thread-self/net/if_inet6", "re");
	unsigned index, scope;
	bool found = false;

	while (f && !found && fgets(line, sizeof(line), f))
		found = sscanf(line, "%39s %x %x %x %x %31s", text, &index, prefix, &scope, flags, name) == 6 &&
			strcmp(text, address) == 0 && strcmp(name, "eth0") == 0;
	if (f)
		fclose(f);
	return found;
}

static bool default_route6(const char *gateway)
{
	char line[256], to[40], from[40], via[40];
	unsigned len;
	FILE *f = fopen("/proc/thread-self/net/ipv6_route", "re");
	bool found = false;

	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "%39s %x %39s %*x %39s", to, &len, from, via) == 4)
			found |= len == 0 && strcmp(via, gateway) == 0 && strstr(line, "eth0") != NULL;
	if (f)
		fclose(f);
	return found;
}

static char accepts_routers(void)
{
	char c = '?';
	int fd = open("/proc/sys/net/ipv6/conf/eth0/accept_ra", O_RDONLY | O_CLOEXEC);

	cr_assert_eq(read(fd, &c, 1), 1);
	close(fd);
	return c;
}

#define NO_IPV6 (access("/proc/net/if_inet6", F_OK) < 0)

Test(network, its_ipv6_address_is_there_at_once)
{
	const struct proto_net n = {
		.mac = MAC(1), .address = { 10, 1, 2, 3 }, .gateway = { 10, 1, 2, 1 }, .prefix = 24,
		.address6 = { 0xfd, [15] = 2 }, .gateway6 = { 0xfd, [15] = 1 }, .prefix6 = 64,
	};
	struct fail f = { 0 };
	unsigned prefix, flags;

	eth0();
	if (NO_IPV6)
		cr_skip_test("this kernel has no IPv6");
	cr_assert_eq(network_setup(&n, 1, &f), 0, "%s", f.text);
	cr_assert(has_address6("fd000000000000000000000000000002", &prefix, &flags));
	cr_assert_eq(prefix, 64);
	cr_assert(flags & IFA_F_PERMANENT, "%x", flags);
	cr_assert_not(flags & (IFA_F_TENTATIVE | IFA_F_DADFAILED), "%x", flags);
	cr_assert(default_route6("fd000000000000000000000000000001"));
	cr_assert_eq(accepts_routers(), '0');
	cr_assert(default_route("0102010A"), "beside that of IPv4");
}

Test(network, its_ipv6_gateway_may_be_link_local)
{
	const struct proto_net n = {
		.mac = MAC(1), .address6 = { 0xfd, [15] = 2 }, .gateway6 = { 0xfe, 0x80, [15] = 1 }, .prefix6 = 128,
	};
	struct fail f = { 0 };

	eth0();
	if (NO_IPV6)
		cr_skip_test("this kernel has no IPv6");
	cr_assert_eq(network_setup(&n, 1, &f), 0, "%s", f.text);
	cr_assert(default_route6("fe800000000000000000000000000001"));
}

Test(network, what_the_kernel_refuses_of_ipv6_is_told)
{
	struct proto_net n = {
		.mac = MAC(1), .address6 = { 0xfd, [15] = 2 }, .gateway6 = { 0xfd, 1, [15] = 1 }, .prefix6 = 64,
	};
	struct fail f = { 0 };

	eth0();
	if (NO_IPV6)
		cr_skip_test("this kernel has no IPv6");
	cr_assert_eq(network_setup(&n, 1, &f), -1);
	cr_assert_not_null(strstr(f.text, "set the default route of IPv6"), "%s", f.text);
	n.address6[0] = 0xff;
	cr_assert_eq(network_setup(&n, 1, &f), -1);
	cr_assert_not_null(strstr(f.text, "set the IPv6 address of the network interface eth0"), "%s", f.text);
}

Test(network, without_an_address_it_is_only_up)
{
	const struct proto_net n = { .mac = MAC(1), .prefix = 0 };
	struct fail f = { 0 };

	eth0();
	cr_assert_eq(network_setup(&n, 1, &f), 0, "%s", f.text);
	cr_assert(is_up());
	cr_assert_not(default_route("0102010A"));
}

Test(network, what_the_kernel_refuses_is_told)
{
	const struct proto_net n = { .mac = MAC(1), .address = { 10, 1, 2, 3 }, .gateway = { 10, 9, 9, 1 }, .prefix = 24 };
	struct fail f = { 0 };

	eth0();
	cr_assert_eq(network_setup(&n, 1, &f), -1);
	cr_assert_not_null(strstr(f.text, "default route"), "%s", f.text);
}

Test(network, name_servers_are_lines)
{
	struct proto_net n = {
		.dns = { { [10] = 255, 255, 9, 9, 9, 9 }, { [10] = 255, 255, 255, 254, 253, 252 } },
	};
	char text[RESOLV_MAX];

	cr_assert_eq(network_resolv(&n, 1, text, sizeof(text)), strlen(text));
	cr_assert_str_eq(text, "nameserver 9.9.9.9\nnameserver 255.254.253.252\n");
	memset(n.dns[0], 0, 16);
	network_resolv(&n, 1, text, sizeof(text));
	cr_assert_str_eq(text, "nameserver 255.254.253.252\n");
	memset(n.dns[0], 0x11, 16);
	memset(n.dns[1], 0xfd, 16);
	cr_assert_eq(network_resolv(&n, 1, text, sizeof(text)), strlen(text));
	cr_assert_str_eq(text, "nameserver 1111:1111:1111:1111:1111:1111:1111:1111\n"
			       "nameserver fdfd:fdfd:fdfd:fdfd:fdfd:fdfd:fdfd:fdfd\n", "the longest");
	memset(n.dns, 0, sizeof(n.dns));
	cr_assert_eq(network_resolv(&n, 1, text, sizeof(text)), 0);
	cr_assert_str_eq(text, "");
}

Test(network, name_servers_of_all_interfaces_are_lines)
{
	struct proto_net n[PROTO_NETS_MAX];
	char text[RESOLV_MAX];
	size_t lines = 0;

	memset(n, 0x11, sizeof(n));
	cr_assert_eq(network_resolv(n, PROTO_NETS_MAX, text, sizeof(text)), strlen(text));
	for (const char *c = text; *c; c++)
		lines += *c == '\n';
	cr_assert_eq(lines, PROTO_NETS_MAX * PROTO_DNS_MAX, "all of them, the longest");
}

/* The last byte of the hardware address of @name, or -1. */
static int mac_of(const char *name)
{
	struct ifreq req = { .ifr_flags = 0 };

	snprintf(req.ifr_name, sizeof(req.ifr_name), "%s", name);
	return ioctl(sock, SIOCGIFHWADDR, &req) < 0 ? -1 : (uint8_t)req.ifr_hwaddr.sa_data[5];
}

Test(network, interfaces_are_numbered_as_the_host_gave_them)
{
	static const char *const found[][3] = {
		{ "eth0", "eth1", "eth2" }, { "eth2", "eth1", "eth0" }, { "eth1", "eth2", "eth0" },
		{ "eth1", "eth0", "eth2" }, { "eth7", "net0", "eth0" },
	};
	const struct proto_net n[3] = {
		{ .mac = MAC(1), .address = { 10, 1, 2, 3 }, .prefix = 24 },
		{ .mac = MAC(2), .address = { 10, 1, 3, 3 }, .gateway = { 10, 1, 3, 1 }, .prefix = 24 },
		{ .mac = MAC(3) },
	};

	for (size_t i = 0; i < array_len(found); i++) {
		struct fail f = { 0 };

		own_network();
		tap(found[i][2], 3);
		tap("other", 9);
		tap(found[i][0], 1);
		tap(found[i][1], 2);
		cr_assert_eq(network_setup(n, 3, &f), 0, "%s", f.text);
		cr_assert(mac_of("eth0") == 1 && mac_of("eth1") == 2 && mac_of("eth2") == 3, "case %zu", i);
		cr_assert_eq(mac_of("other"), 9);
		cr_assert(is_up());
		cr_assert_eq(get(SIOCGIFADDR).s_addr, htonl(0x0a010203));
		cr_assert(default_route("0103010A"));
		close(sock);
	}
}

Test(network, a_name_that_somebody_else_has_is_told)
{
	const struct proto_net n = { .mac = MAC(9) };
	struct fail f = { 0 };

	eth0();
	tap("eth1", 9);
	cr_assert_eq(network_setup(&n, 1, &f), -1);
	cr_assert_not_null(strstr(f.text, "call the network interface immure0 eth0"), "%s", f.text);
}

Test(network, a_machine_without_interfaces_needs_nothing)
{
	struct fail f = { 0 };

	cr_assert_eq(network_setup(NULL, 0, &f), 0);
}
