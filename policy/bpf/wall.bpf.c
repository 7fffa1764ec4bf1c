/* SPDX-License-Identifier: Apache-2.0 */
/* wall.bpf.c: the packet wall of a tap: judges what the VM sends before the host looks at it.
 *
 * A tc classifier (direct action) on the tap's ingress, which is what comes out of the VM.  Made
 * and filled by the jailer, read by `immure net denied`; nobody in a jail holds it. */
#include <linux/bpf.h>
#include <linux/errno.h>
#include <linux/pkt_cls.h>

#include <bpf/bpf_helpers.h>

typedef struct __sk_buff wall_frame;

/* Is its checksum open?  The kernel does not say so, but this makes every other frame of a tap one
 * whose checksum was found right; which is then taken back. */
static __always_inline int open_checksum(const wall_frame *f)
{
	wall_frame *skb = (wall_frame *)f;

	bpf_csum_level(skb, BPF_CSUM_LEVEL_INC);
	if (bpf_csum_level(skb, BPF_CSUM_LEVEL_QUERY) < 0)
		return 1;
	bpf_csum_level(skb, BPF_CSUM_LEVEL_RESET);
	return 0;
}

/* Nor does it say where it will be stored; but first of all it refuses to cut the frame in front of
 * the end of that.  Whatever else it answers, the frame is to be dropped. */
static __always_inline int open_before(const wall_frame *f, __u32 off)
{
	return bpf_skb_change_tail((wall_frame *)f, off + 1, 0) != -EINVAL;
}

#define WALL_LOAD(skb, off, to, count) bpf_skb_load_bytes(skb, off, to, count)
#define WALL_OPEN(skb) open_checksum(skb)
#define WALL_OPEN_BEFORE(skb, off) open_before(skb, off)
#include "policy/bpf/wall_rules.h"

/* Constant, so that the verifier walks what this VM's rules need, and no more. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__uint(map_flags, BPF_F_RDONLY_PROG);
	__type(key, __u32);
	__type(value, struct wall_config);
} wall_config SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct wall_rate);
} wall_rates SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, WALL_NRULES);
	__type(key, __u32);
	__type(value, __u64);
} wall_counts SEC(".maps");

/* What was refused of late: how often. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, WALL_DENIED_MAX);
	__type(key, struct wall_denied);
	__type(value, __u64);
} wall_denied SEC(".maps");

static __always_inline void remember(const struct wall_denied *d)
{
	const __u64 one = 1;
	__u64 *n = bpf_map_lookup_elem(&wall_denied, d);

	if (n)
		__sync_fetch_and_add(n, 1);
	else
		bpf_map_update_elem(&wall_denied, d, &one, BPF_ANY);
}

SEC("tc")
int immure_wall(struct __sk_buff *skb)
{
	const __u32 zero = 0;
	struct wall_config *c = bpf_map_lookup_elem(&wall_config, &zero);
	struct wall_rate *rate = bpf_map_lookup_elem(&wall_rates, &zero);
	struct wall_denied d = { 0 };
	__u64 *count;

	if (!c || !rate)
		return TC_ACT_SHOT;
	/* The kernel took a VLAN tag out of the frame before we saw it. */
	d.rule = skb->vlan_present ? WALL_ETHERTYPE : wall_judge(skb, c, &d.target);
	if (d.rule == WALL_PASS)
		d.rule = wall_rate(c, rate, wall_frames(skb->len, skb->gso_size), bpf_ktime_get_ns());
	count = bpf_map_lookup_elem(&wall_counts, &d.rule);
	if (count)
		__sync_fetch_and_add(count, 1);
	if (d.rule == WALL_PASS)
		return TC_ACT_OK;
	remember(&d);
	return TC_ACT_SHOT;
}

char wall_license[] SEC("license") = "Apache-2.0";
