/* SPDX-License-Identifier: Apache-2.0 */
/* doctor_guest.c: a guest of some forty instructions, to find out whether Linux would run.
 *
 * A KVM may exist and still not run Linux: some interpret privileged code and lack
 * instructions.  So the probe enters 64-bit mode with paging, loads an interrupt table, takes
 * an int3, does a cmpxchg16b and an xsave where CPUID offers them, as Linux would, and reports
 * how far it got through a port. */
#include "cli/doctor.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

/* Guest-physical layout of the probe; all of it in its 1 MiB of memory. */
enum {
	RAM = 1 << 20, GDT = 0x500, IDT = 0x1000, PML4 = 0x9000, PDPT = 0xa000, PD = 0xb000,
	STACK = 0x8ff0, CODE = 0x10000, SCRATCH = 0x20000, PORT = 0x10,
};

enum { STEP_START = 1, STEP_INT3, STEP_CMPXCHG16B, STEP_XSAVE, STEP_DONE };

extern const uint8_t probe_start[], probe_int3[], probe_end[];

/* Bytes between two labels of the code below, which the linker keeps together. */
static uint64_t between(const uint8_t *from, const uint8_t *to)
{
	return (uint64_t)((uintptr_t)to - (uintptr_t)from);
}

/* Each step is announced before it is done: mov $STEP, %al; out %al, $PORT. */
asm(".pushsection .rodata.probe, \"a\"\n"
    ".global probe_start, probe_int3, probe_end\n"
    "probe_start:\n"
    "	mov	$1, %al\n	out	%al, $0x10\n"
    "	lidt	0x600\n"			/* the pointer stands behind the GDT */
    "	xor	%r8d, %r8d\n"
    "	mov	$2, %al\n	out	%al, $0x10\n"
    "	int3\n"
    "	cmp	$77, %r8d\n"			/* the handler was here */
    "	jne	1f\n"
    "	mov	$1, %eax\n	cpuid\n"
    "	mov	%ecx, %esi\n"			/* what the machine says it has */
    "	bt	$13, %esi\n"			/* CMPXCHG16B */
    "	jnc	2f\n"
    "	mov	$3, %al\n	out	%al, $0x10\n"
    "	mov	$0x20000, %edi\n"
    "	xor	%eax, %eax\n	xor	%edx, %edx\n"
    "	mov	$5, %ebx\n	mov	$6, %ecx\n"
    "	lock cmpxchg16b (%rdi)\n"
    "	jne	1f\n"
    "2:	bt	$26, %esi\n"			/* XSAVE */
    "	jnc	3f\n"
    "	mov	$4, %al\n	out	%al, $0x10\n"
    "	mov	%cr4, %rax\n	bts	$18, %rax\n	mov	%rax, %cr4\n"
    "	mov	$3, %eax\n	xor	%edx, %edx\n	xor	%ecx, %ecx\n"
    "	xsetbv\n"
    "	mov	$0x20040, %edi\n"
    "	mov	$3, %eax\n	xor	%edx, %edx\n"
    "	xsave	(%rdi)\n"
    "	xrstor	(%rdi)\n"
    "3:	mov	$5, %al\n	out	%al, $0x10\n"
    "1:	hlt\n"
    "	jmp	1b\n"
    "probe_int3:\n"
    "	mov	$77, %r8d\n"
    "	iretq\n"
    "probe_end:\n"
    ".popsection\n");

struct probe {
	int kvm, vm, vcpu;
	uint8_t *ram;
	struct kvm_run *run;
};

static void store64(uint8_t *at, uint64_t v) { memcpy(at, &v, sizeof(v)); }

static void fill_memory(uint8_t *ram)
{
	uint64_t handler = CODE + between(probe_start, probe_int3);
	struct { uint16_t limit; uint64_t base; } __attribute__((packed)) idtr = { 0xfff, IDT };

	memcpy(ram + CODE, probe_start, between(probe_start, probe_end));
	store64(ram + GDT + 16, 0x00af9b000000ffffull);
	store64(ram + GDT + 24, 0x00cf93000000ffffull);
	store64(ram + PML4, PDPT | 3);
	store64(ram + PDPT, PD | 3);
	store64(ram + PD, 0x83);
	/* Vector 3: a present 64-bit interrupt gate in code segment 0x10. */
	store64(ram + IDT + 3 * 16, (handler & 0xffff) | 0x10ull << 16 | 0x8eull << 40 |
					    (handler >> 16 & 0xffff) << 48);
	memcpy(ram + 0x600, &idtr, sizeof(idtr));
}

static bool set_cpuid(const struct probe *p)
{
	enum { ENTRIES = 256 };
	struct kvm_cpuid2 *c = calloc(1, sizeof(*c) + ENTRIES * sizeof(c->entries[0]));
	bool ok;

	if (!c)
		return false;
	c->nent = ENTRIES;
	ok = ioctl(p->kvm, KVM_GET_SUPPORTED_CPUID, c) == 0 &&
	     ioctl(p->vcpu, KVM_SET_CPUID2, c) == 0;
	free(c);
	return ok;
}

