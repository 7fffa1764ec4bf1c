/* SPDX-License-Identifier: Apache-2.0 */
/* The real immure-net, sealed, with this test as VMM and guest, and sockets that keep messages
 * apart in place of taps. */
#include "core/guestmem.c"
#include "core/link.c"
#include "core/virtqueue.c"

#include "tests/unit/process.h"

#include <dirent.h>
#include <sys/ioctl.h>
#include <net/if.h>
#include <linux/if_tun.h>
#include <sched.h>

enum { QUEUE = 0x10000, STEP = 0x4000, OUT = 0x100000, IN = 0x200000, HEADER = 12, RX = 0, TX = 1 };
static const uint64_t usual = VIRTIO_F_VERSION_1 | VIRTIO_F_EVENT_IDX | 1 << 15;

static struct ram ram;
static struct driver drv[9];
static struct process p;
static struct link_msg m;
static int tap[4];		/* our ends */

static void plan(unsigned pairs)
{
	unsigned queues = pairs > 1 ? 2 * pairs + 1 : 2;
	struct vm_config c = {
		.magic = VMCONFIG_MAGIC, .ram = 32 << 20, .vcpus = 1, .ndevices = 2,
		.kernel_size = 1,
		.device = { { .kind = VM_DEVICE_VSOCK, .nqueues = 3, .guest_cid = 3, .connections = 9 },
			    { .kind = VM_DEVICE_NET, .nqueues = queues, .mtu = 1500,
			      .mac = { 2, 0, 0, 0, 0, 9 }, .flags = VM_NET_OFFLOADS } },
	};

	signal(SIGPIPE, SIG_IGN);
	ram_init(&ram, 32 << 20);
	process_plan(&p, &ram, &c, (int)queues);
	for (unsigned i = 0; i < pairs; i++) {
		int pair[2];

		cr_assert_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
		tap[i] = pair[0];
		p.from[NET_TAP0 + i] = pair[1];
	}
}

static void activate(uint64_t features, unsigned queues)
{
	for (unsigned i = 0; i < queues; i++)
		driver_init(&drv[i], &ram, QUEUE + i * STEP, 128, features);
	process_activate(&p, drv, (int)queues);
}

static void begin(unsigned pairs)
{
	plan(pairs);
	process_start(&p, "immure-net", "1");
	process_expect(&p, LINK_HELLO, &m);
	for (unsigned i = 0; i < pairs; i++)
		close(p.from[NET_TAP0 + i]);
}

static void up(void)
{
	begin(1);
	activate(usual, 2);
}

static void quit(void)
{
	process_tell(&p, &(struct link_msg){ .type = LINK_QUIT });
	cr_assert(exited(process_end(&p), 0));
}

/* Sends a frame of @len bytes on queue @q and returns when it was used. */
static void send_frame(int q, uint32_t len, uint8_t byte)
{
	uint16_t head;
	uint32_t used;

	memset(ram_at(&ram, OUT), 0, HEADER);
	memset((uint8_t *)ram_at(&ram, OUT) + HEADER, byte, len);
	driver_used_event(&drv[q], drv[q].last_used);
	driver_add(&drv[q], &(struct buf){ OUT, HEADER + len, false }, 1);
	if (driver_must_kick(&drv[q]))
		process_kick(&p, q);
	while (!driver_used(&drv[q], &head, &used))
		process_interrupted(&p);
}

/* What the host got: a frame of @len bytes, all @byte. */
static void host_got(int i, uint32_t len, uint8_t byte)
{
	uint8_t bytes[2000];

	cr_assert(readable_soon(tap[i]));
	cr_assert_eq(read(tap[i], bytes, sizeof(bytes)), HEADER + (ssize_t)len);
	cr_assert(bytes[HEADER] == byte && bytes[HEADER + len - 1] == byte);
}

static void give(int q, int n)
{
	for (int i = 0; i < n; i++)
		driver_add(&drv[q], &(struct buf){ IN, 1526, true }, 1);
	driver_used_event(&drv[q], drv[q].last_used);
	if (driver_must_kick(&drv[q]))
		process_kick(&p, q);
}

static void host_sends(int i, uint32_t len, uint8_t byte)
{
	uint8_t bytes[HEADER + 2000] = { 0 };

	memset(bytes + HEADER, byte, len);
	cr_assert_eq(write(tap[i], bytes, HEADER + len), HEADER + (ssize_t)len);
}

