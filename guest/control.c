/* SPDX-License-Identifier: Apache-2.0 */
/* control.c: reading START whole, then small frames as they come.
 *
 * START is large and comes once, before anything else can happen: it is read with blocking
 * reads straight into its own buffer, where its strings stay for the life of the command.
 * Everything later fits CONTROL_SMALL and is read without waiting. */
#include "guest/control.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static bool wait_for(int fd, short events)
{
	struct pollfd p = { .fd = fd, .events = events };

	return poll(&p, 1, -1) > 0 || errno == EINTR;
}

static bool read_exactly(int fd, void *to, size_t len)
{
	char *at = to;

	while (len > 0) {
		ssize_t n = recv(fd, at, len, 0);

		if (n > 0) {
			at += n;
			len -= (size_t)n;
		} else if (n == 0 || (errno != EINTR && errno != EAGAIN)) {
			return false;
		} else if (!wait_for(fd, POLLIN)) {
			return false;
		}
	}
	return true;
}

ssize_t control_start(struct control *c, char *body, size_t size, struct fail *f)
{
	struct proto_frame head;
	size_t len;

	if (!read_exactly(c->fd, &head, sizeof(head)))
		return fail(f, PROTO_FAIL_SETUP, "the host hung up before START");
	len = le32(head.len);
	if (le32(head.type) != PROTO_START || len > PROTO_FRAME_MAX || len > size)
		return fail(f, PROTO_FAIL_SETUP, "the host's first frame is not START");
	if (!read_exactly(c->fd, body, len))
		return fail(f, PROTO_FAIL_SETUP, "the host hung up inside START");
	return (ssize_t)len;
}

/* Looks at the one frame in c->buf: 1 and *@size when it is whole, 0 when not yet, -1 when it
 * cannot be right. */
static int decode(const struct control *c, struct order *o, size_t *size)
{
	struct proto_frame head;
	struct proto_signal sig;
	struct proto_winsize win;
	size_t want;

	if (c->have < sizeof(head))
		return 0;
	memcpy(&head, c->buf, sizeof(head));
	o->type = (enum proto_type)le32(head.type);
	want = o->type == PROTO_SIGNAL ? sizeof(sig) : sizeof(win);
	if ((o->type != PROTO_SIGNAL && o->type != PROTO_WINSIZE) || le32(head.len) != want)
		return -1;
	*size = sizeof(head) + want;
	if (c->have < *size)
		return 0;
	if (o->type == PROTO_SIGNAL) {
		memcpy(&sig, c->buf + sizeof(head), sizeof(sig));
		if (le32(sig.signo) < 1 || le32(sig.signo) > 64)
			return -1;
		o->signo = (int)le32(sig.signo);
	} else {
		memcpy(&win, c->buf + sizeof(head), sizeof(win));
		o->rows = le16(win.rows);
		o->cols = le16(win.cols);
	}
	return 1;
}

int control_order(struct control *c, struct order *o)
{
	size_t size = 0;
	int found;

	for (;;) {
		ssize_t n;

		found = decode(c, o, &size);
		if (found)
			break;
		n = recv(c->fd, c->buf + c->have, sizeof(c->buf) - c->have, MSG_DONTWAIT);
		if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
			return -1;
		if (n < 0)
			return 0;
		c->have += (size_t)n;
	}
	if (found > 0) {
		c->have -= size;
		memmove(c->buf, c->buf + size, c->have);
	}
	return found;
}

bool control_send(struct control *c, enum proto_type type, const void *body, size_t len)
{
	struct {
		struct proto_frame head;
		char body[sizeof(struct proto_failed) + FAIL_TEXT];
	} frame = { .head = { to_le32(type), to_le32((uint32_t)len) } };
	const char *at = (const char *)&frame;
	size_t left = sizeof(frame.head) + len;

	if (len > sizeof(frame.body))
		return false;
	if (len)
		memcpy(frame.body, body, len);
	while (left > 0) {
		ssize_t n = send(c->fd, at, left, MSG_NOSIGNAL);

		if (n > 0) {
			at += n;
			left -= (size_t)n;
		} else if (errno != EINTR && (errno != EAGAIN || !wait_for(c->fd, POLLOUT))) {
			return false;
		}
	}
	return true;
}

bool control_fail(struct control *c, const struct fail *f)
{
	char body[sizeof(struct proto_failed) + FAIL_TEXT];
	const struct proto_failed head = { to_le32(f->kind) };
	size_t len = strnlen(f->text, FAIL_TEXT);

	memcpy(body, &head, sizeof(head));
	memcpy(body + sizeof(head), f->text, len);
	return control_send(c, PROTO_FAILED, body, sizeof(head) + len);
}

void control_wait_closed(struct control *c)
{
	char rest[64];
	ssize_t n;

	do
		n = recv(c->fd, rest, sizeof(rest), 0);
	while (n > 0 || (n < 0 && (errno == EINTR || (errno == EAGAIN && wait_for(c->fd, POLLIN)))));
}
