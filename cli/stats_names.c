/* SPDX-License-Identifier: Apache-2.0 */
/* stats_names.c: what the numbers of core/stats.h are called. */
#include "cli/stats.h"

#define NAME(id, number, family, key, value, help) { number, family, key, value, help },
#define HISTOGRAM(id, number, key, value) { number, "latency_seconds", key, value, NULL },

static const struct stats_name device_names[] = { STATS_DEVICE_COUNTERS(NAME) };
static const struct stats_name blk_names[] = { STATS_BLK_COUNTERS(NAME) };
static const struct stats_name net_names[] = { STATS_NET_COUNTERS(NAME) };
static const struct stats_name vsock_names[] = { STATS_VSOCK_COUNTERS(NAME) };
static const struct stats_name vmm_names[] = { STATS_VMM_COUNTERS(NAME) };
static const struct stats_name vcpu_names[] = { STATS_VCPU_COUNTERS_LIST(NAME) };
static const struct stats_name blk_histograms[] = { STATS_BLK_HISTOGRAMS(HISTOGRAM) };

#define TABLE(prefix, names) { prefix, names, array_len(names) }

static const struct stats_table tables[] = {
	TABLE("vmm", vmm_names),
	TABLE("device", device_names), TABLE("blk", blk_names),
	TABLE("device", device_names), TABLE("net", net_names),
	TABLE("device", device_names), TABLE("vsock", vsock_names),
};

const struct stats_table stats_vcpu_table = TABLE("vcpu", vcpu_names);

const struct stats_table *stats_tables(enum vm_device_kind kind, size_t *n)
{
	*n = kind == VM_DEVICE_NONE ? 1 : 2;
	switch (kind) {
	case VM_DEVICE_NONE: return &tables[0];
	case VM_DEVICE_BLK: return &tables[1];
	case VM_DEVICE_NET: return &tables[3];
	case VM_DEVICE_VSOCK: return &tables[5];
	}
	*n = 0;
	return tables;
}

const struct stats_table *stats_histograms(enum vm_device_kind kind)
{
	static const struct stats_table blk = TABLE("blk", blk_histograms), none = { "", NULL, 0 };

	return kind == VM_DEVICE_BLK ? &blk : &none;
}

uint64_t stats_count(const struct stats_histogram *h)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < STATS_BUCKETS; i++)
		if (!add_u64(sum, h->bucket[i], &sum))
			return UINT64_MAX;
	return sum;
}

uint64_t stats_bucket_end(unsigned i)
{
	return i + 1 < STATS_BUCKETS ? (2ull << i) - 1 : UINT64_MAX;
}
