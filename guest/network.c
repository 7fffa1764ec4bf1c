/* SPDX-License-Identifier: Apache-2.0 */
/* network.c: a few ioctls in place of a DHCP client.
 *
 * What is to be set is known to whoever started the VM, so nothing is asked of the network.  The
 * MTU is not here: the device tells it to its driver. */
#include "guest/network.h"
#include "guest/network6.h"

#include <arpa/inet.h>
#include <net/if.h>
#include <net/if_arp.h>
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

#define RESOLV_CONF "/etc/resolv.conf"

enum {
	WAIT_TURNS = 5000, WAIT_NS = 2 * 1000 * 1000,
	INDEX_MAX = 64,		/* the kernel counts its interfaces from 1; few guests have ten */
	RESOLV_MAX = PROTO_NETS_MAX * PROTO_DNS_MAX * (sizeof("nameserver \n") + INET6_ADDRSTRLEN),
};

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

/* A request about the interface that is to be, or is, called "<word><number>". */
static struct ifreq request_for(const char *word, unsigned number)
{
	struct ifreq req = { .ifr_flags = 0 };

	snprintf(req.ifr_name, sizeof(req.ifr_name), "%s%u", word, number);
	return req;
}

/* ---- which is which ---- */

/* Fills in the name of the interface with the hardware address of @n.  False: there is none yet. */
static bool find_interface(int sock, const struct proto_net *n, char name[static IFNAMSIZ])
{
	for (int i = 1; i <= INDEX_MAX; i++) {
		struct ifreq req = { .ifr_ifindex = i };

		if (ioctl(sock, SIOCGIFNAME, &req) < 0 || ioctl(sock, SIOCGIFHWADDR, &req) < 0 ||
		    req.ifr_hwaddr.sa_family != ARPHRD_ETHER ||
		    memcmp(req.ifr_hwaddr.sa_data, n->mac, sizeof(n->mac)) != 0)
			continue;
		memcpy(name, req.ifr_name, IFNAMSIZ);
		return true;
	}
	return false;
}

/* Its driver may have been loaded a moment ago. */
static int wait_for_interface(int sock, const struct proto_net *n, char name[static IFNAMSIZ],
			      struct fail *f)
{
	const struct timespec pause = { .tv_nsec = WAIT_NS };
	const uint8_t *m = n->mac;

	for (int i = 0; !find_interface(sock, n, name); i++) {
		if (i == WAIT_TURNS)
			return fail(f, PROTO_FAIL_SETUP, "there is no network interface %02x:%02x:%02x:%02x:"
				    "%02x:%02x: has this kernel virtio_net? import it again", m[0], m[1],
				    m[2], m[3], m[4], m[5]);
		nanosleep(&pause, NULL);
	}
	return 0;
}

static int rename_interface(int sock, char name[static IFNAMSIZ], const char *word, unsigned number,
			    struct fail *f)
{
	struct ifreq to = request_for(word, number), req = { .ifr_flags = 0 };

	if (strcmp(name, to.ifr_name) == 0)
		return 0;
	memcpy(req.ifr_name, name, IFNAMSIZ);
	memcpy(req.ifr_newname, to.ifr_name, IFNAMSIZ);
	if (ioctl(sock, SIOCSIFNAME, &req) < 0)
		return fail_errno(f, errno, "call the network interface %s %s", name, to.ifr_name);
	memcpy(name, to.ifr_name, IFNAMSIZ);
	return 0;
}

/* Makes interface @i "eth<i>".  The kernel numbers them as it finds them, which is in their order as
 * long as one thread looks for devices; if it was not, they make room for each other first. */
static int name_interfaces(int sock, const struct proto_net *n, unsigned count, struct fail *f)
{
	char name[PROTO_NETS_MAX][IFNAMSIZ];

	for (unsigned i = 0; i < count; i++)
		if (wait_for_interface(sock, &n[i], name[i], f) < 0)
			return -1;
	for (unsigned i = 0; i < count; i++) {
		const struct ifreq to = request_for("eth", i);

		if (strcmp(name[i], to.ifr_name) != 0 && rename_interface(sock, name[i], "immure", i, f) < 0)
			return -1;
	}
	for (unsigned i = 0; i < count; i++)
		if (rename_interface(sock, name[i], "eth", i, f) < 0)
			return -1;
	return 0;
}

