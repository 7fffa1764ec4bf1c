/* SPDX-License-Identifier: Apache-2.0 */
/* vmm_rig.h: a real immure-vmm under test, unjailed, with the test as supervisor and devices.
 *
 * The guest is a few instructions of this file's caller, written in the assembler and loaded
 * as a flat image.  The descriptors are those of core/fdplan.h, made here the way the jailer
 * makes them.  For Criterion tests that include it once. */
#ifndef IMMURE_TESTS_UNIT_VMM_RIG_H
#define IMMURE_TESTS_UNIT_VMM_RIG_H

#include "core/guestmem.h"
#include "core/link.h"
#include "core/pages.h"
#include "core/report.h"
#include "core/vmconfig.h"
#include "vmm/x86_64/layout.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

/* Machine code between name and name_end. */
#define GUEST(name, code)                                                               \
	__asm__(".pushsection .rodata\n" #name ":\n" code "\n" #name "_end:\n.popsection\n"); \
	extern const uint8_t name[], name##_end[]
#define IMAGE(name) .image = name, .image_len = (size_t)(name##_end - name)

#define RIG_RAM (16ull << 20)
enum { RIG_HIGH_FD = 512, RIG_QUEUE_MAX = 64 };

struct rig_setup {
	const uint8_t *image;
	size_t image_len;
	uint32_t vcpus;			/* 0: 1 */
	uint32_t ndevices;
	const struct vm_device *device;
	enum vm_boot_entry entry;	/* 0 means FLAT here */
	bool linux_entry;		/* entry is what it says, AUTO too */
	bool console;
};

struct rig {
	pid_t pid;
	int ctl, log, console, ack, wake;
	int call[PLAN_DEVICES];
	uint32_t nqueues[PLAN_DEVICES];
	int kick[PLAN_DEVICES][PLAN_QUEUES];
	struct link link[PLAN_DEVICES];	/* the device's end */
	uint8_t *ram;
	const struct stats_page *stats;	/* what the VMM counts */
	uint32_t ndevices;
};

static const struct vm_device rig_blk = { .kind = VM_DEVICE_BLK, .nqueues = 1, .blocks = { 512, 512, 0, 0 } };
static const struct vm_device rig_vsock = {
	.kind = VM_DEVICE_VSOCK, .nqueues = 3, .guest_cid = 3, .connections = 1,
};

/* The program of the same build as this test: build/unit/x → build/bin/immure-vmm. */
static const char *rig_program(void)
{
	static char path[4096];
	char self[4000];
	const char *given = getenv("IMMURE_VMM");
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);

	if (given != NULL)
		return given;
	cr_assert_gt(n, 0);
	self[n] = 0;
	for (int i = 0; i < 2; i++) {
		char *slash = strrchr(self, '/');

		cr_assert_not_null(slash);
		*slash = 0;
	}
	snprintf(path, sizeof(path), "%s/bin/immure-vmm", self);
	return path;
}

/* Says why there is nothing to test here, loudly, and skips. */
static void rig_require_kvm(void)
{
	int kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	int vm = kvm < 0 ? -1 : ioctl(kvm, KVM_CREATE_VM, 0);
	int err = errno;

	if (vm >= 0) {
		close(vm);
		close(kvm);
		return;
	}
	if (kvm >= 0)
		close(kvm);
	fprintf(stderr, "SKIPPED, no VM can be made here: /dev/kvm: %s\n", strerror(err));
	cr_skip("no VM can be made here: /dev/kvm: %s", strerror(err));
}

static int rig_memfd(const void *bytes, size_t len)
{
	int fd = memfd_create("rig", MFD_CLOEXEC);

	cr_assert_geq(fd, 0);
	cr_assert_eq(write(fd, bytes, len), (ssize_t)len);
	return fd;
}

static struct vm_config rig_config(const struct rig_setup *s)
{
	struct vm_config c = {
		.magic = VMCONFIG_MAGIC,
		.flags = VM_PAGES | (s->console ? VM_CONSOLE : 0),
		.ram = RIG_RAM,
		.vcpus = s->vcpus != 0 ? s->vcpus : 1,
		.ndevices = s->ndevices,
		.entry = s->linux_entry ? s->entry : VM_ENTRY_FLAT,
		.kernel_size = s->image_len,
	};

	for (uint32_t i = 0; i < s->ndevices; i++)
		c.device[i] = s->device[i];
	return c;
}

