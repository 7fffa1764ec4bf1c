/* SPDX-License-Identifier: Apache-2.0 */
/* kvm.c: the VM and all its wiring, in the order that is cheap.
 *
 * A change of memory slots or of the in-kernel bus waits until no vCPU looks at the old table
 * (SRCU).  Since Linux 6.18 a new ioeventfd only queues such a wait, and then it is the next
 * memory slot that pays, some 10 ms.  So: all slots first, few of them; then the interrupt
 * controller and the vCPUs; ioeventfds and irqfds last; and nothing of this ever again.
 *
 * The wiring is complete before the first instruction because devices have fixed addresses
 * and lines: no process will ever need to change it.  Guest reads of device registers are
 * loads from a read-only slot; QueueNotify goes to the device's kick, InterruptACK of "used
 * buffer" to an eventfd nobody reads; the device's call raises the line.
 *
 * The VM descriptor has to stay open: closing it cuts every interrupt (kvm_irqfd_release()).
 * The filter takes its powers away instead. */
#include "vmm/kvm.h"

#include "core/fdplan.h"
#include "core/log.h"
#include "vmm/kvm_call.h"
#include "vmm/x86_64/cpuid.h"
#include "vmm/x86_64/state.h"

#include <linux/kvm.h>
#include <linux/virtio_mmio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

struct need {
	unsigned long capability;
	int least;
	const char *name;
	const char *since;
};

#define NEED(capability, least, since) { capability, least, #capability, since }

static const struct need needs[] = {
	NEED(KVM_CAP_USER_MEMORY, 1, "2.6.25"),
	NEED(KVM_CAP_SET_TSS_ADDR, 1, "2.6.25"),
	NEED(KVM_CAP_EXT_CPUID, 1, "2.6.26"),
	NEED(KVM_CAP_MP_STATE, 1, "2.6.26"),
	NEED(KVM_CAP_IRQ_ROUTING, LAYOUT_IOAPIC_PINS, "2.6.30"),
	NEED(KVM_CAP_IRQFD, 1, "2.6.32"),
	NEED(KVM_CAP_IOEVENTFD, 1, "2.6.32"),
	NEED(KVM_CAP_SET_IDENTITY_MAP_ADDR, 1, "2.6.32"),
	NEED(KVM_CAP_TSC_DEADLINE_TIMER, 1, "3.2"),
	NEED(KVM_CAP_READONLY_MEM, 1, "3.8"),
	NEED(KVM_CAP_SPLIT_IRQCHIP, 1, "4.4"),
	NEED(KVM_CAP_SYNC_REGS, KVM_SYNC_X86_REGS, "4.17"),
	NEED(KVM_CAP_X86_MSR_FILTER, 1, "5.10"),
	NEED(KVM_CAP_ENFORCE_PV_FEATURE_CPUID, 1, "5.10"),
};

static int check_need(const struct need *n)
{
	int have = ioctl(VMM_KVM, KVM_CHECK_EXTENSION, n->capability);

	if (have >= n->least)
		return 0;
	log_line("the host's KVM lacks %s (has %d, needs %d): Linux %s or newer provides it",
		 n->name, have, n->least, n->since);
	return -ENOSYS;
}

int kvm_check_host(uint32_t vcpus)
{
	int version = ioctl(VMM_KVM, KVM_GET_API_VERSION, 0);
	int max;

	if (version != KVM_API_VERSION) {
		log_line("/dev/kvm speaks version %d of its interface, not %d: is it KVM?",
			 version, KVM_API_VERSION);
		return -ENOSYS;
	}
	for (size_t i = 0; i < array_len(needs); i++) {
		int rc = check_need(&needs[i]);

		if (rc < 0)
			return rc;
	}
	max = ioctl(VMM_KVM, KVM_CHECK_EXTENSION, KVM_CAP_MAX_VCPUS);
	if (max >= (int)vcpus)
		return 0;
	log_line("the host's KVM has at most %d vCPUs a VM, %u were asked for", max, vcpus);
	return -EINVAL;
}

static int add_slot(uint32_t slot, uint32_t flags, uint64_t start, uint64_t size, void *at)
{
	struct kvm_userspace_memory_region r = {
		.slot = slot,
		.flags = flags,
		.guest_phys_addr = start,
		.memory_size = size,
		.userspace_addr = (uintptr_t)at,
	};

	return KVM_CALL(VMM_VM, KVM_SET_USER_MEMORY_REGION, &r);
}

static int add_memory(const struct guestmem *m, void *pages, uint32_t npages)
{
	int rc = 0;

	for (uint32_t i = 0; i < m->nregions && rc == 0; i++)
		rc = add_slot(i, 0, m->region[i].start, m->region[i].size, m->region[i].hva);
	if (rc == 0 && npages > 0)
		rc = add_slot(m->nregions, KVM_MEM_READONLY, LAYOUT_MMIO,
			      npages * LAYOUT_MMIO_SIZE, pages);
	return rc;
}

