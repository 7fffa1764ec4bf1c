/* SPDX-License-Identifier: Apache-2.0 */
/* LIBS: -ljansson */
/* The program `immure run`, whole, against a jailer and guest that are this file: every way a
 * machine and its guest can behave, without KVM.
 *
 * The built program is copied beside a link named immure-jailer that leads back here.  Started
 * under that name this program reads its configuration like the jailer, connects to the session's
 * sockets like immure-init, and then does what the first word of the command says. */
#include <criterion/criterion.h>

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "guest/start.c"

enum { CONFIG = 3, CLIENT = 4, CONSOLE = 5, PORTS = 4, CONTROL = 0, MUCH = 8 * 1024 * 1024 };

/* ---- the jailer and the guest ---- */

static int g[PORTS];
static struct start start;
static char body[PROTO_FRAME_MAX];

static void event(const char *json)
{
	if (send(CLIENT, json, strlen(json), MSG_NOSIGNAL) < 0)
		_exit(9);
}

static int dial(const char *path, int port)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	snprintf(a.sun_path, sizeof(a.sun_path), "%s_%d", path, port);
	if (connect(fd, (struct sockaddr *)&a, sizeof(a)) < 0)
		_exit(10);
	return fd;
}

static void read_whole(int fd, void *to, size_t len)
{
	for (size_t have = 0; have < len;) {
		ssize_t n = read(fd, (char *)to + have, len - have);

		if (n <= 0)
			_exit(11);
		have += (size_t)n;
	}
}

static void frame(uint32_t type, const void *data, uint32_t len)
{
	const struct proto_frame head = { to_le32(type), to_le32(len) };

	if (write(g[CONTROL], &head, sizeof(head)) < 0 || (len && write(g[CONTROL], data, len) < 0))
		_exit(12);
}

static void end_with(uint32_t code, uint32_t signo)
{
	const struct proto_exit e = { to_le32(code), to_le32(signo) };

	for (int i = 1; i < PORTS; i++)
		close(g[i]);
	frame(PROTO_EXIT, &e, sizeof(e));
}

/* As long as the other side wants: returns the next order's signal, 0 when it hung up. */
static int next_signal(void)
{
	struct { struct proto_frame head; struct proto_signal sig; } f;

	return read(g[CONTROL], &f, sizeof(f)) == sizeof(f) ? (int)le32(f.sig.signo) : 0;
}

static _Noreturn void gone(const char *reason)
{
	char text[128];

	snprintf(text, sizeof(text), "{\"event\":\"end\",\"reason\":\"%s\",\"text\":\"\","
		 "\"user_exits\":5}", reason);
	event(text);
	_exit(0);
}

static _Noreturn void wait_for_stop(void)
{
	char order[64] = "";

	if (recv(CLIENT, order, sizeof(order) - 1, 0) > 0 && strstr(order, "stop"))
		gone("stopped");
	_exit(0);
}

static _Noreturn void power_off(void)
{
	while (next_signal())
		;
	gone("guest-poweroff");
}

static void echo(void)
{
	static char buf[65536];
	ssize_t n;

	while ((n = read(g[1], buf, sizeof(buf))) > 0)
		for (ssize_t at = 0, m; at < n; at += m)
			if ((m = write(g[2], buf + at, (size_t)(n - at))) < 0)
				_exit(13);
}

static void flood(void)
{
	static char buf[65536];

	signal(SIGPIPE, SIG_IGN);
	for (;;)
		if (write(g[2], buf, sizeof(buf)) < 0)
			return;
}

/* More than a pipe holds, less than a pipe and a socket. */
static void burst(void)
{
	static char buf[150000] = "ready";

	if (write(g[2], buf, sizeof(buf)) != (ssize_t)sizeof(buf))
		_exit(15);
}

/* More on the console than its pipe and that of standard error hold, as long as somebody reads. */
static void chatter(void)
{
	fcntl(CONSOLE, F_SETFL, O_NONBLOCK);
	for (int i = 0; i < 20000; i++)
		if (write(CONSOLE, "\033[1mline\r\n", 10) < 0)
			usleep(100);
}

