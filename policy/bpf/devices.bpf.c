/* SPDX-License-Identifier: Apache-2.0 */
/* devices.bpf.c: what the kernel asks when a process in a VM's cgroup opens or makes a device.
 *
 * Never.  What the VM's processes need is open before they are born, and using an open device
 * asks nobody. */
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

enum { DENY = 0 };

SEC("cgroup/dev")
int immure_devices(struct bpf_cgroup_dev_ctx *ctx)
{
	(void)ctx;
	return DENY;
}
