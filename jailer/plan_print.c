/* SPDX-License-Identifier: Apache-2.0 */
/* plan_print.c: the plan for people, and for machines. */
#include "jailer/plan.h"
#include "core/seal.h"
#include "jailer/capabilities.h"

#include <jansson.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#ifndef CLONE_NEWTIME
#define CLONE_NEWTIME 0x80
#endif

struct number_name {
	unsigned number;
	const char *name;
};

#define NUMBER_NAME(name, number) { number, #name },
static const struct number_name vmm_fds[] = { COMMON_FDS(NUMBER_NAME) VMM_FDS(NUMBER_NAME) };
static const struct number_name blk_fds[] = { COMMON_FDS(NUMBER_NAME) BLK_FDS(NUMBER_NAME) };
static const struct number_name net_fds[] = { COMMON_FDS(NUMBER_NAME) NET_FDS(NUMBER_NAME) };
static const struct number_name vsock_fds[] = {
	COMMON_FDS(NUMBER_NAME) VSOCK_FDS(NUMBER_NAME)
};
static const struct number_name supervisor_fds[] = { SUPERVISOR_FDS(NUMBER_NAME) };
static const struct number_name passt_fds[] = { PASST_FDS(NUMBER_NAME) };

static const struct {
	const struct number_name *fds;
	size_t n;
	const char *coarse;
	struct {
		const char *name;
		unsigned when;		/* the words that lines of its policy use */
	} policy[2];
} programs[PROGRAMS] = {
	[PROGRAM_VMM] = { vmm_fds, array_len(vmm_fds), "jail",
			  { { "vmm-main", WHEN_INITRAMFS | WHEN_DEVICES },
			    { "vmm-vcpu", WHEN_CONSOLE | WHEN_DEVICES } } },
	[PROGRAM_BLK] = { blk_fds, array_len(blk_fds), "jail",
			  { { "blk", WHEN_WRITABLE | WHEN_DISCARD | WHEN_OVERLAY | WHEN_DIRECT } } },
	[PROGRAM_NET] = { net_fds, array_len(net_fds), "jail", { { "net", 0 } } },
	[PROGRAM_VSOCK] = { vsock_fds, array_len(vsock_fds), "jail", { { "vsock", 0 } } },
	[PROGRAM_SUPERVISOR] = { supervisor_fds, array_len(supervisor_fds), "jailer",
				 { { "supervisor", WHEN_CONSOLE | WHEN_VSOCK | WHEN_RUNDIR |
						   WHEN_CGROUP } } },
	[PROGRAM_PASST] = { passt_fds, array_len(passt_fds), "its own", { { NULL, 0 } } },
};

#define WHEN_NAME(name, word, bit) { name, "+" #word },
static const struct number_name whens[] = { WHEN_WORDS(WHEN_NAME) };

