/* SPDX-License-Identifier: Apache-2.0 */
/* LIBS: -ljansson */
/* What a jailed process can waste when everything but the jailer's walls has fallen: it gets no
 * more than the VM was given, and another VM answers all the while.  fake_hostile.c does the
 * wasting, in each process in turn or in all at once. */
#include "core/guestmem.c"
#include "tests/unit/jail_hostile.h"

#include "jailer/relay.h"

#include <criterion/parameterized.h>

enum {
	OVERHEAD_MAX = 8 << 20,		/* beyond the guest's memory */
	CPU_PERCENT = 50,
	MEASURE_MS = 3000,
	FLOOD_MIB = 10 << 10,
	TASKS_MAX = 16,
};

TestSuite(bounded, .init = make, .fini = undo, .timeout = 600);

static const char *const processes[] = { "vmm", "blk", "net", "vsock" };

/* As the plan calls it. */
static const char *name_of(const char *process)
{
	return strcmp(process, "blk") == 0 ? "blk0" : strcmp(process, "net") == 0 ? "net0" : process;
}

/* The next line of a process's log; the jailer's own says which limits a user's VM has not. */
static json_t *next_line(void)
{
	json_t *e = rig_expect(&r, "log");

	while (strcmp(rig_word(e, "process"), "jailer") == 0) {
		json_decref(e);
		e = rig_expect(&r, "log");
	}
	return e;
}

/* ---- processors ---- */

/* From @from, when the VM had had @used seconds of CPU, until now: its share, and so much more. */
static void within_quota(double from, double used)
{
	double seconds;

	used = usage_cpu(&r) - used;
	seconds = usage_now() - from;
	cr_log_info("%.2f s of CPU in %.2f s", used, seconds);
	cr_assert_leq(used, (CPU_PERCENT + 5) / 100.0 * seconds);
}

Test(bounded, processes_that_spin_get_their_quota_and_no_more)
{
	double from, used;

	start("spin all", disk(), true, "\"cpu_percent\":50");
	rig_running(&r);
	cr_assert_eq(r.nprocs, array_len(processes));
	sleep_ms(300);
	from = usage_now();
	used = usage_cpu(&r);
	neighbour_answers(&n, QUESTIONS);
	sleep_ms(MEASURE_MS);
	for (unsigned i = 0; i < r.nprocs; i++)
		cr_assert_gt(usage_cpu_of(r.pid[i]), 0.01, "%s wastes nothing", processes[i]);
	within_quota(from, used);
	stop();
}

/* ---- memory ---- */

static double mib(long long bytes)
{
	return (double)bytes / (1 << 20);
}

/* Watches until the VM is over.  Returns the most memory that was seen. */
static long long most_memory(void)
{
	long long now, most = 0;

	while ((now = usage_memory(&r)) >= 0) {
		most = now > most ? now : most;
		sleep_ms(1);
	}
	return most;
}

static void take_all(const char *process)
{
	long long limit, most;
	char order[32];
	json_t *e;

	snprintf(order, sizeof(order), "touch %s", process);
	start(order, disk(), true, "");
	json_decref(rig_expect(&r, "running"));
	limit = usage_memory_limit(&r);
	cr_assert_geq(limit, RAM, "no limit");
	neighbour_answers(&n, QUESTIONS);
	most = most_memory();
	e = rig_end(&r, "memory-limit", 1);
	cr_assert_str_eq(rig_word(e, "process"), name_of(process));
	json_decref(e);
	cr_log_info("%s took %.2f MiB of %.2f, the guest's are %d", process, mib(most), mib(limit),
		    RAM >> 20);
	cr_assert_geq(most, RAM);
	cr_assert_leq(most, (long long)guestmem_file_size(RAM) + OVERHEAD_MAX);
}

ParameterizedTestParameters(bounded, memory_ends_with_the_guests_and_eight_mebibytes)
{
	static size_t index[] = { 0, 1, 2, 3 };

	_Static_assert(array_len(index) == array_len(processes), "each");
	return cr_make_param_array(size_t, index, array_len(index));
}