/* The guest gets a frame of @len bytes, all @byte, on queue @q. */
static void guest_gets(int q, uint32_t len, uint8_t byte)
{
	uint8_t *at = ram_at(&ram, IN);
	uint16_t head;
	uint32_t used;

	while (!driver_used(&drv[q], &head, &used))
		process_interrupted(&p);
	driver_used_event(&drv[q], drv[q].last_used);
	cr_assert_eq(used, HEADER + len);
	cr_assert(at[10] == 1 && at[HEADER] == byte && at[HEADER + len - 1] == byte);
}

Test(net_process, is_sealed_before_it_says_hello)
{
	begin(1);
	cr_assert_eq(process_status(&p, "Seccomp"), 2);
	cr_assert_eq(process_status(&p, "NoNewPrivs"), 1);
	cr_assert_eq(process_status(&p, "Threads"), 1);
	cr_assert(m.u.hello.device_id == 1 && m.u.hello.nqueues == 2);
	cr_assert_eq(memcmp(m.u.hello.config, (uint8_t[]){ 2, 0, 0, 0, 0, 9, 1, 0, 1, 0, 0xdc, 5 },
			    12), 0);
	quit();
}

Test(net_process, holds_the_descriptors_of_its_plan_and_no_other)
{
	char path[40], list[200] = "";
	struct dirent *e;
	DIR *d;

	plan(1);
	p.from[NET_NFDS] = p.from[NET_TAP0];
	p.from[1] = p.from[NET_TAP0];
	process_start(&p, "immure-net", "1");
	process_expect(&p, LINK_HELLO, &m);
	snprintf(path, sizeof(path), "/proc/%d/fd", p.pid);
	d = opendir(path);
	if (d == NULL)
		cr_skip_test("only root looks into a process that is not dumpable");
	while ((e = readdir(d)) != NULL)
		if (e->d_name[0] != '.')
			strncat(list, e->d_name, sizeof(list) - strlen(list) - 1);
	closedir(d);
	cr_assert_str_eq(list, "2567816");
	quit();
}

Test(net_process, frames_both_ways)
{
	up();
	send_frame(TX, 60, 0x11);
	host_got(0, 60, 0x11);
	give(RX, 4);
	host_sends(0, 1514, 0x22);
	guest_gets(RX, 1514, 0x22);
	for (uint8_t i = 0; i < 100; i++) {
		send_frame(TX, 100u + i, i);
		host_got(0, 100u + i, i);
		give(RX, 1);
		host_sends(0, 200u + i, i);
		guest_gets(RX, 200u + i, i);
	}
	quit();
}

Test(net_process, four_pairs)
{
	begin(4);
	cr_assert_eq(m.u.hello.nqueues, 9);
	activate(usual | 1 << 17 | 1 << 22, 9);
	for (int i = 0; i < 4; i++) {
		send_frame(2 * i + 1, 60, (uint8_t)i);
		host_got(i, 60, (uint8_t)i);
	}
	/* One pair is in use: every tap's frames come through it. */
	give(RX, 4);
	for (int i = 0; i < 4; i++) {
		host_sends(i, 60, (uint8_t)i);
		guest_gets(RX, 60, (uint8_t)i);
	}
	memcpy(ram_at(&ram, OUT), (uint8_t[]){ 4, 0, 4, 0, 0xee }, 5);
	driver_used_event(&drv[8], 0);
	driver_add(&drv[8], (struct buf[]){ { OUT, 4, false }, { OUT + 4, 1, true } }, 2);
	process_kick(&p, 8);
	while (*((uint8_t *)ram_at(&ram, OUT) + 4) == 0xee)
		process_interrupted(&p);
	cr_assert_eq(*((uint8_t *)ram_at(&ram, OUT) + 4), 0);
	for (int i = 0; i < 4; i++) {
		give(2 * i, 1);
		host_sends(i, 60, (uint8_t)(0x40 + i));
		guest_gets(2 * i, 60, (uint8_t)(0x40 + i));
	}
	quit();
}

/* A guest that takes nothing, a host that sends without end, then buffers: traffic resumes. */
Test(net_process, resumes_after_starvation)
{
	uint8_t bytes[HEADER + 60] = { 0 };
	int sent = 0;
	long ticks;

	up();
	cr_assert_eq(fcntl(tap[0], F_SETFL, O_NONBLOCK), 0);
	while (write(tap[0], bytes, sizeof(bytes)) > 0)
		sent++;
	cr_assert_gt(sent, 10);
	ticks = process_ticks(&p);
	usleep(300000);
	cr_assert_leq(process_ticks(&p) - ticks, 2, "it spins");
	send_frame(TX, 60, 1);	/* the other direction does not mind */
	for (int i = 0; i < sent; i++) {
		give(RX, 1);
		guest_gets(RX, 60, 0);
	}
	quit();
}

