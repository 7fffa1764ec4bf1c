/* SPDX-License-Identifier: Apache-2.0 */
/* vmm_process.c: the real immure-vmm with tiny guests on this machine's KVM.
 *
 * The test is supervisor and device processes; guests are flat images that report by one OUT
 * to the test port, whose value comes back as the detail of the report.  0xee from a guest
 * means that it saw something it should not have. */
#include "core/guestmem.c"
#include "core/link.c"
#include "core/report.c"
#include "tests/unit/vmm_rig.h"

#include <dirent.h>
#include <linux/virtio_ids.h>

/* Ends the VM with @value. */
#define DONE(value) "mov $0x501, %edx; mov $" #value ", %eax; out %al, %dx; 9: jmp 9b;"

GUEST(guest_out, DONE(42));
GUEST(guest_out_wide, "mov $0x501, %edx; mov $0x1207, %eax; out %eax, %dx; 1: jmp 1b");
GUEST(guest_fault, "ud2");
GUEST(guest_poweroff, "mov $0x600, %edx; mov $0x34, %al; out %al, %dx; 1: jmp 1b");
GUEST(guest_sleep_s3, "mov $0x600, %edx; mov $0x2c, %al; out %al, %dx;" DONE(3));
GUEST(guest_reset, "mov $0x604, %edx; mov $6, %al; out %al, %dx; 1: jmp 1b");
GUEST(guest_panic, "mov $0x472, %edi; movw $0x1234, (%rdi);"
		   "mov $0x604, %edx; mov $6, %al; out %al, %dx; 1: jmp 1b");

static struct vmm_report outcome(const uint8_t *image, const uint8_t *end, enum end_reason reason)
{
	struct rig_setup s = { .image = image, .image_len = (size_t)(end - image) };
	struct rig r = rig_start(&s);

	rig_running(&r);
	return rig_ended(&r, reason);
}

#define OUTCOME(name, reason) outcome(name, name##_end, reason)

Test(vmm_process, an_out_to_the_test_port_ends_the_vm_with_its_value, .timeout = 60)
{
	struct vmm_report report = OUTCOME(guest_out, END_POWEROFF);

	cr_assert_eq(report.detail, 42);
	cr_assert_eq(report.user_exits, 1);
	cr_assert_eq(OUTCOME(guest_out_wide, END_POWEROFF).detail, 7);
}

Test(vmm_process, every_way_to_end_has_its_reason, .timeout = 60)
{
	OUTCOME(guest_fault, END_TRIPLE_FAULT);
	cr_assert_eq(OUTCOME(guest_poweroff, END_POWEROFF).detail, 0);
	cr_assert_eq(OUTCOME(guest_sleep_s3, END_POWEROFF).detail, 3);
	OUTCOME(guest_reset, END_REBOOT);
	OUTCOME(guest_panic, END_PANIC);
}

Test(vmm_process, a_kernel_that_is_none_ends_with_bad_kernel, .timeout = 60)
{
	static const uint8_t noise[4096] = "this is not a kernel";
	struct rig_setup s = {
		.image = noise, .image_len = sizeof(noise), .linux_entry = true,
	};
	struct rig r = rig_start(&s);

	cr_assert_gt(rig_ended(&r, END_BAD_KERNEL).detail, 0);
}

/* Leaf 1: HYPERVISOR set, VMX clear; leaf 0x80000001: long mode set, SVM clear. */
GUEST(guest_cpuid, "mov $1, %eax; cpuid; bt $31, %ecx; jnc 2f; bt $5, %ecx; jc 2f;"
      "mov $0x80000001, %eax; cpuid; bt $29, %edx; jnc 2f; bt $2, %ecx; jc 2f;" DONE(1)
      "2:" DONE(0xee));

Test(vmm_process, the_guest_is_told_the_model_of_its_processor, .timeout = 60)
{
	cr_assert_eq(OUTCOME(guest_cpuid, END_POWEROFF).detail, 1);
}

GUEST(guest_spin, "1: jmp 1b");

Test(vmm_process, a_supervisor_that_goes_away_ends_the_process, .timeout = 60)
{
	struct rig_setup s = { IMAGE(guest_spin), .vcpus = 2 };
	struct rig r = rig_start(&s);
	int status;

	rig_running(&r);
	close(r.ctl);
	cr_assert_eq(waitpid(r.pid, &status, 0), r.pid);
	cr_assert(WIFEXITED(status), "wait status %#x", status);
}

/* ---- register pages and the wiring ---- */

#define REGS "mov $0xd0000000, %edi;"
#define PUT(offset, value) "movl $" #value ", " #offset "(%rdi);"

