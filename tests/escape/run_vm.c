/* SPDX-License-Identifier: Apache-2.0 */
/* run_vm.c: one VM: starts the test build's jailer, follows what the attempts say and how the VM ends,
 * and looks at what is left. */
#include "tests/escape/run.h"
#include "jailer/cgroup.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <jansson.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { PROCESSES_MAX = 8, START_MS = 20000, DONE_MS = 30000, HANG_MS = 300, END_MS = 5000, EXECUTED = 77 };

/* The first of this suite's machine numbers; below are those of others that run beside it.  Each has user ids
 * of its own, and a user id may have only so many tasks. */
enum { FIRST_ID = 1000000 };

struct vm {
	struct world *w;
	const struct kind *k;
	pid_t jailer;
	int client;
	int status;			/* wait status of the jailer */
	bool net;			/* it has a network interface */
	bool running, trying, done, over;	/* over: the connection was closed */
	json_t *end;			/* the end event, or NULL */
	struct cell *cells;
	const bool *tried;		/* which rows */
	size_t at, stop;		/* the row now under way, behind the last */
	size_t before;			/* the last that came back, or the first */
	uint64_t last;			/* when something was last heard of it, ms */
};

/* The state of the neighbour's tap. */
static char tap_untouched[TAP_STATE];

static uint64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

/* The VMM, two disks, vsock and perhaps a network interface. */
static unsigned processes(const struct vm *v)
{
	return v->net ? 5 : 4;
}

/* Where files can be read past the host's cache, the disk that is only read is: its process has threads then. */
static const char *direct(const struct world *w)
{
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "%s/disk-ro", w->dir);
	fd = open(path, O_RDONLY | O_DIRECT | O_CLOEXEC);
	close(fd);
	return fd >= 0 ? ",\"direct\":true" : "";
}

static const char *config(const struct vm *v, const char *cmdline)
{
	static char text[4096];
	const struct world *w = v->w;
	char net[160] = "";

	/* Its packet wall only root may load; a user's VM that asks for it says so each time. */
	if (v->net)
		snprintf(net, sizeof(net), "\"net\":[{\"tap\":\"%s\",\"wall\":\"%s\"," ESCAPE_NET "}],", w->tap,
			 w->uid != 0 ? "off" : "on");
	snprintf(text, sizeof(text), "{\"name\":\"%s\",\"id\":%d,\"kernel\":\"%s/idle\",\"entry\":\"flat\","
		 "\"memory\":16777216,\"cmdline\":\"%s\",\"disks\":[{\"path\":\"%s/disk\","
		 "\"readonly\":false},{\"path\":\"%s/disk-ro\"%s}],%s\"run_dir\":\"%s/parent/run\","
		 "\"vsock\":{\"cid\":3,\"path\":\"%s/parent/run/v.sock\"}}",
		 w->name, FIRST_ID + (int)getpid(), w->dir, cmdline, w->dir, w->dir, direct(w), net, w->dir, w->dir);
	return text;
}

static _Noreturn void become_jailer(const struct world *w, int config_fd, int client)
{
	static const char *const argv[] = {
		"immure-jailer", "--config-fd", "3", "--client-fd", "4", NULL,
	};
	static char *const envp[] = { NULL };
	char path[64];

	snprintf(path, sizeof(path), "%s/bin/immure-jailer", w->dir);
	if (w->uid != 0 && (setgroups(0, NULL) < 0 || setresgid(w->uid, w->uid, w->uid) < 0 ||
			    setresuid(w->uid, w->uid, w->uid) < 0))
		_exit(98);
	world_add_keys();
	if (chdir(w->dir) < 0 || dup2(config_fd, 103) < 0 || dup2(client, 104) < 0)
		_exit(99);
	dup2(103, 3);
	dup2(104, 4);
	close_range(5, ~0u, 0);
	execve(path, (char *const *)argv, envp);
	_exit(97);
}

