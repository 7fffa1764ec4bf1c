/* SPDX-License-Identifier: Apache-2.0 */
/* memory.c: what an idle VM costs beside its guest's memory (B7).
 *
 * Two views of the same VMs: how much free memory the whole machine lost, divided by their
 * number, which contains what the kernel keeps for them (tasks, page tables, KVM); and Pss,
 * what the processes themselves hold.  From both goes what the guest touched: the mappings of
 * its RAM, a memfd called "immure-ram" or, in QEMU, the one mapping of exactly its size. */
#include "bench/bench.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { REPEATS = 5, PIDS_MAX = 65536, VMS_MAX = 500, SETTLE_MS = 700 };

struct cost {
	double machine;		/* KiB a VM, without the guest's */
	double pss;		/* likewise */
	double guest;		/* KiB of guest memory touched */
	unsigned int processes;	/* of one VM */
};

static void sleep_ms(long ms)
{
	struct timespec t = { ms / 1000, ms % 1000 * 1000000 };

	nanosleep(&t, NULL);
}

static double free_kib(void)
{
	FILE *f = fopen("/proc/meminfo", "re");
	double kib = NAN;
	char line[128];

	while (f && fgets(line, sizeof(line), f)) {
		if (sscanf(line, "MemFree: %lf", &kib) == 1)
			break;
	}
	if (f)
		fclose(f);
	return kib;
}

/* A header line of smaps: does the mapping hold guest RAM? */
static bool is_guest(const char *line, unsigned long from, unsigned long to)
{
	return strstr(line, "/memfd:immure-ram") ||
	       to - from == (unsigned long)BENCH_RAM_MIB << 20;
}

/* Adds the Pss of @pid, guest RAM apart. */
static void add_pss(pid_t pid, double *own, double *guest)
{
	unsigned long from, to, kib;
	char path[64], line[512];
	bool in_guest = false;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/smaps", (int)pid);
	f = fopen(path, "re");
	while (f && fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%lx-%lx ", &from, &to) == 2)
			in_guest = is_guest(line, from, to);
		else if (sscanf(line, "Pss: %lu", &kib) == 1)
			*(in_guest ? guest : own) += (double)kib;
	}
	if (f)
		fclose(f);
}

static pid_t parent_of(pid_t pid)
{
	char path[64], line[512];
	int parent = 0;
	const char *p;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	f = fopen(path, "re");
	if (f && fgets(line, sizeof(line), f) && (p = strrchr(line, ')')))
		sscanf(p, ") %*c %d", &parent);
	if (f)
		fclose(f);
	return parent;
}

/* @root and all that descend from it, into @pids. */
static size_t family(pid_t root, pid_t pids[], size_t max)
{
	DIR *d = opendir("/proc");
	struct dirent *e;
	size_t n = 1;

	pids[0] = root;
	while (d && n < max && (e = readdir(d))) {
		pid_t pid = (pid_t)strtol(e->d_name, NULL, 10), p;

		for (p = pid; p > 1 && p != root; p = parent_of(p))
			;
		if (p == root && pid != root)
			pids[n++] = pid;
	}
	if (d)
		closedir(d);
	return n;
}

static void sum_vms(const struct launch vm[], unsigned int n, struct cost *c)
{
	static pid_t pids[256];

	c->pss = c->guest = 0;
	c->processes = 0;
	for (unsigned int i = 0; i < n; i++) {
		size_t count = family(vm[i].pid, pids, sizeof(pids) / sizeof(pids[0]));

		c->processes = (unsigned int)count;
		for (size_t p = 0; p < count; p++)
			add_pss(pids[p], &c->pss, &c->guest);
	}
	c->pss /= n;
	c->guest /= n;
}

/* Immure stops when its client goes; a peer has to be told. */
static void stop(const struct subject *s, const struct launch *l)
{
	int status;

	if (l->client >= 0)
		close(l->client);
	if (!s->wait_first)
		kill(l->pid, SIGTERM);
	waitpid(l->pid, &status, 0);
}

static bool measure(const struct subject *s, unsigned int n, struct cost *c)
{
	static struct launch vm[VMS_MAX];
	unsigned int started = 0;
	double before;
	bool ok = true;

	sleep_ms(SETTLE_MS);
	before = free_kib();
	for (unsigned int i = 0; i < n && ok; i++) {
		vm[i] = (struct launch){ .idle = true, .number = i };
		ok = launch_start(s, &vm[i]);
		started += ok;
		ok = ok && (!s->wait_first || s->wait_first(&vm[i]));
	}
	sleep_ms(SETTLE_MS);
	c->machine = (before - free_kib()) / n;
	if (ok)
		sum_vms(vm, n, c);
	c->machine -= c->guest;
	for (unsigned int i = 0; i < started; i++)
		stop(s, &vm[i]);
	return ok;
}

static bool repeat(const struct subject *s, unsigned int n, struct cost *out)
{
	double machine[REPEATS], pss[REPEATS];

	for (int i = 0; i < REPEATS; i++) {
		if (!measure(s, n, out)) {
			printf("%-26s could not be started %u times\n", s->title, n);
			return false;
		}
		machine[i] = out->machine;
		pss[i] = out->pss;
	}
	out->machine = bench_median(machine, REPEATS);
	out->pss = bench_median(pss, REPEATS);
	printf("%-26s %12.0f %12.0f %12.0f %10u\n", s->title, out->machine, out->pss,
	       out->guest, out->processes);
	return true;
}

bool memory_bench(unsigned int n)
{
	const double goal_kib = 1e6 / 1024;
	struct cost us = { NAN, NAN, NAN, 0 }, peer = us;
	bool ok = bench_have(&subject_jailed), have_peer = bench_have(&subject_qemu);

	printf("\nMemory of an idle VM, %u at once, median of %d repeats (KiB a VM, the "
	       "guest's not counted)\n\n"
	       "%-26s %12s %12s %12s %10s\n", n, REPEATS, "", "machine",
	       "Pss", "(guest's)", "processes");
	ok = ok && repeat(&subject_jailed, n, &us);
	have_peer = have_peer && repeat(&subject_qemu, n, &peer);
	if (!have_peer)
		printf("MISSING: %s\n", subject_qemu.name);
	bench_json("B7", subject_qemu.name, "machine_kib", us.machine, peer.machine);
	bench_json("B7", subject_qemu.name, "pss_kib", us.pss, peer.pss);
	if (ok)
		printf("\nB7 %s: %.0f KiB of the machine a VM; goal %.0f (1.0 MB): %s\n",
		       subject_jailed.name, us.machine, goal_kib,
		       us.machine <= goal_kib ? "met" : "MISSED");
	else
		printf("\nB7 %s: NOT MEASURED\n", subject_jailed.name);
	return ok && have_peer;
}
