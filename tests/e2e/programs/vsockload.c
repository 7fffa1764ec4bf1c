/* SPDX-License-Identifier: Apache-2.0 */
/* vsockload.c: many stream connections at once, every byte checked; both ends, both directions.
 *
 *   vsockload echo-unix PATH              host: listens on PATH, sends back what it gets
 *   vsockload load-vsock PORT N BYTES     guest: N connections to host port PORT
 *   vsockload echo-vsock PORT             guest: listens on PORT, prints "listening"
 *   vsockload load-unix PATH PORT N BYTES host: N connections to guest port PORT by CONNECT
 *
 * -m in front of the word: messages (SOCK_SEQPACKET), one connection after the other, N messages of
 * BYTES and fewer on it, each sent back before the next; PATH of load-unix is the socket for messages.
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

enum { CONNS_MAX = 2048, CHUNK = 16384, MESSAGE_MAX = 65536 };

struct conn {
	int fd;
	uint64_t out_seed, in_seed;	/* next byte of the stream sent, of the stream expected */
	size_t to_send, to_get;
	char pending[CHUNK];		/* echo side: bytes read and not yet written */
	size_t npending;
	bool eof;
};

static int type = SOCK_STREAM;
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

static int connect_vsock(const char *path, unsigned port)
{
	struct sockaddr_vm a = { .svm_family = AF_VSOCK, .svm_cid = VMADDR_CID_HOST, .svm_port = port };
	int fd = socket(AF_VSOCK, type, 0);

	(void)path;
	if (fd < 0 || connect(fd, (struct sockaddr *)&a, sizeof(a)) != 0)
		err(1, "connect to host port %u", port);
	return fd;
}

/* The handshake of the host side: "CONNECT <port>\n" is answered by "OK <port>\n". */
static size_t read_answer(int fd, char *line, size_t size)
{
	size_t got = 0;
	ssize_t n;

	/* Of a message what is not read at once is gone. */
	while (got < size && (got == 0 || line[got - 1] != '\n')) {
		n = read(fd, line + got, type == SOCK_STREAM ? 1 : size - got);
		if (n <= 0)
			errx(1, "connection closed instead of OK");
		got += (size_t)n;
	}
	return got;
}

static int connect_unix(const char *path, unsigned port)
{
	struct sockaddr_un a = unix_address(path);
	int fd = socket(AF_UNIX, type, 0), n;
	char line[64];
	size_t got;

	if (fd < 0 || connect(fd, (struct sockaddr *)&a, sizeof(a)) != 0)
		err(1, "connect to %s", path);
	n = snprintf(line, sizeof(line), "CONNECT %u\n", port);
	if (write(fd, line, (size_t)n) != n)
		err(1, "write CONNECT");
	got = read_answer(fd, line, sizeof(line));
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

static void send_message(int fd, const uint8_t *message, size_t len)
{
	if (send(fd, message, len, MSG_NOSIGNAL) != (ssize_t)len)
		err(1, "send a message of %zu bytes", len);
}

/* Messages there and back: of all of @bytes, of one byte, and of everything between. */
static void exchange(int fd, size_t bytes)
{
	static uint8_t out[MESSAGE_MAX], in[MESSAGE_MAX];
	uint64_t seed = 1;
	size_t n = 0;

	if (bytes > MESSAGE_MAX)
		errx(2, "a message has up to %d bytes", MESSAGE_MAX);
	for (size_t len = bytes; len > 0; len = len * 3 / 5, n++) {
		for (size_t i = 0; i < len; i++)
			out[i] = next_byte(&seed);
		send_message(fd, out, len);
		ssize_t got = recv(fd, in, sizeof(in), 0);
		if (got != (ssize_t)len || memcmp(in, out, len) != 0)
			errx(1, "of a message of %zu bytes came back %zd, or others", len, got);
	}
	close(fd);
	printf("%zu messages there and back, all as sent\n", n);
}

static void echo_messages(int listener)
{
	static uint8_t message[MESSAGE_MAX];
	ssize_t n;
	int fd;

	if (listen(listener, 16) != 0)
		err(1, "listen");
	puts("listening");
	fflush(stdout);
	while ((fd = accept(listener, NULL, NULL)) >= 0) {
		while ((n = recv(fd, message, sizeof(message), 0)) > 0)
			send_message(fd, message, (size_t)n);
		close(fd);
	}
	err(1, "accept");
}

static int listen_unix(const char *path)
{
	struct sockaddr_un a = unix_address(path);
	int fd = socket(AF_UNIX, type, 0);

	unlink(path);
	if (fd < 0 || bind(fd, (struct sockaddr *)&a, sizeof(a)) != 0)
		err(1, "bind %s", path);
	return fd;
}

static int listen_vsock(unsigned port)
{
	struct sockaddr_vm a = { .svm_family = AF_VSOCK, .svm_cid = VMADDR_CID_ANY, .svm_port = port };
	int fd = socket(AF_VSOCK, type, 0);

	if (fd < 0 || bind(fd, (struct sockaddr *)&a, sizeof(a)) != 0)
		err(1, "bind to port %u", port);
	return fd;
}

static void echo_of(int listener)
{
	if (type == SOCK_SEQPACKET)
		echo_messages(listener);
	echo(listener);
}

/* On @n connections that @open makes. */
static void load_of(int (*open)(const char *path, unsigned port), const char *path, const char *port,
		    const char *n, const char *bytes)
{
	unsigned to = (unsigned)number(port, UINT32_MAX);
	size_t count = number(n, CONNS_MAX), size = number(bytes, SIZE_MAX);

	for (size_t i = 0; i < count && type == SOCK_SEQPACKET; i++)
		exchange(open(path, to), size);
	if (type == SOCK_SEQPACKET)
		return;
	for (size_t i = 0; i < count; i++)
		conns[i].fd = open(path, to);
	load(count, size);
}

int main(int argc, char **argv)
{
	if (argc > 1 && strcmp(argv[1], "-m") == 0) {
		type = SOCK_SEQPACKET;
		argc--;
		argv++;
	}
	if (argc == 3 && strcmp(argv[1], "echo-unix") == 0)
		echo_of(listen_unix(argv[2]));
	if (argc == 3 && strcmp(argv[1], "echo-vsock") == 0)
		echo_of(listen_vsock((unsigned)number(argv[2], UINT32_MAX)));
	if (argc == 5 && strcmp(argv[1], "load-vsock") == 0) {
		load_of(connect_vsock, NULL, argv[2], argv[3], argv[4]);
		return 0;
	}
	if (argc == 6 && strcmp(argv[1], "load-unix") == 0) {
		load_of(connect_unix, argv[2], argv[3], argv[4], argv[5]);
		return 0;
	}
	errx(2, "usage: vsockload [-m] echo-unix|echo-vsock|load-vsock|load-unix ...");
}
