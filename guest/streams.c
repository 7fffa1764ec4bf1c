/* SPDX-License-Identifier: Apache-2.0 */
/* streams.c: a linear buffer between two non-blocking descriptors.
 *
 * The buffer is refilled while it has room and restarts at its beginning whenever it runs
 * empty, so bytes never move inside it.  Back pressure is a full buffer: the source is not
 * polled, and the writer behind it waits. */
#include "guest/streams.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <termios.h>
#include <unistd.h>

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

void stream_close(struct stream *s)
{
	close_fd(&s->from);
	close_fd(&s->to);
	s->eof = true;
	s->done = true;
}

static int set_nonblocking(int fd)
{
	int flags = fcntl(fd, F_GETFL);

	return flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0 ? -errno : 0;
}

int stream_open(struct stream *s, int from, int to, enum stream_sink sink)
{
	int err;

	s->from = from;
	s->to = to;
	s->sink = sink;
	s->eof = s->done = s->last = s->midline = false;
	s->start = s->end = 0;
	err = set_nonblocking(from);
	if (!err)
		err = set_nonblocking(to);
	if (err)
		stream_close(s);
	return err;
}

void stream_poll(const struct stream *s, struct pollfd p[static 2])
{
	p[0] = (struct pollfd){ .fd = -1 };
	p[1] = (struct pollfd){ .fd = -1 };
	if (s->done)
		return;
	if (!s->eof && s->end < STREAM_BUF) {
		p[0].fd = s->from;
		p[0].events = POLLIN;
	}
	/* Errors are reported unasked: a pipe without readers, a connection that was reset.
	 * The host closing its end of an output connection shows as RDHUP. */
	p[1].fd = s->to;
	if (s->start < s->end)
		p[1].events |= POLLOUT;
	if (s->sink == SINK_SOCKET)
		p[1].events |= POLLRDHUP;
}

/* The sink's reader is gone. */
static bool sink_gone(const struct stream *s, short revents)
{
	if (s->sink == SINK_SOCKET)
		return revents & (POLLERR | POLLHUP | POLLRDHUP | POLLNVAL);
	return revents & (POLLERR | POLLNVAL);
}

/* End of file for a reader of a terminal is a character, and one that ends a read() only at
 * the beginning of a line: in the middle of one it takes two. */
static void append_tty_eof(struct stream *s)
{
	struct termios t;

	if (tcgetattr(s->to, &t) < 0 || !(t.c_lflag & ICANON))
		return;
	s->start = s->end = 0;
	s->buf[s->end++] = t.c_cc[VEOF];
	if (s->midline)
		s->buf[s->end++] = t.c_cc[VEOF];
}

static void source_ended(struct stream *s)
{
	s->eof = true;
	close_fd(&s->from);
}

static void fill(struct stream *s)
{
	ssize_t n = read(s->from, s->buf + s->end, STREAM_BUF - s->end);

	if (n > 0) {
		s->end += (uint32_t)n;
		s->midline = s->buf[s->end - 1] != '\n';
		return;
	}
	if (n < 0 && errno == EINTR)
		return;
	if (n < 0 && errno == EAGAIN && !s->last)
		return;
	/* 0: end of file.  EIO: the last process left the terminal.  ECONNRESET: the host
	 * closed its side for good. */
	source_ended(s);
}

static void flush(struct stream *s)
{
	ssize_t n;

	if (s->start == s->end)
		return;
	n = write(s->to, s->buf + s->start, s->end - s->start);
	if (n < 0) {
		if (errno != EAGAIN && errno != EINTR)
			stream_close(s);
		return;
	}
	s->start += (uint32_t)n;
	if (s->start == s->end)
		s->start = s->end = 0;
}

static void pass_end_on(struct stream *s)
{
	switch (s->sink) {
	case SINK_PIPE:
		close_fd(&s->to);
		s->done = true;
		return;
	case SINK_SOCKET:
		shutdown(s->to, SHUT_WR);
		s->done = true;
		return;
	case SINK_TTY:
		/* Once as bytes like any others, then there is nothing left to do. */
		append_tty_eof(s);
		s->sink = SINK_PIPE;
		flush(s);
		return;
	}
}

void stream_turn(struct stream *s, const struct pollfd p[static 2])
{
	if (s->done)
		return;
	if (sink_gone(s, p[1].revents)) {
		stream_close(s);
		return;
	}
	if (!s->eof && s->end < STREAM_BUF && (p[0].revents || s->last))
		fill(s);
	flush(s);
	while (!s->done && s->eof && s->start == s->end)
		pass_end_on(s);
}

void stream_finish(struct stream *s)
{
	s->last = true;
}
