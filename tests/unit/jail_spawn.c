/* SPDX-License-Identifier: Apache-2.0 */
/* A child of the jailer before its first word: does it notice that the jailer is gone? */
#include "core/log.c"
#include "jailer/capabilities.c"
#include "jailer/failure.c"
#include "jailer/landlock.c"
#include "jailer/limits.c"
#include "jailer/path.c"
#include "jailer/place.c"
#include "jailer/spawn.c"

#include <criterion/criterion.h>

/* Where the jailer dies: what it does for a child, in this order. */
static enum { NEVER, AT_OBSERVE, AT_MAP } dies;

int violation_observe(pid_t pid)
{
	(void)pid;
	if (dies == AT_OBSERVE)
		_exit(0);
	return -EPERM;		/* such a host: nothing but itself tells the child */
}

int namespaces_map(int proc, pid_t pid, uid_t uid, gid_t gid)
{
	(void)proc, (void)pid, (void)uid, (void)gid;
	if (dies == AT_MAP)
		_exit(0);
	return 0;
}

/* The rest of the jailer, of which a child that gets no further has no need. */
int *opened_at(struct opened *o, enum plan_object object, unsigned i) { return &o->fd[object][i]; }
const char *plan_program_name(enum plan_program program) { (void)program; return ""; }
void violation_pump(void) {}
void step_aside(void) {}
void namespaces_limit(int proc, unsigned n) { (void)proc, (void)n; }
int namespaces_cgroup(void) { return 0; }
void cgroup_refused(struct cgroup *cg) { (void)cg; }
int seal(const struct seal_filter *f) { (void)f; return -EPERM; }
const struct seal_filter policy_jail;

/* Starts the VMM, as a jailer that dies at @at, and waits until the child has ended too.  Returns
 * the step that it failed at, and why. */
static const char *start_and_die(int at, int *err)
{
	static struct config c;
	static struct plan p = { .config = &c, .root = true, .nprocs = 1 };
	static struct opened o;
	static struct cgroup cg = { .into = -1 };
	static struct failure f;
	struct spawn s = { .plan = &p, .opened = &o, .cgroup = &cg };
	pid_t jailer;

	o.program[PROGRAM_VMM] = open("/", O_PATH | O_CLOEXEC);
	cr_assert_eq(spawn_prepare(&s, &f), 0, "%s", f.text);
	cr_assert_eq(prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0), 0);
	dies = at;
	jailer = fork();
	if (jailer == 0) {
		(void)!spawn_all(&s, &f);
		waitpid(s.pid[0], NULL, 0);
		_exit(0);
	}
	while (waitpid(-1, NULL, __WALL) > 0)
		;
	cr_assert_eq(errno, ECHILD);
	return spawn_failed_step(&s, 0, err);
}

Test(spawn, a_child_that_was_let_in_goes_on, .timeout = 60)
{
	int err;

	/* It has no ids: here nobody gave it any. */
	cr_assert_str_eq(start_and_die(NEVER, &err), step_names[STEP_IDS]);
}

Test(spawn, a_child_notices_at_once_that_the_jailer_is_gone, .timeout = 60)
{
	int err;

	cr_assert_str_eq(start_and_die(AT_OBSERVE, &err), step_names[STEP_PARENT]);
	cr_assert_eq(err, EPIPE, "not by its parent's end: %s", strerror(err));
	cr_assert_str_eq(start_and_die(AT_MAP, &err), step_names[STEP_PARENT]);
	cr_assert_eq(err, EPIPE, "not by its parent's end: %s", strerror(err));
}
