/* SPDX-License-Identifier: Apache-2.0 */
/*
 * relay [-c] [-t] -l SECONDS -n WORDS -- QEMU WORDS... COMMAND...
 * relay -k
 *
 * The outside end of the test host: starts QEMU (the first WORDS words), hands COMMAND to the
 * agent inside, carries the three streams and exits with the command's status; with 125 and
 * a reason when the test host died or the time limit came. QEMU finds the agent's socket as
 * descriptor 3 and writes its serial console, and its own messages, to descriptor 4.
 *
 *   -c  copy the console to standard error as it comes
 *   -t  print at the end where the time went
 *   -k  measure and print the frequency of the TSC in kHz, for the kernel command line
 *
 * There are no files to leave behind, and QEMU dies with this process however that ends: by
 * the parent-death signal. Signals are blocked except in ppoll(), so each wait sees them.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <x86intrin.h>

#include "frame.h"

#define STATUS_FAILED 125
#define REPORT_WAIT   15.0 /* seconds a busy test host gets to answer WHERE */
#define CONSOLE_KEPT  4096

enum outcome {
	RUNNING,
	ENDED,
	DIED,
	EXPIRED,
	BROKEN_PIPE,
};

struct relay {
	pid_t qemu;
	int agent;
	int console;
	bool copy_console;
	bool print_times;
	bool feeding; /* MORE came: standard input is wanted */
	bool input_ended;
	bool asked; /* WHERE was sent */
	enum outcome outcome;
	int status;
	double limit, started, ready;
	char *const *command;
	char boot[128];	 /* what READY says about the start-up */
	struct frame in; /* being received */
	size_t in_got;
	struct frame out;
	char console_tail[CONSOLE_KEPT];
	size_t console_len;
};

static volatile sig_atomic_t caught;
static sigset_t unblocked;

static void on_signal(int sig)
{
	caught = sig;
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static _Noreturn void die(const char *what)
{
	fprintf(stderr, "testhost: %s: %s\n", what, strerror(errno));
	exit(STATUS_FAILED);
}

/* The calibration a kernel without PM timer or HPET cannot do on a busy machine. */
static void print_tsc_khz(void)
{
	double t0 = now();
	unsigned long long c0 = __rdtsc(), c1;
	double t1;

	usleep(20000);
	t1 = now();
	c1 = __rdtsc();
	printf("%.0f\n", (double)(c1 - c0) / (t1 - t0) / 1e3);
}

static void spawn_qemu(struct relay *r, char **words, size_t n)
{
	int agent[2], console[2];
	pid_t parent = getpid();

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, agent) < 0 ||
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, console) < 0)
		die("socketpair");
	r->agent = agent[0];
	r->console = console[0];
	r->qemu = fork();
	if (r->qemu < 0)
		die("fork");
	if (r->qemu == 0) {
		/* above the numbers they will get, so that no dup2 hits a source */
		int a = fcntl(agent[1], F_DUPFD_CLOEXEC, 10);
		int c = fcntl(console[1], F_DUPFD_CLOEXEC, 10);
		int null = open("/dev/null", O_RDWR | O_CLOEXEC);

		dup2(null, 0);
		dup2(c, 1);
		dup2(c, 2);
		dup2(a, 3);
		dup2(c, 4);
		sigprocmask(SIG_SETMASK, &unblocked, NULL);
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		words[n] = NULL;
		if (getppid() == parent)
			execvp(words[0], words);
		perror(words[0]);
		_exit(127);
	}
	close(agent[1]);
	close(console[1]);
}

/* Waits for EVENTS on the N descriptors until DEADLINE; notices signals. */
static int wait_for(struct pollfd *fds, nfds_t n, double deadline)
{
	double left = deadline - now();
	struct timespec t = { 0 };

	if (left > 0) {
		t.tv_sec = (time_t)left;
		t.tv_nsec = (long)((left - (double)t.tv_sec) * 1e9);
	}
	return ppoll(fds, n, &t, &unblocked);
}

/*
 * Writes to the caller's own stream. A pipe that polls writable takes PIPE_BUF bytes without
 * blocking, so neither the time limit nor a signal waits for a reader that stalls.
 */
static void put(struct relay *r, int fd, const char *data, size_t len)
{
	while (len > 0 && r->outcome == RUNNING && !caught) {
		struct pollfd p = { .fd = fd, .events = POLLOUT };
		ssize_t n = 0;

		if (wait_for(&p, 1, r->started + r->limit + REPORT_WAIT) > 0)
			n = write(fd, data, len < PIPE_BUF ? len : PIPE_BUF);
		else if (now() > r->started + r->limit)
			r->outcome = EXPIRED;
		if (n < 0 && errno != EAGAIN && errno != EINTR)
			r->outcome = BROKEN_PIPE;
		if (n > 0) {
			data += n;
			len -= (size_t)n;
		}
	}
}

