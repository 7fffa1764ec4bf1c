/* SPDX-License-Identifier: Apache-2.0 */
/* vm.c: plays the part of `immure run`. */
#include "tests/death/vm.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define TAP "dead0"

static _Noreturn void give_up(const char *what)
{
	perror(what);
	exit(2);
}

static void make_file(const struct ground *g, const char *name, const char *data, size_t len,
		      off_t size)
{
	char path[128];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", g->dir, name);
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	if (fd < 0 || write(fd, data, len) != (ssize_t)len || ftruncate(fd, size) < 0)
		give_up(path);
	close(fd);
}

/* One that stays: to make one and to take it away costs more than everything else of a VM. */
static void make_tap(void)
{
	struct ifreq req = { .ifr_name = TAP, .ifr_flags = IFF_TAP | IFF_NO_PI };
	int fd;

	if (unshare(CLONE_NEWNET) < 0)
		give_up("unshare");
	fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);
	if (fd < 0 || ioctl(fd, TUNSETIFF, &req) < 0 || ioctl(fd, TUNSETPERSIST, 1ul) < 0)
		give_up("/dev/net/tun");
	close(fd);
}

void ground_make(struct ground *g, const char *bin)
{
	static const char sleeps[] = "\xf4\xeb\xfd";	/* 1: hlt; jmp 1b */
	char path[128];

	g->bin = bin;
	make_tap();
	snprintf(g->dir, sizeof(g->dir), "/tmp/immure-death-XXXXXX");
	if (mkdtemp(g->dir) == NULL)
		give_up(g->dir);
	make_file(g, "guest", sleeps, sizeof(sleeps) - 1, sizeof(sleeps) - 1);
	make_file(g, "disk", "", 0, 1 << 20);
	snprintf(path, sizeof(path), "%s/run", g->dir);
	if (mkdir(path, 0700) < 0)
		give_up(path);
}

void ground_remove(const struct ground *g)
{
	static const char *const files[] = { "guest", "disk" };
	char path[128];

	for (size_t i = 0; i < array_len(files); i++) {
		snprintf(path, sizeof(path), "%s/%s", g->dir, files[i]);
		unlink(path);
	}
	snprintf(path, sizeof(path), "%s/run", g->dir);
	if (rmdir(path) < 0 || rmdir(g->dir) < 0)
		give_up(path);
}

static int config_memfd(const struct vm *vm, const struct ground *g)
{
	int fd = memfd_create("config", MFD_CLOEXEC);

	if (fd < 0)
		give_up("memfd_create");
	dprintf(fd, "{\"name\":\"%s\",\"id\":%d,\"kernel\":\"%s/guest\",\"entry\":\"flat\","
		"\"memory\":%d,\"disks\":[{\"path\":\"%s/disk\",\"readonly\":false}],"
		"\"net\":[{\"tap\":\"" TAP "\",\"wall\":\"off\"}],\"run_dir\":\"%s/run/%s\",\"vsock\":{\"cid\":3,\"path\":\"%s/run/%s/v\"}}",
		vm->name, 900, g->dir, 32 << 20, g->dir, g->dir, vm->name, g->dir, vm->name);
	if (lseek(fd, 0, SEEK_SET) < 0)
		give_up("lseek");
	return fd;
}

static _Noreturn void become_jailer(const struct ground *g, int config, int client)
{
	char *argv[] = { "immure-jailer", "--config-fd", "3", "--client-fd", "4", NULL };
	char *envp[] = { NULL };
	char path[512];

	snprintf(path, sizeof(path), "%s/immure-jailer", g->bin);
	config = fcntl(config, F_DUPFD_CLOEXEC, 64);
	client = fcntl(client, F_DUPFD_CLOEXEC, 64);
	if (dup2(config, 3) == 3 && dup2(client, 4) == 4)
		execve(path, argv, envp);
	perror(path);
	_exit(99);
}

