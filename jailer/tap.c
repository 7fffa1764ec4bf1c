/* SPDX-License-Identifier: Apache-2.0 */
/* tap.c: opened and configured here, for who uses it may do neither.
 *
 * A tap that exists is somebody's, and who may attach is the kernel's decision: its owner, or
 * CAP_NET_ADMIN.  One that does not is made, which takes the capability; it is not persistent,
 * so that it goes with the last process that holds it, however that ends.
 *
 * What the kernel holds of the guest's frames is bounded (TAP_SNDBUF): beyond it a write says
 * EAGAIN, and the guest waits. */
#include "jailer/tap.h"
#include "jailer/path.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#ifndef TUN_F_USO4
#define TUN_F_USO4 0x20			/* Linux 6.2 */
#define TUN_F_USO6 0x40
#endif

enum { TAP_SNDBUF = 4 << 20, TAP_HEADER = 12, TAP_MTU_MIN = 68 };

static void name_it(struct ifreq *req, const struct tap *t)
{
	*req = (struct ifreq){ 0 };
	memcpy(req->ifr_name, t->name, strlen(t->name));	/* config.c: fewer than IFNAMSIZ */
}

/* Opens one queue.  Returns a descriptor or -errno. */
static int attach(const struct tap *t, int flags)
{
	struct ifreq req;
	int fd = path_open_named("/dev/net/tun", O_RDWR | O_NONBLOCK), err;

	if (fd < 0)
		return fd;
	name_it(&req, t);
	req.ifr_flags = (short)(IFF_TAP | IFF_NO_PI | IFF_VNET_HDR | flags);
	if (ioctl(fd, TUNSETIFF, &req) == 0)
		return fd;
	err = errno;
	close(fd);
	return -err;
}

static const char *advice(int err, bool exists)
{
	if (err == ENOENT || err == ENODEV)
		return "load the module tun";
	if (err == EPERM && exists)
		return "it belongs to another user: see `ip -d link show`";
	if (err == EPERM)
		return "it does not exist, and making it takes root: `ip tuntap add NAME mode tap user YOU`";
	if (err == EBUSY)
		return "another program is attached to it";
	if (err == EINVAL && exists)
		return "it is no tap, or its multi_queue is not as queues= says";
	return NULL;
}

/* All queues.  A tap that was made for several may be used with one. */
static int attach_all(const struct tap *t, bool exists, int *fd, struct failure *f)
{
	int flags = (t->queues > 1 ? IFF_MULTI_QUEUE : 0) | (exists ? 0 : IFF_TUN_EXCL);

	for (unsigned i = 0; i < t->queues; i++) {
		fd[i] = attach(t, flags);
		if (fd[i] == -EINVAL && exists && t->queues == 1)
			fd[i] = attach(t, IFF_MULTI_QUEUE);
		if (fd[i] < 0)
			return fail(f, -fd[i], advice(-fd[i], exists), "%s tap %s",
				    exists ? "attach to" : "make", t->name);
		flags &= ~IFF_TUN_EXCL;		/* ours, now */
	}
	return 0;
}

/* What the kernel may leave to the guest's driver, and the other way round. */
static int set_offloads(struct tap *t, int fd)
{
	const unsigned long tso = TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6;

	t->flags = 0;
	if (!t->offload)
		return ioctl(fd, TUNSETOFFLOAD, 0ul);
	t->flags = TAP_OFFLOADS | TAP_USO;
	if (ioctl(fd, TUNSETOFFLOAD, tso | TUN_F_USO4 | TUN_F_USO6) == 0)
		return 0;
	t->flags = TAP_OFFLOADS;
	return ioctl(fd, TUNSETOFFLOAD, tso);
}

static int prepare(struct tap *t, int fd)
{
	int header = TAP_HEADER, sndbuf = TAP_SNDBUF;

	if (ioctl(fd, TUNSETVNETHDRSZ, &header) < 0 || ioctl(fd, TUNSETSNDBUF, &sndbuf) < 0)
		return -1;
	return set_offloads(t, fd);
}

/* A tap of ours: the size that was asked for, and up. */
static int bring_up(const struct tap *t, int sock)
{
	struct ifreq req;

	name_it(&req, t);
	req.ifr_mtu = t->mtu;
	if (t->mtu != 0 && ioctl(sock, SIOCSIFMTU, &req) < 0)
		return -1;
	name_it(&req, t);
	if (ioctl(sock, SIOCGIFFLAGS, &req) < 0)
		return -1;
	req.ifr_flags = (short)(req.ifr_flags | IFF_UP);
	return ioctl(sock, SIOCSIFFLAGS, &req);
}

/* The guest's is the tap's, unless it was given. */
static int find_mtu(struct tap *t, int sock)
{
	struct ifreq req;

	name_it(&req, t);
	if (t->mtu == 0 && ioctl(sock, SIOCGIFMTU, &req) < 0)
		return -1;
	if (t->mtu == 0)
		t->mtu = (uint16_t)(req.ifr_mtu < TAP_MTU_MIN ? TAP_MTU_MIN
				    : req.ifr_mtu > UINT16_MAX ? UINT16_MAX : req.ifr_mtu);
	return 0;
}

int tap_open(struct tap *t, int *fd, struct failure *f)
{
	int sock = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct ifreq req;
	bool exists;

	if (sock < 0)
		return fail(f, errno, NULL, "open a socket for tap %s", t->name);
	name_it(&req, t);
	exists = ioctl(sock, SIOCGIFINDEX, &req) == 0;
	if (attach_all(t, exists, fd, f) != 0)
		return -1;
	if (prepare(t, fd[0]) < 0 || (!exists && bring_up(t, sock) < 0) || find_mtu(t, sock) < 0)
		return fail(f, errno, NULL, "prepare tap %s", t->name);
	close(sock);
	return 0;
}
