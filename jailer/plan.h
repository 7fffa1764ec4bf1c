/* SPDX-License-Identifier: Apache-2.0 */
/* plan.h: what a configuration means, before anything is done about it.
 *
 * plan_make() is a pure function from a configuration and the caller's ids to processes,
 * descriptors, ids, limits and namespaces.  The jailer carries the plan out and decides
 * nothing itself; `immure plan` prints it; tests compare it with /proc of a running VM. */
#ifndef IMMURE_JAILER_PLAN_H
#define IMMURE_JAILER_PLAN_H

#include "core/base.h"
#include "core/fdplan.h"
#include "jailer/config.h"

#include <stdio.h>
#include <sys/types.h>

enum {
	PLAN_PROCESSES = 1 + PLAN_DEVICES,	/* the VMM, then one per device */
	PLAN_FDS = 112,				/* descriptors of one process, at most */
	PLAN_BORN = 1 + PLAN_VCPUS,
	PLAN_CGROUP_FDS = SUP_PID0 - SUP_CGROUP0,
	PLAN_LOCKS = SUP_NFDS - SUP_LOCK0,
};

enum plan_program {
	PROGRAM_VMM, PROGRAM_BLK, PROGRAM_NET, PROGRAM_VSOCK, PROGRAM_SUPERVISOR,
	PROGRAM_PASST,		/* the host's, not ours: jailer/passt.h */
	PROGRAMS
};

/* What lies behind a descriptor.  Objects with two ends have two names. */
enum plan_object {
	OBJ_LOG_WRITE,		/* [process] */
	OBJ_LOG_READ,		/* [process] */
	OBJ_PAGES,
	OBJ_CONFIG,
	OBJ_MEM,
	OBJ_CTL_VMM,
	OBJ_CTL_SUPERVISOR,
	OBJ_KVM,
	OBJ_KERNEL,
	OBJ_INITRD,
	OBJ_CONSOLE_WRITE,
	OBJ_CONSOLE_READ,
	OBJ_CONSOLE_OUT,	/* where the caller wants the console's bytes */
	OBJ_ACK,
	OBJ_WAKE,
	OBJ_LINK_VMM,		/* [device] */
	OBJ_LINK_DEVICE,	/* [device] */
	OBJ_CALL,		/* [device] */
	OBJ_KICK,		/* [device * PLAN_QUEUES + queue] */
	OBJ_DISK,		/* [device] */
	OBJ_OVERLAY,		/* [device] */
	OBJ_TAP,		/* [device * PLAN_NET_PAIRS + pair] */
	OBJ_LISTEN,		/* [0 streams, 1 messages] */
	OBJ_DIAL_VSOCK,
	OBJ_DIAL_SUPERVISOR,
	OBJ_CLIENT,
	OBJ_SIGNAL,
	OBJ_TIMER,
	OBJ_RUNDIR,
	OBJ_RUNPARENT,
	OBJ_CGROUP,		/* [0 .. PLAN_CGROUP_FDS): those the host has */
	OBJ_PID,		/* [process] */
	OBJ_MEMORY_EVENTS,
	OBJ_WORK,		/* [device]: eventfd, permits for a disk's threads */
	OBJ_DONE,		/* [device]: eventfd, they are finished */
	OBJ_PASST_NET,		/* the socket to passt, immure-net's end */
	OBJ_PASST,		/* the same, passt's end */
	OBJ_PASST_PID,
	OBJ_PASST_LOG_WRITE,
	OBJ_PASST_LOG_READ,
	OBJ_LOCK,		/* [0 .. PLAN_LOCKS): those the caller gave */
	PLAN_OBJECTS
};

struct plan_fd {
	uint16_t number;	/* enum fdplan */
	uint8_t object;		/* enum plan_object */
	uint8_t index;
};

/* Resource limits that differ between processes.  The same for all: CORE, MSGQUEUE, NICE, RTPRIO 0. */
#define PLAN_FSIZE_DISK (UINT64_MAX - 1)	/* what the image may come to, known when it is open */
#define PLAN_FSIZE_ANY  UINT64_MAX		/* left as it is */
#define PLAN_MEMLOCK    (512 * 1024)		/* more than any of our programs has */

struct plan_limits {
	uint64_t nofile;
	uint64_t nproc;		/* tasks of this process's own user id */
	uint64_t fsize;		/* bytes, or PLAN_FSIZE_* */
	uint64_t memlock;	/* bytes, until it has locked its program and gives that up, too */
};

struct plan_process {
	char name[12];		/* "vmm", "blk0", "net0", "vsock", "supervisor" */
	uint8_t program;	/* enum plan_program */
	uint8_t device;		/* of a device process: its number */
	uint16_t nfds;
	uint16_t nborn;		/* descriptors it makes itself before it seals */
	uint16_t dynamic_from;	/* the first number that changes while it runs; 0: none */
	uid_t uid;
	gid_t gid;
	struct plan_limits limits;
	struct plan_fd fd[PLAN_FDS];
	uint16_t born[PLAN_BORN];
};

struct plan_cgroup {
	bool wanted;
	uint32_t pids_max;
	uint32_t cpu_percent;		/* 0: no limit */
	uint64_t memory_max;		/* bytes: RAM, its dirty bitmap, overlays, the overhead */
	uint64_t io_bytes_per_sec;	/* 0: no limit */
};

struct plan {
	const struct config *config;
	bool root;			/* else rootless: one user id for all */
	int namespaces;			/* CLONE_NEW*, unshared once for the whole VM */
	uint32_t nprocs;		/* 1 + devices */
	struct plan_process proc[PLAN_PROCESSES];
	struct plan_process supervisor;
	struct plan_process passt;	/* .name empty: no interface needs it */
	struct plan_cgroup cgroup;
};

struct plan_caller {
	uid_t uid;
	gid_t gid;
};

/* Fills @p; @c outlives it.  Cannot fail: config_parse() has seen to that. */
void plan_make(struct plan *p, const struct config *c, const struct plan_caller *who);

/* Queues of device @device: kick descriptors it has. */
unsigned plan_queues(const struct config *c, unsigned device);

/* What the filters of @pp depend on: enum when (core/seal.h). */
unsigned plan_when(const struct plan *p, const struct plan_process *pp);

/* Which program file serves @program: "immure-vmm", ...; NULL for the supervisor and for passt. */
const char *plan_program_name(enum plan_program program);

/* The plan name of descriptor @number of @program, as in core/fdplan.h and the policies:
 * "BLK_DISK", "VMM_KICK0+17".  Writes at most @size bytes to @buf, returns it. */
const char *plan_fd_name(enum plan_program program, unsigned number, char *buf, size_t size);

/* Prints @p for people, and for machines (one JSON object, one line). */
void plan_print(FILE *out, const struct plan *p);
void plan_print_json(FILE *out, const struct plan *p);

#endif
