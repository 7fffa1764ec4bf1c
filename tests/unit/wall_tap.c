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
#include <linux/virtio_net.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <sys/ioctl.h>

/* As the jailer has it. */
enum { HEADER = sizeof(struct virtio_net_hdr_mrg_rxbuf), PORT = 4711, UDP = 17 };

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
	int size = HEADER;

	if (geteuid() != 0)
		cr_skip("needs root");
	if (unshare(CLONE_NEWNET) != 0)
		cr_skip("needs network namespaces");
	tap = open("/dev/net/tun", O_RDWR | O_NONBLOCK);
	if (tap < 0)
		cr_skip("needs /dev/net/tun");
	req.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR;
	cr_assert_eq(ioctl(tap, TUNSETIFF, &req), 0, "%s", strerror(errno));
	cr_assert_eq(ioctl(tap, TUNSETVNETHDRSZ, &size), 0, "%s", strerror(errno));
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

/* The VM sends @f to everybody on its link, with a checksum left to the host @offset behind @start
 * (0: with none). */
static void send_frame(struct frame *f, uint16_t start, uint16_t offset)
{
	const struct virtio_net_hdr h = {
		.flags = start != 0 || offset != 0 ? VIRTIO_NET_HDR_F_NEEDS_CSUM : 0, .csum_start = start,
		.csum_offset = offset,
	};
	uint8_t out[HEADER + sizeof(f->b)] = { 0 };

	memset(f->b, 0xff, 6);
	memcpy(out, &h, sizeof(h));
	memcpy(out + HEADER, f->b, f->len);
	/* Some places are too far in front for the kernel. */
	if (write(tap, out, HEADER + f->len) != (ssize_t)(HEADER + f->len))
		cr_assert(errno == EINVAL && h.flags != 0 && start < 34, "%s", strerror(errno));
}

/* Does the host answer when the VM asks, as @sender, who 10.9.0.1 is, and leaves a checksum @open? */
static bool answered_open(const char *sender, uint8_t mac_flip, uint16_t open)
{
	struct pollfd p = { .fd = tap, .events = POLLIN };
	struct frame f = arp(1, sender);
	uint8_t in[2048];

	f.b[11] ^= mac_flip;
	inet_pton(AF_INET, "10.9.0.1", f.b + 38);
	send_frame(&f, open, 0);
	/* What the host sends by itself (IPv6) is not an answer. */
	while (poll(&p, 1, 300) > 0) {
		ssize_t n = read(tap, in, sizeof(in));

		if (n >= HEADER + 42 && in[HEADER + 12] == 8 && in[HEADER + 13] == 6 && in[HEADER + 21] == 2)
			return true;
	}
	return false;
}

static bool answered(const char *sender, uint8_t mac_flip)
{
	return answered_open(sender, mac_flip, 0);
}

/* The host's end of what the VM sends to UDP port PORT. */
static int listen_to_udp(void)
{
	struct sockaddr_in addr = { .sin_family = AF_INET, .sin_port = htons(PORT) };
	int sock = socket(AF_INET, SOCK_DGRAM, 0);

	cr_assert_eq(bind(sock, (const struct sockaddr *)&addr, sizeof(addr)), 0, "%s", strerror(errno));
	return sock;
}

/* A packet to there; of the 16 bytes in it each has its number. */
static struct frame to_udp(void)
{
	struct frame f = ports(ip4(VM_IP4, "10.9.0.1", UDP), 1000, PORT);
	uint32_t sum = 0;

	for (int i = 14; i < 34; i += 2)
		sum += (uint32_t)f.b[i] << 8 | f.b[i + 1];
	be16(f.b + 24, ~(sum + (sum >> 16)));
	be16(f.b + 38, 8 + 16);
	for (uint8_t i = 0; i < 16; i++)
		f.b[42 + i] = i;
	return f;
}

/* Does it reach the host as it is, with a checksum left to it as above? */
static bool arrives(int sock, uint16_t start, uint16_t offset)
{
	struct pollfd p = { .fd = sock, .events = POLLIN };
	struct frame f = to_udp();
	uint8_t in[100];

	send_frame(&f, start, offset);
	if (poll(&p, 1, 100) <= 0)
		return false;
	cr_assert_eq(recv(sock, in, sizeof(in), 0), 16);
	cr_assert_eq(memcmp(in, f.b + 42, 16), 0);
	return true;
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

/* How many places of a checksum before that of UDP are there with which a packet reaches the host? */
static int wrong_places(int sock)
{
	int n = 0;

	for (uint16_t at = 20; at < 40; at++)
		n += arrives(sock, at, 0) + arrives(sock, 20, (uint16_t)(at - 20));
	return n;
}

Test(wall_tap, a_checksum_is_left_to_the_host_only_where_udp_has_it_or_behind)
{
	int sock = listen_to_udp();

	cr_assert_eq(wrong_places(sock), 40, "without the wall");
	cr_assert(answered_open("10.9.0.2", 0, 28));
	attach_it();
	cr_assert(arrives(sock, 34, 6), "that of UDP");
	if (!tells_checksums())
		cr_skip("this kernel is too old for the rule");
	cr_assert_eq(wrong_places(sock), 0);
	cr_assert(!answered_open("10.9.0.2", 0, 28), "the sender that ARP names");
	cr_assert(arrives(sock, 0, 0) && answered("10.9.0.2", 0), "none is left");
	cr_assert(arrives(sock, 34, 6), "that of UDP");
	cr_assert(arrives(sock, 34, 8) && arrives(sock, 42, 0) && arrives(sock, 56, 0),
		  "in what UDP carries");
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
