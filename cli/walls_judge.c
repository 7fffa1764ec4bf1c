/* SPDX-License-Identifier: Apache-2.0 */
/* walls_judge.c: what was read, against what the plan says of a VM with these processes.
 *
 * The plan is made by the jailer's own plan_make(), for a configuration of as many disks and
 * sockets as there are device processes.  What cannot be read is a gap and never a pass. */
#include "cli/walls.h"

#include <errno.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifndef CLONE_NEWTIME
#define CLONE_NEWTIME 0x80
#endif

enum { FILTERS = 2, PASST_FILTERS = 1, MODE_FILTER = 2 };

const char walls_invisible[] =
	"Landlock, securebits, memory-deny-write-execute, what the filters allow";

static const int clone_flags[WALLS_NS] = {
	CLONE_NEWUSER, CLONE_NEWNS, CLONE_NEWPID, CLONE_NEWNET, CLONE_NEWIPC, CLONE_NEWUTS,
	CLONE_NEWCGROUP, CLONE_NEWTIME,
};

static const char *const ns_means[WALLS_NS] = {
	"a capability it might find would count on the host",
	"it sees the host's file systems",
	"it sees the host's processes and can signal them",
	"it has the host's network",
	"it reaches the host's message queues and shared memory",
	"it can see and rename the host",
	"it sees where the host keeps it",
	"it sees the host's clocks",
};

void walls_note(struct walls_notes *to, const struct walls_process *p, pid_t thread,
		const char *means, const char *fmt, ...)
{
	struct walls_note *more = realloc(to->note, (to->n + 1) * sizeof(*more));
	va_list args;

	if (more == NULL)
		abort();	/* a finding must not get lost */
	to->note = more;
	more += to->n++;
	*more = (struct walls_note){ .thread = thread, .means = means };
	snprintf(more->process, sizeof(more->process), "%s", p != NULL ? p->name : "VM");
	va_start(args, fmt);
	vsnprintf(more->what, sizeof(more->what), fmt, args);
	va_end(args);
}

static void weak(struct walls_vm *vm, const struct walls_process *p, const char *means,
		 const char *what)
{
	walls_note(&vm->weaker, p, 0, means, "%s", what);
}

/* True when @err says that something could be read; otherwise that is noted. */
static bool readable(struct walls_vm *vm, const struct walls_process *p, int err, const char *what)
{
	if (err != 0)
		walls_note(&vm->unread, p, 0, strerror(err), "%s", what);
	return err == 0;
}

/* ---- threads: filters, privileges, capabilities ---- */

static void judge_thread(struct walls_vm *vm, const struct walls_process *p, pid_t tid,
			 const struct walls_status *s)
{
	const unsigned filters = p->program == PROGRAM_PASST ? PASST_FILTERS : FILTERS;
	struct walls_notes *w = &vm->weaker;

	if (s->mode != MODE_FILTER || s->filters < filters)
		walls_note(w, p, tid, "it can make system calls that its policy refuses",
			   "%u of %u system call filters, mode %u", s->filters, filters, s->mode);
	if (!s->no_new_privs)
		walls_note(w, p, tid, "a set-id program could give it privileges",
			   "no_new_privs is not set");
	for (unsigned i = 0; i < WALLS_CAPS; i++) {
		char names[80];

		/* Who makes a user namespace has a full bounding set, and passt keeps no right to change it;
		 * without new privileges there is nothing that it would bound. */
		if (i == CAP_SET_BND && p->program == PROGRAM_PASST)
			continue;
		if (s->cap[i] != 0)
			walls_note(w, p, tid, "it has, or can get, this privilege",
				   "%s capabilities: %s", walls_cap_names[i],
				   walls_caps(s->cap[i], names, sizeof(names)));
	}
}

static void judge_threads(struct walls_vm *vm, const struct walls_process *p, uint64_t most)
{
	if (!readable(vm, p, p->threads_err, "threads"))
		judge_thread(vm, p, 0, &p->status);
	for (unsigned i = 0; i < p->nthreads; i++)
		if (readable(vm, p, p->thread[i].err, "a thread"))
			judge_thread(vm, p, p->thread[i].tid, &p->thread[i].status);
	if (p->status.threads > most)
		walls_note(&vm->weaker, p, 0, "something made threads that are not planned",
			   "%u threads instead of %u at most", p->status.threads, (unsigned)most);
	if (p->status.tracer != 0 && p->status.tracer != vm->proc[0].pid)
		walls_note(&vm->weaker, p, 0, "a debugger reads and writes its memory",
			   "traced by process %d", (int)p->status.tracer);
}

/* ---- ids ---- */

static bool same_ids(const uint32_t id[4])
{
	return id[0] == id[1] && id[0] == id[2] && id[0] == id[3];
}

