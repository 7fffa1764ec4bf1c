/* SPDX-License-Identifier: Apache-2.0 */
/* report.c: the names of the ends a VM can come to.  Stable: scripts match on them. */
#include "core/report.h"

const char *end_reason_name(enum end_reason r)
{
	static const char *const names[END_REASONS] = {
		[END_NONE] = "none",
		[END_POWEROFF] = "guest-poweroff",
		[END_REBOOT] = "guest-reboot",
		[END_PANIC] = "guest-panic",
		[END_TRIPLE_FAULT] = "guest-triple-fault",
		[END_KVM_ERROR] = "kvm-error",
		[END_BAD_KERNEL] = "bad-kernel",
		[END_DEVICE_DIED] = "device-died",
		[END_DEVICE_SILENT] = "device-silent",
		[END_VMM_DIED] = "vmm-died",
		[END_VIOLATION] = "violation",
		[END_STOPPED] = "stopped",
		[END_TIMEOUT] = "timeout",
		[END_SETUP] = "setup",
		[END_MEMORY] = "memory-limit",
	};

	return (unsigned)r < END_REASONS ? names[r] : "unknown";
}
