/* SPDX-License-Identifier: Apache-2.0 */
/* attempt_kernel.c: 46 to 53 and 59: other doors of the kernel, KVM, the channels between processes. */
#include "core/fdplan.h"
#include "tests/escape/escape.h"

#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/kvm.h>
#include <linux/perf_event.h>
#include <sched.h>
#include <string.h>
#include <sys/mman.h>

enum { PAGE = 4096 };

static long programs(unsigned sub)
{
	static const struct bpf_insn insns[] = {
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K }, { .code = BPF_JMP | BPF_EXIT },
	};
	union bpf_attr attr;
	struct perf_event_attr perf;

	memset(&attr, 0, sizeof(attr));
	memset(&perf, 0, sizeof(perf));
	switch (sub) {
	case 1:
		attr.prog_type = BPF_PROG_TYPE_SOCKET_FILTER;
		attr.insns = (uint64_t)insns;
		attr.insn_cnt = 2;
		attr.license = (uint64_t)"GPL";
		return CALL(SYS_bpf, BPF_PROG_LOAD, &attr, sizeof(attr));
	case 2:
		attr.map_type = BPF_MAP_TYPE_ARRAY;
		attr.key_size = attr.value_size = attr.max_entries = 4;
		return CALL(SYS_bpf, BPF_MAP_CREATE, &attr, sizeof(attr));
	case 3:
		perf.type = PERF_TYPE_SOFTWARE;
		perf.size = sizeof(perf);
		return CALL(SYS_perf_event_open, &perf, 0, -1, -1, 0);
	case 4: return CALL(SYS_userfaultfd, O_CLOEXEC);
	}
	return CALL(SYS_userfaultfd, O_CLOEXEC | 1);	/* UFFD_USER_MODE_ONLY */
}

static long rings(unsigned sub)
{
	static char params[120];

	switch (sub) {
	case 1: return CALL(SYS_io_uring_setup, 1, params);
	case 2: return CALL(SYS_io_uring_enter, FD_LOG, 1, 0, 0, 0, 0);
	}
	return CALL(SYS_io_uring_register, FD_LOG, 9, params, 1);	/* PERSONALITY */
}

static long create_vm(int fd) { return CALL(SYS_ioctl, fd, KVM_CREATE_VM, 0); }

static long vm_calls(unsigned sub)
{
	static char zero[PAGE];

	switch (sub) {
	case 1: return CALL(SYS_openat, AT_FDCWD, "/dev/kvm", O_RDWR);
	case 2: return each_fd(create_vm);
	case 3: {
		struct kvm_create_device d = { .type = KVM_DEV_TYPE_VFIO };

		return CALL(SYS_ioctl, VMM_VM, KVM_CREATE_DEVICE, &d);
	}
	case 4: return CALL(SYS_ioctl, VMM_VCPU0, KVM_SET_NESTED_STATE, zero);
	case 5: return CALL(SYS_ioctl, VMM_VM, KVM_MEMORY_ENCRYPT_OP, zero);
	case 6: return CALL(SYS_ioctl, VMM_VM, KVM_CREATE_VCPU, 7);
	case 7: {
		struct kvm_ioeventfd e = { .addr = 0xf0000000, .len = 4, .fd = VMM_WAKE };

		return CALL(SYS_ioctl, VMM_VM, KVM_IOEVENTFD, &e);
	}
	case 8: {
		struct kvm_irqfd e = { .fd = VMM_WAKE, .gsi = 3 };

		return CALL(SYS_ioctl, VMM_VM, KVM_IRQFD, &e);
	}
	case 9: return CALL(SYS_ioctl, VMM_VM, KVM_CREATE_PIT2, zero);
	case 10: {
		struct kvm_enable_cap cap = { .cap = KVM_CAP_HYPERV_SYNIC };

		return CALL(SYS_ioctl, VMM_VCPU0, KVM_ENABLE_CAP, &cap);
	}
	}
	return CALL(SYS_ioctl, VMM_VCPU0, KVM_GET_REGS, zero);
}

static long change_slots(unsigned sub)
{
	struct kvm_userspace_memory_region r = { .slot = 20, .guest_phys_addr = 1ull << 40 };

	if (sub == 2)
		r.slot = 0;
	else {
		r.memory_size = PAGE;
		r.userspace_addr = (uint64_t)(uintptr_t)attempt_kernel & ~(uint64_t)(PAGE - 1);
	}
	return CALL(SYS_ioctl, VMM_VM, KVM_SET_USER_MEMORY_REGION, &r);
}

