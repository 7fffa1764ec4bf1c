/* SPDX-License-Identifier: Apache-2.0 */
/* The guest's streams, with socket pairs in the place of vsock connections. */
#include <criterion/criterion.h>

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ioctl.h>

#include "guest/streams.c"

enum { MUCH = 64 * 1024 * 1024, PRIME = 251 };

static struct stream s;
static int vsock, host, ours, theirs;	/* vsock: the guest's end; ours: PID 1's end */

static void make_socket(void)
{
	int p[2];

	cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, p), 0);
	vsock = p[0];
	host = p[1];
	signal(SIGPIPE, SIG_IGN);
}

/* The command's standard input. */
static void make_input(void)
{
	int p[2];

	make_socket();
	cr_assert_eq(pipe2(p, O_CLOEXEC), 0);
	ours = p[1];
	theirs = p[0];
	cr_assert_eq(stream_open(&s, vsock, ours, SINK_PIPE), 0);
}

/* The command's standard output. */
static void make_output(void)
{
	int p[2];

	make_socket();
	cr_assert_eq(pipe2(p, O_CLOEXEC), 0);
	ours = p[0];
	theirs = p[1];
	cr_assert_eq(stream_open(&s, ours, vsock, SINK_SOCKET), 0);
}

/* Turns the stream until it is done, or until it has nothing to do for @ms. */
static void run(int ms)
{
	struct pollfd p[2];

	for (;;) {
		stream_poll(&s, p);
		if (s.done || poll(p, 2, ms) == 0)
			return;
		stream_turn(&s, p);
	}
}

static uint8_t byte_at(size_t i)
{
	return (uint8_t)((i / 4096 + i) % PRIME);
}

struct side {
	int fd;
	size_t limit, moved;
	bool good;
};

static void *writer(void *arg)
{
	struct side *w = arg;
	uint8_t buf[10007];

	while (w->moved < w->limit) {
		size_t n = w->limit - w->moved < sizeof(buf) ? w->limit - w->moved : sizeof(buf);
		ssize_t done;

		for (size_t i = 0; i < n; i++)
			buf[i] = byte_at(w->moved + i);
		done = write(w->fd, buf, n);
		if (done < 0)
			break;
		w->moved += (size_t)done;
	}
	close(w->fd);
	return NULL;
}

static void *reader(void *arg)
{
	struct side *r = arg;
	uint8_t buf[65521];
	ssize_t n;

	r->good = true;
	while ((n = read(r->fd, buf, sizeof(buf))) > 0) {
		for (size_t i = 0; i < (size_t)n; i++)
			r->good &= buf[i] == byte_at(r->moved + i);
		r->moved += (size_t)n;
	}
	return NULL;
}

static void move_much(int from, int to)
{
	struct side w = { .fd = from, .limit = MUCH }, r = { .fd = to };
	pthread_t tw, tr;

	pthread_create(&tw, NULL, writer, &w);
	pthread_create(&tr, NULL, reader, &r);
	run(-1);
	pthread_join(tw, NULL);
	pthread_join(tr, NULL);
	cr_assert(s.done);
	cr_assert_eq(r.moved, MUCH);
	cr_assert(r.good);
}

Test(streams, input_of_64_mib_arrives_unchanged_with_its_end, .init = make_input, .timeout = 120)
{
	move_much(host, theirs);
}

Test(streams, output_of_64_mib_arrives_unchanged_with_its_end, .init = make_output,
     .timeout = 120)
{
	move_much(theirs, host);
	cr_assert_neq(s.to, -1, "the connection stays open behind its last byte");
}

Test(streams, output_ends_only_one_direction, .init = make_output)
{
	char c;

	close(theirs);
	run(1000);
	cr_assert(s.done);
	cr_assert_eq(read(host, &c, 1), 0);
	cr_assert_eq(write(host, "x", 1), 1, "the guest still reads");
}

