/* SPDX-License-Identifier: Apache-2.0 */
/* host.c: the Unix-socket side of the vsock device.
 *
 * Who may be lying: the client that connected (any bytes, any pace, gone at any moment), the
 * peer the supervisor dialled (the same), and the supervisor (an answer nobody asked for, of a
 * wrong size, with no descriptor, with several, with one that is no socket).
 *
 * Readiness is edge-triggered: an event sets a flag, EAGAIN clears it.  A descriptor that the
 * guest has no credit for is then simply not read, and costs nothing while it waits.
 *
 * Each call that has flags has them fixed, because the policy pins them: MSG_DONTWAIT, so that no
 * descriptor can make us wait whatever its file status flags are, and MSG_NOSIGNAL.  readv() has
 * none: it relies on accept4() and the supervisor, who make every connection non-blocking. */
#include "devices/vsock/host.h"

#include "core/backlog.h"
#include "core/dial.h"
#include "core/log.h"
#include "devices/vsock/wire.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

static bool would_block(int err)
{
	return err == EAGAIN || err == EWOULDBLOCK || err == EINTR;
}

int host_accept(struct host *h, enum host_kind kind, uint64_t now)
{
	static struct log_limit limit;
	int fd = accept4(h->listen[kind], NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

	if (fd >= 0)
		return fd;
	h->listen_ready[kind] = false;
	if (!would_block(errno)) {
		/* The host's file table may be full, by whomever: the client waits on, and no
		 * event will tell when it can be had. */
		log_limited(&limit, "vsock: accept: error %d", errno);
		h->retry_at = now + HOST_RETRY;
	}
	return -1;
}

void host_retry(struct host *h, uint64_t now)
{
	if (h->retry_at == 0 || h->retry_at > now)
		return;
	h->retry_at = 0;
	h->listen_ready[HOST_STREAM] = h->listen_ready[HOST_SEQ] = true;
}

static bool watch(const struct host *h, const struct conn *c, uint32_t cookie, int op,
		  uint32_t events)
{
	struct epoll_event ev = {
		.events = events | EPOLLIN | EPOLLET,
		.data.u64 = HOST_EVENT_CONN | cookie,
	};

	return epoll_ctl(h->epoll, op, c->fd, &ev) == 0;
}

static bool set_send_buffer(const struct conn *c, int bytes)
{
	return setsockopt(c->fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes)) == 0;
}

/* A read that only looks begins where the last one ended. */
static bool look_on(const struct conn *c)
{
	static const int start = 0;

	return setsockopt(c->fd, SOL_SOCKET, SO_PEEK_OFF, &start, sizeof(start)) == 0;
}

bool host_adopt(const struct host *h, const struct conn *c, uint32_t cookie)
{
	bool seq = c->type == VSOCK_TYPE_SEQPACKET;

	return set_send_buffer(c, seq ? BACKLOG_SNDBUF_SEQ : BACKLOG_SNDBUF_SMALL) &&
	       (!seq || look_on(c)) && watch(h, c, cookie, EPOLL_CTL_ADD, 0);
}

bool host_enlarge(const struct conn *c)
{
	return set_send_buffer(c, BACKLOG_SNDBUF_LARGE);
}

uint32_t host_piece(const struct conn *c)
{
	return c->large || c->type == VSOCK_TYPE_SEQPACKET ? UINT32_MAX : BACKLOG_PIECE;
}

void host_watch_room(const struct host *h, const struct conn *c, uint32_t cookie, bool room)
{
	static struct log_limit limit;

	/* The kernel reports room that is already there: none can be missed in between. */
	if (!watch(h, c, cookie, EPOLL_CTL_MOD, room ? EPOLLOUT : 0))
		log_limited(&limit, "vsock: epoll: error %d", errno);
}

static bool is_blank(char ch)
{
	return ch == ' ' || ch == '\t' || ch == '\r';
}

