/* SPDX-License-Identifier: Apache-2.0 */
/* plan.c: from a configuration to processes, descriptors and limits; nothing is done here.
 *
 * The order of processes is the order of their start: the VMM first, because the first process
 * of the PID namespace takes all others with it.  Device i is process 1 + i and serves MMIO
 * slot i: the disks in the order of the configuration, the network interfaces, then vsock. */
#include "jailer/plan.h"
#include "core/backlog.h"
#include "core/guestmem.h"
#include "core/overlay.h"
#include "core/seal.h"

#include <sched.h>

#ifndef CLONE_NEWTIME
#define CLONE_NEWTIME 0x80
#endif

enum {
	QUEUES_VSOCK = 3,
	SUPERVISOR_NOFILE = 1024,
	/* What a VM needs beyond its RAM.  Measured: 2.7 MiB with one disk, 160 KiB for each
	 * disk more, 270 KiB for the threads of one and at most 300 KiB for what they are given,
	 * 130 KiB for a vCPU more, 7.3 MiB of page tables, KVM's and everybody's, for a GiB of RAM
	 * in use.  Streams that nobody reads: core/backlog.h.  A machine of one processor, one disk
	 * and 256 MiB that shows no sockets to the host stays below 8 MiB. */
	OVERHEAD_BASE = 3584 << 10,
	OVERHEAD_DISK = 192 << 10,
	OVERHEAD_POOL = 640 << 10,
	OVERHEAD_VCPU = 160 << 10,
	OVERHEAD_NET = 512 << 10,
	/* passt: its buffers when all are in use, and the kernel's for some hundred connections. */
	OVERHEAD_PASST = 64 << 20,
	PASST_NOFILE = 4096,
	OVERHEAD_SHIFT = 7,		/* + RAM / 128 */
	OVERLAY_SHIFT = 5,		/* clusters far apart need more than their pages */
};

static struct plan_process *process(struct plan *p, unsigned index, enum plan_program program)
{
	struct plan_process *pp = &p->proc[index];

	pp->program = (uint8_t)program;
	pp->device = (uint8_t)(index > 0 ? index - 1 : 0);
	return pp;
}

static void add(struct plan_process *pp, unsigned number, enum plan_object object,
		unsigned index)
{
	pp->fd[pp->nfds++] = (struct plan_fd){
		.number = (uint16_t)number, .object = (uint8_t)object, .index = (uint8_t)index,
	};
}

static void born(struct plan_process *pp, unsigned number)
{
	pp->born[pp->nborn++] = (uint16_t)number;
}

static void add_common(const struct plan *p, struct plan_process *pp, unsigned index)
{
	if (p->config->run_dir != NULL)
		add(pp, FD_PAGES, OBJ_PAGES, 0);
	add(pp, FD_LOG, OBJ_LOG_WRITE, index);
	add(pp, FD_CONFIG, OBJ_CONFIG, 0);
	add(pp, FD_MEM, OBJ_MEM, 0);
}

unsigned plan_queues(const struct config *c, unsigned device)
{
	const struct config_net *net = config_net(c, device);

	if (net != NULL)
		return net->queues > 1 ? 2 * net->queues + 1 : 2;
	return device < c->ndisks ? c->disk[device].queues : QUEUES_VSOCK;
}

static void plan_vmm(struct plan *p)
{
	const struct config *c = p->config;
	struct plan_process *pp = process(p, 0, PROGRAM_VMM);

	snprintf(pp->name, sizeof(pp->name), "vmm");
	add_common(p, pp, 0);
	add(pp, VMM_CTL, OBJ_CTL_VMM, 0);
	add(pp, VMM_KVM, OBJ_KVM, 0);
	add(pp, VMM_KERNEL, OBJ_KERNEL, 0);
	if (c->initrd != NULL)
		add(pp, VMM_INITRD, OBJ_INITRD, 0);
	if (c->console)
		add(pp, VMM_CONSOLE, OBJ_CONSOLE_WRITE, 0);
	add(pp, VMM_ACK, OBJ_ACK, 0);
	add(pp, VMM_WAKE, OBJ_WAKE, 0);
	for (unsigned d = 0; d < config_devices(c); d++) {
		add(pp, VMM_LINK0 + d, OBJ_LINK_VMM, d);
		add(pp, VMM_CALL0 + d, OBJ_CALL, d);
		for (unsigned q = 0; q < plan_queues(c, d); q++)
			add(pp, VMM_KICK0 + d * PLAN_QUEUES + q, OBJ_KICK,
			    d * PLAN_QUEUES + q);
	}
	born(pp, VMM_VM);
	for (unsigned i = 0; i < c->vcpus; i++)
		born(pp, VMM_VCPU0 + i);
	/* One thread a vCPU, the main thread, and the one KVM adds for its huge pages. */
	pp->limits = (struct plan_limits){ .nofile = VMM_NFDS, .nproc = c->vcpus + 2,
					   .memlock = PLAN_MEMLOCK };
}

