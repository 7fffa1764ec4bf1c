/* SPDX-License-Identifier: Apache-2.0 */
/* walls_print.c: the walls of a VM for people: tables of at most 100 columns. */
#include "cli/walls.h"

#include <stdio.h>
#include <string.h>

enum { COLUMNS = 100 };

/* The end of a path that is too long for its column, which says more than its beginning. */
static void print_cut(const char *text, size_t room)
{
	size_t len = strlen(text);

	if (len <= room)
		printf("%s\n", text);
	else
		printf("...%s\n", text + len - (room - 3));
}

static void print_ids(const struct walls_vm *vm)
{
	printf("\n%-12s%-9s%-12s%-12s%-12s%-8s%-10s%s\n", "PROCESS", "PID", "UID", "GID", "UIDS MAPPED",
	       "GROUPS", "DUMPABLE", "PROGRAM");
	for (unsigned i = 0; i < vm->n; i++) {
		const struct walls_process *p = &vm->proc[i];
		char mapped[24] = "?";

		if (p->maps_err == 0)
			snprintf(mapped, sizeof(mapped), "%llu", (unsigned long long)p->uids.count);
		printf("%-12s%-9d%-12u%-12u%-12s%-8u%-10s", p->name, (int)p->pid, p->status.uid[0],
		       p->status.gid[0], mapped, p->status.groups,
		       p->dumpable < 0 ? "?" : p->dumpable ? "yes" : "no");
		print_cut(p->exe_err == 0 ? p->exe : "?", COLUMNS - 75);
	}
}

/* "none", or the sets that are not empty. */
static void caps_text(const struct walls_status *s, char *buf, size_t size)
{
	size_t used = 0;

	snprintf(buf, size, "none");
	for (unsigned i = 0; i < WALLS_CAPS && used + 1 < size; i++) {
		char names[80];

		if (s->cap[i] != 0)
			used += (size_t)snprintf(buf + used, size - used, "%s%s: %s",
						 used > 0 ? "; " : "", walls_cap_names[i],
						 walls_caps(s->cap[i], names, sizeof(names)));
	}
}

static void print_thread(const struct walls_process *p, const struct walls_thread *t)
{
	static const char *const modes[] = { "none", "strict", "filter" };
	char caps[COLUMNS - 60];

	if (t->err != 0) {
		printf("%-12s%-9d%s\n", p->name, (int)t->tid, strerror(t->err));
		return;
	}
	caps_text(&t->status, caps, sizeof(caps));
	printf("%-12s%-9d%-17s%-9s%-9u%-4s%s\n", p->name, (int)t->tid, t->status.name,
	       t->status.mode < array_len(modes) ? modes[t->status.mode] : "?", t->status.filters,
	       t->status.no_new_privs ? "yes" : "no", caps);
}

static void print_threads(const struct walls_vm *vm)
{
	printf("\n%-12s%-9s%-17s%-9s%-9s%-4s%s\n", "PROCESS", "THREAD", "NAME", "SECCOMP", "FILTERS",
	       "NNP", "CAPABILITIES");
	for (unsigned i = 0; i < vm->n; i++) {
		const struct walls_process *p = &vm->proc[i];

		if (p->threads_err != 0)
			printf("%-12s%s\n", p->name, strerror(p->threads_err));
		for (unsigned t = 0; t < p->nthreads; t++)
			print_thread(p, &p->thread[t]);
	}
}

static void print_namespaces(const struct walls_host *h, const struct walls_vm *vm)
{
	printf("\n%-12s", "NAMESPACES");
	for (unsigned i = 0; i < WALLS_NS; i++)
		printf("%-8s", walls_ns_names[i]);
	printf("\n");
	for (unsigned p = 0; p < vm->n; p++) {
		printf("%-12s", vm->proc[p].name);
		for (unsigned i = 0; i < WALLS_NS; i++)
			printf("%-8s", walls_share(h, vm, &vm->proc[p], i));
		printf("\n");
	}
	printf("  own: of this process alone; vm: of processes of this VM; host: the host's\n");
}

static void print_processor(const struct walls_vm *vm)
{
	printf("\n%-12s%-29s%-29s%s\n", "PROCESS", "SPECULATES PAST STORES", "ON INDIRECT BRANCHES",
	       "SHARES CORES WITH");
	for (unsigned i = 0; i < vm->n; i++) {
		const struct walls_process *p = &vm->proc[i];
		const struct walls_status *s = &p->status;

		printf("%-12s%-29s%-29s%s\n", p->name, s->store_bypass[0] != 0 ? s->store_bypass : "?",
		       s->indirect_branch[0] != 0 ? s->indirect_branch : "?",
		       p->cores < 0 ? "?" : p->cores ? "its VM" : "anybody");
	}
}

static const char *limit_text(const struct walls_process *p, unsigned limit, char *buf, size_t size)
{
	uint64_t value = p->limits.hard[limit];

	if (p->limits_err != 0)
		snprintf(buf, size, "?");
	else if (value == UINT64_MAX)
		snprintf(buf, size, "-");
	else
		snprintf(buf, size, "%llu", (unsigned long long)value);
	return buf;
}