/* ACKNOWLEDGE, DRIVER, VERSION_1, FEATURES_OK, queue 0 of 16 at 2 MiB, DRIVER_OK. */
#define BRING_UP                                                                        \
	PUT(0x70, 1) PUT(0x70, 3)                                                       \
	PUT(0x24, 1) PUT(0x20, 1) PUT(0x24, 0) PUT(0x20, 0x20) PUT(0x70, 0xb)           \
	PUT(0x30, 0) PUT(0x38, 16)                                                      \
	PUT(0x80, 0x200000) PUT(0x84, 0) PUT(0x90, 0x201000) PUT(0x94, 0)               \
	PUT(0xa0, 0x202000) PUT(0xa4, 0) PUT(0x44, 1) PUT(0x70, 0xf)
#define BRING_UP_WRITES 17

static struct rig start_with_blk(const uint8_t *image, const uint8_t *end)
{
	struct rig_setup s = {
		.image = image, .image_len = (size_t)(end - image),
		.ndevices = 1, .device = &rig_blk,
	};

	return rig_start(&s);
}

#define WITH_BLK(name) start_with_blk(name, name##_end)

GUEST(guest_reads, REGS "mov $1000, %ecx;"
      "1: cmpl $0x74726976, (%rdi); jne 2f; cmpl $2, 4(%rdi); jne 2f;"
      "cmpl $2, 8(%rdi); jne 2f; cmpl $64, 0x34(%rdi); jne 2f;"
      "cmpb $0x55, 0x100(%rdi); jne 2f; dec %ecx; jnz 1b;" DONE(1)
      "2:" DONE(0xee));

Test(vmm_process, reads_of_the_register_page_do_not_leave_the_guest, .timeout = 60)
{
	struct rig r = WITH_BLK(guest_reads);
	struct vmm_report report;

	rig_hello(&r, 0, VIRTIO_ID_BLOCK, 1);
	rig_running(&r);
	report = rig_ended(&r, END_POWEROFF);
	cr_assert_eq(report.detail, 1);
	cr_assert_eq(report.user_exits, 1, "%lu exits", report.user_exits);
}

GUEST(guest_notify, REGS BRING_UP "cmpl $0xf, 0x70(%rdi); jne 2f;"
      "cmpl $1, 0x60(%rdi); jne 2f; mov $100, %ecx;"
      "1: movl $0, 0x50(%rdi); movl $1, 0x64(%rdi); dec %ecx; jnz 1b;" DONE(1)
      "2:" DONE(0xee));

Test(vmm_process, kicks_and_acknowledgements_do_not_reach_the_vmm, .timeout = 60)
{
	struct rig r = WITH_BLK(guest_notify);
	struct vmm_report report;
	struct link_msg m;

	rig_hello(&r, 0, VIRTIO_ID_BLOCK, 1);
	rig_running(&r);
	m = rig_hear(&r, 0, LINK_ACTIVATE);
	cr_assert_eq(m.u.activate.features, VIRTIO_F_VERSION_1 | 1u << 5);
	cr_assert_eq(m.u.activate.queue[0].ready, 1);
	cr_assert_eq(m.u.activate.queue[0].size, 16);
	cr_assert_eq(m.u.activate.queue[0].desc, 0x200000);
	cr_assert_eq(m.u.activate.queue[0].avail, 0x201000);
	cr_assert_eq(m.u.activate.queue[0].used, 0x202000);
	cr_assert_eq(m.u.activate.queue[1].ready, 0);
	report = rig_ended(&r, END_POWEROFF);
	cr_assert_eq(report.detail, 1);
	cr_assert_eq(report.user_exits, BRING_UP_WRITES + 1, "%lu exits", report.user_exits);
	cr_assert_eq(r.stats->u.vcpu[0].counter[STATS_EXIT_REGISTER], BRING_UP_WRITES);
	cr_assert_eq(r.stats->u.vcpu[0].counter[STATS_EXIT_PORT], 1);
	cr_assert_eq(rig_count(r.kick[0][0]), 100);
	cr_assert_eq(rig_count(r.ack), 100);
	rig_hear(&r, 0, LINK_QUIT);
}

GUEST(guest_queues, REGS PUT(0x50, 0) PUT(0x50, 2) PUT(0x50, 2) PUT(0x50, 3)
      PUT(0x50, 0xffffffff) "movw $1, 0x50(%rdi);" DONE(1));

