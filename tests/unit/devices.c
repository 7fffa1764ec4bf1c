/* SPDX-License-Identifier: Apache-2.0 */
/* LIBS: -ljansson */
/* Device control: from within the cgroup nothing can be opened or made, what is open works on,
 * and the processes of a real VM are in such a cgroup. */
#include "jailer/cgroup.c"
#include "bpf/devices.c"
#include "jailer/bpf.c"
#include "jailer/devices.c"
#include "jailer/failure.c"
#include "jailer/path.c"
#include "tests/unit/forked.h"
#include "tests/unit/jail_rig.h"

#include <linux/capability.h>

struct denied {
	char path[96];
	int dir, zero;			/* /dev/zero, opened outside */
	bool v2;
};

static struct denied denied_make(bool v2)
{
	struct denied g = { .v2 = v2 };
	struct statfs fs;
	const char *root = "/sys/fs/cgroup/devices";

	if (geteuid() != 0)
		cr_skip("needs root");
	if (v2)
		root = statfs("/sys/fs/cgroup", &fs) == 0 && fs.f_type == CGROUP2_SUPER_MAGIC
			? "/sys/fs/cgroup" : "/sys/fs/cgroup/unified";
	if (access(root, F_OK) != 0)
		cr_skip("this host has no %s", root);
	snprintf(g.path, sizeof(g.path), "%s/devices-test-%d", root, (int)getpid());
	cr_assert_eq(mkdir(g.path, 0755), 0);
	g.dir = open(g.path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	g.zero = open("/dev/zero", O_RDONLY | O_CLOEXEC);
	cr_assert(g.dir >= 0 && g.zero >= 0);
	return g;
}

static void denied_remove(struct denied *g)
{
	close(g->dir);
	close(g->zero);
	cr_assert_eq(rmdir(g->path), 0);
}

static bool refused(int rc)
{
	return rc < 0 && errno == EPERM;
}

enum { OPENED = 1, MADE, BROKE_WHAT_WAS_OPEN, NOT_IN_THE_GROUP };

/* A process that enters the group, as one born there, and tries. */
static int try_devices(void *arg)
{
	const struct denied *g = arg;
	char byte;

	if (put(g->dir, g->v2 ? "cgroup.procs" : "tasks", "0") != 0)
		return NOT_IN_THE_GROUP;
	if (!refused(open("/dev/null", O_WRONLY)) || !refused(open("/dev/zero", O_RDONLY)))
		return OPENED;
	if (!refused(mknod("/tmp/denied-null", S_IFCHR | 0600, makedev(1, 3))) ||
	    !refused(mknod("/tmp/denied-disk", S_IFBLK | 0600, makedev(8, 0))))
		return MADE;
	return read(g->zero, &byte, 1) == 1 ? 0 : BROKE_WHAT_WAS_OPEN;
}

static int enter_and_deny_v1(void *arg)
{
	struct denied *g = arg;

	return devices_deny_v1(g->dir) != 0 ? NOT_IN_THE_GROUP : try_devices(arg);
}

static uint32_t programs(const struct denied *g)
{
	union bpf_attr attr = { 0 };
	uint32_t ids[4];

	attr.query.target_fd = (uint32_t)g->dir;
	attr.query.attach_type = BPF_CGROUP_DEVICE;
	attr.query.prog_ids = (uint64_t)(uintptr_t)ids;
	attr.query.prog_cnt = array_len(ids);
	cr_assert_eq(bpf(BPF_PROG_QUERY, &attr), 0);
	return attr.query.prog_cnt;
}

Test(devices, v2_nothing_is_opened_or_made_in_the_group)
{
	struct denied g = denied_make(true);

	/* Without the program the same attempts succeed: it is what refuses them. */
	cr_expect_eq(forked(try_devices, &g), OPENED);
	cr_expect_eq(programs(&g), 0);
	cr_assert_eq(devices_deny(g.dir), 0);
	cr_expect_eq(programs(&g), 1);
	cr_expect_eq(forked(try_devices, &g), 0);
	denied_remove(&g);
}

Test(devices, v1_nothing_is_opened_or_made_in_the_group)
{
	struct denied g = denied_make(false);

	cr_expect_eq(forked(try_devices, &g), OPENED);
	cr_expect_eq(forked(enter_and_deny_v1, &g), 0);
	/* The next VM's jailer finds it as it is. */
	cr_expect_eq(forked(enter_and_deny_v1, &g), 0);
	cr_expect_eq(forked(try_devices, &g), 0);
	denied_remove(&g);
}

static int deny_as_a_user(void *arg)
{
	const struct denied *g = arg;

	if (setresuid(65534, 65534, 65534) < 0)
		return 1;
	return devices_deny(g->dir) == -EPERM ? 0 : 2;
}

static int deny_as_the_jailer(void *arg)
{
	const struct denied *g = arg;
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct sets[2] = { { 0 } };

	sets[0].permitted = sets[0].effective = 1u << CAP_SYS_ADMIN;
	if (syscall(SYS_capset, &head, sets) < 0)
		return 1;
	return devices_deny(g->dir) == 0 ? 0 : 2;
}

Test(devices, the_one_capability_of_the_jailer_is_enough)
{
	struct denied g = denied_make(true);

	cr_expect_eq(forked(deny_as_the_jailer, &g), 0);
	cr_expect_eq(programs(&g), 1);
	denied_remove(&g);
}

Test(devices, a_user_is_told_so)
{
	struct denied g = denied_make(true);

	cr_expect_eq(forked(deny_as_a_user, &g), 0);
	denied_remove(&g);
	cr_expect_eq(devices_deny(-1), -EBADF);
	cr_expect_eq(devices_deny_v1(-1), -EBADF);
}

/* The v1 cgroup of @pid in the hierarchy of the devices controller. */
static const char *group_of(pid_t pid)
{
	static char path[256];
	char file[64], text[2048];

	snprintf(file, sizeof(file), "/proc/%d/cgroup", (int)pid);
	cr_assert_eq(read_file(file, text, sizeof(text)), 0);
	cr_assert(cgroup_find(text, "devices", path, sizeof(path)));
	return path;
}

Test(devices, every_process_of_a_vm_is_denied_all, .timeout = 60)
{
	struct rig r = rig_make(0);
	char list[8], home[256];

	if (access("/sys/fs/cgroup/devices", F_OK) != 0)
		cr_skip("this host has no devices controller of cgroup v1");
	snprintf(home, sizeof(home), "%s", group_of(getpid()));
	rig_start(&r, rig_config(&r, "idle", ""));
	rig_running(&r);
	for (unsigned i = 0; i < r.nprocs; i++)
		cr_expect_str_eq(group_of(r.pid[i]), "/immure", "process %u", i);
	cr_expect_str_eq(group_of(r.jailer), home);
	cr_assert_eq(read_file("/sys/fs/cgroup/devices/immure/devices.list", list, sizeof(list)), 0);
	cr_expect_str_eq(list, "");
	close(r.client);
	r.client = -1;
	cr_assert_eq(waitpid(r.jailer, NULL, 0), r.jailer);
	rig_nothing_left(&r);
	rig_remove(&r);
}
