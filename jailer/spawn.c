/* SPDX-License-Identifier: Apache-2.0 */
/* spawn.c: from the jailer to a confined program, step by step.
 *
 * clone3() makes a child in a user namespace of its own (and, with cgroup v2, in the VM's
 * cgroup).  The child may not go on before its ids are mapped and it is under observation,
 * both of which only the parent can do; meanwhile it does what needs neither.  Then it waits at a
 * pipe: a byte lets it go on, the pipe's end tells that the jailer is gone, which nothing else
 * would before the child is observed or has made its parent's death its own.  Shared memory
 * carries home the step and the error of a child that fails: it has no other voice before exec.
 *
 * The order in the child is dictated by what each step takes away:
 *   descriptors, cgroup namespace, bounding set and securebits (need capabilities)
 *   → ids (need CAP_SETUID; and they reset what prctl() set before)
 *   → capabilities
 *   → die with the parent, no_new_privs, no writable-executable memory
 *   → Landlock (may still open: nothing but the program)
 *   → limits → coarse filter (allows one exec, of one descriptor) → exec.
 * A step that fails ends the child, and with it the VM. */
#include "jailer/spawn.h"
#include "core/aside.h"
#include "core/seal.h"
#include "jailer/capabilities.h"
#include "jailer/landlock.h"
#include "jailer/limits.h"
#include "jailer/namespaces.h"
#include "jailer/path.h"
#include "jailer/place.h"
#include "jailer/violation.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
	FD_PROGRAM = 0,		/* closed by exec; see execveat in policy/jail.policy */
	FAILED_STATUS = 127,
};

enum step {
	STEP_NONE, STEP_DESCRIPTORS, STEP_CGROUP, STEP_BOUND, STEP_PARENT, STEP_IDS, STEP_DROP,
	STEP_PRCTL, STEP_LANDLOCK, STEP_LIMITS, STEP_FILTER, STEP_EXEC, STEPS
};

static const char *const step_names[STEPS] = {
	[STEP_DESCRIPTORS] = "place descriptors",
	[STEP_CGROUP] = "make a cgroup namespace",
	[STEP_BOUND] = "empty the capability bounding set",
	[STEP_PARENT] = "wait for the jailer",
	[STEP_IDS] = "change user and group",
	[STEP_DROP] = "drop capabilities",
	[STEP_PRCTL] = "set process attributes",
	[STEP_LANDLOCK] = "set up Landlock",
	[STEP_LIMITS] = "set resource limits (is the hard limit of open files too low?)",
	[STEP_FILTER] = "install the system call filter",
	[STEP_EXEC] = "execute the program (is it executable for all users?)",
};

struct spawn_slot {
	uint32_t step;		/* enum step that failed */
	int32_t err;
};

/* ---- the child ---- */

/* The pipe's number: behind those of the plan; closed when its word has come. */
static int gate_number(const struct plan_process *pp)
{
	int last = FD_PROGRAM;

	for (unsigned i = 0; i < pp->nfds; i++)
		last = pp->fd[i].number > last ? pp->fd[i].number : last;
	return last + 1;
}

static int place_descriptors(const struct spawn *s, const struct plan_process *pp)
{
	struct place all[PLAN_FDS + 2];
	int gate = gate_number(pp), rc;
	size_t n = 0;

	for (; n < pp->nfds; n++) {
		const struct plan_fd *fd = &pp->fd[n];

		all[n].from = *opened_at(s->opened, fd->object, fd->index);
		all[n].to = fd->number;
	}
	all[n++] = (struct place){ s->opened->program[pp->program], FD_PROGRAM };
	all[n++] = (struct place){ s->gate[0], gate };
	rc = place_all(all, n, gate + 1);
	if (rc != 0)
		return rc;
	/* What the jailer was started with, where nothing took its number; all else is
	 * close-on-exec. */
	if (*opened_at(s->opened, OBJ_PAGES, 0) < 0)
		close(STDOUT_FILENO);
	return fcntl(FD_PROGRAM, F_SETFD, FD_CLOEXEC) < 0 ? -errno : 0;
}

static int wait_for_parent(int gate)
{
	char go;
	ssize_t n = read(gate, &go, sizeof(go));
	int err = n < 0 ? errno : EPIPE;

	close(gate);
	return n == (ssize_t)sizeof(go) ? 0 : -err;
}

/* Raw system calls: the C library's would look for other threads to tell. */
static int change_ids(const struct spawn *s, const struct plan_process *pp)
{
	/* Rootless: setgroups() was given up for the right to map ids (user_namespaces(7)). */
	if (s->plan->root && syscall(SYS_setgroups, 0, NULL) < 0)
		return -errno;
	if (syscall(SYS_setresgid, pp->gid, pp->gid, pp->gid) < 0 ||
	    syscall(SYS_setresuid, pp->uid, pp->uid, pp->uid) < 0)
		return -errno;
	return 0;
}

static int set_attributes(void)
{
	if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0 ||
	    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return -errno;
	return limits_code();
}

static int execute(const struct plan_process *pp)
{
	char number[4] = { (char)('0' + pp->device) };
	const char *argv[] = { plan_program_name(pp->program), number, NULL };
	const char *envp[] = { NULL };

	if (pp->program == PROGRAM_VMM)
		argv[1] = NULL;
	syscall(SYS_execveat, FD_PROGRAM, "", argv, envp, AT_EMPTY_PATH);
	return -errno;
}