/* A machine that is there after its caller: which was killed, or is let go because of @undead
 * processes. */
static _Noreturn void outlive(bool undead)
{
	dprintf(g[2], "ready %d\n", getpid());
	if (undead) {
		end_with(0, 0);
		event("{\"event\":\"end\",\"reason\":\"stopped\",\"text\":\"\",\"left\":1}");
		close(CLIENT);
	}
	for (;;)
		pause();
}

/* What a command that was started does; returns to power off. */
static void behave(const char *how)
{
	if (strcmp(how, "echo") == 0) {
		echo();
		end_with(0, 0);
	} else if (strncmp(how, "exit", 4) == 0) {
		end_with((uint32_t)strtoul(how + 4, NULL, 10), 0);
	} else if (strcmp(how, "killed") == 0) {
		end_with(0, SIGTERM);
	} else if (strcmp(how, "both") == 0) {
		dprintf(g[2], "out\n");
		dprintf(g[3], "err\n");
		end_with(0, 0);
	} else if (strcmp(how, "flood") == 0) {
		flood();
		end_with(0, SIGPIPE);
	} else if (strcmp(how, "trap") == 0) {
		dprintf(g[2], "ready\n");
		end_with(next_signal() == SIGTERM ? 9 : 1, 0);
	} else if (strcmp(how, "deaf") == 0) {
		dprintf(g[2], "ready\n");
		wait_for_stop();
	} else if (strcmp(how, "chatters") == 0) {
		chatter();
		end_with(6, 0);
	} else if (strcmp(how, "size") == 0) {
		struct { struct proto_frame head; struct proto_winsize size; } f;

		read_whole(g[CONTROL], &f, sizeof(f));
		dprintf(g[2], "%u %u", le16(f.size.rows), le16(f.size.cols));
		end_with(le32(f.head.type) == PROTO_WINSIZE ? 0 : 1, 0);
	} else if (strcmp(how, "quiet") == 0) {
		usleep(2500000);
		end_with(5, 0);
	} else if (strcmp(how, "lingers") == 0) {
		/* EXIT, while its output goes on: nothing that it says afterwards ends. */
		const struct proto_exit e = { to_le32(0), to_le32(0) };

		frame(PROTO_EXIT, &e, sizeof(e));
		dprintf(g[2], "ready\n");
		wait_for_stop();
	} else if (strcmp(how, "burst") == 0) {
		burst();
		end_with(0, 0);
	} else if (strcmp(how, "unlimited") == 0) {
		event("{\"event\":\"log\",\"process\":\"jailer\",\"text\":\"not limited: \\u001bmemory\"}");
		end_with(0, 0);
	} else if (strcmp(how, "survive") == 0 || strcmp(how, "undead") == 0) {
		outlive(strcmp(how, "undead") == 0);
	} else if (strcmp(how, "stubborn") == 0) {
		end_with(4, 0);
		wait_for_stop();
	} else if (strcmp(how, "wedged") == 0) {
		frame(99, NULL, 0);
		sleep(100);
	} else if (strcmp(how, "garbage") == 0) {
		frame(99, NULL, 0);
		wait_for_stop();
	} else if (strcmp(how, "violation") == 0) {
		event("{\"event\":\"log\",\"process\":\"blk0\",\"text\":\"last words\"}");
		event("{\"event\":\"end\",\"reason\":\"violation\",\"detail\":257,\"process\":\"blk0\","
		      "\"syscall\":\"openat\",\"text\":\"blk0 was killed at openat\"}");
		_exit(1);
	} else if (strcmp(how, "crash") == 0) {
		raise(SIGKILL);
	} else {
		gone(how);	/* any reason of core/report.h */
	}
}

