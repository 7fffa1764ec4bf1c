/* SPDX-License-Identifier: Apache-2.0 */
/* run_main.c: makes every attempt from every kind of process, with all layers and with one left out, and
 * prints what stopped each.
 *
 *   escape BIN OPEN-ROWS [--short|--sample] [--rootless UID] [--layer NAME] [--kind NAME] [--attempt N]
 *	[--all]
 *
 * Two workers share the list of jobs, one job being a kind and what it goes without; each has its own
 * canaries.  See README.md. */
#include "tests/escape/run.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

enum { WORKERS = 2, BATCH = 48, COMPLAINTS = 60, JOBS_MAX = 256 };

const struct row rows[] = {
#define ROW(number, sub, kinds, way, call, others, what) { number, sub, kinds, way, call, others, what },
	ESCAPE_TABLE(ROW)
#undef ROW
};
const size_t nrows = sizeof(rows) / sizeof(rows[0]);

const struct kind kinds[] = {
#define KIND(letter, name, process) { letter, name, process },
	ESCAPE_KINDS(KIND)
#undef KIND
};
const size_t nkinds = sizeof(kinds) / sizeof(kinds[0]);

const struct layer layers[] = {
#define LAYER(id, name, absent) { name, absent },
	ESCAPE_LAYERS(LAYER)
#undef LAYER
};
const size_t nlayers = sizeof(layers) / sizeof(layers[0]);

static const struct { unsigned number; const char *what, *why; } notes[] = {
#define NOTE(number, what, why) { number, what, why },
	ESCAPE_NOTES(NOTE)
#undef NOTE
};

/* What the short form leaves out a layer for, and what a sample makes with all layers; ending in 0. */
static const unsigned chosen[] = { 1, 3, 6, 13, 15, 16, 17, 18, 19, 23, 25, 30, 38, 39, 53, 61, 62, 0 };
static const unsigned sampled[] = { 1, 19, 30, 43, 61, 0 };

struct job {
	const struct kind *kind;
	const char *without;		/* "": nothing */
	bool tried[sizeof(rows) / sizeof(rows[0])];
	struct cell cell[sizeof(rows) / sizeof(rows[0])];
};

/* Shows that a layer was really left out: without the layers of @base, and then without it as well, this
 * attempt of the writable disk's process must end differently.  @root: only VMs of root have the layer;
 * @minor: of Linux 6, which brought it. */
static const struct { const char *layer, *base; unsigned number, sub; bool root; unsigned minor; }
witnesses[] = {
	{ "no_new_privs", "seccomp", 34, 3, false, 0 },	/* by the capability that comes with it */
	{ "capabilities", "seccomp", 34, 3, false, 0 },
	{ "uid", "seccomp", 25, 1, true, 0 },		/* rootless all have one */
	{ "root-directory", "seccomp", 1, 1, false, 0 },
	{ "descriptor-plan", "seccomp", 13, 1, false, 0 },
	{ "network-namespace", "seccomp", 39, 2, false, 0 },
	{ "pid-namespace", "seccomp", 23, 3, false, 0 },
	{ "landlock", "seccomp", 1, 2, false, 0 },
	{ "cgroup-devices", "seccomp,root-directory,landlock,uid", 48, 1, true, 0 },
	{ "rlimits", "seccomp", 18, 1, false, 0 },
	{ "mdwe", "seccomp", 30, 1, false, 3 },
	{ "mseal", "seccomp", 31, 1, false, 10 },
};

static struct {
	const char *bin, *layer, *kind;
	unsigned attempt;
	bool quick, sample, all;
	uid_t uid;
} option;

static struct shared {
	unsigned next, njobs;
	unsigned seen, unseen, absent;	/* layers to be left out, by their witnesses */
	struct job job[JOBS_MAX];
} *shared;

static unsigned passed, failed, skipped;

static bool is_among(const unsigned *list, unsigned number)
{
	while (*list != 0 && *list != number)
		list++;
	return *list != 0;
}

