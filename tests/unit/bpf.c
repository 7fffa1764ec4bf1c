/* SPDX-License-Identifier: Apache-2.0 */
/* BPF programs on their way into the kernel: what bpfc makes of an object, and refuses, and what
 * the loader does with that.  The programs are in tests/unit/bpf/. */
#include "bpf/packets.c"
#include "jailer/bpf.c"

#include <criterion/criterion.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>

enum { CPUS_MAX = 1024 };

static void need_root(void)
{
	if (geteuid() != 0)
		cr_skip("needs root");
}

/* The descriptor of the map called @name. */
static int map_of(const struct bpf_loaded *l, const char *name)
{
	for (uint32_t i = 0; i < bpf_packets.nmaps; i++)
		if (strcmp(bpf_packets.map[i].name, name) == 0)
			return l->map[i];
	cr_assert(false, "no map %s", name);
	return -1;
}

static void put(int map, const void *key, uint32_t value)
{
	union bpf_attr attr = { .map_fd = (uint32_t)map };

	attr.key = (uint64_t)(uintptr_t)key;
	attr.value = (uint64_t)(uintptr_t)&value;
	cr_assert_eq(bpf(BPF_MAP_UPDATE_ELEM, &attr), 0);
}

/* A count, of all CPUs together. */
static uint64_t counted(int map, uint32_t which)
{
	static uint64_t cpu[CPUS_MAX];
	union bpf_attr attr = { .map_fd = (uint32_t)map };
	uint64_t sum = 0;

	memset(cpu, 0, sizeof(cpu));
	attr.key = (uint64_t)(uintptr_t)&which;
	attr.value = (uint64_t)(uintptr_t)cpu;
	cr_assert_eq(bpf(BPF_MAP_LOOKUP_ELEM, &attr), 0);
	for (size_t i = 0; i < array_len(cpu); i++)
		sum += cpu[i];
	return sum;
}

/* What @program answers to a frame from MAC address @mac with @to behind the header. */
static uint32_t answer(int program, uint8_t mac, const uint8_t to[4])
{
	uint8_t frame[64] = { 0 };
	union bpf_attr attr = { .test = { .prog_fd = (uint32_t)program } };

	frame[6] = mac;
	memcpy(frame + 14, to, 4);
	attr.test.data_in = (uint64_t)(uintptr_t)frame;
	attr.test.data_size_in = sizeof(frame);
	attr.test.repeat = 1;
	cr_assert_eq(bpf(BPF_PROG_TEST_RUN, &attr), 0);
	return attr.test.retval;
}

Test(bpf, an_image_is_the_object)
{
	static const struct bpf_map_image routes = {
		"routes", BPF_MAP_TYPE_LPM_TRIE, 8, 4, 8, BPF_F_NO_PREALLOC,
	};
	uint32_t found = 0;

	cr_assert_eq(bpf_packets.nmaps, 3);
	cr_assert_eq(bpf_packets.nprograms, 2);
	for (uint32_t i = 0; i < bpf_packets.nmaps; i++)
		found += memcmp(&bpf_packets.map[i], &routes, sizeof(routes)) == 0;
	cr_expect_eq(found, 1);
	for (uint32_t i = 0; i < bpf_packets.nprograms; i++)
		cr_expect_eq(bpf_packets.program[i].type, BPF_PROG_TYPE_SCHED_CLS);
	cr_expect_str_eq(bpf_packets.program[0].name, "out");
	cr_expect_str_eq(bpf_packets.program[1].name, "in");
}

Test(bpf, programs_and_their_maps_work)
{
	static const uint8_t near[4] = { 10, 1, 2, 3 }, far[4] = { 8, 8, 8, 8 };
	static const struct { uint32_t bits; uint8_t byte[4]; } ten = { 8, { 10 } };
	static const uint64_t own = 7;
	struct bpf_loaded l;
	int counts;

	need_root();
	cr_assert_eq(bpf_load(&bpf_packets, NULL, &l), 0);
	counts = map_of(&l, "counts");
	cr_expect_eq(answer(l.program[0], 7, near), 2, "nothing is allowed yet");
	put(map_of(&l, "macs"), &own, 1);
	cr_expect_eq(answer(l.program[0], 7, near), 2);
	put(map_of(&l, "routes"), &ten, 1);
	cr_expect_eq(answer(l.program[0], 7, near), 0);
	cr_expect_eq(answer(l.program[0], 7, far), 2);
	cr_expect_eq(answer(l.program[0], 8, near), 2);
	cr_expect_eq(answer(l.program[1], 8, far), 0);
	cr_expect_eq(counted(counts, 0), 2);
	cr_expect_eq(counted(counts, 1), 2);
	cr_expect_eq(counted(counts, 2), 1);
	cr_expect_eq(counted(counts, 3), 1, "both programs count in one map");
	bpf_close(&bpf_packets, &l);
}

