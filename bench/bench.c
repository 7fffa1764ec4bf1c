/* SPDX-License-Identifier: Apache-2.0 */
/* bench.c: immure and its peers, started in turn, many times.
 *
 *   bench BIN DIR RESULTS [ROUNDS [VMS]]
 *
 * A round starts every subject once, so that a slow moment of the machine hits all of them;
 * minimum and median are over the rounds.  "First" is the time from before the fork until we
 * know that the guest executed its first instruction, "whole" until the process is reaped.
 * System calls are counted by the kernel's tracepoint, inherited by every descendant, in runs
 * of their own: nothing is traced while time is taken.  See README.md. */
#include "bench/bench.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/perf_event.h>
#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { ROUNDS_MAX = 1000, COUNTED_RUNS = 3 };

struct series {
	const struct subject *subject;
	bool have;
	unsigned int failures;
	size_t n;
	double first[ROUNDS_MAX], whole[ROUNDS_MAX];	/* milliseconds */
	double rest[ROUNDS_MAX];	/* between the two: the end of a VM that has only begun */
	double faults, peak_kib, syscalls;		/* least of all runs; NaN: not known */
};

enum { BARE, JAILED, JAILED_TAP, QEMU, BWRAP, RUNC, SUBJECTS };

static struct series series[SUBJECTS] = {
	[BARE] = { .subject = &subject_bare },	[JAILED] = { .subject = &subject_jailed },
	[JAILED_TAP] = { .subject = &subject_jailed_tap },
	[QEMU] = { .subject = &subject_qemu },	[BWRAP] = { .subject = &subject_bwrap },
	[RUNC] = { .subject = &subject_runc },
};

const char *bench_bin, *bench_dir;
static FILE *json;
static bool all_ok = true;

const char *bench_path(const char *dir, const char *name)
{
	static char path[4][512];
	static unsigned int turn;
	char *p = path[turn++ % 4];

	snprintf(p, sizeof(path[0]), "%s/%s", dir, name);
	return p;
}

