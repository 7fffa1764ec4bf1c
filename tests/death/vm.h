/* SPDX-License-Identifier: Apache-2.0 */
/* vm.h: a whole VM through immure-jailer with a guest that sleeps, for tests that kill it. */
#ifndef IMMURE_TESTS_DEATH_VM_H
#define IMMURE_TESTS_DEATH_VM_H

#include "core/base.h"

#include <sys/types.h>

enum { VM_PROCESSES = 5 };	/* the jailer, the VMM, one disk, one interface, vsock */

/* Where VMs are made: files that every one of them uses. */
struct ground {
	const char *bin;	/* directory of immure's programs */
	char dir[64];		/* of our own making */
};

struct vm {
	char name[48];
	pid_t jailer;
	int client;
	bool running;		/* said so */
	bool ended;		/* said so: */
	char end[1024];		/* the end message */
};

/* Makes the guest, the disk, the directories and, in a network of its own, the tap; ends the program when that is impossible. */
void ground_make(struct ground *g, const char *bin);
void ground_remove(const struct ground *g);

/* Starts VM number @n.  What goes wrong here ends the program: it is not what is tested. */
void vm_start(struct vm *vm, const struct ground *g, unsigned n);

/* Reads messages for @ms milliseconds or until @vm says that it runs.  False: it ended. */
bool vm_wait_running(struct vm *vm, int ms);

/* Reads messages until the jailer has closed the connection.  False: it has not in @ms. */
bool vm_wait_end(struct vm *vm, int ms);

/* The VM's processes that exist: the jailer first, its children in the order of their birth.
 * Returns how many. */
size_t vm_processes(const struct vm *vm, pid_t pids[VM_PROCESSES]);

/* Does for a VM whose jailer was killed what `immure run` does, or the next run: removes its
 * sockets and its cgroup. */
void vm_sweep(const struct vm *vm, const struct ground *g);

/* What is left of @vm on the host: files, cgroups.  Writes the first thing found to @what. */
bool vm_left(const struct vm *vm, const struct ground *g, char *what, size_t size);

#endif
