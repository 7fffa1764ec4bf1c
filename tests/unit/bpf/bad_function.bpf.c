/* SPDX-License-Identifier: Apache-2.0 */
/* bad_function.bpf.c: for tests/unit/bpf.c: refused, it calls a function of the running kernel. */
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

extern int bpf_of_tomorrow(void) __ksym;

SEC("tc")
int program(struct __sk_buff *skb)
{
	(void)skb;
	return bpf_of_tomorrow();
}