void vm_start(struct vm *vm, const struct ground *g, unsigned n)
{
	char path[160];
	int pair[2], config;

	*vm = (struct vm){ .client = -1 };
	snprintf(vm->name, sizeof(vm->name), "death-%d-%u", (int)getpid(), n);
	snprintf(path, sizeof(path), "%s/run/%s", g->dir, vm->name);
	config = config_memfd(vm, g);
	if (mkdir(path, 0700) < 0 ||
	    socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		give_up(path);
	vm->jailer = fork();
	if (vm->jailer < 0)
		give_up("fork");
	if (vm->jailer == 0)
		become_jailer(g, config, pair[1]);
	close(config);
	close(pair[1]);
	vm->client = pair[0];
}

static int64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* Takes one message.  1: taken; 0: the connection is closed; -1: none before @until. */
static int take(struct vm *vm, int64_t until)
{
	struct pollfd at = { .fd = vm->client, .events = POLLIN };
	int64_t left = until - now_ms();
	char text[sizeof(vm->end)];
	ssize_t n;

	if (poll(&at, 1, left > 0 ? (int)left : 0) <= 0)
		return -1;
	n = recv(vm->client, text, sizeof(text) - 1, 0);
	if (n <= 0)
		return 0;
	text[n] = 0;
	if (strstr(text, "\"event\":\"running\"") != NULL)
		vm->running = true;
	if (strstr(text, "\"event\":\"end\"") != NULL) {
		vm->ended = true;
		memcpy(vm->end, text, (size_t)n + 1);
	}
	return 1;
}

bool vm_wait_running(struct vm *vm, int ms)
{
	int64_t until = now_ms() + ms;
	int got = 1;

	while (got > 0 && !vm->running)
		got = take(vm, until);
	return vm->running;
}

bool vm_wait_end(struct vm *vm, int ms)
{
	int64_t until = now_ms() + ms;
	int got = 1;

	while (got > 0)
		got = take(vm, until);
	return got == 0;
}

size_t vm_processes(const struct vm *vm, pid_t pids[VM_PROCESSES])
{
	char path[64];
	size_t n = 1;
	FILE *f;
	int pid;

	pids[0] = vm->jailer;
	snprintf(path, sizeof(path), "/proc/%d/task/%d/children", (int)vm->jailer,
		 (int)vm->jailer);
	/* In the order of their birth: numbers start again from below some time. */
	f = fopen(path, "re");
	while (f != NULL && n < VM_PROCESSES && fscanf(f, "%d", &pid) == 1)
		pids[n++] = pid;
	if (f != NULL)
		fclose(f);
	return n;
}

static const char *const hierarchies[] = {
	"/memory", "/pids", "/cpu", "/blkio", "/devices", "",
};

/* The kernel may need a moment after the last task was reaped. */
static void remove_cgroup(const char *path)
{
	for (int tries = 2000; rmdir(path) < 0 && errno == EBUSY && tries > 0; tries--)
		poll(NULL, 0, 1);
}

void vm_sweep(const struct vm *vm, const struct ground *g)
{
	static const char *const files[] = { "v", "v.seq", "pages" };
	char path[192];

	for (size_t i = 0; i < array_len(files); i++) {
		snprintf(path, sizeof(path), "%s/run/%s/%s", g->dir, vm->name, files[i]);
		unlink(path);
	}
	snprintf(path, sizeof(path), "%s/run/%s", g->dir, vm->name);
	rmdir(path);
	for (size_t i = 0; i < array_len(hierarchies); i++) {
		snprintf(path, sizeof(path), "/sys/fs/cgroup%s/immure/%s", hierarchies[i], vm->name);
		remove_cgroup(path);
	}
}

static bool exists(const char *path, char *what, size_t size)
{
	if (access(path, F_OK) != 0)
		return false;
	snprintf(what, size, "%s", path);
	return true;
}

bool vm_left(const struct vm *vm, const struct ground *g, char *what, size_t size)
{
	char path[192];

	snprintf(path, sizeof(path), "%s/run/%s", g->dir, vm->name);
	if (exists(path, what, size))
		return true;
	for (size_t i = 0; i < array_len(hierarchies); i++) {
		snprintf(path, sizeof(path), "/sys/fs/cgroup%s/immure/%s", hierarchies[i], vm->name);
		if (exists(path, what, size))
			return true;
	}
	return false;
}