static void judge_ids(struct walls_vm *vm, const struct walls_process *p)
{
	const struct walls_status *s = &p->status;

	if (!same_ids(s->uid) || !same_ids(s->gid))
		weak(vm, p, "it can change to the other id", "its ids differ from each other");
	if (p != &vm->proc[0] && vm->root) {
		if (s->uid[0] == 0)
			weak(vm, p, "files and processes of root are its own", "user id 0");
		if (s->groups != 0)
			weak(vm, p, "it can open what these groups may", "supplementary groups");
		for (const struct walls_process *o = vm->proc; o < p; o++)
			if (o->status.uid[0] == s->uid[0])
				walls_note(&vm->weaker, p, 0, "it may signal and trace the other",
					   "has the user id of %s", o->name);
	}
	if (p == &vm->proc[0] && vm->root)
		return;
	if (readable(vm, p, p->maps_err, "user ids of its namespace") &&
	    p->uids.count != (p->program == PROGRAM_PASST ? 0 : 1))
		walls_note(&vm->weaker, p, 0, "more user ids are within its reach than its own",
			   "%llu user ids mapped", (unsigned long long)p->uids.count);
}

/* ---- namespaces ---- */

const char *walls_share(const struct walls_host *h, const struct walls_vm *vm,
			const struct walls_process *p, unsigned ns)
{
	if (p->ns_err[ns] != 0 || h->ns[ns] == 0)
		return "?";
	if (p->ns[ns] == h->ns[ns])
		return "host";
	for (unsigned i = 0; i < vm->n; i++)
		if (&vm->proc[i] != p && vm->proc[i].ns_err[ns] == 0 &&
		    vm->proc[i].ns[ns] == p->ns[ns])
			return "vm";
	return "own";
}

/* The supervisor stays where it can see its children, and as root keeps the host's user ids. */
static bool may_share_host(const struct walls_vm *vm, const struct walls_process *p, unsigned ns)
{
	return p == &vm->proc[0] &&
	       (ns == WALLS_PID || ns == WALLS_TIME || (ns == WALLS_USER && vm->root));
}

/* passt turns frames into sockets of the host, and cannot leave the PID namespace it was born in: no other
 * process is visible in its empty root. */
static bool passt_shares(const struct walls_process *p, unsigned ns)
{
	return p->program == PROGRAM_PASST && ns != WALLS_USER && ns != WALLS_MNT && ns != WALLS_IPC &&
	       ns != WALLS_UTS;
}

static void judge_namespaces(const struct walls_host *h, struct walls_vm *vm,
			     const struct walls_process *p, const struct plan *plan)
{
	for (unsigned i = 0; i < WALLS_NS; i++) {
		const char *share = walls_share(h, vm, p, i);
		bool alone = i == WALLS_USER || i == WALLS_CGROUP;

		if ((i != WALLS_USER && (plan->namespaces & clone_flags[i]) == 0) || passt_shares(p, i))
			continue;
		if (p->ns_err[i] != 0 || h->ns[i] == 0) {
			walls_note(&vm->unread, p, 0, strerror(p->ns_err[i] != 0 ? p->ns_err[i] : EACCES),
				   "%s namespace%s", walls_ns_names[i],
				   p->ns_err[i] != 0 ? "" : " of the host, to compare with");
			continue;
		}
		if (strcmp(share, "host") == 0 && !may_share_host(vm, p, i))
			walls_note(&vm->weaker, p, 0, ns_means[i], "shares the host's %s namespace",
				   walls_ns_names[i]);
		if (alone && strcmp(share, "vm") == 0)
			walls_note(&vm->weaker, p, 0, "it is not apart from the others of its VM",
				   "shares its %s namespace within the VM", walls_ns_names[i]);
	}
}

/* ---- file systems ---- */

static void judge_files(struct walls_vm *vm, const struct walls_process *p)
{
	const char *slash = strrchr(p->exe, '/');

	if (readable(vm, p, p->root.err, "root directory")) {
		if (!p->root.empty)
			weak(vm, p, "there is something to open", "its root directory is not empty");
		if (!p->root.readonly)
			weak(vm, p, "it could leave files", "its root directory is not read-only");
	}
	if (readable(vm, p, p->mounts_err, "mounts") &&
	    (p->mounts.writable != 0 || p->mounts.n != 1))
		walls_note(&vm->weaker, p, 0, "file systems are within its reach",
			   "%u mounts, %u writable, instead of 1 and 0", p->mounts.n,
			   p->mounts.writable);
	if (readable(vm, p, p->exe_err, "program") &&
	    (slash == NULL || strncmp(slash + 1, p->status.name, strlen(p->status.name)) != 0))
		weak(vm, p, "something else has taken its name",
		     "does not run the program it is named after");
}