/* In the child: @from goes to the number @to of the plan. */
static void rig_place(int from, int to)
{
	if (dup2(from, to) < 0)
		_exit(99);
}

/* A descriptor that no number of the plan collides with; the original is closed. */
static int rig_high(int fd)
{
	int high = fcntl(fd, F_DUPFD_CLOEXEC, RIG_HIGH_FD);

	cr_assert_geq(high, 0);
	close(fd);
	return high;
}

/* A pair; [0] is ours, [1] the VMM's. */
static void rig_pair(int pair[2])
{
	cr_assert_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	pair[0] = rig_high(pair[0]);
	pair[1] = rig_high(pair[1]);
}

static void rig_pipe(int ends[2])
{
	cr_assert_eq(pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
	ends[0] = rig_high(ends[0]);
	ends[1] = rig_high(ends[1]);
}

static int rig_eventfd(void)
{
	return rig_high(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
}

/* What only the VMM holds. */
struct rig_theirs {
	int config, mem, ctl, kvm, kernel, log, console, pages;
	int link[PLAN_DEVICES];
};

static _Noreturn void rig_exec(const struct rig *r, const struct rig_theirs *t)
{
	/* A sanitizer's leak check at exit needs more than a sealed process may do. */
	setenv("ASAN_OPTIONS", "detect_leaks=0:clear_shadow_mmap_threshold=1073741824", 1);
	close_range(0, RIG_HIGH_FD - 1, 0);	/* what the test's own parents left open */
	rig_place(t->pages, FD_PAGES);
	rig_place(t->log, 2);
	rig_place(t->config, FD_CONFIG);
	rig_place(t->mem, FD_MEM);
	rig_place(t->ctl, VMM_CTL);
	rig_place(t->kvm, VMM_KVM);
	rig_place(t->kernel, VMM_KERNEL);
	rig_place(t->console, VMM_CONSOLE);
	rig_place(r->ack, VMM_ACK);
	rig_place(r->wake, VMM_WAKE);
	for (uint32_t i = 0; i < r->ndevices; i++) {
		rig_place(t->link[i], VMM_LINK0 + (int)i);
		rig_place(r->call[i], VMM_CALL0 + (int)i);
		for (uint32_t q = 0; q < r->nqueues[i]; q++)
			rig_place(r->kick[i][q], VMM_KICK0 + (int)(i * PLAN_QUEUES + q));
	}
	execl(rig_program(), "immure-vmm", (char *)NULL);
	_exit(98);
}

static void rig_devices(struct rig *r, struct rig_theirs *t, const struct rig_setup *s)
{
	for (uint32_t i = 0; i < r->ndevices; i++) {
		int pair[2];

		rig_pair(pair);
		r->link[i] = (struct link){ .fd = pair[0], .state = LINK_START, .device = true };
		t->link[i] = pair[1];
		r->call[i] = rig_eventfd();
		r->nqueues[i] = s->device[i].nqueues;
		for (uint32_t q = 0; q < r->nqueues[i]; q++)
			r->kick[i][q] = rig_eventfd();
	}
}

/* Our copies of what belongs to the VMM: closed, so that its end is seen. */
static void rig_close_theirs(const struct rig *r, const struct rig_theirs *t)
{
	close(t->config);
	close(t->mem);
	close(t->ctl);
	close(t->kvm);
	close(t->kernel);
	close(t->log);
	close(t->console);
	close(t->pages);
	for (uint32_t i = 0; i < r->ndevices; i++)
		close(t->link[i]);
}

/* The file of counters and limits, for @processes. */
static int rig_pages(struct rig *r, uint32_t processes)
{
	size_t size = (1 + processes) * (size_t)STATS_PAGE;
	int fd = rig_high(memfd_create("pages", MFD_CLOEXEC));
	uint8_t *file;

	cr_assert_eq(ftruncate(fd, (off_t)size), 0);
	file = mmap(NULL, size, PROT_READ, MAP_SHARED, fd, 0);
	cr_assert(file != MAP_FAILED);
	r->stats = (const void *)(file + STATS_PAGE);
	return fd;
}

static struct rig rig_start(const struct rig_setup *s)
{
	const struct vm_config config = rig_config(s);
	struct rig r = { .ndevices = s->ndevices };
	struct rig_theirs t;
	int ends[2];

	rig_require_kvm();
	rig_pair(ends);
	r.ctl = ends[0], t.ctl = ends[1];
	rig_pipe(ends);
	r.log = ends[0], t.log = ends[1];
	rig_pipe(ends);
	r.console = ends[0], t.console = ends[1];
	r.ack = rig_eventfd();
	r.wake = rig_eventfd();
	t.config = rig_high(rig_memfd(&config, sizeof(config)));
	t.kernel = rig_high(rig_memfd(s->image, s->image_len));
	t.kvm = rig_high(open("/dev/kvm", O_RDWR | O_CLOEXEC));
	t.mem = rig_high(memfd_create("ram", MFD_CLOEXEC));
	t.pages = rig_pages(&r, 1 + s->ndevices);
	cr_assert_eq(ftruncate(t.mem, (off_t)guestmem_file_size(RIG_RAM)), 0);
	r.ram = mmap(NULL, RIG_RAM, PROT_READ | PROT_WRITE, MAP_SHARED, t.mem, 0);
	cr_assert_neq(r.ram, MAP_FAILED);
	rig_devices(&r, &t, s);
	r.pid = fork();
	cr_assert_geq(r.pid, 0);
	if (r.pid == 0)
		rig_exec(&r, &t);
	rig_close_theirs(&r, &t);
	return r;
}

/* Waits until @fd has something, at most @ms. */
static bool rig_wait(int fd, int ms)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	return poll(&p, 1, ms) == 1;
}

/* Everything the VMM has logged so far, for messages. */
static const char *rig_log(const struct rig *r)
{
	static char text[65536];
	ssize_t n = read(r->log, text, sizeof(text) - 1);

	text[n > 0 ? n : 0] = 0;
	return text;
}

static struct vmm_report rig_report(const struct rig *r)
{
	struct vmm_report report = { 0 };

	cr_assert(rig_wait(r->ctl, 60000), "no report; log: %s", rig_log(r));
	cr_assert_eq(read(r->ctl, &report, sizeof(report)), (ssize_t)sizeof(report),
		     "VMM died; log: %s", rig_log(r));
	return report;
}

static void rig_running(const struct rig *r)
{
	struct vmm_report report = rig_report(r);

	cr_assert_eq(report.type, VMM_REPORT_RUNNING, "reason %s; log: %s",
		     end_reason_name((enum end_reason)report.reason), rig_log(r));
}

/* The VM ends because of @reason, and the process exits. */
static struct vmm_report rig_ended(const struct rig *r, enum end_reason reason)
{
	struct vmm_report report = rig_report(r);
	int status;

	cr_assert_eq(report.type, VMM_REPORT_END);
	cr_assert_eq(report.reason, reason, "ended by %s, detail %#lx, at %#lx; log: %s",
		     end_reason_name((enum end_reason)report.reason), report.detail, report.rip,
		     rig_log(r));
	cr_assert_eq(waitpid(r->pid, &status, 0), r->pid);
	cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0, "wait status %#x", status);
	return report;
}