static _Noreturn void jailer(void)
{
	static const char missing[] = "\3\0\0\0missing: \033[31mnot found";
	json_t *config = json_loadfd(CONFIG, 0, NULL);
	const char *path = json_string_value(json_object_get(json_object_get(config, "vsock"), "path"));
	const char *cmdline = json_string_value(json_object_get(config, "cmdline")), *why;
	struct proto_frame head;

	if (strstr(cmdline, "test=dies"))
		_exit(3);
	if (strstr(cmdline, "test=setup")) {
		event("{\"event\":\"end\",\"reason\":\"setup\",\"text\":\"open /dev/kvm: nothing\"}");
		_exit(125);
	}
	event("{\"event\":\"running\"}");
	if (strstr(cmdline, "test=silent"))
		wait_for_stop();
	g[CONTROL] = dial(path, PROTO_PORT_CONTROL);
	read_whole(g[CONTROL], &head, sizeof(head));
	read_whole(g[CONTROL], body, le32(head.len));
	if (start_parse(&start, body, le32(head.len), &why) < 0)
		_exit(14);
	if (strcmp(start.argv[0], "unstarted") == 0)
		wait_for_stop();
	if (strcmp(start.argv[0], "missing") == 0) {
		frame(PROTO_FAILED, missing, sizeof(missing) - 1);
		power_off();
	}
	for (int i = 1; i < (start.tty ? PORTS - 1 : PORTS); i++)
		g[i] = dial(path, PROTO_PORT_CONTROL + i);
	frame(PROTO_STARTED, NULL, 0);
	behave(start.argv[0]);
	power_off();
}

__attribute__((constructor)) static void act_as_jailer(void)
{
	if (strcmp(program_invocation_short_name, "immure-jailer") == 0)
		jailer();
}

/* ---- the caller ---- */

static char dir[] = "/tmp/immure-run-XXXXXX";

static const char *in_dir(const char *name)
{
	static char path[16][160];
	static unsigned next;
	char *p = path[next++ % array_len(path)];

	snprintf(p, sizeof(path[0]), "%s/%s", dir, name);
	return p;
}

static void put(const char *name, const void *data, size_t len, mode_t mode)
{
	int fd = open(in_dir(name), O_WRONLY | O_CREAT | O_TRUNC, mode);

	cr_assert_geq(fd, 0);
	cr_assert_eq(write(fd, data, len), (ssize_t)len);
	close(fd);
}

static void copy_program(void)
{
	static char data[16 * 1024 * 1024];
	char self[512];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1), len;
	int fd;

	cr_assert_gt(n, 0);
	self[n] = '\0';
	cr_assert_eq(symlink(self, in_dir("immure-jailer")), 0);
	snprintf(strrchr(self, '/'), 32, "/../bin/immure");
	fd = open(self, O_RDONLY);
	cr_assert_geq(fd, 0, "%s is not built", self);
	len = read(fd, data, sizeof(data));
	close(fd);
	put("immure", data, (size_t)len, 0755);
}

static void set_up(void)
{
	static const char image[4096] = "hsqs";

	cr_assert_not_null(mkdtemp(dir));
	setenv("XDG_RUNTIME_DIR", dir, 1);
	copy_program();
	cr_assert_eq(mkdir(in_dir("k"), 0755), 0);
	put("k/vmlinux", "x", 1, 0644);
	put("k/initramfs", "x", 1, 0644);
	put("image", image, sizeof(image), 0644);
	put("in", "", 0, 0644);
}

static char name[64];

static void tear_down(void)
{
	char path[160], command[64];

	/* Wherever run directories are made for this user: ours is gone. */
	snprintf(path, sizeof(path), "/run/immure/%s", name);
	cr_assert_lt(access(path, F_OK), 0);
	snprintf(path, sizeof(path), "%s/immure/%s", dir, name);
	cr_assert_lt(access(path, F_OK), 0);
	snprintf(command, sizeof(command), "rm -r %s", dir);
	if (fork() == 0)
		execl("/bin/sh", "sh", "-c", command, (char *)NULL);
	wait(NULL);
}

TestSuite(run, .init = set_up, .fini = tear_down, .timeout = 60);

/* A signal that the caller of immure ignores; 0: none. */
static int ignored;

