/* SPDX-License-Identifier: Apache-2.0 */
/* devices.bpf.c: what the kernel asks when a process in a VM's cgroup opens or makes a device.
 *
 * Never.  What the VM's processes need is open before they are born, and using an open device
 * asks nobody.  Compiled by scripts/bpf-headers; the jailer has the result, devices.bpf.h, in
 * it, so that building immure takes no second compiler. */
#include <linux/bpf.h>

enum { DENY = 0 };

__attribute__((section("cgroup/dev"), used))
int immure_devices(struct bpf_cgroup_dev_ctx *ctx)
{
	(void)ctx;
	return DENY;
}
