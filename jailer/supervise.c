/* SPDX-License-Identifier: Apache-2.0 */
/* supervise.c: watches the VM, and cleans up after it.
 *
 * One loop over the caller, the VMM's reports, signals, time, the vsock process's wishes and
 * everybody's log.  All but the caller and the signals may be in the guest's hands, so each is
 * read in fixed pieces, bounded per round, and nothing it says makes this process wait,
 * allocate, or do more than the VM was started with.
 *
 * The VM ends as one.  The first event that means the end is followed by SIGKILL for all that
 * still run (after a grace period when the VMM itself said that the guest is done); which
 * event was the reason is decided by outcome.c.  Only when the last process is reaped are the
 * cgroup and the sockets removed, and only then is the caller told: after the end message
 * nothing of the VM exists.  Where the kernel cannot end a process the message says so, and
 * this one stays: it keeps the VM's name and number taken until the last is gone.  If this
 * process is killed, the kernel kills the others (violation.h, PDEATHSIG). */
#include "jailer/supervise.h"
#include "core/log.h"
#include "core/report.h"
#include "jailer/cgroup.h"
#include "jailer/console.h"
#include "jailer/dial.h"
#include "jailer/message.h"
#include "jailer/outcome.h"
#include "jailer/relay.h"
#include "jailer/rundir.h"
#include "jailer/violation.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
	GRACE_MS = 200,		/* for processes that end by themselves */
	KILL_MS = 5000,		/* for the kernel to end those that were killed */
	CGROUP_MS = 1000,
	REPORTS_PER_ROUND = 16,
	DIALS_PER_ROUND = 16,
	DIALS_PER_SECOND = 1000,
	SECOND_MS = 1000,
	LAST_READS = 64,	/* of one log pipe, at the end */
};

enum phase { PHASE_RUN, PHASE_GRACE, PHASE_KILL, PHASE_OVER };

enum { AT_CTL, AT_SIGNAL, AT_CLIENT, AT_TIMER, AT_DIAL, AT_CONSOLE, AT_PASST, AT_LOG0,
       AT_COUNT = AT_LOG0 + PLAN_PROCESSES };

struct supervisor {
	const struct plan *plan;
	const struct spawn *spawn;
	struct outcome outcome;
	enum phase phase;
	unsigned nalive;		/* passt among them */
	bool alive[PLAN_PROCESSES], passt_alive;
	bool ctl_open, client_open, dial_open;
	bool running;			/* the VMM said that the guest runs */
	bool dial_full;			/* VSOCK does not take its replies */
	uint64_t dial_window;		/* start of the second counted, ms */
	uint32_t dials;			/* in it */
	struct console console;
	struct relay relay[PLAN_PROCESSES], passt_log;
};

static uint64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

static void arm(uint64_t ms)
{
	struct itimerspec it = {
		.it_value = { .tv_sec = (time_t)(ms / 1000),
			      .tv_nsec = (long)(ms % 1000) * 1000000 },
	};

	timerfd_settime(SUP_TIMER, 0, &it, NULL);
}

static void kill_all(struct supervisor *s)
{
	s->phase = PHASE_KILL;
	arm(KILL_MS);
	for (unsigned i = 0; i < s->plan->nprocs; i++)
		if (s->alive[i])
			syscall(SYS_pidfd_send_signal, SUP_PID0 + (int)i, SIGKILL, NULL, 0);
	if (s->passt_alive)
		syscall(SYS_pidfd_send_signal, SUP_PASST, SIGKILL, NULL, 0);
}

/* After each event: has the VM ended, and by itself? */
static void check_end(struct supervisor *s, bool by_itself)
{
	if (s->outcome.reason == END_NONE || s->phase != PHASE_RUN)
		return;
	if (!by_itself) {
		kill_all(s);
		return;
	}
	s->phase = PHASE_GRACE;
	arm(GRACE_MS);
}

static void take_report(struct supervisor *s, const struct vmm_report *r, ssize_t n)
{
	bool whole = n == (ssize_t)sizeof(*r);

	if (whole && r->type == VMM_REPORT_RUNNING && !s->running) {
		s->running = true;
		message_running(SUP_CLIENT);
	} else if (whole && r->type == VMM_REPORT_END) {
		outcome_report(&s->outcome, r);
	} else {	/* no report, or one too many: the VMM is not itself any more */
		outcome_death(&s->outcome, 0, 0);
	}
}

static void handle_ctl(struct supervisor *s)
{
	struct { struct vmm_report r; char more; } in;
	ssize_t n;

	/* An honest VMM has two things to say: what a round leaves unread, a liar wrote. */
	for (int i = 0; i < REPORTS_PER_ROUND && s->ctl_open; i++) {
		n = read(SUP_CTL, &in, sizeof(in.r) + 1);
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			break;
		s->ctl_open = n > 0;
		if (n > 0)
			take_report(s, &in.r, n);
	}
	check_end(s, true);
}

