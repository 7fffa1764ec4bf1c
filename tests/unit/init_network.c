/* SPDX-License-Identifier: Apache-2.0 */
/* The guest's network interface, played by a tap called eth0 in a network namespace. */
#include "guest/fail.c"
#include "guest/network.c"
#include "guest/network6.c"

#include <criterion/criterion.h>
#include <linux/if_tun.h>
#include <sched.h>

static int sock;

static void eth0(void)
{
	struct ifreq req = { .ifr_name = "eth0", .ifr_flags = IFF_TAP | IFF_NO_PI };
	int fd;

	if (unshare(CLONE_NEWNET) < 0)
		cr_skip_test("needs root");
	fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);
	if (fd < 0 || ioctl(fd, TUNSETIFF, &req) < 0)
		cr_skip_test("no tap can be made here");
	sock = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
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
	const struct proto_net n = { .address = { 10, 1, 2, 3 }, .gateway = { 10, 1, 2, 1 }, .prefix = 23 };
	struct fail f = { 0 };

	eth0();
	cr_assert_not(is_up());
	cr_assert_eq(network_setup(&n, &f), 0, "%s", f.text);
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
		.address = { 10, 1, 2, 3 }, .gateway = { 10, 1, 2, 1 }, .prefix = 24,
		.address6 = { 0xfd, [15] = 2 }, .gateway6 = { 0xfd, [15] = 1 }, .prefix6 = 64,
	};
	struct fail f = { 0 };
	unsigned prefix, flags;

	eth0();
	if (NO_IPV6)
		cr_skip_test("this kernel has no IPv6");
	cr_assert_eq(network_setup(&n, &f), 0, "%s", f.text);
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
		.address6 = { 0xfd, [15] = 2 }, .gateway6 = { 0xfe, 0x80, [15] = 1 }, .prefix6 = 128,
	};
	struct fail f = { 0 };

	eth0();
	if (NO_IPV6)
		cr_skip_test("this kernel has no IPv6");
	cr_assert_eq(network_setup(&n, &f), 0, "%s", f.text);
	cr_assert(default_route6("fe800000000000000000000000000001"));
}

Test(network, what_the_kernel_refuses_of_ipv6_is_told)
{
	struct proto_net n = {
		.address6 = { 0xfd, [15] = 2 }, .gateway6 = { 0xfd, 1, [15] = 1 }, .prefix6 = 64,
	};
	struct fail f = { 0 };

	eth0();
	if (NO_IPV6)
		cr_skip_test("this kernel has no IPv6");
	cr_assert_eq(network_setup(&n, &f), -1);
	cr_assert_not_null(strstr(f.text, "set the default route of IPv6"), "%s", f.text);
	n.address6[0] = 0xff;
	cr_assert_eq(network_setup(&n, &f), -1);
	cr_assert_not_null(strstr(f.text, "set the IPv6 address of the network interface eth0"), "%s", f.text);
}

Test(network, without_an_address_it_is_only_up)
{
	const struct proto_net n = { .prefix = 0 };
	struct fail f = { 0 };

	eth0();
	cr_assert_eq(network_setup(&n, &f), 0, "%s", f.text);
	cr_assert(is_up());
	cr_assert_not(default_route("0102010A"));
}

Test(network, what_the_kernel_refuses_is_told)
{
	const struct proto_net n = { .address = { 10, 1, 2, 3 }, .gateway = { 10, 9, 9, 1 }, .prefix = 24 };
	struct fail f = { 0 };

	eth0();
	cr_assert_eq(network_setup(&n, &f), -1);
	cr_assert_not_null(strstr(f.text, "default route"), "%s", f.text);
}

Test(network, name_servers_are_lines)
{
	struct proto_net n = {
		.dns = { { [10] = 255, 255, 9, 9, 9, 9 }, { [10] = 255, 255, 255, 254, 253, 252 } },
	};
	char text[RESOLV_MAX];

	cr_assert_eq(network_resolv(&n, text, sizeof(text)), strlen(text));
	cr_assert_str_eq(text, "nameserver 9.9.9.9\nnameserver 255.254.253.252\n");
	memset(n.dns[0], 0, 16);
	network_resolv(&n, text, sizeof(text));
	cr_assert_str_eq(text, "nameserver 255.254.253.252\n");
	memset(n.dns[0], 0x11, 16);
	memset(n.dns[1], 0xfd, 16);
	cr_assert_eq(network_resolv(&n, text, sizeof(text)), strlen(text));
	cr_assert_str_eq(text, "nameserver 1111:1111:1111:1111:1111:1111:1111:1111\n"
			       "nameserver fdfd:fdfd:fdfd:fdfd:fdfd:fdfd:fdfd:fdfd\n", "the longest");
	memset(n.dns, 0, sizeof(n.dns));
	cr_assert_eq(network_resolv(&n, text, sizeof(text)), 0);
	cr_assert_str_eq(text, "");
}