static void rig_say(struct rig *r, uint32_t device, const struct link_msg *m)
{
	cr_assert_eq(link_send(&r->link[device], m), LINK_OK);
}

static void rig_hello(struct rig *r, uint32_t device, uint32_t id, uint32_t nqueues)
{
	struct link_msg m = { .type = LINK_HELLO };

	m.u.hello.version = LINK_VERSION;
	m.u.hello.device_id = id;
	m.u.hello.features = VIRTIO_F_VERSION_1 | VIRTIO_F_EVENT_IDX | 1u << 5;
	m.u.hello.nqueues = nqueues;
	m.u.hello.queue_max = RIG_QUEUE_MAX;
	m.u.hello.config_len = 8;
	m.u.hello.config[0] = 0x55;
	rig_say(r, device, &m);
}

static struct link_msg rig_hear(struct rig *r, uint32_t device, enum link_type type)
{
	struct link_msg m = { 0 };

	cr_assert(rig_wait(r->link[device].fd, 10000), "nothing said; log: %s", rig_log(r));
	cr_assert_eq(link_recv(&r->link[device], &m), LINK_OK);
	cr_assert_eq(m.type, type, "said %s", link_type_name(m.type));
	return m;
}

/* How often an eventfd was signalled since it was last asked. */
static uint64_t rig_count(int eventfd)
{
	uint64_t n = 0;

	return read(eventfd, &n, sizeof(n)) == (ssize_t)sizeof(n) ? n : 0;
}

#endif