ParameterizedTest(size_t *i, bounded, memory_ends_with_the_guests_and_eight_mebibytes)
{
	take_all(processes[*i]);
	neighbour_answers(&n, QUESTIONS);
}

/* ---- tasks ---- */

static void multiply(const char *process)
{
	char order[32];
	json_t *e;

	snprintf(order, sizeof(order), "fork %s", process);
	start(order, disk(), true, "");
	e = rig_end(&r, "violation", 1);
	cr_assert_str_eq(rig_word(e, "process"), name_of(process));
	cr_assert_str_eq(rig_word(e, "syscall"), "clone");
	json_decref(e);
	neighbour_answers(&n, QUESTIONS);
}

Test(bounded, no_process_can_multiply)
{
	for (size_t i = 0; i < array_len(processes); i++)
		multiply(processes[i]);
}

/* Threads the VMM may have, as many as the VM has processors and one for KVM, and the others none:
 * so many get started. */
static void threads_are(const char *process, const char *few, const char *many)
{
	char order[32];
	json_t *e;

	snprintf(order, sizeof(order), "threads %s", process);
	start(order, disk(), true, "");
	e = next_line();
	cr_assert_str_eq(rig_word(e, "process"), name_of(process));
	cr_assert(strcmp(rig_word(e, "text"), few) == 0 || strcmp(rig_word(e, "text"), many) == 0,
		  "%s", rig_word(e, "text"));
	json_decref(e);
	stop();
}

Test(bounded, threads_are_numbered)
{
	threads_are("vmm", "threads: 01", "threads: 02");
	threads_are("blk", "threads: 00", "threads: 00");
	threads_are("net", "threads: 00", "threads: 00");
	threads_are("vsock", "threads: 00", "threads: 00");
}

/* How many descriptors @process gets when it asks for as many as there are. */
static unsigned long descriptors_of(const char *process)
{
	unsigned long got = 0;
	char order[32];
	json_t *e;

	snprintf(order, sizeof(order), "descriptors %s", process);
	start(order, disk(), true, "");
	e = next_line();
	cr_assert_str_eq(rig_word(e, "process"), name_of(process));
	cr_assert_eq(sscanf(rig_word(e, "text"), "%lu descriptors", &got), 1, "%s", rig_word(e, "text"));
	json_decref(e);
	neighbour_answers(&n, QUESTIONS);
	stop();
	return got;
}

Test(bounded, descriptors_are_numbered)
{
	const unsigned long most[] = { VMM_NFDS, BLK_NFDS, NET_NFDS, VSOCK_CONN0 + CONNECTIONS + 1 };

	for (size_t i = 0; i < array_len(processes); i++) {
		unsigned long got = descriptors_of(processes[i]);

		cr_log_info("%s: %lu descriptors more, of %lu", processes[i], got, most[i]);
		cr_assert(got > 0 && got < most[i], "%s: %lu", processes[i], got);
	}
}

/* What no filter and no rlimit keeps from it meets the cgroup: how many children a process can
 * have in there.  They have ended when this returns. */
static unsigned fill_cgroup(void)
{
	FILE *f = usage_open(&r, "pids", "cgroup.procs", "cgroup.procs");
	pid_t child[TASKS_MAX], pid;
	unsigned born = 0;
	char path[64];
	int fd;

	cr_assert_not_null(f);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fileno(f));
	fd = open(path, O_WRONLY | O_CLOEXEC);
	cr_assert(fd >= 0 && write(fd, "0", 1) == 1);
	while (born < TASKS_MAX && (pid = fork()) >= 0) {
		if (pid == 0) {
			pause();
			_exit(0);
		}
		child[born++] = pid;
	}
	for (unsigned i = 0; i < born; i++) {
		kill(child[i], SIGKILL);
		waitpid(child[i], NULL, 0);
	}
	return born;
}