/* ---- limits ---- */

struct ceiling {
	unsigned limit;		/* enum walls_limit_kind */
	uint64_t most;
	const char *means;
};

static void judge_limits(struct walls_vm *vm, const struct walls_process *p,
			 const struct plan_process *pp)
{
	/* The size of an image is known to who opened it; see walls_judge_fds(). */
	uint64_t fsize = pp->limits.fsize == PLAN_FSIZE_DISK ? UINT64_MAX : pp->limits.fsize;
	const struct ceiling all[] = {
		{ LIMIT_CORE, 0, "a core dump would hold guest memory" },
		{ LIMIT_MEMLOCK, 0, "it can lock memory" },
		{ LIMIT_MSGQUEUE, 0, "it can fill message queues" },
		{ LIMIT_NICE, 0, "it can take processor time from others" },
		{ LIMIT_RTPRIO, 0, "it can take processor time from others" },
		{ LIMIT_NOFILE, pp->limits.nofile, "it can hold more descriptors than planned" },
		{ LIMIT_NPROC, pp->limits.nproc, "it can start more tasks than planned" },
		{ LIMIT_FSIZE, fsize, "it can write files" },
	};

	if (!readable(vm, p, p->limits_err, "limits"))
		return;
	for (size_t i = 0; i < array_len(all); i++) {
		const struct ceiling *c = &all[i];
		uint64_t hard = p->limits.hard[c->limit];

		if (p->limits.soft[c->limit] > c->most || hard > c->most)
			walls_note(&vm->weaker, p, 0, c->means, "limit %s is %s",
				   walls_limit_names[c->limit],
				   hard == UINT64_MAX ? "off" : "higher than planned");
	}
	if (p->dumpable == 1)
		weak(vm, p, "processes of its user can read its memory", "is dumpable");
}

static bool endless(const struct walls_limit *l)
{
	/* Version 1 says "no limit" with the largest multiple of a page. */
	return l->err == 0 && (strcmp(l->text, "max") == 0 ||
			       strtoull(l->text, NULL, 10) > INT64_MAX / 4096 * 4096 - 1);
}

static bool has_limit(const struct walls_vm *vm, const char *v2, const char *v1)
{
	for (unsigned i = 0; i < vm->nlimits; i++)
		if (strcmp(vm->limit[i].file, v2) == 0 || strcmp(vm->limit[i].file, v1) == 0)
			return !endless(&vm->limit[i]);
	return false;
}

/* Only root of the host can have a cgroup control devices. */
static void judge_devices(struct walls_vm *vm)
{
	const struct walls_limit *l = vm->nlimits > 0 ? &vm->limit[vm->nlimits - 1] : NULL;

	if (l == NULL || l->err != 0 || !vm->root || strcmp(l->file, "devices") != 0)
		return;
	if (strcmp(l->text, WALLS_DENIED) != 0)
		walls_note(&vm->weaker, NULL, 0, "a process that finds or makes a device node can open it",
			   "its cgroup says of devices: %.80s", l->text);
}

static void judge_cgroup(struct walls_vm *vm)
{
	for (unsigned i = 1; i < vm->n; i++) {
		const struct walls_process *p = &vm->proc[i];

		if (readable(vm, p, p->cgroup_err, "cgroup") && strcmp(p->group, vm->name) != 0)
			weak(vm, p, "its memory, tasks and processor time have no limit of their own",
			     "is in no cgroup of its VM");
	}
	if (vm->cgroup[0] == 0)
		return;
	for (unsigned i = 0; i < vm->nlimits; i++)
		if (vm->limit[i].err != 0)
			walls_note(&vm->unread, NULL, 0, strerror(vm->limit[i].err), "%s",
				   vm->limit[i].file);
	if (!has_limit(vm, "memory.max", "memory.limit_in_bytes"))
		weak(vm, NULL, "it can use up the host's memory", "its cgroup does not limit memory");
	if (!has_limit(vm, "pids.max", "pids.max"))
		weak(vm, NULL, "it can use up the host's tasks", "its cgroup does not limit tasks");
	judge_devices(vm);
}

/* ---- the whole VM ---- */

/* Without a tap there is a passt. */
static bool has_passt(const struct walls_vm *vm)
{
	for (unsigned i = 1; i < vm->n; i++)
		if (vm->proc[i].program == PROGRAM_PASST)
			return true;
	return false;
}

/* As many pairs as it has taps; @user: if it may be the one that has none. */
static struct config_net guess_net(const struct walls_process *p, bool user)
{
	struct config_net net = { .tap = "?", .queues = 0 };

