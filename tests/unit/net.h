/* SPDX-License-Identifier: Apache-2.0 */
/* net.h: a tap made of two lists of frames, a device on it and a driver that talks to it.
 *
 * What the device writes lands in out[], what it reads comes from in[]; both fail on order.  Tap i
 * is the one of pair i. */
#ifndef IMMURE_TESTS_UNIT_NET_H
#define IMMURE_TESTS_UNIT_NET_H

#include "core/guestmem.c"
#include "core/log.c"
#include "core/bucket.c"
#include "core/flow.c"
#include "core/limits.c"
#include "core/virtqueue.c"

#include <sys/uio.h>

enum { FRAMES = 512, BYTES = 66000, TAPS = 4 };

struct frame {
	uint32_t len;		/* with the header */
	int tap;
	uint8_t bytes[BYTES];
};

static struct {
	struct frame *in, *out;		/* FRAMES each */
	int nin, in_at, nout;
	int read_error, write_error;	/* 0: none */
	int room;			/* frames it still takes; -1: all */
	int reads, writes;
	uint8_t *spoilt;		/* what the guest changes as the host begins to read */
	uint32_t spoilt_len;
} host;

static ssize_t host_readv(int fd, const struct iovec *iov, int n)
{
	struct frame *f = &host.in[host.in_at];
	uint32_t at = 0;

	host.reads++;
	errno = host.read_error != 0 ? host.read_error : EAGAIN;
	if (host.read_error != 0 || host.in_at == host.nin || f->tap != fd - NET_TAP0)
		return -1;
	host.in_at++;
	for (int i = 0; i < n && at < f->len; i++) {
		uint32_t part = (uint32_t)min_u64(iov[i].iov_len, f->len - at);

		memcpy(iov[i].iov_base, f->bytes + at, part);
		at += part;
	}
	return at;
}

static ssize_t host_writev(int fd, const struct iovec *iov, int n)
{
	struct frame *f = &host.out[host.nout];

	host.writes++;
	errno = host.write_error != 0 ? host.write_error : EAGAIN;
	if (host.write_error != 0 || host.room == 0)
		return -1;
	host.room -= host.room > 0 ? 1 : 0;
	if (host.spoilt != NULL)
		memset(host.spoilt, 0xff, host.spoilt_len);
	f->len = 0;
	f->tap = fd - NET_TAP0;
	for (int i = 0; i < n; f->len += (uint32_t)iov[i].iov_len, i++)
		memcpy(f->bytes + f->len, iov[i].iov_base, iov[i].iov_len);
	host.nout++;
	return f->len;
}

#include "devices/net/header.c"
#include "core/fdplan.h"
#define readv host_readv
#define writev host_writev
#include "devices/net/tap.c"
#undef readv
#undef writev
#include "devices/net/stream.c"
#include "devices/net/wall.c"
#include "policy/bpf/wall_model.c"
#include "devices/net/control.c"
#include "devices/net/net.c"
#include "devices/net/rx.c"
#include "devices/net/tx.c"

#include "tests/unit/driver.h"

enum { QUEUE = 0x10000, QUEUE_STEP = 0x4000, TABLE = 0x60000, DATA = 0x100000, BUFFER = 0x4000 };
enum { HEADER = sizeof(struct net_header), RX = 0, TX = 1 };

static struct ram ram;
static struct driver drv[NET_QUEUES];
static struct net dev;
static struct stats_page counters;
static struct limits_entry limits_entry;
static const struct pages pages = { &counters, &limits_entry };

static const uint64_t plain = VIRTIO_F_VERSION_1 | VIRTIO_F_INDIRECT_DESC | NET_F_MAC | NET_F_MTU;
static const uint64_t merge = VIRTIO_F_VERSION_1 | VIRTIO_F_INDIRECT_DESC | NET_F_MRG_RXBUF;
static const uint64_t offloads = NET_F_CSUM | NET_F_GUEST_CSUM | NET_F_HOST_TSO4 |
				 NET_F_HOST_TSO6 | NET_F_GUEST_TSO4 | NET_F_GUEST_TSO6;

static inline struct link_activate activation(uint64_t features, unsigned nqueues, uint16_t size)
{
	struct link_activate a = { .features = features };

	for (unsigned i = 0; i < nqueues; i++) {
		driver_init(&drv[i], &ram, QUEUE + i * QUEUE_STEP, size, features);
		a.queue[i] = (struct link_queue){ drv[i].desc, drv[i].avail, drv[i].used, size, 1, 0 };
	}
	return a;
}

