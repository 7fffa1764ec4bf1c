/* SPDX-License-Identifier: Apache-2.0 */
/* devices.c: device control of a cgroup. */
#include "jailer/devices.h"
#include "jailer/bpf.h"
#include "jailer/path.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

int devices_deny(int cgroup)
{
	struct bpf_loaded l;
	int rc = bpf_load(&bpf_devices, NULL, &l);

	if (rc < 0)
		return rc;
	/* A program of a cgroup above that allows company runs as well, and each can deny. */
	rc = bpf_attach(l.program[0], cgroup, BPF_CGROUP_DEVICE);
	bpf_close(&bpf_devices, &l);
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
