/* SPDX-License-Identifier: Apache-2.0 */
/* stats.h: the counters and rate limits of running VMs, as their processes wrote them.
 *
 * They are in the file of core/pages.h.  Its first page nobody but the VM's owner writes; each
 * other one belongs to a process that may have been taken over, and is hostile bytes: its kind
 * must be what the first page says, or it is shown as untrusted, and what is in it is taken for
 * numbers and for nothing else. */
#ifndef IMMURE_CLI_STATS_H
#define IMMURE_CLI_STATS_H

#include "core/pages.h"

#include <stdio.h>

enum { STATS_PROCESSES = 1 + PLAN_DEVICES };

struct stats_process {
	char name[12];			/* "vmm", "blk0", "vsock": as in `immure plan` */
	enum vm_device_kind kind;	/* NONE: the VMM */
	bool trusted;			/* the page is what it should be */
	unsigned vcpus;			/* of the VMM */
	struct stats_page page;		/* a copy, counter by counter */
};

struct stats_vm {
	char name[65];
	unsigned n;
	struct stats_process process[STATS_PROCESSES];
	struct limits_entry limit[PLAN_DEVICES];	/* by device; sequence odd: torn */
};

/* Reads the file at descriptor @fd, of the VM @name.  Returns 0, or -1 after an error message. */
must_check int stats_read(struct stats_vm *vm, const char *name, int fd);

/* Opens the file of the running VM @name with @flags.  Returns a descriptor, or -1 after an error
 * message. */
must_check int stats_open(const char *name, int flags);

/* What the device is called that has @before others of its @kind before it: as in jailer/plan.c. */
void stats_device_name(char *buf, size_t size, enum vm_device_kind kind, unsigned before);

/* What one counter is. */
struct stats_name {
	unsigned number;
	const char *family, *key, *value, *help;
};

struct stats_table {
	const char *prefix;		/* of its metrics: "device", "blk", ... */
	const struct stats_name *name;
	size_t n;
};

/* The tables of counters, of all processes of @kind (at most 2), and of each vCPU. */
const struct stats_table *stats_tables(enum vm_device_kind kind, size_t *n);
extern const struct stats_table stats_vcpu_table;

/* Histograms of @kind; the help is NULL. */
const struct stats_table *stats_histograms(enum vm_device_kind kind);

/* All recorded durations of @h, which may be lies: saturates. */
uint64_t stats_count(const struct stats_histogram *h);

/* The longest duration in bucket @i, ns; UINT64_MAX for the last. */
uint64_t stats_bucket_end(unsigned i);

/* The printers. */
void stats_print(const struct stats_vm *vm);
void stats_prom(FILE *out, const struct stats_vm *vm, unsigned n);
struct json_t;
struct json_t *stats_json(const struct stats_vm *vm);

#endif