/* One way of each attempt stands for it. */
static bool is_first(const struct job *j, size_t i)
{
	return i == 0 || rows[i].number != rows[i - 1].number || !row_is_of(&rows[i - 1], j->kind);
}

static bool short_has(const struct job *j, size_t i)
{
	if (strcmp(j->without, "seccomp") == 0)		/* one VM makes many attempts */
		return true;
	if (row_is_walled(&rows[i]))
		return j->without[0] == 0 || strcmp(j->without, "packet-wall") == 0;
	return is_first(j, i) && (j->without[0] == 0 || is_among(chosen, rows[i].number));
}

/* As few VMs as there can be: without filters nothing that ends one. */
static bool sample_has(const struct job *j, size_t i)
{
	if (strcmp(j->without, "seccomp") == 0)
		return rows[i].way == REFUSED && open_rows_find(j->without, j->kind, &rows[i]) == NOT_OPEN;
	return j->without[0] == 0 &&
	       (row_is_walled(&rows[i]) || (is_first(j, i) && is_among(sampled, rows[i].number)));
}

static bool is_tried(const struct job *j, size_t i)
{
	if (!row_is_of(&rows[i], j->kind) || (row_is_walled(&rows[i]) && option.uid != 0) ||
	    (option.attempt != 0 && option.attempt != rows[i].number))
		return false;
	return option.sample ? sample_has(j, i) : !option.quick || short_has(j, i);
}

static void add_jobs(const char *without)
{
	for (size_t k = 0; k < nkinds; k++) {
		struct job *j = &shared->job[shared->njobs];
		bool any = false;

		if ((option.kind != NULL && strcmp(option.kind, kinds[k].name) != 0) ||
		    (kinds[k].letter == 't' && !tap_possible()))
			continue;
		j->kind = &kinds[k];
		j->without = without;
		for (size_t i = 0; i < nrows; i++)
			any |= j->tried[i] = is_tried(j, i);
		shared->njobs += any;
	}
}

/* How many rows from @i on one VM is to try. */
static size_t batch(const struct job *j, size_t i)
{
	/* A filter kills: the rest of a batch would be for nothing. */
	bool one = strcmp(j->without, "seccomp") != 0 || rows[i].way != REFUSED;
	size_t end = i + 1, n = 1;

	while (!one && n < BATCH && end < nrows && (!j->tried[end] || rows[end].way == REFUSED))
		n += j->tried[end++];
	return end - i;
}

/* What an attempt that succeeded did to the host hides what those before it in the same VM, from @first on,
 * did: those once more. */
static void repeat_before(struct world *w, struct job *j, size_t first, size_t end)
{
	size_t out = first, n = 0;

	for (; out < end && j->cell[out].verdict != ESCAPED; out++)
		n += j->tried[out];
	if (out < end && n > 0)
		vm_run(w, j->kind, j->without, j->tried, first, out - first, j->cell);
}

static void do_job(struct world *w, struct job *j)
{
	size_t i = 0, end;

	while (i < nrows) {
		if (!j->tried[i]) {
			i++;
			continue;
		}
		end = vm_run(w, j->kind, j->without, j->tried, i, batch(j, i), j->cell);
		repeat_before(w, j, i, end);
		i = end;
	}
}

static void work(unsigned id)
{
	struct world w;
	unsigned n;

	if (!world_make(&w, id, option.uid, option.bin)) {
		printf("cannot make the host's objects: %s\n", strerror(errno));
		exit(1);
	}
	while ((n = __atomic_fetch_add(&shared->next, 1, __ATOMIC_RELAXED)) < shared->njobs)
		do_job(&w, &shared->job[n]);
	world_remove(&w);
	exit(0);
}

static void print_cell(const struct job *j, size_t i)
{
	const struct cell *c = &j->cell[i];

	if (!j->tried[i])
		printf(" %-15s", row_is_of(&rows[i], j->kind) ? "." : "-");
	else
		printf(" %-15s", c->verdict == PASSED ? c->by : c->verdict == ESCAPED ? "OPEN" : "FAILED");
}

