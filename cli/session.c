/* SPDX-License-Identifier: Apache-2.0 */
/* session.c: four listeners, one control connection, three pumps, and a table of what the
 * guest may say when.
 *
 * The connections come through the vsock process and the supervisor's dialler, so in theory
 * any number may arrive; the listeners stay open to see (and punish) a second one.  Control
 * frames are read without blocking into a buffer of SESSION_FRAME bytes: the longest legal
 * frame fits, a longer one is refused by its header alone. */
#include "cli/session.h"
#include "cli/session_start.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum { POLL_CONTROL = SESSION_PORTS, POLL_NOTIFY, PORT_CONTROL = 0, PORT_STDERR = 3 };

static void broken(struct session *s, const char *fmt, ...) printf_like(2, 3);

/* The guest is not to be believed any more. */
static void broken(struct session *s, const char *fmt, ...)
{
	va_list args;

	s->state = SESSION_BROKEN;
	va_start(args, fmt);
	vsnprintf(s->text, sizeof(s->text), fmt, args);
	va_end(args);
}

static int failed(struct session *s, const char *what)
{
	if (errno == EADDRINUSE) {
		snprintf(s->text, sizeof(s->text), "socket %s: in use by another machine or file; "
			 "choose another --vsock PATH", what);
		return -1;
	}
	snprintf(s->text, sizeof(s->text), "%s: %s", what, strerror(errno));
	return -1;
}

/* ---- set-up ---- */

/* True when nobody listens on the socket file: its owner died.  (Of any other file connect() says
 * the same.) */
static bool abandoned(const struct sockaddr_un *addr)
{
	bool refused = false;
	struct stat st;
	int fd;

	if (lstat(addr->sun_path, &st) < 0 || !S_ISSOCK(st.st_mode))
		return false;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return false;
	if (connect(fd, (const struct sockaddr *)addr, sizeof(*addr)) < 0)
		refused = errno == ECONNREFUSED;
	close(fd);
	return refused;
}

static int bind_to(int fd, const struct sockaddr_un *addr)
{
	/* For the owner only, whatever directory the user chose. */
	mode_t old = umask(0177);
	int ret = bind(fd, (const struct sockaddr *)addr, sizeof(*addr));

	int err = errno;

	if (ret < 0 && err == EADDRINUSE && abandoned(addr) && unlink(addr->sun_path) == 0) {
		ret = bind(fd, (const struct sockaddr *)addr, sizeof(*addr));
		err = errno;
	}
	umask(old);
	errno = err;
	return ret;
}

static int listen_on(struct session *s, int port, const char *vsock_path)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int n = snprintf(addr.sun_path, sizeof(addr.sun_path), "%s_%d", vsock_path,
			 PROTO_PORT_CONTROL + port);

	if (n < 0 || (size_t)n >= sizeof(addr.sun_path)) {
		snprintf(s->text, sizeof(s->text), "socket path %.200s_%d: longer than %zu bytes",
			 vsock_path, PROTO_PORT_CONTROL + port, sizeof(addr.sun_path) - 1);
		return -1;
	}
	s->listener[port] = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (s->listener[port] < 0)
		return failed(s, "socket");
	if (bind_to(s->listener[port], &addr) < 0 || lstat(addr.sun_path, &s->file[port]) < 0)
		return failed(s, addr.sun_path);
	memcpy(s->path[port], addr.sun_path, sizeof(addr.sun_path));
	return listen(s->listener[port], 4) < 0 ? failed(s, addr.sun_path) : 0;
}

int session_open(struct session *s, const char *vsock_path, const struct session_start *start,
		 const int local[static 3])
{
	const char *why;

	memset(s, 0, sizeof(*s));
	memcpy(s->local, local, sizeof(s->local));
	for (int i = 0; i < SESSION_PORTS; i++)
		s->listener[i] = -1;
	s->control = -1;
	s->tty = start->tty;
	s->notify = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (s->notify < 0)
		return failed(s, "eventfd");
	s->out_len = session_encode_start(start, SESSION_QUEUE, &s->out, &why);
	s->out_size = s->out_len + SESSION_QUEUE;
	if (!s->out_len) {
		snprintf(s->text, sizeof(s->text), "%s", why);
		return -1;
	}
	for (int i = 0; i < SESSION_PORTS; i++)
		if (listen_on(s, i, vsock_path) < 0)
			return -1;
	return 0;
}

/* ---- frames from the guest ---- */

static void on_started(struct session *s, const uint8_t *body, size_t len)
{
	(void)body;
	(void)len;
	for (int i = 1; i < (s->tty ? PORT_STDERR : SESSION_PORTS); i++)
		if (!s->connected[i]) {
			broken(s, "it started the command without connecting port %d",
			       PROTO_PORT_CONTROL + i);
			return;
		}
	s->state = SESSION_RUNNING;
}