static int take_step(enum step step, const struct spawn *s, unsigned index)
{
	const struct plan_process *pp = &s->plan->proc[index];
	struct landlock_allow program = {
		FD_PROGRAM, LANDLOCK_EXECUTE | LANDLOCK_READ_FILE,
	};

	switch (step) {
	case STEP_DESCRIPTORS:
		namespaces_limit(s->proc, 0);	/* whose number another descriptor may take now */
		return place_descriptors(s, pp);
	case STEP_CGROUP: return namespaces_cgroup();
	case STEP_BOUND: return capabilities_bound();
	case STEP_PARENT: return wait_for_parent(gate_number(pp));
	case STEP_IDS: return change_ids(s, pp);
	case STEP_DROP: return capabilities_drop();
	case STEP_PRCTL: return set_attributes();
	case STEP_LANDLOCK: return landlock_deny(s->landlock, LANDLOCK_SCOPE_ALL, &program, 1);
	case STEP_LIMITS: return limits_apply(&pp->limits, s->opened->disk_size[pp->device]);
	case STEP_FILTER: return seal(&policy_jail);
	case STEP_EXEC: return execute(pp);
	case STEP_NONE:
	case STEPS: break;
	}
	return -EINVAL;
}

static _Noreturn void child(const struct spawn *s, unsigned index)
{
	struct spawn_slot *slot = &s->slots[index];
	sigset_t none;

	close(s->gate[1]);	/* the jailer's alone, so that it ends with the jailer */
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	for (unsigned step = STEP_DESCRIPTORS; step < STEPS; step++) {
		int rc = take_step(step, s, index);

		if (rc != 0) {
			slot->err = -rc;
			__atomic_store_n(&slot->step, step, __ATOMIC_RELEASE);
			break;
		}
	}
	_exit(FAILED_STATUS);
}

/* ---- the parent ---- */

static pid_t clone_child(const struct spawn *s, int *pidfd)
{
	struct clone_args args = {
		.flags = CLONE_NEWUSER | CLONE_PIDFD, .exit_signal = SIGCHLD,
		.pidfd = (uint64_t)(uintptr_t)pidfd,
	};

	if (s->cgroup->into >= 0) {
		args.flags |= CLONE_INTO_CGROUP;
		args.cgroup = (unsigned)s->cgroup->into;
	}
	return (pid_t)syscall(SYS_clone3, &args, sizeof(args));
}

/* The first process of a PID namespace takes it along; the kernel then has "no memory" for another
 * one. */
static bool first_is_dead(const struct spawn *s)
{
	siginfo_t si = { 0 };

	return s->pid[0] > 0 && waitid(P_PID, (id_t)s->pid[0], &si,
				       WEXITED | WSTOPPED | WNOHANG | WNOWAIT | __WALL) == 0 &&
	       si.si_pid != 0;
}

/* Does for child @index what it cannot do itself, and lets it go on. */
static int admit(struct spawn *s, unsigned index, struct failure *f)
{
	const struct plan_process *pp = &s->plan->proc[index];
	int rc;

	if (violation_observe(s->pid[index]) != 0)
		s->traced = false;
	rc = namespaces_map(s->proc, s->pid[index], pp->uid, pp->gid);
	if (rc != 0)
		return fail(f, -rc, "root of a user namespace is not enough: run it as a user",
			    "map the ids of %s", pp->name);
	/* One that is dead by now is the supervisor's to find. */
	(void)!write(s->gate[1], "", 1);
	return 0;
}

static int start(struct spawn *s, unsigned index, struct failure *f)
{
	const struct plan_process *pp = &s->plan->proc[index];
	int *pidfd = opened_at(s->opened, OBJ_PID, index), rc;
	pid_t pid;

	if (pipe2(s->gate, O_CLOEXEC) < 0)
		return fail(f, errno, NULL, "make a pipe");
	pid = clone_child(s, pidfd);
	/* A cgroup that was delegated together with us may still not be entered from here. */
	if (pid < 0 && s->cgroup->into >= 0 && !s->plan->root) {
		cgroup_refused(s->cgroup);
		pid = clone_child(s, pidfd);
	}
	if (pid == 0)
		child(s, index);
	if (pid < 0 && errno == ENOMEM && first_is_dead(s))
		return fail(f, 0, NULL, "process %s died before %s was started",
			    s->plan->proc[0].name, pp->name);
	if (pid < 0)
		return fail(f, errno, "run `immure doctor`", "start %s", pp->name);
	s->pid[index] = pid;
	close(s->gate[0]);
	rc = admit(s, index, f);
	close(s->gate[1]);
	return rc;
}

int spawn_prepare(struct spawn *s, struct failure *f)
{
	s->traced = true;
	s->landlock = landlock_abi();
	s->proc = path_open(AT_FDCWD, "/proc", O_PATH | O_DIRECTORY, PATH_HOST_DIRECT);
	if (s->proc < 0)
		return fail(f, -s->proc, "mount /proc", "open /proc");
	s->slots = mmap(NULL, PLAN_PROCESSES * sizeof(*s->slots), PROT_READ | PROT_WRITE,
			MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (s->slots == MAP_FAILED)
		return fail(f, errno, NULL, "map shared memory");
	return 0;
}

int spawn_all(struct spawn *s, struct failure *f)
{
	for (unsigned i = 0; i < s->plan->nprocs; i++) {
		if (start(s, i, f) != 0)
			return -1;
		if (i == 0)	/* the VMM has the longest way to go */
			step_aside();
		violation_pump();
	}
	return 0;
}

const char *spawn_failed_step(const struct spawn *s, unsigned index, int *err)
{
	uint32_t step = __atomic_load_n(&s->slots[index].step, __ATOMIC_ACQUIRE);

	*err = s->slots[index].err;
	return step > STEP_NONE && step < STEPS ? step_names[step] : NULL;
}
