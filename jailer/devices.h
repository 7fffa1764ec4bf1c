/* SPDX-License-Identifier: Apache-2.0 */
/* devices.h: no device node can be opened or made from within a VM's cgroup.
 *
 * What its processes need (/dev/kvm, a disk) is open before they are born; the kernel asks at
 * open() and mknod() only, never when an open device is used. */
#ifndef IMMURE_JAILER_DEVICES_H
#define IMMURE_JAILER_DEVICES_H

#include "core/base.h"

/* v2: attaches policy/bpf/devices.bpf.c to the cgroup that @cgroup is; it goes with it.
 * Returns 0 or -errno: -EPERM without CAP_SYS_ADMIN (or CAP_BPF and CAP_NET_ADMIN), -EINVAL or
 * -ENOSYS where the kernel has no such programs. */
must_check int devices_deny(int cgroup);

/* v1: has the cgroup @dir in the hierarchy of the devices controller deny all, and moves the
 * caller into it, so that children are born there.  Returns 0 or -errno. */
must_check int devices_deny_v1(int dir);

#endif
