/* SPDX-License-Identifier: Apache-2.0 */
/* network.c: a few ioctls in place of a DHCP client.
 *
 * What is to be set is known to whoever started the VM, so nothing is asked of the network.  The
 * MTU is not here: the device tells it to its driver. */
#include "guest/network.h"
#include "guest/network6.h"

#include <arpa/inet.h>
#include <net/if.h>
#include <net/route.h>
#include <netinet/in.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define INTERFACE   "eth0"
#define RESOLV_CONF "/etc/resolv.conf"

enum { WAIT_TURNS = 5000, WAIT_NS = 2 * 1000 * 1000, RESOLV_MAX = 128 };

static struct sockaddr_in address_of(const uint8_t bytes[static 4])
{
	struct sockaddr_in a = { .sin_family = AF_INET };

	memcpy(&a.sin_addr, bytes, 4);
	return a;
}

static bool given(const uint8_t bytes[static 4])
{
	return (bytes[0] | bytes[1] | bytes[2] | bytes[3]) != 0;
}

/* An ioctl on the interface that takes an address. */
static int set_address(int sock, unsigned long what, const uint8_t bytes[static 4])
{
	struct ifreq req = { .ifr_name = INTERFACE };
	const struct sockaddr_in a = address_of(bytes);

	memcpy(&req.ifr_addr, &a, sizeof(a));
	return ioctl(sock, what, &req);
}

/* Its driver may have been loaded a moment ago. */
static int wait_for_interface(int sock, struct fail *f)
{
	const struct timespec pause = { .tv_nsec = WAIT_NS };
	struct ifreq req = { .ifr_name = INTERFACE };

	for (int i = 0; ioctl(sock, SIOCGIFINDEX, &req) < 0; i++) {
		if (i == WAIT_TURNS)
			return fail(f, PROTO_FAIL_SETUP, "there is no network interface: has this kernel "
				    "virtio_net? import it again");
		nanosleep(&pause, NULL);
	}
	return 0;
}

static int set_interface(int sock, const struct proto_net *n, struct fail *f)
{
	const uint32_t mask = htonl(n->prefix == 0 ? 0 : ~0u << (32 - n->prefix));
	struct ifreq req = { .ifr_name = INTERFACE };
	uint8_t bytes[4];

	memcpy(bytes, &mask, 4);
	if (given(n->address) && (set_address(sock, SIOCSIFADDR, n->address) < 0 ||
				  set_address(sock, SIOCSIFNETMASK, bytes) < 0))
		return fail_errno(f, errno, "set the address of the network interface");
	if (ioctl(sock, SIOCGIFFLAGS, &req) < 0)
		return fail_errno(f, errno, "network interface");
	req.ifr_flags = (short)(req.ifr_flags | IFF_UP | IFF_RUNNING);
	if (ioctl(sock, SIOCSIFFLAGS, &req) < 0)
		return fail_errno(f, errno, "bring the network interface up");
	return 0;
}

static int set_route(int sock, const struct proto_net *n, struct fail *f)
{
	static char interface[] = INTERFACE;
	struct rtentry route = { .rt_flags = RTF_UP | RTF_GATEWAY, .rt_dev = interface };
	const struct sockaddr_in gateway = address_of(n->gateway);
	const struct sockaddr_in any = { .sin_family = AF_INET };

	if (!given(n->gateway))
		return 0;
	memcpy(&route.rt_gateway, &gateway, sizeof(gateway));
	memcpy(&route.rt_dst, &any, sizeof(any));
	memcpy(&route.rt_genmask, &any, sizeof(any));
	if (ioctl(sock, SIOCADDRT, &route) < 0)
		return fail_errno(f, errno, "set the default route");
	return 0;
}

size_t network_resolv(const struct proto_net *n, char *buf, size_t size)
{
	size_t len = 0;

	buf[0] = '\0';
	for (size_t i = 0; i < PROTO_DNS_MAX; i++) {
		const uint8_t *d = n->dns[i];
		char text[INET6_ADDRSTRLEN];
		struct in6_addr a;

		memcpy(&a, d, sizeof(a));
		if (IN6_IS_ADDR_UNSPECIFIED(&a))
			continue;
		if (IN6_IS_ADDR_V4MAPPED(&a))
			inet_ntop(AF_INET, d + 12, text, sizeof(text));
		else
			inet_ntop(AF_INET6, d, text, sizeof(text));
		len += (size_t)snprintf(buf + len, size - len, "nameserver %s\n", text);
	}
	return len;
}

/* In place of the image's, which may be a link to where nobody writes. */
static void write_resolv(const struct proto_net *n)
{
	char text[RESOLV_MAX];
	size_t len = network_resolv(n, text, sizeof(text));
	int fd;

	if (len == 0)
		return;
	unlink(RESOLV_CONF);
	fd = open(RESOLV_CONF, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	if (fd < 0 || write(fd, text, len) != (ssize_t)len)
		note("write " RESOLV_CONF ": %s", strerror(errno));
	if (fd >= 0)
		close(fd);
}

int network_setup(const struct proto_net *n, struct fail *f)
{
	int sock = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), rc;

	if (sock < 0)
		return fail_errno(f, errno, "network interface");
	rc = wait_for_interface(sock, f);
	if (rc == 0)
		network6_prepare(INTERFACE, n);
	if (rc == 0)
		rc = set_interface(sock, n, f);
	if (rc == 0)
		rc = set_route(sock, n, f);
	close(sock);
	if (rc == 0)
		rc = network6_setup(INTERFACE, n, f);
	if (rc == 0)
		write_resolv(n);
	return rc;
}