Test(streams, a_full_sink_stops_the_source, .init = make_output)
{
	static char page[4096];
	size_t total = 0;
	int queued;

	fcntl(theirs, F_SETFL, O_NONBLOCK);
	for (int quiet = 0; quiet < 3;) {
		ssize_t n = write(theirs, page, sizeof(page));

		quiet = n < 0 ? quiet + 1 : 0;
		total += n < 0 ? 0 : (size_t)n;
		run(20);
	}
	cr_assert_lt(total, 2 * 1024 * 1024, "memory in between is bounded");
	cr_assert_eq(ioctl(ours, FIONREAD, &queued), 0);
	cr_assert_gt(queued, 0);
	cr_assert_not(s.done);
}

Test(streams, a_host_that_closes_breaks_the_commands_pipe, .init = make_output)
{
	close(host);
	run(1000);
	cr_assert(s.done);
	cr_assert_eq(write(theirs, "x", 1), -1);
	cr_assert_eq(errno, EPIPE);
}

Test(streams, a_host_that_closes_with_bytes_waiting_breaks_it_too, .init = make_output)
{
	cr_assert_eq(write(theirs, "hello", 5), 5);
	run(10);
	cr_assert_eq(write(theirs, "world", 5), 5);
	close(host);
	run(1000);
	cr_assert(s.done);
	cr_assert_eq(write(theirs, "x", 1), -1);
}

Test(streams, a_command_that_closes_its_input_breaks_the_connection, .init = make_input)
{
	char c;

	close(theirs);
	run(1000);
	cr_assert(s.done, "noticed without a byte to write");
	cr_assert_eq(write(host, "x", 1), -1);
	cr_assert_eq(read(host, &c, 1), 0);
}

Test(streams, input_waits_for_a_reader_and_then_ends, .init = make_input)
{
	char buf[16];

	cr_assert_eq(write(host, "last", 4), 4);
	close(host);
	run(100);
	cr_assert(s.done);
	cr_assert_eq(read(theirs, buf, sizeof(buf)), 4);
	cr_assert_eq(read(theirs, buf, sizeof(buf)), 0);
}

Test(streams, a_pipe_that_somebody_holds_open_ends_when_told, .init = make_output)
{
	char buf[16];
	struct pollfd p[2];

	cr_assert_eq(write(theirs, "before", 6), 6);
	stream_finish(&s);
	for (int i = 0; i < 8 && !s.done; i++) {
		stream_poll(&s, p);
		poll(p, 2, 0);
		stream_turn(&s, p);
	}
	cr_assert(s.done);
	cr_assert_eq(read(host, buf, sizeof(buf)), 6);
	cr_assert_eq(read(host, buf, sizeof(buf)), 0);
}

/* ---- terminals ---- */

static int slave;

static void make_terminal(void)
{
	int unlock = 0;

	make_socket();
	ours = open("/dev/ptmx", O_RDWR | O_NOCTTY);
	cr_assert_geq(ours, 0);
	ioctl(ours, TIOCSPTLCK, &unlock);
	slave = ioctl(ours, TIOCGPTPEER, O_RDWR | O_NOCTTY);
	cr_assert_geq(slave, 0);
}

Test(terminal, end_of_input_is_the_end_of_file_character, .init = make_terminal)
{
	char buf[16];

	/* As in the agent: the output stream holds the terminal open. */
	cr_assert_eq(stream_open(&s, vsock, dup(ours), SINK_TTY), 0);
	cr_assert_eq(write(host, "whole\npart", 10), 10);
	close(host);
	run(100);
	cr_assert(s.done);
	cr_assert_eq(read(slave, buf, sizeof(buf)), 6);
	cr_assert_eq(read(slave, buf, sizeof(buf)), 4, "the first one ends the line");
	cr_assert_eq(read(slave, buf, sizeof(buf)), 0, "the second one the file");
}

Test(terminal, the_last_process_leaving_is_the_end_of_output, .init = make_terminal)
{
	char buf[16];

	cr_assert_eq(stream_open(&s, ours, vsock, SINK_SOCKET), 0);
	cr_assert_eq(write(slave, "bye\n", 4), 4);
	close(slave);
	run(1000);
	cr_assert(s.done);
	cr_assert_eq(read(host, buf, sizeof(buf)), 5, "with the carriage return of a terminal");
	cr_assert_eq(read(host, buf, sizeof(buf)), 0);
}
