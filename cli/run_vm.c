/* SPDX-License-Identifier: Apache-2.0 */
/* run_vm.c: starts the jailer, reads events, gives the one order there is.
 *
 * The jailer gets descriptors 3 (configuration), 4 (events), 5 (console), 6 and 7 (locks) and
 * nothing else of ours; no environment; a session of its own, so that the terminal's ^C reaches immure,
 * which decides, and not the machine. */
#include "cli/run_vm.h"
#include "cli/programs.h"
#include "cli/say.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define JAILER "immure-jailer"

enum { FD_CONFIG_ARG = 3, FD_CLIENT_ARG, FD_CONSOLE_ARG, FD_LOCK_ARG, FD_END = FD_LOCK_ARG + VM_LOCKS,
       FD_HIGH = 16, EVENT_MAX = 4096 };
enum { CONFIG, CLIENT, CONSOLE, LOCK0, PASSED = LOCK0 + VM_LOCKS };

/* ---- start ---- */

static int config_file(const char *config, size_t len)
{
	int fd = memfd_create("config", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (fd < 0)
		return -1;
	for (size_t at = 0; at < len;) {
		ssize_t n = write(fd, config + at, len - at);

		if (n < 0) {
			close(fd);
			return -1;
		}
		at += (size_t)n;
	}
	lseek(fd, 0, SEEK_SET);
	fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL);
	return fd;
}

/* Puts @fd[i] at descriptor 3 + i and closes all others. */
static bool place(const int fd[static PASSED])
{
	int high[PASSED];

	/* Out of the way first: a target may be where another one still is. */
	for (int i = 0; i < PASSED; i++) {
		high[i] = fd[i] < 0 ? -1 : fcntl(fd[i], F_DUPFD_CLOEXEC, FD_HIGH);
		if (fd[i] >= 0 && high[i] < 0)
			return false;
	}
	for (int i = 0; i < PASSED; i++) {
		close(FD_CONFIG_ARG + i);
		if (high[i] >= 0 && dup2(high[i], FD_CONFIG_ARG + i) < 0)
			return false;
	}
	return close_range(FD_END, ~0u, 0) == 0;
}

static _Noreturn void child(const char *jailer, const int fd[static PASSED])
{
	static char name[] = JAILER, config_opt[] = "--config-fd", config_fd[] = "3",
		    client_opt[] = "--client-fd", client_fd[] = "4", lock_opt[] = "--lock-fd",
		    lock_fd[VM_LOCKS][2] = { "6", "7" };
	static char *argv[6 + 2 * VM_LOCKS] = { name, config_opt, config_fd, client_opt, client_fd };
	static char *const no_env[] = { NULL };
	sigset_t none;
	int argc = 5;
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	sigemptyset(&none);
	for (int sig = 1; sig < NSIG; sig++)
		signal(sig, SIG_DFL);
	sigprocmask(SIG_SETMASK, &none, NULL);
	setsid();
	for (int i = 0; i < VM_LOCKS; i++) {
		if (fd[LOCK0 + i] < 0)
			continue;
		argv[argc++] = lock_opt;
		argv[argc++] = lock_fd[i];
	}
	if (null >= 0 && dup2(null, 0) == 0 && dup2(null, 1) == 1 && place(fd))
		execve(jailer, argv, no_env);
	_exit(EXIT_NOTFOUND);
}

static int spawn(struct vm *vm, const char *jailer, const int fd[static PASSED])
{
	vm->pid = fork();
	if (vm->pid == 0)
		child(jailer, fd);
	if (vm->pid < 0) {
		say_error("cannot start immure-jailer: %s", strerror(errno));
		return -1;
	}
	return 0;
}

static void close_all(const int *fd, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		if (fd[i] >= 0)
			close(fd[i]);
}

int vm_start(struct vm *vm, const char *config, size_t len, bool console,
	     const int lock[static VM_LOCKS])
{
	int fd[PASSED] = { -1, -1, -1, -1, -1 }, pair[2], ends[2];
	char jailer[PATH_MAX];
	int ret = -1;

	*vm = (struct vm){ .client = -1, .console = -1 };
	if (!program_find(JAILER, jailer, sizeof(jailer))) {
		say_error("immure-jailer is not beside immure");
		say_hint("build it with `make`, or install it with `make install`");
		return -1;
	}
	fd[CONFIG] = config_file(config, len);
	if (fd[CONFIG] >= 0 && socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) == 0) {
		vm->client = pair[0];
		fd[CLIENT] = pair[1];
	}
	if (console && pipe2(ends, O_CLOEXEC) == 0) {
		vm->console = ends[0];
		fd[CONSOLE] = ends[1];
	}
	memcpy(fd + LOCK0, lock, VM_LOCKS * sizeof(*lock));
	if (fd[CLIENT] < 0 || (console && fd[CONSOLE] < 0))
		say_error("cannot start immure-jailer: %s", strerror(errno));
	else
		ret = spawn(vm, jailer, fd);
	close_all(fd, LOCK0);	/* the locks are the caller's */
	return ret;
}