static void plan_blk(struct plan *p, unsigned d)
{
	struct plan_process *pp = process(p, 1 + d, PROGRAM_BLK);
	const struct config_disk *disk = &p->config->disk[d];

	snprintf(pp->name, sizeof(pp->name), "blk%u", d % PLAN_DEVICES);
	add_common(p, pp, 1 + d);
	add(pp, BLK_LINK, OBJ_LINK_DEVICE, d);
	add(pp, BLK_CALL, OBJ_CALL, d);
	for (unsigned q = 0; q < plan_queues(p->config, d); q++)
		add(pp, BLK_KICK0 + q, OBJ_KICK, d * PLAN_QUEUES + q);
	add(pp, BLK_DISK, disk->overlay ? OBJ_OVERLAY : OBJ_DISK, d);
	if (disk->overlay)
		add(pp, BLK_BASE, OBJ_DISK, d);
	if (disk->direct) {
		add(pp, BLK_WORK, OBJ_WORK, d);
		add(pp, BLK_DONE, OBJ_DONE, d);
	}
	pp->limits = (struct plan_limits){
		.nofile = disk->direct ? BLK_NFDS : disk->overlay ? BLK_BASE + 1 : BLK_BASE,
		.nproc = disk->direct ? 1 + PLAN_BLK_THREADS : 1,
		.fsize = disk->readonly ? 0 : PLAN_FSIZE_DISK, .memlock = PLAN_MEMLOCK,
	};
}

static void plan_net(struct plan *p, unsigned d)
{
	const struct config *c = p->config;
	struct plan_process *pp = process(p, 1 + d, PROGRAM_NET);

	snprintf(pp->name, sizeof(pp->name), "net%u", (d - c->ndisks) % PLAN_DEVICES);
	add_common(p, pp, 1 + d);
	add(pp, NET_LINK, OBJ_LINK_DEVICE, d);
	add(pp, NET_CALL, OBJ_CALL, d);
	for (unsigned q = 0; q < plan_queues(c, d); q++)
		add(pp, NET_KICK0 + q, OBJ_KICK, d * PLAN_QUEUES + q);
	for (unsigned i = 0; i < config_net(c, d)->queues; i++)
		add(pp, NET_TAP0 + i, config_net(c, d)->tap != NULL ? OBJ_TAP : OBJ_PASST_NET,
		    config_net(c, d)->tap != NULL ? d * PLAN_NET_PAIRS + i : 0);
	pp->limits = (struct plan_limits){ .nofile = NET_NFDS, .nproc = 1, .memlock = PLAN_MEMLOCK };
}

static void plan_vsock(struct plan *p, unsigned d)
{
	struct plan_process *pp = process(p, 1 + d, PROGRAM_VSOCK);

	snprintf(pp->name, sizeof(pp->name), "vsock");
	add_common(p, pp, 1 + d);
	add(pp, VSOCK_LINK, OBJ_LINK_DEVICE, d);
	add(pp, VSOCK_CALL, OBJ_CALL, d);
	for (unsigned q = 0; q < QUEUES_VSOCK; q++)
		add(pp, VSOCK_KICK0 + q, OBJ_KICK, d * PLAN_QUEUES + q);
	add(pp, VSOCK_LISTEN, OBJ_LISTEN, 0);
	add(pp, VSOCK_LISTEN_SEQ, OBJ_LISTEN, 1);
	add(pp, VSOCK_DIAL, OBJ_DIAL_VSOCK, 0);
	born(pp, VSOCK_EPOLL);
	/* Below the connections no number may be free: the log stands in there, for FD_PAGES too. */
	born(pp, 0);
	if (p->config->run_dir == NULL)
		born(pp, FD_PAGES);
	pp->dynamic_from = VSOCK_CONN0;
	pp->limits = (struct plan_limits){
		.nofile = PLAN_VSOCK_NOFILE(p->config->vsock_connections), .nproc = 1,
		.memlock = PLAN_MEMLOCK,
	};
}

