/* SPDX-License-Identifier: Apache-2.0 */
/* agent.c: one command, its three streams, and the host's orders, in one poll() loop.
 *
 * The end has an order: the command ends → everything else in the guest is killed → the
 * streams run dry (nobody is left to write) and are shut down → EXIT.  A background process
 * that still holds the command's output open thus never keeps the VM alive, and what it wrote
 * before is not lost.  A process that cannot die (stuck in the kernel) is given KILL_SECONDS,
 * then what is in the pipes is taken for all.  The host that reads slowly is waited for. */
#include "guest/agent.h"
#include "guest/command.h"
#include "guest/network.h"
#include "guest/reap.h"

#include <linux/vm_sockets.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { CONNECT_SECONDS = 30, KILL_SECONDS = 5, POLL_CONTROL = 0, POLL_CHILD, POLL_STREAMS };

static int64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* One attempt.  Returns the descriptor or -errno. */
static int try_connect(uint32_t port)
{
	const struct sockaddr_vm host = {
		.svm_family = AF_VSOCK,
		.svm_cid = VMADDR_CID_HOST,
		.svm_port = port,
	};
	int fd = socket(AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC, 0), err;

	if (fd < 0)
		return -errno;
	if (connect(fd, (const struct sockaddr *)&host, sizeof(host)) == 0)
		return fd;
	err = errno;
	close(fd);
	return -err;
}

int agent_connect(uint32_t port, struct fail *f)
{
	const struct timespec pause = { .tv_nsec = 2 * 1000 * 1000 };
	const int64_t end = now_ms() + CONNECT_SECONDS * 1000;
	int fd;

	/* ENODEV: no vsock device yet; its driver probes in the background. */
	while ((fd = try_connect(port)) == -ENODEV && now_ms() < end)
		nanosleep(&pause, NULL);
	return fd < 0 ? fail_errno(f, -fd, "connect to the host (vsock port %u)", port) : fd;
}

/* Opens the stream number @n: the host's connection on one side, @end of the command on the
 * other.  Owns @end. */
static int open_stream(struct agent *a, int n, int end, struct fail *f)
{
	int conn = agent_connect(PROTO_PORT_STDIN + (uint32_t)n, f), err;

	if (conn < 0) {
		close(end);
		return -1;
	}
	if (n == 0)
		err = stream_open(&a->stream[0], conn, end, a->start.tty ? SINK_TTY : SINK_PIPE);
	else
		err = stream_open(&a->stream[n], end, conn, SINK_SOCKET);
	return err ? fail_errno(f, -err, "stream %d", n) : 0;
}

/* Pipes for the command; *@io gets its ends. */
static int open_pipes(struct agent *a, struct command_fds *io, struct fail *f)
{
	int *const mine[] = { &io->in, &io->out, &io->err };

	for (int n = 0; n < AGENT_STREAMS; n++) {
		int p[2];

		if (pipe2(p, O_CLOEXEC) < 0)
			return fail_errno(f, errno, "pipe");
		*mine[n] = p[n == 0 ? 0 : 1];
		if (open_stream(a, n, p[n == 0 ? 1 : 0], f) < 0)
			return -1;
	}
	return 0;
}

/* A terminal for the command.  The slave stays open here until the command ends, so that a
 * program which closes its terminal for a moment does not look like the end. */
static int open_terminal(struct agent *a, uint32_t uid, struct command_fds *io, struct fail *f)
{
	if (tty_open(&a->tty, a->start.rows, a->start.cols, uid, f) < 0)
		return -1;
	*io = (struct command_fds){ a->tty.slave, a->tty.slave, a->tty.slave, true };
	for (int n = 0; n < 2; n++) {
		int end = fcntl(a->tty.master, F_DUPFD_CLOEXEC, 0);

		if (end < 0)
			return fail_errno(f, errno, "duplicate the terminal");
		if (open_stream(a, n, end, f) < 0)
			return -1;
	}
	return 0;
}

static void close_command_ends(const struct command_fds *io)
{
	if (io->tty)
		return;
	if (io->in >= 0)
		close(io->in);
	if (io->out >= 0)
		close(io->out);
	if (io->err >= 0)
		close(io->err);
}

