/* SPDX-License-Identifier: Apache-2.0 */
/* vsock.c: what moving a stream through the sealed immure-vsock costs it, beside a process that
 * moves the same bytes through the same kind of socket and does nothing else.
 *
 * No guest runs: this program is the driver, in shared memory, and the program on the host.
 * Compared is processor time of the one process (or thread) that is measured, not of those at
 * its ends, in rounds that take turns; the least of all rounds counts.  System calls are
 * counted in a round of their own.
 *
 * Who is measured has the first processor, whoever is at its ends the second: where both ends of a
 * socket happen to run halves or doubles what a copy takes.
 *
 *	build/bench/ring-vsock [ROUNDS [WAY]]	one line of JSON for each measure */
#include "tests/unit/vsock_rig.h"

#include "bench/rings/measure.h"

#include <pthread.h>
#include <sched.h>

enum {
	TOTAL = 32 << 20,		/* bytes a round */
	GUEST_BUFFER = 256 << 10,	/* what Linux gives a socket */
	GPORT = 52,
	LINUX_RXLEN = 3776,		/* SKB_WITH_OVERHEAD(4096): header and payload */
	RX_MEMORY = 256 * 4096,		/* what the guest's buffers of one queue take */
};

struct way {
	const char *name;
	bool to_host;
	uint32_t size;			/* of each write, and of each read */
};

static const struct way ways[] = {
	{ "guest to host, 4 KiB", true, 4 << 10 },
	{ "guest to host, 64 KiB", true, 64 << 10 },
	{ "host to guest, 4 KiB", false, 4 << 10 },
	{ "host to guest, 64 KiB", false, 64 << 10 },
};

/* The far end: reads or writes TOTAL bytes, blocking. */
struct end {
	int fd;
	bool reads;
	uint32_t size;
	uint32_t memory;		/* bytes it goes round in, a multiple of @size */
	bool measured;
	uint64_t ns;			/* processor time it took */
	pthread_t thread;
};

static struct {
	uint32_t hport;
	uint32_t sent, peer_fwd, peer_buf;	/* guest → device */
	uint32_t got, told;			/* device → guest */
	uint64_t interrupts, kicks;
} guest;

enum { MEASURED = 0, OTHERS = 1 };

/* With one processor all share it. */
static void pin(pid_t who, size_t cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	if (sysconf(_SC_NPROCESSORS_ONLN) > 1 && sched_setaffinity(who, sizeof(set), &set) != 0)
		perror("ring-vsock: pin");
}

static void *run_end(void *arg)
{
	static __thread char buf[RX_MEMORY];
	struct end *e = arg;
	uint64_t start;

	pin(0, e->measured ? MEASURED : OTHERS);
	memset(buf, 1, e->memory);
	start = clock_ns(CLOCK_THREAD_CPUTIME_ID);
	for (uint64_t done = 0; done < TOTAL;) {
		char *at = buf + done % e->memory / e->size * e->size;
		ssize_t n = e->reads ? recv(e->fd, at, e->size, 0)
				     : send(e->fd, at, e->size, MSG_NOSIGNAL);

		if (n <= 0)
			break;
		done += (uint64_t)n;
	}
	e->ns = clock_ns(CLOCK_THREAD_CPUTIME_ID) - start;
	return NULL;
}

static void start_end(struct end *e)
{
	cr_assert_eq(pthread_create(&e->thread, NULL, run_end, e), 0);
}

/* ---- the guest ---- */

static void guest_kick(void)
{
	for (int q = 0; q < 2; q++)
		if (driver_must_kick(q == 0 ? &rx : &tx)) {
			process_kick(&p, q);
			guest.kicks++;
		}
}

static void guest_hears_all(void)
{
	struct say s;

	while (next_packet(&s, false)) {
		guest.peer_fwd = le32(s.h.fwd_cnt);
		guest.peer_buf = le32(s.h.buf_alloc);
		guest.got += s.size;
	}
}

static void guest_says(uint16_t what, uint32_t size)
{
	struct say s = said_by(what, GPORT, guest.hport);

	s.h.buf_alloc = to_le32(GUEST_BUFFER);
	s.h.fwd_cnt = to_le32(guest.got);
	s.h.len = to_le32(size);
	s.size = size;
	s.data = ram_at(&ram, TX_AT);	/* whatever lies there */
	guest.told = guest.got;
	guest.sent += size;
	queue_packet(&s);
}