/* The same the other way: a host that takes nothing, and then does. */
Test(net_process, resumes_when_the_host_takes_frames_again)
{
	int size = 4096, got = 0;
	uint8_t bytes[2000];
	uint16_t head;
	uint32_t used;
	long ticks;

	plan(1);
	cr_assert_eq(setsockopt(p.from[NET_TAP0], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size)), 0);
	process_start(&p, "immure-net", "1");
	process_expect(&p, LINK_HELLO, &m);
	activate(usual, 2);
	memset(ram_at(&ram, OUT), 0, HEADER + 1514);
	for (int i = 0; i < 100; i++)
		driver_add(&drv[TX], &(struct buf){ OUT, HEADER + 1514, false }, 1);
	process_kick(&p, TX);
	cr_assert(readable_soon(tap[0]));
	ticks = process_ticks(&p);
	usleep(300000);
	cr_assert_leq(process_ticks(&p) - ticks, 2, "it spins");
	for (; got < 100 && readable_soon(tap[0]); got++)
		cr_assert_eq(read(tap[0], bytes, sizeof(bytes)), HEADER + 1514);
	cr_assert_eq(got, 100);
	for (int i = 0; i < 100; i++) {
		driver_used_event(&drv[TX], drv[TX].last_used);
		while (!driver_used(&drv[TX], &head, &used))
			process_interrupted(&p);
	}
	quit();
}

/* What a driver does after DEVICE_NEEDS_RESET. */
static void recover(void)
{
	process_tell(&p, &(struct link_msg){ .type = LINK_RESET });
	process_expect(&p, LINK_RESET_DONE, &m);
	activate(usual, 2);
	send_frame(TX, 60, 0x33);
	host_got(0, 60, 0x33);
	give(RX, 1);
	host_sends(0, 60, 0x44);
	guest_gets(RX, 60, 0x44);
}

Test(net_process, a_misbehaving_driver_must_reset_and_may_go_on)
{
	static const struct { int queue; struct buf b; uint32_t reason; } bad[] = {
		{ RX, { IN, 11, true }, 0x101 },
		{ RX, { IN, 100, false }, 0x102 },
		{ RX, { 1ull << 40, 100, true }, VQ_E_RANGE },
		{ TX, { 1ull << 40, 100, false }, VQ_E_RANGE },
		{ TX, { IN, 0, false }, VQ_E_ZERO },
	};

	up();
	for (size_t i = 0; i < array_len(bad); i++) {
		int q = bad[i].queue;

		driver_add(&drv[q], &bad[i].b, 1);
		if (q == RX)
			host_sends(0, 60, 1);
		process_kick(&p, q);
		process_expect(&p, LINK_NEEDS_RESET, &m);
		cr_assert_eq(m.u.needs_reset.reason, bad[i].reason, "%zu: %x", i,
			     m.u.needs_reset.reason);
		cr_assert_eq(m.u.needs_reset.queue, (uint32_t)q);
		/* A frame that came meanwhile is still there afterwards. */
		process_tell(&p, &(struct link_msg){ .type = LINK_RESET });
		process_expect(&p, LINK_RESET_DONE, &m);
		activate(usual, 2);
		if (q == RX) {
			give(RX, 1);
			guest_gets(RX, 60, 1);
		}
		recover();
	}
	cr_assert_not_null(strstr(process_log(&p), "receive buffer shorter than a header"));
	quit();
}

Test(net_process, a_reset_under_load_is_answered_and_ends_all_writing)
{
	up();
	cr_assert_eq(fcntl(tap[0], F_SETFL, O_NONBLOCK), 0);
	for (int turn = 0; turn < 50; turn++) {
		uint8_t bytes[HEADER + 60] = { 0 };

		give(RX, 100);
		for (int i = 0; i < 100; i++)
			(void)!write(tap[0], bytes, sizeof(bytes));
		process_tell(&p, &(struct link_msg){ .type = LINK_RESET });
		process_expect(&p, LINK_RESET_DONE, &m);
		memset(ram_at(&ram, IN), 0xab, 4096);
		(void)!write(tap[0], bytes, sizeof(bytes));
		usleep(1000);
		for (int i = 0; i < 4096; i++)
			cr_assert_eq(((uint8_t *)ram_at(&ram, IN))[i], 0xab);
		activate(usual, 2);
	}
	quit();
}