static const char *const object_texts[PLAN_OBJECTS] = {
	[OBJ_LOG_WRITE] = "log, write end",
	[OBJ_LOG_READ] = "log, read end",
	[OBJ_PAGES] = "counters and limits, mapped and closed",
	[OBJ_CONFIG] = "configuration, sealed",
	[OBJ_MEM] = "guest memory",
	[OBJ_CTL_VMM] = "reports to the supervisor",
	[OBJ_CTL_SUPERVISOR] = "reports of the VMM",
	[OBJ_KVM] = "/dev/kvm",
	[OBJ_KERNEL] = "kernel",
	[OBJ_INITRD] = "initramfs",
	[OBJ_CONSOLE_WRITE] = "debug console, write end",
	[OBJ_CONSOLE_READ] = "debug console, read end",
	[OBJ_CONSOLE_OUT] = "debug console, to the caller",
	[OBJ_ACK] = "interrupt acknowledgements",
	[OBJ_WAKE] = "vCPU wakes main thread",
	[OBJ_LINK_VMM] = "link to device",
	[OBJ_LINK_DEVICE] = "link to VMM",
	[OBJ_CALL] = "interrupt",
	[OBJ_KICK] = "queue notification",
	[OBJ_DISK] = "disk image",
	[OBJ_OVERLAY] = "overlay",
	[OBJ_TAP] = "tap",
	[OBJ_LISTEN] = "listening socket",
	[OBJ_DIAL_VSOCK] = "asks supervisor to connect",
	[OBJ_DIAL_SUPERVISOR] = "vsock asks to connect",
	[OBJ_CLIENT] = "the caller",
	[OBJ_SIGNAL] = "signals",
	[OBJ_TIMER] = "timer",
	[OBJ_RUNDIR] = "directory of the sockets",
	[OBJ_RUNPARENT] = "its parent",
	[OBJ_CGROUP] = "parent of the cgroup, if the host has it",
	[OBJ_PID] = "to kill it",
	[OBJ_MEMORY_EVENTS] = "events of the memory limit, if the host has it",
	[OBJ_WORK] = "transfers to do, for its threads",
	[OBJ_DONE] = "transfers done, by its threads",
	[OBJ_PASST_NET] = "passt, a frame after the other",
	[OBJ_PASST] = "frames of immure-net",
	[OBJ_PASST_PID] = "to kill passt",
	[OBJ_PASST_LOG_WRITE] = "log, write end",
	[OBJ_PASST_LOG_READ] = "log of passt, read end",
	[OBJ_LOCK] = "the caller's lock of a name or number, held as long as the VM exists",
};

static const struct number_name namespaces[] = {
	{ CLONE_NEWUSER, "user" }, { CLONE_NEWNS, "mnt" }, { CLONE_NEWPID, "pid" },
	{ CLONE_NEWNET, "net" }, { CLONE_NEWIPC, "ipc" }, { CLONE_NEWUTS, "uts" },
	{ CLONE_NEWCGROUP, "cgroup" }, { CLONE_NEWTIME, "time" },
};

const char *plan_fd_name(enum plan_program program, unsigned number, char *buf, size_t size)
{
	const struct number_name *best = NULL;

	for (size_t i = 0; i < programs[program].n; i++) {
		const struct number_name *nn = &programs[program].fds[i];
		bool past = strstr(nn->name, "_NFDS") != NULL || nn->number > number;

		if (!past && (best == NULL || nn->number > best->number))
			best = nn;
	}
	if (best == NULL)
		snprintf(buf, size, "%u", number);
	else if (best->number == number)
		snprintf(buf, size, "%s", best->name);
	else
		snprintf(buf, size, "%s+%u", best->name, number - best->number);
	return buf;
}

/* The filters of @pp by name: "jail, blk+writable". */
static const char *filters(const struct plan *p, const struct plan_process *pp, char *buf,
			   size_t size)
{
	unsigned have = plan_when(p, pp);
	size_t at = (size_t)snprintf(buf, size, "%s", programs[pp->program].coarse);

	for (size_t i = 0; i < array_len(programs[0].policy); i++) {
		const char *name = programs[pp->program].policy[i].name;
		unsigned when = programs[pp->program].policy[i].when & have;

		if (name != NULL)
			at += (size_t)snprintf(buf + at, size - at, ", %s", name);
		for (size_t w = 0; w < array_len(whens); w++)
			if ((when & whens[w].number) != 0)
				at += (size_t)snprintf(buf + at, size - at, "%s",
						       whens[w].name);
	}
	return buf;
}

static void describe_tap(const struct config_net *net, unsigned queue, char *buf, size_t size)
{
	char mac[MAC_TEXT], mtu[24] = "the tap's";

	if (net->mtu != 0)
		snprintf(mtu, sizeof(mtu), "%u", net->mtu);
	snprintf(buf, size, "tap %s, queue %u, the guest is %s, MTU %s%s", net->tap, queue,
		 mac_format(net->mac, mac), mtu, net->offload ? "" : ", no offloads");
}

