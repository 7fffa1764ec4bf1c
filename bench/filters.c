/* SPDX-License-Identifier: Apache-2.0 */
/* filters.c: what the system call filters cost on the way of the data: the call that each process makes most,
 * without a filter, behind its own, and behind the jailer's coarse one as well.
 *
 * The call asks for nothing (no bytes, or of something that is not a device), so that there is little
 * but the entry into the kernel in it. Each process kind is a child that puts the released filters on.
 *
 *	build/bench/filters [ROUNDS]	one line of JSON for each kind */
#include "core/fdplan.h"
#include "core/seal.h"

#include <fcntl.h>
#include <linux/kvm.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { CALLS = 20000, ALL_WHENS = 0xff };

struct kind {
	const char *name, *call;
	int fd;
	long (*make)(int fd);
};

struct result {
	double bare_ns, coarse_ns, both_ns;	/* a call, least of all rounds */
	double load_us;				/* both filters */
	bool done;
};

static char byte;
static const struct { void *base; size_t len; } none = { &byte, 0 };

static long read_nothing(int fd)
{
	return syscall(SYS_preadv2, fd, &none, 1, 0L, 0L, 0);
}

static long take_nothing(int fd)
{
	return syscall(SYS_readv, fd, &none, 1);
}

static long receive_nothing(int fd)
{
	return syscall(SYS_recvfrom, fd, &byte, 1, 0x40L, NULL, NULL);	/* MSG_DONTWAIT; not a socket */
}

static long run_nothing(int fd)
{
	return syscall(SYS_ioctl, fd, KVM_RUN, 0L);			/* not a processor */
}

static const struct kind kinds[] = {
	{ "blk", "preadv2", BLK_DISK, read_nothing },
	{ "net", "readv", NET_TAP0, take_nothing },
	{ "vsock", "recvfrom", VSOCK_CONN0, receive_nothing },
	{ "vmm-vcpu", "ioctl KVM_RUN", VMM_VCPU0, run_nothing },
};

static const struct seal_filter *filter_of(const char *name)
{
	switch (name[0] == 'v' ? name[1] : name[0]) {
	case 'b': return policy_pick(&policy_blk, ALL_WHENS);
	case 'n': return &policy_net;
	case 's': return &policy_vsock;
	}
	return policy_pick(&policy_vmm_vcpu, ALL_WHENS);
}

static double now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return 1e9 * (double)t.tv_sec + (double)t.tv_nsec;
}

static double measure(const struct kind *k, int rounds)
{
	double least = 1e18;

	for (int r = 0; r < rounds; r++) {
		double from = now_ns(), ns;

		for (int i = 0; i < CALLS; i++)
			k->make(k->fd);
		ns = (now_ns() - from) / CALLS;
		least = ns < least ? ns : least;
	}
	return least;
}

/* In a child, which its parent ends: not every kind may. The coarse filter is the jailer's, and comes
 * first. */
static _Noreturn void be(const struct kind *k, int rounds, struct result *r)
{
	int zero = open("/dev/zero", O_RDWR | O_CLOEXEC);
	double from;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (zero < 0 || dup2(zero, k->fd) < 0)
		_exit(1);
	r->bare_ns = measure(k, rounds);
	from = now_ns();
	if (seal(&policy_jail) != 0)
		_exit(1);
	r->load_us = (now_ns() - from) / 1000;
	r->coarse_ns = measure(k, rounds);
	from = now_ns();
	if (seal(filter_of(k->name)) != 0)
		_exit(1);
	r->load_us += (now_ns() - from) / 1000;
	r->both_ns = measure(k, rounds);
	__atomic_store_n(&r->done, true, __ATOMIC_RELEASE);
	for (;;)
		;
}

static int report(const struct kind *k, int rounds)
{
	struct result *r = mmap(NULL, sizeof(*r), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pid_t pid = fork();
	int status;

	if (pid == 0)
		be(k, rounds, r);
	while (!__atomic_load_n(&r->done, __ATOMIC_ACQUIRE) && waitpid(pid, &status, WNOHANG) == 0)
		usleep(1000);
	if (!r->done) {
		fprintf(stderr, "filters: %s ended with %x\n", k->name, (unsigned)status);
		return 1;
	}
	kill(pid, SIGKILL);
	waitpid(pid, &status, 0);
	printf("{\"bench\":\"B12\",\"process\":\"%s\",\"call\":\"%s\",\"bare_ns\":%.1f,"
	       "\"coarse_adds_ns\":%.1f,\"own_adds_ns\":%.1f,\"coarse_instructions\":%u,"
	       "\"own_instructions\":%u,\"load_us\":%.0f}\n",
	       k->name, k->call, r->bare_ns, r->coarse_ns - r->bare_ns, r->both_ns - r->coarse_ns,
	       policy_jail.len, filter_of(k->name)->len, r->load_us);
	fflush(stdout);
	munmap(r, sizeof(*r));
	return 0;
}

int main(int argc, char **argv)
{
	int rounds = argc > 1 ? (int)strtol(argv[1], NULL, 10) : 50, status = 0;

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		status |= report(&kinds[i], rounds);
	return status;
}