Test(vmm_process, each_queue_has_its_own_kick_and_there_is_no_fourth, .timeout = 60)
{
	struct rig_setup s = { IMAGE(guest_queues), .ndevices = 1, .device = &rig_vsock };
	struct rig r = rig_start(&s);

	rig_hello(&r, 0, VIRTIO_ID_VSOCK, 3);
	rig_running(&r);
	cr_assert_eq(rig_ended(&r, END_POWEROFF).user_exits, 4);
	cr_assert_eq(rig_count(r.kick[0][0]), 1);
	cr_assert_eq(rig_count(r.kick[0][1]), 0);
	cr_assert_eq(rig_count(r.kick[0][2]), 2);
}

/* Local APIC on, vector 0x40 to `isr`, pin 16 of the I/O APIC to it. */
#define INTERRUPTS_ON                                                                   \
	"mov $0x9000, %esp; sub $0x10, %rsp;"                                           \
	"lea 8f(%rip), %rax; mov $0x10400, %ebx;"                                       \
	"mov %ax, (%rbx); movw $0x10, 2(%rbx); movw $0x8e00, 4(%rbx);"                  \
	"shr $16, %rax; mov %ax, 6(%rbx); movl $0, 8(%rbx);"                            \
	"mov $0x10900, %ebx; movw $0xfff, (%rbx); movq $0x10000, 2(%rbx); lidt (%rbx);" \
	"mov $0xfee00000, %esi; movl $0x1ff, 0xf0(%rsi);"                               \
	"mov $0xfec00000, %esi; movl $0x31, (%rsi); movl $0, 0x10(%rsi);"               \
	"movl $0x30, (%rsi); movl $0x40, 0x10(%rsi); sti;"

GUEST(guest_interrupt, INTERRUPTS_ON
      "mov $0x501, %edx; 1: hlt; jmp 1b;"
      "8: " DONE(0x40));

Test(vmm_process, a_write_to_the_call_eventfd_interrupts_the_guest, .timeout = 60)
{
	struct rig r = WITH_BLK(guest_interrupt);
	const uint64_t one = 1;

	rig_hello(&r, 0, VIRTIO_ID_BLOCK, 1);
	rig_running(&r);
	usleep(300000);
	cr_assert_eq(write(r.call[0], &one, sizeof(one)), (ssize_t)sizeof(one));
	cr_assert_eq(rig_ended(&r, END_POWEROFF).detail, 0x40);
}

GUEST(guest_needs_reset, INTERRUPTS_ON REGS BRING_UP "1: hlt; jmp 1b;"
      "8: cmpl $0x4f, 0x70(%rdi); jne 2f; cmpl $3, 0x60(%rdi); jne 2f;"
      PUT(0x64, 3) "cmpl $1, 0x60(%rdi); jne 2f;" DONE(0x4f)
      "2:" DONE(0xee));

Test(vmm_process, needs_reset_shows_in_the_status_and_interrupts, .timeout = 60)
{
	struct rig r = WITH_BLK(guest_needs_reset);
	struct link_msg m = { .type = LINK_NEEDS_RESET };

	rig_hello(&r, 0, VIRTIO_ID_BLOCK, 1);
	rig_running(&r);
	rig_hear(&r, 0, LINK_ACTIVATE);
	usleep(100000);
	rig_say(&r, 0, &m);
	cr_assert_eq(rig_ended(&r, END_POWEROFF).detail, 0x4f);
	cr_assert_not_null(strstr(rig_log(&r), "waits for a reset"));
	cr_assert_eq(r.stats->counter[STATS_VMM_CONFIG_INTERRUPTS], 1);
	cr_assert_eq(r.stats->counter[STATS_VMM_MESSAGES], 2, "HELLO and this");
	cr_assert_eq(r.stats->u.vcpu[0].counter[STATS_EXIT_IOAPIC], 4);
}

/* ---- reset, and devices that misbehave ---- */

GUEST(guest_bring_up_and_reset, REGS BRING_UP PUT(0x70, 0)
      "cmpl $0, 0x70(%rdi); jne 2f; cmpl $0, 0x44(%rdi); jne 2f;"
      "cmpl $0, 0x60(%rdi); jne 2f;" DONE(5) "2:" DONE(0xee));

Test(vmm_process, a_reset_is_seen_only_when_the_device_has_stopped, .timeout = 60)
{
	struct rig r = WITH_BLK(guest_bring_up_and_reset);
	struct link_msg m = { .type = LINK_RESET_DONE };

	rig_hello(&r, 0, VIRTIO_ID_BLOCK, 1);
	rig_running(&r);
	rig_hear(&r, 0, LINK_ACTIVATE);
	rig_hear(&r, 0, LINK_RESET);
	cr_assert_not(rig_wait(r.ctl, 300), "the guest went on before RESET_DONE");
	rig_say(&r, 0, &m);
	cr_assert_eq(rig_ended(&r, END_POWEROFF).detail, 5);
}