static void describe_passt(const struct config *c, char *buf, size_t size)
{
	const struct config_net *net = config_net(c, (uint32_t)config_user_net(c));
	const char *dns = net->user.dns != NULL ? net->user.dns : "none";
	char mac[MAC_TEXT];

	snprintf(buf, size, "%s; the guest is %s, %s, gateway %s, host's resolver at %s, MTU %u%s",
		 object_texts[OBJ_PASST_NET], mac_format(net->mac, mac), net->user.address,
		 net->user.gateway, dns, net->mtu,
		 net->wall_mode == CONFIG_WALL_OFF ? ", no packet wall" : "");
}

static void describe_disk(const char *text, const struct config_disk *d, char *buf, size_t size)
{
	int n = snprintf(buf, size, "%s %s, %s%s", text, d->path,
			 d->readonly || d->overlay ? "read-only" : "read-write", d->direct ? ", direct" : "");

	if (d->grow != 0 && n > 0 && (size_t)n < size)
		snprintf(buf + n, size - (size_t)n, ", may grow to %llu KiB",
			 (unsigned long long)d->grow >> 10);
}

static void describe_overlay(const char *text, const struct config_disk *d, char *buf, size_t size)
{
	int n = snprintf(buf, size, "%s %s, read-write", text,
			 d->overlay_path != NULL ? d->overlay_path : "in memory");

	if (d->overlay_limit != 0 && n > 0 && (size_t)n < size)
		snprintf(buf + n, size - (size_t)n, ", at most %llu KiB",
			 (unsigned long long)d->overlay_limit >> 10);
}

static void describe(const struct plan *p, const struct plan_fd *fd, char *buf, size_t size)
{
	const struct config *c = p->config;
	const char *text = object_texts[fd->object];

	if (fd->object == OBJ_KERNEL)
		snprintf(buf, size, "%s %s, read-only", text, c->kernel);
	else if (fd->object == OBJ_INITRD)
		snprintf(buf, size, "%s %s, read-only", text, c->initrd);
	else if (fd->object == OBJ_DISK)
		describe_disk(text, &c->disk[fd->index], buf, size);
	else if (fd->object == OBJ_OVERLAY)
		describe_overlay(text, &c->disk[fd->index], buf, size);
	else if (fd->object == OBJ_TAP)
		describe_tap(config_net(c, fd->index / PLAN_NET_PAIRS), fd->index % PLAN_NET_PAIRS,
			     buf, size);
	else if (fd->object == OBJ_PASST_NET)
		describe_passt(c, buf, size);
	else if (fd->object == OBJ_LISTEN)
		snprintf(buf, size, "%s %s%s", text, c->vsock_path, fd->index == 0 ? "" : ".seq");
	else if (fd->object == OBJ_LINK_VMM || fd->object == OBJ_CALL)
		snprintf(buf, size, "%s %u", text, fd->index);
	else if (fd->object == OBJ_KICK)
		snprintf(buf, size, "%s, device %d queue %d", text, fd->index / PLAN_QUEUES,
			 fd->index % PLAN_QUEUES);
	else
		snprintf(buf, size, "%s", text);
}

static const char *program_text(enum plan_program program, const char *jailer)
{
	const char *name = plan_program_name(program);

	if (name != NULL)
		return name;
	return program == PROGRAM_PASST ? "the host's passt, which sees the host's network" : jailer;
}