static int index_of(const struct supervisor *s, pid_t pid)
{
	for (unsigned i = 0; i < s->plan->nprocs; i++)
		if (s->spawn->pid[i] == pid)
			return (int)i;
	return -1;
}

/* Process @index ends, or has ended, with @status. */
static void handle_death(struct supervisor *s, unsigned index, int status)
{
	int err = 0;
	const char *step = spawn_failed_step(s->spawn, index, &err);

	handle_ctl(s);		/* what the VMM said before counts before */
	if (step != NULL) {
		fail(&s->outcome.failure, err, "run `immure doctor`", "start %s: %s",
		     s->plan->proc[index].name, step);
		outcome_setup(&s->outcome, index);
	}
	outcome_death(&s->outcome, index, status);
	check_end(s, false);
}

static void handle_stop(struct supervisor *s, pid_t tid, int wait_status)
{
	int index = index_of(s, tid), status = 0;
	bool leader = index >= 0;
	long nr = -1;

	if (!leader)
		index = index_of(s, violation_process(tid));
	if (index < 0)
		index = 0;	/* a thread that nobody told of: the VMM has most */
	switch (violation_stopped(tid, wait_status, &status, &nr)) {
	case VIOLATION_KILLED:
		outcome_violation(&s->outcome, (unsigned)index, nr);
		check_end(s, false);
		break;
	case VIOLATION_FAULTED:
		handle_death(s, (unsigned)index, status);
		break;
	case VIOLATION_EXITING:
		if (leader)
			handle_death(s, (unsigned)index, status);
		break;
	case VIOLATION_NONE:
		break;
	}
}

/* What is left of a log: a bounded amount. */
static void drain_log(struct relay *r, uint64_t now)
{
	for (int n = 0; n < LAST_READS && r->fd >= 0; n++)
		relay_read(r, SUP_CLIENT, now);
	relay_flush(r, SUP_CLIENT);
}

/* The VM goes on; immure-net sees the end of the socket, and the guest that of its link. */
static void passt_ended(struct supervisor *s, int status)
{
	char text[96];
	size_t n = WIFSIGNALED(status)
		 ? log_format(text, sizeof(text), "was killed by signal %u", (unsigned)WTERMSIG(status))
		 : log_format(text, sizeof(text), "ended with status %u", (unsigned)WEXITSTATUS(status));

	s->passt_alive = false;
	s->nalive--;
	drain_log(&s->passt_log, now_ms());
	if (s->phase != PHASE_RUN)
		return;
	n += log_format(text + n, sizeof(text) - n, ": the guest has no network any more");
	message_log(SUP_CLIENT, s->plan->passt.name, text, n);
}

/* What wait4() says of @pid. */
static void handle_wait(struct supervisor *s, pid_t pid, int status)
{
	int index = index_of(s, pid);

	if (WIFSTOPPED(status)) {
		handle_stop(s, pid, status);
	} else if (pid == s->spawn->passt && s->passt_alive) {
		passt_ended(s, status);
	} else if (index >= 0 && s->alive[index]) {
		s->alive[index] = false;
		s->nalive--;
		handle_death(s, (unsigned)index, status);
	}
}

static void reap(struct supervisor *s)
{
	int status;
	pid_t pid;

	while ((pid = wait4(-1, &status, WNOHANG | __WALL, NULL)) > 0)
		handle_wait(s, pid, status);
}

static void handle_signals(struct supervisor *s)
{
	struct signalfd_siginfo si;

	while (read(SUP_SIGNAL, &si, sizeof(si)) == (ssize_t)sizeof(si))
		if (si.ssi_signo != SIGCHLD)
			outcome_order(&s->outcome, END_STOPPED);
	reap(s);
	check_end(s, false);
}

/* The only order there is means stop; so does going away, or saying something else. */
static void handle_client(struct supervisor *s)
{
	char order[64];
	ssize_t n = read(SUP_CLIENT, order, sizeof(order));

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	s->client_open = n > 0;
	outcome_order(&s->outcome, END_STOPPED);
	check_end(s, false);
}

static void handle_timer(struct supervisor *s)
{
	uint64_t expirations;

	if (read(SUP_TIMER, &expirations, sizeof(expirations)) < 0)
		return;
	if (s->phase == PHASE_RUN)
		outcome_order(&s->outcome, END_TIMEOUT);
	if (s->phase == PHASE_KILL)
		s->phase = PHASE_OVER;
	else
		kill_all(s);
}

