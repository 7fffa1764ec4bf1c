/* SPDX-License-Identifier: Apache-2.0 */
/* measure.h: what the measurements of the rings share: clocks, and a counter of system calls. */
#ifndef IMMURE_BENCH_RINGS_MEASURE_H
#define IMMURE_BENCH_RINGS_MEASURE_H

#include <criterion/criterion.h>
#include <linux/perf_event.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

static inline uint64_t clock_ns(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* Processor time of process @pid's first thread so far. */
static inline uint64_t device_ns(pid_t pid)
{
	unsigned long long ns = 0;
	char path[40];
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/schedstat", pid);
	f = fopen(path, "re");
	cr_assert(f != NULL && fscanf(f, "%llu", &ns) == 1);
	fclose(f);
	return ns;
}

/* A descriptor that counts @pid's system calls from now on, to be read as a uint64_t; -1 where the kernel
 * does not let us. */
static inline int counter(pid_t pid)
{
	struct perf_event_attr attr = { .type = PERF_TYPE_TRACEPOINT, .size = sizeof(attr) };
	FILE *f = fopen("/sys/kernel/tracing/events/raw_syscalls/sys_enter/id", "re");
	unsigned long long id;

	if (f == NULL)
		f = fopen("/sys/kernel/debug/tracing/events/raw_syscalls/sys_enter/id", "re");
	if (f == NULL || fscanf(f, "%llu", &id) != 1)
		return -1;
	fclose(f);
	attr.config = id;
	return (int)syscall(SYS_perf_event_open, &attr, pid, -1, -1, PERF_FLAG_FD_CLOEXEC);
}

/* One way to use a ring, measured: of the device process and of the floor the least of all rounds. */
struct measured {
	uint64_t ns, floor_ns;
	double calls;			/* < 0: not counted */
	double interrupts, kicks;
};

/* A round of one way through the device: its processor time, and in the struct what was counted; the system
 * calls only when asked for.  And one of the floor. */
typedef uint64_t device_round_fn(const void *way, struct measured *m, bool count);
typedef uint64_t floor_round_fn(const void *way);

static inline struct measured measure_rounds(const void *way, int rounds, device_round_fn *device,
					     floor_round_fn *bare)
{
	struct measured least = { .ns = UINT64_MAX, .floor_ns = UINT64_MAX, .calls = -1 };

	for (int i = 0; i < rounds; i++) {
		uint64_t ns = device(way, &least, false), floor = bare(way);

		least.ns = ns < least.ns ? ns : least.ns;
		least.floor_ns = floor < least.floor_ns ? floor : least.floor_ns;
	}
	device(way, &least, true);
	return least;
}

/* The line of JSON of @got: @n times @unit ("request") were measured. */
static inline void measured_print(const struct measured *got, const char *ring, const char *way,
				  const char *unit, double n)
{
	printf("{\"bench\":\"B8\",\"ring\":\"%s\",\"way\":\"%s\",\"us_per_%s\":%.3f,\"floor_us_per_%s\":%.3f,"
	       "\"ratio\":%.2f,", ring, way, unit, (double)got->ns / 1000 / n, unit,
	       (double)got->floor_ns / 1000 / n, (double)got->ns / (double)got->floor_ns);
	if (got->calls >= 0)
		printf("\"calls_per_%s\":%.3f,", unit, got->calls / n);
	printf("\"interrupts_per_%s\":%.3f,\"kicks_per_%s\":%.3f}\n", unit, got->interrupts / n, unit,
	       got->kicks / n);
	fflush(stdout);
}

#endif
