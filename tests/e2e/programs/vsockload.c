/* SPDX-License-Identifier: Apache-2.0 */
/* vsockload.c: many stream connections at once, every byte checked; both ends, both directions.
 *
 *   vsockload echo-unix PATH              host: listens on PATH, sends back what it gets
 *   vsockload load-vsock PORT N BYTES     guest: N connections to host port PORT
 *   vsockload echo-vsock PORT             guest: listens on PORT, prints "listening"
 *   vsockload load-unix PATH PORT N BYTES host: N connections to guest port PORT by CONNECT
 *
 * A load opens all N connections before it sends a byte, then moves all of them together: each
 * sends BYTES of its own pseudo-random stream, half-closes, and must get the same back followed
 * by end of file. */
#include <errno.h>
#include <err.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <linux/vm_sockets.h>
#include <unistd.h>

enum { CONNS_MAX = 2048, CHUNK = 16384 };

struct conn {
	int fd;
	uint64_t out_seed, in_seed;	/* next byte of the stream sent, of the stream expected */
	size_t to_send, to_get;
	char pending[CHUNK];		/* echo side: bytes read and not yet written */
	size_t npending;
	bool eof;
};

static struct conn conns[CONNS_MAX];
static struct pollfd polls[CONNS_MAX + 1];

static uint8_t next_byte(uint64_t *s)
{
	*s = *s * 6364136223846793005u + 1442695040888963407u;
	return (uint8_t)(*s >> 33);
}

static unsigned long number(const char *text, unsigned long max)
{
	char *end;
	unsigned long v = strtoul(text, &end, 10);

	if (*text == '\0' || *end != '\0' || v > max)
		errx(2, "'%s' is not a number up to %lu", text, max);
	return v;
}

static struct sockaddr_un unix_address(const char *path)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };

	if (strlen(path) >= sizeof(a.sun_path))
		errx(2, "%s: path too long", path);
	memcpy(a.sun_path, path, strlen(path) + 1);
	return a;
}

static void nonblocking(int fd)
{
	if (fcntl(fd, F_SETFL, O_NONBLOCK) != 0)
		err(1, "O_NONBLOCK");
}

static int connect_vsock(unsigned port)
{
	struct sockaddr_vm a = { .svm_family = AF_VSOCK, .svm_cid = VMADDR_CID_HOST, .svm_port = port };
	int fd = socket(AF_VSOCK, SOCK_STREAM, 0);

	if (fd < 0 || connect(fd, (struct sockaddr *)&a, sizeof(a)) != 0)
		err(1, "connect to host port %u", port);
	return fd;
}

/* The handshake of the host side: "CONNECT <port>\n" is answered by "OK <port>\n". */
static int connect_unix(const char *path, unsigned port)
{
	struct sockaddr_un a = unix_address(path);
	int fd = socket(AF_UNIX, SOCK_STREAM, 0), n;
	char line[64];
	size_t got = 0;

	if (fd < 0 || connect(fd, (struct sockaddr *)&a, sizeof(a)) != 0)
		err(1, "connect to %s", path);
	n = snprintf(line, sizeof(line), "CONNECT %u\n", port);
	if (write(fd, line, (size_t)n) != n)
		err(1, "write CONNECT");
	while (got < sizeof(line) - 1 && (got == 0 || line[got - 1] != '\n'))
		if (read(fd, line + got, 1) != 1)
			errx(1, "connection closed instead of OK");
		else
			got++;
	if (strncmp(line, "OK ", 3) != 0)
		errx(1, "not OK but %.*s", (int)got, line);
	return fd;
}

static void send_some(struct conn *c)
{
	uint8_t buf[CHUNK];
	uint64_t seed = c->out_seed;
	size_t n = c->to_send < CHUNK ? c->to_send : CHUNK;
	ssize_t w;

	for (size_t i = 0; i < n; i++)
		buf[i] = next_byte(&seed);
	w = send(c->fd, buf, n, MSG_NOSIGNAL);
	if (w < 0 && errno != EAGAIN)
		err(1, "send");
	for (ssize_t i = 0; i < w; i++)
		next_byte(&c->out_seed);
	c->to_send -= w > 0 ? (size_t)w : 0;
	if (c->to_send == 0 && shutdown(c->fd, SHUT_WR) != 0)
		err(1, "shutdown");
}

static void get_some(struct conn *c, size_t index)
{
	uint8_t buf[CHUNK];
	ssize_t r = recv(c->fd, buf, sizeof(buf), 0);

	if (r < 0 && errno == EAGAIN)
		return;
	if (r < 0)
		err(1, "connection %zu: recv", index);
	if ((size_t)r > c->to_get || (r == 0 && c->to_get > 0))
		errx(1, "connection %zu: %zd bytes when %zu were due", index, r, c->to_get);
	for (ssize_t i = 0; i < r; i++)
		if (buf[i] != next_byte(&c->in_seed))
			errx(1, "connection %zu: wrong byte", index);
	c->to_get -= (size_t)r;
	c->eof = r == 0;
}

