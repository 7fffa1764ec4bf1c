/* SPDX-License-Identifier: Apache-2.0 */
/* guest.c: what it takes the host to boot a Linux guest, and to serve its disk: the whole of immure,
 * jailer and all, beside QEMU's microvm with the same kernel, command line, initramfs and disk.
 *
 * For an emulated host in which one instruction takes one nanosecond: the time that passes is what host and
 * guest execute together. Exits and injected interrupts are counted by KVM's tracepoints.
 *
 *	guest BIN KERNEL-NAME VMLINUX INITRAMFS DISK OPS	two lines of JSON */
#include <errno.h>
#include <fcntl.h>
#include <linux/perf_event.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define CMDLINE "quiet loglevel=0 panic=-1 reboot=t tsc=reliable no_timer_check 8250.nr_uarts=0 ops="

struct cost {
	double instructions, exits, interrupts;
};

static const char *bin, *kernel, *initramfs, *disk;

static _Noreturn void die(const char *what)
{
	fprintf(stderr, "guest: %s: %s\n", what, strerror(errno));
	exit(1);
}

/* Counts the tracepoint kvm:@name on the one processor, whoever hits it. */
static int counter(const char *name)
{
	struct perf_event_attr attr = { .type = PERF_TYPE_TRACEPOINT, .size = sizeof(attr) };
	unsigned long long id;
	char path[96];
	FILE *f;
	int fd;

	snprintf(path, sizeof(path), "/sys/kernel/tracing/events/kvm/%s/id", name);
	f = fopen(path, "re");
	if (f == NULL || fscanf(f, "%llu", &id) != 1)
		die(path);
	fclose(f);
	attr.config = id;
	fd = (int)syscall(SYS_perf_event_open, &attr, -1, 0, -1, PERF_FLAG_FD_CLOEXEC);
	if (fd < 0)
		die("perf_event_open");
	return fd;
}

static double count(int fd)
{
	uint64_t n;

	if (read(fd, &n, sizeof(n)) != sizeof(n))
		die("counter");
	close(fd);
	return (double)n;
}

static double now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return 1e9 * (double)t.tv_sec + (double)t.tv_nsec;
}

/* ---- immure ---- */

/* "reboot=t": the kernel resets by a triple fault, which every machine monitor has to take for an end. */

static int config(long ops)
{
	int fd = memfd_create("config", MFD_CLOEXEC);

	dprintf(fd, "{\"name\":\"bench-guest\",\"id\":1,\"kernel\":\"%s\",\"initrd\":\"%s\",\"memory\":%u,"
		"\"cmdline\":\"" CMDLINE "%ld\",\"disks\":[{\"path\":\"%s\",\"readonly\":true}]}",
		kernel, initramfs, 256u << 20, ops, disk);
	return fd >= 0 && lseek(fd, 0, SEEK_SET) == 0 ? fd : -1;
}

static _Noreturn void become_jailer(int from, int client)
{
	char path[512];

	snprintf(path, sizeof(path), "%s/immure-jailer", bin);
	from = fcntl(from, F_DUPFD_CLOEXEC, 64);
	client = fcntl(client, F_DUPFD_CLOEXEC, 64);
	if (dup2(from, 3) == 3 && dup2(client, 4) == 4)
		execl(path, "immure-jailer", "--config-fd", "3", "--client-fd", "4", (char *)NULL);
	_exit(127);
}

static void run_immure(long ops)
{
	char message[4096] = "";
	int pair[2], status, from = config(ops);
	ssize_t n;
	pid_t pid;

	if (from < 0 || socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		die("configuration");
	pid = fork();
	if (pid == 0)
		become_jailer(from, pair[1]);
	close(pair[1]);
	close(from);
	while ((n = recv(pair[0], message, sizeof(message) - 1, 0)) > 0)
		message[n] = 0;
	close(pair[0]);
	if (waitpid(pid, &status, 0) == pid && strstr(message, "\"guest-triple-fault\"") != NULL)
		return;
	fprintf(stderr, "guest: immure ended with %x: %s\n", (unsigned)status, message);
	exit(1);
}

/* ---- QEMU ---- */

static _Noreturn void become_qemu(long ops)
{
	char append[256], drive[512];

	snprintf(append, sizeof(append), CMDLINE "%ld", ops);
	snprintf(drive, sizeof(drive), "if=none,id=d,format=raw,readonly=on,file=%s", disk);
	execlp("qemu-system-x86_64", "qemu-system-x86_64", "-M",
	       "microvm,x-option-roms=off,pit=off,pic=off,rtc=off,isa-serial=off", "-enable-kvm",
	       "-cpu", "host", "-m", "256", "-nodefaults", "-no-user-config", "-display", "none",
	       "-no-reboot", "-kernel", kernel, "-initrd", initramfs, "-append", append,
	       "-drive", drive, "-device", "virtio-blk-device,drive=d", (char *)NULL);
	_exit(127);
}

static void run_qemu(long ops)
{
	int status;
	pid_t pid = fork();

	if (pid == 0)
		become_qemu(ops);
	if (waitpid(pid, &status, 0) == pid && status == 0)
		return;
	fprintf(stderr, "guest: QEMU ended with %x\n", (unsigned)status);
	exit(1);
}

/* ---- */

static struct cost cost_of(void (*run)(long), long ops)
{
	int exits = counter("kvm_exit"), interrupts = counter("kvm_inj_virq");
	double from = now_ns();
	struct cost c;

	run(ops);
	c.instructions = now_ns() - from;
	c.exits = count(exits);
	c.interrupts = count(interrupts);
	return c;
}

static void report(const char *bench, const char *name, struct cost ours, struct cost theirs, double n)
{
	printf("{\"bench\":\"%s\",\"kernel\":\"%s\",\"peer\":\"qemu-microvm\",\"instructions\":%.0f,"
	       "\"peer_instructions\":%.0f,\"instructions_ratio\":%.3f,\"exits\":%.2f,\"peer_exits\":%.2f,"
	       "\"exits_ratio\":%.3f,\"interrupts\":%.2f,\"peer_interrupts\":%.2f}\n", bench, name,
	       ours.instructions / n, theirs.instructions / n, ours.instructions / theirs.instructions,
	       ours.exits / n, theirs.exits / n, ours.exits / theirs.exits, ours.interrupts / n,
	       theirs.interrupts / n);
	fflush(stdout);
}

static struct cost difference(struct cost a, struct cost b)
{
	return (struct cost){
		a.instructions - b.instructions, a.exits - b.exits, a.interrupts - b.interrupts,
	};
}

int main(int argc, char **argv)
{
	struct cost boot[2], work[2];
	long ops = argc == 7 ? strtol(argv[6], NULL, 10) : -1;

	if (ops < 0) {
		fprintf(stderr, "usage: guest BIN KERNEL-NAME VMLINUX INITRAMFS DISK OPS\n");
		return 2;
	}
	bin = argv[1];
	kernel = argv[3];
	initramfs = argv[4];
	disk = argv[5];
	/* Once for the host's caches. */
	run_immure(0);
	run_qemu(0);
	boot[0] = cost_of(run_immure, 0);
	boot[1] = cost_of(run_qemu, 0);
	report("B10", argv[2], boot[0], boot[1], 1);
	if (ops == 0)
		return 0;
	work[0] = difference(cost_of(run_immure, ops), boot[0]);
	work[1] = difference(cost_of(run_qemu, ops), boot[1]);
	report("B11", argv[2], work[0], work[1], (double)ops);
	return 0;
}
