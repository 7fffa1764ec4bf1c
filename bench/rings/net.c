/* SPDX-License-Identifier: Apache-2.0 */
/* net.c: what a frame costs the sealed immure-net, beside a thread that makes the same writes to, or reads
 * from, a tap of the same kind and nothing else.
 *
 * No guest runs: this program is the driver, in shared memory. See vsock.c for what is compared. The taps are
 * in a network of the program's own. Frames to the host are for somebody else there, so it drops them at
 * once; those from it are sent by a packet socket, so many at a time that the tap holds them all.
 *
 *	build/bench/ring-net [ROUNDS [WAY]]	one line of JSON for each measure; needs root */
#include "core/guestmem.c"
#include "core/link.c"
#include "core/virtqueue.c"

#include "devices/net/wire.h"
#include "tests/unit/process.h"

#include "bench/rings/measure.h"

#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <pthread.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/uio.h>

enum {
	HEADER = sizeof(struct net_header), FRAME_MAX = 65214, MSS = 1448,
	BATCH = 32, QUEUE_SIZE = 256, RX = 0, TX = 1, QUEUE = 0x10000, STEP = 0x4000,
	OUT = 0x100000, IN = 0x400000, SLOT = 68 << 10, RX_BUFFER = 4096, SNDBUF = 4 << 20,
};

static const uint64_t features = VIRTIO_F_VERSION_1 | VIRTIO_F_EVENT_IDX | NET_F_CSUM | NET_F_GUEST_CSUM |
				 NET_F_HOST_TSO4 | NET_F_GUEST_TSO4 | NET_F_MRG_RXBUF;

struct way {
	const char *name;
	bool to_host;
	uint32_t size;			/* of a frame */
	uint32_t frames;
};

static const struct way ways[] = {
	{ "guest to host, 64 B", true, 64, 32768 },
	{ "guest to host, 1514 B", true, 1514, 32768 },
	{ "guest to host, 64 KiB", true, FRAME_MAX, 4096 },
	{ "host to guest, 64 B", false, 64, 32768 },
	{ "host to guest, 1514 B", false, 1514, 32768 },
	{ "host to guest, 64 KiB", false, FRAME_MAX, 4096 },
};

static struct ram ram;
static struct driver drv[2];
static struct process p;
static int tap[2], out[2];		/* of the device and of the floor: the tap, and what sends into it */
static uint64_t interrupts, kicks;

/* ---- the taps ---- */

static void request(unsigned long cmd, struct ifreq *req)
{
	int sock = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	cr_assert_eq(ioctl(sock, cmd, req), 0);
	close(sock);
}

/* As the jailer makes it. */
static int make_tap(const char *name)
{
	int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC), header = HEADER, sndbuf = SNDBUF;
	struct ifreq req = { .ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR };

	snprintf(req.ifr_name, sizeof(req.ifr_name), "%s", name);
	cr_assert_eq(ioctl(fd, TUNSETIFF, &req), 0);
	cr_assert_eq(ioctl(fd, TUNSETVNETHDRSZ, &header), 0);
	cr_assert_eq(ioctl(fd, TUNSETSNDBUF, &sndbuf), 0);
	cr_assert_eq(ioctl(fd, TUNSETOFFLOAD, (unsigned long)(TUN_F_CSUM | TUN_F_TSO4)), 0);
	req.ifr_flags = IFF_UP | IFF_NOARP;
	request(SIOCSIFFLAGS, &req);
	return fd;
}

static int sender_into(const char *name)
{
	struct sockaddr_ll at = { .sll_family = AF_PACKET, .sll_ifindex = (int)if_nametoindex(name) };
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0), on = 1, size = 32 << 20;

	cr_assert_eq(setsockopt(fd, SOL_PACKET, PACKET_VNET_HDR, &on, sizeof(on)), 0);
	cr_assert_eq(setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size)), 0);
	cr_assert_eq(bind(fd, (const struct sockaddr *)&at, sizeof(at)), 0);
	return fd;
}

