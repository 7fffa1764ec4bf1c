/* SPDX-License-Identifier: Apache-2.0 */
/* walls_devices.c: what the cgroup of a VM says about opening and making devices.
 *
 * Version 1 tells in devices.list of the devices controller's hierarchy, where an empty list is
 * "none".  Version 2 has programs; which one is attached to this cgroup, the kernel tells to who may
 * load such programs. */
#include "cli/walls.h"
#include "cli/say.h"
#include "cli/walls_text.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static void version_1(const struct walls_host *h, const struct walls_process *p, struct walls_limit *l)
{
	char path[300], *text;

	if (p->devices[0] == 0) {
		snprintf(l->text, sizeof(l->text), "not limited");
		return;
	}
	snprintf(path, sizeof(path), "devices%s/devices.list", p->devices);
	text = walls_text(h->cgroup, path, &l->err);
	if (text != NULL && text[0] == 0)
		snprintf(l->text, sizeof(l->text), WALLS_DENIED);
	else if (text != NULL)
		snprintf(l->text, sizeof(l->text), "%.*s", (int)strcspn(text, "\n"), text);
	say_clean(l->text);
	free(text);
}

static int ask(enum bpf_cmd cmd, union bpf_attr *attr)
{
	return (int)syscall(SYS_bpf, cmd, attr, sizeof(*attr));
}

/* Is program @id the one of policy/bpf/devices.bpf.c?  Only who may attach one can give it a name. */
static bool denies_all(uint32_t id)
{
	struct bpf_prog_info info = { .type = 0 };
	union bpf_attr attr = { .prog_id = id };
	int fd = ask(BPF_PROG_GET_FD_BY_ID, &attr);
	bool ok;

	if (fd < 0)
		return false;
	attr = (union bpf_attr){ .info = { .bpf_fd = (uint32_t)fd, .info_len = sizeof(info) } };
	attr.info.info = (uint64_t)(uintptr_t)&info;
	ok = ask(BPF_OBJ_GET_INFO_BY_FD, &attr) == 0 && info.type == BPF_PROG_TYPE_CGROUP_DEVICE &&
	     strcmp(info.name, "immure_devices") == 0;
	close(fd);
	return ok;
}

/* A program of a cgroup above may deny as well, but is not ours to rely on. */
static void version_2(const struct walls_host *h, const struct walls_vm *vm, struct walls_limit *l)
{
	uint32_t id[8] = { 0 };
	union bpf_attr attr = { .query = { .attach_type = BPF_CGROUP_DEVICE,
					   .prog_cnt = array_len(id) } };
	char path[260];
	int fd;

	snprintf(path, sizeof(path), ".%s", vm->cgroup);
	fd = openat(h->cgroup, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	attr.query.target_fd = (uint32_t)fd;
	attr.query.prog_ids = (uint64_t)(uintptr_t)id;
	if (fd < 0 || ask(BPF_PROG_QUERY, &attr) < 0)
		l->err = errno;
	else if (attr.query.prog_cnt == 0)
		snprintf(l->text, sizeof(l->text), "not limited");
	else if (attr.query.prog_cnt == 1 && denies_all(id[0]))
		snprintf(l->text, sizeof(l->text), WALLS_DENIED);
	else
		snprintf(l->text, sizeof(l->text), "decided by a program that is not immure's");
	if (fd >= 0)
		close(fd);
}

void walls_read_devices(const struct walls_host *h, struct walls_vm *vm)
{
	bool is_v2 = faccessat(h->cgroup, "cgroup.controllers", F_OK, 0) == 0;
	struct walls_limit *l = &vm->limit[vm->nlimits];

	if (vm->cgroup[0] == 0 || vm->n < 2)
		return;
	*l = (struct walls_limit){ .file = "devices" };
	if (is_v2)
		version_2(h, vm, l);
	else
		version_1(h, &vm->proc[1], l);
	vm->nlimits++;
}
