/* SPDX-License-Identifier: Apache-2.0 */
/* jail_rig.h: plays `immure run` for the real jailer, with flat guests on this machine's KVM.
 *
 * Everything happens in a directory of its own; the jailer is the one beside the test
 * (build/unit/x starts build/bin/immure-jailer). */
#ifndef IMMURE_TESTS_UNIT_JAIL_RIG_H
#define IMMURE_TESTS_UNIT_JAIL_RIG_H

#include "core/fdplan.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <jansson.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { RIG_PROCESSES = 12, RIG_MESSAGE = 4097, RIG_SECONDS = 120 };

struct rig {
	char dir[32];			/* images; run/ below it is the run directory */
	char name[32];
	pid_t jailer;
	int client;
	unsigned nprocs;
	pid_t pid[RIG_PROCESSES];	/* the jailer's children: 0 the VMM, 1 + device */
	uid_t uid;			/* the jailer runs as */
	int console;			/* becomes descriptor 5 of the jailer; 0: none */
	int lock;			/* becomes descriptor 6 of the jailer; 0: none */
	char bin[64];			/* where the programs are; "": the built ones */
	char cgroup[48];		/* delegated to uid, of version 2, and the jailer starts below; "": none */
	bool alone;			/* in a user namespace without any id but root's */
	bool stopped;			/* the jailer stops itself before it is executed */
	bool direct;			/* the disk is past the host's cache */
};

/* Guests: hlt for ever; an OUT to the test port. */
static const char rig_idle[] = "\xf4\xeb\xfd";
static const char rig_done[] = "\x66\xba\x01\x05\xb0\x2a\xee\xf4\xeb\xfd";

static inline void rig_file(const struct rig *r, const char *name, const void *data,
			    size_t len, off_t size)
{
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", r->dir, name);
	fd = open(path, O_CREAT | O_RDWR | O_CLOEXEC, 0666);
	cr_assert(fd >= 0 && write(fd, data, len) == (ssize_t)len);
	cr_assert(ftruncate(fd, size) == 0 && fchmod(fd, 0666) == 0 && close(fd) == 0);
}

static inline struct rig rig_make(uid_t uid)
{
	struct rig r = { .uid = uid, .client = -1, .dir = "/tmp/rig-XXXXXX" };
	static int count;
	char path[64];

#ifdef __SANITIZE_ADDRESS__
	cr_skip("a sanitized program needs system calls that its filters refuse");
#endif
	if (geteuid() != 0)
		cr_skip("needs root");
	if (access("/dev/kvm", R_OK | W_OK) != 0)
		cr_skip("needs /dev/kvm");
	cr_assert_not_null(mkdtemp(r.dir));
	cr_assert_eq(chmod(r.dir, 0755), 0);
	snprintf(r.name, sizeof(r.name), "rig-%d-%d", (int)getpid(), ++count);
	rig_file(&r, "idle", rig_idle, sizeof(rig_idle) - 1, sizeof(rig_idle) - 1);
	rig_file(&r, "done", rig_done, sizeof(rig_done) - 1, sizeof(rig_done) - 1);
	rig_file(&r, "disk", "", 0, 1 << 20);
	snprintf(path, sizeof(path), "%s/parent", r.dir);
	cr_assert(mkdir(path, 0700) == 0 && chown(path, uid, uid) == 0);
	snprintf(path, sizeof(path), "%s/parent/run", r.dir);
	cr_assert(mkdir(path, 0700) == 0 && chown(path, uid, uid) == 0);
	return r;
}

/* The usual VM: one writable disk, vsock, a run directory; @more is added JSON. */
static inline const char *rig_config(const struct rig *r, const char *guest, const char *more)
{
	static char text[2048];

	snprintf(text, sizeof(text), "{\"name\":\"%s\",\"id\":5,\"kernel\":\"%s/%s\","
		 "\"entry\":\"flat\",\"memory\":33554432,"
		 "\"disks\":[{\"path\":\"%s/disk\",\"readonly\":false%s}],"
		 "\"run_dir\":\"%s/parent/run\","
		 "\"vsock\":{\"cid\":3,\"path\":\"%s/parent/run/v.sock\"}%s}",
		 r->name, r->dir, guest, r->dir, r->direct ? ",\"direct\":true" : "", r->dir, r->dir,
		 more);
	return text;
}

static inline void rig_put(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		_exit(96);
	close(fd);
}

