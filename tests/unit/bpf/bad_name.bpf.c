/* SPDX-License-Identifier: Apache-2.0 */
/* bad_name.bpf.c: for tests/unit/bpf.c: refused, the name of its map is too long for the kernel. */
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} a_name_of_sixteen SEC(".maps");

SEC("tc")
int program(struct __sk_buff *skb)
{
	__u32 key = skb->len;

	return bpf_map_lookup_elem(&a_name_of_sixteen, &key) != 0;
}
