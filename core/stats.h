/* SPDX-License-Identifier: Apache-2.0 */
/* stats.h: what a process counts, in a page that its owner reads.
 *
 * A page of memory shared with a file (core/pages.h): counting is an addition, reading costs
 * the process nothing.  Each counter has one writer (stats_add) or is added to atomically
 * (stats_add_shared); readers see every counter whole, not all of one moment.
 *
 * Nothing of a page is ever used for a decision: a process that was taken over may write what
 * it likes into its own, and readers take the page as hostile bytes (cli/stats_read.c). */
#ifndef IMMURE_CORE_STATS_H
#define IMMURE_CORE_STATS_H

#include "core/base.h"
#include "policy/bpf/wall.h"

enum {
	STATS_MAGIC = 0x74536d49,	/* "ImSt" */
	STATS_VERSION = 1,
	STATS_PAGE = 4096,
	STATS_COUNTERS = 56,
	STATS_HISTOGRAMS = 4,
	STATS_BUCKETS = 40,	/* bucket i: 2^i <= ns < 2^(i+1); the first also 0, the last all above */
	STATS_VCPUS = 32,
	STATS_WALL_RULES = 16,	/* room for more than there are */
	STATS_WALL_DENIED = 96,
	STATS_VCPU_COUNTERS = 8,	/* a cache line: vCPUs do not share one */
};

/* X(name, number, family, key, value, help).  A family is what Prometheus calls a metric; several
 * counters of one family differ in the value of the label @key ("" when there is but one).
 * Numbers are part of the layout: a new counter takes a new one. */

/* Of every device. */
#define STATS_DEVICE_COUNTERS(X)                                                                  \
	X(STATS_KICKS, 0, "kicks", "", "", "Notifications of the driver that were taken")         \
	X(STATS_INTERRUPTS, 1, "interrupts", "", "", "Interrupts sent to the guest")              \
	X(STATS_TURNS, 2, "turns", "", "", "Rounds of the device's loop")                         \
	X(STATS_ACTIVATIONS, 3, "activations", "", "", "Times a driver started the device")       \
	X(STATS_RESETS, 4, "resets", "", "", "Times a driver reset the device")                   \
	X(STATS_BROKEN, 5, "broken", "", "", "Times a driver broke the rules and must reset")     \
	X(STATS_THROTTLES, 6, "throttles", "direction", "out", "Times a rate limit held the queue back") \
	X(STATS_THROTTLES_IN, 7, "throttles", "direction", "in", "Times a rate limit held the queue back") \
	X(STATS_LIMIT_CHANGES, 8, "limit_changes", "", "", "Rate limits taken over while running")

#define STATS_BLK_COUNTERS(X)                                                                     \
	X(STATS_BLK_READS, 16, "requests", "op", "read", "Requests answered")                     \
	X(STATS_BLK_WRITES, 17, "requests", "op", "write", "Requests answered")                   \
	X(STATS_BLK_FLUSHES, 18, "requests", "op", "flush", "Requests answered")                  \
	X(STATS_BLK_DISCARDS, 19, "requests", "op", "discard", "Requests answered")               \
	X(STATS_BLK_OTHERS, 20, "requests", "op", "other", "Requests answered")                   \
	X(STATS_BLK_READ_BYTES, 24, "bytes", "op", "read", "Bytes moved")                         \
	X(STATS_BLK_WRITE_BYTES, 25, "bytes", "op", "write", "Bytes moved")                       \
	X(STATS_BLK_DISCARD_BYTES, 26, "bytes", "op", "discard", "Bytes moved")                   \
	X(STATS_BLK_READ_ERRORS, 32, "errors", "op", "read", "Requests answered with an error")   \
	X(STATS_BLK_WRITE_ERRORS, 33, "errors", "op", "write", "Requests answered with an error") \
	X(STATS_BLK_FLUSH_ERRORS, 34, "errors", "op", "flush", "Requests answered with an error") \
	X(STATS_BLK_DISCARD_ERRORS, 35, "errors", "op", "discard", "Requests answered with an error") \
	X(STATS_BLK_OTHER_ERRORS, 36, "errors", "op", "other", "Requests answered with an error")

/* "out": from the guest; "in": to it. */
#define STATS_NET_COUNTERS(X)                                                                     \
	X(STATS_NET_OUT_FRAMES, 16, "frames", "direction", "out", "Frames moved")                 \
	X(STATS_NET_IN_FRAMES, 17, "frames", "direction", "in", "Frames moved")                   \
	X(STATS_NET_OUT_BYTES, 24, "bytes", "direction", "out", "Bytes moved")                    \
	X(STATS_NET_IN_BYTES, 25, "bytes", "direction", "in", "Bytes moved")                      \
	X(STATS_NET_OUT_ERRORS, 32, "errors", "direction", "out", "Frames lost by an error")      \
	X(STATS_NET_IN_ERRORS, 33, "errors", "direction", "in", "Frames lost by an error")        \
	X(STATS_NET_OUT_DROPS, 40, "drops", "direction", "out", "Frames dropped, nobody took them") \
	X(STATS_NET_IN_DROPS, 41, "drops", "direction", "in", "Frames dropped, nobody took them") \
	X(STATS_NET_DENIED, 42, "denied", "", "", "Frames that a wall in the process itself refused")