static double now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static int ascending(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

double bench_min(const double *v, size_t n)
{
	double least = NAN;

	for (size_t i = 0; i < n; i++)
		least = fmin(least, v[i]);
	return least;
}

double bench_median(const double *v, size_t n)
{
	double sorted[ROUNDS_MAX];

	if (n == 0 || n > ROUNDS_MAX)
		return NAN;
	memcpy(sorted, v, n * sizeof(v[0]));
	qsort(sorted, n, sizeof(sorted[0]), ascending);
	return n % 2 ? sorted[n / 2] : (sorted[n / 2 - 1] + sorted[n / 2]) / 2;
}

bool bench_have(const struct subject *s)
{
	static char path[4096];
	const char *env = getenv("PATH");

	if (s->ours)
		return access(bench_path(bench_bin, s->tool), X_OK) == 0;
	snprintf(path, sizeof(path), "%s", env ? env : "");
	for (char *save, *d = strtok_r(path, ":", &save); d; d = strtok_r(NULL, ":", &save)) {
		if (access(bench_path(d, s->tool), X_OK) == 0)
			return true;
	}
	return false;
}

/* ---- starting ---- */

static long tracepoint(void)
{
	static const char *const at[] = { "/sys/kernel/tracing", "/sys/kernel/debug/tracing" };
	long id = -1;

	for (size_t i = 0; i < 2 && id < 0; i++) {
		FILE *f = fopen(bench_path(at[i], "events/raw_syscalls/sys_enter/id"), "re");

		if (f && fscanf(f, "%ld", &id) != 1)
			id = -1;
		if (f)
			fclose(f);
	}
	return id;
}

/* Counts from the next exec of @pid on; -1 when this kernel or user may not. */
static int open_counter(pid_t pid)
{
	struct perf_event_attr attr = {
		.type = PERF_TYPE_TRACEPOINT, .size = sizeof(attr), .disabled = 1,
		.inherit = 1, .enable_on_exec = 1,
	};
	long id = tracepoint();

	if (id < 0)
		return -1;
	attr.config = (uint64_t)id;
	return (int)syscall(SYS_perf_event_open, &attr, pid, -1, -1, PERF_FLAG_FD_CLOEXEC);
}

static _Noreturn void child(const struct subject *s, const struct launch *l, int go)
{
	int null = open("/dev/null", O_RDWR);
	char byte;

	if (l->count && read(go, &byte, 1) != 1)
		_exit(126);
	dup2(null, 0);
	dup2(null, 1);
	if (!getenv("BENCH_STDERR"))
		dup2(null, 2);
	s->become(l);
	_exit(127);
}

static void close_if(int fd)
{
	if (fd >= 0)
		close(fd);
}

bool launch_start(const struct subject *s, struct launch *l)
{
	int go[2] = { -1, -1 };

	l->client = l->theirs = l->config = l->counter = l->console[0] = l->console[1] = -1;
	if ((s->prepare && !s->prepare(l)) || (l->count && pipe2(go, O_CLOEXEC) < 0)) {
		fprintf(stderr, "bench: prepare %s: %s\n", s->name, strerror(errno));
		return false;
	}
	l->pid = fork();
	if (l->pid == 0)
		child(s, l, go[0]);
	if (l->count) {
		l->counter = open_counter(l->pid);
		if (write(go[1], "", 1) != 1)
			perror("bench: pipe");
		close(go[0]);
		close(go[1]);
	}
	close_if(l->theirs);
	close_if(l->config);
	close_if(l->console[1]);
	if (l->pid < 0)
		perror("bench: fork");
	return l->pid > 0;
}

/* ---- one run, all runs ---- */

static void note(struct series *s, const struct launch *l, const struct rusage *use)
{
	uint64_t calls;

	s->faults = fmin(s->faults, (double)use->ru_minflt);
	s->peak_kib = fmin(s->peak_kib, (double)use->ru_maxrss);
	if (l->counter >= 0 && read(l->counter, &calls, sizeof(calls)) == sizeof(calls))
		s->syscalls = fmin(s->syscalls, (double)calls);
}

static void run_once(struct series *s, bool count, unsigned int number)
{
	struct launch l = { .count = count, .number = number % 1000 };
	double start = now_ms(), first = NAN;
	struct rusage use;
	bool ok = true;
	int status;

	if (!launch_start(s->subject, &l)) {
		s->failures++;
		return;
	}
	if (s->subject->wait_first) {
		ok = s->subject->wait_first(&l);
		first = now_ms();
	}
	if (s->subject->wait_end)
		ok = s->subject->wait_end(&l) && ok;
	if (!ok)
		close_if(l.client);	/* makes it stop */
	if (wait4(l.pid, &status, 0, &use) != l.pid)
		ok = false;
	else
		ok = ok && WIFEXITED(status) && WEXITSTATUS(status) == s->subject->status;
	if (ok && !count) {
		double end = now_ms();

		s->first[s->n] = (s->subject->wait_first ? first : end) - start;
		s->whole[s->n] = end - start;
		s->rest[s->n] = s->whole[s->n] - s->first[s->n];
		s->n++;
	}
	if (ok)
		note(s, &l, &use);
	s->failures += !ok;
	if (ok)
		close_if(l.client);
	close_if(l.console[0]);
	close_if(l.counter);
}

static void run_rounds(unsigned int rounds)
{
	for (int i = 0; i < SUBJECTS; i++) {
		series[i].have = bench_have(series[i].subject);
		series[i].faults = series[i].peak_kib = series[i].syscalls = NAN;
		if (!series[i].have) {
			all_ok = false;
			printf("MISSING: %s (%s) is not installed: nothing below compares "
			       "with it\n", series[i].subject->name, series[i].subject->tool);
		}
	}
	for (unsigned int r = 0; r < rounds + COUNTED_RUNS; r++) {
		for (int i = 0; i < SUBJECTS; i++) {
			if (series[i].have)
				run_once(&series[i], r < COUNTED_RUNS, r);
		}
	}
}

/* ---- results ---- */

/* A number that JSON has; else null. */
static void json_number(const char *name, double v)
{
	fprintf(json, isfinite(v) ? ",\"%s\":%.4f" : ",\"%s\":null", name, v);
}

void bench_json(const char *bench, const char *peer, const char *metric, double value,
		double peer_value)
{
	fprintf(json, "{\"bench\":\"%s\",\"peer\":\"%s\",\"metric\":\"%s\"", bench, peer,
		metric);
	json_number("value", value);
	json_number("peer_value", peer_value);
	json_number("ratio", value / peer_value);
	fprintf(json, "}\n");
}

static void print_number(double v, int width, int digits)
{
	if (isnan(v))
		printf(" %*s", width, "-");
	else
		printf(" %*.*f", width, digits, v);
}

static void print_table(unsigned int rounds)
{
	printf("\nStart-up, %u interleaved rounds, %d MiB guests, 1 vCPU (ms; first: to the "
	       "guest's first\ninstruction, whole: to the reaped process)\n\n", rounds,
	       BENCH_RAM_MIB);
	printf("%-26s %8s %8s %8s %8s %7s %7s %9s\n", "", "first", "first", "whole", "whole",
	       "system", "page", "peak RSS");
	printf("%-26s %8s %8s %8s %8s %7s %7s %9s\n", "", "min", "median", "min", "median",
	       "calls", "faults", "KiB");
	for (int i = 0; i < SUBJECTS; i++) {
		const struct series *s = &series[i];

		printf("%-26s", s->subject->title);
		print_number(bench_min(s->first, s->n), 8, 2);
		print_number(bench_median(s->first, s->n), 8, 2);
		print_number(bench_min(s->whole, s->n), 8, 2);
		print_number(bench_median(s->whole, s->n), 8, 2);
		print_number(s->syscalls, 7, 0);
		print_number(s->faults, 7, 0);
		print_number(s->peak_kib, 9, 0);
		printf("%s\n", s->have ? "" : "   MISSING");
		if (s->failures)
			printf("%-26s %u of its runs FAILED\n", "", s->failures);
		all_ok = all_ok && s->failures == 0 && s->n > 0;
	}
}

/* @behind: what tells this comparison from others with the same peer. */
static void write_json(const char *bench, const struct series *us, const struct series *peer,
		       const char *behind)
{
	char name[32];

	snprintf(name, sizeof(name), "%s%s", peer->subject->name, behind);
	bench_json(bench, name, "first_min_ms", bench_min(us->first, us->n),
		   bench_min(peer->first, peer->n));
	bench_json(bench, name, "first_median_ms", bench_median(us->first, us->n),
		   bench_median(peer->first, peer->n));
	bench_json(bench, name, "whole_min_ms", bench_min(us->whole, us->n),
		   bench_min(peer->whole, peer->n));
	bench_json(bench, name, "whole_median_ms", bench_median(us->whole, us->n),
		   bench_median(peer->whole, peer->n));
	bench_json(bench, name, "syscalls", us->syscalls, peer->syscalls);
	bench_json(bench, name, "page_faults", us->faults, peer->faults);
	bench_json(bench, name, "peak_rss_kib", us->peak_kib, peer->peak_kib);
}

static const char *verdict(double first, double whole, double goal)
{
	if (whole <= goal)
		return "met";
	return first <= goal ? "met to the first instruction, MISSED for the whole" : "MISSED";
}

static void print_goal(const char *bench, int us, int peer, double goal)
{
	const struct series *a = &series[us], *b = &series[peer];
	double first = bench_min(a->first, a->n) / bench_min(b->first, b->n);
	double first_median = bench_median(a->first, a->n) / bench_median(b->first, b->n);
	double whole = bench_min(a->whole, a->n) / bench_min(b->whole, b->n);
	double whole_median = bench_median(a->whole, a->n) / bench_median(b->whole, b->n);

	write_json(bench, a, b, us == JAILED_TAP ? "-tap" : "");
	if (isnan(whole)) {
		printf("%s %s / %s: NOT MEASURED\n", bench, a->subject->name,
		       b->subject->name);
		return;
	}
	printf("%s %-14s / %-13s first %.3f (median %.3f), whole %.3f (median %.3f); "
	       "goal %.2f: %s\n", bench, a->subject->name, b->subject->name, first,
	       first_median, whole, whole_median, goal, verdict(first, whole, goal));
}

static void print_end(int us, int peer)
{
	const struct series *a = &series[us], *b = &series[peer];
	double mine = bench_min(a->rest, a->n), theirs = bench_min(b->rest, b->n);

	bench_json("B3", b->subject->name, "end_min_ms", mine, theirs);
	bench_json("B3", b->subject->name, "end_median_ms", bench_median(a->rest, a->n),
		   bench_median(b->rest, b->n));
	printf("B3 %-14s / %-13s from the first instruction to the reaped process: %.2f / %.2f ms\n",
	       a->subject->name, b->subject->name, mine, theirs);
}

int main(int argc, char *argv[])
{
	unsigned int rounds = argc > 4 ? (unsigned int)strtoul(argv[4], NULL, 10) : 30;
	unsigned int vms = argc > 5 ? (unsigned int)strtoul(argv[5], NULL, 10) : 20;

	if (argc < 4 || rounds < 1 || rounds > ROUNDS_MAX || vms > 500) {
		fprintf(stderr, "usage: bench BIN DIR RESULTS [ROUNDS [VMS]]\n");
		return 2;
	}
	bench_bin = argv[1];
	bench_dir = argv[2];
	json = fopen(argv[3], "we");
	if (!json) {
		perror(argv[3]);
		return 1;
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
	signal(SIGPIPE, SIG_IGN);
	run_rounds(rounds);
	print_table(rounds);
	puts("");
	print_goal("B1", BARE, QEMU, 0.06);
	print_goal("B2", JAILED, BWRAP, 0.3);
	print_goal("B2", JAILED, RUNC, 0.06);
	print_goal("B2", JAILED_TAP, RUNC, 0.06);
	print_end(JAILED, QEMU);
	if (vms)
		all_ok = memory_bench(vms) && all_ok;
	if (fclose(json) != 0) {
		perror(argv[3]);
		return 1;
	}
	return !all_ok;
}
