/* SPDX-License-Identifier: Apache-2.0 */
/* jail_usage.h: what a running VM costs the host, as the kernel counts it. */
#ifndef IMMURE_TESTS_UNIT_JAIL_USAGE_H
#define IMMURE_TESTS_UNIT_JAIL_USAGE_H

#include "core/base.h"
#include "tests/unit/jail_rig.h"

/* Opens @file of the VM's cgroup: below v1's @controller, or v2's file @file2.  NULL where there
 * is none. */
static inline FILE *usage_open(const struct rig *r, const char *controller, const char *file,
			       const char *file2)
{
	char path[160];
	FILE *f;

	snprintf(path, sizeof(path), "/sys/fs/cgroup/%s/immure/%s/%s", controller, r->name, file);
	f = fopen(path, "re");
	if (f != NULL)
		return f;
	snprintf(path, sizeof(path), "/sys/fs/cgroup/%s/immure/%s/%s", r->cgroup, r->name, file2);
	return fopen(path, "re");
}

/* The number in a file that has but one; -1 when there is none. */
static inline long long usage_number(FILE *f)
{
	long long n;

	if (f == NULL)
		return -1;
	if (fscanf(f, "%lld", &n) != 1)
		n = -1;
	fclose(f);
	return n;
}

/* Sum of the numbers behind @key, wherever it stands in @f. */
static inline unsigned long long usage_sum(FILE *f, const char *key)
{
	unsigned long long n, sum = 0;
	char line[512];
	const char *at;

	while (f != NULL && fgets(line, sizeof(line), f) != NULL) {
		at = strstr(line, key);
		if (at != NULL && sscanf(at + strlen(key), "%llu", &n) == 1)
			sum += n;
	}
	if (f != NULL)
		fclose(f);
	return sum;
}

static inline long long usage_memory_limit(const struct rig *r)
{
	return usage_number(usage_open(r, "memory", "memory.limit_in_bytes", "memory.max"));
}

static inline FILE *usage_proc(pid_t pid, const char *file)
{
	char path[320];

	snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, file);
	return fopen(path, "re");
}

/* Bytes of host memory that the VM takes: all that its cgroup is charged with, the kernel's on its
 * behalf included, and the supervisor, which is outside.  -1 when the VM is gone. */
static inline long long usage_memory(const struct rig *r)
{
	long long n = usage_number(usage_open(r, "memory", "memory.usage_in_bytes",
					      "memory.current"));

	if (n < 0)
		return -1;
	return n + (long long)(1024 * usage_sum(usage_proc(r->jailer, "smaps_rollup"), "Pss: "));
}

static inline unsigned long long usage_task_ns(pid_t pid, const char *tid)
{
	char file[288];
	long long ns;

	snprintf(file, sizeof(file), "task/%s/schedstat", tid);
	ns = usage_number(usage_proc(pid, file));
	return ns > 0 ? (unsigned long long)ns : 0;
}

/* Seconds of CPU that all threads of process @pid have had. */
static inline double usage_cpu_of(pid_t pid)
{
	unsigned long long ns = 0;
	struct dirent *e;
	char path[64];
	DIR *d;

	snprintf(path, sizeof(path), "/proc/%d/task", (int)pid);
	d = opendir(path);
	while (d != NULL && (e = readdir(d)) != NULL)
		if (e->d_name[0] != '.')
			ns += usage_task_ns(pid, e->d_name);
	if (d != NULL)
		closedir(d);
	return 1e-9 * (double)ns;
}

/* The same of the whole VM: its processes, and the supervisor that has the work with them. */
static inline double usage_cpu(const struct rig *r)
{
	double sum = usage_cpu_of(r->jailer);

	for (unsigned i = 0; i < r->nprocs; i++)
		sum += usage_cpu_of(r->pid[i]);
	return sum;
}

static inline double usage_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + 1e-9 * (double)ts.tv_nsec;
}

#endif
