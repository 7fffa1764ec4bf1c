/* SPDX-License-Identifier: Apache-2.0 */
/* walls_find.c: which VMs run here, what they are called, and which processes they consist of.
 *
 * A VM is a process that runs immure-jailer, and its children.  What it is called nobody can
 * read from its arguments: its processes lie in the cgroup .../immure/NAME, and without a
 * cgroup the supervisor holds a lock in the run directory .../immure/NAME, the jailer's caller that.
 * One that has neither is called pid-N, after its supervisor, as every VM may be called. */
#include "cli/walls.h"
#include "cli/say.h"
#include "cli/walls_text.h"
#include "jailer/rundir.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define JAILER "immure-jailer"

enum { CLIENT_FDS = 256 };

int walls_host(struct walls_host *h)
{
	char path[32], text[64];

	h->proc = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	h->cgroup = open("/sys/fs/cgroup", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (h->proc < 0) {
		say_error("/proc: %s", strerror(errno));
		return -1;
	}
	for (unsigned i = 0; i < WALLS_NS; i++) {
		snprintf(path, sizeof(path), "self/ns/%s", walls_ns_names[i]);
		if (walls_link(h->proc, path, text, sizeof(text)) != 0 ||
		    !walls_parse_ns(text, walls_ns_names[i], &h->ns[i]))
			h->ns[i] = 0;
	}
	return 0;
}

/* The parent and the short name of a process.  False when it is gone, or has ended. */
static bool peek(const struct walls_host *h, pid_t pid, pid_t *ppid, char *name, size_t size)
{
	struct walls_status s;
	char dir[16], *text;
	bool ok;
	int err;

	snprintf(dir, sizeof(dir), "%d", (int)pid);
	text = walls_text2(h->proc, dir, "status", &err);
	ok = text != NULL && walls_parse_status(text, &s);
	free(text);
	if (!ok || s.state == 'Z' || s.state == 'X')
		return false;
	*ppid = s.ppid;
	snprintf(name, size, "%s", s.name);
	return true;
}

/* The children of @parent, or when that is 0 the supervisors; ascending, at most @max. */
static int select_processes(const struct walls_host *h, pid_t *pid, int max, pid_t parent)
{
	unsigned *all = calloc(WALLS_VMS * 4, sizeof(*all));
	int n = all == NULL ? -ENOMEM : walls_numbers(h->proc, ".", all, WALLS_VMS * 4);
	int found = n < 0 ? n : 0;

	for (int i = 0; i < n && i < WALLS_VMS * 4 && found < max; i++) {
		char name[32];
		pid_t ppid;

		if (!peek(h, (pid_t)all[i], &ppid, name, sizeof(name)))
			continue;
		if (parent != 0 ? ppid == parent : strcmp(name, JAILER) == 0)
			pid[found++] = (pid_t)all[i];
	}
	free(all);
	return found;
}

int walls_supervisors(const struct walls_host *h, pid_t *pid, int max)
{
	return select_processes(h, pid, max, 0);
}

/* ---- the processes of one VM ---- */

/* In the order of their birth, which is that of the plan: numbers of their PID namespace. */
static int by_birth(const void *a, const void *b)
{
	const struct walls_process *x = a, *y = b;
	unsigned m = x->status.nspid, n = y->status.nspid;

	return m != n ? (m > n) - (m < n) : (x->pid > y->pid) - (x->pid < y->pid);
}

static int program_of(const char *name)
{
	for (int i = 0; i < PROGRAM_SUPERVISOR; i++)
		if (strcmp(name, plan_program_name((enum plan_program)i)) == 0)
			return i;
	/* It executes another one of itself, "passt.avx2". */
	return strncmp(name, "passt", strlen("passt")) == 0 ? (int)PROGRAM_PASST : -1;
}

static void name_processes(struct walls_vm *vm)
{
	unsigned device = 0;

	for (unsigned i = 1; i < vm->n; i++) {
		struct walls_process *p = &vm->proc[i];

		p->program = program_of(p->status.name);
		if (p->program == PROGRAM_VMM)
			snprintf(p->name, sizeof(p->name), "vmm");
		else if (p->program == PROGRAM_BLK)
			snprintf(p->name, sizeof(p->name), "blk%u", device);
		else if (p->program == PROGRAM_PASST)
			snprintf(p->name, sizeof(p->name), "passt");
		else if (p->program >= 0)
			snprintf(p->name, sizeof(p->name), "%.15s",
				 plan_program_name((enum plan_program)p->program) + strlen("immure-"));
		else
			snprintf(p->name, sizeof(p->name), "pid %d", (int)p->pid);
		if (p->program > PROGRAM_VMM && p->program < PROGRAM_SUPERVISOR)
			p->device = device++;
	}
}

static void read_children(const struct walls_host *h, struct walls_vm *vm)
{
	pid_t child[WALLS_PROCESSES];
	int n = select_processes(h, child, WALLS_PROCESSES, vm->proc[0].pid);

	for (int i = 0; i < n && vm->n < WALLS_PROCESSES; i++) {
		if (walls_read_process(h, child[i], &vm->proc[vm->n]) == 0)
			vm->n++;
		else
			vm->gone = true;
	}
	qsort(vm->proc + 1, vm->n - 1, sizeof(vm->proc[0]), by_birth);
	name_processes(vm);
}

/* ---- its name ---- */

static bool name_by_cgroup(struct walls_vm *vm)
{
	for (unsigned i = 1; i < vm->n; i++) {
		if (vm->proc[i].group[0] == 0)
			continue;
		memcpy(vm->name, vm->proc[i].group, sizeof(vm->name));
		memcpy(vm->cgroup, vm->proc[i].cgroup, sizeof(vm->cgroup));
		return true;
	}
	return false;
}

/* The supervisor holds the lock in the run directory. */
static bool name_by_lock(struct walls_vm *vm)
{
	const struct walls_process *p = &vm->proc[0];

	for (size_t i = 0; i < p->nfds; i++) {
		char dir[WALLS_LINK], *file;

		memcpy(dir, p->fd[i].target, sizeof(dir));
		file = strrchr(dir, '/');
		if (p->fd[i].number < SUP_LOCK0 || p->fd[i].number >= SUP_NFDS || file == NULL ||
		    strcmp(file, "/" RUNDIR_LOCK) != 0)
			continue;
		*file = 0;
		if (walls_parse_run_dir(dir, vm->name, sizeof(vm->name)))
			return true;
	}
	return false;
}

/* So does the caller of the jailer, `immure run`, whose descriptors a user may read. */
static bool name_by_directory(const struct walls_host *h, struct walls_vm *vm)
{
	unsigned fd[CLIENT_FDS];
	char path[48], link[256];
	int n;

	snprintf(path, sizeof(path), "%d/fd", (int)vm->proc[0].status.ppid);
	n = walls_numbers(h->proc, path, fd, CLIENT_FDS);
	for (int i = 0; i < n && i < CLIENT_FDS; i++) {
		snprintf(path, sizeof(path), "%d/fd/%u", (int)vm->proc[0].status.ppid, fd[i]);
		if (walls_link(h->proc, path, link, sizeof(link)) == 0 &&
		    walls_parse_run_dir(link, vm->name, sizeof(vm->name)))
			return true;
	}
	return false;
}

void walls_read(const struct walls_host *h, pid_t supervisor, struct walls_vm *vm)
{
	*vm = (struct walls_vm){ .n = 1 };
	snprintf(vm->name, sizeof(vm->name), "pid-%d", (int)supervisor);
	if (walls_read_process(h, supervisor, &vm->proc[0]) != 0) {
		vm->gone = true;
		return;
	}
	vm->proc[0].program = PROGRAM_SUPERVISOR;
	snprintf(vm->proc[0].name, sizeof(vm->proc[0].name), "supervisor");
	vm->root = vm->proc[0].status.uid[0] == 0;
	read_children(h, vm);
	if (!name_by_cgroup(vm) && !name_by_lock(vm))
		(void)name_by_directory(h, vm);
	say_clean(vm->name);
	walls_read_cgroup(h, vm);
	walls_read_devices(h, vm);
}

void walls_free(struct walls_vm *vm)
{
	for (unsigned i = 0; i < WALLS_PROCESSES; i++)
		free(vm->proc[i].fd);
	free(vm->weaker.note);
	free(vm->unread.note);
}

int walls_select(const struct walls_host *h, const char *name, pid_t *pid, int n, struct walls_vm *vm)
{
	char number[24];
	int kept = 0;

	for (int i = 0; i < n; i++) {
		walls_read(h, pid[i], vm);
		snprintf(number, sizeof(number), "pid-%d", (int)pid[i]);
		if (strcmp(vm->name, name) == 0 || strcmp(number, name) == 0)
			pid[kept++] = pid[i];
		walls_free(vm);
	}
	*vm = (struct walls_vm){ .n = 0 };
	return kept;
}