Test(bounded, the_cgroup_holds_as_many_tasks_as_were_planned)
{
	long long limit;
	int status;
	pid_t pid;

	start("nothing all", disk(), true, "");
	rig_running(&r);
	limit = usage_number(usage_open(&r, "pids", "pids.max", "pids.max"));
	cr_assert(limit > 0 && limit < TASKS_MAX, "%lld", limit);
	pid = fork();
	if (pid == 0)
		_exit((int)fill_cgroup());
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	cr_log_info("%d children beside %u processes, %lld are allowed", WEXITSTATUS(status),
		    r.nprocs, limit);
	/* It, and the VM's processes, and the VMM's thread if there is one. */
	cr_assert(WIFEXITED(status) && WEXITSTATUS(status) <= limit - (long long)r.nprocs - 1);
	stop();
}

/* ---- the log ---- */

/* What has come of one process's flood. */
struct heard {
	unsigned long line;	/* number of the last */
	unsigned long dropped;	/* since, according to the supervisor */
	unsigned long lines, notes, lost;
	unsigned long mib;	/* offered before it */
};

static struct heard *heard_of(struct heard heard[], const json_t *e)
{
	for (size_t i = 0; i < array_len(processes); i++)
		if (strcmp(rig_word(e, "process"), name_of(processes[i])) == 0)
			return &heard[i];
	cr_assert_fail("'%s'", rig_word(e, "process"));
	return NULL;
}

/* One message.  Every line that the pipe took has come, or is in a count of those dropped. */
static void hear(struct heard *h, const char *text)
{
	unsigned long line, n_dropped;

	if (sscanf(text, "%lu taken, %lu MiB offered", &line, &h->mib) == 2) {
		cr_assert_eq(line, h->line + h->dropped + 1, "line %lu after %lu, %lu dropped",
			     line, h->line, h->dropped);
		h->line = line;
		h->dropped = 0;
		h->lines++;
	} else {
		cr_assert_eq(sscanf(text, "%lu lines dropped", &n_dropped), 1, "%s", text);
		h->dropped += n_dropped;
		h->lost += n_dropped;
		h->notes++;
	}
}

/* Takes the messages that are there. */
static void listen_to(struct heard heard[])
{
	struct pollfd at = { .fd = r.client, .events = POLLIN };

	while (poll(&at, 1, 0) == 1) {
		json_t *e = rig_event(&r);

		cr_assert_not_null(e, "the VM ended");
		if (strcmp(rig_word(e, "process"), "jailer") == 0)
			cr_assert(r.uid != 0, "%s", rig_word(e, "text"));
		else if (strcmp(rig_word(e, "event"), "log") == 0)
			hear(heard_of(heard, e), rig_word(e, "text"));
		else
			cr_assert_str_eq(rig_word(e, "event"), "running");
		json_decref(e);
	}
}

/* Each process has offered its flood, and heard of a line that was dropped. */
static bool all_flooded(const struct heard heard[])
{
	unsigned done = 0;

	for (size_t i = 0; i < array_len(processes); i++)
		done += heard[i].mib >= FLOOD_MIB && heard[i].notes > 0;
	return done == array_len(processes);
}

Test(bounded, a_flood_of_ten_gibibytes_becomes_a_trickle_and_a_count)
{
	struct heard heard[array_len(processes)] = { 0 };
	double from = usage_now(), measured, used;

	start("flood all", disk(), true, "\"cpu_percent\":50");
	do
		rig_find(&r);
	while (r.nprocs < array_len(processes));
	measured = usage_now();
	used = usage_cpu(&r);
	/* A caller that listens too seldom for all the lines that it could get. */
	while (!all_flooded(heard)) {
		neighbour_answers(&n, QUESTIONS);
		sleep_ms(MEASURE_MS);
		listen_to(heard);
	}
	within_quota(measured, used);
	cr_assert_leq(usage_memory(&r), RAM + OVERHEAD_MAX);
	for (size_t i = 0; i < array_len(processes); i++) {
		cr_log_info("%s offered %lu MiB: %lu lines came, %lu were counted", processes[i],
			    heard[i].mib, heard[i].lines, heard[i].lost);
		/* Beside the window that is open, each may go on by the piece read last. */
		cr_assert_leq((double)(heard[i].lines + heard[i].lost),
			      (usage_now() - from + 1) * (RELAY_LINES + 16));
	}
	stop();
}