Test(net_process, a_host_that_is_gone_is_a_link_that_is_down)
{
	up();
	send_frame(TX, 60, 0x11);
	give(RX, 1);
	close(tap[0]);
	process_expect(&p, LINK_CONFIG, &m);
	cr_assert(m.u.config.len == 12 && m.u.config.config[6] == 0);
	send_frame(TX, 60, 0x11);
	cr_assert_not_null(strstr(process_log(&p), "interface is gone"));
	quit();
}

Test(net_process, complaints_in_the_log_are_limited)
{
	const char *text;
	int lines = 0;

	up();
	for (int i = 0; i < 100; i++)
		send_frame(TX, 5, 1);
	text = process_log(&p);
	for (const char *c = text; *c != 0; c++)
		lines += *c == '\n';
	cr_assert_eq(lines, 4 + 4, "%s", text);	/* 1..4, 8, 16, 32, 64 */
	quit();
}

Test(net_process, says_which_step_of_its_start_failed)
{
	plan(1);
	process_start(&p, "immure-net", "0");
	cr_assert(exited(process_end(&p), 1));
	cr_assert_str_eq(process_log(&p), "net: device 0 is no network interface\n");
	plan(1);
	p.from[NET_TAP0] = 0;
	process_start(&p, "immure-net", "1");
	cr_assert(exited(process_end(&p), 1));
	cr_assert_str_eq(process_log(&p), "net: descriptor 16: EBADF\n");
}

Test(net_process, ends_quietly_with_the_VMM)
{
	up();
	close(p.vmm.fd);
	cr_assert(exited(process_end(&p), 0));
	cr_assert_str_eq(process_log(&p), "");
}

/* ---- passt instead of a tap ---- */

/* Sends what lies at OUT behind a header of zeros, and returns when it was used. */
static void send_bytes(const uint8_t *frame, uint32_t len)
{
	uint16_t head;
	uint32_t used;

	memset(ram_at(&ram, OUT), 0, HEADER);
	memcpy((uint8_t *)ram_at(&ram, OUT) + HEADER, frame, len);
	driver_used_event(&drv[TX], drv[TX].last_used);
	driver_add(&drv[TX], &(struct buf){ OUT, HEADER + len, false }, 1);
	if (driver_must_kick(&drv[TX]))
		process_kick(&p, TX);
	while (!driver_used(&drv[TX], &head, &used))
		process_interrupted(&p);
}

static void user_up(uint32_t flags, uint32_t rate)
{
	struct vm_config c = {
		.magic = VMCONFIG_MAGIC, .ram = 32 << 20, .vcpus = 1, .ndevices = 1, .kernel_size = 1,
		.device = { { .kind = VM_DEVICE_NET, .nqueues = 2, .mtu = 1500, .flags = flags,
			      .mac = { 2, 0, 0, 0, 0, 9 } } },
		.user_wall = { .mac = { 2, 0, 0, 0, 0, 9 }, .rate = rate },
	};
	int pair[2];

	if ((flags & VM_NET_WALL) == 0)
		c.user_wall = (struct wall_config){ 0 };
	signal(SIGPIPE, SIG_IGN);
	ram_init(&ram, 32 << 20);
	process_plan(&p, &ram, &c, 2);
	cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	tap[0] = pair[0];
	p.from[NET_TAP0] = pair[1];
	process_start(&p, "immure-net", "0");
	process_expect(&p, LINK_HELLO, &m);
	close(p.from[NET_TAP0]);
	cr_assert_eq(m.u.hello.features & ((1 << 0) | (1 << 1) | (1 << 11)), 0, "offloads of passt?");
	activate(usual, 2);
}

static const uint8_t arp_request[42] = {
	[0] = 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 0, 0, 0, 0, 9, 8, 6,
	0, 1, 8, 0, 6, 4, 0, 1, 2, 0, 0, 0, 0, 9,
};

