/* SPDX-License-Identifier: Apache-2.0 */
/* vsock_guest.h: a guest with a vsock driver, and the sockets of the host, for unit tests.
 *
 * Whoever includes it has core/guestmem.c and core/virtqueue.c in the same file. */
#ifndef IMMURE_TESTS_UNIT_VSOCK_GUEST_H
#define IMMURE_TESTS_UNIT_VSOCK_GUEST_H

#include "core/dial.h"
#include "core/link.h"
#include "devices/vsock/wire.h"
#include "tests/unit/driver.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>

enum {
	CID = 42,
	QLEN = 64,
	RXBUF = 8192,			/* spacing of rx buffers */
	RXLEN = 4096,			/* what of it the device is offered: as Linux does */
	RX_AT = 0x400000,
	TX_AT = 0x800000,		/* TXBUF for each tx descriptor */
	TXBUF = 1 << 17,
};

static struct ram ram;
static struct driver rx, tx;
static int super;			/* the supervisor's end of DIAL */
static uint32_t rx_len = RXLEN;
static struct sockaddr_un listen_at;	/* where host clients connect */
static socklen_t listen_len;
static struct sockaddr_un listen_seq_at;	/* the same for messages */
static socklen_t listen_seq_len;

/* A packet as the guest writes it; also what it reads. */
struct say {
	struct vsock_hdr h;
	const void *data;
	uint32_t size;			/* of data, whatever h.len claims */
};

static inline struct link_queue queue_of(const struct driver *d)
{
	return (struct link_queue){ .desc = d->desc, .avail = d->avail, .used = d->used,
				    .size = d->size, .ready = 1 };
}

static inline void give_buffer(void)
{
	uint16_t next = rx.free[rx.nfree - 1];
	struct buf b = { RX_AT + (uint64_t)next * RXBUF, rx_len, true };

	driver_add(&rx, &b, 1);
}

static inline void give_buffers(void)
{
	while (rx.nfree > 0)
		give_buffer();
}

/* A listening socket without a place in the file system. */
static inline int listener(int type, struct sockaddr_un *a, socklen_t *len)
{
	static int number;
	int fd = socket(AF_UNIX, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	*a = (struct sockaddr_un){ .sun_family = AF_UNIX };
	*len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 +
			   (size_t)snprintf(a->sun_path + 1, 60, "immure-unit-%d-%d", getpid(),
					    number++));
	cr_assert_eq(bind(fd, (struct sockaddr *)a, *len), 0);
	cr_assert_eq(listen(fd, 4096), 0);
	return fd;
}

/* What the driver has back from tx. */
static inline void reap(void)
{
	uint16_t head;
	uint32_t len;

	while (driver_used(&tx, &head, &len))
		cr_assert_eq(len, 0, "the device wrote into a tx buffer");
}

static inline struct say said_by(uint16_t op, uint32_t guest_port, uint32_t host_port)
{
	return (struct say){ .h = {
		.src_cid = to_le64(CID), .dst_cid = to_le64(VSOCK_CID_HOST),
		.src_port = to_le32(guest_port), .dst_port = to_le32(host_port),
		.type = to_le16(VSOCK_TYPE_STREAM), .op = to_le16(op),
		.buf_alloc = to_le32(1 << 18),
	} };
}

/* Queues a packet: header and payload in one descriptor each, as Linux 6.1 does. */
static inline void queue_packet(const struct say *s)
{
	uint64_t at = TX_AT + (uint64_t)tx.free[tx.nfree - 1] * TXBUF;
	struct buf b[2] = { { at, VSOCK_HDR, false }, { at + 64, s->size, false } };

	cr_assert_leq(s->size, TXBUF - 64);
	memcpy(ram_at(&ram, at), &s->h, VSOCK_HDR);
	if (s->size > 0)
		memcpy(ram_at(&ram, at + 64), s->data, s->size);
	driver_add(&tx, b, s->size > 0 ? 2 : 1);
}

/* The next packet to the guest; its payload stays where the device put it.  False: none.  The
 * buffer is given back unless @keep_it. */
static inline bool next_packet(struct say *s, bool keep_it)
{
	uint16_t head;
	uint32_t len;
	uint64_t at;

	if (!driver_used(&rx, &head, &len))
		return false;
	at = RX_AT + (uint64_t)head * RXBUF;
	cr_assert_geq(len, VSOCK_HDR);
	cr_assert_leq(len, rx_len);
	memcpy(&s->h, ram_at(&ram, at), VSOCK_HDR);
	s->data = ram_at(&ram, at + VSOCK_HDR);
	s->size = len - VSOCK_HDR;
	cr_assert_eq(le32(s->h.len), s->size, "len is not what was written");
	cr_assert_eq(le64(s->h.src_cid), VSOCK_CID_HOST);
	cr_assert_eq(le64(s->h.dst_cid), CID);
	if (!keep_it)
		give_buffer();
	return true;
}

/* ---- the supervisor ---- */

static inline bool next_dial(struct dial_request *r)
{
	return recv(super, r, sizeof(*r), MSG_DONTWAIT) == (ssize_t)sizeof(*r);
}

static inline void send_answer(const void *bytes, size_t len, const int *fd, size_t nfds)
{
	char control[CMSG_SPACE(4 * sizeof(int))] = { 0 };
	struct iovec iov = { (void *)(uintptr_t)bytes, len };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1 };

	if (nfds > 0) {
		m.msg_control = control;
		m.msg_controllen = CMSG_SPACE(nfds * sizeof(int));
		*CMSG_FIRSTHDR(&m) = (struct cmsghdr){
			.cmsg_len = CMSG_LEN(nfds * sizeof(int)),
			.cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS,
		};
		memcpy(CMSG_DATA(CMSG_FIRSTHDR(&m)), fd, nfds * sizeof(int));
	}
	cr_assert_eq(sendmsg(super, &m, MSG_NOSIGNAL), (ssize_t)len);
}

/* Answers a request with one end of a fresh pair; returns the other. */
static inline int answer_dial(const struct dial_request *r)
{
	struct dial_reply a = { .cookie = r->cookie };
	int pair[2];

	/* Non-blocking, as the supervisor's are (jail_sockets.c has the test). */
	cr_assert_eq(socketpair(AF_UNIX, (int)r->type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair), 0);
	send_answer(&a, sizeof(a), &pair[0], 1);
	close(pair[0]);
	return pair[1];
}

static inline int client_seq(void)
{
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	cr_assert_eq(connect(fd, (struct sockaddr *)&listen_seq_at, listen_seq_len), 0);
	return fd;
}

static inline int client(void)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	cr_assert_eq(connect(fd, (struct sockaddr *)&listen_at, listen_len), 0);
	return fd;
}

#endif