static inline void rig_exec(const struct rig *r, int config, int client)
{
	static const char *const argv[] = {
		"immure-jailer", "--config-fd", "3", "--client-fd", "4", "--lock-fd", "6", NULL,
	}, *const unlocked[] = { "immure-jailer", "--config-fd", "3", "--client-fd", "4", NULL };
	static char *const envp[] = { NULL };
	char self[256] = "", path[288];

	snprintf(path, sizeof(path), "/sys/fs/cgroup/%s/session/cgroup.procs", r->cgroup);
	if (r->cgroup[0] != 0)
		rig_put(path, "0");
	if (readlink("/proc/self/exe", self, sizeof(self) - 1) < 0 ||
	    dup2(config, 103) < 0 || dup2(client, 104) < 0)
		_exit(99);
	*strrchr(self, '/') = 0;
	snprintf(path, sizeof(path), r->bin[0] != 0 ? "%s/immure-jailer"
		 : "%s/../bin/immure-jailer", r->bin[0] != 0 ? r->bin : self);
	if (r->console != 0 && dup2(r->console, 105) < 0)
		_exit(99);
	if (r->lock != 0 && dup2(r->lock, 106) < 0)
		_exit(99);
	if (r->uid != 0 && (setgroups(0, NULL) < 0 || setresgid(r->uid, r->uid, r->uid) < 0 ||
			    setresuid(r->uid, r->uid, r->uid) < 0))
		_exit(98);
	if (r->alone && unshare(CLONE_NEWUSER) == 0) {
		rig_put("/proc/self/setgroups", "deny");
		rig_put("/proc/self/uid_map", "0 0 1");
		rig_put("/proc/self/gid_map", "0 0 1");
	}
	dup2(103, 3);
	dup2(104, 4);
	if (r->console != 0)
		dup2(105, 5);
	close_range(r->console != 0 ? 6 : 5, 105, 0);
	if (r->lock != 0)
		dup2(106, 6);
	close_range(r->lock != 0 ? 7 : 6, ~0u, 0);
	if (r->stopped)
		raise(SIGSTOP);
	execve(path, (char *const *)(r->lock != 0 ? argv : unlocked), envp);
	_exit(97);
}

static inline void rig_start(struct rig *r, const char *config)
{
	int pair[2], fd = memfd_create("config", MFD_CLOEXEC);

	cr_assert_eq(write(fd, config, strlen(config)), (ssize_t)strlen(config));
	cr_assert_eq(lseek(fd, 0, SEEK_SET), 0);
	cr_assert_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	r->jailer = fork();
	if (r->jailer == 0)
		rig_exec(r, fd, pair[1]);
	close(fd);
	close(pair[1]);
	r->client = pair[0];
}

/* The next event, or NULL when the jailer closed the connection. */
static inline json_t *rig_event(struct rig *r)
{
	struct pollfd at = { .fd = r->client, .events = POLLIN };
	char text[RIG_MESSAGE];
	json_t *e;
	ssize_t n;

	cr_assert_eq(poll(&at, 1, RIG_SECONDS * 1000), 1, "no event");
	n = recv(r->client, text, sizeof(text) - 1, 0);
	if (n <= 0)
		return NULL;
	e = json_loadb(text, (size_t)n, 0, NULL);
	cr_assert_not_null(e, "not JSON: %.*s", (int)n, text);
	return e;
}

static inline const char *rig_word(const json_t *e, const char *key)
{
	const char *s = json_string_value(json_object_get(e, key));

	return s != NULL ? s : "";
}

/* Waits for event @name, skipping others; the caller's to free. */
static inline json_t *rig_expect(struct rig *r, const char *name)
{
	json_t *e;

	while ((e = rig_event(r)) != NULL && strcmp(rig_word(e, "event"), name) != 0) {
		if (strcmp(rig_word(e, "event"), "end") == 0)
			cr_assert_fail("ended: %s: %s", rig_word(e, "reason"),
				       rig_word(e, "text"));
		json_decref(e);
	}
	cr_assert_not_null(e, "no event \"%s\"", name);
	return e;
}

/* Does this host let a process give up speculation, where the processor has the flaw?  Booted with
 * mitigations=off, or mostly so, it does not, and a VM that asks for it must not start. */
static inline bool rig_restricts(void)
{
	static const unsigned long kinds[] = { 0, 1 };	/* PR_SPEC_STORE_BYPASS, PR_SPEC_INDIRECT_BRANCH */
	enum { GET_SPECULATION = 52, BY_PRCTL = 1 << 0, ENABLED = 1 << 1 };

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		int state = prctl(GET_SPECULATION, kinds[i], 0, 0, 0);

		if (state < 0 || (state & (BY_PRCTL | ENABLED)) == ENABLED)
			return false;
	}
	return true;
}