/* The matrix of the jobs from @first on, one for each kind asked for. */
static void print_matrix(unsigned first, unsigned n)
{
	printf("\n%-60s", "attempt");
	for (unsigned k = 0; k < n; k++)
		printf(" %-15s", shared->job[first + k].kind->name);
	printf("\n");
	for (size_t i = 0; i < nrows; i++) {
		bool any = false;

		for (unsigned k = 0; k < n; k++)
			any = any || shared->job[first + k].tried[i];
		if (!any)
			continue;
		printf("%2u.%-2u %-54.54s", rows[i].number, rows[i].sub, rows[i].what);
		for (unsigned k = 0; k < n; k++)
			print_cell(&shared->job[first + k], i);
		printf("\n");
	}
}

struct sum {
	unsigned tried, killed, refused, escaped, listed, failed;
};

static void complain(const struct job *j, size_t i, const char *what)
{
	failed++;
	if (failed > COMPLAINTS)	/* as a rule they are of one kind then */
		return;
	printf("not ok - %s%s%s %s %u.%u %s: %s: %s\n", j->without[0] ? "without " : "", j->without,
	       j->without[0] ? "," : "", j->kind->name, rows[i].number, rows[i].sub, rows[i].what, what,
	       j->cell[i].why);
}

static void count_cell(const struct job *j, size_t i, struct sum *s)
{
	const struct cell *c = &j->cell[i];
	enum open_row open = open_rows_find(j->without, j->kind, &rows[i]);

	s->tried++;
	s->killed += c->verdict == PASSED && strcmp(c->by, "S") == 0;
	s->refused += c->verdict == PASSED && strcmp(c->by, "S") != 0;
	if (c->verdict == ESCAPED) {
		s->escaped++;
		s->listed += open != NOT_OPEN;
		skipped += open != NOT_OPEN;
		if (open == NOT_OPEN)
			complain(j, i, "SUCCESS, and not in the open list");
	} else if (c->verdict != PASSED) {
		s->failed++;
		complain(j, i, "failed");
	} else if (open == OPEN) {
		s->failed++;
		complain(j, i, "is in the open list, but was stopped");
	} else {
		passed++;
	}
}

static struct sum count_jobs(unsigned first, unsigned n)
{
	struct sum s = { 0 };

	for (unsigned k = first; k < first + n; k++)
		for (size_t i = 0; i < nrows; i++)
			if (shared->job[k].tried[i])
				count_cell(&shared->job[k], i, &s);
	return s;
}

static int by_number(const void *a, const void *b)
{
	return *(const int *)a - *(const int *)b;
}

static void print_ends(void)
{
	static int ms[JOBS_MAX * 16];
	size_t n = 0;

	for (unsigned j = 0; j < shared->njobs; j++)
		for (size_t i = 0; i < nrows && n < sizeof(ms) / sizeof(ms[0]); i++)
			if (rows[i].way == ENDS && shared->job[j].cell[i].end_ms != 0)
				ms[n++] = (int)shared->job[j].cell[i].end_ms;
	if (n == 0)
		return;
	qsort(ms, n, sizeof(ms[0]), by_number);
	printf("a process that ends or talks nonsense: nothing left of its VM %d ms after, in the median of %zu"
	       " (at most %d)\n", ms[n / 2], n, ms[n - 1]);
}

static void print_notes(void)
{
	printf("\nnot tried here, and not counted as passed:\n");
	for (size_t i = 0; i < sizeof(notes) / sizeof(notes[0]); i++)
		printf("%2u    %-30s %s\n", notes[i].number, notes[i].what, notes[i].why);
	skipped += (unsigned)(sizeof(notes) / sizeof(notes[0]));
	if (option.uid != 0) {
		printf("44.2 and on, 45.3 and on, frames to a tap: an ordinary user's VMs have no packet wall\n");
		skipped++;
	}
	if (tap_possible())
		return;
	printf("      everything from inside net     a tap takes root and /dev/net/tun\n");
	skipped++;
}

