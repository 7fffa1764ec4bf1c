/* SPDX-License-Identifier: Apache-2.0 */
/* A process that its filter kills is named, with the call; all others pass unharmed. */
#include <sys/types.h>
#include <sys/wait.h>

static void (*between)(pid_t pid);	/* the look at an event of @pid and its being taken */

static int look(idtype_t type, id_t id, siginfo_t *si, int options)
{
	int rc = waitid(type, id, si, options);

	if (rc == 0 && si->si_pid != 0 && between != NULL)
		between(si->si_pid);
	return rc;
}

#define waitid look
#include "jailer/violation.c"
#undef waitid

#include <criterion/criterion.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <sys/prctl.h>

/* Kills the process for getppid() and for nothing else. */
static void forbid_getppid(void)
{
	struct sock_filter insns[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getppid, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog prog = { .len = array_len(insns), .filter = insns };

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
	    prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog) != 0)
		_exit(99);
}

/* What the observer saw of one process, threads included. */
struct seen {
	unsigned killed, exiting, faulted;
	long call;
	pid_t pid, culprit;
	int exit_status;	/* at its last stop */
	int fault;		/* what it crashed of */
	int wait_status;	/* when it was reaped */
};

/* Starts @run under observation and watches it to its end. */
static struct seen watch(void (*run)(void))
{
	struct seen s = { .call = -1 };
	int go[2], status;
	pid_t pid, tid;

	cr_assert_eq(pipe(go), 0);
	pid = fork();
	if (pid == 0) {
		char c;

		if (read(go[0], &c, 1) == 1)
			run();
		_exit(7);
	}
	if (violation_observe(pid) != 0) {
		kill(pid, SIGKILL);
		cr_skip("this host forbids ptrace");
	}
	s.pid = pid;
	cr_assert_eq(write(go[1], "g", 1), 1);
	while ((tid = wait4(-1, &status, __WALL, NULL)) > 0) {
		int how = 0;
		long call = -1;

		if (!WIFSTOPPED(status)) {
			if (tid == pid)
				s.wait_status = status;
			continue;
		}
		switch (violation_stopped(tid, status, &how, &call)) {
		case VIOLATION_KILLED:
			s.killed++;
			s.call = call;
			s.culprit = tid;
			break;
		case VIOLATION_EXITING:
			s.exiting++;
			break;
		case VIOLATION_FAULTED:
			s.faulted++;
			s.fault = how;
			continue;
		case VIOLATION_NONE:
			continue;
		}
		s.exit_status = how;
	}
	if (s.culprit == pid)
		s.culprit = 0;
	return s;
}

static void break_in(void)
{
	forbid_getppid();
	syscall(SYS_getpid);
	syscall(SYS_getppid);
}

Test(violation, the_refused_call_is_named, .timeout = 20)
{
	struct seen s = watch(break_in);

	cr_assert(s.killed == 1 && s.exiting == 0);
	cr_assert_eq(s.call, SYS_getppid);
	cr_assert_str_eq(violation_name(s.call), "getppid");
	cr_assert(WIFSIGNALED(s.wait_status) && WTERMSIG(s.wait_status) == SIGSYS);
	cr_assert_eq(s.exit_status & 0x7f, SIGSYS);
}

static void *thread_breaks_in(void *unused)
{
	break_in();
	return unused;
}

static void *thread_waits(void *unused)
{
	for (;;)
		pause();
	return unused;
}

static void break_in_from_a_thread(void)
{
	pthread_t t[4];

	for (int i = 0; i < 3; i++)
		pthread_create(&t[i], NULL, thread_waits, NULL);
	usleep(20000);
	pthread_create(&t[3], NULL, thread_breaks_in, NULL);
	pthread_join(t[3], NULL);
}

Test(violation, the_culprit_is_told_from_other_threads, .timeout = 20)
{
	struct seen s = watch(break_in_from_a_thread);

	cr_assert(s.killed == 1, "%u culprits", s.killed);
	cr_assert_eq(s.call, SYS_getppid);
	cr_assert_neq(s.culprit, 0);
	cr_assert_neq(violation_process(s.culprit), s.culprit);
	cr_assert_eq(violation_process(s.culprit), s.pid, "it is known whose it is");
	cr_assert_eq(violation_process(s.pid), s.pid);
	cr_assert(WIFSIGNALED(s.wait_status) && WTERMSIG(s.wait_status) == SIGSYS);
}

static void end_well(void)
{
	_exit(5);
}

Test(violation, an_ordinary_end_is_not_a_violation, .timeout = 20)
{
	struct seen s = watch(end_well);

	cr_assert(s.killed == 0 && s.exiting == 1 && s.exit_status == 5 << 8);
	cr_assert_eq(s.wait_status, 5 << 8);
}

