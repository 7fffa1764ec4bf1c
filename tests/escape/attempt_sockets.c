/* SPDX-License-Identifier: Apache-2.0 */
/* attempt_sockets.c: 38 to 45: sockets. */
#include "core/fdplan.h"
#include "core/log.h"
#include "tests/escape/escape.h"

#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/socket.h>
#include <sys/un.h>

enum {
	/* The kind of socket that the supervisor may make. */
	STREAM = SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC,
	FAMILY_ALG = 38, FAMILY_VSOCK = 40, FAMILY_BLUETOOTH = 31,
};

static uint16_t swapped(long port)
{
	return (uint16_t)((port & 0xff) << 8 | (port >> 8 & 0xff));
}

/* A socket to @to: connected, or a datagram sent.  A connection under way has left. */
static long reach(int type, const void *to, size_t len)
{
	const struct sockaddr *sa = to;
	long fd = CALL(SYS_socket, sa->sa_family, type), rc;

	if (fd < 0)
		return fd;
	rc = (type & 0xf) == SOCK_DGRAM ? CALL(SYS_sendto, fd, "escaped", 7, 0, to, len)
					: CALL(SYS_connect, fd, to, len);
	CALL(SYS_close, fd);
	return rc == -EINPROGRESS || rc == -EAGAIN ? 0 : rc;
}

static long reach_ipv4(int type, uint32_t address, long port)
{
	struct sockaddr_in in = { .sin_family = AF_INET, .sin_port = swapped(port) };

	in.sin_addr.s_addr = __builtin_bswap32(address);
	return reach(type, &in, sizeof(in));
}

static long internet(unsigned sub)
{
	struct sockaddr_in6 in6 = { .sin6_family = AF_INET6, .sin6_port = swapped(escape.tcp) };
	struct sockaddr_in in = { .sin_family = AF_INET, .sin_port = swapped(7777) };
	long fd, rc;

	if (sub == 1)
		return reach_ipv4(STREAM, 0x7f000001, escape.tcp);
	if (sub == 2)
		return reach_ipv4(SOCK_DGRAM, 0x7f000001, escape.udp);
	if (sub == 3) {
		in6.sin6_addr.s6_addr[15] = 1;
		return reach(STREAM, &in6, sizeof(in6));
	}
	in.sin_addr.s_addr = __builtin_bswap32(0x7f000001);
	fd = CALL(SYS_socket, AF_INET, STREAM);
	if (fd < 0)
		return fd;
	rc = CALL(SYS_bind, fd, &in, sizeof(in));
	if (rc == 0)
		rc = CALL(SYS_listen, fd, 1);
	CALL(SYS_close, fd);
	return rc;
}

static long unix_sockets(unsigned sub)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };

	/* Whole addresses, zeros and all, as the supervisor makes them. */
	if (sub == 2) {
		log_format(un.sun_path + 1, sizeof(un.sun_path) - 1, "%s", escape.name);
		return reach(STREAM, &un, sizeof(un));
	}
	/* The supervisor's current directory is that of its sockets, two below the canaries. */
	log_format(un.sun_path, sizeof(un.sun_path), "%s%s", sub == 3 ? "../.." : escape.dir,
		   sub == 4 ? "/dgram" : "/stream");
	return reach(sub == 4 ? SOCK_DGRAM : STREAM, &un, sizeof(un));
}

static long vsock(unsigned sub)
{
	struct { uint16_t family, zero; uint32_t port, cid; uint8_t more[4]; } vm = {
		.family = FAMILY_VSOCK, .port = (uint32_t)escape.vsock, .cid = sub == 1 ? 2 : 3,
	};

	return reach(STREAM, &vm, sizeof(vm));
}

/* The index of the first interface that is not the loopback. */
static long interfaces(void)
{
	static char answer[8192];
	struct { struct nlmsghdr h; struct rtgenmsg g; } ask = {
		{ sizeof(ask), RTM_GETLINK, NLM_F_REQUEST | NLM_F_DUMP, 1, 0 }, { AF_UNSPEC },
	};
	long fd = CALL(SYS_socket, AF_NETLINK, SOCK_RAW, NETLINK_ROUTE), n;

	if (fd < 0)
		return fd;
	n = CALL(SYS_sendto, fd, &ask, sizeof(ask));
	if (n >= 0)
		n = CALL(SYS_recvfrom, fd, answer, sizeof(answer));
	CALL(SYS_close, fd);
	for (struct nlmsghdr *h = (void *)answer; n > 0 && NLMSG_OK(h, (unsigned)n); h = NLMSG_NEXT(h, n)) {
		struct ifinfomsg *link = NLMSG_DATA(h);

		if (h->nlmsg_type == RTM_NEWLINK && link->ifi_type != 772)	/* ARPHRD_LOOPBACK */
			return link->ifi_index;
	}
	return n < 0 ? n : -ENODEV;
}

