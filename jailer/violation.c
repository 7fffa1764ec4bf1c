/* SPDX-License-Identifier: Apache-2.0 */
/* violation.c: ptrace, used for nothing but a task's last stop.
 *
 * When a filter kills a process, the kernel first rolls the registers of the calling task back
 * to what they were at the call: the number is in the result register again as well as in the
 * one that keeps it.  Other threads of the process die with the same status but show an
 * interrupted call's error or none there, which tells the culprit from the bystanders.
 *
 * A crash has to be made final here.  The VMM is process 1 of its PID namespace, and the kernel
 * takes no signal to that one serious but SIGKILL; a fault it would make fatal all the same,
 * unless somebody traces it.  So the fault would come, be ignored, and come again, for ever.
 *
 * All other stops (a new thread, a signal, a stop signal) are passed on as if nobody watched.
 */
#include "jailer/violation.h"

#include "core/fdplan.h"
#include "syscall_names.h"

#include <errno.h>
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

/* As many as all processes of a VM may start. */
enum { THREADS = PLAN_VCPUS + 2 + PLAN_DEVICES * PLAN_BLK_THREADS };

/* Threads, and the processes they are of. */
static struct { pid_t tid, process; } started[THREADS];
static unsigned nstarted;

/* Not the C library's ptrace(): its PEEKUSER reports errors through errno. */
static long trace(long request, pid_t tid, unsigned long addr, unsigned long data)
{
	return syscall(SYS_ptrace, request, (long)tid, addr, data);
}

int violation_observe(pid_t pid)
{
	unsigned long options = PTRACE_O_TRACEEXIT | PTRACE_O_EXITKILL | PTRACE_O_TRACECLONE;

	return trace(PTRACE_SEIZE, pid, 0, options) < 0 ? -errno : 0;
}

/* @tid stopped because it has started a thread. */
static void remember(pid_t tid)
{
	unsigned long message = 0;

	if (nstarted == THREADS || trace(PTRACE_GETEVENTMSG, tid, 0, (unsigned long)&message) < 0)
		return;
	started[nstarted].tid = (pid_t)message;
	started[nstarted++].process = violation_process(tid);
}

pid_t violation_process(pid_t tid)
{
	for (unsigned i = 0; i < nstarted; i++)
		if (started[i].tid == tid)
			return started[i].process;
	return tid;
}

/* The refused call's number, or -1 when @tid was not the caller. */
static long refused_call(pid_t tid)
{
#if defined(__x86_64__)
	unsigned long result = 0, number = 1;

	if (trace(PTRACE_PEEKUSER, tid, offsetof(struct user_regs_struct, rax),
		  (unsigned long)&result) < 0 ||
	    trace(PTRACE_PEEKUSER, tid, offsetof(struct user_regs_struct, orig_rax),
		  (unsigned long)&number) < 0)
		return -1;
	return result == number ? (long)number : -1;
#else
	(void)tid;
	return -1;
#endif
}

static enum violation_stop exiting(pid_t tid, int *status, long *nr)
{
	enum violation_stop what = VIOLATION_NONE;
	unsigned long message = 0;

	if (trace(PTRACE_GETEVENTMSG, tid, 0, (unsigned long)&message) == 0) {
		*status = (int)message;
		what = VIOLATION_EXITING;
	}
	if (what == VIOLATION_EXITING && (message & 0x7f) == SIGSYS) {
		*nr = refused_call(tid);
		if (*nr >= 0)
			what = VIOLATION_KILLED;
	}
	trace(PTRACE_CONT, tid, 0, 0);
	return what;
}

static bool stop_signal(int sig)
{
	return sig == SIGSTOP || sig == SIGTSTP || sig == SIGTTIN || sig == SIGTTOU;
}

/* What a processor exception, abort() or a failed check ends in; none of our programs handles
 * one of these. */
static bool crash_signal(int sig)
{
	return sig == SIGSEGV || sig == SIGBUS || sig == SIGILL || sig == SIGFPE ||
	       sig == SIGABRT || sig == SIGTRAP;
}

enum violation_stop violation_stopped(pid_t tid, int wait_status, int *status, long *nr)
{
	int event = wait_status >> 16, sig = WSTOPSIG(wait_status);

	if (event == PTRACE_EVENT_EXIT)
		return exiting(tid, status, nr);
	if (event == 0 && crash_signal(sig)) {
		*status = sig;
		trace(PTRACE_CONT, tid, 0, SIGKILL);
		return VIOLATION_FAULTED;
	}
	if (event == PTRACE_EVENT_CLONE)
		remember(tid);
	if (event == PTRACE_EVENT_STOP && stop_signal(sig))
		trace(PTRACE_LISTEN, tid, 0, 0);
	else
		trace(PTRACE_CONT, tid, 0, event == 0 ? (unsigned long)sig : 0);
	return VIOLATION_NONE;
}

static bool only_started(int event)
{
	return event == PTRACE_EVENT_CLONE || event == PTRACE_EVENT_STOP;
}

/* What violation_pump() got and could not give back; tid 0: nothing. */
static struct { pid_t tid; int wait_status; } kept;

void violation_pump(void)
{
	int wait_status, status;
	siginfo_t si;
	long nr;

	while (kept.tid == 0) {
		si.si_pid = 0;
		if (waitid(P_ALL, 0, &si, WSTOPPED | WNOHANG | WNOWAIT | __WALL) < 0)
			return;
		if (si.si_pid == 0 || si.si_code != CLD_TRAPPED || !only_started(si.si_status >> 8))
			return;
		if (wait4(si.si_pid, &wait_status, WNOHANG | __WALL, NULL) <= 0)
			return;
		/* There is no taking a stop on condition of what it is for. */
		if (WIFSTOPPED(wait_status) && only_started(wait_status >> 16)) {
			violation_stopped(si.si_pid, wait_status, &status, &nr);
		} else {
			kept.tid = si.si_pid;
			kept.wait_status = wait_status;
		}
	}
}

bool violation_kept(pid_t *tid, int *wait_status)
{
	*tid = kept.tid;
	*wait_status = kept.wait_status;
	kept.tid = 0;
	return *tid != 0;
}

const char *violation_name(long nr)
{
	if (nr < 0 || (size_t)nr >= array_len(syscall_names) || syscall_names[nr][0] == 0)
		return "unknown";
	return syscall_names[nr];
}
