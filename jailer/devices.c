/* SPDX-License-Identifier: Apache-2.0 */
/* devices.c: device control of a cgroup, without a library: two calls of bpf(2). */
#include "jailer/devices.h"
#include "jailer/path.h"
#include "policy/bpf/devices.bpf.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

_Static_assert(sizeof(bpf_devices[0]) == sizeof(struct bpf_insn), "instructions are eight bytes");

static int bpf(enum bpf_cmd cmd, union bpf_attr *attr)
{
	long rc = syscall(SYS_bpf, cmd, attr, sizeof(*attr));

	return rc < 0 ? -errno : (int)rc;
}

int devices_deny(int cgroup)
{
	union bpf_attr attr = { 0 };
	int program, rc;

	attr.prog_type = BPF_PROG_TYPE_CGROUP_DEVICE;
	attr.expected_attach_type = BPF_CGROUP_DEVICE;
	attr.insns = (uint64_t)(uintptr_t)bpf_devices;
	attr.insn_cnt = array_len(bpf_devices);
	attr.license = (uint64_t)(uintptr_t)"Apache-2.0";
	memcpy(attr.prog_name, "immure_devices", sizeof("immure_devices"));
	program = bpf(BPF_PROG_LOAD, &attr);
	if (program < 0)
		return program;
	/* No flags: nobody may attach another in a cgroup below; a program of a cgroup above
	 * that allows company runs as well, and each can deny. */
	attr = (union bpf_attr){ .target_fd = (uint32_t)cgroup };
	attr.attach_bpf_fd = (uint32_t)program;
	attr.attach_type = BPF_CGROUP_DEVICE;
	rc = bpf(BPF_PROG_ATTACH, &attr);
	close(program);
	return rc;
}

static int put(int dir, const char *file, const char *text)
{
	int fd = path_open(dir, file, O_WRONLY, PATH_BELOW);
	int rc = 0;

	if (fd < 0)
		return fd;
	if (write(fd, text, strlen(text)) < 0)
		rc = -errno;
	close(fd);
	return rc;
}

int devices_deny_v1(int dir)
{
	int rc = put(dir, "devices.deny", "a");

	return rc != 0 ? rc : put(dir, "tasks", "0");
}