static long families(unsigned sub)
{
	switch (sub) {
	case 1: return interfaces();
	case 2: return CALL(SYS_socket, AF_PACKET, SOCK_RAW, swapped(ETH_P_ALL));
	case 3: return CALL(SYS_socket, FAMILY_ALG, SOCK_SEQPACKET, 0);
	}
	return CALL(SYS_socket, FAMILY_BLUETOOTH, SOCK_RAW, 1);
}

static long send_descriptor(int fd)
{
	struct iovec v = { (char[]){ "escaped" }, 7 };
	union { struct cmsghdr h; char room[CMSG_SPACE(sizeof(int))]; } control;
	struct msghdr m = {
		.msg_iov = &v, .msg_iovlen = 1, .msg_control = &control,
		.msg_controllen = sizeof(control),
	};
	const int what = FD_LOG;

	memset(&control, 0, sizeof(control));
	control.h.cmsg_len = CMSG_LEN(sizeof(int));
	control.h.cmsg_level = SOL_SOCKET;
	control.h.cmsg_type = SCM_RIGHTS;
	memcpy(CMSG_DATA(&control.h), &what, sizeof(what));
	return CALL(SYS_sendmsg, fd, &m, MSG_DONTWAIT);
}

static long receive_descriptor(int fd)
{
	char text[8], room[64];
	struct iovec v = { text, sizeof(text) };
	struct msghdr m = {
		.msg_iov = &v, .msg_iovlen = 1, .msg_control = room, .msg_controllen = sizeof(room),
	};

	return CALL(SYS_recvmsg, fd, &m, MSG_DONTWAIT | MSG_PEEK);
}

static long passing(unsigned sub)
{
	return each_fd(sub == 1 ? send_descriptor : receive_descriptor);
}

static long name_tap(int fd)
{
	const struct { char name[16]; short flags; char more[22]; } tap = { "escaped", 2, "" };

	return CALL(SYS_ioctl, fd, 0x400454ca, &tap);			/* TUNSETIFF */
}

static long keep_tap(int fd) { return CALL(SYS_ioctl, fd, 0x400454cb, 1); }	/* TUNSETPERSIST */

static long filter_tap(int fd)
{
	static const struct { uint16_t code; uint8_t jt, jf; uint32_t k; } all = { 6, 0, 0, ~0u };
	const struct { uint16_t len; const void *filter; } pass = { 1, &all };

	return CALL(SYS_ioctl, fd, 0x401054d5, &pass);			/* TUNATTACHFILTER */
}

/* With the one tap it has: no other process has any. */
static long own_tap(unsigned sub)
{
	const struct { char name[16]; uint16_t family; uint8_t address[22]; } other = {
		"", 1, { 2, 'e', 's', 'c' },				/* ARPHRD_ETHER */
	};
	const int off = 0, none = -1, most = INT32_MAX;

	switch (sub) {
	case 4: return CALL(SYS_ioctl, NET_TAP0, 0x400454cc, getauxval(AT_UID));	/* TUNSETOWNER */
	case 5: return CALL(SYS_ioctl, NET_TAP0, 0x894c, 0);			/* SIOCGSKNS */
	case 6: return CALL(SYS_ioctl, NET_TAP0, 0x8924, &other);		/* SIOCSIFHWADDR */
	case 7: return CALL(SYS_ioctl, NET_TAP0, 0x400454e2, &off);		/* TUNSETCARRIER */
	case 8: return CALL(SYS_ioctl, NET_TAP0, 0x800454e0, &none);		/* TUNSETSTEERINGEBPF */
	}
	return CALL(SYS_ioctl, NET_TAP0, 0x400454d4, &most);			/* TUNSETSNDBUF */
}

static long taps(unsigned sub)
{
	if (sub > 3)
		return own_tap(sub);
	return each_fd(sub == 1 ? name_tap : sub == 2 ? keep_tap : filter_tap);
}

static long raw_frame(void)
{
	struct sockaddr_ll to = { .sll_family = AF_PACKET, .sll_ifindex = 1, .sll_halen = 6 };
	long fd = CALL(SYS_socket, AF_PACKET, SOCK_RAW, swapped(ETH_P_ALL));

	return fd < 0 ? fd : CALL(SYS_sendto, fd, "spoofed frame!", 14, 0, &to, sizeof(to));
}

long attempt_sockets(unsigned number, unsigned sub)
{
	switch (number) {
	case 38: return internet(sub);
	case 39: return unix_sockets(sub);
	case 40: return vsock(sub);
	case 41: return families(sub);
	case 42: return passing(sub);
	case 43: return taps(sub);
	case 44: return sub == 1 ? raw_frame() : attempt_frames(number, sub);
	case 45: return sub > 2 ? attempt_frames(number, sub) :
			reach_ipv4(SOCK_DGRAM, sub == 1 ? 0xa9fea9fe : 0x0a000001, 80);
	}
	return -ENOSYS;
}
