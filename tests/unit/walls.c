/* SPDX-License-Identifier: Apache-2.0 */
/* LIBS: -ljansson -lcap-ng */
/* `immure walls` on a /proc that the test wrote: what it finds, and what hostile text does to it. */
#include "cli/walls_caps.c"
#include "cli/walls_cgroup.c"
#include "cli/walls_devices.c"
#include "cli/walls_fds.c"
#include "cli/walls_find.c"
#include "cli/walls_json.c"
#include "cli/walls_judge.c"
#include "cli/walls_judge_fds.c"
#include "cli/walls_parse.c"
#include "cli/walls_process.c"
#include "cli/walls_text.c"
#include "core/guestmem.c"
#include "jailer/capabilities.c"
#include "jailer/cgroup.c"
#include "jailer/config.c"
#include "jailer/config_user.c"
#include "jailer/config_wall.c"
#include "jailer/wall_text.c"
#include "bpf/devices.c"
#include "jailer/bpf.c"
#include "jailer/mac.c"
#include "jailer/devices.c"
#include "jailer/failure.c"
#include "jailer/path.c"
#include "jailer/plan.c"
#include "jailer/plan_print.c"
#include "cli/say.c"

#include <criterion/criterion.h>

#include <signal.h>
#include <sys/wait.h>

/* ---- a /proc of our own ---- */

static char base[64];
static struct walls_host host;
static struct walls_vm vm;

static void put_file(const char *path, const char *text)
{
	char full[256];
	FILE *f;

	snprintf(full, sizeof(full), "%s/%s", base, path);
	f = fopen(full, "we");
	cr_assert_not_null(f, "%s", full);
	cr_assert(fputs(text, f) >= 0 && fclose(f) == 0);
}

static void put_link(const char *path, const char *text)
{
	char full[256];

	snprintf(full, sizeof(full), "%s/%s", base, path);
	unlink(full);
	cr_assert_eq(symlink(text, full), 0, "%s", full);
}

static void put_dir(const char *path)
{
	char full[256];

	snprintf(full, sizeof(full), "%s/%s", base, path);
	cr_assert(mkdir(full, 0700) == 0 || errno == EEXIST, "%s", full);
}

#define STATUS(name, ppid, id, nspid, threads)                                                    \
	"Name:\t" name "\nState:\tS (sleeping)\nPPid:\t" ppid "\nTracerPid:\t0\n"                 \
	"Uid:\t" id "\t" id "\t" id "\t" id "\nGid:\t" id "\t" id "\t" id "\t" id "\nGroups:\t \n" \
	"NSpid:\t" nspid "\nThreads:\t" threads "\n"                                              \
	"CapInh:\t0000000000000000\nCapPrm:\t0000000000000000\nCapEff:\t0000000000000000\n"        \
	"CapBnd:\t0000000000000000\nCapAmb:\t0000000000000000\nNoNewPrivs:\t1\nSeccomp:\t2\n"      \
	"Seccomp_filters:\t2\n"

static const char good_limits[] =
	"Limit                     Soft Limit           Hard Limit           Units     \n"
	"Max file size             0                    0                    bytes     \n"
	"Max core file size        0                    0                    bytes     \n"
	"Max processes             1                    1                    processes \n"
	"Max open files            9                    9                    files     \n"
	"Max locked memory         0                    0                    bytes     \n"
	"Max address space         unlimited            unlimited            bytes     \n"
	"Max msgqueue size         0                    0                    bytes     \n"
	"Max nice priority         0                    0                    \n"
	"Max realtime priority     0                    0                    \n";
static const char good_mounts[] =
	"68 43 0:40 / / ro,nosuid,nodev,noexec,relatime,nosymfollow - tmpfs immure ro,size=4k\n";