static bool start(struct vm *v, const char *cmdline)
{
	const char *text = config(v, cmdline);
	int pair[2], fd = memfd_create("config", MFD_CLOEXEC);
	char run[64];

	snprintf(run, sizeof(run), "%s/parent/run", v->w->dir);
	if (mkdir(run, 0700) < 0 || (v->w->uid != 0 && chown(run, v->w->uid, v->w->uid) < 0))
		return false;
	if (write(fd, text, strlen(text)) < 0 || lseek(fd, 0, SEEK_SET) < 0 ||
	    socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return false;
	v->jailer = fork();
	if (v->jailer == 0)
		become_jailer(v->w, fd, pair[1]);
	close(fd);
	close(pair[1]);
	v->client = pair[0];
	v->last = now_ms();
	return v->jailer > 0;
}

/* A time of this host, where an emulated one takes longer. */
static uint64_t slow(unsigned ms)
{
	return getenv("IMMURE_TESTHOST") != NULL ? 10 * ms : ms;
}

static const char *word(const json_t *e, const char *key)
{
	const char *s = json_string_value(json_object_get(e, key));

	return s != NULL ? s : "";
}

/* The children of @pid, at most @max; returns how many. */
static unsigned children(pid_t pid, pid_t *child, unsigned max)
{
	char path[64];
	unsigned n = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/children", (int)pid, (int)pid);
	f = fopen(path, "re");
	while (f != NULL && n < max && fscanf(f, "%d", &child[n]) == 1)
		n++;
	if (f != NULL)
		fclose(f);
	return n;
}

/* The first row from @from on that is tried, or the end. */
static size_t next_row(const struct vm *v, size_t from)
{
	while (from < v->stop && !v->tried[from])
		from++;
	return from;
}

static void give(struct cell *c, enum verdict verdict, const char *by, const char *why)
{
	c->verdict = verdict;
	snprintf(c->by, sizeof(c->by), "%s", by);
	snprintf(c->why, sizeof(c->why), "%s", why);
}

/* @name ("EPERM", "SIGSEGV") must be among the row's refusals, which say the layer. */
static void refused_by(struct cell *c, const struct row *r, const char *name)
{
	size_t n = strlen(name);
	char by[24], why[80];

	for (const char *s = r->others; *s != 0; s += strcspn(s, " "), s += *s == ' ') {
		if (strncmp(s, name, n) != 0 || s[n] != ':')
			continue;
		snprintf(by, sizeof(by), "%s %c", name, s[n + 1]);
		give(c, PASSED, by, "");
		return;
	}
	snprintf(why, sizeof(why), "an answer that was not expected: %s", name);
	give(c, FAILED, name, why);
}

static void result(struct vm *v, unsigned number, unsigned sub, long rc)
{
	const struct row *r = &rows[v->at];
	struct cell *c = &v->cells[v->at];
	char why[80];

	if (v->at >= v->stop || r->number != number || r->sub != sub)
		return;
	if (rc >= 0) {
		snprintf(why, sizeof(why), "the call returned %ld", rc);
		give(c, r->way == REFUSED ? ESCAPED : UNTRIED, "", why);
	} else if (r->way == REFUSED) {
		const char *name = strerrorname_np((int)-rc);

		refused_by(c, r, name != NULL ? name : "?");
	}
	if (r->way == REFUSED) {
		v->before = v->at;
		v->at = next_row(v, v->at + 1);
	}
}

/* Reads one event; false when there was none for @ms, or the connection is closed. */
static bool event(struct vm *v, int ms)
{
	struct pollfd at = { .fd = v->client, .events = POLLIN };
	unsigned number, sub;
	char text[4097];
	const char *said;
	ssize_t n;
	json_t *e;
	long rc;

	if (poll(&at, 1, ms) != 1)
		return false;
	n = recv(v->client, text, sizeof(text) - 1, 0);
	v->over = n <= 0;
	e = n > 0 ? json_loadb(text, (size_t)n, 0, NULL) : NULL;
	if (e == NULL)
		return false;
	v->last = now_ms();
	said = word(e, "text");
	if (strcmp(word(e, "event"), "running") == 0) {
		v->running = true;
	} else if (strcmp(word(e, "event"), "end") == 0) {
		json_decref(v->end);
		v->end = json_incref(e);
	} else if (sscanf(said, "escape: %u.%u = %ld", &number, &sub, &rc) == 3) {
		result(v, number, sub, rc);
	} else if (strcmp(said, "escape: trying") == 0) {
		v->trying = true;
	} else if (strcmp(said, "escape: done") == 0) {
		v->done = true;
	}
	json_decref(e);
	return true;
}

/* Every process of the VM is there and neither stopped nor dead. */
static bool all_well(struct vm *v)
{
	char path[32], line[64];
	pid_t child[PROCESSES_MAX];
	unsigned well = 0, n;

	n = children(v->jailer, child, PROCESSES_MAX);
	for (unsigned i = 0; i < n; i++) {
		FILE *f;

		snprintf(path, sizeof(path), "/proc/%d/stat", (int)child[i]);
		f = fopen(path, "re");
		if (f != NULL && fgets(line, sizeof(line), f) != NULL)
			well += strstr(line, ") S ") != NULL || strstr(line, ") R ") != NULL ||
				strstr(line, ") D ") != NULL;
		if (f != NULL)
			fclose(f);
	}
	return well == n && n == processes(v);
}

/* The worker takes over what a dead supervisor leaves (world_make()), so whatever lives of the VM is a
 * child of ours. */
static bool all_gone(const struct vm *v)
{
	pid_t child[PROCESSES_MAX];
	unsigned n = children(getpid(), child, PROCESSES_MAX), left = n;

	for (unsigned i = 0; i < n; i++)
		if (child[i] == v->w->victim || waitpid(child[i], NULL, WNOHANG | __WALL) == child[i])
			left--;
	return left == 0;
}

/* NULL, or what is left of the VM's files, and removes it.  @killed: nobody tidied up, so only what the
 * VM does not make counts. */
static const char *files_left(const struct vm *v, bool killed)
{
	static const struct { const char *name, *what; } files[] = {
		{ "v.sock", "the VM's socket" }, { "v.sock.seq", "the VM's socket for messages" },
		{ "pages", "the VM's counters" },
	};
	char path[64];
	const char *what = NULL;
	int dir;

	snprintf(path, sizeof(path), "%s/parent/run", v->w->dir);
	dir = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0)
		return NULL;
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++)
		if (unlinkat(dir, files[i].name, 0) == 0 && what == NULL)
			what = files[i].what;
	close(dir);
	if (rmdir(path) < 0)
		return "a file in the VM's directory that it does not make";
	if (killed)
		return NULL;
	return what != NULL ? what : "the VM's directory";
}

