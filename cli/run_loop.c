/* SPDX-License-Identifier: Apache-2.0 */
/* run_loop.c: poll() over the supervisor, the console, the signals and the session.
 *
 * The normal end: EXIT arrives and both output pumps reach end of file → the control connection
 * is closed → immure-init powers off → the supervisor reports and closes its socket.  Every
 * other end leads to the same place: the machine is ordered to stop, or dies, and the loop goes
 * on until the supervisor closed.  A guest that does not power off is stopped after GRACE_MS;
 * nothing can be lost by then.  A reader of our output that never reads holds us up only after
 * a normal end, as it would hold up any program, and a signal ends it as it would any program:
 * the same goes for a guest that says EXIT and never ends its output. */
#include "cli/run_loop.h"
#include "cli/run_term.h"
#include "cli/say.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

enum { GRACE_MS = 5000, DRAIN_MS = 1000, KILL_MS = 10000 };
enum { POLL_CLIENT, POLL_CONSOLE, POLL_SIGNALS, POLL_SESSION };

int64_t run_now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000 + t.tv_nsec / 1000000 + 1;
}

int run_signals(struct run *r)
{
	static const int taken[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2,
				     SIGWINCH, SIGCONT };
	sigset_t set;

	sigemptyset(&set);
	for (size_t i = 0; i < array_len(taken); i++) {
		struct sigaction old;

		/* What nohup or a shell's background job ignores stays ignored: a blocked
		 * signal would reach us in spite of that. */
		if (sigaction(taken[i], NULL, &old) == 0 && old.sa_handler != SIG_IGN)
			sigaddset(&set, taken[i]);
	}
	signal(SIGPIPE, SIG_IGN);
	sigprocmask(SIG_BLOCK, &set, NULL);
	r->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (r->signals >= 0)
		return 0;
	say_error("signalfd: %s", strerror(errno));
	return -1;
}

static void stop_machine(struct run *r, enum run_stop_cause cause)
{
	if (r->cause == STOP_NONE)
		r->cause = cause;
	r->stop_by_ms = 0;
	r->kill_by_ms = run_now_ms() + KILL_MS;
	vm_stop(&r->vm);
}

/* ---- signals ---- */

static bool session_over(const struct run *r)
{
	return r->session.state >= SESSION_FAILED;
}

/* The command ended; what it wrote is not handed on yet, and perhaps never will be. */
static bool handing_on(const struct run *r)
{
	return r->session.state == SESSION_EXITED && !session_drained(&r->session);
}

static void on_ending_signal(struct run *r, int signo)
{
	if (r->vm.client < 0)
		r->hurry = true;
	if (session_over(r) && !handing_on(r))
		return;
	if (r->session.state == SESSION_RUNNING) {
		session_signal(&r->session, signo);
		if (signo == SIGINT || signo == SIGTERM) {
			r->signo = signo;
			stop_press(&r->stop, run_now_ms(), session_life(&r->session));
		}
		return;
	}
	/* Nothing runs yet, or any more, that could handle it. */
	r->signo = signo;
	stop_machine(r, STOP_SIGNAL);
}

static void send_size(struct run *r)
{
	uint16_t rows, cols;

	term_size(&rows, &cols);
	session_winsize(&r->session, rows, cols);
}

static void on_signal(struct run *r, int signo)
{
	switch (signo) {
	case SIGCONT:
		/* Whoever stopped us (not by a key: those go to the guest) gave the terminal
		 * to a shell meanwhile. */
		if (r->tty && r->session.state == SESSION_RUNNING) {
			term_restore();
			term_raw();
		}
		return;
	case SIGWINCH:
		send_size(r);
		return;
	case SIGUSR1:
	case SIGUSR2:
		/* Ours only as long as there is no command that it could be for. */
		if (r->session.state >= SESSION_RUNNING) {
			session_signal(&r->session, signo);
			return;
		}
		break;
	}
	on_ending_signal(r, signo);
}

static void take_signals(struct run *r)
{
	struct signalfd_siginfo info;

	while (read(r->signals, &info, sizeof(info)) == sizeof(info))
		on_signal(r, (int)info.ssi_signo);
}

/* In a raw terminal ^C is a byte for the guest; it counts as a press all the same. */
static void take_keys(struct run *r)
{
	unsigned seen = atomic_load(&r->session.pump[0].interrupts);

	for (; r->interrupts != seen; r->interrupts++) {
		r->signo = SIGINT;
		stop_press(&r->stop, run_now_ms(), session_life(&r->session));
	}
}

/* ---- phases ---- */

