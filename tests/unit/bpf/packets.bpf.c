/* SPDX-License-Identifier: Apache-2.0 */
/* packets.bpf.c: for tests/unit/bpf.c: two programs that share maps of three kinds, with a
 * function that is not inlined: all that a filter of packets needs of bpfc and of the loader. */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/pkt_cls.h>

#include <bpf/bpf_helpers.h>

struct address {
	__u32 bits;
	__u8 byte[4];
};

struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(max_entries, 8);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct address);
	__type(value, __u32);
} routes SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 8);
	__type(key, __u64);
	__type(value, __u32);
} macs SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 4);
	__type(key, __u32);
	__type(value, __u64);
} counts SEC(".maps");

static __attribute__((noinline)) int count(__u32 which, int verdict)
{
	__u64 *n = bpf_map_lookup_elem(&counts, &which);

	if (n)
		(*n)++;
	return verdict;
}

SEC("tc")
int out(struct __sk_buff *skb)
{
	struct address to = { 32, { 0 } };
	__u64 mac = 0;

	if (bpf_skb_load_bytes(skb, ETH_ALEN, &mac, ETH_ALEN) < 0 ||
	    !bpf_map_lookup_elem(&macs, &mac))
		return count(0, TC_ACT_SHOT);
	if (bpf_skb_load_bytes(skb, ETH_HLEN, to.byte, sizeof(to.byte)) < 0 ||
	    !bpf_map_lookup_elem(&routes, &to))
		return count(1, TC_ACT_SHOT);
	return count(2, TC_ACT_OK);
}

SEC("tc")
int in(struct __sk_buff *skb)
{
	(void)skb;
	return count(3, TC_ACT_OK);
}