/* Milliseconds until the vsock process may ask again; 0: now. */
static uint64_t dial_wait(const struct supervisor *s, uint64_t now)
{
	uint64_t end = s->dial_window + SECOND_MS;

	return s->dials >= DIALS_PER_SECOND && now < end ? end - now : 0;
}

static void handle_dial(struct supervisor *s, uint64_t now)
{
	struct pollfd ready = { .fd = SUP_DIAL, .events = POLLIN | POLLOUT };
	struct timespec none = { 0 };

	if (now >= s->dial_window + SECOND_MS) {
		s->dial_window = now;
		s->dials = 0;
	}
	/* Replies keep the order of requests and are never dropped: no request is taken while
	 * the last reply might not fit, and until then only room for it wakes us. */
	for (int i = 0; i < DIALS_PER_ROUND && s->dial_open && dial_wait(s, now) == 0; i++) {
		if (ppoll(&ready, 1, &none, NULL) <= 0)
			return;
		s->dial_full = (ready.revents & POLLOUT) == 0;
		if (s->dial_full) {
			s->dial_open = (ready.revents & POLLHUP) == 0;
			return;
		}
		if ((ready.revents & (POLLIN | POLLHUP)) == 0)
			return;
		s->dials++;
		s->dial_open = dial_serve(SUP_DIAL, rundir_socket_name(s->plan->config));
	}
}

static void poll_dial(const struct supervisor *s, struct pollfd *at, uint64_t now,
		      uint64_t *wait)
{
	uint64_t ms = dial_wait(s, now);

	if (!s->dial_open)
		return;
	if (ms > 0) {
		*wait = min_u64(*wait, ms);
		return;
	}
	at->fd = SUP_DIAL;
	at->events = s->dial_full ? POLLOUT : POLLIN;
}

static void poll_log(const struct relay *r, struct pollfd *at, uint64_t now, uint64_t *wait)
{
	uint64_t ms = relay_wait(r, now);

	if (ms == 0)
		at->fd = r->fd;
	else
		*wait = min_u64(*wait, ms);
}

static void fill(const struct supervisor *s, struct pollfd *at, uint64_t now, uint64_t *wait)
{
	for (int i = 0; i < AT_COUNT; i++)
		at[i] = (struct pollfd){ .fd = -1, .events = POLLIN };
	at[AT_CTL].fd = s->ctl_open ? SUP_CTL : -1;
	at[AT_SIGNAL].fd = SUP_SIGNAL;
	at[AT_CLIENT].fd = s->client_open ? SUP_CLIENT : -1;
	at[AT_TIMER].fd = SUP_TIMER;
	poll_dial(s, &at[AT_DIAL], now, wait);
	console_poll(&s->console, now, &at[AT_CONSOLE], wait);
	poll_log(&s->passt_log, &at[AT_PASST], now, wait);
	for (unsigned i = 0; i < s->plan->nprocs; i++)
		poll_log(&s->relay[i], &at[AT_LOG0 + i], now, wait);
}

static void handle(struct supervisor *s, const struct pollfd *at, uint64_t now)
{
	if (at[AT_CTL].revents != 0)
		handle_ctl(s);
	if (at[AT_SIGNAL].revents != 0)
		handle_signals(s);
	if (at[AT_CLIENT].revents != 0)
		handle_client(s);
	if (at[AT_TIMER].revents != 0)
		handle_timer(s);
	if (at[AT_DIAL].revents != 0)
		handle_dial(s, now);
	if (at[AT_CONSOLE].revents != 0)
		console_serve(&s->console, now);
	/* Its death, if that was one of the signals, was the end of its log. */
	if (at[AT_PASST].revents != 0 && s->passt_log.fd >= 0)
		relay_read(&s->passt_log, SUP_CLIENT, now);
	for (unsigned i = 0; i < s->plan->nprocs; i++)
		if (at[AT_LOG0 + i].revents != 0)
			relay_read(&s->relay[i], SUP_CLIENT, now);
}

static void loop(struct supervisor *s)
{
	struct pollfd at[AT_COUNT];
	uint64_t now, wait;
	struct timespec ts;

	while (s->nalive > 0 && s->phase != PHASE_OVER) {
		now = now_ms();
		wait = UINT64_MAX;
		fill(s, at, now, &wait);
		ts = (struct timespec){ .tv_sec = (time_t)(wait / 1000),
					.tv_nsec = (long)(wait % 1000) * 1000000 };
		if (ppoll(at, AT_COUNT, wait != UINT64_MAX ? &ts : NULL, NULL) > 0)
			handle(s, at, now_ms());
	}
}

