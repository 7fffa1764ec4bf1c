/* SPDX-License-Identifier: Apache-2.0 */
/* LIBS: -ljansson */
/* What `immure walls` says of devices in a cgroup of version 2: only the jailer's own program, on
 * the VM's own cgroup, counts. */
#include "cli/walls_devices.c"
#include "cli/say.c"
#include "cli/walls_text.c"
#include "bpf/devices.c"
#include "jailer/bpf.c"
#include "jailer/devices.c"
#include "jailer/path.c"

#include <criterion/criterion.h>
#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/statfs.h>

static char path[320];
static struct walls_host host;
static struct walls_vm vm;

static void make_group(void)
{
	const char *root = "/sys/fs/cgroup";
	struct statfs fs;

	if (geteuid() != 0)
		cr_skip("needs root");
	if (statfs(root, &fs) != 0 || fs.f_type != CGROUP2_SUPER_MAGIC)
		root = "/sys/fs/cgroup/unified";
	if (access(root, F_OK) != 0)
		cr_skip("this host has no cgroup version 2");
	host.cgroup = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	snprintf(vm.cgroup, sizeof(vm.cgroup), "/walls-test-%d", (int)getpid());
	snprintf(path, sizeof(path), "%s%s", root, vm.cgroup);
	cr_assert_eq(mkdir(path, 0755), 0);
}

static void remove_group(void)
{
	if (path[0] != 0)
		rmdir(path);
}

TestSuite(walls_devices, .init = make_group, .fini = remove_group);

static int group(void)
{
	int fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);

	cr_assert_geq(fd, 0);
	return fd;
}

static const char *says(void)
{
	static struct walls_limit l;

	l = (struct walls_limit){ .err = 0 };
	version_2(&host, &vm, &l);
	cr_assert_eq(l.err, 0, "%s", strerror(l.err));
	return l.text;
}

Test(walls_devices, the_jailers_program_denies_all)
{
	int dir = group();

	cr_expect_str_eq(says(), "not limited");
	cr_assert_eq(devices_deny(dir), 0);
	cr_expect_str_eq(says(), WALLS_DENIED);
	close(dir);
}

Test(walls_devices, another_program_is_not_relied_on)
{
	static const struct bpf_insn allow[] = { { BPF_ALU64 | BPF_MOV | BPF_K, 0, 0, 0, 1 },
						 { BPF_JMP | BPF_EXIT, 0, 0, 0, 0 } };
	const struct bpf_program_image program = {
		"allows_all", BPF_PROG_TYPE_CGROUP_DEVICE, BPF_CGROUP_DEVICE, 2, allow,
	};
	const struct bpf_image image = { 0, 1, NULL, &program };
	struct bpf_loaded l;
	int dir = group();

	cr_assert_eq(bpf_load(&image, NULL, &l), 0);
	cr_assert_eq(bpf_attach(l.program[0], dir, BPF_CGROUP_DEVICE), 0);
	cr_expect_str_eq(says(), "decided by a program that is not immure's");
	bpf_close(&image, &l);
	close(dir);
}