bool host_parse_line(const char *line, uint32_t len, uint32_t *port)
{
	static const char word[] = "connect";
	uint64_t value = 0;
	uint32_t at = 0, digits;

	if (len == 0 || line[len - 1] != '\n')
		return false;
	len--;
	/* Letters of either case, as in Firecracker. */
	for (; at < len && at < sizeof(word) - 1; at++)
		if ((line[at] | 0x20) != word[at])
			return false;
	if (at == len || !is_blank(line[at]))
		return false;
	while (at < len && is_blank(line[at]))
		at++;
	/* A line has room for 24 digits: the value is held down, not wrapped. */
	for (digits = 0; at < len && line[at] >= '0' && line[at] <= '9'; at++, digits++)
		value = min_u64(value * 10 + (uint64_t)(line[at] - '0'), 1ull << 40);
	while (at < len && is_blank(line[at]))
		at++;
	if (digits == 0 || at != len || value > UINT32_MAX)
		return false;
	*port = (uint32_t)value;
	return true;
}

enum host_line host_read_line(struct conn *c, uint32_t *port)
{
	char *at = c->line + c->line_len;
	size_t room = sizeof(c->line) - c->line_len;
	ssize_t n = recvfrom(c->fd, at, room, MSG_PEEK | MSG_DONTWAIT, NULL, NULL);
	const char *end;
	size_t take;

	if (n < 0 && would_block(errno)) {
		c->readable = false;
		return HOST_LINE_MORE;
	}
	if (n <= 0)
		return HOST_LINE_BAD;
	/* Look first: what stands behind the line is already the guest's. */
	end = memchr(at, '\n', (size_t)n);
	take = end ? (size_t)(end + 1 - at) : (size_t)n;
	/* The rest of a message is not there to be read later. */
	if (c->type == VSOCK_TYPE_SEQPACKET &&
	    (end == NULL || take < (size_t)n || take == room))
		return HOST_LINE_BAD;
	if (recvfrom(c->fd, at, take, MSG_DONTWAIT, NULL, NULL) != (ssize_t)take)
		return HOST_LINE_BAD;
	c->line_len = (uint8_t)(c->line_len + take);
	if (end)
		return host_parse_line(c->line, c->line_len, port) ? HOST_LINE_PORT
								     : HOST_LINE_BAD;
	return take < room ? HOST_LINE_MORE : HOST_LINE_BAD;
}

bool host_say_ok(const struct conn *c, uint32_t port)
{
	char line[24];
	size_t len = log_format(line, sizeof(line), "OK %u\n", port);

	/* The first bytes on this socket: it takes all of them or is not worth keeping. */
	return sendto(c->fd, line, len, MSG_NOSIGNAL | MSG_DONTWAIT, NULL, 0) == (ssize_t)len;
}

uint32_t host_send(struct conn *c, const void *data, uint32_t len)
{
	ssize_t n = sendto(c->fd, data, len, MSG_NOSIGNAL | MSG_DONTWAIT, NULL, 0);

	if (n >= 0)
		return (uint32_t)n;
	if (!would_block(errno) && errno != ENOBUFS && errno != ENOMEM)
		c->broken = true;
	return 0;
}

/* What a read that returned @n says about the socket; returns the bytes. */
static uint32_t received(struct conn *c, ssize_t n)
{
	if (n > 0)
		return (uint32_t)n;
	if (n < 0 && errno == EINTR)
		return 0;
	c->readable = false;
	if (n == 0 || !would_block(errno)) {
		c->eof = true;
		/* Its events came before: there is nobody to write to, either. */
		c->broken |= c->hup;
	}
	return 0;
}

uint32_t host_recv(struct conn *c, void *data, uint32_t len)
{
	return received(c, recvfrom(c->fd, data, len, MSG_DONTWAIT, NULL, NULL));
}

uint32_t host_recv_pieces(struct conn *c, const struct iovec *iov, int n)
{
	return received(c, readv(c->fd, iov, n));
}