static int start_command(struct agent *a, struct fail *f)
{
	struct command_fds io = { -1, -1, -1, false };
	static struct identity id;
	const char *why;
	ssize_t len = control_start(&a->control, a->body, sizeof(a->body), f);
	int err;

	if (len < 0)
		return -1;
	if (start_parse(&a->start, a->body, (size_t)len, &why) < 0)
		return fail(f, PROTO_FAIL_SETUP, "%s", why);
	if (network_setup(a->start.net, a->start.nets, f) < 0)
		return -1;
	if (users_lookup(&id, a->start.user, f) < 0)
		return -1;
	err = a->start.tty ? open_terminal(a, id.uid, &io, f) : open_pipes(a, &io, f);
	if (!err)
		a->pid = command_start(&a->start, &id, &io, f);
	close_command_ends(&io);
	return err || a->pid < 0 ? -1 : 0;
}

/* A signal from the terminal's keys goes to everything in the foreground, any other to the
 * command alone: as if it ran on the host. */
static void pass_signal(const struct agent *a, int signo)
{
	bool from_keys = signo == SIGINT || signo == SIGQUIT || signo == SIGHUP;

	if (!a->ended)
		kill(from_keys ? -a->pid : a->pid, signo);
}

/* Carries out what the host asked for.  False: the host is gone. */
static bool take_orders(struct agent *a)
{
	struct order o;
	int n;

	while ((n = control_order(&a->control, &o)) > 0) {
		if (o.type == PROTO_SIGNAL)
			pass_signal(a, o.signo);
		else if (a->tty.master >= 0)
			tty_resize(&a->tty, o.rows, o.cols);
	}
	return n == 0;
}

/* Collects who ended; the command's end ends everybody.  Returns true when nobody is left. */
static bool take_ended(struct agent *a)
{
	struct reaped r = reap_all(a->sigchld, a->pid);

	if (r.main_ended) {
		a->ended = true;
		a->status = r.status;
		kill(-1, SIGKILL);
		if (a->tty.slave >= 0)
			close(a->tty.slave);
		a->tty.slave = -1;
	}
	return r.none_left;
}

static bool output_done(const struct agent *a)
{
	return a->stream[1].done && a->stream[2].done;
}

/* One wait and everything that it brought.  Returns false when the host is gone. */
static bool turn(struct agent *a, int timeout, bool *alone)
{
	struct pollfd p[POLL_STREAMS + 2 * AGENT_STREAMS];

	p[POLL_CONTROL] = (struct pollfd){ .fd = a->control.fd, .events = POLLIN };
	p[POLL_CHILD] = (struct pollfd){ .fd = a->sigchld, .events = POLLIN };
	for (int i = 0; i < AGENT_STREAMS; i++)
		stream_poll(&a->stream[i], &p[POLL_STREAMS + 2 * i]);
	if (poll(p, array_len(p), timeout) < 0)
		return errno == EINTR;
	if (p[POLL_CHILD].revents && take_ended(a))
		*alone = true;
	for (int i = 0; i < AGENT_STREAMS; i++)
		stream_turn(&a->stream[i], &p[POLL_STREAMS + 2 * i]);
	return !p[POLL_CONTROL].revents || take_orders(a);
}

/* Until the command ended and its output was shut down, or the host went away. */
static void serve(struct agent *a)
{
	bool alone = false, host = true;
	int64_t deadline = 0;

	while (host && !(a->ended && output_done(a))) {
		int timeout = -1;

		if (a->ended) {
			if (!deadline)
				deadline = now_ms() + KILL_SECONDS * 1000;
			timeout = now_ms() < deadline ? 100 : -1;
		}
		host = turn(a, timeout, &alone);
		if (a->ended && (alone || now_ms() >= deadline)) {
			stream_finish(&a->stream[1]);
			stream_finish(&a->stream[2]);
		}
	}
}

int agent_run(struct agent *a, struct fail *f)
{
	a->tty = (struct tty){ -1, -1 };
	for (int i = 0; i < AGENT_STREAMS; i++) {
		a->stream[i].from = a->stream[i].to = -1;
		stream_close(&a->stream[i]);
	}
	if (start_command(a, f) < 0)
		return -1;
	if (control_send(&a->control, PROTO_STARTED, NULL, 0))
		serve(a);
	return 0;
}

void agent_exit(struct agent *a)
{
	struct proto_exit end = { 0 };

	if (WIFSIGNALED(a->status))
		end.signo = to_le32((uint32_t)WTERMSIG(a->status));
	else
		end.code = to_le32((uint32_t)WEXITSTATUS(a->status));
	if (a->ended && control_send(&a->control, PROTO_EXIT, &end, sizeof(end)))
		control_wait_closed(&a->control);
}