static void make_taps(void)
{
	static const char *const name[] = { "ring0", "floor0" };
	FILE *f;

	cr_assert_eq(unshare(CLONE_NEWNET), 0);
	/* Nothing but what is sent here: no word of IPv6. */
	f = fopen("/proc/sys/net/ipv6/conf/default/disable_ipv6", "we");
	if (f != NULL) {
		fputs("1", f);
		fclose(f);
	}
	for (int i = 0; i < 2; i++) {
		tap[i] = make_tap(name[i]);
		out[i] = sender_into(name[i]);
	}
}

/* TCP over IPv4 to a stranger's MAC address, behind its header. */
static void make_frame(uint8_t *b, uint32_t size)
{
	struct net_header h = { 0 };
	uint8_t *f = b + HEADER;

	memset(b, 0, HEADER + size);
	memcpy(f, "\2\0\0\0\0\7\2\0\0\0\0\11\10\0\105\0", 16);
	f[16] = (uint8_t)((size - ETH_HLEN) >> 8);
	f[17] = (uint8_t)(size - ETH_HLEN);
	memcpy(f + 22, "\100\6\0\0\12\11\0\2\12\11\0\1", 12);
	f[46] = 0x50;
	f[47] = 0x10;
	if (size > 1514)
		h = (struct net_header){
			.flags = NET_NEEDS_CSUM, .gso_type = NET_GSO_TCPV4, .hdr_len = to_le16(54),
			.gso_size = to_le16(MSS), .csum_start = to_le16(34), .csum_offset = to_le16(16),
		};
	memcpy(b, &h, sizeof(h));
}

/* BATCH frames into tap @i. A packet socket wants the header without num_buffers. */
static void host_sends(int i, uint32_t size)
{
	static uint8_t frame[HEADER + FRAME_MAX];
	const uint32_t most = HEADER - 2;

	make_frame(frame, size);
	memmove(frame + HEADER - most, frame, most);
	for (int n = 0; n < BATCH; n++)
		cr_assert_eq(send(out[i], frame + HEADER - most, most + size, 0), (ssize_t)(most + size));
}

/* ---- the guest ---- */

static void up(void)
{
	const struct vm_config c = {
		.magic = VMCONFIG_MAGIC, .ram = 32 << 20, .vcpus = 1, .ndevices = 1, .kernel_size = 1,
		.device = { { .kind = VM_DEVICE_NET, .nqueues = 2, .mtu = 1500, .mac = { 2, 0, 0, 0, 0, 9 },
			      .flags = VM_NET_OFFLOADS } },
	};
	struct link_msg m;

	ram_init(&ram, 32 << 20);
	process_plan(&p, &ram, &c, 2);
	p.from[NET_TAP0] = tap[0];
	process_start(&p, "immure-net", "0");
	process_expect(&p, LINK_HELLO, &m);
	for (unsigned i = 0; i < 2; i++)
		driver_init(&drv[i], &ram, QUEUE + i * STEP, QUEUE_SIZE, features);
	process_activate(&p, drv, 2);
}

static void kick(int q)
{
	if (!driver_must_kick(&drv[q]))
		return;
	process_kick(&p, q);
	kicks++;
}

/* Waits until something is used in queue @q that was not there when last looked. */
static void wait_for(int q)
{
	driver_used_event(&drv[q], drv[q].last_used);
	if (__atomic_load_n(driver_word(&drv[q], drv[q].used + 2), __ATOMIC_ACQUIRE) != drv[q].last_used)
		return;
	process_interrupted(&p);
	interrupts++;
}

static void guest_sends(const struct way *w)
{
	uint32_t sent = 0, done = 0, len;
	uint16_t head;

	for (uint32_t i = 0; i < BATCH; i++)
		make_frame(ram_at(&ram, OUT + (uint64_t)i * SLOT), w->size);
	while (done < w->frames) {
		for (; sent < w->frames && sent - done < BATCH; sent++)
			driver_add(&drv[TX], &(struct buf){ OUT + (uint64_t)(sent % BATCH) * SLOT,
							    HEADER + w->size, false }, 1);
		kick(TX);
		wait_for(TX);
		while (driver_used(&drv[TX], &head, &len))
			done++;
	}
}

/* Every free buffer to the device. */
static void give_buffers(void)
{
	static uint32_t next;

	while (drv[RX].nfree > 0)
		driver_add(&drv[RX], &(struct buf){ IN + (uint64_t)(next++ % (2 * QUEUE_SIZE)) * RX_BUFFER,
						    RX_BUFFER, true }, 1);
	kick(RX);
}