/* Starts `immure run OPTIONS image COMMAND` with standard streams in files of the directory. */
static pid_t launch(const char *options, const char *command)
{
	static char line[256];
	char *argv[32] = { (char *)(uintptr_t)in_dir("immure"), (char[]){ "run" }, NULL };
	int argc = 2;
	char *at = line;
	pid_t pid;

	snprintf(name, sizeof(name), "test-%d", getpid());
	snprintf(line, sizeof(line), "--name %s --kernel %s %s %s %s", name, in_dir("k"), options,
		 in_dir("image"), command);
	for (char *w; (w = strsep(&at, " "));)
		if (*w)
			argv[argc++] = w;
	argv[argc] = NULL;
	pid = fork();
	if (pid != 0)
		return pid;
	for (int sig = 1; sig < NSIG; sig++)
		signal(sig, SIG_DFL);
	if (ignored)
		signal(ignored, SIG_IGN);
	/* Its own session, so that a terminal as "in" becomes its own; and no test waits for ever. */
	setsid();
	alarm(30);
	dup2(open(in_dir("in"), O_RDONLY), 0);
	dup2(open(in_dir("out"), O_WRONLY | O_CREAT | O_TRUNC, 0600), 1);
	dup2(open(in_dir("err"), O_WRONLY | O_CREAT | O_TRUNC, 0600), 2);
	execv(argv[0], argv);
	_exit(99);
}