static bool set_registers(const struct probe *p)
{
	struct kvm_segment code = { .limit = 0xffffffff, .selector = 0x10, .type = 11,
		.present = 1, .s = 1, .l = 1, .g = 1 };
	struct kvm_segment data = { .limit = 0xffffffff, .selector = 0x18, .type = 3,
		.present = 1, .s = 1, .db = 1, .g = 1 };
	struct kvm_regs r = { .rip = CODE, .rsp = STACK, .rflags = 2 };
	struct kvm_sregs s;

	if (ioctl(p->vcpu, KVM_GET_SREGS, &s) != 0)
		return false;
	s.gdt.base = GDT;
	s.gdt.limit = 31;
	s.cs = code;
	s.ds = s.es = s.fs = s.gs = s.ss = data;
	s.cr0 = 0x80050033;
	s.cr3 = PML4;
	s.cr4 = 0x620;	/* PAE, OSFXSR, OSXMMEXCPT */
	s.efer = 0x500;
	return ioctl(p->vcpu, KVM_SET_SREGS, &s) == 0 && ioctl(p->vcpu, KVM_SET_REGS, &r) == 0;
}

/* Names the step of set-up that failed, or returns NULL. */
static const char *create(struct probe *p)
{
	struct kvm_userspace_memory_region region = { .memory_size = RAM };
	int size;

	p->kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	if (p->kvm < 0)
		return "open /dev/kvm";
	p->vm = ioctl(p->kvm, KVM_CREATE_VM, 0);
	if (p->vm < 0)
		return "KVM_CREATE_VM";
	ioctl(p->vm, KVM_SET_TSS_ADDR, 0xfffbd000);	/* Intel only; others ignore or refuse it */
	p->ram = mmap(NULL, RAM, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (p->ram == MAP_FAILED)
		return "mmap";
	region.userspace_addr = (uint64_t)(uintptr_t)p->ram;
	if (ioctl(p->vm, KVM_SET_USER_MEMORY_REGION, &region) != 0)
		return "KVM_SET_USER_MEMORY_REGION";
	p->vcpu = ioctl(p->vm, KVM_CREATE_VCPU, 0);
	size = ioctl(p->kvm, KVM_GET_VCPU_MMAP_SIZE, 0);
	if (p->vcpu < 0 || size < (int)sizeof(struct kvm_run))
		return "KVM_CREATE_VCPU";
	p->run = mmap(NULL, (size_t)size, PROT_READ | PROT_WRITE, MAP_SHARED, p->vcpu, 0);
	if (p->run == MAP_FAILED)
		return "mmap of the vCPU";
	fill_memory(p->ram);
	if (!set_cpuid(p))
		return "KVM_SET_CPUID2";
	return set_registers(p) ? NULL : "KVM_SET_SREGS";
}

/* Runs the guest; the last step it announced. */
static int run(struct probe *p)
{
	int step = 0;

	while (step < STEP_DONE && ioctl(p->vcpu, KVM_RUN, 0) == 0) {
		if (p->run->exit_reason != KVM_EXIT_IO || p->run->io.port != PORT)
			break;
		step = ((uint8_t *)p->run)[p->run->io.data_offset];
	}
	return step;
}

static void explain(int step, char *detail)
{
	static const char *const at[] = {
		"the first instruction", "loading an interrupt table", "int3",
		"cmpxchg16b", "xsave",
	};

	if (step >= STEP_DONE)
		snprintf(detail, DOCTOR_DETAIL, "a guest ran in 64-bit mode and took an "
			 "exception");
	else
		snprintf(detail, DOCTOR_DETAIL, "/dev/kvm exists but its guests fail at %s: no "
			 "Linux runs on it", at[step < 0 ? 0 : step]);
}

/* In a child of its own, because a KVM that cannot may also hang. */
enum doctor_result doctor_probe_guest(char *detail)
{
	struct probe p = { -1, -1, -1, NULL, NULL };
	const char *failed;
	int status;
	pid_t pid;

	fflush(NULL);
	pid = fork();
	if (pid == 0) {
		alarm(5);
		failed = create(&p);
		if (failed)
			_exit(errno == ENOENT || errno == ENODEV ? 101 : errno == EACCES ? 102 : 100);
		_exit(run(&p));
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid) {
		snprintf(detail, DOCTOR_DETAIL, "cannot start a process: %s", strerror(errno));
		return DOCTOR_MISSING;
	}
	if (WIFSIGNALED(status))
		snprintf(detail, DOCTOR_DETAIL, "the probe guest did not end within 5 s");
	else if (WEXITSTATUS(status) == 101)
		snprintf(detail, DOCTOR_DETAIL, "there is no KVM on this host (/dev/kvm)");
	else if (WEXITSTATUS(status) == 102)
		snprintf(detail, DOCTOR_DETAIL, "/dev/kvm: permission denied");
	else if (WEXITSTATUS(status) == 100)
		snprintf(detail, DOCTOR_DETAIL, "KVM refuses to make a machine");
	else
		explain(WEXITSTATUS(status), detail);
	return WIFEXITED(status) && WEXITSTATUS(status) == STEP_DONE ? DOCTOR_OK : DOCTOR_MISSING;
}
