/* SPDX-License-Identifier: Apache-2.0 */
/* bad_data.bpf.c: for tests/unit/bpf.c: refused, it has data of its own. */
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

static volatile int total;

SEC("tc")
int program(struct __sk_buff *skb)
{
	total += (int)skb->len;
	return total;
}