static void print_files(const struct walls_vm *vm)
{
	static const unsigned shown[] = { LIMIT_CORE, LIMIT_NOFILE, LIMIT_NPROC, LIMIT_FSIZE,
					  LIMIT_MEMLOCK };
	char text[24];

	printf("\n%-12s%-18s%-8s%-10s%-6s%-8s%-7s%-14s%s\n", "PROCESS", "ROOT", "MOUNTS", "WRITABLE",
	       "CORE", "NOFILE", "NPROC", "FSIZE", "MEMLOCK");
	for (unsigned i = 0; i < vm->n; i++) {
		const struct walls_process *p = &vm->proc[i];
		const struct walls_root *r = &p->root;
		static const int width[] = { 6, 8, 7, 14, 0 };

		if (r->err != 0)
			printf("%-12s%-18s", p->name, "?");
		else
			printf("%-12s%s, %-*s", p->name, r->empty ? "empty" : "full",
			       r->empty ? 11 : 12, r->readonly ? "read-only" : "writable");
		if (p->mounts_err != 0)
			printf("%-8s%-10s", "?", "?");
		else
			printf("%-8u%-10u", p->mounts.n, p->mounts.writable);
		for (size_t l = 0; l < array_len(shown); l++)
			printf("%-*s", width[l], limit_text(p, shown[l], text, sizeof(text)));
		printf("\n");
	}
}

/* Connections are many and alike: only their number is told. */
static void print_fds_of(const struct walls_process *p)
{
	unsigned connections = 0;

	if (p->fds_err != 0)
		printf("%-12s%s\n", p->name, strerror(p->fds_err));
	for (size_t i = 0; i < p->nfds; i++) {
		const struct walls_fd *fd = &p->fd[i];

		if (p->program == PROGRAM_VSOCK && fd->number >= VSOCK_CONN0 && fd->kind == KIND_SOCKET) {
			connections++;
			continue;
		}
		printf("%-12s%-6u%-17s%-17s%-8s", p->name, fd->number, fd->name,
		       walls_kind_name(fd->kind), fd->access);
		print_cut(fd->target[0] != 0 ? fd->target : "?", COLUMNS - 60);
	}
	if (connections > 0)
		printf("%-12s%u connections from descriptor %d on\n", p->name, connections, VSOCK_CONN0);
}

static void print_cgroup(const struct walls_vm *vm)
{
	if (vm->cgroup[0] == 0)
		printf("\nCGROUP      none that is its own\n");
	else
		printf("\nCGROUP      %s\n", vm->cgroup);
	for (unsigned i = 0; i < vm->nlimits; i++)
		printf("  %-34s%.64s\n", vm->limit[i].file,
		       vm->limit[i].err != 0 ? strerror(vm->limit[i].err) : vm->limit[i].text);
}

static void print_notes(const char *title, const struct walls_notes *notes)
{
	if (notes->n > 0)
		printf("\n%s\n", title);
	for (size_t i = 0; i < notes->n; i++) {
		const struct walls_note *n = &notes->note[i];

		printf("  %s", n->process);
		if (n->thread != 0)
			printf(", thread %d", (int)n->thread);
		printf(": %s\n      %s\n", n->what, n->means);
	}
}

static unsigned thread_count(const struct walls_vm *vm)
{
	unsigned n = 0;

	for (unsigned i = 0; i < vm->n; i++)
		n += vm->proc[i].status.threads;
	return n;
}

static void print_result(const struct walls_vm *vm)
{
	if (vm->weaker.n > 0)
		printf("%zu weaker than planned", vm->weaker.n);
	else
		printf("%s", vm->unread.n > 0 ? "every wall that can be seen stands" : "every wall stands");
	if (vm->unread.n > 0)
		printf(", %zu not readable", vm->unread.n);
	printf("\n");
}

void walls_print(const struct walls_host *h, const struct walls_vm *vm)
{
	printf("VM %s, %s: %u processes, %u threads\n", vm->name, vm->root ? "of root" : "rootless", vm->n,
	       thread_count(vm));
	print_ids(vm);
	print_threads(vm);
	print_namespaces(h, vm);
	print_processor(vm);
	print_files(vm);
	printf("\n%-12s%-6s%-17s%-17s%-8s%s\n", "DESCRIPTOR", "FD", "PLAN", "KIND", "ACCESS", "LINK");
	for (unsigned i = 0; i < vm->n; i++)
		print_fds_of(&vm->proc[i]);
	print_cgroup(vm);
	printf("\nNot visible from outside: %s.\n", walls_invisible);
	print_notes("NOT READABLE", &vm->unread);
	print_notes("WEAKER THAN PLANNED", &vm->weaker);
	printf("\n");
	print_result(vm);
}

void walls_print_line(const struct walls_vm *vm)
{
	printf("%-24.64s %-10d %-9s %9u %8u  ", vm->name, (int)vm->proc[0].pid,
	       vm->root ? "root" : "rootless", vm->n, thread_count(vm));
	print_result(vm);
}