/* NULL, or what of the VM is left after its end, which may still be going on: a supervisor that was killed
 * is gone before its processes.  @killed: it did not get to tidy up. */
static const char *left_over(struct vm *v, bool killed)
{
	uint64_t until = now_ms() + slow(END_MS);
	const char *what;

	while (!all_gone(v)) {
		if (now_ms() > until)
			return "a process of the VM";
		poll(NULL, 0, 1);
	}
	what = files_left(v, killed);
	if (killed && !cgroup_sweep(v->w->name, (int)slow(END_MS)) && what == NULL)
		what = "the VM's cgroup";
	return what;
}

static const char *signal_name(int sig)
{
	static char name[16];

	snprintf(name, sizeof(name), "SIG%s", sigabbrev_np(sig));
	return name;
}

/* The attempt under way ended its process. */
static void judge_death(struct vm *v)
{
	const struct row *r = &rows[v->at];
	struct cell *c = &v->cells[v->at];
	bool supervisor = v->k->letter == 's';
	const char *reason = v->end != NULL ? word(v->end, "reason") : "";
	bool own = strcmp(word(v->end, "process"), v->k->process) == 0;
	int sig = (int)json_integer_value(json_object_get(v->end, "signal"));
	char why[160];

	if (supervisor && WIFSIGNALED(v->status))
		sig = WTERMSIG(v->status);
	snprintf(why, sizeof(why), "ended with %s: %s (status %x)", reason, v->end ? word(v->end, "text") : "",
		 (unsigned)v->status);
	if (supervisor ? sig == SIGSYS : own && strcmp(reason, "violation") == 0 &&
	    (strcmp(r->call, "*") == 0 || strcmp(r->call, word(v->end, "syscall")) == 0))
		give(c, PASSED, "S", "");
	else if (strstr(why, "ended with status 77") != NULL ||
		 (supervisor && WIFEXITED(v->status) && WEXITSTATUS(v->status) == EXECUTED))
		give(c, ESCAPED, "", "a program of its own was executed");
	else if (r->way != REFUSED && strcmp(reason, "violation") != 0 && strcmp(reason, "setup") != 0)
		give(c, PASSED, "ended V", "");
	else if (sig != 0 && (own || supervisor))
		refused_by(c, r, signal_name(sig));
	else
		give(c, FAILED, "", why);
}

