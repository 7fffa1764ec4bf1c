/* SPDX-License-Identifier: Apache-2.0 */
/* The packet wall before a real tap, in a network namespace of the test's own: what it lets pass
 * is answered by the host, and what it does not is as if it had never been sent. */
#include "bpf/wall.c"
#include "jailer/bpf.c"
#include "jailer/failure.c"
#include "jailer/wall.c"

#include "tests/unit/wall.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <sys/ioctl.h>

static int tap;
static unsigned ifindex;
static struct wall_config config;

static void request(unsigned long cmd, struct ifreq *req)
{
	int sock = socket(AF_INET, SOCK_DGRAM, 0);

	cr_assert_eq(ioctl(sock, cmd, req), 0, "%s", strerror(errno));
	close(sock);
}

/* A tap at whose other end the host is 10.9.0.1. */
static void start(void)
{
	struct ifreq req = { .ifr_name = "walled" };
	struct sockaddr_in addr = { .sin_family = AF_INET };

	if (geteuid() != 0)
		cr_skip("needs root");
	if (unshare(CLONE_NEWNET) != 0)
		cr_skip("needs network namespaces");
	tap = open("/dev/net/tun", O_RDWR | O_NONBLOCK);
	if (tap < 0)
		cr_skip("needs /dev/net/tun");
	req.ifr_flags = IFF_TAP | IFF_NO_PI;
	cr_assert_eq(ioctl(tap, TUNSETIFF, &req), 0, "%s", strerror(errno));
	inet_pton(AF_INET, "10.9.0.1", &addr.sin_addr);
	memcpy(&req.ifr_addr, &addr, sizeof(addr));
	request(SIOCSIFADDR, &req);
	req.ifr_flags = IFF_UP;
	request(SIOCSIFFLAGS, &req);
	ifindex = if_nametoindex("walled");
	config = usual;
}

TestSuite(wall_tap, .init = start);

static void attach_it(void)
{
	struct failure f = { "" };

	cr_assert_eq(wall_attach(ifindex, "walled", &config, &f), 0, "%s", f.text);
}

/* Does the host answer when the VM asks, as @sender, who 10.9.0.1 is? */
static bool answered(const char *sender, uint8_t mac_flip)
{
	struct pollfd p = { .fd = tap, .events = POLLIN };
	struct frame f = arp(1, sender);
	uint8_t in[2048];

	memset(f.b, 0xff, 6);
	f.b[11] ^= mac_flip;
	inet_pton(AF_INET, "10.9.0.1", f.b + 38);
	cr_assert_eq(write(tap, f.b, f.len), (ssize_t)f.len);
	/* What the host sends by itself (IPv6) is not an answer. */
	while (poll(&p, 1, 300) > 0) {
		ssize_t n = read(tap, in, sizeof(in));

		if (n >= 42 && in[12] == 8 && in[13] == 6 && in[21] == 2)
			return true;
	}
	return false;
}

Test(wall_tap, without_it_the_host_answers_anybody)
{
	cr_assert(answered("10.9.0.2", 0) && answered("10.9.0.7", 0) && answered("10.9.0.2", 1));
}

Test(wall_tap, with_it_only_the_vm_itself)
{
	attach_it();
	cr_assert(answered("10.9.0.2", 0));
	cr_assert(!answered("10.9.0.7", 0));
	cr_assert(!answered("10.9.0.2", 1));
	cr_assert(answered("10.9.0.2", 0));
}

Test(wall_tap, another_vm_on_the_same_tap_brings_its_own)
{
	attach_it();
	inet_pton(AF_INET, "10.9.0.7", config.ip4);
	attach_it();
	cr_assert(answered("10.9.0.7", 0));
	cr_assert(!answered("10.9.0.2", 0));
}

Test(wall_tap, taken_away_the_host_answers_anybody_again)
{
	struct failure f = { "" };

	cr_assert_eq(wall_detach(ifindex, "walled", &f), 0, "there was none: %s", f.text);
	attach_it();
	cr_assert(!answered("10.9.0.7", 0));
	cr_assert_eq(wall_detach(ifindex, "walled", &f), 0, "%s", f.text);
	cr_assert(answered("10.9.0.7", 0));
	cr_assert_eq(wall_detach(ifindex, "walled", &f), 0, "%s", f.text);
}

Test(wall_tap, no_such_interface_is_an_error_that_names_it)
{
	struct failure f = { "" };

	cr_assert_eq(wall_attach(ifindex + 1000, "nowhere", &config, &f), -1);
	cr_assert_not_null(strstr(f.text, "nowhere"));
}