static long change_vcpu(unsigned sub)
{
	/* struct kvm_msrs and struct kvm_cpuid2, with room for an entry. */
	static struct { uint32_t n, zero; struct kvm_msr_entry e; } msrs = {
		1, 0, { .index = 0x3a, .data = 5 },		/* IA32_FEATURE_CONTROL: VMX */
	};
	static struct { uint32_t n, zero; struct kvm_cpuid_entry2 e; } cpuid = {
		1, 0, { .function = 1, .ecx = 1u << 5 },
	};
	static struct kvm_sregs sregs;

	if (sub == 1)
		return CALL(SYS_ioctl, VMM_VCPU0, KVM_SET_MSRS, &msrs);
	if (sub == 2)
		return CALL(SYS_ioctl, VMM_VCPU0, KVM_SET_CPUID2, &cpuid);
	return CALL(SYS_ioctl, VMM_VCPU0, KVM_SET_SREGS, &sregs);
}

static long terminals(unsigned sub)
{
	static const long what[] = { 0x5412, 0x541c, 0x5423 };	/* TIOCSTI, TIOCLINUX, TIOCSETD */
	static char subcode[16] = { 2 };
	long last = -EBADF;

	for (int fd = 0; fd < 3; fd++) {
		long rc = CALL(SYS_ioctl, fd, what[sub - 1], subcode);

		if (rc >= 0)
			return rc;
		last = rc == -EBADF ? last : rc;
	}
	return last;
}

/* Each asks for the right first and could do no harm with it: the arguments are wrong. */
static long administer(unsigned sub)
{
	static const char params[] = "";
	static const int zone[2] = { 10000, 0 };	/* no such time zone */
	long rc = -ENOSYS;

	switch (sub) {
	case 1: return CALL(SYS_iopl, 3);
	case 2: return CALL(SYS_ioperm, 0x80, 1, 1);
	case 3: rc = CALL(SYS_kexec_load, 0, 0, 0, 0x7fff); break;
	case 4: rc = CALL(SYS_init_module, 8, 16, params); break;
	case 5: rc = CALL(SYS_finit_module, FD_LOG, params, 0x7fff); break;
	case 6: rc = CALL(SYS_delete_module, "escaped", O_NONBLOCK); break;
	case 7: rc = CALL(SYS_reboot, 1, 2, 3, 0); break;
	case 8: rc = CALL(SYS_swapon, "/escaped", 0); break;
	case 9: rc = CALL(SYS_quotactl, 0x80000200, "/escaped", 0, 0); break;	/* Q_QUOTAON */
	case 10: rc = CALL(SYS_syslog, 3, escape.name, 1); break;
	case 11: rc = CALL(SYS_settimeofday, 0, zone); break;
	case 12: rc = CALL(SYS_acct, "/escaped"); break;
	}
	if (rc == -EINVAL || rc == -EFAULT || rc == -ENOENT)
		return sub == 9 || sub == 12 ? rc : 0;
	return rc;
}

static long priorities(unsigned sub)
{
	const struct sched_param fifo = { .sched_priority = 1 };
	const unsigned long all[16] = { ~0ul };
	const struct { uint32_t size, policy; uint64_t flags; int32_t nice; uint32_t prio;
		       uint64_t runtime, deadline, period; } dl = {
		48, 6, 0, 0, 0, 1000000, 10000000, 10000000,
	};

	switch (sub) {
	case 1: return CALL(SYS_sched_setscheduler, 0, SCHED_FIFO, &fifo);
	case 2: return CALL(SYS_setpriority, 0, 0, -20);
	case 3: return CALL(SYS_sched_setaffinity, 0, sizeof(all), all);
	case 4: return CALL(SYS_mlockall, MCL_CURRENT);
	case 5: return CALL(SYS_sched_setattr, 0, &dl, 0);
	}
	return CALL(SYS_ioprio_set, 1, 0, 1 << 13);
}

/* To whoever listens on this process's channels. */
static long nonsense(unsigned sub)
{
	static char bytes[128];
	long to = escape.mine == 'm' || escape.mine == 'c' ? VMM_LINK0 : BLK_LINK;

	memset(bytes, 0xff, sizeof(bytes));
	if (sub == 3)
		to = VMM_CTL;
	return CALL(SYS_write, to, bytes, sub == 2 ? 1 : sizeof(bytes));
}

long attempt_kernel(unsigned number, unsigned sub)
{
	switch (number) {
	case 46: return programs(sub);
	case 47: return rings(sub);
	case 48: return vm_calls(sub);
	case 49: return change_slots(sub);
	case 50: return change_vcpu(sub);
	case 51: return terminals(sub);
	case 52: return administer(sub);
	case 53: return priorities(sub);
	case 59: return nonsense(sub);
	}
	return -ENOSYS;
}
