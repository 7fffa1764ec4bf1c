/* SPDX-License-Identifier: Apache-2.0 */
/*
 * agent PORT [UID CGROUP]: process 1 of the test host once its file systems stand.
 *
 * Tells the relay outside that it is ready, receives the job, runs it with pipes as its three
 * streams and carries them as frames (frame.h) over the virtio port until the command's own
 * process ends. Output that is in the pipes at that moment still goes out; what background
 * children write later does not. With UID the command runs as that user without supplementary
 * groups, in CGROUP. The environment is the agent's own, set by the boot scripts.
 *
 * Writing to the port blocks when the reader outside is slow, and so does the command then:
 * back pressure. Standard input is kept to one piece under way, so reading the port never
 * blocks on a command that does not read its input.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>

#include "frame.h"
#include "report.h"

#define JOB_MAX	  (2u << 20)
#define WORDS_MAX 4096

enum pump {
	PUMP_PORT,
	PUMP_SIGNAL,
	PUMP_IN,
	PUMP_OUT,
	PUMP_ERR,
	PUMPS,
};

struct agent {
	struct pollfd fds[PUMPS];
	struct frame frame; /* scratch for what is sent */
	struct frame input; /* the one piece of input under way */
	size_t input_done;  /* bytes of it the command has */
	pid_t command;
	bool ended;
	int status;
};

static char job[JOB_MAX];
static char *words[WORDS_MAX];

/* The test host is over: the relay notices by the end of the console and the port. */
static _Noreturn void give_up(const char *what)
{
	perror(what);
	exit(1);
}

/* Receives the job; returns the working directory and fills WORDS, NULL-terminated. */
static const char *receive_job(int port, struct frame *frame)
{
	size_t used = 0, n = 0;

	do {
		if (!frame_receive(port, frame) || frame->type != FRAME_JOB ||
		    frame->len > sizeof(job) - used)
			give_up("agent: receive the job");
		memcpy(job + used, frame->data, frame->len);
		used += frame->len;
	} while (frame->len > 0);
	for (char *p = job; p < job + used; p += strlen(p) + 1) {
		if (n == WORDS_MAX - 1)
			give_up("agent: too many words");
		words[n++] = p;
	}
	return words[0];
}

static void become_user(uid_t uid, const char *cgroup)
{
	char path[256];
	int fd;

	snprintf(path, sizeof(path), "%s/cgroup.procs", cgroup);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0 || !write_all(fd, "0", 1))
		give_up(path);
	if (setgroups(0, NULL) < 0 || setresgid(uid, uid, uid) < 0 ||
	    setresuid(uid, uid, uid) < 0)
		give_up("agent: become the user");
}

static _Noreturn void run_command(char *const *argv, const char *cwd, const int *streams)
{
	sigset_t none;

	for (int i = 0; i < 3; i++)
		dup2(streams[i], i);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	setsid();
	if (argv[2])
		become_user((uid_t)strtoul(argv[2], NULL, 10), argv[3]);
	if (chdir(cwd) < 0) {
		fprintf(stderr, "testhost: %s: %s (not there inside the test host)\n", cwd,
			strerror(errno));
		_exit(125);
	}
	execvp(words[1], words + 1);
	fprintf(stderr, "testhost: %s: %s\n", words[1], strerror(errno));
	_exit(errno == ENOENT ? 127 : 126);
}

/* Starts the command; the ends of its pipes that stay here go into a->fds. */
static void start(struct agent *a, char *const *argv, const char *cwd)
{
	int in[2], out[2], err[2];

	if (pipe2(in, O_CLOEXEC) < 0 || pipe2(out, O_CLOEXEC) < 0 || pipe2(err, O_CLOEXEC) < 0)
		give_up("agent: pipe");
	a->command = fork();
	if (a->command < 0)
		give_up("agent: fork");
	if (a->command == 0)
		run_command(argv, cwd, (const int[]){ in[0], out[1], err[1] });
	close(in[0]);
	close(out[1]);
	close(err[1]);
	fcntl(in[1], F_SETFL, O_NONBLOCK);
	a->fds[PUMP_IN] = (struct pollfd){ .fd = in[1], .events = 0 };
	a->fds[PUMP_OUT] = (struct pollfd){ .fd = out[0], .events = POLLIN };
	a->fds[PUMP_ERR] = (struct pollfd){ .fd = err[0], .events = POLLIN };
}

static void send_frame(struct agent *a, enum frame_type type, size_t len)
{
	if (!frame_send(a->fds[PUMP_PORT].fd, &a->frame, type, len))
		give_up("agent: write to the port");
}

static void close_pump(struct pollfd *p)
{
	close(p->fd);
	p->fd = -1;
	p->revents = 0;
}