/* The last words of processes that are gone: a bounded amount, whatever the rate. */
static void drain(struct supervisor *s)
{
	uint64_t now = now_ms();

	drain_log(&s->passt_log, now);
	for (unsigned i = 0; i < s->plan->nprocs; i++)
		drain_log(&s->relay[i], now);
	console_drain(&s->console, now);
}

static void say_notes(const struct spawn *s, const struct cgroup *cg)
{
	static const char no_landlock[] = "this kernel has no Landlock, or it is off";
	static const char no_names[] = "this host forbids ptrace: a violation has no name";

	if (cg->note[0] != 0)
		message_log(SUP_CLIENT, "jailer", cg->note, strlen(cg->note));
	if (s->landlock == 0)
		message_log(SUP_CLIENT, "jailer", no_landlock, sizeof(no_landlock) - 1);
	if (!s->traced)
		message_log(SUP_CLIENT, "jailer", no_names, sizeof(no_names) - 1);
}

/* A process that the kernel cannot end, for instance because its disk does not answer. */
static void say_undead(const struct supervisor *s)
{
	static const char text[] = "was killed but did not end: is its disk stuck?";

	for (unsigned i = 0; i < s->plan->nprocs; i++)
		if (s->alive[i])
			message_log(SUP_CLIENT, s->plan->proc[i].name, text,
				    sizeof(text) - 1);
	if (s->passt_alive)
		message_log(SUP_CLIENT, s->plan->passt.name, text, sizeof(text) - 1);
}

/* Waits for those, without the caller, and for nothing else that they or others do. */
static void wait_for_undead(struct supervisor *s)
{
	struct pollfd at = { .fd = SUP_SIGNAL, .events = POLLIN };

	close(SUP_CLIENT);
	while (s->nalive > 0)
		if (ppoll(&at, 1, NULL, NULL) > 0)
			handle_signals(s);
}

/* A caller that locked the run directory removes it itself, after everything else that it does
 * there: without the directory another VM could take the name.  False when that caller is gone;
 * the last to leave is this process then. */
static bool caller_removes(const struct opened *o)
{
	struct pollfd at = { .fd = SUP_CLIENT };
	struct timespec now = { 0 };

	/* Nothing asked for: only a hang-up. */
	return o->fd[OBJ_LOCK][0] >= 0 && ppoll(&at, 1, &now, NULL) == 0;
}

static void remove_all(const struct plan *p, const struct opened *o, const struct cgroup *cg)
{
	int parents[CGROUP_V1_MAX];
	bool dir = p->config->run_dir != NULL || p->config->vsock_path != NULL;

	for (unsigned i = 0; i < cg->n; i++)
		parents[i] = SUP_CGROUP0 + (int)i;
	cgroup_remove(parents, cg->n, cg->name, CGROUP_MS);
	rundir_remove(dir ? SUP_RUNDIR : -1,
		      p->config->run_dir != NULL && !caller_removes(o) ? SUP_RUNPARENT : -1,
		      p->config);
}

int supervise(const struct plan *p, const struct spawn *sp, const struct cgroup *cg)
{
	static struct supervisor s;
	uint64_t now = now_ms();
	int status;
	pid_t pid;

	s = (struct supervisor){
		.plan = p, .spawn = sp, .nalive = p->nprocs, .ctl_open = true,
		.client_open = true, .dial_open = p->config->vsock_path != NULL,
	};
	outcome_init(&s.outcome);
	console_init(&s.console, p, now);
	for (unsigned i = 0; i < p->nprocs; i++) {
		s.alive[i] = true;
		relay_init(&s.relay[i], SUP_LOG0 + (int)i, p->proc[i].name, now);
	}
	s.passt_alive = sp->passt > 0;
	s.nalive += s.passt_alive ? 1 : 0;
	relay_init(&s.passt_log, s.passt_alive ? SUP_PASST_LOG : -1, p->passt.name, now);
	if (p->config->timeout_ms != 0)
		arm(p->config->timeout_ms);
	say_notes(sp, cg);
	/* Somebody who died while all were started. */
	if (violation_kept(&pid, &status))
		handle_wait(&s, pid, status);
	loop(&s);
	handle_ctl(&s);
	drain(&s);
	if (p->cgroup.wanted && cgroup_out_of_memory(SUP_MEMORY))
		outcome_memory(&s.outcome);
	s.outcome.left = s.nalive;
	if (s.nalive > 0) {
		say_undead(&s);
		message_end(SUP_CLIENT, &s.outcome, p);
		wait_for_undead(&s);
	}
	remove_all(p, sp->opened, cg);
	if (s.outcome.left == 0)
		message_end(SUP_CLIENT, &s.outcome, p);
	return s.outcome.reason == END_POWEROFF || s.outcome.reason == END_STOPPED ? 0 : 1;
}
