/* SPDX-License-Identifier: Apache-2.0 */
/* The guest's network interface, played by a tap called eth0 in a network namespace. */
#include "guest/fail.c"
#include "guest/network.c"

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
	struct proto_net n = { .dns = { { 9, 9, 9, 9 }, { 255, 254, 253, 252 } } };
	char text[RESOLV_MAX];

	cr_assert_eq(network_resolv(&n, text, sizeof(text)), strlen(text));
	cr_assert_str_eq(text, "nameserver 9.9.9.9\nnameserver 255.254.253.252\n");
	memset(n.dns[0], 0, 4);
	network_resolv(&n, text, sizeof(text));
	cr_assert_str_eq(text, "nameserver 255.254.253.252\n");
	memset(n.dns[1], 0, 4);
	cr_assert_eq(network_resolv(&n, text, sizeof(text)), 0);
	cr_assert_str_eq(text, "");
}
