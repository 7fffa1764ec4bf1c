/* SPDX-License-Identifier: Apache-2.0 */
/* network6.c: one address and one route, by rtnetlink: no ioctl can say that the address is to be
 * had at once.
 *
 * Duplicate address detection would keep it from use for a second or more, and whose it is has been
 * decided by the host. */
#include "guest/network6.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* One request; room for the attributes that are put here and no more. */
struct request {
	struct nlmsghdr head;
	union {
		struct ifaddrmsg address;
		struct rtmsg route;
	} u;
	uint8_t attributes[32];
};

static void begin_request(struct request *r, unsigned short type, size_t body)
{
	memset(r, 0, sizeof(*r));
	r->head.nlmsg_len = (uint32_t)NLMSG_LENGTH(body);
	r->head.nlmsg_type = type;
	r->head.nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL;
}

static void add_attribute(struct request *r, unsigned short type, const void *data, size_t len)
{
	struct rtattr *a = (struct rtattr *)(void *)((uint8_t *)r + NLMSG_ALIGN(r->head.nlmsg_len));

	a->rta_type = type;
	a->rta_len = (unsigned short)RTA_LENGTH(len);
	memcpy(RTA_DATA(a), data, len);
	r->head.nlmsg_len = NLMSG_ALIGN(r->head.nlmsg_len) + (uint32_t)RTA_ALIGN(a->rta_len);
}

/* Sends @r and returns what the kernel says of it: 0 or -errno. */
static int exchange(int sock, const struct request *r)
{
	struct {
		struct nlmsghdr head;
		struct nlmsgerr error;
		uint8_t rest[256];
	} answer;
	ssize_t n = send(sock, r, r->head.nlmsg_len, 0);

	if (n >= 0)
		n = recv(sock, &answer, sizeof(answer), 0);
	if (n < 0)
		return -errno;
	if ((size_t)n < NLMSG_LENGTH(sizeof(answer.error)) || answer.head.nlmsg_type != NLMSG_ERROR)
		return -EPROTO;
	return answer.error.error;
}

static int add_address(int sock, uint32_t ifindex, const struct proto_net *n)
{
	struct request r;

	begin_request(&r, RTM_NEWADDR, sizeof(r.u.address));
	r.u.address = (struct ifaddrmsg){
		.ifa_family = AF_INET6, .ifa_prefixlen = n->prefix6, .ifa_flags = IFA_F_NODAD,
		.ifa_index = ifindex,
	};
	add_attribute(&r, IFA_ADDRESS, n->address6, sizeof(n->address6));
	return exchange(sock, &r);
}

static int add_route(int sock, uint32_t ifindex, const struct proto_net *n)
{
	struct request r;

	begin_request(&r, RTM_NEWROUTE, sizeof(r.u.route));
	r.u.route = (struct rtmsg){
		.rtm_family = AF_INET6, .rtm_table = RT_TABLE_MAIN, .rtm_protocol = RTPROT_BOOT,
		.rtm_scope = RT_SCOPE_UNIVERSE, .rtm_type = RTN_UNICAST,
	};
	add_attribute(&r, RTA_GATEWAY, n->gateway6, sizeof(n->gateway6));
	add_attribute(&r, RTA_OIF, &ifindex, sizeof(ifindex));
	return exchange(sock, &r);
}

/* A second address, from a router's announcement, would become the source of what the packet wall
 * then drops. */
void network6_prepare(const char *name, const struct proto_net *n)
{
	char path[64];
	int fd;

	if (n->prefix6 == 0)
		return;
	snprintf(path, sizeof(path), "/proc/sys/net/ipv6/conf/%s/accept_ra", name);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, "0", 1) != 1)
		note("%s: %s", path, strerror(errno));
	if (fd >= 0)
		close(fd);
}

int network6_setup(const char *name, const struct proto_net *n, struct fail *f)
{
	static const uint8_t none[16];
	const uint32_t ifindex = if_nametoindex(name);
	int sock, rc;

	if (n->prefix6 == 0)
		return 0;
	sock = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	if (sock < 0)
		return fail_errno(f, errno, "IPv6 of the network interface %s", name);
	rc = add_address(sock, ifindex, n);
	if (rc == -EOPNOTSUPP)
		fail(f, PROTO_FAIL_SETUP, "set the IPv6 address of %s: this kernel has no IPv6", name);
	else if (rc < 0)
		fail_errno(f, -rc, "set the IPv6 address of the network interface %s", name);
	if (rc == 0 && memcmp(n->gateway6, none, sizeof(none)) != 0) {
		rc = add_route(sock, ifindex, n);
		if (rc < 0)
			fail_errno(f, -rc, "set the default route of IPv6 by %s", name);
	}
	close(sock);
	return rc < 0 ? -1 : 0;
}
