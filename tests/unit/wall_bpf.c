/* SPDX-License-Identifier: Apache-2.0 */
/* The packet wall in the kernel answers as the one in a process does: the same rules, compiled
 * twice, on eighty thousand frames, most of them altered. */
#include "bpf/wall.c"
#include "policy/bpf/wall_model.c"
#include "jailer/bpf.c"

#include "tests/unit/wall.h"

#include <criterion/criterion.h>
#include <linux/pkt_cls.h>
#include <time.h>

enum { TCP = 6, UDP = 17, ICMP = 1, ICMP6 = 58, ROUNDS = 20000 };

static struct bpf_loaded loaded;
static struct wall w;
static const struct wall_offload nothing;

static int map_of(const char *name)
{
	for (uint32_t i = 0; i < bpf_wall.nmaps; i++)
		if (strcmp(bpf_wall.map[i].name, name) == 0)
			return loaded.map[i];
	cr_assert(false, "no map %s", name);
	return -1;
}

static int put(const char *map, uint32_t key, const void *value)
{
	union bpf_attr attr = { .map_fd = (uint32_t)map_of(map) };

	attr.key = (uint64_t)(uintptr_t)&key;
	attr.value = (uint64_t)(uintptr_t)value;
	return bpf(BPF_MAP_UPDATE_ELEM, &attr);
}

static int get(const char *map, const void *key, void *value)
{
	union bpf_attr attr = { .map_fd = (uint32_t)map_of(map) };

	attr.key = (uint64_t)(uintptr_t)key;
	attr.value = (uint64_t)(uintptr_t)value;
	return bpf(BPF_MAP_LOOKUP_ELEM, &attr);
}

static void start(void)
{
	if (geteuid() != 0)
		cr_skip("needs root");
	memset(&loaded, 0xff, sizeof(loaded));
	w = (struct wall){ .config = usual };
}

TestSuite(wall_bpf, .init = start);

/* As jailer/wall.c does: the program is another one for each configuration. */
static void configure(void)
{
	const struct bpf_constant rules = { "wall_config", &w.config };
	int rc;

	cr_assert(wall_config_ok(&w.config));
	bpf_close(&bpf_wall, &loaded);
	rc = bpf_load(&bpf_wall, &rules, &loaded);
	cr_assert_eq(rc, 0, "the kernel refuses the program: %s", strerror(-rc));
}

/* What the kernel does with @f, to be cut into pieces of @gso_size. */
static uint32_t answer_cut(const struct frame *f, uint32_t gso_size)
{
	union bpf_attr attr = { .test = { .prog_fd = (uint32_t)loaded.program[0] } };
	const struct __sk_buff skb = { .gso_size = gso_size };

	attr.test.data_in = (uint64_t)(uintptr_t)f->b;
	attr.test.data_size_in = f->len;
	attr.test.ctx_in = (uint64_t)(uintptr_t)&skb;
	attr.test.ctx_size_in = sizeof(skb);
	attr.test.repeat = 1;
	cr_assert_eq(bpf(BPF_PROG_TEST_RUN, &attr), 0);
	return attr.test.retval;
}

static uint32_t answer(const struct frame *f)
{
	return answer_cut(f, 0);
}

/* Both say the same of @f, and count it under the same rule. */
static void same(const struct frame *f)
{
	struct wall_denied d = { 0 };
	uint64_t before = 0, after = 0, refused = 0;
	uint32_t rule = wall_frame_check(&w, f->b, f->len, &nothing, 0, &d.target);

	get("wall_counts", &rule, &before);
	cr_assert_eq(answer(f), (uint32_t)(rule == WALL_PASS ? TC_ACT_OK : TC_ACT_SHOT), "%s",
		     wall_rule_name((enum wall_rule)rule));
	get("wall_counts", &rule, &after);
	cr_assert_eq(after, before + 1, "counted under another rule than %s", wall_rule_name((enum wall_rule)rule));
	d.rule = rule;
	if (rule != WALL_PASS)
		cr_assert(get("wall_denied", &d, &refused) == 0 && refused > 0, "the target is remembered");
}

static struct frame seed(unsigned i)
{
	switch (i % 12) {
	case 0: return arp(1, VM_IP4);
	case 1: return arp(2, "10.9.0.1");
	case 2: return ports(ip4(VM_IP4, "10.1.2.3", TCP), 40000, 443);
	case 3: return ports(ip4(VM_IP4, "192.0.2.17", UDP), 67, 5000);
	case 4: return icmp(ip4(VM_IP4, "169.254.169.254", ICMP), 8);
	case 5: return ip4("10.9.0.7", "192.0.2.1", 47);
	case 6: return icmp(ip4(VM_IP4, "127.0.0.1", ICMP), 5);
	case 7: return ports(ip6(VM_IP6, "2001:db8::1", TCP), 1, 80);
	case 8: return icmp(ip6(VM_LINK_LOCAL, "ff02::1", ICMP6), 136);
	case 9: return icmp(ip6("::", "ff02::1:ff00:2", ICMP6), 135);
	case 10: return ip6(VM_IP6, "::1", 44);
	default: return ethernet(0x8100, 60);
	}
}

