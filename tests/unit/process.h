/* SPDX-License-Identifier: Apache-2.0 */
/* process.h: starts a real device program with its descriptor plan, without a jail, and plays the
 * VMM and the guest for it.
 *
 * The program is looked for beside the test: build/unit/x starts build/bin/immure-blk. */
#ifndef IMMURE_TESTS_UNIT_PROCESS_H
#define IMMURE_TESTS_UNIT_PROCESS_H

#include "core/link.h"
#include "core/vmconfig.h"
#include "tests/unit/driver.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>

enum { PROCESS_FDS = 24 };

/* What the program gets: from[i] becomes descriptor i; 0 means none. */
struct process {
	pid_t pid;
	int from[PROCESS_FDS];
	int log;		/* read end of its descriptor 2 */
	struct link vmm;	/* our end of the link */
	int call;
	int kick[LINK_QUEUES_MAX];
};

static inline int config_file(const struct vm_config *c)
{
	int fd = memfd_create("config", MFD_CLOEXEC);

	cr_assert_eq(write(fd, c, sizeof(*c)), (ssize_t)sizeof(*c));
	return fd;
}

/* The descriptors that every device has, for @nqueues queues: link, call, kicks from number 5
 * on. */
static inline void process_plan(struct process *p, const struct ram *ram,
				const struct vm_config *c, int nqueues)
{
	int pair[2], log[2];

	*p = (struct process){ .pid = -1 };
	cr_assert_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	cr_assert_eq(pipe2(log, O_NONBLOCK | O_CLOEXEC), 0);
	cr_assert_eq(fcntl(pair[0], F_SETFL, O_NONBLOCK), 0);
	p->vmm = (struct link){ .fd = pair[0] };
	p->log = log[0];
	p->call = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	p->from[2] = log[1];
	p->from[3] = config_file(c);
	p->from[4] = ram->fd;
	p->from[5] = pair[1];
	p->from[6] = p->call;
	for (int i = 0; i < nqueues; i++) {
		p->kick[i] = eventfd(0, EFD_CLOEXEC);
		p->from[7 + i] = p->kick[i];
	}
}

/* In the child: places the descriptors and becomes @program. */
static inline _Noreturn void become(const struct process *p, const char *program,
				    const char *index)
{
	char self[400], path[500];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	int high[PROCESS_FDS];

	self[n > 0 ? n : 0] = 0;
	for (int i = 0; i < 2 && strrchr(self, '/') != NULL; i++)
		*strrchr(self, '/') = 0;
	snprintf(path, sizeof(path), "%s/bin/%s", self, program);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	/* A sanitizer's leak check at exit needs more than a sealed process may do. */
	setenv("ASAN_OPTIONS", "detect_leaks=0:clear_shadow_mmap_threshold=1073741824", 1);
	for (int i = 0; i < PROCESS_FDS; i++)
		high[i] = p->from[i] > 0 ? fcntl(p->from[i], F_DUPFD, 200) : -1;
	for (int i = 0; i < PROCESS_FDS; i++) {
		close(i);
		if (high[i] >= 0)
			dup2(high[i], i);
	}
	execl(path, program, index, (char *)NULL);
	_exit(127);
}

static inline void process_start(struct process *p, const char *program, const char *index)
{
	p->pid = fork();
	if (p->pid == 0)
		become(p, program, index);
	cr_assert_gt(p->pid, 0);
	close(p->from[2]);
	close(p->from[3]);
	close(p->from[5]);
}

/* Waits for @fd to become readable, at most 5 s. */
static inline bool readable_soon(int fd)
{
	struct pollfd f = { .fd = fd, .events = POLLIN };

	return poll(&f, 1, 5000) == 1;
}

static inline void process_expect(struct process *p, enum link_type type, struct link_msg *m)
{
	enum link_result r;

	cr_assert(readable_soon(p->vmm.fd), "no %s", link_type_name(type));
	r = link_recv(&p->vmm, m);
	cr_assert_eq(r, LINK_OK, "waiting for %s: result %d", link_type_name(type), r);
	cr_assert_eq(m->type, type, "%s, not %s", link_type_name(m->type),
		     link_type_name(type));
}

static inline void process_tell(struct process *p, const struct link_msg *m)
{
	cr_assert_eq(link_send(&p->vmm, m), LINK_OK, "%s", link_type_name(m->type));
}

/* Tells the device that the driver of @n queues is ready. */
static inline void process_activate(struct process *p, const struct driver *d, int n)
{
	struct link_msg m = { .type = LINK_ACTIVATE };

	m.u.activate.features = d[0].features;
	for (int i = 0; i < n; i++)
		m.u.activate.queue[i] = (struct link_queue){ d[i].desc, d[i].avail, d[i].used,
							     d[i].size, 1, 0 };
	process_tell(p, &m);
}

static inline void process_kick(struct process *p, int queue)
{
	const uint64_t one = 1;

	cr_assert_eq(write(p->kick[queue], &one, 8), 8);
}

/* Waits for the device's interrupt, at most 5 s. */
static inline void process_interrupted(struct process *p)
{
	uint64_t n;

	cr_assert(readable_soon(p->call), "no interrupt");
	cr_assert_eq(read(p->call, &n, 8), 8);
}

/* The wait status the program ends with, within 5 s. */
static inline int process_end(struct process *p)
{
	int status = -1;

	for (int i = 0; i < 500; i++) {
		if (waitpid(p->pid, &status, WNOHANG) == p->pid)
			return status;
		usleep(10000);
	}
	kill(p->pid, SIGKILL);
	cr_assert_fail("the program did not end");
	return status;
}

static inline bool exited(int status, int code)
{
	return WIFEXITED(status) && WEXITSTATUS(status) == code;
}

/* The number after @key in /proc/PID/status, or -1. */
static inline int process_status(const struct process *p, const char *key)
{
	char path[40], line[200];
	int value = -1;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/status", p->pid);
	f = fopen(path, "re");
	while (f != NULL && fgets(line, sizeof(line), f) != NULL)
		if (strncmp(line, key, strlen(key)) == 0)
			sscanf(line + strlen(key), ": %d", &value);
	if (f != NULL)
		fclose(f);
	return value;
}

/* Clock ticks of processor time used so far. */
static inline long process_ticks(const struct process *p)
{
	unsigned long user = 0, sys = 0;
	char path[40];
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/stat", p->pid);
	f = fopen(path, "re");
	cr_assert_not_null(f);
	cr_assert_eq(fscanf(f, "%*d %*s %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu",
			    &user, &sys), 2);
	fclose(f);
	return (long)(user + sys);
}

/* What the program has logged so far. */
static inline const char *process_log(const struct process *p)
{
	static char text[4096];
	ssize_t n = read(p->log, text, sizeof(text) - 1);

	text[n > 0 ? n : 0] = 0;
	return text;
}

#endif