static inline long rig_status(pid_t pid, const char *key, int base)
{
	char path[64], line[256];
	long value = -1;
	size_t n = strlen(key);
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	f = fopen(path, "re");
	while (f != NULL && fgets(line, sizeof(line), f) != NULL)
		if (strncmp(line, key, n) == 0 && line[n] == ':')
			value = strtol(line + n + 1, NULL, base);
	if (f != NULL)
		fclose(f);
	return value;
}

static inline int rig_by_number(const void *a, const void *b)
{
	return *(const pid_t *)a - *(const pid_t *)b;
}

/* Finds the processes that there are by now. */
static inline void rig_find(struct rig *r)
{
	DIR *d = opendir("/proc");
	struct dirent *e;

	r->nprocs = 0;
	while ((e = readdir(d)) != NULL && r->nprocs < RIG_PROCESSES) {
		pid_t pid = (pid_t)strtol(e->d_name, NULL, 10);

		if (pid > 0 && rig_status(pid, "PPid", 10) == r->jailer)
			r->pid[r->nprocs++] = pid;
	}
	closedir(d);
	qsort(r->pid, r->nprocs, sizeof(r->pid[0]), rig_by_number);
}

/* Waits until the guest runs, and finds the processes. */
static inline void rig_running(struct rig *r)
{
	json_decref(rig_expect(r, "running"));
	rig_find(r);
}

static inline bool rig_cgroup_left(const struct rig *r)
{
	static const char *const places[] = {
		"/sys/fs/cgroup/memory", "/sys/fs/cgroup/pids", "/sys/fs/cgroup/cpu",
		"/sys/fs/cgroup/blkio", "/sys/fs/cgroup",
	};
	char path[128];

	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		snprintf(path, sizeof(path), "%s/immure/%s", places[i], r->name);
		if (access(path, F_OK) == 0)
			return true;
	}
	snprintf(path, sizeof(path), "/sys/fs/cgroup/%s/immure/%s", r->cgroup, r->name);
	return r->cgroup[0] != 0 && access(path, F_OK) == 0;
}

/* Nothing of the VM exists any more: processes, cgroup, sockets, run directory. */
static inline void rig_nothing_left(const struct rig *r)
{
	char path[64];

	for (unsigned i = 0; i < r->nprocs; i++)
		cr_assert(kill(r->pid[i], 0) < 0 && errno == ESRCH, "process %u lives", i);
	cr_assert(!rig_cgroup_left(r), "cgroup left");
	snprintf(path, sizeof(path), "%s/parent/run", r->dir);
	cr_assert(access(path, F_OK) < 0 && errno == ENOENT, "run directory left");
}

/* Waits for the end: its message must be the last, the exit status @status. */
static inline json_t *rig_end(struct rig *r, const char *reason, int status)
{
	json_t *e, *end = NULL;
	int got;

	while ((e = rig_event(r)) != NULL) {
		cr_assert_null(end, "a message after the end");
		if (strcmp(rig_word(e, "event"), "end") == 0)
			end = e;
		else
			json_decref(e);
	}
	cr_assert_not_null(end, "no end message");
	cr_assert_str_eq(rig_word(end, "reason"), reason, "%s: %s", rig_word(end, "reason"),
			 rig_word(end, "text"));
	cr_assert_eq(waitpid(r->jailer, &got, 0), r->jailer);
	cr_assert(WIFEXITED(got) && WEXITSTATUS(got) == status, "status %x", got);
	return end;
}

static inline void rig_remove(struct rig *r)
{
	static const char *const names[] = { "idle", "done", "disk", "lock" };
	char path[64];

	if (r->client >= 0)
		close(r->client);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		snprintf(path, sizeof(path), "%s/%s", r->dir, names[i]);
		unlink(path);
	}
	snprintf(path, sizeof(path), "%s/parent/run", r->dir);
	rmdir(path);
	snprintf(path, sizeof(path), "%s/parent", r->dir);
	cr_assert(rmdir(path) == 0 && rmdir(r->dir) == 0, "files left in %s", r->dir);
}

/* Ends the VM, of which nothing is left then. */
static inline void rig_stop(struct rig *r)
{
	cr_assert_eq(send(r->client, "{\"op\":\"stop\"}", 13, 0), 13);
	json_decref(rig_end(r, "stopped", 0));
	rig_nothing_left(r);
}

/* A VM of @config does not start, because of what @says; nothing is left of it, and of the rig. */
static inline void rig_setup_fails(struct rig *r, const char *config, const char *says)
{
	json_t *end;

	rig_start(r, config);
	end = rig_end(r, "setup", 125);
	cr_assert_not_null(strstr(rig_word(end, "text"), says), "%s", rig_word(end, "text"));
	json_decref(end);
	cr_assert(!rig_cgroup_left(r), "cgroup left");
	rig_remove(r);
}

#endif
