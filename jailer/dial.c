/* SPDX-License-Identifier: Apache-2.0 */
/* dial.c: one hostile number in, one connected socket out.
 *
 * The vsock process may be in the guest's hands.  All it can choose is one of two types of socket,
 * which the listener has or the kernel refuses, and a 32-bit port, which becomes digits behind a
 * name of ours; the working directory is the directory of the VM's sockets and has no way out
 * (rundir.c), the network namespace is empty, so there is nothing else that a connection could
 * reach.  A listener that does not accept costs us nothing: connecting to a Unix socket never
 * waits here. */
#include "jailer/dial.h"
#include "core/dial.h"
#include "core/log.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* Returns a connected descriptor or -errno. */
static int connect_port(const char *name, const struct dial_request *request)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	int fd, err;

	if (request->type != SOCK_STREAM && request->type != SOCK_SEQPACKET)
		return -EPROTOTYPE;
	fd = socket(AF_UNIX, (int)request->type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	log_format(un.sun_path, sizeof(un.sun_path), "%s_%u", name, request->port);
	if (connect(fd, (struct sockaddr *)&un, sizeof(un)) == 0)
		return fd;
	err = errno;
	close(fd);
	return -err;
}

static bool answer(int fd, const struct dial_request *request, int connected)
{
	struct dial_reply reply = {
		.cookie = request->cookie, .error = connected < 0 ? -connected : 0,
	};
	struct iovec iov = { .iov_base = &reply, .iov_len = sizeof(reply) };
	union {
		struct cmsghdr header;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control = { 0 };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };

	if (connected >= 0) {
		msg.msg_control = &control;
		msg.msg_controllen = sizeof(control);
		control.header.cmsg_level = SOL_SOCKET;
		control.header.cmsg_type = SCM_RIGHTS;
		control.header.cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(&control.header), &connected, sizeof(int));
	}
	return sendmsg(fd, &msg, MSG_NOSIGNAL) == (ssize_t)sizeof(reply);
}

bool dial_serve(int fd, const char *name)
{
	struct { struct dial_request r; char more; } in;
	ssize_t n = read(fd, &in, sizeof(in.r) + 1);
	int connected;
	bool ok;

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return true;
	if (n != (ssize_t)sizeof(in.r))
		return false;
	connected = connect_port(name, &in.r);
	ok = answer(fd, &in.r, connected);
	/* Too many descriptors under way in sockets of this user: not the asker's fault. */
	if (!ok && connected >= 0 && errno == ETOOMANYREFS)
		ok = answer(fd, &in.r, -ETOOMANYREFS);
	if (connected >= 0)
		close(connected);
	return ok;
}