Test(vmm_process, a_device_that_does_not_stop_ends_the_vm, .timeout = 120)
{
	struct rig r = WITH_BLK(guest_bring_up_and_reset);

	rig_hello(&r, 0, VIRTIO_ID_BLOCK, 1);
	rig_running(&r);
	cr_assert_eq(rig_ended(&r, END_DEVICE_SILENT).detail, 0);
}

Test(vmm_process, a_device_that_never_says_hello_ends_the_vm_before_the_guest_runs, .timeout = 60)
{
	const struct vm_device devices[] = { rig_blk, rig_vsock };
	struct rig_setup s = { IMAGE(guest_out), .ndevices = 2, .device = devices };
	struct rig r = rig_start(&s);
	struct vmm_report report;

	rig_hello(&r, 0, VIRTIO_ID_BLOCK, 1);
	report = rig_ended(&r, END_DEVICE_SILENT);
	cr_assert_eq(report.detail, 1);
	cr_assert_eq(report.user_exits, 0);
}

GUEST(guest_wait, "1: hlt; jmp 1b");

Test(vmm_process, a_device_that_goes_away_ends_the_vm, .timeout = 60)
{
	struct rig before = WITH_BLK(guest_wait);
	struct rig after = WITH_BLK(guest_wait);

	close(before.link[0].fd);
	cr_assert_eq(rig_ended(&before, END_DEVICE_DIED).detail, 0);
	rig_hello(&after, 0, VIRTIO_ID_BLOCK, 1);
	rig_running(&after);
	close(after.link[0].fd);
	cr_assert_eq(rig_ended(&after, END_DEVICE_DIED).detail, 0);
}

Test(vmm_process, a_device_that_breaks_the_protocol_ends_the_vm, .timeout = 60)
{
	static const char noise[sizeof(struct link_msg)] = "noise";
	struct rig garbage = WITH_BLK(guest_wait);
	struct rig impostor = WITH_BLK(guest_wait);
	struct rig queues = WITH_BLK(guest_wait);

	cr_assert_eq(write(garbage.link[0].fd, noise, sizeof(noise)), (ssize_t)sizeof(noise));
	rig_ended(&garbage, END_DEVICE_DIED);
	rig_hello(&impostor, 0, VIRTIO_ID_VSOCK, 1);
	rig_ended(&impostor, END_DEVICE_DIED);
	rig_hello(&queues, 0, VIRTIO_ID_BLOCK, 2);
	rig_ended(&queues, END_DEVICE_DIED);
}

/* ---- the rest of the machine ---- */

GUEST(guest_nothing, "mov $0xd8000000, %edi; mov $2000, %ecx;"
      "1: mov (%rdi), %eax; cmp $-1, %eax; jne 2f; mov %eax, (%rdi);"
      "mov $0x80, %edx; out %al, %dx; in %dx, %al; cmp $0xff, %al; jne 2f;"
      "dec %ecx; jnz 1b;" DONE(1) "2:" DONE(0xee));

Test(vmm_process, accesses_to_nothing_read_ones_and_do_not_flood_the_log, .timeout = 60)
{
	struct rig_setup s = { IMAGE(guest_nothing) };
	struct rig r = rig_start(&s);
	size_t lines = 0;

	rig_running(&r);
	cr_assert_eq(rig_ended(&r, END_POWEROFF).detail, 1);
	for (const char *p = rig_log(&r); (p = strchr(p, '\n')) != NULL; p++)
		lines++;
	cr_assert_leq(lines, 32, "%zu lines", lines);
}

GUEST(guest_hello, "lea 8f(%rip), %rsi; mov $6, %ecx; mov $0x3f8, %edx; rep outsb;"
      "mov $0x3fd, %edx; in %dx, %al;"
      "mov $0x501, %edx; out %al, %dx; 1: jmp 1b; 8: .ascii \"hello\\n\"");

Test(vmm_process, the_console_prints_when_it_was_asked_for, .timeout = 60)
{
	struct rig_setup s = { IMAGE(guest_hello), .console = true };
	struct rig with = rig_start(&s);
	char text[16] = "";
	struct rig without;

	rig_running(&with);
	cr_assert_eq(rig_ended(&with, END_POWEROFF).detail, 0x60);
	cr_assert_eq(read(with.console, text, sizeof(text) - 1), 6);
	cr_assert_str_eq(text, "hello\n");
	s.console = false;
	without = rig_start(&s);
	rig_running(&without);
	cr_assert_eq(rig_ended(&without, END_POWEROFF).detail, 0xff);
	cr_assert_eq(read(without.console, text, sizeof(text)), 0);
}