/* One process, @pid, with namespaces of the VM except its own user and cgroup. */
static void put_process(const char *pid, const char *status, const char *program)
{
	static const char *const dirs[] = { "", "/ns", "/fd", "/fdinfo", "/task", "/root" };
	char path[64], text[64];

	for (size_t i = 0; i < array_len(dirs); i++) {
		snprintf(path, sizeof(path), "%s%s", pid, dirs[i]);
		put_dir(path);
	}
	for (unsigned i = 0; i < WALLS_NS; i++) {
		snprintf(path, sizeof(path), "%s/ns/%s", pid, walls_ns_names[i]);
		snprintf(text, sizeof(text), "%s:[%s%u]", walls_ns_names[i],
			 i == WALLS_USER || i == WALLS_CGROUP ? pid : "900", i);
		put_link(path, text);
	}
#define PUT(file, what) (snprintf(path, sizeof(path), "%s/" file, pid), put_file(path, what))
	PUT("status", status);
	PUT("limits", good_limits);
	PUT("mountinfo", good_mounts);
	PUT("uid_map", "2000000000 2000000000 1\n");
	PUT("environ", "");
	PUT("cgroup", "3:memory:/immure/web\n2:devices:/immure\n0::/\n");
	snprintf(path, sizeof(path), "%s/task/%s", pid, pid);
	put_dir(path);
	snprintf(path, sizeof(path), "%s/task/%s/status", pid, pid);
	put_file(path, status);
	snprintf(path, sizeof(path), "%s/exe", pid);
	snprintf(text, sizeof(text), "/lib/%s", program);
	put_link(path, text);
}

static void put_fd(const char *pid, unsigned number, const char *target)
{
	char path[64];

	snprintf(path, sizeof(path), "%s/fd/%u", pid, number);
	put_link(path, target);
	snprintf(path, sizeof(path), "%s/fdinfo/%u", pid, number);
	put_file(path, "pos:\t0\nflags:\t0100002\nmnt_id:\t1\nino:\t77\n");
}

