/* SPDX-License-Identifier: Apache-2.0 */
/* session_pump.c: byte-exact copying between a standard stream and a connection.
 *
 * The connection blocks and is ours.  The local side may be anything: a file, a pipe, a
 * terminal; blocking, or non-blocking because its other users want it so, in which case EAGAIN
 * is answered by poll().  The connection is watched while waiting for input, so that input
 * which nobody will read is not taken from whoever reads the descriptor after us. */
#include "cli/session_pump.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { PUMP_BUF = 128 * 1024, STOP_MS = 200, KEY_INTERRUPT = 0x03 };

static void tell(const struct pump *p)
{
	eventfd_write(p->notify, 1);
}

static bool wait_ready(int fd, short events)
{
	struct pollfd w = { .fd = fd, .events = events };

	return poll(&w, 1, -1) > 0 || errno == EINTR;
}

/* Waits for input or for the guest's end to go away; true when there is input (or its end). */
static bool wait_input(const struct pump *p)
{
	for (;;) {
		struct pollfd w[2] = {
			{ .fd = p->local, .events = POLLIN },
			{ .fd = p->conn, .events = POLLRDHUP },
		};

		if (poll(w, 2, -1) < 0) {
			if (errno == EINTR)
				continue;
			return false;
		}
		if (w[1].revents & (POLLERR | POLLHUP | POLLRDHUP | POLLNVAL))
			return false;
		if (w[0].revents)
			return true;
	}
}

static bool send_all(struct pump *p, const uint8_t *buf, size_t len)
{
	while (len > 0) {
		ssize_t n = send(p->conn, buf, len, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return false;
		buf += n;
		len -= (size_t)n;
		atomic_fetch_add(&p->moved, (uint64_t)n);
	}
	return true;
}

static void count_keys(struct pump *p, const uint8_t *buf, size_t len)
{
	const uint8_t *end = buf + len;
	unsigned n = 0;

	while ((buf = memchr(buf, KEY_INTERRUPT, (size_t)(end - buf)))) {
		buf++;
		n++;
	}
	if (n) {
		atomic_fetch_add(&p->interrupts, n);
		tell(p);
	}
}

static void copy_in(struct pump *p, uint8_t *buf)
{
	while (wait_input(p)) {
		ssize_t n = read(p->local, buf, PUMP_BUF);

		if (n < 0 && (errno == EINTR || errno == EAGAIN))
			continue;
		/* EIO: a terminal that hung up; EBADF: started without standard input. */
		if (n < 0 && errno != EIO && errno != EBADF)
			atomic_store(&p->error, errno);
		if (n <= 0)
			break;
		if (p->watch_keys)
			count_keys(p, buf, (size_t)n);
		if (!send_all(p, buf, (size_t)n))
			return;
	}
	shutdown(p->conn, SHUT_WR);
}

static bool write_all(struct pump *p, const uint8_t *buf, size_t len)
{
	while (len > 0) {
		ssize_t n = write(p->local, buf, len);

		if (n >= 0) {
			buf += n;
			len -= (size_t)n;
			atomic_fetch_add(&p->moved, (uint64_t)n);
		} else if (errno == EAGAIN) {
			if (!wait_ready(p->local, POLLOUT))
				return false;
		} else if (errno != EINTR) {
			return false;
		}
	}
	return true;
}

static void copy_out(struct pump *p, uint8_t *buf)
{
	for (;;) {
		ssize_t n = recv(p->conn, buf, PUMP_BUF, 0);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return;
		if (write_all(p, buf, (size_t)n))
			continue;
		/* EPIPE is an answer, not a failure: the command shall have its SIGPIPE. */
		if (errno != EPIPE)
			atomic_store(&p->error, errno);
		shutdown(p->conn, SHUT_RDWR);
		return;
	}
}

static void *run(void *arg)
{
	struct pump *p = arg;
	uint8_t buf[PUMP_BUF];

	if (p->direction == PUMP_IN)
		copy_in(p, buf);
	else
		copy_out(p, buf);
	atomic_store(&p->done, true);
	tell(p);
	return NULL;
}

int pump_start(struct pump *p, enum pump_direction direction, int local, int conn, int notify,
	       bool watch_keys)
{
	int err;

	memset(p, 0, sizeof(*p));
	p->direction = direction;
	p->local = local;
	p->conn = conn;
	p->notify = notify;
	p->watch_keys = watch_keys;
	err = pthread_create(&p->thread, NULL, run, p);
	if (err)
		close(conn);
	p->started = err == 0;
	return -err;
}

void pump_stop(struct pump *p)
{
	struct timespec until;

	if (!p->started)
		return;
	shutdown(p->conn, SHUT_RDWR);
	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_nsec += STOP_MS * 1000000L;
	until.tv_sec += until.tv_nsec / 1000000000L;
	until.tv_nsec %= 1000000000L;
	if (pthread_timedjoin_np(p->thread, NULL, &until) != 0) {
		/* It may still look at the connection: leave that open. */
		pthread_detach(p->thread);
		return;
	}
	close(p->conn);
	p->started = false;
}
