/* SPDX-License-Identifier: Apache-2.0 */
/* The session of `immure run` against guests made of Unix sockets: one that behaves, and many
 * that do not. */
#include <criterion/criterion.h>

#include <fcntl.h>
#include <signal.h>
#include <sys/ioctl.h>

#include "cli/session.c"
#include "cli/session_pump.c"
#include "cli/session_start.c"
#include "guest/start.c"

enum { MUCH = 64 * 1024 * 1024 };

static struct session s;
static char dir[] = "/tmp/immure-session-XXXXXX", vsock_path[64];
static int in_w, out_r, err_r, local[3];	/* the caller's side of the standard streams */

static const char *const argv[] = { "cat", "-v" }, *const env[] = { "A=1", "B=" };
static struct session_start start = {
	argv, env, 2, 2, "/tmp", "user", false, 24, 80, .nets = 2,
	.net = { { .mac = { 2, 1 }, .prefix = 24, .address = { 10, 0, 0, 2 } }, { .mac = { 2, 2 } } },
};

static void set_up(void)
{
	int p[2];

	signal(SIGPIPE, SIG_IGN);
	cr_assert_not_null(mkdtemp(dir));
	snprintf(vsock_path, sizeof(vsock_path), "%s/v", dir);
	cr_assert_eq(pipe2(p, O_CLOEXEC), 0);
	local[0] = p[0];
	in_w = p[1];
	cr_assert_eq(pipe2(p, O_CLOEXEC), 0);
	local[1] = p[1];
	out_r = p[0];
	cr_assert_eq(pipe2(p, O_CLOEXEC), 0);
	local[2] = p[1];
	err_r = p[0];
	cr_assert_eq(session_open(&s, vsock_path, &start, local), 0, "%s", s.text);
}

static void tear_down(void)
{
	close(in_w);
	session_close(&s);
	cr_assert_eq(rmdir(dir), 0, "the sockets are gone");
}

TestSuite(session, .init = set_up, .fini = tear_down, .timeout = 120);

/* Turns the session until @state, or until nothing happened for @ms. */
static void turn_until(enum session_state state, int ms)
{
	struct pollfd p[SESSION_POLL];

	while (s.state != state) {
		session_poll(&s, p);
		if (poll(p, SESSION_POLL, ms) <= 0)
			return;
		session_turn(&s, p);
	}
}

static void settle(void)
{
	turn_until((enum session_state)-1, 50);
}

static void drain(void)
{
	struct pollfd p[SESSION_POLL];

	while (!session_drained(&s)) {
		session_poll(&s, p);
		cr_assert_gt(poll(p, SESSION_POLL, 20000), 0);
		session_turn(&s, p);
	}
}

/* ---- the guest's side ---- */

static int g[SESSION_PORTS];

