/* SPDX-License-Identifier: Apache-2.0 */
/* jailed.c: a whole VM through immure-jailer, with a disk, a network interface and a socket device.
 *
 * Plays the part of `immure run`: the configuration at descriptor 3, one end of a socket at 4,
 * a pipe for the guest's console at 5.  A byte on the console says that the guest's first
 * instruction has run; "end" comes when everything is gone. */
#include "bench/bench.h"
#include "core/base.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

static int config_memfd(const struct launch *l, const char *tap)
{
	const char *kernel = bench_path(bench_dir, l->idle ? "idle.flat" : "console.flat");
	const char *disk = bench_path(bench_dir, "disk.img");
	int fd = memfd_create("config", MFD_CLOEXEC);

	if (fd < 0)
		return -1;
	dprintf(fd, "{ \"name\": \"bench-%d-%u\", \"id\": %u, \"kernel\": \"%s\","
		" \"entry\": \"flat\", \"memory\": %u, \"vcpus\": 1, \"console\": true,"
		" \"disks\": [ { \"path\": \"%s\", \"readonly\": true } ],"
		" \"net\": [ { \"tap\": \"%s%u\", \"addresses\": [ \"10.0.0.2\" ] } ],"
		" \"vsock\": { \"cid\": 3, \"path\": \"%s/vsock-%u.sock\" } }",
		(int)getpid(), l->number, l->number + 1, kernel,
		(unsigned int)BENCH_RAM_MIB << 20, disk, tap, l->number, bench_dir, l->number);
	return lseek(fd, 0, SEEK_SET) == 0 ? fd : -1;
}

static bool prepare_with(struct launch *l, const char *tap)
{
	char name[32];
	int pair[2];

	snprintf(name, sizeof(name), "vsock-%u.sock", l->number);
	unlink(bench_path(bench_dir, name));
	l->config = config_memfd(l, tap);
	if (l->config < 0 || socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return false;
	l->client = pair[0];
	l->theirs = pair[1];
	return pipe2(l->console, O_CLOEXEC) == 0;
}

/* A tap of bench/run, as a host keeps them ready that starts many VMs. */
static bool prepare(struct launch *l)
{
	return prepare_with(l, "ibench");
}

/* One that the jailer makes, and that goes with the VM. */
static bool prepare_new(struct launch *l)
{
	return prepare_with(l, "ibnew");
}

static void become(const struct launch *l)
{
	char *argv[] = { "immure-jailer", "--config-fd", "3", "--client-fd", "4", NULL };
	char *envp[] = { NULL };
	int config = fcntl(l->config, F_DUPFD_CLOEXEC, 64);
	int client = fcntl(l->theirs, F_DUPFD_CLOEXEC, 64);
	int console = fcntl(l->console[1], F_DUPFD_CLOEXEC, 64);

	if (dup2(config, 3) == 3 && dup2(client, 4) == 4 && dup2(console, 5) == 5)
		execve(bench_path(bench_bin, "immure-jailer"), argv, envp);
}

/* Receives messages until one contains @wanted, or the last has come. */
static bool wait_event(const struct launch *l, const char *wanted)
{
	char message[4096];
	ssize_t n;

	while ((n = recv(l->client, message, sizeof(message) - 1, 0)) > 0) {
		message[n] = '\0';
		if (getenv("BENCH_STDERR"))
			fputs(message, stderr);
		if (strstr(message, wanted))
			return true;
	}
	return false;
}

static bool wait_first(const struct launch *l)
{
	char byte;

	if (l->idle)
		return wait_event(l, "\"running\"");
	return read(l->console[0], &byte, 1) == 1 && byte == BENCH_SIGNAL;
}

static bool wait_end(const struct launch *l)
{
	return wait_event(l, "\"guest-poweroff\"");
}

const struct subject subject_jailed = {
	.name = "immure-jailed", .title = "immure, jailed, 3 devices", .tool = "immure-jailer",
	.ours = true, .prepare = prepare, .become = become, .wait_first = wait_first,
	.wait_end = wait_end,
};

const struct subject subject_jailed_tap = {
	.name = "immure-jailed-tap", .title = "the same, makes its tap", .tool = "immure-jailer",
	.ours = true, .prepare = prepare_new, .become = become, .wait_first = wait_first,
	.wait_end = wait_end,
};
