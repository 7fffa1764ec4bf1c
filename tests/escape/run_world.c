/* SPDX-License-Identifier: Apache-2.0 */
/* run_world.c: canaries: files, sockets, a process and keys of the host, open to everybody, so that only
 * the walls keep a jailed process from them. */
#include "tests/escape/run.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/keyctl.h>
#include <linux/vm_sockets.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

enum { CANARY, DISK, DISK_RO, IDLE, PROGRAM };

static const char *const files[CANARY_FILES] = { "canary", "disk", "disk-ro", "idle", "bin/immure-vmm" };
static const char *const programs[] = {
	"immure-jailer", "immure-vmm", "immure-blk", "immure-net", "immure-vsock",
};
/* hlt for ever */
static const char idle[] = "\xf4\xeb\xfd";

static const char *path_of(const struct world *w, const char *name)
{
	static char path[128];

	snprintf(path, sizeof(path), "%s/%s", w->dir, name);
	return path;
}

static size_t content(unsigned which, char *buf)
{
	if (which == IDLE) {
		memcpy(buf, idle, sizeof(idle) - 1);
		return sizeof(idle) - 1;
	}
	memset(buf, 'a' + (int)which, DISK_BYTES);
	return which == CANARY ? 64 : DISK_BYTES;
}

static bool write_file(struct world *w, unsigned which)
{
	static char buf[DISK_BYTES];
	size_t len = content(which, buf);
	int fd = open(path_of(w, files[which]), O_CREAT | O_TRUNC | O_RDWR | O_CLOEXEC, 0666);
	bool ok = fd >= 0 && write(fd, buf, len) == (ssize_t)len && fchmod(fd, 0666) == 0;

	close(fd);
	return ok;
}

static bool copy_programs(struct world *w, const char *bin)
{
	char command[512];

	for (size_t i = 0; i < sizeof(programs) / sizeof(programs[0]); i++) {
		snprintf(command, sizeof(command), "cp %s/%s %s/bin/ && chmod 777 %s/bin/%s", bin, programs[i],
			 w->dir, w->dir, programs[i]);
		/* A fixed command on our own files. */
		pid_t pid = fork();
		int status;

		if (pid == 0) {
			execl("/bin/sh", "sh", "-c", command, (char *)NULL);
			_exit(127);
		}
		if (waitpid(pid, &status, 0) != pid || status != 0)
			return false;
	}
	return true;
}