/* The process has stopped, or hangs: an order, or the death of the supervisor, must end the VM. */
static void judge_silence(struct vm *v)
{
	struct cell *c = &v->cells[v->at];

	if (rows[v->at].way != HANGS) {
		give(c, FAILED, "", "the attempt did not come back");
		return;
	}
	give(c, PASSED, "stopped V", "");
}

/* Kills it when it does not end in @ms, having stopped itself. */
static void end_supervisor(pid_t pid, uint64_t ms)
{
	struct pollfd at = { .fd = (int)syscall(SYS_pidfd_open, pid, 0), .events = POLLIN };

	if (ms == 0 || poll(&at, 1, (int)ms) != 1)
		kill(pid, SIGKILL);
	close(at.fd);
}

static void finish(struct vm *v)
{
	uint64_t until = now_ms() + slow(END_MS);

	if (!v->over)
		send(v->client, "{\"op\":\"stop\"}", 13, MSG_NOSIGNAL | MSG_DONTWAIT);
	while (!v->over && now_ms() < until)
		event(v, 100);
	close(v->client);
	end_supervisor(v->jailer, v->over ? slow(END_MS) : 0);
	waitpid(v->jailer, &v->status, 0);
}

/* NULL, or what is not as it should be while the VM runs on. */
static const char *unwell(struct vm *v)
{
	char state[TAP_STATE];

	if (!all_well(v))
		return "another process of the VM is not well";
	if (!v->net)
		return NULL;
	tap_state(v->w, state, sizeof(state));
	if (strcmp(state, tap_untouched) != 0)
		return "the host's end of the network interface was changed";
	return NULL;
}

/* An attempt of this VM succeeded: what became of the others does not count any more. */
static bool escaped(const struct vm *v, size_t first)
{
	for (size_t i = first; i < v->stop; i++)
		if (v->cells[i].verdict == ESCAPED)
			return true;
	return false;
}

static void check(struct vm *v, size_t first)
{
	bool died = v->over && !v->done;
	bool killed = v->end == NULL;
	size_t at = v->at < v->stop ? v->at : first;
	struct cell *c = &v->cells[at];
	const char *left = left_over(v, killed);
	const char *tap = tap_left(v->w), *changed;
	char why[160];
	bool out;

	if (c->verdict == PASSED && row_is_walled(&rows[at]) && net_received(v->w))
		give(c, ESCAPED, "", "the frame reached the host");
	out = escaped(v, first);
	changed = world_changed(v->w);

	if (out && v->k->letter == 't' && !tap_renew(v->w))
		left = "a tap that cannot be made again";
	changed = changed != NULL ? changed : tap;
	if (died && c->verdict == PASSED)
		c->end_ms = (unsigned)(now_ms() - v->last) + 1;
	if (left != NULL)
		snprintf(why, sizeof(why), "left behind: %s", left);
	else if (changed != NULL && !out)
		snprintf(why, sizeof(why), "changed: %s", changed);
	else
		return;
	give(c, FAILED, c->by, why);
}