/* Hands the pending piece of input on as far as the pipe takes it. */
static void feed(struct agent *a)
{
	struct pollfd *p = &a->fds[PUMP_IN];
	size_t left = a->input.len - a->input_done;
	ssize_t n = 0;

	if (p->fd >= 0 && left > 0) {
		n = write(p->fd, a->input.data + a->input_done, left);
		if (n < 0 && errno == EAGAIN)
			n = 0;
	}
	if (n < 0 || a->input.len == 0)
		close_pump(p); /* nobody reads any more, or it was the end of the input */
	a->input_done = p->fd < 0 ? a->input.len : a->input_done + (size_t)n;
	p->events = a->input_done < a->input.len ? POLLOUT : 0;
	if (p->events == 0 && p->fd >= 0)
		send_frame(a, FRAME_MORE, 0);
}

static void take_port(struct agent *a)
{
	static struct frame got;

	if (!frame_receive(a->fds[PUMP_PORT].fd, &got))
		give_up("agent: read from the port");
	if (got.type == FRAME_INPUT) {
		a->input = got;
		a->input_done = 0;
		if (a->fds[PUMP_IN].fd >= 0)
			feed(a);
	} else if (got.type == FRAME_WHERE) {
		send_frame(a, FRAME_REPORT, report(a->frame.data, FRAME_MAX));
	}
}

static void reap(struct agent *a)
{
	struct signalfd_siginfo info;
	pid_t pid;
	int status;

	if (read(a->fds[PUMP_SIGNAL].fd, &info, sizeof(info)) < 0)
		return;
	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		if (pid != a->command)
			continue;
		a->ended = true;
		a->status = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
	}
}

/* Carries at most LIMIT bytes from an output pipe; closes it at its end. */
static size_t carry(struct agent *a, enum pump which, size_t limit)
{
	struct pollfd *p = &a->fds[which];
	ssize_t n = read(p->fd, a->frame.data, limit < FRAME_MAX ? limit : FRAME_MAX);

	if (n <= 0) {
		close_pump(p);
		return 0;
	}
	send_frame(a, which == PUMP_OUT ? FRAME_OUT : FRAME_ERR, (size_t)n);
	return (size_t)n;
}

/* Carries what is in an output pipe now, and no more: a background child may go on writing. */
static void drain(struct agent *a, enum pump which)
{
	int held = 0;
	size_t n;

	if (a->fds[which].fd < 0 || ioctl(a->fds[which].fd, FIONREAD, &held) < 0)
		return;
	for (size_t left = (size_t)held; left > 0; left -= n) {
		n = carry(a, which, left);
		if (n == 0)
			return;
	}
}

static void pump(struct agent *a)
{
	while (!a->ended) {
		if (poll(a->fds, PUMPS, -1) < 0)
			continue;
		if (a->fds[PUMP_OUT].revents)
			carry(a, PUMP_OUT, FRAME_MAX);
		if (a->fds[PUMP_ERR].revents)
			carry(a, PUMP_ERR, FRAME_MAX);
		if (a->fds[PUMP_IN].revents & POLLERR)
			close_pump(&a->fds[PUMP_IN]); /* nobody reads any more */
		else if (a->fds[PUMP_IN].revents)
			feed(a);
		if (a->fds[PUMP_SIGNAL].revents)
			reap(a);
		if (a->fds[PUMP_PORT].revents)
			take_port(a);
	}
}

int main(int argc, char **argv)
{
	static struct agent a;
	sigset_t child;
	const char *cwd;
	int port;

	port = argc >= 2 ? open(argv[1], O_RDWR | O_CLOEXEC) : -1;
	if (port < 0)
		give_up("agent: open the port");
	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&child);
	sigaddset(&child, SIGCHLD);
	sigprocmask(SIG_BLOCK, &child, NULL);
	a.fds[PUMP_PORT] = (struct pollfd){ .fd = port, .events = POLLIN };
	a.fds[PUMP_SIGNAL].fd = signalfd(-1, &child, SFD_CLOEXEC | SFD_NONBLOCK);
	a.fds[PUMP_SIGNAL].events = POLLIN;

	send_frame(&a, FRAME_READY, read_text("/run/testhost/times", a.frame.data, FRAME_MAX));
	cwd = receive_job(port, &a.frame);
	start(&a, argv, cwd);
	send_frame(&a, FRAME_MORE, 0);
	pump(&a);
	drain(&a, PUMP_OUT);
	drain(&a, PUMP_ERR);
	sync();
	memcpy(a.frame.data, &a.status, sizeof(int32_t));
	send_frame(&a, FRAME_END, sizeof(int32_t));
	for (;;)
		pause();
}