static void on_failed(struct session *s, const uint8_t *body, size_t len)
{
	struct proto_failed head;

	memcpy(&head, body, sizeof(head));
	len -= sizeof(head);
	if (le32(head.fail) < PROTO_FAIL_SETUP || le32(head.fail) > PROTO_FAIL_NOTFOUND) {
		broken(s, "its failure is of no known kind");
		return;
	}
	s->fail = (enum proto_fail)le32(head.fail);
	if (len >= sizeof(s->text))
		len = sizeof(s->text) - 1;
	memcpy(s->text, body + sizeof(head), len);
	s->text[len] = '\0';
	s->state = SESSION_FAILED;
}

static void on_exit_frame(struct session *s, const uint8_t *body, size_t len)
{
	struct proto_exit end;

	(void)len;
	memcpy(&end, body, sizeof(end));
	if (le32(end.code) > 255 || le32(end.signo) > 64 || (le32(end.signo) && le32(end.code))) {
		broken(s, "its exit status is out of range");
		return;
	}
	s->code = le32(end.code);
	s->signo = le32(end.signo);
	s->state = SESSION_EXITED;
}

/* What the guest may say, in which state, how long. */
static const struct legal_frame {
	enum proto_type type;
	enum session_state state;
	uint32_t min, max;
	void (*handle)(struct session *s, const uint8_t *body, size_t len);
} legal[] = {
	{ PROTO_STARTED, SESSION_STARTING, 0, 0, on_started },
	{ PROTO_FAILED, SESSION_STARTING, sizeof(struct proto_failed),
	  SESSION_FRAME - sizeof(struct proto_frame), on_failed },
	{ PROTO_EXIT, SESSION_RUNNING, sizeof(struct proto_exit), sizeof(struct proto_exit),
	  on_exit_frame },
};

static const struct legal_frame *find_legal(enum session_state state, uint32_t type,
					    uint32_t len)
{
	for (size_t i = 0; i < array_len(legal); i++)
		if (legal[i].type == type && legal[i].state == state && len >= legal[i].min &&
		    len <= legal[i].max)
			return &legal[i];
	return NULL;
}

/* Handles the first frame in s->in.  False when it is not whole yet, or was refused. */
static bool take_frame(struct session *s)
{
	const struct legal_frame *rule;
	struct proto_frame head;
	size_t size;

	if (s->in_len < sizeof(head))
		return false;
	memcpy(&head, s->in, sizeof(head));
	rule = find_legal(s->state, le32(head.type), le32(head.len));
	if (!rule) {
		broken(s, "it sent a frame of type %u and %u bytes at the wrong time",
		       le32(head.type), le32(head.len));
		return false;
	}
	size = sizeof(head) + le32(head.len);
	if (s->in_len < size)
		return false;
	s->frames++;
	rule->handle(s, s->in + sizeof(head), le32(head.len));
	s->in_len -= size;
	memmove(s->in, s->in + size, s->in_len);
	return s->state != SESSION_BROKEN;
}

static void read_control(struct session *s)
{
	ssize_t n = recv(s->control, s->in + s->in_len, sizeof(s->in) - s->in_len, MSG_DONTWAIT);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		if (s->state == SESSION_STARTING || s->state == SESSION_RUNNING)
			broken(s, "it hung up before the command ended");
		close(s->control);
		s->control = -1;
		return;
	}
	s->in_len += (size_t)n;
	while (take_frame(s))
		;
}

/* ---- frames to the guest ---- */