	for (size_t f = 0; f < p->nfds; f++) {
		net.queues += p->fd[f].number >= NET_TAP0 && p->fd[f].number < NET_NFDS;
		if (p->fd[f].number == NET_TAP0 && p->fd[f].kind == KIND_CHAR)
			user = false;
	}
	if (user)
		net = (struct config_net){ .tap = NULL, .queues = 1 };
	else if (net.queues == 0)	/* its descriptors cannot be read */
		net.queues = PLAN_NET_PAIRS;
	return net;
}

/* With an overlay if there is something below it, past the host's cache if it has what threads need, and as
 * many queues as it has kicks. */
static struct config_disk guess_disk(const struct walls_process *p)
{
	const bool hidden = p->nfds == 0;	/* its descriptors cannot be read */
	struct config_disk disk = { .path = "?", .overlay = hidden, .direct = hidden };

	for (size_t f = 0; f < p->nfds; f++) {
		disk.overlay |= p->fd[f].number == BLK_BASE;
		disk.direct |= p->fd[f].number == BLK_WORK;
		disk.queues += p->fd[f].number >= BLK_KICK0 && p->fd[f].number < BLK_KICK0 + PLAN_BLK_QUEUES;
	}
	disk.queues = hidden ? PLAN_BLK_QUEUES : disk.queues;
	return disk;
}

/* A configuration whose plan has the processes that were found. */
static void guess_config(const struct walls_vm *vm, struct config *c)
{
	*c = (struct config){
		.name = vm->name, .kernel = "", .initrd = "", .cmdline = "", .run_dir = "/",
		.console = true, .memory = 1 << 24, .vsock_connections = PLAN_VSOCK_CONNS,
	};
	for (unsigned i = 1; i < vm->n; i++) {
		const struct walls_process *p = &vm->proc[i];

		if (p->program == PROGRAM_BLK && config_devices(c) < PLAN_DEVICES - 1)
			c->disk[c->ndisks++] = guess_disk(p);
		if (p->program == PROGRAM_NET && config_devices(c) < PLAN_DEVICES - 1)
			c->net[c->nnets++] = guess_net(p, has_passt(vm) && config_user_net(c) < 0);
		if (p->program == PROGRAM_VSOCK)
			c->vsock_path = "/v.sock";
		for (size_t f = 0; p->program == PROGRAM_VMM && f < p->nfds; f++)
			c->vcpus += p->fd[f].kind == KIND_KVM_VCPU && c->vcpus < PLAN_VCPUS;
	}
	if (c->vcpus == 0)	/* its descriptors cannot be read */
		c->vcpus = PLAN_VCPUS;
}

/* The plan of @p: the next unused one of its program, or NULL. */
static const struct plan_process *plan_of(const struct plan *plan, const struct walls_process *p,
					  bool used[PLAN_PROCESSES])
{
	if (p->program == PROGRAM_SUPERVISOR)
		return &plan->supervisor;
	if (p->program == PROGRAM_PASST)
		return plan->passt.name[0] != 0 ? &plan->passt : NULL;
	for (unsigned i = 0; i < plan->nprocs; i++) {
		if (used[i] || plan->proc[i].program != p->program)
			continue;
		used[i] = true;
		return &plan->proc[i];
	}
	return NULL;
}

static void judge_process(const struct walls_host *h, struct walls_vm *vm, struct walls_process *p,
			  const struct plan *plan, const struct plan_process *pp)
{
	judge_threads(vm, p, pp->limits.nproc);
	judge_ids(vm, p);
	judge_namespaces(h, vm, p, plan);
	judge_files(vm, p);
	judge_limits(vm, p, pp);
	/* What passt opens is its own affair. */
	if (p->program != PROGRAM_PASST && readable(vm, p, p->fds_err, "descriptors"))
		walls_judge_fds(vm, p, pp);
}

void walls_judge(const struct walls_host *h, struct walls_vm *vm)
{
	bool used[PLAN_PROCESSES] = { false };
	struct plan_caller who = { .uid = vm->proc[0].status.uid[0], .gid = vm->proc[0].status.gid[0] };
	static struct config config;
	static struct plan plan;

	guess_config(vm, &config);
	plan_make(&plan, &config, &who);
	for (unsigned i = 0; i < vm->n; i++) {
		struct walls_process *p = &vm->proc[i];
		const struct plan_process *pp = plan_of(&plan, p, used);

		if (pp != NULL)
			judge_process(h, vm, p, &plan, pp);
		else
			weak(vm, p, "nobody planned it, so nothing confines it",
			     "a process that belongs to no plan");
	}
	if (!used[0])
		weak(vm, NULL, "it is starting, ending or broken", "it has no VMM process");
	judge_cgroup(vm);
}