static void guest_receives(const struct way *w)
{
	uint64_t bytes = 0, frame = HEADER + w->size;
	uint16_t head;
	uint32_t len;

	give_buffers();
	for (uint64_t sent = 0; sent < w->frames; sent += BATCH) {
		host_sends(0, w->size);
		while (bytes < (sent + BATCH) * frame) {
			if (!driver_used(&drv[RX], &head, &len)) {
				give_buffers();
				wait_for(RX);
				continue;
			}
			bytes += len;
		}
		give_buffers();
	}
	cr_assert_eq(bytes, w->frames * frame);
}

static uint64_t device_round(const void *way, struct measured *r, bool count)
{
	const struct way *w = way;
	int fd = count ? counter(p.pid) : -1;
	uint64_t before = device_ns(p.pid), calls;

	interrupts = kicks = 0;
	if (w->to_host)
		guest_sends(w);
	else
		guest_receives(w);
	before = device_ns(p.pid) - before;
	r->calls = fd >= 0 && read(fd, &calls, 8) == 8 ? (double)calls : r->calls;
	r->interrupts = (double)interrupts;
	r->kicks = (double)kicks;
	close(fd);
	return before;
}

/* ---- the floor ---- */

static pthread_barrier_t turn;		/* of who sends and who reads */

/* In as much memory as the guest has its frames in: what is in a cache is the same. */
static struct iovec slot(uint64_t from, uint32_t i, size_t len)
{
	return (struct iovec){ ram_at(&ram, from + (uint64_t)(i % BATCH) * SLOT), len };
}

static void floor_sends(const struct way *w)
{
	for (uint32_t i = 0; i < w->frames; i++) {
		struct iovec v = slot(OUT, i, HEADER + w->size);

		cr_assert_eq(writev(tap[1], &v, 1), (ssize_t)v.iov_len);
	}
}

static void floor_receives(const struct way *w)
{
	for (uint32_t i = 0; i < w->frames; i++) {
		struct iovec v = slot(IN, i, HEADER + FRAME_MAX);

		if (i % BATCH == 0)
			pthread_barrier_wait(&turn);
		cr_assert_eq(readv(tap[1], &v, 1), (ssize_t)(HEADER + w->size));
		if (i % BATCH == BATCH - 1)
			pthread_barrier_wait(&turn);
	}
}

static void *floor_thread(void *arg)
{
	const struct way *w = arg;
	static uint64_t ns;

	ns = clock_ns(CLOCK_THREAD_CPUTIME_ID);
	if (w->to_host)
		floor_sends(w);
	else
		floor_receives(w);
	ns = clock_ns(CLOCK_THREAD_CPUTIME_ID) - ns;
	return &ns;
}

static uint64_t floor_round(const void *way)
{
	const struct way *w = way;
	pthread_t thread;
	void *ns;

	for (uint32_t i = 0; i < BATCH; i++)
		make_frame(ram_at(&ram, OUT + (uint64_t)i * SLOT), w->size);
	cr_assert_eq(pthread_create(&thread, NULL, floor_thread, (void *)w), 0);
	for (uint32_t i = 0; !w->to_host && i < w->frames; i += BATCH) {
		host_sends(1, w->size);
		pthread_barrier_wait(&turn);
		pthread_barrier_wait(&turn);
	}
	pthread_join(thread, &ns);
	return *(uint64_t *)ns;
}

static void measure(const struct way *w, int rounds)
{
	const struct measured r = measure_rounds(w, rounds, device_round, floor_round);

	measured_print(&r, "net", w->name, "frame", w->frames);
}

int main(int argc, char **argv)
{
	int rounds = argc > 1 ? (int)strtol(argv[1], NULL, 10) : 10;

	make_taps();
	up();
	cr_assert_eq(pthread_barrier_init(&turn, NULL, 2), 0);
	for (size_t i = 0; i < array_len(ways); i++)
		if (argc < 3 || strstr(ways[i].name, argv[2]) != NULL)
			measure(&ways[i], rounds);
	process_tell(&p, &(struct link_msg){ .type = LINK_QUIT });
	cr_assert(exited(process_end(&p), 0));
	return 0;
}