/* What the session's state asks of the machine. */
static void follow_session(struct run *r)
{
	enum session_state state = r->session.state;

	if (state == SESSION_RUNNING && !r->running_ms) {
		r->running_ms = run_now_ms();
		if (r->tty) {
			term_raw();
			send_size(r);	/* it may have changed since START was made */
		}
	}
	if (state == SESSION_EXITED)
		term_signals();		/* ^C is nobody's byte any more */
	if (!session_over(r) || r->over_ms)
		return;
	if (state == SESSION_EXITED && !session_drained(&r->session))
		return;
	r->over_ms = run_now_ms();
	session_release(&r->session);
	if (state == SESSION_BROKEN) {
		/* If the machine is dying, its own report says more: it gets a moment. */
		r->stop_by_ms = r->over_ms + DRAIN_MS;
	} else {
		r->stop_by_ms = r->over_ms + GRACE_MS;
	}
}

static void check_times(struct run *r)
{
	int64_t now = run_now_ms();
	bool booting = r->session.state == SESSION_WAITING ||
		       r->session.state == SESSION_STARTING;

	if (booting && r->cause == STOP_NONE &&
	    (uint64_t)(now - r->started_ms) >= r->options->boot_timeout_ms)
		stop_machine(r, STOP_NO_HELLO);
	if (r->stop_by_ms && now >= r->stop_by_ms)
		stop_machine(r, STOP_SESSION);
	/* A supervisor that does not even end its machine. */
	if (r->kill_by_ms && now >= r->kill_by_ms)
		vm_finish(&r->vm, 0);
	if ((!session_over(r) || handing_on(r)) && r->cause == STOP_NONE &&
	    stop_decide(&r->stop, now, session_life(&r->session)))
		stop_machine(r, STOP_SIGNAL);
}

static int sooner(int a, int64_t ms)
{
	int b = ms < 0 ? 0 : ms > 60000 ? 60000 : (int)ms;

	return a < 0 || b < a ? b : a;
}

static int next_wait(const struct run *r)
{
	int64_t now = run_now_ms();
	int wait = stop_wait(&r->stop, now);

	if (r->cause == STOP_NONE && !r->running_ms)
		wait = sooner(wait, r->started_ms + (int64_t)r->options->boot_timeout_ms - now);
	if (r->stop_by_ms)
		wait = sooner(wait, r->stop_by_ms - now);
	if (r->kill_by_ms)
		wait = sooner(wait, r->kill_by_ms - now);
	return wait;
}

static void turn(struct run *r, int timeout)
{
	struct pollfd p[POLL_SESSION + SESSION_POLL];

	p[POLL_CLIENT] = (struct pollfd){ .fd = r->vm.client, .events = POLLIN };
	p[POLL_CONSOLE] = console_wants(&r->console, r->vm.console);
	p[POLL_SIGNALS] = (struct pollfd){ .fd = r->signals, .events = POLLIN };
	session_poll(&r->session, p + POLL_SESSION);
	if (poll(p, array_len(p), timeout) < 0)
		return;
	session_turn(&r->session, p + POLL_SESSION);
	if (p[POLL_CONSOLE].revents && !console_turn(&r->console, r->vm.console)) {
		close(r->vm.console);
		r->vm.console = -1;
	}
	if (p[POLL_CLIENT].revents)
		vm_events(&r->vm);
	if (p[POLL_SIGNALS].revents)
		take_signals(r);
	take_keys(r);
}

/* The machine is gone; what it wrote before may still be on its way to a slow reader. */
static void drain(struct run *r)
{
	int64_t until = run_now_ms() + DRAIN_MS;
	uint64_t life = session_life(&r->session);

	/* Frames that arrived together with the supervisor's last word. */
	turn(r, 0);
	term_signals();
	while (!session_drained(&r->session) || r->vm.console >= 0 || console_pending(&r->console)) {
		bool normal = r->session.state == SESSION_EXITED && r->cause != STOP_SIGNAL;

		turn(r, 50);
		if (session_life(&r->session) != life && r->cause != STOP_SIGNAL && !r->hurry)
			until = run_now_ms() + DRAIN_MS;
		life = session_life(&r->session);
		if (run_now_ms() >= until && (!normal || session_drained(&r->session)))
			return;
	}
}

void run_loop(struct run *r)
{
	console_open(&r->console, r->tty);
	while (r->vm.client >= 0) {
		turn(r, next_wait(r));
		follow_session(r);
		check_times(r);
	}
	if (!r->over_ms)
		r->over_ms = run_now_ms();
	drain(r);
}