static void load(size_t n, size_t bytes)
{
	size_t open = n;

	for (size_t i = 0; i < n; i++) {
		nonblocking(conns[i].fd);
		conns[i].out_seed = conns[i].in_seed = i + 1;
		conns[i].to_send = conns[i].to_get = bytes;
	}
	while (open > 0) {
		for (size_t i = 0; i < n; i++) {
			polls[i].fd = conns[i].eof ? -1 : conns[i].fd;
			polls[i].events = POLLIN | (conns[i].to_send > 0 ? POLLOUT : 0);
		}
		if (poll(polls, n, 120000) <= 0)
			errx(1, "no progress for two minutes, %zu connections open", open);
		for (size_t i = 0; i < n; i++) {
			if (polls[i].revents & POLLOUT)
				send_some(&conns[i]);
			if (polls[i].revents & (POLLIN | POLLHUP | POLLERR)) {
				get_some(&conns[i], i);
				open -= conns[i].eof ? 1 : 0;
			}
		}
	}
	printf("%zu connections, %zu bytes each way on each, all as sent\n", n, bytes);
}

/* Moves one echo connection on; false when it is finished. */
static bool echo_some(struct conn *c)
{
	ssize_t n;

	if (c->npending == 0) {
		n = recv(c->fd, c->pending, sizeof(c->pending), 0);
		if (n < 0)
			return errno == EAGAIN;
		if (n == 0)
			return false;
		c->npending = (size_t)n;
	}
	n = send(c->fd, c->pending, c->npending, MSG_NOSIGNAL);
	if (n < 0)
		return errno == EAGAIN;
	memmove(c->pending, c->pending + n, c->npending - (size_t)n);
	c->npending -= (size_t)n;
	return true;
}

static void echo(int listener)
{
	size_t n = 0;

	if (listen(listener, 512) != 0)
		err(1, "listen");
	puts("listening");
	fflush(stdout);
	for (;;) {
		polls[n] = (struct pollfd){ .fd = n < CONNS_MAX ? listener : -1, .events = POLLIN };
		for (size_t i = 0; i < n; i++)
			polls[i] = (struct pollfd){ .fd = conns[i].fd,
				.events = conns[i].npending > 0 ? POLLOUT : POLLIN };
		if (poll(polls, n + 1, -1) < 0)
			err(1, "poll");
		bool incoming = polls[n].revents != 0;
		for (size_t i = n; i-- > 0;)
			if (polls[i].revents != 0 && !echo_some(&conns[i])) {
				close(conns[i].fd);
				conns[i] = conns[--n];
			}
		if (incoming) {
			memset(&conns[n], 0, sizeof(conns[n]));
			conns[n].fd = accept(listener, NULL, NULL);
			if (conns[n].fd < 0)
				err(1, "accept");
			nonblocking(conns[n++].fd);
		}
	}
}

static int listen_unix(const char *path)
{
	struct sockaddr_un a = unix_address(path);
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	unlink(path);
	if (fd < 0 || bind(fd, (struct sockaddr *)&a, sizeof(a)) != 0)
		err(1, "bind %s", path);
	return fd;
}

static int listen_vsock(unsigned port)
{
	struct sockaddr_vm a = { .svm_family = AF_VSOCK, .svm_cid = VMADDR_CID_ANY, .svm_port = port };
	int fd = socket(AF_VSOCK, SOCK_STREAM, 0);

	if (fd < 0 || bind(fd, (struct sockaddr *)&a, sizeof(a)) != 0)
		err(1, "bind to port %u", port);
	return fd;
}

int main(int argc, char **argv)
{
	size_t n;

	if (argc == 3 && strcmp(argv[1], "echo-unix") == 0)
		echo(listen_unix(argv[2]));
	if (argc == 3 && strcmp(argv[1], "echo-vsock") == 0)
		echo(listen_vsock((unsigned)number(argv[2], UINT32_MAX)));
	if (argc == 5 && strcmp(argv[1], "load-vsock") == 0) {
		n = number(argv[3], CONNS_MAX);
		for (size_t i = 0; i < n; i++)
			conns[i].fd = connect_vsock((unsigned)number(argv[2], UINT32_MAX));
		load(n, number(argv[4], SIZE_MAX));
		return 0;
	}
	if (argc == 6 && strcmp(argv[1], "load-unix") == 0) {
		n = number(argv[4], CONNS_MAX);
		for (size_t i = 0; i < n; i++)
			conns[i].fd = connect_unix(argv[2], (unsigned)number(argv[3], UINT32_MAX));
		load(n, number(argv[5], SIZE_MAX));
		return 0;
	}
	errx(2, "usage: vsockload echo-unix|echo-vsock|load-vsock|load-unix ...");
}