/* As much as credit and ring allow.  False: nothing. */
static bool guest_sends(uint32_t size)
{
	uint32_t credit = guest.peer_buf - (guest.sent - guest.peer_fwd), n;
	bool some = false;

	for (; credit > 0 && tx.nfree >= 2 && guest.sent < TOTAL; credit -= n, some = true) {
		n = credit < size ? credit : size;
		n = n < TOTAL - guest.sent ? n : TOTAL - guest.sent;
		guest_says(VSOCK_OP_RW, n);
	}
	return some;
}

/* Asks for an interrupt and sleeps, unless something came in between. */
static void guest_sleeps(void)
{
	driver_used_event(&rx, rx.last_used);
	driver_used_event(&tx, tx.last_used);
	if (__atomic_load_n(driver_word(&rx, rx.used + 2), __ATOMIC_ACQUIRE) != rx.last_used ||
	    __atomic_load_n(driver_word(&tx, tx.used + 2), __ATOMIC_ACQUIRE) != tx.last_used)
		return;
	process_interrupted(&p);
	guest.interrupts++;
}

static void guest_round(const struct way *w)
{
	guest.sent = guest.got = guest.told = guest.peer_fwd = 0;
	guest.interrupts = guest.kicks = 0;
	for (;;) {
		bool some;

		reap();
		guest_hears_all();
		if (w->to_host ? guest.peer_fwd == TOTAL : guest.got == TOTAL)
			return;
		if (w->to_host) {
			some = guest_sends(w->size);
			if (!some && guest.sent == TOTAL && tx.nfree >= 2) {
				guest_says(VSOCK_OP_CREDIT_REQUEST, 0);
				usleep(100);
			}
		} else {
			/* virtio_transport_stream_do_dequeue(): when 64 KiB are missing. */
			some = GUEST_BUFFER - (guest.got - guest.told) < GUEST_BUFFER - (64 << 10);
			if (some)
				guest_says(VSOCK_OP_CREDIT_UPDATE, 0);
		}
		guest_kick();
		if (!some)
			guest_sleeps();
	}
}

/* ---- the rounds ---- */

static uint64_t device_round(const void *way, struct measured *r, bool count)
{
	const struct way *w = way;
	struct end e = { .reads = w->to_host, .size = w->size, .memory = w->size };
	int fd = count ? counter(p.pid) : -1;
	uint64_t before, calls, ns;

	e.fd = host_opens(GPORT, &guest.hport);
	cr_assert_eq(fcntl(e.fd, F_SETFL, 0), 0);
	guest.peer_buf = window;
	before = device_ns(p.pid);
	start_end(&e);
	guest_round(w);
	pthread_join(e.thread, NULL);
	ns = device_ns(p.pid) - before;
	r->calls = fd >= 0 && read(fd, &calls, 8) == 8 ? (double)calls : r->calls;
	r->interrupts = (double)guest.interrupts;
	r->kicks = (double)guest.kicks;
	close(fd);
	op(VSOCK_OP_RST, GPORT, guest.hport);
	cr_assert(ends(e.fd));
	close(e.fd);
	return ns;
}

/* What is read goes where the guest has as many buffers; what is written lies in one place, as there. */
static uint64_t floor_round(const void *way)
{
	const struct way *w = way;
	struct end a = { .reads = !w->to_host, .size = w->size, .memory = w->to_host ? w->size : RX_MEMORY,
			 .measured = true };
	struct end b = { .reads = w->to_host, .size = w->size, .memory = w->size };
	int pair[2];

	cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	a.fd = pair[0];
	b.fd = pair[1];
	start_end(&a);
	start_end(&b);
	pthread_join(a.thread, NULL);
	pthread_join(b.thread, NULL);
	close(pair[0]);
	close(pair[1]);
	return a.ns;
}

static void measure(const struct way *w, int rounds)
{
	const struct measured r = measure_rounds(w, rounds, device_round, floor_round);

	measured_print(&r, "vsock", w->name, "mib", TOTAL >> 20);
}

int main(int argc, char **argv)
{
	int rounds = argc > 1 ? (int)strtol(argv[1], NULL, 10) : 10;

	rx_len = LINUX_RXLEN;
	up();
	pin(p.pid, MEASURED);
	pin(0, OTHERS);
	for (size_t i = 0; i < array_len(ways); i++)
		if (argc < 3 || strstr(ways[i].name, argv[2]) != NULL)
			measure(&ways[i], rounds);
	quit();
	return 0;
}
