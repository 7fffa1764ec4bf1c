/* SPDX-License-Identifier: Apache-2.0 */
/* host.h: the Unix-socket side of the vsock device.
 *
 * One function a system call, more or less, and the CONNECT line.  Everything behind these
 * descriptors may be hostile: whoever may connect to the listening socket, whoever the
 * supervisor connected us to, and the supervisor's answers themselves.  Nothing blocks. */
#ifndef IMMURE_DEVICES_VSOCK_HOST_H
#define IMMURE_DEVICES_VSOCK_HOST_H

#include "core/base.h"
#include "core/fdplan.h"
#include "devices/vsock/conn.h"

#include <sys/uio.h>

/* The two kinds of sockets, each with a listening one. */
enum host_kind { HOST_STREAM, HOST_SEQ, HOST_KINDS };

struct host {
	int epoll, dial;
	int listen[HOST_KINDS];
	bool listen_ready[HOST_KINDS];	/* somebody may wait to be accepted */
	uint64_t retry_at;	/* ms: somebody waits and is to be tried again; 0: nobody */
	bool dial_ready;	/* an answer may be there */
	bool dial_dead;		/* the supervisor's end is closed or broke the protocol */
	uint32_t dials;		/* requests that were not answered yet */
};

enum {
	/* A guest that asks for more has its requests wait here.  Each answer on the way to us
	 * holds a descriptor, and the kernel counts those of all processes of the
	 * supervisor's user together against the supervisor's RLIMIT_NOFILE (1024): thirty
	 * VMs of one user fit in. */
	HOST_DIALS_MAX = 32,

	HOST_RETRY = 100,	/* ms, where no event says that there is something to have again */
};

/* In epoll_event.data.u64: a connection's cookie with this bit, or a plain descriptor. */
#define HOST_EVENT_CONN (1ull << 32)

/* The next client's descriptor, or -1 when there is none or, until h->retry_at, none can be had:
 * then listen_ready is false. */
must_check int host_accept(struct host *h, enum host_kind kind, uint64_t now);

/* It is @now: what waited for h->retry_at may be tried again. */
void host_retry(struct host *h, uint64_t now);

/* Bounds what the socket of a new connection holds, and has the loop told when it becomes
 * readable or ends.  False: it is none, or the kernel has no memory for it. */
must_check bool host_adopt(const struct host *h, const struct conn *c, uint32_t cookie);

/* Lets the socket of @c hold more, until it is closed. */
must_check bool host_enlarge(const struct conn *c);

/* The same, and when there is room to write (@room). */
void host_watch_room(const struct host *h, const struct conn *c, uint32_t cookie, bool room);

enum host_line { HOST_LINE_MORE, HOST_LINE_BAD, HOST_LINE_PORT };

/* Takes what has come of the line "CONNECT <port>\n", and no byte behind it; of a SEQPACKET client,
 * a message that is the line.  HOST_LINE_PORT:
 * it is complete, *@port is set.  HOST_LINE_BAD: it never will be.  HOST_LINE_MORE: call again
 * while c->readable. */
must_check enum host_line host_read_line(struct conn *c, uint32_t *port);

/* The pure half: is @line (@len bytes, the last one '\n') a request, for which port? */
must_check bool host_parse_line(const char *line, uint32_t len, uint32_t *port);

/* Writes "OK <port>\n" to the client.  False: it did not take it. */
must_check bool host_say_ok(const struct conn *c, uint32_t port);

/* The bytes to write at once, at most: more, and a small send buffer would be overdrawn further
 * than core/backlog.h says. */
uint32_t host_piece(const struct conn *c);

/* Writes up to @len bytes; returns how many the socket took.  Sets c->broken when it will
 * never take one again. */
must_check uint32_t host_send(struct conn *c, const void *data, uint32_t len);

/* Reads up to @len bytes (> 0) to @data; returns how many.  0: c->readable is false, and
 * c->eof true if it stays so; c->broken too, if the other end is closed. */
must_check uint32_t host_recv(struct conn *c, void *data, uint32_t len);

/* The same into the @n pieces of @iov, which hold more than 0 bytes together. */
must_check uint32_t host_recv_pieces(struct conn *c, const struct iovec *iov, int n);

/* Reads up to @len bytes (> 0) of the first message there is, behind those read before, to @data;
 * returns how many.  *@left: so many of it are still to be read; 0: it was taken off the socket.
 * Returns 0 as host_recv() does; an empty message is an end, too. */
must_check uint32_t host_recv_message(struct conn *c, void *data, uint32_t len, uint32_t *left);

/* Ends one direction: the peer reads an end of file, or its writes fail. */
void host_end_write(const struct conn *c);
void host_end_read(const struct conn *c);

/* Closes the host half, if there is one. */
void host_close(struct conn *c);

enum host_dial {
	HOST_DIAL_OK,
	HOST_DIAL_LATER,	/* ask: no room; answer: none there */
	HOST_DIAL_REFUSED,	/* answer: no such listener; ask: no memory for the request */
	HOST_DIAL_DEAD,		/* there is no supervisor to ask */
};

/* Asks the supervisor for a connection of the type of @c to its host port. */
must_check enum host_dial host_ask(struct host *h, uint32_t cookie, const struct conn *c);

/* Takes one answer: for OK and REFUSED *@cookie is set, for OK *@fd is ours. */
must_check enum host_dial host_answer(struct host *h, uint32_t *cookie, int *fd);

#endif