/* The bits of @v's rows, four a digit. */
static const char *row_bits(const struct vm *v)
{
	static char text[64];
	size_t digits = (v->stop + 3) / 4;

	memset(text, 0, sizeof(text));
	for (size_t d = 0; d < digits && d + 1 < sizeof(text); d++) {
		unsigned bits = 0;

		for (size_t i = 4 * d; i < 4 * d + 4; i++)
			if (i >= v->at && i < v->stop && v->tried[i])
				bits |= 1u << i % 4;
		text[d] = "0123456789abcdef"[bits];
	}
	return text;
}

static void describe(struct vm *v, const char *without, char *text, size_t size)
{
	const struct world *w = v->w;

	snprintf(text, size, "escape=%c rows=%s without=%s dir=%s name=%s pid=%d boss=%d tcp=%ld udp=%ld "
		 "vsock=%ld", v->k->letter, row_bits(v), without, w->dir, w->name, (int)w->victim,
		 (int)getpid(), w->tcp, w->udp, w->vsock);
}

/* Until the attempts are done, the VM has ended, or nothing happens any more. */
static void follow(struct vm *v, enum escape_way way)
{
	uint64_t start_by = now_ms() + slow(START_MS);

	while (!v->over && !(v->done && way == REFUSED)) {
		uint64_t quiet = slow(way == HANGS && v->trying ? HANG_MS : DONE_MS);
		uint64_t limit = !v->running ? start_by : v->last + quiet;
		uint64_t now = now_ms();

		if (now >= limit)
			return;
		event(v, (int)(limit - now));
	}
}

size_t vm_run(struct world *w, const struct kind *k, const char *without, const bool *tried, size_t first,
	      size_t count, struct cell *cells)
{
	struct vm v = { .w = w, .k = k, .cells = cells, .client = -1, .tried = tried, .stop = first + count };
	char cmdline[1024];
	const char *wrong;
	enum escape_way way;
	bool hung;

	/* Making and walling a tap costs more than all the rest of a VM. */
	v.net = w->tap[0] != 0 && k->letter == 't';
	first = v.at = v.before = next_row(&v, first);
	describe(&v, without, cmdline, sizeof(cmdline));
	if (!start(&v, cmdline)) {
		give(&cells[first], FAILED, "", "the VM could not be started");
		return v.stop;
	}
	way = rows[first].way;
	follow(&v, way);
	hung = !v.over && !(v.done && way == REFUSED);
	wrong = v.done && way == REFUSED && !escaped(&v, first) ? unwell(&v) : NULL;
	if (wrong != NULL)
		give(&cells[v.before], FAILED, "", wrong);
	finish(&v);
	if (!v.running) {
		give(&cells[v.at], FAILED, "", v.end != NULL ? word(v.end, "text") : "the VM did not start");
		left_over(&v, true);
		tap_left(w);
	} else if (hung) {
		judge_silence(&v);
		check(&v, first);
	} else {
		/* An attempt that ended the VM without a word, or whose end was its aim. */
		if (v.at < v.stop && (!v.done || way != REFUSED))
			judge_death(&v);
		check(&v, first);
	}
	json_decref(v.end);
	return (v.done && way == REFUSED) || v.at >= v.stop ? v.at : v.at + 1;
}

pid_t vm_neighbour(struct world *w, int *client)
{
	static const struct kind nobody = { 'n', "neighbour", "" };
	struct vm v = { .w = w, .k = &nobody, .net = w->tap[0] != 0 };

	if (!start(&v, "neighbour"))
		return -1;
	while (!v.running && event(&v, (int)slow(START_MS)))
		;
	*client = v.client;
	tap_state(w, tap_untouched, sizeof(tap_untouched));
	/* Of a tap that is not looked at, nothing would be seen. */
	return v.running && strchr(tap_untouched, '?') == NULL ? v.jailer : -1;
}

bool vm_neighbour_end(struct world *w, pid_t jailer, int client)
{
	struct vm v = { .w = w, .jailer = jailer, .client = client, .net = w->tap[0] != 0 };
	bool well = unwell(&v) == NULL;

	finish(&v);
	well = well && tap_left(w) == NULL && v.end != NULL && strcmp(word(v.end, "reason"), "stopped") == 0;
	json_decref(v.end);
	return well;
}