static int dial(int port)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s_%d", vsock_path, port);
	cr_assert_eq(connect(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	return fd;
}

static void tell_host(uint32_t type, const void *body, uint32_t len)
{
	const struct proto_frame head = { to_le32(type), to_le32(len) };

	cr_assert_eq(write(g[0], &head, sizeof(head)), sizeof(head));
	if (len && body)
		cr_assert_eq(write(g[0], body, len), (ssize_t)len);
}

static void connect_all(void)
{
	for (int i = 0; i < SESSION_PORTS; i++)
		g[i] = dial(PROTO_PORT_CONTROL + i);
}

static void run_command(void)
{
	connect_all();
	tell_host(PROTO_STARTED, NULL, 0);
	turn_until(SESSION_RUNNING, 1000);
	cr_assert_eq(s.state, SESSION_RUNNING, "%s", s.text);
}

static void exit_with(uint32_t code, uint32_t signo)
{
	const struct proto_exit end = { to_le32(code), to_le32(signo) };

	tell_host(PROTO_EXIT, &end, sizeof(end));
}

static void read_whole(int fd, void *to, size_t len)
{
	for (size_t have = 0; have < len;) {
		ssize_t n = read(fd, (char *)to + have, len - have);

		cr_assert_gt(n, 0);
		have += (size_t)n;
	}
}

/* ---- a guest that behaves ---- */

Test(session, start_reaches_the_guest_and_its_parser)
{
	static struct start got;
	struct proto_frame head;
	static char body[4096];
	const char *why;

	g[0] = dial(PROTO_PORT_CONTROL);
	turn_until(SESSION_STARTING, 1000);
	cr_assert_eq(s.state, SESSION_STARTING);
	read_whole(g[0], &head, sizeof(head));
	cr_assert_eq(le32(head.type), PROTO_START);
	read_whole(g[0], body, le32(head.len));
	cr_assert_eq(start_parse(&got, body, le32(head.len), &why), 0, "%s", why);
	cr_assert_eq(got.argc, 2);
	cr_assert_str_eq(got.argv[0], "cat");
	cr_assert_str_eq(got.argv[1], "-v");
	cr_assert_eq(got.envc, 2);
	cr_assert_str_eq(got.env[1], "B=");
	cr_assert_str_eq(got.dir, "/tmp");
	cr_assert_str_eq(got.user, "user");
	cr_assert_not(got.tty);
	cr_assert(got.nets == 2 && memcmp(got.net, start.net, 2 * sizeof(got.net[0])) == 0);
}

Test(session, an_exit_status_is_taken)
{
	run_command();
	for (int i = 1; i < SESSION_PORTS; i++)
		close(g[i]);
	exit_with(7, 0);
	turn_until(SESSION_EXITED, 1000);
	drain();
	cr_assert(s.state == SESSION_EXITED && s.code == 7 && s.signo == 0);
}

Test(session, a_signal_is_taken)
{
	run_command();
	exit_with(0, 15);
	turn_until(SESSION_EXITED, 1000);
	cr_assert(s.state == SESSION_EXITED && s.signo == 15);
}

Test(session, a_failure_carries_its_kind_and_text)
{
	static const char body[] = "\3\0\0\0frob: not found in PATH";

	g[0] = dial(PROTO_PORT_CONTROL);
	tell_host(PROTO_FAILED, body, sizeof(body) - 1);
	turn_until(SESSION_FAILED, 1000);
	cr_assert_eq(s.fail, PROTO_FAIL_NOTFOUND);
	cr_assert_str_eq(s.text, "frob: not found in PATH");
}

Test(session, output_streams_stay_apart)
{
	char buf[64];

	run_command();
	cr_assert_eq(write(g[2], "out", 3), 3);
	cr_assert_eq(write(g[3], "error", 5), 5);
	cr_assert_eq(read(out_r, buf, sizeof(buf)), 3);
	cr_assert_eq(read(err_r, buf, sizeof(buf)), 5);
}

Test(session, end_of_input_reaches_the_guest)
{
	char buf[64];

	run_command();
	cr_assert_eq(write(in_w, "hello", 5), 5);
	close(in_w);
	read_whole(g[1], buf, 5);
	cr_assert_eq(read(g[1], buf, sizeof(buf)), 0);
	in_w = dup(local[0]);
}

static uint8_t byte_at(size_t i)
{
	return (uint8_t)((i / 4096 + i) % 251);
}

struct job {
	int from, to;
	size_t moved;
	bool good;
};

/* The fake guest's cat, and the caller's two ends. */
static void *echo(void *arg)
{
	struct job *j = arg;
	static uint8_t buf[100003];
	ssize_t n;

	while ((n = read(j->from, buf, sizeof(buf))) > 0)
		for (ssize_t done = 0, m; done < n; done += m)
			if ((m = write(j->to, buf + done, (size_t)(n - done))) < 0)
				return NULL;
	shutdown(j->to, SHUT_WR);
	return NULL;
}

static void *produce(void *arg)
{
	struct job *j = arg;
	static uint8_t buf[10007];

	while (j->moved < MUCH) {
		size_t n = MUCH - j->moved < sizeof(buf) ? MUCH - j->moved : sizeof(buf);
		ssize_t done;

		for (size_t i = 0; i < n; i++)
			buf[i] = byte_at(j->moved + i);
		done = write(j->to, buf, n);
		if (done < 0)
			break;
		j->moved += (size_t)done;
	}
	close(j->to);
	return NULL;
}

static void *consume(void *arg)
{
	struct job *j = arg;
	static uint8_t buf[65521];
	ssize_t n;

	j->good = true;
	while (j->moved < MUCH && (n = read(j->from, buf, sizeof(buf))) > 0) {
		for (size_t i = 0; i < (size_t)n; i++)
			j->good &= buf[i] == byte_at(j->moved + i);
		j->moved += (size_t)n;
	}
	return NULL;
}

static void both_ways(void)
{
	struct job p = { .to = in_w }, c = { .from = out_r }, e;
	pthread_t tp, tc, te;

	run_command();
	e = (struct job){ .from = g[1], .to = g[2] };
	pthread_create(&te, NULL, echo, &e);
	pthread_create(&tp, NULL, produce, &p);
	pthread_create(&tc, NULL, consume, &c);
	pthread_join(tp, NULL);
	pthread_join(te, NULL);
	close(g[3]);
	exit_with(0, 0);
	turn_until(SESSION_EXITED, 5000);
	drain();
	pthread_join(tc, NULL);
	cr_assert_eq(c.moved, MUCH);
	cr_assert(c.good);
	in_w = dup(local[0]);
}

Test(session, sixty_four_mib_go_both_ways_unchanged)
{
	both_ways();
}

Test(session, streams_that_do_not_block_lose_nothing)
{
	/* As another program that shares the pipe would set it; it stays set. */
	fcntl(local[0], F_SETFL, O_NONBLOCK);
	fcntl(local[1], F_SETFL, O_WRONLY | O_NONBLOCK);
	both_ways();
	cr_assert(fcntl(local[1], F_GETFL) & O_NONBLOCK);
}

Test(session, blocking_streams_stay_blocking)
{
	run_command();
	settle();
	for (int i = 0; i < 3; i++)
		cr_assert_not(fcntl(local[i], F_GETFL) & O_NONBLOCK);
}

Test(session, a_reader_that_leaves_breaks_the_guests_pipe)
{
	ssize_t n = 0;

	run_command();
	close(out_r);
	for (int i = 0; i < 200 && n >= 0; i++) {
		n = send(g[2], "x", 1, MSG_NOSIGNAL);
		usleep(5000);
	}
	cr_assert_lt(n, 0);
	cr_assert_eq(atomic_load(&s.pump[1].error), 0, "which is no failure of ours");
}

Test(session, a_full_disk_is_an_error_of_ours)
{
	int which, full = open("/dev/full", O_WRONLY | O_CLOEXEC);

	s.local[1] = full;
	run_command();
	cr_assert_eq(write(g[2], "x", 1), 1);
	for (int i = 0; i < 200 && !session_stream_error(&s, &which); i++)
		usleep(5000);
	cr_assert_eq(session_stream_error(&s, &which), ENOSPC);
	cr_assert_eq(which, 1);
}

Test(session, signals_become_frames)
{
	struct { struct proto_frame head; struct proto_signal sig; } got;
	struct proto_frame head;
	static char body[4096];

	run_command();
	read_whole(g[0], &head, sizeof(head));
	read_whole(g[0], body, le32(head.len));
	session_signal(&s, SIGTERM);
	read_whole(g[0], &got, sizeof(got));
	cr_assert(le32(got.head.type) == PROTO_SIGNAL && le32(got.sig.signo) == SIGTERM);
	session_winsize(&s, 1, 2);
	cr_assert_eq(recv(g[0], body, 1, MSG_DONTWAIT), -1, "no window without a terminal");
}

Test(session, a_guest_that_reads_no_orders_costs_no_memory)
{
	run_command();
	for (int i = 0; i < 1000000; i++)
		session_signal(&s, SIGUSR1);
	cr_assert_leq(s.out_len, s.out_size);
	cr_assert_eq(s.state, SESSION_RUNNING);
}

Test(session, input_is_not_taken_when_the_guest_does_not_want_it)
{
	int waiting;

	run_command();
	close(g[1]);
	settle();
	while (!atomic_load(&s.pump[0].done))
		usleep(1000);
	cr_assert_eq(write(in_w, "for the next", 12), 12);
	usleep(20000);
	cr_assert_eq(ioctl(local[0], FIONREAD, &waiting), 0);
	cr_assert_eq(waiting, 12);
}

/* ---- guests that do not ---- */

static void expect_broken(void)
{
	turn_until(SESSION_BROKEN, 1000);
	cr_assert_eq(s.state, SESSION_BROKEN);
	cr_assert(s.text[0]);
}

Test(session, an_oversized_frame_is_refused_by_its_header)
{
	static const uint32_t lens[] = { 1, 9, SESSION_FRAME, PROTO_FRAME_MAX + 1, 0xffffffff };

	for (size_t i = 0; i < array_len(lens); i++) {
		for (uint32_t type = 0; type < 9; type++)
			cr_assert_null(find_legal(SESSION_STARTING, type == PROTO_FAILED ? 0 : type,
						  lens[i]));
		cr_assert_null(find_legal(SESSION_RUNNING, PROTO_EXIT, lens[i]));
	}
	g[0] = dial(PROTO_PORT_CONTROL);
	tell_host(PROTO_FAILED, NULL, 0xffffffff);
	expect_broken();
}

Test(session, an_unknown_type_is_refused)
{
	g[0] = dial(PROTO_PORT_CONTROL);
	tell_host(4711, NULL, 0);
	expect_broken();
}

Test(session, a_frame_of_the_host_is_refused)
{
	g[0] = dial(PROTO_PORT_CONTROL);
	tell_host(PROTO_START, NULL, 0);
	expect_broken();
}

Test(session, exit_before_started_is_refused)
{
	connect_all();
	exit_with(0, 0);
	expect_broken();
}

Test(session, started_twice_is_refused)
{
	run_command();
	tell_host(PROTO_STARTED, NULL, 0);
	expect_broken();
}

Test(session, started_without_streams_is_refused)
{
	g[0] = dial(PROTO_PORT_CONTROL);
	g[1] = dial(PROTO_PORT_STDIN);
	tell_host(PROTO_STARTED, NULL, 0);
	expect_broken();
}

Test(session, anything_after_exit_is_refused)
{
	run_command();
	exit_with(0, 0);
	exit_with(1, 0);
	expect_broken();
}

Test(session, an_exit_status_out_of_range_is_refused)
{
	run_command();
	exit_with(256, 0);
	expect_broken();
}

Test(session, a_signal_out_of_range_is_refused)
{
	run_command();
	exit_with(0, 65);
	expect_broken();
}

Test(session, a_status_and_a_signal_together_are_refused)
{
	run_command();
	exit_with(1, 1);
	expect_broken();
}

Test(session, a_failure_of_no_kind_is_refused)
{
	g[0] = dial(PROTO_PORT_CONTROL);
	tell_host(PROTO_FAILED, "\0\0\0\0x", 5);
	expect_broken();
}

Test(session, a_second_connection_to_a_port_is_refused)
{
	run_command();
	dial(PROTO_PORT_STDOUT);
	expect_broken();
}

Test(session, a_second_control_connection_is_refused)
{
	g[0] = dial(PROTO_PORT_CONTROL);
	dial(PROTO_PORT_CONTROL);
	expect_broken();
}

Test(session, hanging_up_early_is_broken)
{
	run_command();
	close(g[0]);
	expect_broken();
}

Test(session, half_a_frame_waits_for_ever_and_costs_nothing)
{
	g[0] = dial(PROTO_PORT_CONTROL);
	cr_assert_eq(write(g[0], "\5\0\0\0\377", 5), 5);
	turn_until(SESSION_BROKEN, 100);
	cr_assert_eq(s.state, SESSION_STARTING);
}

Test(session, the_longest_text_is_cut_to_its_room)
{
	static char body[SESSION_FRAME - sizeof(struct proto_frame)];

	memset(body, 'x', sizeof(body));
	memcpy(body, "\1\0\0\0", 4);
	g[0] = dial(PROTO_PORT_CONTROL);
	tell_host(PROTO_FAILED, body, sizeof(body));
	turn_until(SESSION_FAILED, 1000);
	cr_assert_eq(s.state, SESSION_FAILED);
	cr_assert_eq(strlen(s.text), sizeof(s.text) - 1);
}

Test(session, a_socket_in_use_is_not_taken)
{
	struct session other;

	cr_assert_eq(session_open(&other, vsock_path, &start, local), -1);
	cr_assert(strstr(other.text, "in use"));
	session_close(&other);
	g[0] = dial(PROTO_PORT_CONTROL);
}

Test(session, an_abandoned_socket_is_replaced)
{
	struct session other;
	char path[64];

	snprintf(path, sizeof(path), "%s/w", dir);
	cr_assert_eq(session_open(&other, path, &start, local), 0);
	for (int i = 0; i < SESSION_PORTS; i++) {
		close(other.listener[i]);
		other.listener[i] = -1;
		other.path[i][0] = '\0';
	}
	session_close(&other);
	cr_assert_eq(session_open(&other, path, &start, local), 0, "%s", other.text);
	session_close(&other);
}

Test(session, a_file_is_no_abandoned_socket)
{
	struct session other;
	char path[64], file[80];

	snprintf(path, sizeof(path), "%s/w", dir);
	snprintf(file, sizeof(file), "%s_%d", path, PROTO_PORT_CONTROL);
	close(open(file, O_CREAT | O_WRONLY, 0600));
	cr_assert_eq(session_open(&other, path, &start, local), -1);
	cr_assert_not_null(strstr(other.text, "--vsock"), "%s", other.text);
	session_close(&other);
	cr_assert_eq(unlink(file), 0, "it is still there");
}

Test(session, the_sockets_of_a_successor_stay)
{
	struct session other;
	char path[64], file[80];

	snprintf(path, sizeof(path), "%s/w", dir);
	cr_assert_eq(session_open(&other, path, &start, local), 0);
	for (int i = 0; i < SESSION_PORTS; i++)
		unlink(other.path[i]);
	session_close(&s);
	cr_assert_eq(session_open(&s, path, &start, local), 0, "%s", s.text);
	session_close(&other);
	for (int i = 0; i < SESSION_PORTS; i++) {
		snprintf(file, sizeof(file), "%s_%d", path, PROTO_PORT_CONTROL + i);
		cr_assert_eq(access(file, F_OK), 0, "%s", file);
	}
}

/* ---- START, host side ---- */

Test(encode, what_does_not_fit_is_refused)
{
	static char big[PROTO_FRAME_MAX];
	const char *const long_argv[] = { "x", big };
	struct session_start big_start = { .argv = long_argv, .env = env, .argc = 2, .dir = "",
					   .user = "" };
	uint8_t *frame;
	const char *why;

	memset(big, 'x', sizeof(big) - 1);
	cr_assert_eq(session_encode_start(&big_start, 0, &frame, &why), 0);
	cr_assert_not_null(why);
	cr_assert_null(frame);
	big[1000] = '\0';
	cr_assert_gt(session_encode_start(&big_start, 0, &frame, &why), 0);
	free(frame);
	big_start.argc = 0;
	cr_assert_eq(session_encode_start(&big_start, 0, &frame, &why), 0);
}
