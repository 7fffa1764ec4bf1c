/* SPDX-License-Identifier: Apache-2.0 */
/* report.h: how a VM ended, in the words that every process, the CLI and the tests share.
 *
 * The VMM sends one struct vmm_report over VMM_CTL when the guest first runs and one when it
 * ends; the supervisor combines it with how its children died into one end_reason. */
#ifndef IMMURE_CORE_REPORT_H
#define IMMURE_CORE_REPORT_H

#include "core/base.h"

enum end_reason {
	END_NONE = 0,
	END_POWEROFF,		/* guest: ACPI S5 */
	END_REBOOT,		/* guest: ACPI reset register */
	END_PANIC,		/* guest: kernel panic */
	END_TRIPLE_FAULT,	/* guest: KVM_EXIT_SHUTDOWN */
	END_KVM_ERROR,		/* KVM refused to go on: internal error, failed entry */
	END_BAD_KERNEL,		/* kernel, initramfs or command line refused; detail: enum boot_err */
	END_DEVICE_DIED,	/* a device process ended or broke the link's protocol; detail: device */
	END_DEVICE_SILENT,	/* no HELLO, or no RESET_DONE, within its deadline; detail: device */
	END_VMM_DIED,		/* the VMM ended without a report; detail: wait status */
	END_VIOLATION,		/* a process was killed by its policy; detail: system call number */
	END_STOPPED,		/* the client asked, or went away */
	END_TIMEOUT,		/* --timeout */
	END_SETUP,		/* the VM could not be built; text says which step */
	END_MEMORY,		/* the kernel killed a process: the VM's memory limit */
	END_REASONS
};

enum vmm_report_type { VMM_REPORT_RUNNING = 1, VMM_REPORT_END };

struct vmm_report {
	uint32_t type;		/* enum vmm_report_type */
	uint32_t reason;	/* enum end_reason, for VMM_REPORT_END */
	uint64_t detail;	/* see enum end_reason; KVM_ERROR: exit reason << 32 | suberror */
	uint64_t user_exits;	/* KVM exits that reached user space since the first instruction */
	uint64_t rip;		/* where vCPU 0 was, for KVM_ERROR */
};

_Static_assert(sizeof(struct vmm_report) == 32, "wire format");

/* "guest-poweroff", "device-died", ...: stable, for machines. */
const char *end_reason_name(enum end_reason r);

#endif