static void print_process(FILE *out, const struct plan *p, const struct plan_process *pp)
{
	char name[32], text[5000], fsize[32];

	snprintf(fsize, sizeof(fsize), "%llu", (unsigned long long)pp->limits.fsize);
	if (pp->limits.fsize == PLAN_FSIZE_DISK)
		snprintf(fsize, sizeof(fsize), "image size");
	if (pp->limits.fsize == PLAN_FSIZE_ANY)
		snprintf(fsize, sizeof(fsize), "any");
	fprintf(out, "\nprocess %s: %s, uid %u, gid %u\n", pp->name,
		program_text(pp->program, "what the jailer becomes"), pp->uid, pp->gid);
	fprintf(out, "  filters: %s\n", filters(p, pp, text, sizeof(text)));
	fprintf(out, "  limits: %llu descriptors, %llu tasks, file size %s, no core dump, "
		"no locked memory\n", (unsigned long long)pp->limits.nofile,
		(unsigned long long)pp->limits.nproc, fsize);
	for (unsigned i = 0; i < pp->nfds; i++) {
		const struct plan_fd *fd = &pp->fd[i];

		if (fd->object == OBJ_CGROUP && fd->index > 0)
			continue;
		describe(p, fd, text, sizeof(text));
		fprintf(out, "  %4u  %-16s %s\n", fd->number,
			plan_fd_name(pp->program, fd->number, name, sizeof(name)), text);
	}
	for (unsigned i = 0; i < pp->nborn; i++)
		fprintf(out, "  %4u  %-16s made by itself before it seals\n", pp->born[i],
			plan_fd_name(pp->program, pp->born[i], name, sizeof(name)));
	if (pp->dynamic_from != 0)
		fprintf(out, "  %4u..                 connections, as they come\n",
			pp->dynamic_from);
}

/* One is for taps only. */
static bool needed(const struct config *c, const struct capability *cap)
{
	return cap->until != CAPABILITY_TAP || config_has_tap(c);
}

void plan_print(FILE *out, const struct plan *p)
{
	const struct config *c = p->config;

	fprintf(out, "VM %s: %llu MiB, %u vCPU%s, %u device%s, %s\n", c->name,
		(unsigned long long)(c->memory >> 20), c->vcpus, c->vcpus == 1 ? "" : "s",
		config_devices(c), config_devices(c) == 1 ? "" : "s",
		p->root ? "as root" : "rootless");
	fprintf(out, "namespaces:");
	for (size_t i = 0; i < array_len(namespaces); i++)
		if ((p->namespaces & (int)namespaces[i].number) != 0)
			fprintf(out, " %s", namespaces[i].name);
	fprintf(out, "; a user namespace per process\n");
	fprintf(out, "root directory: empty, read-only\n"
		"capabilities: none; the jailer's, until each was used last:");
	for (size_t i = 0; i < array_len(capabilities); i++)
		if (needed(c, &capabilities[i]))
			fprintf(out, " %s", capabilities[i].name);
	fprintf(out, "\nspeculation: %s; hyperthreads: %s\n",
		c->speculation_restrict ? "restricted" : "as the host's",
		c->core_scheduling ? "of its own" : "shared");
	if (p->cgroup.wanted)
		fprintf(out, "cgroup immure/%s: memory %llu MiB, no swap, %u tasks", c->name,
			(unsigned long long)(p->cgroup.memory_max >> 20), p->cgroup.pids_max);
	else
		fprintf(out, "cgroup: off");
	if (p->cgroup.wanted && p->cgroup.cpu_percent != 0)
		fprintf(out, ", %u%% of a CPU", p->cgroup.cpu_percent);
	if (p->cgroup.wanted && p->cgroup.io_bytes_per_sec != 0)
		fprintf(out, ", %llu bytes/s of I/O each way",
			(unsigned long long)p->cgroup.io_bytes_per_sec);
	fprintf(out, "\n");
	for (unsigned i = 0; i < p->nprocs; i++)
		print_process(out, p, &p->proc[i]);
	if (p->passt.name[0] != 0)
		print_process(out, p, &p->passt);
	print_process(out, p, &p->supervisor);
}

static json_t *json_fsize(uint64_t fsize)
{
	if (fsize == PLAN_FSIZE_DISK)
		return json_string("image");
	return fsize == PLAN_FSIZE_ANY ? json_null() : json_integer((json_int_t)fsize);
}

