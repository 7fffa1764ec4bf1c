/* SPDX-License-Identifier: Apache-2.0 */
/* state.c: power-on state of the x86-64 machine.
 *
 * Registers are the same for every kernel: what differs between entry protocols is done by the
 * guest's own first instructions (vmm/boot/stub.c), so that no register is set after sealing.
 *
 * Beyond registers: no PIC, PIT or I/O APIC in the kernel; no PMU, however the host is set up;
 * and no paravirtual MSR that CPUID does not announce.  (Of KVM's hypercalls it hides all but
 * clock pairing, which writes the time to where the guest asked for it.) */
#include "vmm/x86_64/state.h"

#include "core/fdplan.h"
#include "core/log.h"
#include "vmm/boot/tables.h"
#include "vmm/kvm_call.h"
#include "vmm/x86_64/layout.h"
#include "vmm/x86_64/msr.h"

#include <linux/kvm.h>
#include <string.h>

/* SDM vol. 3 §2.5, §2.2.1. */
#define CR0_PE (1ull << 0)
#define CR0_MP (1ull << 1)
#define CR0_ET (1ull << 4)
#define CR0_NE (1ull << 5)
#define CR0_WP (1ull << 16)
#define CR0_AM (1ull << 18)
#define CR0_PG (1ull << 31)
#define CR4_PAE (1ull << 5)
#define EFER_LME (1ull << 8)
#define EFER_LMA (1ull << 10)
#define RFLAGS_ONE (1ull << 1)

enum {
	TYPE_DATA = 3,		/* read/write, accessed */
	TYPE_CODE = 11,		/* execute/read, accessed */
	TYPE_TSS_BUSY = 11,
};

int state_create_vm(void)
{
	uint64_t identity = LAYOUT_IDENTITY;
	int rc = KVM_CALL(VMM_VM, KVM_SET_TSS_ADDR, LAYOUT_TSS);

	if (rc == 0)
		rc = KVM_CALL(VMM_VM, KVM_SET_IDENTITY_MAP_ADDR, &identity);
	/* Here, not later: it waits for an SRCU grace period, which is quick when the VM had
	 * none in the last 25 us, and some 15 ms just after a memory slot was added. */
	return rc < 0 ? rc : msr_set_filter();
}

static int enable(int fd, uint32_t capability, uint64_t value, const char *name)
{
	struct kvm_enable_cap cap = { .cap = capability, .args = { value } };

	return kvm_call(fd, KVM_ENABLE_CAP, (unsigned long)&cap, name);
}

/* Hosts without the capability are those older than 5.18; there the MSR filter and CPUID alone
 * keep the PMU away. */
static int disable_pmu(void)
{
	int can = ioctl(VMM_KVM, KVM_CHECK_EXTENSION, KVM_CAP_PMU_CAPABILITY);

	if (can < 0 || (can & KVM_PMU_CAP_DISABLE) == 0)
		return 0;
	return enable(VMM_VM, KVM_CAP_PMU_CAPABILITY, KVM_PMU_CAP_DISABLE,
		      "KVM_CAP_PMU_CAPABILITY");
}

int state_create_irqchip(void)
{
	int rc = enable(VMM_VM, KVM_CAP_SPLIT_IRQCHIP, LAYOUT_IOAPIC_PINS,
			"KVM_CAP_SPLIT_IRQCHIP");

	return rc < 0 ? rc : disable_pmu();
}

static struct kvm_segment segment(uint16_t selector, uint8_t type)
{
	return (struct kvm_segment){
		.limit = 0xffffffff,
		.selector = selector,
		.type = type,
		.present = 1,
		.s = 1,
		.db = type == TYPE_DATA,
		.l = type == TYPE_CODE,
		.g = 1,
	};
}

static void long_mode(struct kvm_sregs *s)
{
	s->cs = segment(BOOT_SEL_CODE64, TYPE_CODE);
	s->ds = s->es = s->fs = s->gs = s->ss = segment(BOOT_SEL_DATA, TYPE_DATA);
	s->tr = (struct kvm_segment){
		.limit = 0x67,
		.selector = BOOT_SEL_TSS64,
		.type = TYPE_TSS_BUSY,
		.present = 1,
	};
	s->gdt.base = LAYOUT_GDT;
	s->gdt.limit = BOOT_GDT_BYTES - 1;
	/* No handler: a fault before the kernel has its own is a triple fault. */
	s->idt.base = 0;
	s->idt.limit = 0;
	s->cr0 = CR0_PE | CR0_MP | CR0_ET | CR0_NE | CR0_WP | CR0_AM | CR0_PG;
	s->cr3 = LAYOUT_PML4;
	s->cr4 = CR4_PAE;
	s->efer = EFER_LME | EFER_LMA;
}

static int set_registers(int vcpu)
{
	const struct kvm_regs regs = { .rip = LAYOUT_STUB, .rflags = RFLAGS_ONE };
	struct kvm_sregs s;
	int rc = KVM_CALL(vcpu, KVM_GET_SREGS, &s);

	if (rc < 0)
		return rc;
	long_mode(&s);
	rc = KVM_CALL(vcpu, KVM_SET_SREGS, &s);
	return rc < 0 ? rc : KVM_CALL(vcpu, KVM_SET_REGS, &regs);
}

int state_create_vcpu(int vcpu, uint32_t index)
{
	int rc = enable(vcpu, KVM_CAP_ENFORCE_PV_FEATURE_CPUID, 1,
			"KVM_CAP_ENFORCE_PV_FEATURE_CPUID");

	if (rc == 0)
		rc = msr_init(vcpu);
	if (rc == 0 && index == 0)
		rc = set_registers(vcpu);
	return rc;
}
