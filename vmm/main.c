/* SPDX-License-Identifier: Apache-2.0 */
/* main.c: immure-vmm, from its first instruction to the guest's.
 *
 * Everything that could ever touch the outside happens in the upper half of main(), before any
 * byte of a kernel image, a device or a guest was looked at.  Then the filters close, and only
 * then does the process read what it was given: the kernel with pread, the devices' HELLO, the
 * guest's exits. */
#include "core/fdplan.h"
#include "core/guestmem.h"
#include "core/log.h"
#include "core/pages.h"
#include "core/seal.h"
#include "core/vmconfig.h"
#include "vmm/boot/boot.h"
#include "vmm/control.h"
#include "vmm/kvm.h"
#include "vmm/machine.h"
#include "vmm/vcpu.h"

#include <unistd.h>

struct vmm {
	struct vm_config config;
	struct machine machine;
	struct pages pages;
	struct vcpu vcpu[PLAN_VCPUS];
	struct gate gate;
};

/* Should: reduce the process to its plan.  Mustn't: look at anything in it. */
static int claim(struct vmm *v)
{
	int rc = fdplan_claim(VMM_NFDS);

	if (rc == 0)
		rc = vmconfig_read(&v->config);
	if (rc < 0)
		log_errno(-rc, "descriptors and configuration");
	return rc;
}

/* Should: see guest memory, and the page to count in.  Mustn't: keep the descriptors. */
static int map_memory(struct vmm *v)
{
	int rc = guestmem_map(&v->machine.mem, FD_MEM, v->config.ram);

	close(FD_MEM);
	if (rc == 0)
		rc = pages_map(&v->pages, &v->config, -1);
	if (rc < 0)
		log_errno(-rc, "guest memory and counters");
	return rc;
}

/* Should: have the threads put on their filters.  Mustn't: let one of them run. */
static int start_threads(struct vmm *v)
{
	int rc = fdplan_reserve(VMM_NFDS);

	if (rc < 0)
		log_errno(-rc, "room for descriptors");
	v->machine.stats = v->pages.stats;
	machine_init(&v->machine, &v->config);
	for (uint32_t i = 0; i < v->config.vcpus; i++) {
		v->vcpu[i].index = i;
		v->vcpu[i].machine = &v->machine;
		v->vcpu[i].counted = v->pages.stats->u.vcpu[i].counter;
		v->vcpu[i].gate = &v->gate;
	}
	return rc < 0 ? rc : vcpus_start(v->vcpu, v->config.vcpus);
}

/* Should: make the whole machine and all its wiring.  Mustn't: leave anything for later. */
static int build(struct vmm *v)
{
	int rc = start_threads(v);

	if (rc == 0)
		rc = kvm_check_host(v->config.vcpus);
	if (rc == 0)
		rc = kvm_create_vm(&v->machine.mem, machine_register_pages(),
				   v->config.ndevices);
	if (rc == 0)
		rc = vcpus_sealed(&v->gate, v->config.vcpus);
	for (uint32_t i = 0; i < v->config.vcpus && rc == 0; i++)
		rc = kvm_create_vcpu(i, v->config.vcpus, &v->vcpu[i].run);
	if (rc == 0)
		rc = kvm_wire(&v->config);
	kvm_close(&v->config);
	return rc;
}

/* Should: put a filter on the last thread, this one.  Mustn't: have looked at an image yet. */
static int seal_self(const struct vmm *v)
{
	unsigned when = (v->config.initrd_size != 0 ? WHEN_INITRAMFS : 0u) |
			(v->config.ndevices != 0 ? WHEN_DEVICES : 0u);
	int rc = hold_memory();

	if (rc == 0)
		rc = seal_memory();
	if (rc == 0)
		rc = seal(policy_pick(&policy_vmm_main, when));
	if (rc < 0)
		log_errno(-rc, "sealing the main thread");
	return rc;
}

/* Should: read the images, which may be anybody's.  Mustn't: need a call beyond pread. */
static void load(struct vmm *v)
{
	int initrd = v->config.initrd_size != 0 ? VMM_INITRD : -1;
	enum boot_err err = boot_load(&v->machine.mem, &v->config, VMM_KERNEL, initrd);

	close(VMM_KERNEL);
	if (initrd >= 0)
		close(initrd);
	if (err == BOOT_OK)
		return;
	log_line("%s", boot_err_text(err));
	end_vm(&v->machine.end, END_BAD_KERNEL, err, 0);
}

static void run(struct vmm *v)
{
	control_running();
	vcpus_release(&v->gate);
	control_serve(&v->machine);
}

int main(void)
{
	static struct vmm vmm;	/* the one instance of everything */

	if (claim(&vmm) < 0 || map_memory(&vmm) < 0 || build(&vmm) < 0 || seal_self(&vmm) < 0) {
		control_not_built();
		return 1;
	}
	/* From here on: no new descriptor, no new memory, no other program. */
	load(&vmm);
	control_wait_devices(&vmm.machine);
	if (!end_reached(&vmm.machine.end))
		run(&vmm);
	control_ended(&vmm.machine, vcpus_exits(vmm.vcpu, vmm.config.vcpus));
	return 0;	/* exit_group(): the vCPUs' threads go too */
}