/* A device of @pairs pairs with all offloads, not active. */
static inline void device_of(unsigned pairs)
{
	const struct vm_device d = {
		.kind = VM_DEVICE_NET, .nqueues = pairs > 1 ? 2 * pairs + 1 : 2, .mtu = 1500,
		.flags = VM_NET_OFFLOADS | VM_NET_USO, .mac = { 2, 0, 0, 0, 0, 1 },
	};

	if (ram.mem.nregions == 0) {
		ram_init(&ram, 64 << 20);
		host.in = calloc(FRAMES, sizeof(struct frame));
		host.out = calloc(FRAMES, sizeof(struct frame));
	}
	host.nin = host.in_at = host.nout = host.reads = host.writes = 0;
	host.read_error = host.write_error = 0;
	host.room = -1;
	host.spoilt = NULL;
	dev = (struct net){ 0 };
	counters = (struct stats_page){ 0 };
	net_init(&dev, &ram.mem, &pages, &d);
}

/* The same, with a driver that accepted @features and has queues of @size. */
static inline void start_pairs(unsigned pairs, uint64_t features, uint16_t size)
{
	struct link_activate a;
	uint32_t reason, queue;

	device_of(pairs);
	a = activation(features, pairs > 1 ? 2 * pairs + 1 : 2, size);
	cr_assert(net_activate(&dev, &a, &reason, &queue));
}

static inline void start(uint64_t features)
{
	start_pairs(1, features, 256);
}

/* As the loop of main.c: notes kicks and a tap that is ready, serves until it would sleep. */
static inline enum net_stop serve(void)
{
	enum net_stop stop;
	uint32_t reason, queue;
	bool interrupt;

	for (unsigned q = 0; q < NET_QUEUES; q++)
		if (net_wants_kick(&dev, q))
			net_kick(&dev, q);
	for (unsigned i = 0; i < TAPS && i < dev.pairs; i++)
		net_tap(&dev, i, net_wants_frames(&dev, i) && host.in_at < host.nin,
			net_wants_room(&dev, i) && host.room != 0);
	do
		stop = net_serve(&dev, &interrupt, &reason, &queue);
	while (stop == NET_MORE);
	return stop;
}

/* A frame of @len bytes from the host, byte i of it is (seed + i) & 0xff, with header @h. */
static inline void arrive_with(const struct net_header *h, uint32_t len, int seed, int tap)
{
	struct frame *f = &host.in[host.nin++];

	cr_assert_leq(host.nin, FRAMES);
	f->len = HEADER + len;
	f->tap = tap;
	memcpy(f->bytes, h, HEADER);
	for (uint32_t i = 0; i < len; i++)
		f->bytes[HEADER + i] = (uint8_t)(seed + (int)i);
}

static inline void arrive(uint32_t len, int seed)
{
	arrive_with(&(struct net_header){ 0 }, len, seed, 0);
}

/* Puts header @h and a frame of @len bytes (as above) at DATA. */
static inline void put_frame(const struct net_header *h, uint32_t len, int seed)
{
	uint8_t *at = ram_at(&ram, DATA);

	memcpy(at, h, HEADER);
	for (uint32_t i = 0; i < len; i++)
		at[HEADER + i] = (uint8_t)(seed + (int)i);
}

/* Makes what lies at DATA a TCP packet of IPv4. */
static inline void make_tcp(void)
{
	uint8_t *frame = (uint8_t *)ram_at(&ram, DATA) + HEADER;

	frame[12] = 0x08;
	frame[13] = 0;
	frame[14] = 0x45;
	frame[20] = frame[21] = 0;	/* no fragment */
	frame[23] = 6;
}

/* Has the driver send what lies at DATA in one descriptor, and the device serve it. */
static inline void send_data(uint32_t len)
{
	uint16_t head;
	uint32_t written;

	driver_add(&drv[TX], (struct buf[]){ { DATA, len, false } }, 1);
	cr_assert_eq(serve(), NET_IDLE);
	cr_assert(driver_used(&drv[TX], &head, &written));
	cr_assert_eq(written, 0);
}

static inline bool frame_is(const struct frame *f, uint32_t len, int seed)
{
	for (uint32_t i = 0; i < len; i++)
		if (f->bytes[HEADER + i] != (uint8_t)(seed + (int)i))
			return false;
	return f->len == HEADER + len;
}

#endif