static void send_agent(struct relay *r, enum frame_type type, size_t len)
{
	if (!frame_send(r->agent, &r->out, type, len) && r->outcome == RUNNING)
		r->outcome = DIED;
}

/* Appends one NUL-terminated word to the job, in frames. */
static void send_word(struct relay *r, const char *word)
{
	size_t left = strlen(word) + 1;

	while (left > 0) {
		size_t n = left < FRAME_MAX ? left : FRAME_MAX;

		memcpy(r->out.data, word, n);
		send_agent(r, FRAME_JOB, n);
		word += n;
		left -= n;
	}
}

static void send_job(struct relay *r)
{
	char *cwd = getcwd(NULL, 0);

	if (!cwd)
		die("current directory");
	send_word(r, cwd);
	free(cwd);
	for (char *const *word = r->command; *word; word++)
		send_word(r, *word);
	send_agent(r, FRAME_JOB, 0);
}

static void take_frame(struct relay *r, const struct frame *f)
{
	switch (f->type) {
	case FRAME_READY:
		r->ready = now();
		snprintf(r->boot, sizeof(r->boot), "%.*s", (int)f->len, f->data);
		r->boot[strcspn(r->boot, "\n")] = '\0';
		send_job(r);
		break;
	case FRAME_OUT: put(r, STDOUT_FILENO, f->data, f->len); break;
	case FRAME_ERR: put(r, STDERR_FILENO, f->data, f->len); break;
	case FRAME_MORE: r->feeding = !r->input_ended; break;
	case FRAME_REPORT:
		fprintf(stderr,
			"testhost: processes inside (state, CPU time, waits in):\n%.*s",
			(int)f->len, f->data);
		r->outcome = EXPIRED;
		break;
	case FRAME_END:
		memcpy(&r->status, f->data, sizeof(int32_t));
		r->outcome = ENDED;
		break;
	}
}

/* Reads what is there of the next frame, acts when it is whole. */
static void read_agent(struct relay *r)
{
	size_t want = FRAME_HEADER;
	ssize_t n;

	if (r->in_got >= FRAME_HEADER)
		want += r->in.len;
	n = read(r->agent, (char *)&r->in + r->in_got, want - r->in_got);
	if (n <= 0) {
		r->outcome = DIED;
		return;
	}
	r->in_got += (size_t)n;
	if (r->in_got < FRAME_HEADER)
		return;
	if (r->in.len > FRAME_MAX) {
		r->outcome = DIED;
	} else if (r->in_got == FRAME_HEADER + r->in.len) {
		r->in_got = 0;
		take_frame(r, &r->in);
	}
}

static void read_console(struct relay *r)
{
	char buf[1024];
	ssize_t n = read(r->console, buf, sizeof(buf));
	size_t keep;

	if (n <= 0) {
		close(r->console);
		r->console = -1;
		return;
	}
	if (r->copy_console)
		put(r, STDERR_FILENO, buf, (size_t)n);
	keep = r->console_len < CONSOLE_KEPT - (size_t)n ? r->console_len
							 : CONSOLE_KEPT - (size_t)n;
	memmove(r->console_tail, r->console_tail + r->console_len - keep, keep);
	memcpy(r->console_tail + keep, buf, (size_t)n);
	r->console_len = keep + (size_t)n;
}

static void read_input(struct relay *r)
{
	ssize_t n = read(STDIN_FILENO, r->out.data, FRAME_MAX);

	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return;
	r->feeding = false;
	r->input_ended = n <= 0;
	send_agent(r, FRAME_INPUT, n > 0 ? (size_t)n : 0);
}

/* The limit came: ask the agent what is going on, once, and wait a little for the answer. */
static void expire(struct relay *r)
{
	if (r->ready > 0 && !r->asked) {
		r->asked = true;
		send_agent(r, FRAME_WHERE, 0);
	} else if (r->ready == 0 || now() > r->started + r->limit + REPORT_WAIT) {
		r->outcome = EXPIRED;
	}
}

static void carry(struct relay *r)
{
	while (r->outcome == RUNNING && !caught) {
		struct pollfd fds[] = {
			{ .fd = r->agent, .events = POLLIN },
			{ .fd = r->console, .events = POLLIN },
			{ .fd = r->feeding ? STDIN_FILENO : -1, .events = POLLIN },
		};
		double limit = r->started + r->limit + (r->asked ? REPORT_WAIT : 0);

		if (wait_for(fds, 3, limit) >= 0) {
			if (fds[1].revents)
				read_console(r);
			if (fds[0].revents)
				read_agent(r);
			if (fds[2].revents)
				read_input(r);
		}
		if (now() > limit && r->outcome == RUNNING)
			expire(r);
	}
}

