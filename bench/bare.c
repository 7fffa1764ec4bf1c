/* SPDX-License-Identifier: Apache-2.0 */
/* bare.c: immure-vmm by itself: no jail, no devices, the descriptor plan and nothing else.
 *
 * Does for one VMM what the jailer does after its jail is built: the plan of core/fdplan.h,
 * a configuration memfd, guest memory, and the program.  VMM_CTL is where it reports that the
 * guest's first instruction ended the VM. */
#include "bench/bench.h"
#include "core/fdplan.h"
#include "core/guestmem.h"
#include "core/report.h"
#include "core/vmconfig.h"

#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

static int config_memfd(off_t kernel_size)
{
	static struct vm_config c;
	int fd = memfd_create("immure-config", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	c.magic = VMCONFIG_MAGIC;
	c.ram = (uint64_t)BENCH_RAM_MIB << 20;
	c.vcpus = 1;
	c.entry = VM_ENTRY_FLAT;
	c.kernel_size = (uint64_t)kernel_size;
	if (fd < 0 || write(fd, &c, sizeof(c)) != sizeof(c))
		return -1;
	return fd;
}

static int memory_memfd(void)
{
	int fd = memfd_create("immure-ram", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	uint64_t size = guestmem_file_size((uint64_t)BENCH_RAM_MIB << 20);

	if (fd < 0 || ftruncate(fd, (off_t)size) < 0 ||
	    fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0)
		return -1;
	return fd;
}

/* Puts every descriptor at its number, through numbers that are in nobody's way. */
static bool place(int client, bool idle)
{
	int kernel = open(bench_path(bench_dir, idle ? "idle.flat" : "signal.flat"),
			  O_RDONLY | O_CLOEXEC);
	struct stat st;
	struct { int from, to; } plan[] = {
		{ -1, FD_CONFIG }, { -1, FD_MEM }, { client, VMM_CTL },
		{ open("/dev/kvm", O_RDWR | O_CLOEXEC), VMM_KVM }, { kernel, VMM_KERNEL },
		{ eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC), VMM_ACK },
		{ eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC), VMM_WAKE },
	};

	if (kernel < 0 || fstat(kernel, &st) < 0)
		return false;
	plan[0].from = config_memfd(st.st_size);
	plan[1].from = memory_memfd();
	for (size_t i = 0; i < array_len(plan); i++) {
		plan[i].from = fcntl(plan[i].from, F_DUPFD_CLOEXEC, VMM_NFDS);
		if (plan[i].from < 0)
			return false;
	}
	for (size_t i = 0; i < array_len(plan); i++) {
		if (dup2(plan[i].from, plan[i].to) < 0)
			return false;
	}
	return true;
}

static bool prepare(struct launch *l)
{
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return false;
	l->client = pair[0];
	l->theirs = pair[1];
	return true;
}

static void become(const struct launch *l)
{
	char *argv[] = { "immure-vmm", NULL }, *envp[] = { NULL };

	if (place(l->theirs, l->idle))
		execve(bench_path(bench_bin, "immure-vmm"), argv, envp);
}

static bool wait_first(const struct launch *l)
{
	struct vmm_report r;

	while (recv(l->client, &r, sizeof(r), 0) == sizeof(r)) {
		if (l->idle && r.type == VMM_REPORT_RUNNING)
			return true;
		if (r.type == VMM_REPORT_END)
			return r.reason == END_POWEROFF && r.detail == BENCH_SIGNAL;
	}
	return false;
}

const struct subject subject_bare = {
	.name = "immure-bare", .title = "immure-vmm alone", .tool = "immure-vmm",
	.ours = true, .prepare = prepare, .become = become, .wait_first = wait_first,
};