static void write_control(struct session *s)
{
	while (s->out_at < s->out_len) {
		ssize_t n = send(s->control, s->out + s->out_at, s->out_len - s->out_at,
				 MSG_DONTWAIT | MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return;	/* full: later; broken: reading will tell */
		s->out_at += (size_t)n;
	}
	s->out_at = s->out_len = 0;
}

static void order(struct session *s, enum proto_type type, const void *body, uint32_t len)
{
	const struct proto_frame head = { to_le32(type), to_le32(len) };

	if (s->state != SESSION_RUNNING || s->control < 0)
		return;
	/* A guest that does not read for so long gets no more orders; see the header. */
	if (s->out_size - s->out_len < sizeof(head) + len)
		return;
	memcpy(s->out + s->out_len, &head, sizeof(head));
	memcpy(s->out + s->out_len + sizeof(head), body, len);
	s->out_len += sizeof(head) + len;
	write_control(s);
}

void session_signal(struct session *s, int signo)
{
	const struct proto_signal sig = { to_le32((uint32_t)signo) };

	order(s, PROTO_SIGNAL, &sig, sizeof(sig));
}

void session_winsize(struct session *s, uint16_t rows, uint16_t cols)
{
	const struct proto_winsize win = { to_le16(rows), to_le16(cols) };

	if (s->tty)
		order(s, PROTO_WINSIZE, &win, sizeof(win));
}

/* ---- connections ---- */

static void accept_on(struct session *s, int port)
{
	int fd = accept4(s->listener[port], NULL, NULL, SOCK_CLOEXEC), n = port - 1, err;

	if (fd < 0)
		return;
	if (s->connected[port] || (s->tty && port == PORT_STDERR)) {
		close(fd);
		broken(s, "it connected to port %d %s", PROTO_PORT_CONTROL + port,
		       s->connected[port] ? "twice" : "although there is a terminal");
		return;
	}
	s->connected[port] = true;
	if (port == PORT_CONTROL) {
		s->control = fd;
		if (s->state == SESSION_WAITING)
			s->state = SESSION_STARTING;
		write_control(s);
		return;
	}
	err = pump_start(&s->pump[n], n == 0 ? PUMP_IN : PUMP_OUT, s->local[n], fd, s->notify,
			 n == 0 && s->tty && isatty(s->local[0]) == 1);
	if (err)
		broken(s, "a thread for its stream could not be made: %s", strerror(-err));
}

void session_poll(const struct session *s, struct pollfd p[static SESSION_POLL])
{
	for (int i = 0; i < SESSION_PORTS; i++)
		p[i] = (struct pollfd){ .fd = s->listener[i], .events = POLLIN };
	p[POLL_CONTROL] = (struct pollfd){ .fd = s->control, .events = POLLIN };
	if (s->out_at < s->out_len)
		p[POLL_CONTROL].events |= POLLOUT;
	p[POLL_NOTIFY] = (struct pollfd){ .fd = s->notify, .events = POLLIN };
}

void session_turn(struct session *s, const struct pollfd p[static SESSION_POLL])
{
	eventfd_t ignored;

	if (p[POLL_NOTIFY].revents)
		eventfd_read(s->notify, &ignored);
	/* Connections before frames: a guest that connects its streams and then says STARTED
	 * must not be refused because poll() saw STARTED first. */
	for (int i = SESSION_PORTS - 1; i >= 0 && s->state != SESSION_BROKEN; i--)
		if (s->listener[i] >= 0 && (p[i].revents || p[POLL_CONTROL].revents))
			accept_on(s, i);
	if (s->control < 0 || s->state == SESSION_BROKEN)
		return;
	if (p[POLL_CONTROL].revents & POLLOUT)
		write_control(s);
	if (p[POLL_CONTROL].revents & ~POLLOUT)
		read_control(s);
}

/* ---- the end ---- */

bool session_drained(const struct session *s)
{
	for (int i = 1; i < 3; i++)
		if (s->pump[i].started && !atomic_load(&s->pump[i].done))
			return false;
	return true;
}

uint64_t session_life(const struct session *s)
{
	uint64_t life = s->frames;

	for (int i = 1; i < 3; i++)
		life += atomic_load(&s->pump[i].moved);
	return life;
}

int session_stream_error(const struct session *s, int *which)
{
	for (*which = 0; *which < 3; (*which)++) {
		int err = atomic_load(&s->pump[*which].error);

		if (err)
			return err;
	}
	return 0;
}

void session_release(struct session *s)
{
	if (s->control >= 0)
		close(s->control);
	s->control = -1;
}

/* Removes the file of a listener, if it still is that.  While we listen nobody takes it for
 * abandoned, so the listener is closed after this. */
static void remove_file(struct session *s, int port)
{
	const struct stat *was = &s->file[port];
	struct stat now;

	if (s->path[port][0] && lstat(s->path[port], &now) == 0 && now.st_dev == was->st_dev &&
	    now.st_ino == was->st_ino)
		unlink(s->path[port]);
	s->path[port][0] = '\0';
}

void session_close(struct session *s)
{
	bool abandoned_pump = false;

	for (int i = 0; i < SESSION_PORTS; i++) {
		remove_file(s, i);
		if (s->listener[i] >= 0)
			close(s->listener[i]);
		s->listener[i] = -1;
	}
	session_release(s);
	for (int i = 0; i < 3; i++) {
		pump_stop(&s->pump[i]);
		abandoned_pump |= s->pump[i].started;
	}
	/* A thread that hangs in a read of the caller's terminal may still write to it. */
	if (!abandoned_pump && s->notify >= 0)
		close(s->notify);
	s->notify = -1;
	free(s->out);
	s->out = NULL;
	s->out_len = s->out_at = 0;
}