static struct cell try_once(struct world *w, const char *without, size_t row)
{
	static struct cell cells[sizeof(rows) / sizeof(rows[0])];
	static bool tried[sizeof(rows) / sizeof(rows[0])];

	memset(&cells[row], 0, sizeof(cells[row]));
	tried[row] = true;
	vm_run(w, &kinds[0], without, tried, row, 1, cells);
	return cells[row];
}

static void check_witnesses(struct world *w)
{
	char both[96];

	for (size_t i = 0; i < sizeof(witnesses) / sizeof(witnesses[0]); i++) {
		struct cell one, two;
		size_t row = 0;

		if (option.layer != NULL && strcmp(option.layer, witnesses[i].layer) != 0)
			continue;
		if ((witnesses[i].root && (option.uid != 0 || geteuid() != 0)) ||
		    kernel_before(6, witnesses[i].minor)) {
			shared->absent++;
			continue;
		}
		while (rows[row].number != witnesses[i].number || rows[row].sub != witnesses[i].sub)
			row++;
		snprintf(both, sizeof(both), "%s,%s", witnesses[i].base, witnesses[i].layer);
		one = try_once(w, witnesses[i].base, row);
		two = try_once(w, both, row);
		if (one.verdict == PASSED && (two.verdict == ESCAPED || strcmp(one.by, two.by) != 0)) {
			shared->seen++;
			continue;
		}
		printf("not ok - %s was not left out: %u.%u is \"%s\" with it and \"%s\" without\n",
		       witnesses[i].layer, witnesses[i].number, witnesses[i].sub, one.by, two.by);
		shared->unseen++;
	}
}

static void run_witnesses(void)
{
	struct world w;
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		if (!world_make(&w, 1, option.uid, option.bin))
			exit(1);
		check_witnesses(&w);
		world_remove(&w);
		exit(0);
	}
	if (waitpid(pid, &status, 0) != pid || status != 0)
		shared->unseen++;
	printf("%u layers seen to be left out: an attempt went another way without them, %u not, %u that these"
	       " VMs or this kernel have not\n", shared->seen, shared->unseen, shared->absent);
	skipped += shared->absent;
	passed += shared->seen;
	failed += shared->unseen;
}

/* Jobs were added in groups, one for each layer and the first without any. */
static unsigned group(unsigned first)
{
	unsigned n = first;

	while (n < shared->njobs && shared->job[n].without == shared->job[first].without)
		n++;
	return n - first;
}

static void report(void)
{
	unsigned at = 0, n, tried = 0, escaped = 0;
	struct sum s;

	if (shared->njobs > 0 && shared->job[0].without[0] == 0) {
		n = group(0);
		print_matrix(0, n);
		print_notes();
		s = count_jobs(0, n);
		printf("\n%u attempts, %u successes\n", s.tried, s.escaped);
		at = n;
	}
	if (at < shared->njobs)
		printf("\n%-20s %8s %8s %8s %8s %8s %8s\n", "left out", "attempts", "killed", "refused",
		       "success", "listed", "failed");
	for (; at < shared->njobs; at += n) {
		n = group(at);
		if (option.all)
			print_matrix(at, n);
		s = count_jobs(at, n);
		tried += s.tried;
		escaped += s.escaped - s.listed;
		printf("%-20s %8u %8u %8u %8u %8u %8u\n", shared->job[at].without, s.tried, s.killed, s.refused,
		       s.escaped, s.listed, s.failed);
	}
	for (size_t i = 0; i < nlayers && option.layer == NULL; i++)
		if (layers[i].absent != NULL) {
			printf("%-20s absent: %s\n", layers[i].name, layers[i].absent);
			skipped++;
		}
	if (tried > 0)
		printf("\n%u attempts with a layer left out, %u successes outside the open list\n", tried, escaped);
	print_ends();
}