/* ---- events ---- */

static void copy_word(char *to, size_t size, const json_t *object, const char *key)
{
	const char *s = json_string_value(json_object_get(object, key));

	snprintf(to, size, "%s", s ? s : "");
	say_clean(to);
}

static int64_t number(const json_t *object, const char *key)
{
	return json_integer_value(json_object_get(object, key));
}

static void on_end(struct vm *vm, const json_t *e)
{
	if (vm->end.known)
		return;		/* the first one counts */
	copy_word(vm->end.reason, sizeof(vm->end.reason), e, "reason");
	copy_word(vm->end.process, sizeof(vm->end.process), e, "process");
	copy_word(vm->end.syscall, sizeof(vm->end.syscall), e, "syscall");
	copy_word(vm->end.text, sizeof(vm->end.text), e, "text");
	vm->end.detail = number(e, "detail");
	vm->end.user_exits = number(e, "user_exits");
	vm->end.left = number(e, "left");
	vm->end.known = true;
}

/* The jailer speaks only of walls that this host denies the machine: that is not for the end, nor
 * for those runs only that fail. */
static void on_note(struct vm *vm, const char *text)
{
	if (vm->nnotes == VM_NOTES)
		return;
	snprintf(vm->note[vm->nnotes++], VM_LOG_LINE, "%s", text);
	say_note("%s", text);
}

static void on_log(struct vm *vm, const json_t *e)
{
	char process[VM_WORD], text[VM_LOG_LINE - VM_WORD - 8];

	copy_word(process, sizeof(process), e, "process");
	copy_word(text, sizeof(text), e, "text");
	if (strcmp(process, "jailer") == 0) {
		on_note(vm, text);
		return;
	}
	snprintf(vm->log[vm->nlog++ % VM_LOG_LINES], VM_LOG_LINE, "%s: %s", process, text);
}

void vm_event(struct vm *vm, const char *text, size_t len)
{
	json_t *e = json_loadb(text, len, 0, NULL);
	const char *name = json_string_value(json_object_get(e, "event"));

	if (name && strcmp(name, "running") == 0)
		vm->running = true;
	else if (name && strcmp(name, "end") == 0)
		on_end(vm, e);
	else if (name && strcmp(name, "log") == 0)
		on_log(vm, e);
	json_decref(e);
}

/* Takes one event in.  False when none waits. */
static bool next_event(struct vm *vm)
{
	char text[EVENT_MAX];
	ssize_t n;

	if (vm->client < 0)
		return false;
	n = recv(vm->client, text, sizeof(text), MSG_DONTWAIT);
	if (n > 0) {
		vm_event(vm, text, (size_t)n);
	} else if (n == 0 || (errno != EAGAIN && errno != EINTR)) {
		close(vm->client);
		vm->client = -1;
	}
	return n > 0 || (vm->client >= 0 && errno == EINTR);
}

void vm_events(struct vm *vm)
{
	for (int i = 0; i < VM_EVENTS && next_event(vm); i++)
		;
}

/* ---- end ---- */

void vm_stop(struct vm *vm)
{
	static const char order[] = "{\"op\":\"stop\"}";

	if (vm->client >= 0 &&
	    send(vm->client, order, sizeof(order) - 1, MSG_DONTWAIT | MSG_NOSIGNAL) < 0) {
		/* It does not listen: closing the socket is an order too. */
		shutdown(vm->client, SHUT_RDWR);
	}
}

static bool reap(struct vm *vm, int flags)
{
	if (!vm->reaped && vm->pid > 0 && waitpid(vm->pid, &vm->status, flags) == vm->pid)
		vm->reaped = true;
	return vm->reaped || vm->pid <= 0;
}

void vm_finish(struct vm *vm, unsigned ms)
{
	const struct timespec step = { .tv_nsec = 2 * 1000 * 1000 };

	for (unsigned waited = 0; waited < ms && !reap(vm, WNOHANG) && !vm->end.left; waited += 2) {
		vm_events(vm);
		nanosleep(&step, NULL);
	}
	if (!reap(vm, WNOHANG) && !vm->end.left) {
		kill(vm->pid, SIGKILL);
		reap(vm, 0);
	}
	/* It writes no more: these are the last. */
	while (next_event(vm))
		;
	if (vm->client >= 0)
		close(vm->client);
	if (vm->console >= 0)
		close(vm->console);
	vm->client = vm->console = -1;
}

void vm_print_log(const struct vm *vm)
{
	unsigned kept = vm->nlog < VM_LOG_LINES ? vm->nlog : VM_LOG_LINES;

	for (unsigned i = vm->nlog - kept; i < vm->nlog; i++)
		say_hint("%s", vm->log[i % VM_LOG_LINES]);
}