Test(net_process, frames_to_and_from_passt)
{
	uint8_t bytes[4 + 200] = { 0, 0, 0, 200 }, back[4 + 42 + 1];

	user_up(VM_NET_USER | VM_NET_WALL, 1000);
	send_bytes(arp_request, sizeof(arp_request));
	cr_assert(readable_soon(tap[0]));
	cr_assert_eq(read(tap[0], back, sizeof(back)), 4 + 42);
	cr_assert(memcmp(back, "\0\0\0\x2a", 4) == 0 && memcmp(back + 4, arp_request, 42) == 0);
	give(RX, 4);
	memset(bytes + 4, 0x77, 200);
	cr_assert_eq(write(tap[0], bytes, 100), 100);
	usleep(20000);
	cr_assert_eq(write(tap[0], bytes + 100, 104), 104);
	guest_gets(RX, 200, 0x77);
	quit();
}

Test(net_process, the_wall_stands_in_the_sealed_process)
{
	uint8_t forged[42], back[4 + 42 + 1];

	user_up(VM_NET_USER | VM_NET_WALL, 0);
	memcpy(forged, arp_request, sizeof(forged));
	forged[11] = 8;
	send_bytes(forged, sizeof(forged));
	send_bytes(arp_request, sizeof(arp_request));
	cr_assert(readable_soon(tap[0]));
	cr_assert_eq(read(tap[0], back, sizeof(back)), 4 + 42, "only the second");
	cr_assert_eq(back[4 + 11], 9);
	quit();
}

static void link_goes_down(const char *why)
{
	process_expect(&p, LINK_CONFIG, &m);
	cr_assert_eq(m.u.config.config[6], 0);
	cr_assert_str_eq(process_log(&p), why);
	send_bytes(arp_request, sizeof(arp_request));
	quit();
}

Test(net_process, passt_ends)
{
	user_up(VM_NET_USER, 0);
	give(RX, 4);
	close(tap[0]);
	link_goes_down("net: passt is gone; the guest's link is down\n");
}

Test(net_process, passt_talks_nonsense)
{
	user_up(VM_NET_USER, 0);
	give(RX, 4);
	cr_assert_eq(write(tap[0], "\xff\xff\xff\xff nonsense", 13), 13);
	link_goes_down("net: passt sent a frame of an impossible length; the guest's link is down\n");
}

/* ---- a tap of the kernel ---- */

static int tap_control;		/* a socket, for ioctls */
static struct ifreq tap_name;

/* A tap as the jailer makes it, up, in a network of this test's own; -1: not possible here. */
static int real_tap(void)
{
	int size = HEADER, fd;

	if (unshare(CLONE_NEWNET) < 0)
		return -1;
	fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK);
	tap_control = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	tap_name = (struct ifreq){ .ifr_name = "t0", .ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR };
	if (fd < 0 || ioctl(fd, TUNSETIFF, &tap_name) < 0)
		return -1;
	cr_assert_eq(ioctl(fd, TUNSETVNETHDRSZ, &size), 0);
	cr_assert_eq(ioctl(fd, TUNSETPERSIST, 1), 0);
	tap_name.ifr_flags = IFF_UP;
	cr_assert_eq(ioctl(tap_control, SIOCSIFFLAGS, &tap_name), 0);
	return fd;
}

Test(net_process, a_real_tap_sends_and_its_deletion_is_seen)
{
	int fd, status;
	pid_t other;

	plan(1);
	fd = real_tap();
	if (fd < 0)
		cr_skip_test("no tap can be made here");
	close(p.from[NET_TAP0]);
	p.from[NET_TAP0] = fd;
	process_start(&p, "immure-net", "1");
	process_expect(&p, LINK_HELLO, &m);
	activate(usual, 2);
	/* An interface that is up speaks without being asked: IPv6 looks for its neighbours. */
	for (int i = 0; i < 4; i++)
		give(RX, 16);
	for (int i = 0; i < 3; i++) {
		uint16_t head;
		uint32_t used;

		while (!driver_used(&drv[RX], &head, &used))
			process_interrupted(&p);
		driver_used_event(&drv[RX], drv[RX].last_used);
		cr_assert_geq(used, HEADER + 14u + 40u);
	}
	send_frame(TX, 60, 0x55);
	cr_assert_str_eq(process_log(&p), "");
	/* Deleted from under it, by name. */
	other = fork();
	if (other == 0)
		_exit(execlp("ip", "ip", "link", "delete", "t0", (char *)NULL));
	cr_assert_eq(waitpid(other, &status, 0), other);
	cr_assert(exited(status, 0));
	process_expect(&p, LINK_CONFIG, &m);
	cr_assert_eq(m.u.config.config[6], 0);
	quit();
}
