/* SPDX-License-Identifier: Apache-2.0 */
/* bad_types.bpf.c: for tests/unit/bpf.c: refused, it reads a structure of the running kernel. */
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

struct sock {
	int sk_mark;
} __attribute__((preserve_access_index));

SEC("tc")
int program(struct __sk_buff *skb)
{
	struct sock *sk = (void *)(long)skb->len;

	return __builtin_preserve_access_index(&sk->sk_mark) != 0;
}