static int open_descriptors(void)
{
	DIR *d = opendir("/proc/self/fd");
	int n = 0;

	cr_assert_not_null(d);
	while (readdir(d) != NULL)
		n++;
	closedir(d);
	return n;
}

Test(bpf, what_was_loaded_can_be_let_go)
{
	int before = open_descriptors();
	struct bpf_loaded l;

	need_root();
	cr_assert_eq(bpf_load(&bpf_packets, NULL, &l), 0);
	cr_expect_eq(open_descriptors(), before + 5);
	for (uint32_t i = 0; i < bpf_packets.nmaps; i++)
		cr_expect_eq(fcntl(l.map[i], F_GETFD), FD_CLOEXEC);
	for (uint32_t i = 0; i < bpf_packets.nprograms; i++)
		cr_expect_eq(fcntl(l.program[i], F_GETFD), FD_CLOEXEC);
	bpf_close(&bpf_packets, &l);
	cr_expect_eq(open_descriptors(), before);
}

Test(bpf, a_constant_of_no_map_leaves_nothing)
{
	static const uint64_t value;
	const struct bpf_constant nowhere = { "nowhere", &value };
	int before = open_descriptors();
	struct bpf_loaded l;

	need_root();
	cr_expect_eq(bpf_load(&bpf_packets, &nowhere, &l), -ENOENT);
	cr_expect_eq(open_descriptors(), before);
}

Test(bpf, a_refused_program_leaves_nothing)
{
	/* Reads what nobody wrote: the verifier says no. */
	static const struct bpf_insn wild[] = { { BPF_ALU64 | BPF_MOV | BPF_X, 0, 5, 0, 0 },
						{ BPF_JMP | BPF_EXIT, 0, 0, 0, 0 } };
	struct bpf_program_image program[2] = { bpf_packets.program[0], bpf_packets.program[1] };
	struct bpf_image b = { 3, 2, bpf_packets.map, program };
	int before = open_descriptors();
	struct bpf_loaded l;

	need_root();
	program[1].insns = wild;
	program[1].ninsns = array_len(wild);
	cr_expect_eq(bpf_load(&b, NULL, &l), -EACCES);
	cr_expect_eq(open_descriptors(), before);
	for (uint32_t i = 0; i < b.nmaps; i++)
		cr_expect_lt(l.map[i], 0);
}

/* ---- bpfc ---- */

/* Runs bpfc on build/gen/bpf/@name.o.  Its exit status; what it said is in @said. */
static int compile(const char *name, char *said, size_t size)
{
	char self[512], tool[600], object[600];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	size_t len = 0;
	int fds[2], status = -1;
	pid_t pid;

	cr_assert(n > 0 && pipe(fds) == 0);
	self[n] = 0;
	for (int up = 0; up < 2; up++)		/* build/unit/bpf */
		*strrchr(self, '/') = 0;
	snprintf(tool, sizeof(tool), "%s/bin/bpfc", self);
	snprintf(object, sizeof(object), "%s/gen/bpf/%s.o", self, name);
	pid = fork();
	if (pid == 0) {
		dup2(open("/dev/null", O_WRONLY), 1);
		dup2(fds[1], 2);
		execl(tool, tool, name, object, NULL);
		_exit(99);
	}
	close(fds[1]);
	while (len < size - 1 && (n = read(fds[0], said + len, size - 1 - len)) > 0)
		len += (size_t)n;
	said[len] = 0;
	close(fds[0]);
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

Test(bpf, bpfc_takes_what_can_be_loaded_as_it_is)
{
	char said[512];

	cr_expect_eq(compile("packets", said, sizeof(said)), 0, "%s", said);
	cr_expect_str_eq(said, "");
}

Test(bpf, bpfc_refuses_by_name_what_cannot)
{
	static const struct { const char *object, *says; } all[] = {
		{ "bad_data", "data of its own" },
		{ "bad_types", "types of the running kernel" },
		{ "bad_function", "only the running kernel can name" },
		{ "bad_nested", "map outer: a kind" },
		{ "bad_name", "name a_name_of_sixteen" },
		{ "bad_empty", "0 programs" },
		{ "bad_absent", "libbpf does not take it" },
	};
	char said[512];

	for (size_t i = 0; i < array_len(all); i++) {
		cr_expect_eq(compile(all[i].object, said, sizeof(said)), 1, "%s", all[i].object);
		cr_expect_not_null(strstr(said, all[i].says), "%s: %s", all[i].object, said);
	}
}