/* Device @path for everybody, in this mount namespace. */
static bool open_to_all(const char *path)
{
	char node[64];
	struct stat st;
	bool ok;

	snprintf(node, sizeof(node), "/tmp/escape-node-%d", (int)getpid());
	ok = stat(path, &st) == 0 && mknod(node, S_IFCHR | 0666, st.st_rdev) == 0 && chmod(node, 0666) == 0 &&
	     mount(node, path, NULL, MS_BIND, NULL) == 0;
	unlink(node);
	return ok;
}

/* What an ordinary user's VMs need, in a mount namespace of our own. */
static bool open_devices(void)
{
	return unshare(CLONE_NEWNS) == 0 && mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
	       open_to_all("/dev/kvm") && (!tap_possible() || open_to_all("/dev/net/tun"));
}

static bool options(int argc, char **argv)
{
	const char *open_rows = argc > 2 ? argv[2] : "";

	if (argc < 3)
		return false;
	option.bin = argv[1];
	for (int i = 3; i < argc; i++) {
		const char *more = i + 1 < argc ? argv[i + 1] : NULL;

		if (strcmp(argv[i], "--short") == 0)
			option.quick = true;
		else if (strcmp(argv[i], "--sample") == 0)
			option.quick = option.sample = true;
		else if (strcmp(argv[i], "--all") == 0)
			option.all = true;
		else if (more == NULL)
			return false;
		else if (strcmp(argv[i], "--rootless") == 0)
			option.uid = (uid_t)strtoul(argv[++i], NULL, 10);
		else if (strcmp(argv[i], "--layer") == 0)
			option.layer = argv[++i];
		else if (strcmp(argv[i], "--kind") == 0)
			option.kind = argv[++i];
		else if (strcmp(argv[i], "--attempt") == 0)
			option.attempt = (unsigned)strtoul(argv[++i], NULL, 10);
		else
			return false;
	}
	return open_rows_read(open_rows, option.uid != 0 || geteuid() != 0);
}

static void run_workers(void)
{
	pid_t pid[WORKERS];
	int status;

	for (unsigned i = 0; i < WORKERS; i++) {
		pid[i] = fork();
		if (pid[i] == 0)
			work(1 + i);
	}
	for (unsigned i = 0; i < WORKERS; i++)
		if (waitpid(pid[i], &status, 0) != pid[i] || status != 0) {
			printf("not ok - a worker of the suite ended with %x\n", (unsigned)status);
			failed++;
		}
}

int main(int argc, char **argv)
{
	struct world neighbour;
	int client = -1;
	pid_t jailer;

	if (!options(argc, argv)) {
		fprintf(stderr, "usage: escape BIN OPEN-ROWS [--short|--sample] [--all] [--rootless UID] "
			"[--layer NAME] [--kind NAME] [--attempt N]\n");
		return 2;
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
	if (option.uid != 0 && !open_devices()) {
		printf("cannot offer devices to another user: %s\n0 passed, 0 failed, 1 skipped\n",
		       strerror(errno));
		return 0;
	}
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (option.layer == NULL || strcmp(option.layer, "none") == 0)
		add_jobs("");
	for (size_t i = 0; i < nlayers; i++)
		if (layers[i].absent == NULL && (option.layer == NULL || strcmp(option.layer, layers[i].name) == 0))
			add_jobs(layers[i].name);
	if (!world_make(&neighbour, 0, option.uid, option.bin) ||
	    (jailer = vm_neighbour(&neighbour, &client)) < 0) {
		printf("not ok - a VM that nobody attacks does not start\n0 passed, 1 failed, 0 skipped\n");
		return 1;
	}
	run_workers();
	report();
	if (option.kind == NULL && option.attempt == 0)
		run_witnesses();
	if (!vm_neighbour_end(&neighbour, jailer, client) || world_changed(&neighbour) != NULL) {
		printf("not ok - the neighbour, a VM that was not attacked, was hurt\n");
		failed++;
	} else {
		passed++;
	}
	world_remove(&neighbour);
	printf("%u passed, %u failed, %u skipped\n", passed, failed, skipped);
	return failed != 0;
}