static double cpu_seconds(pid_t pid)
{
	unsigned long user = 0, system = 0;
	char path[64], stat[512] = "";
	const char *rest;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	f = fopen(path, "re");
	if (!f)
		return 0;
	if (!fgets(stat, sizeof(stat), f))
		stat[0] = '\0';
	fclose(f);
	rest = strrchr(stat, ')');
	if (rest)
		sscanf(rest + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user,
		       &system);
	return (double)(user + system) / (double)sysconf(_SC_CLK_TCK);
}

static void print_times(const struct relay *r, double cpu)
{
	double end = now();
	double ready = r->ready > 0 ? r->ready : end;

	fprintf(stderr,
		"testhost: %.1f s of start-up (%s), %.1f s in the command; "
		"the emulator used %.1f s of CPU\n",
		ready - r->started, r->ready > 0 ? r->boot : "not finished", end - ready, cpu);
}

static void print_console(const struct relay *r)
{
	fprintf(stderr, "testhost: the end of its console:\n");
	fwrite(r->console_tail, 1, r->console_len, stderr);
	if (r->console_len == 0 || r->console_tail[r->console_len - 1] != '\n')
		fputc('\n', stderr);
}

/* A dying QEMU is about to exit by itself: lets the rest of its console come. */
static void last_words(struct relay *r)
{
	double until = now() + 2;
	struct pollfd p = { .fd = r->console, .events = POLLIN };

	while (r->console >= 0 && !caught && wait_for(&p, 1, until) > 0)
		read_console(r);
}

/* Stops QEMU, says what there is to say; returns the exit status. */
static int finish(struct relay *r)
{
	double cpu = cpu_seconds(r->qemu);
	int how = 0;

	if (r->outcome == DIED)
		last_words(r);
	kill(r->qemu, SIGKILL);
	waitpid(r->qemu, &how, 0);
	if (caught) {
		signal(caught, SIG_DFL);
		raise(caught);
		sigprocmask(SIG_SETMASK, &unblocked, NULL);
	}
	if (r->outcome == BROKEN_PIPE)
		return 128 + SIGPIPE;
	if (r->outcome == EXPIRED)
		fprintf(stderr, "testhost: the time limit of %.0f s is over\n", r->limit);
	if (r->outcome == DIED)
		fprintf(stderr, "testhost: the test host died %.1f s after its start\n",
			now() - r->started);
	if (r->outcome != ENDED)
		print_console(r);
	if (r->outcome != ENDED || r->print_times)
		print_times(r, cpu);
	return r->outcome == ENDED ? r->status : STATUS_FAILED;
}

static void catch_signals(void)
{
	static const int sigs[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT };
	struct sigaction sa = { .sa_handler = on_signal };
	sigset_t blocked;

	sigemptyset(&blocked);
	for (size_t i = 0; i < sizeof(sigs) / sizeof(*sigs); i++) {
		sigaction(sigs[i], &sa, NULL);
		sigaddset(&blocked, sigs[i]);
	}
	signal(SIGPIPE, SIG_IGN);
	sigprocmask(SIG_BLOCK, &blocked, &unblocked);
}

int main(int argc, char **argv)
{
	static struct relay r = { .limit = 600 };
	size_t words = 0;
	char **qemu;
	int opt;

	while ((opt = getopt(argc, argv, "+ctkl:n:")) != -1) {
		switch (opt) {
		case 'k': print_tsc_khz(); return 0;
		case 'c': r.copy_console = true; break;
		case 't': r.print_times = true; break;
		case 'l': r.limit = strtod(optarg, NULL); break;
		case 'n': words = strtoul(optarg, NULL, 10); break;
		default: return STATUS_FAILED;
		}
	}
	qemu = calloc(words + 1, sizeof(*qemu));
	if (!qemu || words == 0 || (size_t)(argc - optind) <= words) {
		fprintf(stderr, "relay: no command\n");
		return STATUS_FAILED;
	}
	memcpy(qemu, argv + optind, words * sizeof(*qemu));
	r.command = argv + optind + words;
	catch_signals();
	r.started = now();
	if (isatty(STDIN_FILENO) && tcgetpgrp(STDIN_FILENO) != getpgrp())
		close(STDIN_FILENO); /* a background job that reads its terminal is stopped */
	spawn_qemu(&r, qemu, words);
	carry(&r);
	return finish(&r);
}