int kvm_create_vm(const struct guestmem *m, void *pages, uint32_t npages)
{
	int rc = KVM_CALL(VMM_KVM, KVM_CREATE_VM, 0);

	if (rc >= 0)
		rc = fdplan_pin(rc, VMM_VM);
	if (rc == 0)
		rc = state_create_vm();
	if (rc == 0)
		rc = add_memory(m, pages, npages);
	if (rc == 0)
		rc = state_create_irqchip();
	return rc;
}

static int map_run(int vcpu, struct kvm_run **run)
{
	int size = KVM_CALL(VMM_KVM, KVM_GET_VCPU_MMAP_SIZE, 0);
	void *p;

	if (size < 0)
		return size;
	if ((size_t)size < sizeof(**run))
		return -EPROTO;
	p = mmap(NULL, (size_t)size, PROT_READ | PROT_WRITE, MAP_SHARED, vcpu, 0);
	if (p == MAP_FAILED) {
		int err = errno;

		log_errno(err, "mapping a vCPU's shared page");
		return -err;
	}
	*run = p;
	/* Every exit then carries the registers: where the guest was, without another call. */
	(*run)->kvm_valid_regs = KVM_SYNC_X86_REGS;
	return 0;
}

int kvm_create_vcpu(uint32_t index, uint32_t total, struct kvm_run **run)
{
	int vcpu = VMM_VCPU0 + (int)index;
	int rc = KVM_CALL(VMM_VM, KVM_CREATE_VCPU, index);

	if (rc >= 0)
		rc = fdplan_pin(rc, vcpu);
	if (rc == 0)
		rc = cpuid_set(vcpu, index, total);
	if (rc == 0)
		rc = state_create_vcpu(vcpu, index);
	if (rc == 0)
		rc = map_run(vcpu, run);
	return rc;
}

/* A 32-bit write of @value to @offset of device @device's registers goes to @fd. */
static int add_ioeventfd(uint32_t device, uint32_t offset, uint32_t value, int fd)
{
	struct kvm_ioeventfd e = {
		.datamatch = value,
		.addr = LAYOUT_MMIO + device * LAYOUT_MMIO_SIZE + offset,
		.len = 4,
		.fd = fd,
		.flags = KVM_IOEVENTFD_FLAG_DATAMATCH,
	};

	return KVM_CALL(VMM_VM, KVM_IOEVENTFD, &e);
}

static int kick_fd(uint32_t device, uint32_t queue)
{
	return VMM_KICK0 + (int)(device * PLAN_QUEUES + queue);
}

static int wire_device(uint32_t device, uint32_t nqueues)
{
	struct kvm_irqfd call = {
		.fd = (uint32_t)VMM_CALL0 + device,
		.gsi = LAYOUT_GSI0 + device,
	};
	int rc = 0;

	for (uint32_t q = 0; q < nqueues && rc == 0; q++)
		rc = add_ioeventfd(device, VIRTIO_MMIO_QUEUE_NOTIFY, q, kick_fd(device, q));
	/* Only "used buffer": an acknowledgement with the configuration bit has to be seen. */
	if (rc == 0)
		rc = add_ioeventfd(device, VIRTIO_MMIO_INTERRUPT_ACK, VIRTIO_MMIO_INT_VRING,
				   VMM_ACK);
	if (rc == 0)
		rc = KVM_CALL(VMM_VM, KVM_IRQFD, &call);
	return rc;
}

int kvm_wire(const struct vm_config *c)
{
	int rc = 0;

	for (uint32_t i = 0; i < c->ndevices && rc == 0; i++)
		rc = wire_device(i, c->device[i].nqueues);
	return rc;
}

void kvm_close(const struct vm_config *c)
{
	close(VMM_KVM);
	for (uint32_t i = 0; i < c->ndevices; i++)
		for (uint32_t q = 0; q < c->device[i].nqueues; q++)
			close(kick_fd(i, q));
}

/* struct kvm_irq_routing with room. */
struct routing {
	uint32_t nr;
	uint32_t flags;
	struct kvm_irq_routing_entry entry[LAYOUT_IOAPIC_PINS];
};

_Static_assert(offsetof(struct routing, entry) == offsetof(struct kvm_irq_routing, entries),
	       "KVM's layout");

int kvm_set_routes(const struct ioapic_route route[])
{
	struct routing table;

	memset(&table, 0, sizeof(table));
	for (uint32_t i = 0; i < LAYOUT_IOAPIC_PINS; i++) {
		struct kvm_irq_routing_entry *e = &table.entry[table.nr];

		if (!route[i].valid)
			continue;
		e->gsi = i;
		e->type = KVM_IRQ_ROUTING_MSI;
		e->u.msi.address_lo = route[i].address;
		e->u.msi.data = route[i].data;
		table.nr++;
	}
	return ioctl(VMM_VM, KVM_SET_GSI_ROUTING, &table) < 0 ? -errno : 0;
}
