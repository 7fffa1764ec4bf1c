/* SPDX-License-Identifier: Apache-2.0 */
/* walls_cgroup.c: the limits of a VM's cgroup, and what is used of them, from the cgroup's own
 * files: version 2, where all lie in one directory, or version 1, where each controller has a
 * hierarchy and the VM the same path in those it uses. */
#include "cli/walls.h"
#include "cli/say.h"
#include "cli/walls_text.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct source {
	const char *controller;		/* directory below /sys/fs/cgroup; "": version 2 */
	const char *file;
};

static const struct source files_v2[] = {
	{ "", "memory.max" }, { "", "memory.current" }, { "", "memory.swap.max" }, { "", "pids.max" },
	{ "", "pids.current" }, { "", "cpu.max" }, { "", "io.max" },
};
static const struct source files_v1[] = {
	{ "memory", "memory.limit_in_bytes" }, { "memory", "memory.usage_in_bytes" },
	{ "memory", "memory.memsw.limit_in_bytes" }, { "pids", "pids.max" },
	{ "pids", "pids.current" }, { "cpu", "cpu.cfs_quota_us" },
	{ "blkio", "blkio.throttle.read_bps_device" }, { "blkio", "blkio.throttle.write_bps_device" },
};
_Static_assert(array_len(files_v1) < WALLS_LIMITS && array_len(files_v2) < WALLS_LIMITS,
	       "all fit, and one for devices");

/* One line: what a file with several says is separated by ", ". */
static void one_line(char *to, size_t size, const char *text)
{
	size_t n = 0;

	for (; *text != 0 && n + 3 < size; text++) {
		if (*text != '\n')
			to[n++] = *text;
		else if (text[1] != 0)
			n += (size_t)snprintf(to + n, size - n, ", ");
	}
	to[n] = 0;
	say_clean(to);
}

static void read_limit(const struct walls_host *h, struct walls_vm *vm, const struct source *s)
{
	struct walls_limit *l = &vm->limit[vm->nlimits];
	char path[400], *text;

	*l = (struct walls_limit){ .err = 0 };
	snprintf(l->file, sizeof(l->file), "%s", s->file);
	snprintf(path, sizeof(path), "%s%s/%s", s->controller[0] != 0 ? s->controller : ".",
		 vm->cgroup, s->file);
	text = walls_text(h->cgroup, path, &l->err);
	if (l->err == ENOENT)	/* a controller that the VM does not use, or the host has not */
		return;
	if (text != NULL)
		one_line(l->text, sizeof(l->text), text);
	free(text);
	vm->nlimits++;
}

void walls_read_cgroup(const struct walls_host *h, struct walls_vm *vm)
{
	bool is_v2 = faccessat(h->cgroup, "cgroup.controllers", F_OK, 0) == 0;
	const struct source *s = is_v2 ? files_v2 : files_v1;
	size_t n = is_v2 ? array_len(files_v2) : array_len(files_v1);

	for (size_t i = 0; i < n && vm->cgroup[0] != 0; i++)
		read_limit(h, vm, &s[i]);
}
