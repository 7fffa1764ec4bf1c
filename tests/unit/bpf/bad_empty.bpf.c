/* SPDX-License-Identifier: Apache-2.0 */
/* bad_empty.bpf.c: for tests/unit/bpf.c: refused, there is no program in it. */
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} alone SEC(".maps");