/* Changes a few bytes where headers are, more often to values that mean something. */
static void alter(struct frame *f)
{
	static const uint8_t words[] = { 0, 1, 4, 5, 6, 8, 17, 43, 44, 58, 64, 67, 127, 133, 134, 136, 169, 254, 255 };

	for (int n = rand() % 3; n > 0; n--) {
		uint8_t *b = &f->b[(unsigned)rand() % 80];

		*b = rand() % 2 ? words[(unsigned)rand() % array_len(words)] : (uint8_t)rand();
	}
	if (rand() % 8 == 0)
		f->len = 54 + (uint32_t)rand() % 10;	/* the kernel tries none without an IP header */
}

static void allow(unsigned i, uint32_t addr, uint32_t mask, unsigned proto, unsigned first, unsigned last)
{
	w.config.allow[i] = (struct wall_allow){
		.addr = { htonl(addr) }, .mask = { htonl(mask) }, .version = 4, .proto = (uint8_t)proto,
		.port = (uint16_t)first, .port_last = (uint16_t)last,
	};
	w.config.flags |= WALL_HAS_ALLOW;
}

Test(wall_bpf, agrees_about_altered_frames)
{
	srand(1);
	for (unsigned c = 0; c < 4; c++) {
		if (c == 1) {
			for (unsigned i = 0; i < WALL_ALLOW_MAX - 1; i++)
				allow(i, 0x0a000000, 0xff000000, 0, 443, 443);
			allow(WALL_ALLOW_MAX - 1, 0xc0000210, 0xfffffff0, UDP, 5000, 5009);
		} else if (c == 2) {
			w.config.flags = 0;
		} else if (c == 3) {
			w.config.flags = WALL_HAS_IP6;
		}
		configure();
		for (unsigned i = 0; i < ROUNDS; i++) {
			struct frame f = seed(i);

			alter(&f);
			same(&f);
		}
	}
	/* The kernel's trial run has no frame with an open checksum: see wall_tap.c. */
	for (int rule = 0; rule < WALL_CHECKSUM; rule++)
		cr_assert_gt(w.counts[rule], 20, "%s was hardly met", wall_rule_name((enum wall_rule)rule));
}

/* As many lines as there are, with both kinds of addresses, is the most that the verifier has to walk. */
Test(wall_bpf, allows_by_any_number_of_lines)
{
	struct frame f = seed(2);

	for (unsigned i = 0; i <= WALL_ALLOW_MAX; i++) {
		if (i > 0)
			allow(i - 1, i == WALL_ALLOW_MAX ? 0x0a000000 : 0xc0000000, 0xff000000, TCP, 443, 443);
		w.config.flags |= WALL_HAS_ALLOW;
		configure();
		cr_assert_eq(answer(&f), (uint32_t)(i == WALL_ALLOW_MAX ? TC_ACT_OK : TC_ACT_SHOT), "%u", i);
	}
}

Test(wall_bpf, has_rules_that_nobody_changes)
{
	configure();
	cr_assert_eq(put("wall_config", 0, &w.config), -EPERM);
}

Test(wall_bpf, keeps_a_rate)
{
	struct frame f = seed(2);
	uint64_t refused = 0;
	const uint32_t rule = WALL_RATE;

	w.config.rate = 10;	/* one in a tenth of a second */
	configure();
	for (int i = 0; i < 1000; i++)
		refused += answer(&f) == TC_ACT_SHOT;
	cr_assert_gt(refused, 0);
	cr_assert_lt(refused, 1000);
	get("wall_counts", &rule, &w.counts[rule]);
	cr_assert_eq(w.counts[rule], refused);
}

static uint64_t tick_now(void)
{
	struct timespec t;

	cr_assert_eq(clock_gettime(CLOCK_MONOTONIC, &t), 0);
	return ((uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec) / WALL_TICK_NS;
}

/* In the kernel as in the model; within one tenth of a second. */
Test(wall_bpf, counts_a_frame_that_is_cut_as_what_it_becomes)
{
	static const uint32_t sizes[] = { 0, 1, 49, 50, 1999, 2000, 65535 };
	struct frame f = seed(2);

	f.len = 2000;
	w.config.rate = 1000000;
	configure();
	for (size_t i = 0; i < array_len(sizes); i++) {
		const struct wall_offload cut = { .gso_size = sizes[i] };
		struct wall_rate rate;
		struct wall_target t;
		const uint32_t zero = 0;
		uint64_t tick;

		do {
			tick = tick_now();
			rate.passed = w.rate.passed = wall_due(w.config.rate, tick) + 5;
			cr_assert_eq(put("wall_rates", 0, &rate), 0);
			cr_assert_eq(answer_cut(&f, sizes[i]), (uint32_t)TC_ACT_OK);
			cr_assert_eq(get("wall_rates", &zero, &rate), 0);
		} while (tick != tick_now());
		cr_assert_eq(wall_frame_check(&w, f.b, f.len, &cut, tick * WALL_TICK_NS, &t), WALL_PASS);
		cr_assert_eq(rate.passed, w.rate.passed, "%u", sizes[i]);
	}
}