static int status_of(pid_t pid)
{
	int status;

	cr_assert_eq(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

static int run(const char *options, const char *command)
{
	return status_of(launch(options, command));
}

static const char *text(const char *file)
{
	static char buf[4096];
	int fd = open(in_dir(file), O_RDONLY);
	ssize_t n = fd < 0 ? 0 : read(fd, buf, sizeof(buf) - 1);

	close(fd);
	buf[n < 0 ? 0 : n] = '\0';
	return buf;
}

static void wait_ready(void)
{
	for (int i = 0; i < 1000 && !strstr(text("out"), "ready"); i++)
		usleep(10000);
	cr_assert(strstr(text("out"), "ready"));
}

Test(run, the_commands_status_is_passed_on)
{
	cr_assert_eq(run("", "exit0"), 0, "%s", text("err"));
	cr_assert_str_eq(text("err"), "");
	cr_assert_eq(run("", "exit7"), 7);
	cr_assert_eq(run("", "killed"), 143);
}

Test(run, streams_stay_apart)
{
	cr_assert_eq(run("", "both"), 0);
	cr_assert_str_eq(text("out"), "out\n");
	cr_assert_str_eq(text("err"), "err\n");
}

Test(run, eight_mib_come_back_unchanged)
{
	static char data[MUCH], back[MUCH + 1];
	int fd;

	for (size_t i = 0; i < MUCH; i++)
		data[i] = (char)(i * 2654435761u >> 13);
	put("in", data, MUCH, 0644);
	cr_assert_eq(run("", "echo"), 0);
	fd = open(in_dir("out"), O_RDONLY);
	cr_assert_eq(read(fd, back, sizeof(back)), MUCH);
	cr_assert_eq(memcmp(data, back, MUCH), 0);
}

Test(run, a_command_that_is_missing_is_127_and_its_text_is_clean)
{
	cr_assert_eq(run("", "missing"), 127);
	cr_assert_str_eq(text("err"), "immure: missing: ?[31mnot found\n");
}

Test(run, json_says_how_it_ended)
{
	json_t *j;

	cr_assert_eq(run("--json", "exit7"), 7);
	j = json_loads(text("err"), 0, NULL);
	cr_assert_eq(json_integer_value(json_object_get(j, "exit_status")), 7);
	cr_assert_str_eq(json_string_value(json_object_get(j, "reason")), "guest-poweroff");
	cr_assert_eq(json_integer_value(json_object_get(j, "user_exits")), 5);
	cr_assert_str_eq(json_string_value(json_object_get(j, "name")), name);
	json_decref(j);
}

Test(run, json_says_why_it_ended)
{
	static const struct {
		const char *options, *command, *cause, *error;
	} cases[] = {
		{ "--json", "exit7", "command", NULL },
		{ "--json", "missing", "not-found", "missing: ?[31mnot found" },
		{ "--json", "garbage", "agent", "not to be trusted: it sent a frame" },
		{ "--json --boot-timeout 300ms", "unstarted", "boot-timeout", "did not start the command" },
		{ "--json", "timeout", "timeout", "(--timeout)" },
		{ "--json", "guest-panic", "machine", "guest-panic" },
		{ "--json --append test=setup", "exit0", "machine", "open /dev/kvm: nothing" },
		{ "--json --memory bogus", "exit0", "setup", "not a size" },
		{ "--memory bogus --json", "exit0", "setup", "not a size" },
	};

	for (size_t i = 0; i < array_len(cases); i++) {
		const char *error, *line;
		json_t *j;

		run(cases[i].options, cases[i].command);
		line = strstr(text("err"), "{\"");
		cr_assert_not_null(line, "%s: no JSON", cases[i].options);
		j = json_loads(line, 0, NULL);
		cr_assert_not_null(j, "%s %s: %s", cases[i].options, cases[i].command, text("err"));
		cr_assert_str_eq(json_string_value(json_object_get(j, "cause")), cases[i].cause);
		error = json_string_value(json_object_get(j, "error"));
		cr_assert(cases[i].error ? error && strstr(error, cases[i].error) : !error, "%s",
			  text("err"));
		json_decref(j);
	}
}

Test(run, limits_that_the_host_denies_are_told_even_after_success)
{
	json_t *j, *notes;

	cr_assert_eq(run("", "unlimited"), 0);
	cr_assert_str_eq(text("err"), "immure: note: not limited: ?memory\n");
	cr_assert_eq(run("--json", "unlimited"), 0);
	j = json_loads(strchr(text("err"), '\n'), 0, NULL);
	notes = json_object_get(j, "notes");
	cr_assert_eq(json_array_size(notes), 1);
	cr_assert_str_eq(json_string_value(json_array_get(notes, 0)), "not limited: ?memory");
	cr_assert(json_is_null(json_object_get(j, "error")));
	json_decref(j);
}

Test(run, a_violation_names_process_and_call)
{
	cr_assert_eq(run("--json", "violation"), 125);
	cr_assert(strstr(text("err"), "blk0 was killed at openat"));
	cr_assert(strstr(text("err"), "blk0: last words"));
	cr_assert(strstr(text("err"), "\"syscall\": \"openat\""));
}

Test(run, no_end_without_a_status_is_success)
{
	static const char *const reasons[] = { "guest-poweroff", "guest-reboot", "guest-panic",
					       "guest-triple-fault", "device-died", "stopped" };

	for (size_t i = 0; i < array_len(reasons); i++) {
		cr_assert_eq(run("--json", reasons[i]), 125, "%s", reasons[i]);
		cr_assert(strstr(text("err"), reasons[i]));
	}
}

Test(run, a_timeout_is_124)
{
	cr_assert_eq(run("--timeout 5s", "timeout"), 124);
}

Test(run, a_jailer_that_fails_says_why)
{
	cr_assert_eq(run("--append test=setup", "exit0"), 125);
	cr_assert_str_eq(text("err"), "immure: open /dev/kvm: nothing\n");
}

Test(run, a_jailer_that_dies_is_an_error)
{
	cr_assert_eq(run("--append test=dies", "exit0"), 125);
	cr_assert(strstr(text("err"), "without a report"));
	cr_assert_eq(run("", "crash"), 125);
	cr_assert(strstr(text("err"), "killed by signal 9"));
}

Test(run, a_caller_that_ignores_its_children_changes_nothing)
{
	ignored = SIGCHLD;
	cr_assert_eq(run("", "crash"), 125);
	cr_assert(strstr(text("err"), "killed by signal 9"), "%s", text("err"));
}

Test(run, a_guest_that_never_connects_is_stopped)
{
	cr_assert_eq(run("--boot-timeout 300ms --append test=silent", "exit0"), 125);
	cr_assert(strstr(text("err"), "did not connect"));
	cr_assert(strstr(text("err"), "--console"));
}

Test(run, a_guest_that_breaks_the_protocol_is_stopped)
{
	cr_assert_eq(run("", "garbage"), 125);
	cr_assert(strstr(text("err"), "not to be trusted"));
}

Test(run, a_guest_that_does_not_power_off_is_stopped_and_believed)
{
	cr_assert_eq(run("", "stubborn"), 4);
	cr_assert_str_eq(text("err"), "");
}

Test(run, a_supervisor_that_does_nothing_is_killed)
{
	cr_assert_eq(run("", "wedged"), 125);
}

Test(run, a_signal_reaches_the_command)
{
	pid_t pid = launch("", "trap");

	wait_ready();
	kill(pid, SIGTERM);
	cr_assert_eq(status_of(pid), 9);
}

Test(run, two_signals_and_silence_stop_the_machine)
{
	pid_t pid = launch("", "deaf");

	wait_ready();
	kill(pid, SIGTERM);
	usleep(100000);
	kill(pid, SIGTERM);
	cr_assert_eq(status_of(pid), 143);
}

Test(run, a_signal_ends_a_guest_that_said_exit_and_goes_on)
{
	static const int signals[] = { SIGTERM, SIGINT, SIGHUP, SIGQUIT };

	for (size_t i = 0; i < array_len(signals); i++) {
		pid_t pid;

		unlink(in_dir("out"));
		pid = launch("", "lingers");
		wait_ready();
		usleep(50000);
		kill(pid, signals[i]);
		cr_assert_eq(status_of(pid), 128 + signals[i]);
		cr_assert(strstr(text("err"), "before all of the command's output"));
	}
}

Test(run, a_signal_ends_the_wait_for_a_reader_that_does_not_read)
{
	pid_t pid;
	int fd;

	cr_assert_eq(mkfifo(in_dir("out"), 0600), 0);
	fd = open(in_dir("out"), O_RDWR | O_CLOEXEC);
	pid = launch("", "burst");
	usleep(700000);
	cr_assert_eq(waitpid(pid, NULL, WNOHANG), 0, "it waits for its reader");
	kill(pid, SIGTERM);
	cr_assert_eq(status_of(pid), 143);
	close(fd);
}

/* `immure run` with a terminal of its own, of which we get the other end. */
static pid_t launch_on_terminal(const char *options, const char *command, int *master)
{
	char *tty;

	*master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
	cr_assert_eq(grantpt(*master) + unlockpt(*master), 0);
	tty = ptsname(*master);
	unlink(in_dir("in"));
	cr_assert_eq(symlink(tty, in_dir("in")), 0);
	return launch(options, command);
}

Test(run, a_size_that_changes_before_the_command_runs_is_not_lost)
{
	const struct winsize size = { .ws_row = 11, .ws_col = 22 };
	int master;
	pid_t pid = launch_on_terminal("-t", "size", &master);

	cr_assert_eq(ioctl(master, TIOCSWINSZ, &size), 0);
	cr_assert_eq(status_of(pid), 0);
	cr_assert_str_eq(text("out"), "11 22");
	close(master);
}

Test(run, only_a_terminal_has_keys)
{
	put("in", "\3\3\3", 3, 0644);
	cr_assert_eq(run("-t", "quiet"), 5);
}

Test(run, ctrl_c_in_a_raw_terminal_ends_a_guest_that_said_exit)
{
	int master;
	pid_t pid = launch_on_terminal("-t", "lingers", &master);

	wait_ready();
	usleep(200000);
	cr_assert_eq(write(master, "\3", 1), 1);
	cr_assert_eq(status_of(pid), 130);
	close(master);
}

Test(run, a_signal_before_the_command_runs_stops_the_machine)
{
	static const int signals[] = { SIGINT, SIGUSR1, SIGUSR2 };

	for (size_t i = 0; i < array_len(signals); i++) {
		pid_t pid = launch("--append test=silent", "exit0");

		usleep(500000);
		kill(pid, signals[i]);
		cr_assert_eq(status_of(pid), 128 + signals[i]);
	}
}

Test(run, a_reader_that_leaves_ends_the_command)
{
	int p[2], status;
	char buf[100];
	pid_t pid, closer;

	/* launch() opens "out": make it a pipe with a reader that leaves. */
	cr_assert_eq(mkfifo(in_dir("out"), 0600), 0);
	closer = fork();
	if (closer == 0) {
		p[0] = open(in_dir("out"), O_RDONLY);
		_exit(read(p[0], buf, sizeof(buf)) > 0 ? 0 : 1);
	}
	pid = launch("", "flood");
	cr_assert_eq(status_of(pid), 141);
	waitpid(closer, &status, 0);
	cr_assert_eq(status, 0);
}

Test(run, the_console_is_shown_as_text)
{
	cr_assert_eq(run("--console", "chatters"), 6);
	cr_assert_eq(strncmp(text("err"), "?[1mline\n?[1mline\n", 18), 0, "%.60s", text("err"));
}

Test(run, a_console_that_nobody_reads_holds_nothing_up)
{
	pid_t pid;
	int fd;

	cr_assert_eq(mkfifo(in_dir("err"), 0600), 0);
	fd = open(in_dir("err"), O_RDWR | O_CLOEXEC);
	pid = launch("--console", "chatters");
	cr_assert_eq(status_of(pid), 6);
	close(fd);
}

Test(run, a_full_disk_is_an_error)
{
	cr_assert_eq(symlink("/dev/full", in_dir("out")), 0);
	cr_assert_eq(run("", "both"), 125);
	cr_assert(strstr(text("err"), "standard output: No space left on device"));
}

/* Whether somebody holds the name of the last run, and for root its number. */
static bool taken(uint32_t id)
{
	struct flock byte = { .l_type = F_WRLCK, .l_start = id, .l_len = 1 };
	char path[160];
	bool both;
	int fd;

	snprintf(path, sizeof(path), geteuid() == 0 ? "/run/immure/%s/lock" : "%2$s/immure/%1$s/lock",
		 name, dir);
	fd = open(path, O_RDWR);
	both = fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) < 0;
	close(fd);
	if (geteuid() != 0)
		return both;
	fd = open("/run/immure.ids", O_RDWR);
	cr_assert_eq(fcntl(fd, F_OFD_GETLK, &byte), 0);
	close(fd);
	cr_assert_eq(byte.l_type != F_UNLCK, both);
	return both;
}

/* The machine of the last run, whose first word on standard output is its jailer's number. */
static void end_machine(void)
{
	pid_t jailer = (pid_t)strtol(text("out") + strcspn(text("out"), "0123456789"), NULL, 10);
	uint32_t id = 0;
	char path[160];

	cr_assert(jailer > 1 && kill(jailer, 0) == 0, "the jailer was killed");
	if (geteuid() == 0) {
		json_t *config;

		snprintf(path, sizeof(path), "/proc/%d/fd/3", (int)jailer);
		config = json_load_file(path, 0, NULL);
		cr_assert_not_null(config);
		id = (uint32_t)json_integer_value(json_object_get(config, "id"));
		json_decref(config);
	}
	cr_assert(taken(id));
	cr_assert_eq(kill(jailer, SIGKILL), 0);
	for (int ms = 0; ms < 5000 && taken(id); ms++)
		usleep(1000);
	cr_assert(!taken(id));
	snprintf(path, sizeof(path), geteuid() == 0 ? "/run/immure/%s" : "%2$s/immure/%1$s", name, dir);
	snprintf(path + strlen(path), sizeof(path) - strlen(path), "/vsock.sock_1024");
	unlink(path);
	for (char port = '5'; port < '8'; port++) {
		path[strlen(path) - 1] = port;
		unlink(path);
	}
	memcpy(strrchr(path, '/'), "/lock", sizeof("/lock"));
	cr_assert_eq(unlink(path), 0);
	*strrchr(path, '/') = 0;
	cr_assert_eq(rmdir(path), 0);
}

Test(run, name_and_number_stay_taken_while_the_machine_outlives_its_caller)
{
	pid_t pid = launch("", "survive");

	wait_ready();
	kill(pid, SIGKILL);
	cr_assert_eq(status_of(pid), 1000 + SIGKILL);
	end_machine();
}

Test(run, a_machine_that_cannot_be_ended_keeps_its_name_and_number)
{
	cr_assert_eq(run("", "undead"), 0);
	end_machine();
}
