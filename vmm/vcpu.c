/* SPDX-License-Identifier: Apache-2.0 */
/* vcpu.c: enter the guest, look why it came out, enter again.
 *
 * A thread seals itself before it waits for the start, with a filter of its own: it can run
 * its guest, route interrupts, talk to devices, print, and nothing else.  Everything in
 * struct kvm_run was written by KVM; the addresses, ports and data in it are the guest's
 * choice.
 *
 * On the data path nothing comes here: kicks, interrupts and register reads stay in the kernel
 * or in the guest.  What does come out is counted, so that tests can hold us to that. */
#include "vmm/vcpu.h"

#include "core/aside.h"
#include "core/fdplan.h"
#include "core/log.h"
#include "core/seal.h"
#include "vmm/futex.h"
#include "vmm/ports.h"
#include "vmm/x86_64/cpuid.h"

#include <linux/kvm.h>
#include <sys/ioctl.h>

enum { STACK_BYTES = 64 * 1024 };

static void count(struct vcpu *v, enum stats_vcpu_counter reason)
{
	stats_add(&v->counted[reason], 1);
}

static void kvm_failed(struct vcpu *v, uint64_t suberror)
{
	const uint64_t rip = v->run->s.regs.regs.rip;

	log_line("vCPU %u: KVM cannot go on: exit %u, error %lu, at 0x%lx", v->index,
		 v->run->exit_reason, suberror, rip);
	end_vm(&v->machine->end, END_KVM_ERROR,
	       (uint64_t)v->run->exit_reason << 32 | (suberror & UINT32_MAX), rip);
}

static void handle_port(struct vcpu *v)
{
	const struct kvm_run *run = v->run;
	uint8_t *data = (uint8_t *)v->run + run->io.data_offset;

	if (run->io.direction == KVM_EXIT_IO_OUT)
		ports_out(v->machine, run->io.port, run->io.size, data, run->io.count);
	else
		ports_in(v->machine, run->io.port, run->io.size, data, run->io.count);
}

static void handle_mmio(struct vcpu *v)
{
	static const enum stats_vcpu_counter reasons[] = {
		[PART_REGISTERS] = STATS_EXIT_REGISTER, [PART_IOAPIC] = STATS_EXIT_IOAPIC,
		[PART_NOBODY] = STATS_EXIT_MMIO,
	};
	struct kvm_run *run = v->run;

	count(v, reasons[machine_part(v->machine, run->mmio.phys_addr)]);
	if (run->mmio.is_write)
		machine_mmio_write(v->machine, run->mmio.phys_addr, run->mmio.data,
				   run->mmio.len);
	else
		machine_mmio_read(v->machine, run->mmio.phys_addr, run->mmio.data,
				  run->mmio.len);
}

static void handle_exit(struct vcpu *v)
{
	switch (v->run->exit_reason) {
	case KVM_EXIT_IO:
		count(v, STATS_EXIT_PORT);
		handle_port(v);
		break;
	case KVM_EXIT_MMIO:
		handle_mmio(v);
		break;
	case KVM_EXIT_SHUTDOWN:
		count(v, STATS_EXIT_OTHER);
		end_vm(&v->machine->end, END_TRIPLE_FAULT, 0, v->run->s.regs.regs.rip);
		break;
	case KVM_EXIT_FAIL_ENTRY:
		kvm_failed(v, v->run->fail_entry.hardware_entry_failure_reason);
		break;
	case KVM_EXIT_INTERNAL_ERROR:
		kvm_failed(v, v->run->internal.suberror);
		break;
	default:
		/* Nothing we asked for: no HLT, no MSR, no hypercall exits are enabled. */
		count(v, STATS_EXIT_OTHER);
		kvm_failed(v, 0);
		break;
	}
}

/* One stay in the guest. */
static void run_guest(struct vcpu *v)
{
	if (ioctl(VMM_VCPU0 + (int)v->index, KVM_RUN, 0) == 0) {
		atomic_fetch_add_explicit(&v->exits, 1, memory_order_relaxed);
		handle_exit(v);
		return;
	}
	/* EAGAIN: a waiting vCPU was told to start (INIT, SIPI). */
	if (errno == EINTR || errno == EAGAIN) {
		count(v, STATS_EXIT_SIGNAL);
		return;
	}
	v->run->exit_reason = KVM_EXIT_UNKNOWN;
	kvm_failed(v, (uint64_t)errno);
}

static void arrive(struct gate *gate, int rc)
{
	if (rc < 0) {
		log_errno(-rc, "preparing a vCPU thread");
		atomic_store(&gate->failed, 1);
	}
	atomic_fetch_add(&gate->arrived, 1);
	futex_wake(&gate->arrived);
	while (atomic_load(&gate->open) == 0)
		futex_wait(&gate->open, 0, NULL);
}

/* The main thread reports and ends the process. */
static void hand_over(struct gate *gate)
{
	const uint64_t one = 1;

	if (write(VMM_WAKE, &one, sizeof(one)) != (ssize_t)sizeof(one))
		log_errno(errno, "waking the main thread");
	while (atomic_load(&gate->open) != 0)	/* for ever: it does not close again */
		futex_wait(&gate->open, 1, NULL);
}

static int seal_self(const struct machine *m)
{
	unsigned when = (m->has_console ? WHEN_CONSOLE : 0u) |
			(m->ndevices != 0 ? WHEN_DEVICES : 0u);

	return seal(policy_pick(&policy_vmm_vcpu, when));
}

static void *thread(void *arg)
{
	struct vcpu *v = arg;
	int rc = v->index == 0 ? cpuid_ask() : 0;

	arrive(v->gate, rc < 0 ? rc : seal_self(v->machine));
	while (!end_reached(&v->machine->end))
		run_guest(v);
	hand_over(v->gate);
	return NULL;
}

static int start_thread(struct vcpu *v, const pthread_attr_t *attr)
{
	pthread_t id;
	int err = pthread_create(&id, attr, thread, v);
	if (err != 0)
		log_errno(err, "starting the thread of vCPU %u", v->index);
	return -err;
}

int vcpus_start(struct vcpu vcpu[], uint32_t n)
{
	pthread_attr_t attr;
	int rc = -pthread_attr_init(&attr);

	if (rc == 0)
		rc = -pthread_attr_setstacksize(&attr, STACK_BYTES);
	for (uint32_t i = 0; i < n && rc == 0; i++)
		rc = start_thread(&vcpu[i], &attr);
	if (rc == 0)
		step_aside();
	pthread_attr_destroy(&attr);
	return rc;
}

int vcpus_sealed(struct gate *gate, uint32_t n)
{
	uint32_t arrived;

	while ((arrived = atomic_load(&gate->arrived)) < n)
		futex_wait(&gate->arrived, arrived, NULL);
	return atomic_load(&gate->failed) != 0 ? -EPERM : 0;
}

void vcpus_release(struct gate *gate)
{
	atomic_store(&gate->open, 1);
	futex_wake(&gate->open);
}

uint64_t vcpus_exits(const struct vcpu vcpu[], uint32_t n)
{
	uint64_t sum = 0;

	for (uint32_t i = 0; i < n; i++)
		sum += atomic_load_explicit(&vcpu[i].exits, memory_order_relaxed);
	return sum;
}
