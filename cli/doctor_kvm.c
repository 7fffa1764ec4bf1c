/* SPDX-License-Identifier: Apache-2.0 */
/* doctor_kvm.c: what immure needs of KVM. */
#include "cli/doctor.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

static const struct {
	int cap;
	const char *name;
} needed[] = {
	{ KVM_CAP_SPLIT_IRQCHIP, "split irqchip" },
	{ KVM_CAP_IOEVENTFD, "ioeventfd" },
	{ KVM_CAP_IRQFD, "irqfd" },
	{ KVM_CAP_IRQ_ROUTING, "interrupt routing" },
	{ KVM_CAP_READONLY_MEM, "read-only memory slots" },
	{ KVM_CAP_USER_MEMORY, "user memory" },
	{ KVM_CAP_EXT_CPUID, "CPUID" },
	{ KVM_CAP_X86_MSR_FILTER, "MSR filter" },
	{ KVM_CAP_TSC_DEADLINE_TIMER, "TSC deadline timer" },
};

static enum doctor_result device(char *detail)
{
	int fd = open("/dev/kvm", O_RDWR | O_CLOEXEC);

	if (fd < 0) {
		snprintf(detail, DOCTOR_DETAIL, "/dev/kvm: %s", strerror(errno));
		return DOCTOR_MISSING;
	}
	snprintf(detail, DOCTOR_DETAIL, "API version %d", ioctl(fd, KVM_GET_API_VERSION, 0));
	close(fd);
	return DOCTOR_OK;
}

static enum doctor_result capabilities(char *detail)
{
	int fd = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	size_t used = 0;

	if (fd < 0) {
		snprintf(detail, DOCTOR_DETAIL, "/dev/kvm cannot be opened");
		return DOCTOR_MISSING;
	}
	for (size_t i = 0; i < array_len(needed); i++)
		if (ioctl(fd, KVM_CHECK_EXTENSION, needed[i].cap) <= 0 && used < DOCTOR_DETAIL - 40)
			used += (size_t)snprintf(detail + used, DOCTOR_DETAIL - used, "%s%s",
						 used ? ", " : "lacks ", needed[i].name);
	close(fd);
	if (used)
		return DOCTOR_MISSING;
	snprintf(detail, DOCTOR_DETAIL, "split irqchip, ioeventfd, irqfd, MSR filter, ...");
	return DOCTOR_OK;
}

const struct doctor_check doctor_kvm_checks[] = {
	{ "KVM", "guests run on it",
	  "load the kernel module (modprobe kvm_intel or kvm_amd), switch virtualization on in "
	  "the firmware, or on a virtual machine ask for nested virtualization; as a user: join "
	  "the group that owns /dev/kvm", device },
	{ "KVM capabilities", "the VMM is built on them", "use a Linux kernel of version 6.1 or "
	  "later", capabilities },
	{ "probe guest", "a KVM that cannot run these few instructions cannot run Linux",
	  "use a host with hardware virtualization; `make run` falls back to an emulated host",
	  doctor_probe_guest },
};
const size_t doctor_kvm_count = array_len(doctor_kvm_checks);