static int listen_on(struct world *w, int family, int type, const void *sa, socklen_t len)
{
	int fd = socket(family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -1;
	if (bind(fd, sa, len) < 0 || (type == SOCK_STREAM && listen(fd, 8) < 0)) {
		close(fd);
		return -1;
	}
	w->socket[w->nsockets++] = fd;
	return fd;
}

static long port_of(int fd)
{
	struct sockaddr_in in = { 0 };
	socklen_t len = sizeof(in);

	return fd >= 0 && getsockname(fd, (struct sockaddr *)&in, &len) == 0 ? ntohs(in.sin_port) : 0;
}

static bool make_sockets(struct world *w)
{
	struct sockaddr_in in = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct sockaddr_in6 in6 = { .sin6_family = AF_INET6, .sin6_addr = in6addr_loopback };
	struct sockaddr_vm vm = { .svm_family = AF_VSOCK, .svm_cid = VMADDR_CID_ANY, .svm_port = 7000 + w->id };
	struct sockaddr_un un = { .sun_family = AF_UNIX };

	w->tcp = port_of(listen_on(w, AF_INET, SOCK_STREAM, &in, sizeof(in)));
	w->udp = port_of(listen_on(w, AF_INET, SOCK_DGRAM, &in, sizeof(in)));
	/* Hosts may have neither of these two. */
	in6.sin6_port = htons((uint16_t)w->tcp);
	listen_on(w, AF_INET6, SOCK_STREAM, &in6, sizeof(in6));
	w->vsock = vm.svm_port;
	listen_on(w, AF_VSOCK, SOCK_STREAM, &vm, sizeof(vm));
	snprintf(un.sun_path + 1, sizeof(un.sun_path) - 1, "%s", w->name);
	if (listen_on(w, AF_UNIX, SOCK_STREAM, &un, sizeof(un)) < 0)
		return false;
	memset(un.sun_path, 0, sizeof(un.sun_path));
	snprintf(un.sun_path, sizeof(un.sun_path), "%s/stream", w->dir);
	if (listen_on(w, AF_UNIX, SOCK_STREAM, &un, sizeof(un)) < 0)
		return false;
	snprintf(un.sun_path, sizeof(un.sun_path), "%s/dgram", w->dir);
	if (listen_on(w, AF_UNIX, SOCK_DGRAM, &un, sizeof(un)) < 0)
		return false;
	return chmod(path_of(w, "stream"), 0777) == 0 && chmod(path_of(w, "dgram"), 0777) == 0 &&
	       w->tcp != 0 && w->udp != 0;
}

static bool make_victim(struct world *w)
{
	w->victim = fork();
	if (w->victim == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (w->uid != 0 && (setresgid(w->uid, w->uid, w->uid) < 0 ||
				    setresuid(w->uid, w->uid, w->uid) < 0))
			_exit(1);
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		prctl(PR_SET_DUMPABLE, 1);
		for (;;)
			pause();
	}
	return w->victim > 0;
}

static void look(struct world *w)
{
	for (unsigned i = 0; i < CANARY_FILES; i++)
		stat(path_of(w, files[i]), &w->before[i]);
}

bool world_make(struct world *w, unsigned id, uid_t uid, const char *bin)
{
	*w = (struct world){ .id = id, .uid = uid, .dir = "/tmp/escape-XXXXXX" };
	/* Processes of a VM whose supervisor died are to be seen, and waited for. */
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	if (tap_possible() && !net_own())
		return false;
	if (mkdtemp(w->dir) == NULL || chmod(w->dir, 0777) < 0)
		return false;
	snprintf(w->name, sizeof(w->name), "escape-%d-%u", (int)getpid(), id);
	if (mkdir(path_of(w, "bin"), 0755) < 0 || mkdir(path_of(w, "parent"), 0700) < 0)
		return false;
	if (uid != 0 && chown(path_of(w, "parent"), uid, uid) < 0)
		return false;
	for (unsigned i = 0; i < PROGRAM; i++)
		if (!write_file(w, i))
			return false;
	if (!copy_programs(w, bin) || !make_sockets(w) || !make_victim(w) || !tap_make(w))
		return false;
	look(w);
	net_received(w);
	return true;
}

static bool same(unsigned which, const struct stat *a, const struct stat *b)
{
	/* The writable disk is its process's to write: its contents are compared. */
	return which == DISK || (a->st_ino == b->st_ino && a->st_mode == b->st_mode && a->st_size == b->st_size &&
	       a->st_uid == b->st_uid && a->st_nlink == b->st_nlink &&
	       a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec);
}

static bool content_same(struct world *w, unsigned which)
{
	static char want[DISK_BYTES], got[DISK_BYTES + 1];
	size_t len = content(which, want);
	int fd = open(path_of(w, files[which]), O_RDONLY | O_CLOEXEC);
	ssize_t n = read(fd, got, sizeof(got));

	close(fd);
	return n == (ssize_t)len && memcmp(got, want, len) == 0;
}

/* Removes what does not belong in the directory. */
static bool strangers(struct world *w)
{
	static const char *const known[] = {
		".", "..", "bin", "parent", "canary", "disk", "disk-ro", "idle", "stream", "dgram", "kvm",
	};
	struct dirent *e;
	bool found = false;
	DIR *d = opendir(w->dir);

	while (d != NULL && (e = readdir(d)) != NULL) {
		bool ours = false;

		for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
			ours = ours || strcmp(e->d_name, known[i]) == 0;
		found = found || !ours;
		if (!ours)
			unlinkat(dirfd(d), e->d_name, 0);
	}
	if (d != NULL)
		closedir(d);
	return found;
}

/* Takes what arrived at the sockets. */
static bool visitors(struct world *w)
{
	bool found = false;
	char byte;

	for (unsigned i = 0; i < w->nsockets; i++) {
		int fd = accept(w->socket[i], NULL, NULL);

		if (fd < 0 && recv(w->socket[i], &byte, 1, 0) < 0)
			continue;
		found = true;
		if (fd >= 0)
			close(fd);
	}
	return found;
}

static bool victim_well(struct world *w)
{
	char path[32], line[64] = "";
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)w->victim);
	f = fopen(path, "re");
	if (f != NULL && fgets(line, sizeof(line), f) == NULL)
		line[0] = 0;
	if (f != NULL)
		fclose(f);
	return strstr(line, ") S ") != NULL;
}

const char *world_changed(struct world *w)
{
	const char *what = NULL;
	struct stat now;

	for (unsigned i = 0; i < CANARY_FILES; i++) {
		if (stat(path_of(w, files[i]), &now) == 0 && same(i, &now, &w->before[i]) &&
		    (i == PROGRAM || content_same(w, i)))
			continue;
		what = files[i];
		if (i != PROGRAM && !write_file(w, i))
			return "a file that cannot be made again";
		look(w);
	}
	if (strangers(w))
		what = "a file was made in the host's directory";
	if (visitors(w))
		what = "something arrived at a socket of the host";
	if (w->tap[0] != 0 && net_received(w))
		what = "a packet came in by the network";
	if (!victim_well(w)) {
		what = "the host's process";
		kill(w->victim, SIGKILL);
		waitpid(w->victim, NULL, 0);
		make_victim(w);
	}
	return what;
}

void world_add_keys(void)
{
	static const char type[] = "user", name[] = "immure-escape-canary";

	syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, NULL);
	syscall(SYS_add_key, type, name, "secret", 6ul, KEY_SPEC_SESSION_KEYRING);
	/* For a minute only: this keyring is the user's. */
	long key = syscall(SYS_add_key, type, name, "secret", 6ul, KEY_SPEC_USER_KEYRING);

	if (key > 0)
		syscall(SYS_keyctl, KEYCTL_SET_TIMEOUT, key, 60u);
}

void world_remove(struct world *w)
{
	static const char *const names[] = {
		"canary", "disk", "disk-ro", "idle", "stream", "dgram", "kvm",
	};

	kill(w->victim, SIGKILL);
	waitpid(w->victim, NULL, 0);
	for (unsigned i = 0; i < w->nsockets; i++)
		close(w->socket[i]);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		unlink(path_of(w, names[i]));
	for (size_t i = 0; i < sizeof(programs) / sizeof(programs[0]); i++) {
		char name[32];

		snprintf(name, sizeof(name), "bin/%s", programs[i]);
		unlink(path_of(w, name));
	}
	tap_remove(w);
	rmdir(path_of(w, "bin"));
	rmdir(path_of(w, "parent"));
	if (rmdir(w->dir) < 0)
		fprintf(stderr, "escape: %s is not empty\n", w->dir);
}