static void open_host(void)
{
	host = (struct walls_host){ .cgroup = -1 };
	host.proc = open(base, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	for (unsigned i = 0; i < WALLS_NS; i++)
		host.ns[i] = 1 + i;
}

/* A VM with one disk, of which nothing is weaker than planned but its root directory, which no
 * test can make read-only. */
static void make_vm(void)
{
	snprintf(base, sizeof(base), "/tmp/walls-XXXXXX");
	cr_assert_not_null(mkdtemp(base));
	put_process("100", STATUS("immure-jailer", "1", "0", "100", "1"), "immure-jailer");
	put_process("101", STATUS("immure-vmm", "100", "2000000000", "101\t1", "1"), "immure-vmm");
	put_process("102", STATUS("immure-blk", "100", "2000000001", "102\t2", "1"), "immure-blk");
	put_process("7", STATUS("bash", "1", "0", "7", "1"), "bash");
	put_fd("101", FD_LOG, "pipe:[1]");
	put_fd("101", VMM_VM, "anon_inode:kvm-vm");
	put_fd("101", VMM_VCPU0, "anon_inode:kvm-vcpu:0");
	put_fd("102", FD_LOG, "pipe:[2]");
	put_fd("102", BLK_DISK, "/proc/self/exe");
	put_dir("cg");
	put_dir("cg/memory");
	put_dir("cg/pids");
	put_dir("cg/devices");
	put_dir("cg/devices/immure");
	put_file("cg/devices/immure/devices.list", "");
	put_dir("cg/memory/immure");
	put_dir("cg/pids/immure");
	put_dir("cg/memory/immure/web");
	put_dir("cg/pids/immure/web");
	put_file("cg/memory/immure/web/memory.limit_in_bytes", "1048576\n");
	put_file("cg/pids/immure/web/pids.max", "4\n");
	open_host();
	host.cgroup = openat(host.proc, "cg", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static void remove_vm(void)
{
	char command[96];

	walls_free(&vm);
	vm = (struct walls_vm){ .n = 0 };
	close(host.proc);
	close(host.cgroup);
	snprintf(command, sizeof(command), "%s", base);
	if (fork() == 0) {
		execl("/bin/rm", "rm", "-rf", "--", command, (char *)NULL);
		_exit(1);
	}
	wait(NULL);
}

static void look_again(void)
{
	walls_free(&vm);
	walls_read(&host, 100, &vm);
	walls_judge(&host, &vm);
}

static bool among(const struct walls_notes *notes, const char *process, const char *what)
{
	for (size_t i = 0; i < notes->n; i++)
		if (strcmp(notes->note[i].process, process) == 0 &&
		    strstr(notes->note[i].what, what) != NULL)
			return notes->note[i].means[0] != 0;
	return false;
}

/* Everything found, but for the root directories. */
static unsigned weaker(void)
{
	unsigned n = 0;

	for (size_t i = 0; i < vm.weaker.n; i++)
		n += strstr(vm.weaker.note[i].what, "not read-only") == NULL;
	return n;
}

TestSuite(walls, .init = make_vm, .fini = remove_vm);

Test(walls, a_vm_is_found_and_named_and_stands)
{
	pid_t pid[4];

	cr_assert_eq(walls_supervisors(&host, pid, 4), 1);
	cr_assert_eq(pid[0], 100);
	look_again();
	cr_assert_str_eq(vm.name, "web");
	cr_assert(vm.root && !vm.gone);
	cr_assert_eq(vm.n, 3);
	cr_assert_str_eq(vm.proc[1].name, "vmm");
	cr_assert_str_eq(vm.proc[2].name, "blk0");
	cr_assert_eq(weaker(), 0, "%s: %s", vm.weaker.note[0].process, vm.weaker.note[0].what);
	cr_assert_eq(vm.weaker.n, 3);
	cr_assert_eq(vm.unread.n, 0, "%s: %s", vm.unread.note[0].process, vm.unread.note[0].what);
	cr_assert_str_eq(walls_share(&host, &vm, &vm.proc[2], WALLS_NET), "vm");
	cr_assert_str_eq(walls_share(&host, &vm, &vm.proc[2], WALLS_USER), "own");
	cr_assert_eq(vm.proc[2].dumpable, 0);
	cr_assert_eq(vm.nlimits, 3);
}

/* Each broken wall is one finding, of the process it belongs to. */
static void breaks(const char *process, const char *what)
{
	look_again();
	cr_assert(among(&vm.weaker, process, what), "%s: no '%s'", process, what);
	cr_assert_eq(weaker(), 1, "%u findings for '%s'", weaker(), what);
}

static void put_status(const char *from, const char *to)
{
	static const char good[] = STATUS("immure-blk", "100", "2000000001", "102\t2", "1");
	const char *at = strstr(good, from);
	char text[1024];

	cr_assert_not_null(at);
	snprintf(text, sizeof(text), "%.*s%s%s", (int)(at - good), good, to, at + strlen(from));
	put_file("102/status", text);
	put_file("102/task/102/status", text);
}

Test(walls, every_broken_wall_is_one_finding)
{
	put_status("Seccomp:\t2", "Seccomp:\t0");
	breaks("blk0", "filters, mode 0");
	put_status("filters:\t2", "filters:\t1");
	breaks("blk0", "1 of 2 system call filters");
	put_status("NoNewPrivs:\t1", "NoNewPrivs:\t0");
	breaks("blk0", "no_new_privs");
	put_status("CapEff:\t0000000000000000", "CapEff:\t0000000000201000");
	breaks("blk0", "effective capabilities: net_admin,sys_admin");
	put_status("CapBnd:\t0000000000000000", "CapBnd:\t8000000000000000");
	breaks("blk0", "bounding capabilities: 63");
	put_status("Threads:\t1", "Threads:\t2");
	breaks("blk0", "2 threads instead of 1");
	put_status("TracerPid:\t0", "TracerPid:\t7");
	breaks("blk0", "traced by process 7");
	put_status("Groups:\t", "Groups:\t4 24");
	breaks("blk0", "supplementary groups");
	put_status("Uid:\t2000000001\t2000000001\t2000000001\t2000000001",
		   "Uid:\t2000000000\t2000000000\t2000000000\t2000000000");
	breaks("blk0", "has the user id of vmm");
	put_status("Uid:\t2000000001\t2000000001\t2000000001", "Uid:\t2000000001\t2000000001\t0");
	breaks("blk0", "ids differ");
	put_status("Name:\timmure-blk", "Name:\timmure-blk");
	put_link("102/exe", "/bin/bash");
	breaks("blk0", "does not run the program");
	put_link("102/exe", "/lib/immure-blk (deleted)");
	put_file("102/uid_map", "0 0 4294967295\n");
	breaks("blk0", "4294967295 user ids mapped");
	put_file("102/uid_map", "0 0 1\n");
	put_file("102/mountinfo", "1 0 8:1 / / rw - ext4 /dev/sda1 rw\n");
	breaks("blk0", "1 mounts, 1 writable");
	put_file("102/mountinfo", good_mounts);
	put_file("102/root/x", "");
	breaks("blk0", "not empty");
}

Test(walls, below_an_overlay_nothing_is_written)
{
	char path[64];

	put_fd("102", BLK_BASE, "/proc/self/exe");
	breaks("blk0", "the base below its overlay is open for writing");
	snprintf(path, sizeof(path), "102/fdinfo/%u", BLK_BASE);
	put_file(path, "pos:\t0\nflags:\t0100000\nmnt_id:\t1\nino:\t77\n");
	look_again();
	cr_assert_eq(weaker(), 0);
	put_fd("102", BLK_DISK, "/memfd:immure-overlay (deleted)");
	look_again();
	cr_assert_eq(weaker(), 0, "an overlay may be memory");
	put_fd("102", BLK_NFDS, "/proc/self/exe");
	breaks("blk0", "descriptor 17 (file) is not in its plan");
}

/* Past the host's cache it has threads, and what wakes them. */
Test(walls, a_disk_may_have_threads_if_it_is_past_the_cache)
{
	put_fd("102", BLK_WORK, "anon_inode:[eventfd]");
	put_fd("102", BLK_DONE, "anon_inode:[eventfd]");
	look_again();
	cr_assert_eq(weaker(), 0);
	put_fd("102", BLK_WORK, "/proc/self/exe");
	breaks("blk0", "descriptor 15, BLK_WORK, is not what is planned, but: file");
}

Test(walls, namespaces_and_cgroup)
{
	put_link("102/ns/net", "net:[4]");
	breaks("blk0", "shares the host's net");
	put_link("102/ns/net", "net:[4000]");
	/* The supervisor has to see its children; nobody else may see the host's processes. */
	put_link("100/ns/pid", "pid:[3]");
	look_again();
	cr_assert_eq(weaker(), 0);
	put_link("102/ns/pid", "pid:[3]");
	breaks("blk0", "shares the host's pid");
	put_link("102/ns/pid", "pid:[9002]");
	put_link("102/ns/user", "user:[1010]");
	look_again();
	cr_assert(among(&vm.weaker, "blk0", "shares its user namespace within the VM"));
	cr_assert(among(&vm.weaker, "vmm", "shares its user namespace within the VM"));
	put_link("102/ns/user", "user:[1020]");
	put_file("102/cgroup", "3:memory:/\n0::/\n");
	breaks("blk0", "in no cgroup");
	put_file("102/cgroup", "3:memory:/immure/other\n0::/\n");
	breaks("blk0", "in no cgroup");
	put_file("102/cgroup", "3:memory:/immure/web\n2:devices:/immure\n0::/\n");
	put_file("cg/pids/immure/web/pids.max", "max\n");
	breaks("VM", "does not limit tasks");
	put_file("cg/pids/immure/web/pids.max", "4\n");
	put_file("cg/memory/immure/web/memory.limit_in_bytes", "9223372036854771712\n");
	breaks("VM", "does not limit memory");
	put_file("cg/memory/immure/web/memory.limit_in_bytes", "4096\n");
	put_file("cg/devices/immure/devices.list", "a *:* rwm\n");
	breaks("VM", "says of devices: a *:* rwm");
	put_file("101/cgroup", "3:memory:/immure/web\n0::/\n");
	breaks("VM", "says of devices: not limited");
}

Test(walls, descriptors_outside_the_plan)
{
	char path[96];

	put_fd("102", 9, "socket:[5]");
	breaks("blk0", "descriptor 9 (socket) is not in its plan");
	snprintf(path, sizeof(path), "%s/102/fd/9", base);
	unlink(path);
	put_fd("102", BLK_LINK, "anon_inode:[io_uring]");
	breaks("blk0", "descriptor 5, BLK_LINK, is not what is planned, but: other");
	put_fd("102", BLK_LINK, "socket:[5]");
	put_fd("102", FD_MEM, "/memfd:mem (deleted)");
	breaks("blk0", "descriptor 4, FD_MEM (memfd), is still open");
	/* Where no number may be free a copy of the log stands in, and only that. */
	put_fd("102", FD_MEM, "pipe:[3]");
	breaks("blk0", "descriptor 4, FD_MEM (pipe), is still open");
	put_fd("102", FD_MEM, "pipe:[2]");
	look_again();
	cr_assert_eq(weaker(), 0);
	put_fd("101", VMM_KVM, "/dev/kvm");
	breaks("vmm", "descriptor 6, VMM_KVM (kvm), is still open");
	snprintf(path, sizeof(path), "%s/101/fd/%d", base, VMM_KVM);
	unlink(path);
	/* The VMM gives the kicks to KVM and closes them; a device keeps its end. */
	put_fd("102", BLK_KICK0, "anon_inode:[eventfd]");
	look_again();
	cr_assert_eq(weaker(), 0);
	put_fd("101", VMM_KICK0, "anon_inode:[eventfd]");
	breaks("vmm", "descriptor 32, VMM_KICK0 (eventfd), is still open");
}

Test(walls, passt_is_one_of_the_plan_and_in_the_host_s_network)
{
	put_process("103", STATUS("immure-net", "100", "2000000002", "103\t3", "1"), "immure-net");
	put_fd("103", FD_LOG, "pipe:[3]");
	put_fd("103", NET_TAP0, "socket:[9]");
	look_again();
	cr_assert(among(&vm.weaker, "net", "NET_TAP0, is not what is planned"), "a socket, and no passt");
	put_process("104", STATUS("passt.avx2", "100", "2000000015", "104", "1"), "passt.avx2");
	put_file("104/uid_map", "");
	put_link("104/ns/net", "net:[4]");
	put_link("104/ns/pid", "pid:[3]");
	look_again();
	cr_assert_eq(weaker(), 0, "%s: %s", vm.weaker.note[0].process, vm.weaker.note[0].what);
	put_link("104/ns/mnt", "mnt:[2]");
	breaks("passt", "shares the host's mnt namespace");
}

Test(walls, every_object_of_a_plan_has_a_kind)
{
	for (unsigned i = 0; i < PLAN_OBJECTS; i++)
		cr_assert_neq(object_kinds[i], 0, "object %u of jailer/plan.h", i);
}

Test(walls, limits_of_the_process)
{
	char text[sizeof(good_limits)];

	memcpy(text, good_limits, sizeof(text));
	*(strstr(text, "core file size        0") + strlen("core file size        ")) = '1';
	put_file("102/limits", text);
	breaks("blk0", "limit core is higher");
	memcpy(text, good_limits, sizeof(text));
	memcpy(strstr(text, "9                    9"), "unlimited            unlimited",
	       strlen("unlimited            unlimited"));
	put_file("102/limits", text);
	look_again();
	cr_assert(among(&vm.weaker, "blk0", "limit nofile is off"));
	memcpy(text, good_limits, sizeof(text));
	memcpy(strstr(text, "0                    0                    bytes"),
	       "unlimited            unlimited", strlen("unlimited            unlimited"));
	put_file("102/limits", text);
	breaks("blk0", "its image may grow without limit");
}

/* Without a cgroup, by the lock on its run directory; with neither, by its number. */
Test(walls, other_names)
{
	put_file("101/cgroup", "0::/\n");
	put_file("102/cgroup", "0::/\n");
	look_again();
	cr_assert_str_eq(vm.name, "pid-100");
	put_fd("100", SUP_LOCK0, "/run/user/1000/immure/mine");
	look_again();
	cr_assert_str_eq(vm.name, "pid-100", "a directory is no lock");
	put_fd("100", SUP_LOCK0, "/run/user/1000/immure/mine/lock");
	look_again();
	cr_assert_str_eq(vm.name, "mine");
	put_fd("100", SUP_LOCK0, "/run/elsewhere");
	put_file("100/status", STATUS("immure-jailer", "7", "0", "100", "1"));
	put_fd("7", 5, "/tmp/immure-1000/other");
	look_again();
	cr_assert_str_eq(vm.name, "other");
}

Test(walls, who_has_ended_is_no_machine)
{
	pid_t pid[4];

	put_file("100/status", STATUS("immure-jailer", "1", "0", "100", "1") "State:\tS\n");
	cr_assert_eq(walls_supervisors(&host, pid, 4), 1);
	put_file("100/status", "State:\tZ (zombie)\n" STATUS("immure-jailer", "1", "0", "100", "1"));
	cr_assert_eq(walls_supervisors(&host, pid, 4), 0);
	walls_free(&vm);
	walls_read(&host, 100, &vm);
	cr_assert(vm.gone);
}

Test(walls, a_stranger_and_a_missing_monitor)
{
	put_process("103", STATUS("sh", "100", "0", "103\t3", "1"), "sh");
	look_again();
	cr_assert(among(&vm.weaker, "pid 103", "belongs to no plan"));
	put_file("101/status", "");
	look_again();
	cr_assert(among(&vm.weaker, "VM", "no VMM process"));
}

/* ---- hostile text ---- */

Test(walls, what_cannot_be_read_is_said_and_not_guessed)
{
	char path[96], *big = malloc(3 << 20);

	memset(big, 'x', (3 << 20) - 1);
	big[(3 << 20) - 1] = 0;
	put_file("102/mountinfo", big);
	put_file("102/limits", "Max core file size        0");
	put_file("102/uid_map", "-1 0 1\n");
	put_link("102/ns/net", "net:[18446744073709551616]");
	snprintf(path, sizeof(path), "%s/102/cgroup", base);
	unlink(path);
	look_again();
	cr_assert(among(&vm.unread, "blk0", "mounts") && among(&vm.unread, "blk0", "limits") &&
		  among(&vm.unread, "blk0", "user ids") && among(&vm.unread, "blk0", "net") &&
		  among(&vm.unread, "blk0", "cgroup"));
	cr_assert_eq(weaker(), 0);
	cr_assert_eq(vm.proc[2].mounts_err, EFBIG);
	free(big);
}

Test(walls, names_cannot_write_to_the_terminal)
{
	put_fd("102", BLK_DISK, "/tmp/\033[2Jx");
	put_file("101/cgroup", "0::/immure/\033]0;x\n");
	put_file("102/cgroup", "0::/immure/\033]0;x\n");
	look_again();
	cr_assert_str_eq(vm.name, "?]0;x");
	cr_assert_str_eq(vm.proc[2].fd[1].target, "/tmp/?[2Jx");
}

Test(walls, processes_that_vanish_while_they_are_read)
{
	pid_t child = fork();
	char from[96], to[96];

	snprintf(from, sizeof(from), "%s/102", base);
	snprintf(to, sizeof(to), "%s/gone", base);
	while (child == 0) {
		rename(from, to);
		rename(to, from);
	}
	for (int i = 0; i < 300; i++) {
		look_again();
		cr_assert(vm.n == 2 || vm.n == 3);
	}
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	rename(to, from);
	walls_free(&vm);
	walls_read(&host, 4711, &vm);
	cr_assert(vm.gone);
}

Test(walls, json_has_it_all)
{
	json_t *o, *blk;

	put_fd("102", 9, "socket:[5]");
	look_again();
	o = walls_json(&host, &vm);
	cr_assert_not_null(o);
	cr_assert(json_is_false(json_object_get(o, "ok")));
	blk = json_array_get(json_object_get(o, "processes"), 2);
	cr_assert_str_eq(json_string_value(json_object_get(blk, "name")), "blk0");
	cr_assert_eq(json_array_size(json_object_get(blk, "descriptors")), 3);
	cr_assert_geq(json_array_size(json_object_get(o, "weaker")), 1);
	json_decref(o);
}

/* ---- the parsers alone ---- */

Test(parse, status_is_read_whole_or_not_at_all)
{
	static const char text[] = STATUS("a b", "5", "7", "9\t2\t1", "3");
	struct walls_status s;
	char cut[sizeof(text)];

	cr_assert(walls_parse_status(text, &s));
	cr_assert_str_eq(s.name, "a b");
	cr_assert(s.ppid == 5 && s.uid[3] == 7 && s.levels == 3 && s.nspid == 1 && s.threads == 3 &&
		  s.state == 'S');
	for (size_t n = 0; n + 2 < sizeof(text); n++) {
		memcpy(cut, text, n);
		cut[n] = 0;
		cr_assert_not(walls_parse_status(cut, &s), "%zu bytes", n);
	}
	cr_assert_not(walls_parse_status("", &s));
	cr_assert_not(walls_parse_status("Name:", &s));
}

Test(parse, numbers_must_be_numbers)
{
	struct walls_map m;
	struct walls_mounts mounts;
	struct walls_fdinfo info;
	uint64_t inode;

	cr_assert(walls_parse_map("0 1000 1\n5 6 2\n", &m));
	cr_assert(m.inside == 0 && m.outside == 1000 && m.count == 3);
	cr_assert_not(walls_parse_map("0 1000\n", &m));
	cr_assert_not(walls_parse_map("0 1000 x\n", &m));
	cr_assert_not(walls_parse_map("0 0 18446744073709551615\n1 1 1\n", &m));
	cr_assert(walls_parse_ns("net:[12]", "net", &inode) && inode == 12);
	cr_assert_not(walls_parse_ns("net:[12", "net", &inode));
	cr_assert_not(walls_parse_ns("net:[-1]", "net", &inode));
	cr_assert_not(walls_parse_ns("mnt:[12]", "net", &inode));
	cr_assert_not(walls_parse_ns("", "net", &inode));
	cr_assert(walls_parse_mounts("1 0 8:1 / / rw,noatime shared:1 - ext4 /dev/x ro,y\n"
				     "2 1 0:5 / /ro rw - proc proc rw\n", &mounts));
	cr_assert(mounts.n == 2 && mounts.writable == 1);
	cr_assert_not(walls_parse_mounts("1 0 8:1 / / rw\n", &mounts));
	cr_assert_not(walls_parse_mounts("1 0 8:1 / / rw - ext4 /dev/x ro", &mounts));
	cr_assert_not(walls_parse_mounts("\n", &mounts));
	cr_assert(walls_parse_fdinfo("pos:\t0\nflags:\t010200000\n", &info));
	cr_assert(strcmp(info.access, "-") == 0 && info.inode == 0);
	cr_assert(walls_parse_fdinfo("flags:\t02\nino:\t5\neventfd-count:  0\n", &info));
	cr_assert(strcmp(info.access, "rw") == 0 && info.kind == KIND_EVENTFD && info.inode == 5);
	cr_assert_not(walls_parse_fdinfo("flags:\t9\n", &info));
	cr_assert_not(walls_parse_fdinfo("", &info));
}

Test(parse, names_of_machines)
{
	char name[8];

	cr_assert(walls_parse_group("/user.slice/immure/vm-1", name, sizeof(name)));
	cr_assert_str_eq(name, "vm-1");
	cr_assert_not(walls_parse_group("/immure/", name, sizeof(name)));
	cr_assert_not(walls_parse_group("/notimmure/x/y", name, sizeof(name)));
	cr_assert_not(walls_parse_group("/immure/12345678", name, sizeof(name)));
	cr_assert_not(walls_parse_group("", name, sizeof(name)));
	cr_assert(walls_parse_run_dir("/run/user/1000/immure/web", name, sizeof(name)));
	cr_assert(walls_parse_run_dir("/tmp/immure-1000/web", name, sizeof(name)));
	cr_assert_str_eq(name, "web");
	cr_assert_not(walls_parse_run_dir("/tmp/immure-1000/a/b", name, sizeof(name)));
	cr_assert_not(walls_parse_run_dir("/tmp/immure-x/web", name, sizeof(name)));
	cr_assert_not(walls_parse_run_dir("socket:[1]", name, sizeof(name)));
}

Test(parse, capability_names)
{
	char buf[80], all[80];

	cr_assert_str_eq(walls_caps(0, buf, sizeof(buf)), "none");
	cr_assert_str_eq(walls_caps(1ull << 21, buf, sizeof(buf)), "sys_admin");
	cr_assert_str_eq(walls_caps(~0ull, all, sizeof(all)) + strlen(all) - 4, ",...");
}