static void be_killed(void)
{
	kill(getpid(), SIGKILL);
	pause();
}

Test(violation, a_kill_is_seen_before_the_process_is_gone, .timeout = 20)
{
	struct seen s = watch(be_killed);

	cr_assert(s.killed == 0 && s.exiting == 1 && s.exit_status == SIGKILL);
	cr_assert(WIFSIGNALED(s.wait_status) && WTERMSIG(s.wait_status) == SIGKILL);
}

static void crash(void)
{
	raise(SIGSEGV);
	_exit(6);
}

Test(violation, a_crash_is_final_and_keeps_its_name, .timeout = 20)
{
	struct seen s = watch(crash);

	cr_assert(s.killed == 0 && s.faulted == 1 && s.fault == SIGSEGV);
	cr_assert(WIFSIGNALED(s.wait_status) && WTERMSIG(s.wait_status) == SIGKILL);
}

static volatile sig_atomic_t handled;

static void handler(int sig)
{
	handled = sig;
}

static void handle_a_signal(void)
{
	signal(SIGUSR1, handler);
	raise(SIGUSR1);
	_exit(handled == SIGUSR1 ? 5 : 6);
}

Test(violation, signals_pass_as_if_nobody_watched, .timeout = 20)
{
	cr_assert_eq(watch(handle_a_signal).wait_status, 5 << 8);
}

static void raise_sigsys(void)
{
	raise(SIGSYS);
}

Test(violation, a_sigsys_that_was_sent_is_no_refused_call, .timeout = 20)
{
	struct seen s = watch(raise_sigsys);

	cr_assert(s.killed == 0 && (s.exit_status & 0x7f) == SIGSYS);
}

/* An observer that dies takes the observed with it, and with it the pipe it holds. */
Test(violation, the_end_of_the_observer_is_the_end_of_the_observed, .timeout = 20)
{
	int held[2], status;
	pid_t observer;
	char c;

	cr_assert_eq(pipe(held), 0);
	observer = fork();
	if (observer == 0) {
		pid_t pid = fork();

		if (pid == 0) {
			for (;;)
				pause();
		}
		if (violation_observe(pid) != 0)
			kill(pid, SIGKILL);
		kill(getpid(), SIGKILL);
	}
	close(held[1]);
	cr_assert_eq(waitpid(observer, &status, 0), observer);
	cr_assert_eq(read(held[0], &c, 1), 0);
}

/* ---- before anybody waits ---- */

static pid_t starter;

static void start_thread(void)
{
	pthread_t t;

	pthread_create(&t, NULL, thread_waits, NULL);
	for (;;)
		pause();
}

/* Kills it at the stop that was seen, and waits until it stops again, on its way out. */
static void kill_it(pid_t pid)
{
	siginfo_t si = { 0 };

	if (pid != starter)
		return;
	between = NULL;
	cr_assert_eq(kill(pid, SIGKILL), 0);
	do
		cr_assert_eq(waitid(P_PID, (id_t)pid, &si, WSTOPPED | WNOWAIT | __WALL), 0);
	while (si.si_status >> 8 != PTRACE_EVENT_EXIT);
}

Test(violation, an_end_that_comes_between_look_and_wait_is_kept, .timeout = 20)
{
	int status = 0, how = 0;
	siginfo_t si = { 0 };
	pid_t tid = 0;
	long call;

	starter = fork();
	if (starter == 0) {
		raise(SIGSTOP);
		start_thread();
	}
	cr_assert_eq(waitpid(starter, &status, WUNTRACED), starter);
	if (violation_observe(starter) != 0) {
		kill(starter, SIGKILL);
		cr_skip("this host forbids ptrace");
	}
	cr_assert_not(violation_kept(&tid, &status));
	cr_assert_eq(kill(starter, SIGCONT), 0);
	/* Its stop for the new thread, past the signal's. */
	between = kill_it;
	while (between != NULL && waitid(P_PID, (id_t)starter, &si, WSTOPPED | WNOWAIT | __WALL) == 0) {
		if (si.si_status >> 8 == PTRACE_EVENT_CLONE)
			violation_pump();
		else if (wait4(starter, &status, WNOHANG | __WALL, NULL) == starter)
			violation_stopped(starter, status, &how, &call);
	}
	cr_assert(violation_kept(&tid, &status));
	cr_assert_eq(tid, starter);
	cr_assert_eq(violation_stopped(tid, status, &how, &call), VIOLATION_EXITING);
	cr_assert_eq(how, SIGKILL);
	while ((tid = wait4(-1, &status, __WALL, NULL)) > 0 && tid != starter)
		if (WIFSTOPPED(status))
			violation_stopped(tid, status, &how, &call);
	cr_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	cr_assert_not(violation_kept(&tid, &status));
}