#define STATS_VSOCK_COUNTERS(X)                                                                   \
	X(STATS_VSOCK_OUT_PACKETS, 16, "packets", "direction", "out", "Packets moved")            \
	X(STATS_VSOCK_IN_PACKETS, 17, "packets", "direction", "in", "Packets moved")              \
	X(STATS_VSOCK_OUT_BYTES, 24, "bytes", "direction", "out", "Payload moved")                \
	X(STATS_VSOCK_IN_BYTES, 25, "bytes", "direction", "in", "Payload moved")                  \
	X(STATS_VSOCK_OUT_ERRORS, 32, "errors", "direction", "out", "Packets answered with a reset") \
	X(STATS_VSOCK_IN_ERRORS, 33, "errors", "direction", "in", "Connections lost by an error") \
	X(STATS_VSOCK_OUT_CONNECTIONS, 40, "connections", "direction", "out", "Connections made") \
	X(STATS_VSOCK_IN_CONNECTIONS, 41, "connections", "direction", "in", "Connections made")   \
	X(STATS_VSOCK_CLOSED, 42, "closed", "", "", "Connections that ended, or never came about")

#define STATS_VMM_COUNTERS(X)                                                                     \
	X(STATS_VMM_CONFIG_INTERRUPTS, 0, "config_interrupts", "", "", "Configuration interrupts sent") \
	X(STATS_VMM_MESSAGES, 1, "messages", "", "", "Messages of device processes")

/* Of each vCPU: what left guest mode and the kernel.  Requests of devices are not among it. */
#define STATS_VCPU_COUNTERS_LIST(X)                                                               \
	X(STATS_EXIT_REGISTER, 0, "exits", "reason", "register", "Exits to user space")           \
	X(STATS_EXIT_IOAPIC, 1, "exits", "reason", "ioapic", "Exits to user space")               \
	X(STATS_EXIT_MMIO, 2, "exits", "reason", "mmio", "Exits to user space")                   \
	X(STATS_EXIT_PORT, 3, "exits", "reason", "port", "Exits to user space")                   \
	X(STATS_EXIT_OTHER, 4, "exits", "reason", "other", "Exits to user space")                 \
	X(STATS_EXIT_SIGNAL, 5, "exits", "reason", "signal", "Exits to user space")

/* Histograms of durations: X(name, number, key, value). */
#define STATS_BLK_HISTOGRAMS(X)                                                                   \
	X(STATS_BLK_READ_NS, 0, "op", "read")                                                     \
	X(STATS_BLK_WRITE_NS, 1, "op", "write")                                                   \
	X(STATS_BLK_FLUSH_NS, 2, "op", "flush")                                                   \
	X(STATS_BLK_DISCARD_NS, 3, "op", "discard")

#define STATS_ENUM(name, number, ...) name = number,
enum stats_device_counter { STATS_DEVICE_COUNTERS(STATS_ENUM) };
enum stats_blk_counter { STATS_BLK_COUNTERS(STATS_ENUM) };
enum stats_net_counter { STATS_NET_COUNTERS(STATS_ENUM) };
enum stats_vsock_counter { STATS_VSOCK_COUNTERS(STATS_ENUM) };
enum stats_vmm_counter { STATS_VMM_COUNTERS(STATS_ENUM) };
enum stats_vcpu_counter { STATS_VCPU_COUNTERS_LIST(STATS_ENUM) };
enum stats_blk_histogram { STATS_BLK_HISTOGRAMS(STATS_ENUM) };
#undef STATS_ENUM

struct stats_histogram {
	uint64_t sum_ns;	/* of all durations */
	uint64_t bucket[STATS_BUCKETS];
};

/* Of a network interface whose packet wall is in its process: see policy/bpf/wall.h. */
struct stats_wall {
	uint64_t count[STATS_WALL_RULES];	/* frames by rule; [WALL_PASS]: those that passed */
	struct {
		struct wall_denied what;	/* rule 0: not in use */
		uint64_t frames;
	} denied[STATS_WALL_DENIED];		/* of late */
};

_Static_assert((int)WALL_NRULES <= (int)STATS_WALL_RULES, "a counter for each rule");

struct stats_page {
	uint32_t magic;			/* STATS_MAGIC */
	uint16_t version;		/* STATS_VERSION */
	uint16_t kind;			/* enum vm_device_kind; VM_DEVICE_NONE: the VMM */
	uint32_t vcpus;			/* of the VMM: entries of vcpu[] in use */
	uint32_t walled;		/* of an interface: wall is in use */
	uint32_t zero[12];
	uint64_t counter[STATS_COUNTERS];
	union {
		struct stats_histogram histogram[STATS_HISTOGRAMS];		/* a device */
		struct { uint64_t counter[STATS_VCPU_COUNTERS]; } vcpu[STATS_VCPUS];	/* VMM */
		struct stats_wall wall;
		uint8_t rest[STATS_PAGE - 64 - STATS_COUNTERS * 8];
	} u;
};

_Static_assert(sizeof(struct stats_page) == STATS_PAGE, "shared layout");
_Static_assert(offsetof(struct stats_page, u) % 64 == 0, "a vCPU is a cache line");

/* Adds to a counter that only this thread writes. */
static inline void stats_add(uint64_t *counter, uint64_t n)
{
	__atomic_store_n(counter, __atomic_load_n(counter, __ATOMIC_RELAXED) + n, __ATOMIC_RELAXED);
}

/* Adds to a counter that several threads write. */
static inline void stats_add_shared(uint64_t *counter, uint64_t n)
{
	__atomic_fetch_add(counter, n, __ATOMIC_RELAXED);
}

/* Which bucket a duration falls into. */
static inline unsigned stats_bucket(uint64_t ns)
{
	unsigned log2 = 63 - (unsigned)__builtin_clzll(ns | 1);

	return log2 < STATS_BUCKETS ? log2 : STATS_BUCKETS - 1;
}

/* Records a duration; one writer. */
static inline void stats_duration(struct stats_histogram *h, uint64_t ns)
{
	stats_add(&h->sum_ns, ns);
	stats_add(&h->bucket[stats_bucket(ns)], 1);
}

#endif