GUEST(guest_smp, "mov $0x11000, %edi; mov $0xb8, %al; stosb; mov $0x1200, %ax; stosw;"
      "mov $0x8e, %al; stosb; mov $0xd8, %al; stosb;"	/* mov %ax, %ds */
      "mov $0xc6, %al; stosb; mov $0x06, %al; stosb; xor %eax, %eax; stosw;"
      "mov $0x77, %al; stosb;"				/* movb $0x77, 0 */
      "mov $0xf4, %al; stosb; mov $0xeb, %al; stosb; mov $0xfd, %al; stosb;"
      "mov $0xfee00000, %esi; movl $0x1ff, 0xf0(%rsi);"
      "movl $0x01000000, 0x310(%rsi); movl $0x4500, 0x300(%rsi);"
      "movl $0x01000000, 0x310(%rsi); movl $0x4611, 0x300(%rsi);"
      "mov $0x12000, %edi; 1: pause; cmpb $0x77, (%rdi); jne 1b;" DONE(2));

Test(vmm_process, a_second_vcpu_starts_by_init_and_sipi, .timeout = 60)
{
	/* Page 0x11: real mode, stores 0x77 at 0x12000. */
	struct rig_setup s = { IMAGE(guest_smp), .vcpus = 2 };
	struct rig r = rig_start(&s);

	rig_running(&r);
	cr_assert_eq(rig_ended(&r, END_POWEROFF).detail, 2);
}

/* ---- the walls ---- */

static bool status_says(const char *path, const char *line)
{
	char text[8192];
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = read(fd, text, sizeof(text) - 1);

	close(fd);
	text[n > 0 ? n : 0] = 0;
	return strstr(text, line) != NULL;
}

Test(vmm_process, every_thread_is_sealed_before_the_guest_runs, .timeout = 60)
{
	struct rig_setup s = { IMAGE(guest_wait), .vcpus = 4, .ndevices = 1, .device = &rig_blk };
	struct rig r = rig_start(&s);
	char path[320];
	struct dirent *e;
	int threads = 0;
	DIR *tasks;

	/* Before HELLO nothing runs; then this is the state in which the first instruction will. */
	rig_hello(&r, 0, VIRTIO_ID_BLOCK, 1);
	rig_running(&r);
	snprintf(path, sizeof(path), "/proc/%d/task", r.pid);
	tasks = opendir(path);
	cr_assert_not_null(tasks);
	while ((e = readdir(tasks)) != NULL) {
		if (e->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "/proc/%d/task/%s/status", r.pid, e->d_name);
		cr_assert(status_says(path, "Seccomp:\t2\n"), "thread %s", e->d_name);
		cr_assert(status_says(path, "NoNewPrivs:\t1\n"), "thread %s", e->d_name);
		threads++;
	}
	closedir(tasks);
	/* From Linux 6.13 on, KVM's own recovery worker counts as a thread of ours. */
	cr_assert(threads == 5 || threads == 6, "%d threads", threads);
	close(r.link[0].fd);
	rig_ended(&r, END_DEVICE_DIED);
}

static bool in_plan(int fd)
{
	return fd == FD_LOG || fd == VMM_CTL || fd == VMM_CONSOLE || fd == VMM_ACK ||
	       fd == VMM_WAKE || fd == VMM_VM || fd == VMM_LINK0 || fd == VMM_CALL0 ||
	       fd == VMM_VCPU0;
}

Test(vmm_process, a_running_vmm_holds_its_plan_and_nothing_else, .timeout = 60)
{
	struct rig r = WITH_BLK(guest_wait);
	char path[64];
	struct dirent *e;
	int count = 0;
	DIR *fds;

	rig_hello(&r, 0, VIRTIO_ID_BLOCK, 1);
	rig_running(&r);
	snprintf(path, sizeof(path), "/proc/%d/fd", r.pid);
	fds = opendir(path);
	cr_assert_not_null(fds);
	while ((e = readdir(fds)) != NULL) {
		if (e->d_name[0] == '.')
			continue;
		cr_assert(in_plan((int)strtol(e->d_name, NULL, 10)), "descriptor %s", e->d_name);
		count++;
	}
	closedir(fds);
	cr_assert_eq(count, 9);
	close(r.link[0].fd);
	rig_ended(&r, END_DEVICE_DIED);
}