/* It makes the rest of its jail itself, before the first frame reaches it. */
static void plan_passt(struct plan *p, const struct plan_caller *who)
{
	struct plan_process *pp = &p->passt;

	if (config_user_net(p->config) < 0)
		return;
	pp->program = PROGRAM_PASST;
	snprintf(pp->name, sizeof(pp->name), "passt");
	pp->uid = p->root ? p->config->uid_base + (p->config->id + 1) * CONFIG_UIDS - 1 : who->uid;
	pp->gid = p->root ? pp->uid : who->gid;
	add(pp, PASST_IN, OBJ_PASST_LOG_WRITE, 0);
	add(pp, PASST_OUT, OBJ_PASST_LOG_WRITE, 0);
	add(pp, PASST_ERR, OBJ_PASST_LOG_WRITE, 0);
	add(pp, PASST_NET, OBJ_PASST, 0);
	pp->dynamic_from = PASST_NET + 1;
	pp->limits = (struct plan_limits){ .nofile = PASST_NOFILE, .nproc = 1 };
}

static void plan_supervisor(struct plan *p, const struct plan_caller *who)
{
	const struct config *c = p->config;
	struct plan_process *pp = &p->supervisor;

	pp->program = PROGRAM_SUPERVISOR;
	snprintf(pp->name, sizeof(pp->name), "supervisor");
	pp->uid = who->uid;
	pp->gid = who->gid;
	/* Beyond the plan one connection at a time, but the kernel also counts those of all
	 * root's processes that are under way in a socket; the console may be a file. */
	pp->limits = (struct plan_limits){
		.nofile = SUPERVISOR_NOFILE, .nproc = 1, .fsize = PLAN_FSIZE_ANY,
	};
	add(pp, SUP_CLIENT, OBJ_CLIENT, 0);
	add(pp, SUP_CTL, OBJ_CTL_SUPERVISOR, 0);
	if (c->console)
		add(pp, SUP_CONSOLE_OUT, OBJ_CONSOLE_OUT, 0);
	add(pp, SUP_SIGNAL, OBJ_SIGNAL, 0);
	if (c->vsock_path != NULL)
		add(pp, SUP_DIAL, OBJ_DIAL_SUPERVISOR, 0);
	if (c->console)
		add(pp, SUP_CONSOLE, OBJ_CONSOLE_READ, 0);
	add(pp, SUP_TIMER, OBJ_TIMER, 0);
	if (c->vsock_path != NULL || c->run_dir != NULL)
		add(pp, SUP_RUNDIR, OBJ_RUNDIR, 0);
	if (c->run_dir != NULL)
		add(pp, SUP_RUNPARENT, OBJ_RUNPARENT, 0);
	for (unsigned i = 0; p->cgroup.wanted && i < PLAN_CGROUP_FDS; i++)
		add(pp, SUP_CGROUP0 + i, OBJ_CGROUP, i);
	for (unsigned i = 0; i < p->nprocs; i++)
		add(pp, SUP_PID0 + i, OBJ_PID, i);
	for (unsigned i = 0; i < p->nprocs; i++)
		add(pp, SUP_LOG0 + i, OBJ_LOG_READ, i);
	if (p->cgroup.wanted)
		add(pp, SUP_MEMORY, OBJ_MEMORY_EVENTS, 0);
	if (p->passt.name[0] != 0) {
		add(pp, SUP_PASST, OBJ_PASST_PID, 0);
		add(pp, SUP_PASST_LOG, OBJ_PASST_LOG_READ, 0);
	}
	for (unsigned i = 0; i < PLAN_LOCKS; i++)
		add(pp, SUP_LOCK0 + i, OBJ_LOCK, i);
}

static void plan_ids(struct plan *p, const struct plan_caller *who)
{
	const struct config *c = p->config;
	uint32_t base = c->uid_base + c->id * CONFIG_UIDS;

	for (unsigned i = 0; i < p->nprocs; i++) {
		p->proc[i].uid = p->root ? base + i : who->uid;
		p->proc[i].gid = p->root ? base + i : who->gid;
	}
}

/* What the overlays of all disks may take: the memory they are kept in, with what the kernel needs
 * to find it again, and the maps. */