/* ---- one of them ---- */

/* An ioctl on the interface @req is about, that takes an address. */
static int set_address(int sock, unsigned long what, struct ifreq req, const uint8_t bytes[static 4])
{
	const struct sockaddr_in a = address_of(bytes);

	memcpy(&req.ifr_addr, &a, sizeof(a));
	return ioctl(sock, what, &req);
}

static int set_interface(int sock, struct ifreq req, const struct proto_net *n, struct fail *f)
{
	const uint32_t mask = htonl(n->prefix == 0 ? 0 : ~0u << (32 - n->prefix));
	uint8_t bytes[4];

	memcpy(bytes, &mask, 4);
	if (given(n->address) && (set_address(sock, SIOCSIFADDR, req, n->address) < 0 ||
				  set_address(sock, SIOCSIFNETMASK, req, bytes) < 0))
		return fail_errno(f, errno, "set the address of the network interface %s", req.ifr_name);
	if (ioctl(sock, SIOCGIFFLAGS, &req) < 0)
		return fail_errno(f, errno, "network interface %s", req.ifr_name);
	req.ifr_flags = (short)(req.ifr_flags | IFF_UP | IFF_RUNNING);
	if (ioctl(sock, SIOCSIFFLAGS, &req) < 0)
		return fail_errno(f, errno, "bring the network interface %s up", req.ifr_name);
	return 0;
}

static int set_route(int sock, struct ifreq req, const struct proto_net *n, struct fail *f)
{
	struct rtentry route = { .rt_flags = RTF_UP | RTF_GATEWAY, .rt_dev = req.ifr_name };
	const struct sockaddr_in gateway = address_of(n->gateway);
	const struct sockaddr_in any = { .sin_family = AF_INET };

	if (!given(n->gateway))
		return 0;
	memcpy(&route.rt_gateway, &gateway, sizeof(gateway));
	memcpy(&route.rt_dst, &any, sizeof(any));
	memcpy(&route.rt_genmask, &any, sizeof(any));
	if (ioctl(sock, SIOCADDRT, &route) < 0)
		return fail_errno(f, errno, "set the default route by %s", req.ifr_name);
	return 0;
}

static int set_up(int sock, const struct proto_net *n, unsigned number, struct fail *f)
{
	const struct ifreq req = request_for("eth", number);

	network6_prepare(req.ifr_name, n);
	if (set_interface(sock, req, n, f) < 0 || set_route(sock, req, n, f) < 0)
		return -1;
	return network6_setup(req.ifr_name, n, f);
}

/* ---- name servers ---- */

static size_t resolv_line(const uint8_t dns[static 16], char *buf, size_t size)
{
	char text[INET6_ADDRSTRLEN];
	struct in6_addr a;

	memcpy(&a, dns, sizeof(a));
	if (IN6_IS_ADDR_UNSPECIFIED(&a))
		return 0;
	if (IN6_IS_ADDR_V4MAPPED(&a))
		inet_ntop(AF_INET, dns + 12, text, sizeof(text));
	else
		inet_ntop(AF_INET6, dns, text, sizeof(text));
	return (size_t)snprintf(buf, size, "nameserver %s\n", text);
}

size_t network_resolv(const struct proto_net *n, unsigned count, char *buf, size_t size)
{
	size_t len = 0;

	buf[0] = '\0';
	for (unsigned i = 0; i < count; i++)
		for (size_t j = 0; j < PROTO_DNS_MAX; j++)
			len += resolv_line(n[i].dns[j], buf + len, size - len);
	return len;
}

/* In place of the image's, which may be a link to where nobody writes. */
static void write_resolv(const struct proto_net *n, unsigned count)
{
	char text[RESOLV_MAX];
	size_t len = network_resolv(n, count, text, sizeof(text));
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

int network_setup(const struct proto_net *n, unsigned count, struct fail *f)
{
	int sock, rc;

	if (count == 0)
		return 0;
	sock = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (sock < 0)
		return fail_errno(f, errno, "network interface");
	rc = name_interfaces(sock, n, count, f);
	for (unsigned i = 0; i < count && rc == 0; i++)
		rc = set_up(sock, &n[i], i, f);
	close(sock);
	if (rc == 0)
		write_resolv(n, count);
	return rc;
}
