/* SPDX-License-Identifier: Apache-2.0 */
/* bench.h: what is measured, and how one run of it is started. */
#ifndef IMMURE_BENCH_BENCH_H
#define IMMURE_BENCH_BENCH_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

enum {
	BENCH_RAM_MIB = 128,
	BENCH_SIGNAL = 0x2a,	/* what the guest writes to port 0x501: guest.S */
};

/* One start in progress. */
struct launch {
	pid_t pid;
	int client;		/* our end of the control socket, or -1 */
	int theirs;		/* the other end; closed here after the fork */
	int config;		/* the jailer's configuration, or -1; likewise */
	int console[2];		/* a pipe for the guest's console, or -1; [1] likewise */
	bool idle;		/* the guest that sleeps instead of the one that signals */
	bool count;		/* count system calls from exec on, of all descendants */
	int counter;		/* the open counter, or -1 */
	unsigned int number;	/* of this VM, for names; < 1000 */
};

/* Something that can be started. */
struct subject {
	const char *name;	/* stable, for machines */
	const char *title;
	const char *tool;	/* program that has to exist */
	bool ours;		/* tool lies in bench_bin, else in PATH */
	int status;		/* exit status of a run that did what it should */
	/* In the parent, before the fork; NULL: nothing to do.  False: see errno. */
	bool (*prepare)(struct launch *l);
	/* In the child: becomes the program.  Returns only on failure. */
	void (*become)(const struct launch *l);
	/* In the parent: waits until the guest's first instruction is known to have run, or an
	 * idle guest to be running.  NULL: its end is the only sign. */
	bool (*wait_first)(const struct launch *l);
	/* In the parent, after that: waits for word of the VM's end.  False: not the end that
	 * was wanted. */
	bool (*wait_end)(const struct launch *l);
};

extern const struct subject subject_bare;				/* bare.c */
extern const struct subject subject_jailed, subject_jailed_tap;		/* jailed.c */
extern const struct subject subject_qemu, subject_bwrap, subject_runc;	/* peers.c */

/* Where the programs are, and the bench's own files: guests, disk, bundle. */
extern const char *bench_bin, *bench_dir;

/* Forks and starts @s as the fields idle, count and number of @l say.  False: said on
 * stderr. */
bool launch_start(const struct subject *s, struct launch *l);

/* Asks for a path below @dir.  Static storage, valid until the fourth next call. */
const char *bench_path(const char *dir, const char *name);

bool bench_have(const struct subject *s);

/* One result of immure in benchmark @bench beside @peer's; NaN for what there is not. */
void bench_json(const char *bench, const char *peer, const char *metric, double value,
		double peer_value);

double bench_min(const double *v, size_t n);
double bench_median(const double *v, size_t n);

/* B7: what @n idle VMs of each kind cost.  False: it could not be measured. */
bool memory_bench(unsigned int n);

#endif