uint32_t host_recv_message(struct conn *c, void *data, uint32_t len, uint32_t *left)
{
	ssize_t n = recvfrom(c->fd, data, len, MSG_PEEK | MSG_TRUNC | MSG_DONTWAIT, NULL, NULL);
	uint32_t got;

	*left = 0;
	if (n <= 0)
		return received(c, n);
	got = (uint32_t)min_u64((uint64_t)n, len);
	*left = (uint32_t)n - got;
	/* It is there: nobody else reads from this socket. */
	if (*left == 0)
		(void)recvfrom(c->fd, data, 0, MSG_DONTWAIT, NULL, NULL);
	return got;
}

void host_end_write(const struct conn *c)
{
	/* An error says that the peer is gone, which its own event tells better. */
	(void)shutdown(c->fd, SHUT_WR);
}

void host_end_read(const struct conn *c)
{
	(void)shutdown(c->fd, SHUT_RD);
}

void host_close(struct conn *c)
{
	/* epoll forgets a descriptor when it is closed. */
	if (c->fd >= 0)
		close(c->fd);
	c->fd = -1;
	c->readable = false;
	c->armed = false;
}

enum host_dial host_ask(struct host *h, uint32_t cookie, const struct conn *c)
{
	struct dial_request ask = {
		.cookie = cookie, .port = c->host_port,
		.type = c->type == VSOCK_TYPE_SEQPACKET ? SOCK_SEQPACKET : SOCK_STREAM,
	};

	if (h->dial_dead)
		return HOST_DIAL_DEAD;
	if (h->dials == HOST_DIALS_MAX)
		return HOST_DIAL_LATER;
	if (sendto(h->dial, &ask, sizeof(ask), MSG_NOSIGNAL | MSG_DONTWAIT, NULL, 0) ==
	    (ssize_t)sizeof(ask)) {
		h->dials++;
		return HOST_DIAL_OK;
	}
	/* A full socket empties before the answers to what is in it come. */
	if (would_block(errno) && h->dials > 0)
		return HOST_DIAL_LATER;
	/* The kernel's trouble, not the supervisor's: the next request may fare better. */
	if (errno == ENOBUFS || errno == ENOMEM)
		return HOST_DIAL_REFUSED;
	h->dial_dead = true;
	return HOST_DIAL_DEAD;
}

/* The one descriptor that came with @m, or -1. */
static int descriptor_of(struct msghdr *m)
{
	struct cmsghdr *c = CMSG_FIRSTHDR(m);
	int fd;

	if (c == NULL || c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS ||
	    c->cmsg_len != CMSG_LEN(sizeof(fd)))
		return -1;
	memcpy(&fd, CMSG_DATA(c), sizeof(fd));
	return fd;
}

enum host_dial host_answer(struct host *h, uint32_t *cookie, int *fd)
{
	static struct log_limit limit;
	union {
		char bytes[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control;
	/* One byte more than an answer, so that a longer one is seen. */
	struct { struct dial_reply r; char more; } in;
	struct iovec iov = { &in, sizeof(in.r) + 1 };
	/* CMSG_LEN, not CMSG_SPACE: room for one descriptor and not, in padding, a second. */
	struct msghdr m = {
		.msg_iov = &iov, .msg_iovlen = 1,
		.msg_control = control.bytes, .msg_controllen = CMSG_LEN(sizeof(int)),
	};
	ssize_t n = recvmsg(h->dial, &m, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	int got = n >= 0 ? descriptor_of(&m) : -1;

	if (n < 0 && would_block(errno)) {
		h->dial_ready = false;
		return HOST_DIAL_LATER;
	}
	if (n == (ssize_t)sizeof(in.r) && h->dials > 0 && (m.msg_flags & MSG_CTRUNC) == 0 &&
	    (in.r.error == 0) == (got >= 0)) {
		h->dials--;
		*cookie = in.r.cookie;
		*fd = got;
		return got >= 0 ? HOST_DIAL_OK : HOST_DIAL_REFUSED;
	}
	if (got >= 0)
		close(got);
	if (n != 0)
		log_limited(&limit, "vsock: dial: malformed answer");
	h->dial_ready = false;
	h->dial_dead = true;
	return HOST_DIAL_DEAD;
}
