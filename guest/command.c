/* SPDX-License-Identifier: Apache-2.0 */
/* command.c: fork, become the user, find the program, execute it.
 *
 * The child tells how far it came through a close-on-exec pipe: end of file means that the
 * program runs, a report says which step failed and why.  PATH is searched by the child, after
 * it changed user and directory, with the environment the program will see: what a shell in
 * that place would find. */
#include "guest/command.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define DEFAULT_PATH "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

enum step { STEP_STDIO, STEP_TERMINAL, STEP_USER, STEP_DIRECTORY, STEP_FIND, STEP_EXEC };

struct report {
	enum step step;
	int err;
};

static const char *env_get(const struct start *s, const char *name)
{
	size_t len = strlen(name);

	for (uint32_t i = 0; i < s->envc; i++)
		if (strncmp(s->env[i], name, len) == 0 && s->env[i][len] == '=')
			return s->env[i] + len + 1;
	return NULL;
}

static void env_default(struct start *s, char *entry, const char *name)
{
	if (env_get(s, name) || s->envc >= PROTO_ARGS_MAX + START_ENV_EXTRA)
		return;
	s->env[s->envc++] = entry;
	s->env[s->envc] = NULL;
}

static void add_defaults(struct start *s, const struct identity *id)
{
	static char path[] = "PATH=" DEFAULT_PATH, term[] = "TERM=xterm";
	static char home[5 + USERS_HOME];

	snprintf(home, sizeof(home), "HOME=%s", id->home);
	env_default(s, path, "PATH");
	env_default(s, home, "HOME");
	if (s->tty)
		env_default(s, term, "TERM");
}

/* PID 1 ignores SIGPIPE and blocks SIGCHLD; neither is for the command. */
static void reset_signals(void)
{
	sigset_t none;

	for (int sig = 1; sig < NSIG; sig++)
		signal(sig, SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

static enum step become(const struct start *s, const struct identity *id,
			const struct command_fds *io)
{
	setsid();
	if (dup2(io->in, 0) < 0 || dup2(io->out, 1) < 0 || dup2(io->err, 2) < 0)
		return STEP_STDIO;
	if (io->tty && ioctl(0, TIOCSCTTY, 0) < 0)
		return STEP_TERMINAL;
	umask(022);
	if (setgroups(id->ngroups, id->groups) < 0 || setresgid(id->gid, id->gid, id->gid) < 0 ||
	    setresuid(id->uid, id->uid, id->uid) < 0)
		return STEP_USER;
	if (chdir(s->dir[0] ? s->dir : "/") < 0)
		return STEP_DIRECTORY;
	return STEP_EXEC;
}

/* execve() along PATH.  Returns only on failure: FIND with ENOENT when there is no such file,
 * EXEC with the reason when there is one. */
static struct report search(const struct start *s)
{
	struct report why = { STEP_FIND, ENOENT };
	const char *name = s->argv[0], *dir = env_get(s, "PATH"), *end;
	char file[PATH_MAX];

	for (; dir; dir = *end ? end + 1 : NULL) {
		int n;

		end = strchrnul(dir, ':');
		n = snprintf(file, sizeof(file), "%.*s%s%s", (int)(end - dir), dir,
			     end == dir ? "" : "/", name);
		if (n < 0 || (size_t)n >= sizeof(file))
			continue;
		execve(file, s->argv, s->env);
		if (errno == ENOTDIR || errno == ENAMETOOLONG)
			continue;
		/* ENOENT for a file that is there: its interpreter is missing. */
		if (errno == ENOENT && access(file, F_OK) < 0)
			continue;
		if (why.step == STEP_FIND)
			why = (struct report){ STEP_EXEC, errno };
		/* As a shell: what may not be executed here may be executable further on. */
		if (errno != EACCES)
			break;
	}
	return why;
}

static struct report execute(const struct start *s)
{
	const char *name = s->argv[0];
	int err;

	if (!strchr(name, '/'))
		return search(s);
	execve(name, s->argv, s->env);
	err = errno;
	if ((err == ENOENT || err == ENOTDIR) && access(name, F_OK) < 0)
		return (struct report){ STEP_FIND, err };
	return (struct report){ STEP_EXEC, err };
}

static _Noreturn void child(const struct start *s, const struct identity *id,
			    const struct command_fds *io, int report_fd)
{
	struct report why;

	why.step = become(s, id, io);
	why.err = errno;
	if (why.step == STEP_EXEC) {
		reset_signals();
		why = execute(s);
	}
	if (write(report_fd, &why, sizeof(why)) < 0) {
		/* The parent takes our end for success and reports exit status 127. */
	}
	_exit(127);
}

static int explain(struct fail *f, const struct start *s, const struct report *why)
{
	switch (why->step) {
	case STEP_STDIO:
		return fail_errno(f, why->err, "standard streams of the command");
	case STEP_TERMINAL:
		return fail_errno(f, why->err, "controlling terminal of the command");
	case STEP_USER:
		return fail_errno(f, why->err, "change to user '%.64s'", s->user);
	case STEP_DIRECTORY:
		return fail_errno(f, why->err, "directory '%.256s' (-w)", s->dir);
	case STEP_FIND:
		return fail(f, PROTO_FAIL_NOTFOUND, "%.256s: not found%s", s->argv[0],
			    strchr(s->argv[0], '/') ? " in the root file system" : " in PATH");
	case STEP_EXEC:
		break;
	}
	if (why->err == ENOENT)
		return fail(f, PROTO_FAIL_NOTFOUND,
			    "%.256s: found, but its interpreter or dynamic loader is not in "
			    "the root file system", s->argv[0]);
	fail_errno(f, why->err, "%.256s: cannot be executed", s->argv[0]);
	f->kind = PROTO_FAIL_NOEXEC;
	return -1;
}

pid_t command_start(struct start *s, const struct identity *id, const struct command_fds *io,
		    struct fail *f)
{
	struct report why;
	int pipefd[2];
	ssize_t n;
	pid_t pid;

	add_defaults(s, id);
	if (pipe2(pipefd, O_CLOEXEC) < 0)
		return fail_errno(f, errno, "pipe");
	pid = fork();
	if (pid == 0)
		child(s, id, io, pipefd[1]);
	close(pipefd[1]);
	if (pid < 0) {
		close(pipefd[0]);
		return fail_errno(f, errno, "fork");
	}
	do
		n = read(pipefd[0], &why, sizeof(why));
	while (n < 0 && errno == EINTR);
	close(pipefd[0]);
	if (n != sizeof(why))
		return pid;
	waitpid(pid, NULL, 0);
	return explain(f, s, &why);
}