static uint64_t overlay_bytes(const struct config *c)
{
	uint64_t bytes = 0;

	for (unsigned i = 0; i < c->ndisks; i++) {
		const struct config_disk *d = &c->disk[i];

		bytes += d->overlay ? OVERLAY_MAP_MAX : 0;
		if (d->overlay && d->overlay_path == NULL)
			bytes += d->overlay_limit + (d->overlay_limit >> OVERLAY_SHIFT);
	}
	return bytes;
}

static void plan_cgroup(struct plan *p)
{
	const struct config_limits *l = &p->config->limits;
	uint64_t ram = p->config->memory;
	uint64_t overhead = OVERHEAD_BASE + (uint64_t)p->config->vcpus * OVERHEAD_VCPU +
			    (ram >> OVERHEAD_SHIFT);
	uint64_t tasks = 1;	/* the jailer itself, while it starts the others (cgroup v1) */

	for (unsigned i = 0; i < p->nprocs; i++)
		tasks += p->proc[i].limits.nproc;
	tasks += p->passt.limits.nproc;
	overhead += (uint64_t)p->config->ndisks * OVERHEAD_DISK;
	for (unsigned i = 0; i < p->config->ndisks; i++)
		overhead += p->config->disk[i].direct ? OVERHEAD_POOL : 0;
	overhead += (uint64_t)p->config->nnets * OVERHEAD_NET;
	if (p->passt.name[0] != 0)
		overhead += OVERHEAD_PASST;
	if (p->config->vsock_path != NULL)
		overhead += backlog_bytes(p->config->vsock_connections);
	if (l->memory_overhead != 0)
		overhead = l->memory_overhead;
	p->cgroup = (struct plan_cgroup){
		.wanted = !p->config->cgroup_off,
		.pids_max = l->pids != 0 ? l->pids : (uint32_t)tasks,
		.cpu_percent = l->cpu_percent,
		.memory_max = guestmem_file_size(ram) + overlay_bytes(p->config) + overhead,
		.io_bytes_per_sec = l->io_bytes_per_sec,
	};
}

void plan_make(struct plan *p, const struct config *c, const struct plan_caller *who)
{
	*p = (struct plan){
		.config = c,
		.root = who->uid == 0,
		.nprocs = 1 + config_devices(c),
		.namespaces = CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS |
			      CLONE_NEWCGROUP | CLONE_NEWPID | CLONE_NEWTIME,
	};
	if (!p->root)
		p->namespaces |= CLONE_NEWUSER;
	plan_vmm(p);
	for (unsigned d = 0; d < c->ndisks; d++)
		plan_blk(p, d);
	for (unsigned d = c->ndisks; d < c->ndisks + c->nnets; d++)
		plan_net(p, d);
	if (c->vsock_path != NULL)
		plan_vsock(p, c->ndisks + c->nnets);
	plan_ids(p, who);
	plan_passt(p, who);
	plan_cgroup(p);
	plan_supervisor(p, who);
}

static unsigned disk_when(const struct config_disk *d)
{
	unsigned direct = d->direct ? WHEN_DIRECT : 0u;

	if (d->readonly)
		return direct;
	return direct | WHEN_WRITABLE | (d->discard ? WHEN_DISCARD : 0u) | (d->overlay ? WHEN_OVERLAY : 0u);
}

unsigned plan_when(const struct plan *p, const struct plan_process *pp)
{
	const struct config *c = p->config;

	return (pp->program == PROGRAM_BLK ? disk_when(&c->disk[pp->device]) : 0u) |
	       (c->console ? WHEN_CONSOLE : 0u) |
	       (c->initrd != NULL ? WHEN_INITRAMFS : 0u) |
	       (config_devices(c) != 0 ? WHEN_DEVICES : 0u) |
	       (c->vsock_path != NULL ? WHEN_VSOCK : 0u) |
	       (c->run_dir != NULL ? WHEN_RUNDIR : 0u) |
	       (p->cgroup.wanted ? WHEN_CGROUP : 0u);
}

const char *plan_program_name(enum plan_program program)
{
	switch (program) {
	case PROGRAM_VMM: return "immure-vmm";
	case PROGRAM_BLK: return "immure-blk";
	case PROGRAM_NET: return "immure-net";
	case PROGRAM_VSOCK: return "immure-vsock";
	case PROGRAM_SUPERVISOR:
	case PROGRAM_PASST:
	case PROGRAMS: break;
	}
	return NULL;
}
