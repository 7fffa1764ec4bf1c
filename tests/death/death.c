/* SPDX-License-Identifier: Apache-2.0 */
/* death.c: any process of a VM, killed at any moment, takes the whole VM with it.
 *
 *	death PROGRAMS ROUNDS [SEED]
 *
 * Each round starts a VM, waits a random while (from before the jailer has read its
 * configuration until the guest has slept for some time), kills one of its processes, and
 * looks: everything is reaped, the end message names the process that was killed, and
 * nothing is left on the host.  A killed jailer says nothing; what it could not remove is
 * removed as its client would.  Prints how long it took from the kill until all were reaped,
 * and now and then how far it is. */
#include "tests/death/vm.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
	PATIENCE_MS = 30000,	/* the machine may be an emulated one */
	WARM_UP = 9,
	SHOWN = 20,		/* failures that are printed */
	PROGRESS = 250,		/* rounds after which it says how far it is, and measures anew */
	ROUNDS_MAX = 1000000,
};

static const char *const names[VM_PROCESSES] = { "jailer", "vmm", "blk0", "net0", "vsock" };

struct result {
	unsigned killed[VM_PROCESSES];
	unsigned early;			/* before the guest ran */
	unsigned failed;
	size_t n;
	double *ms;			/* from the kill to the last reaped process */
};

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return 1e3 * (double)ts.tv_sec + 1e-6 * (double)ts.tv_nsec;
}

static void sleep_ms(double ms)
{
	struct timespec ts = {
		.tv_sec = (time_t)(ms / 1e3),
		.tv_nsec = (long)((ms - 1e3 * (double)(time_t)(ms / 1e3)) * 1e6),
	};

	nanosleep(&ts, NULL);
}

