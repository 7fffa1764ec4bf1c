/* SPDX-License-Identifier: Apache-2.0 */
/* open.h: everything the VM will ever hold, opened while the caller's rights still count.
 *
 * After this no process of the VM opens anything (the guest's connections to the host aside:
 * dial.h).  All descriptors are close-on-exec and nobody's number yet; spawn.h places them. */
#ifndef IMMURE_JAILER_OPEN_H
#define IMMURE_JAILER_OPEN_H

#include "core/base.h"
#include "jailer/failure.h"
#include "jailer/plan.h"

struct opened {
	int fd[PLAN_OBJECTS][PLAN_PROCESSES];	/* by object and index; -1: not there */
	int kick[PLAN_DEVICES * PLAN_QUEUES];
	int tap[PLAN_DEVICES * PLAN_NET_PAIRS];
	int cgroup[PLAN_CGROUP_FDS];
	int program[PROGRAMS];			/* O_PATH */
	int rundir_in;				/* O_PATH; see rundir_find() */
	uint64_t disk_size[PLAN_DEVICES];	/* bytes of what is written; 0 for a block device */
	uint64_t base_size[PLAN_DEVICES];	/* bytes below an overlay; 0: there is none */
	struct vm_blocks disk_blocks[PLAN_DEVICES];
	uint64_t disk_dev[PLAN_DEVICES];	/* dev_t of the device below the image */
	uint64_t overlay_dev[PLAN_DEVICES];	/* below the overlay's file; 0: there is none */
	uint32_t net_flags[PLAN_DEVICES];	/* enum vm_device_flags */
	uint16_t net_mtu[PLAN_DEVICES];
	uint64_t kernel_size, initrd_size;
};

/* All descriptors absent. */
void opened_init(struct opened *o);

/* Where the descriptor of @object, @index is kept. */
int *opened_at(struct opened *o, enum plan_object object, unsigned index);

/* Opens /dev/kvm, kernel, initramfs, disks (locked: shared when they are only read, exclusive when
 * not) and their overlays, taps, the programs beside the jailer's own; makes guest memory,
 * configuration, links, notifications, log and console pipes, and files of overlays that are not
 * there.  Returns 0, or -1 with @f filled; what is open then is closed by the exit of the process,
 * nothing else was made. */
must_check int open_all(struct opened *o, const struct plan *p, struct failure *f);

#endif