static json_t *json_capabilities(const struct config *c)
{
	static const char *const steps[] = {
		[CAPABILITY_LOCK] = "lock", [CAPABILITY_TAP] = "tap", [CAPABILITY_LISTEN] = "listen",
		[CAPABILITY_SPAWN] = "spawn", [CAPABILITY_LEAVE] = "leave",
	};
	json_t *all = json_array();

	for (size_t i = 0; i < array_len(capabilities); i++)
		if (needed(c, &capabilities[i]))
			json_array_append_new(all, json_pack("{s:s, s:s, s:s}",
							     "name", capabilities[i].name,
							     "until", steps[capabilities[i].until],
							     "why", capabilities[i].why));
	return all;
}

static json_t *json_process(const struct plan *p, const struct plan_process *pp)
{
	json_t *fds = json_array(), *born = json_array();
	char name[32], list[128], text[5000];

	for (unsigned i = 0; i < pp->nfds; i++) {
		const struct plan_fd *fd = &pp->fd[i];

		describe(p, fd, text, sizeof(text));
		plan_fd_name(pp->program, fd->number, name, sizeof(name));
		json_array_append_new(fds, json_pack("{s:i, s:s, s:s}", "fd", (int)fd->number,
						     "name", name, "is", text));
	}
	for (unsigned i = 0; i < pp->nborn; i++)
		json_array_append_new(born, json_integer(pp->born[i]));
	return json_pack("{s:s, s:s, s:I, s:I, s:s, s:{s:I, s:I, s:o, s:i, s:i}, s:o, s:o, "
			 "s:o}", "name", pp->name, "program",
			 pp->program == PROGRAM_PASST ? "passt"
			 : program_text(pp->program, "immure-jailer"),
			 "uid", (json_int_t)pp->uid, "gid", (json_int_t)pp->gid,
			 "filters", filters(p, pp, list, sizeof(list)), "limits",
			 "nofile", (json_int_t)pp->limits.nofile,
			 "nproc", (json_int_t)pp->limits.nproc, "fsize",
			 json_fsize(pp->limits.fsize),
			 "core", 0, "memlock", 0, "descriptors", fds, "born", born,
			 "dynamic_from", pp->dynamic_from != 0 ?
				json_integer(pp->dynamic_from) : json_null());
}

void plan_print_json(FILE *out, const struct plan *p)
{
	const struct config *c = p->config;
	json_t *names = json_array(), *processes = json_array(), *root;

	for (size_t i = 0; i < array_len(namespaces); i++)
		if ((p->namespaces & (int)namespaces[i].number) != 0)
			json_array_append_new(names, json_string(namespaces[i].name));
	for (unsigned i = 0; i < p->nprocs; i++)
		json_array_append_new(processes, json_process(p, &p->proc[i]));
	if (p->passt.name[0] != 0)
		json_array_append_new(processes, json_process(p, &p->passt));
	json_array_append_new(processes, json_process(p, &p->supervisor));
	root = json_pack("{s:s, s:b, s:I, s:i, s:s, s:b, s:o, s:o, s:o, s:o}", "name", c->name,
			 "rootless", !p->root, "memory", (json_int_t)c->memory,
			 "vcpus", (int)c->vcpus, "speculation",
			 c->speculation_restrict ? "restrict" : "host",
			 "core_scheduling", c->core_scheduling, "namespaces", names,
			 "jailer_capabilities", json_capabilities(c), "processes", processes,
			 "cgroup", !p->cgroup.wanted ? json_null()
			 : json_pack("{s:I, s:i, s:i, s:I}",
				     "memory_max", (json_int_t)p->cgroup.memory_max,
				     "pids_max", (int)p->cgroup.pids_max,
				     "cpu_percent", (int)p->cgroup.cpu_percent,
				     "io_bytes_per_sec",
				     (json_int_t)p->cgroup.io_bytes_per_sec));
	if (root != NULL)
		json_dumpf(root, out, JSON_PRESERVE_ORDER | JSON_ENSURE_ASCII);
	fputc('\n', out);
	json_decref(root);
}