static int by_value(const void *a, const void *b)
{
	const double *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

static void interrupt(int sig)
{
	(void)sig;
}

/* Waits for all our descendants: we are their reaper when the jailer is gone. */
static bool reap_all(void)
{
	bool all;

	alarm(PATIENCE_MS / 1000);
	while (waitpid(-1, NULL, __WALL) > 0)
		;
	all = errno == ECHILD;
	alarm(0);
	return all;
}

/* Milliseconds from start to the sleeping guest, the median of a few: half of the kills are to
 * come before. */
static double time_to_run(const struct ground *g)
{
	double took[WARM_UP];
	struct vm vm;

	for (unsigned i = 0; i < WARM_UP; i++) {
		double from = now();

		vm_start(&vm, g, i);
		if (!vm_wait_running(&vm, PATIENCE_MS)) {
			fprintf(stderr, "a VM that nobody killed does not run: %s\n", vm.end);
			exit(2);
		}
		took[i] = now() - from;
		kill(vm.jailer, SIGTERM);
		vm_wait_end(&vm, PATIENCE_MS);
		close(vm.client);
		reap_all();
	}
	qsort(took, WARM_UP, sizeof(took[0]), by_value);
	return took[WARM_UP / 2];
}

static bool complain(const struct vm *vm, struct result *r, const char *victim, double delay,
		     const char *what)
{
	if (r->failed++ < SHOWN)
		printf("not ok - %s: %s killed after %.3f ms: %s\n", vm->name, victim, delay, what);
	return false;
}

/* The end message names process @name, as the one that died or that could not be started. */
static bool names_it(const struct vm *vm, const char *name)
{
	char field[48], start[48];

	snprintf(field, sizeof(field), "\"process\":\"%s\"", name);
	snprintf(start, sizeof(start), " %s", name);
	return vm->ended && (strstr(vm->end, field) != NULL || strstr(vm->end, start) != NULL);
}

static bool one_round(const struct ground *g, struct result *r, unsigned n, double delay)
{
	pid_t pids[VM_PROCESSES];
	char what[256];
	size_t count, victim;
	struct vm vm;
	double from;

	vm_start(&vm, g, n);
	sleep_ms(delay);
	vm_wait_running(&vm, 0);
	count = vm_processes(&vm, pids);
	victim = (size_t)random() % count;
	r->killed[victim]++;
	r->early += !vm.running;
	from = now();
	kill(pids[victim], SIGKILL);
	if (!vm_wait_end(&vm, PATIENCE_MS))
		return complain(&vm, r, names[victim], delay, "the VM did not end");
	close(vm.client);
	if (!reap_all())
		return complain(&vm, r, names[victim], delay, "not everything could be reaped");
	r->ms[r->n++] = now() - from;
	if (victim == 0)
		vm_sweep(&vm, g);
	if (vm_left(&vm, g, what, sizeof(what)))
		return complain(&vm, r, names[victim], delay, what);
	if (victim > 0 && !names_it(&vm, names[victim]))
		return complain(&vm, r, names[victim], delay,
				vm.ended ? vm.end : "no end message");
	return true;
}

static unsigned count_mounts(void)
{
	FILE *f = fopen("/proc/self/mountinfo", "re");
	unsigned n = 0;
	int c;

	while (f != NULL && (c = getc(f)) != EOF)
		n += c == '\n';
	if (f != NULL)
		fclose(f);
	return n;
}

/* Has the times sorted; their order is of no use. */
static void progress(const struct result *r, unsigned done, unsigned long rounds)
{
	qsort(r->ms, r->n, sizeof(r->ms[0]), by_value);
	printf("# %u of %lu rounds, %u failed, median %.2f ms\n", done, rounds, r->failed,
	       r->n > 0 ? r->ms[r->n / 2] : 0);
}

static void summary(const struct result *r, unsigned rounds)
{
	qsort(r->ms, r->n, sizeof(r->ms[0]), by_value);
	printf("%u kills at random moments, %u of them before the guest ran:", rounds, r->early);
	for (size_t i = 0; i < VM_PROCESSES; i++)
		printf(" %s %u", names[i], r->killed[i]);
	printf("\n");
	if (r->n > 0)
		printf("from death to everything reaped: median %.2f ms, 95 %% %.2f ms, "
		       "longest %.2f ms\n", r->ms[r->n / 2], r->ms[r->n * 95 / 100],
		       r->ms[r->n - 1]);
}

int main(int argc, char **argv)
{
	unsigned long rounds = argc > 2 ? strtoul(argv[2], NULL, 10) : 0;
	unsigned seed = argc > 3 ? (unsigned)strtoul(argv[3], NULL, 10) : (unsigned)time(NULL);
	struct result r = { 0 };
	struct ground g;
	unsigned mounts;
	double span;

	if (argc < 3 || rounds == 0 || rounds > ROUNDS_MAX) {
		fprintf(stderr, "usage: death PROGRAMS ROUNDS [SEED]\n");
		return 2;
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
	sigaction(SIGALRM, &(struct sigaction){ .sa_handler = interrupt }, NULL);
	r.ms = calloc(rounds, sizeof(r.ms[0]));
	if (r.ms == NULL || prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) < 0)
		return 2;
	ground_make(&g, argv[1]);
	srandom(seed);
	span = 2 * time_to_run(&g);
	mounts = count_mounts();
	printf("# seed %u, moments from 0 to %.1f ms after the start\n", seed, span);
	for (unsigned i = 0; i < rounds; i++) {
		if (i > 0 && i % PROGRESS == 0) {
			progress(&r, i, rounds);
			span = 2 * time_to_run(&g);
		}
		one_round(&g, &r, WARM_UP + i, span * (double)random() / (double)RAND_MAX);
	}
	if (count_mounts() != mounts && r.failed++ < SHOWN)
		printf("not ok - a mount was left\n");
	summary(&r, (unsigned)rounds);
	ground_remove(&g);
	printf("%lu passed, %u failed\n", rounds - min_u64(r.failed, rounds), r.failed);
	return r.failed != 0;
}
