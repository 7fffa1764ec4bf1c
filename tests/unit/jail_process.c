/* SPDX-License-Identifier: Apache-2.0 */
/* LIBS: -ljansson */
/* The real jailer and flat guests: what confines a VM, how it ends, what it leaves. */
#include "jailer/cgroup.c"
#include "bpf/devices.c"
#include "jailer/bpf.c"
#include "jailer/devices.c"
#include "jailer/failure.c"
#include "jailer/path.c"
#include "tests/unit/jail_rig.h"

#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/resource.h>

static const char *link_of(pid_t pid, const char *what)
{
	static char path[64], text[2][256];
	static int turn;
	char *to = text[turn++ % 2];
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, what);
	n = readlink(path, to, sizeof(text[0]) - 1);
	cr_assert_gt(n, 0, "%s", path);
	to[n] = 0;
	return to;
}

/* Two filters and no capability, for each thread of @pid; returns how many there are. */
static unsigned check_threads(pid_t pid)
{
	static const char *const sets[] = { "CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb" };
	char path[64];
	struct dirent *e;
	unsigned n = 0;
	DIR *d;

	snprintf(path, sizeof(path), "/proc/%d/task", (int)pid);
	d = opendir(path);
	while ((e = readdir(d)) != NULL) {
		pid_t tid = (pid_t)strtol(e->d_name, NULL, 10);

		if (tid == 0)
			continue;
		n++;
		cr_assert_eq(rig_status(tid, "Seccomp", 10), 2);
		cr_assert_eq(rig_status(tid, "Seccomp_filters", 10), 2);
		cr_assert_eq(rig_status(tid, "NoNewPrivs", 10), 1);
		for (size_t i = 0; i < 5; i++)
			cr_assert_eq(rig_status(tid, sets[i], 16), 0, "%s", sets[i]);
	}
	closedir(d);
	return n;
}

static void check_root(pid_t pid)
{
	char path[64], file[72];
	struct dirent *e;
	DIR *d;

	snprintf(path, sizeof(path), "/proc/%d/root", (int)pid);
	d = opendir(path);
	cr_assert_not_null(d);
	while ((e = readdir(d)) != NULL)
		cr_assert(strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0,
			  "%s in the root of %d", e->d_name, (int)pid);
	closedir(d);
	snprintf(file, sizeof(file), "%s/x", path);
	cr_assert(mkdir(file, 0700) < 0 && errno == EROFS);
}

static void check_namespaces(pid_t pid, bool user_too)
{
	static const char *const all[] = {
		"ns/mnt", "ns/net", "ns/ipc", "ns/uts", "ns/cgroup", "ns/user", "ns/pid",
		"ns/time",
	};

	/* The supervisor stays in the host's user, PID and time namespaces. */
	for (size_t i = 0; i < (user_too ? 8 : 5); i++)
		cr_assert_str_neq(link_of(pid, all[i]), link_of(getpid(), all[i]), "%s",
				  all[i]);
}

/* Every descriptor of @pid is in @plan (ends with -1); those from @dynamic on are free. */
static void check_fds(pid_t pid, const int *plan, int dynamic)
{
	char path[64];
	struct dirent *e;
	DIR *d;

	snprintf(path, sizeof(path), "/proc/%d/fd", (int)pid);
	d = opendir(path);
	while ((e = readdir(d)) != NULL) {
		int fd = (int)strtol(e->d_name, NULL, 10);
		bool planned = e->d_name[0] == '.' || (dynamic > 0 && fd >= dynamic);

		for (const int *p = plan; *p >= 0; p++)
			planned = planned || *p == fd;
		cr_assert(planned, "descriptor %d of %d", fd, (int)pid);
	}
	closedir(d);
}

static const int vmm_fds[] = {
	FD_LOG, VMM_CTL, VMM_ACK, VMM_WAKE, VMM_VM, VMM_LINK0, VMM_LINK0 + 1, VMM_CALL0,
	VMM_CALL0 + 1, VMM_VCPU0, -1,
};
static const int blk_fds[] = { FD_LOG, BLK_LINK, BLK_CALL, BLK_KICK0, BLK_DISK, -1 };
static const int direct_fds[] = { FD_LOG, BLK_LINK, BLK_CALL, BLK_KICK0, BLK_DISK, BLK_WORK, BLK_DONE, -1 };
static const int vsock_fds[] = {
	0, 1, FD_LOG, 3, 4, VSOCK_LINK, VSOCK_CALL, VSOCK_KICK0, VSOCK_KICK1, VSOCK_KICK2,
	VSOCK_LISTEN, VSOCK_LISTEN_SEQ, VSOCK_DIAL, VSOCK_EPOLL, -1,
};
static const int supervisor_fds[] = {
	SUP_CLIENT, SUP_CTL, SUP_SIGNAL, SUP_DIAL, SUP_TIMER, SUP_RUNDIR, SUP_RUNPARENT,
	SUP_CGROUP0, SUP_CGROUP0 + 1, SUP_PID0, SUP_PID0 + 1, SUP_PID0 + 2, SUP_LOG0,
	SUP_LOG0 + 1, SUP_LOG0 + 2, SUP_MEMORY, -1,
};

static void check_jail(const struct rig *r)
{
	cr_assert_eq(r->nprocs, 3);
	for (unsigned i = 0; i < 3; i++) {
		unsigned threads = check_threads(r->pid[i]);

		/* The VMM: one for the vCPU, and KVM may have added one of its own. */
		cr_assert(threads == (i == 1 && r->direct ? 1 + PLAN_BLK_THREADS : 1) ||
			  (i == 0 && (threads == 2 || threads == 3)), "%u threads", threads);
		check_root(r->pid[i]);
		check_namespaces(r->pid[i], true);
		for (unsigned n = 0; n < i; n++)
			cr_assert_str_neq(link_of(r->pid[i], "ns/user"),
					  link_of(r->pid[n], "ns/user"));
	}
	check_fds(r->pid[0], vmm_fds, 0);
	check_fds(r->pid[1], r->direct ? direct_fds : blk_fds, 0);
	check_fds(r->pid[2], vsock_fds, VSOCK_CONN0);
	check_threads(r->jailer);
	check_root(r->jailer);
	check_fds(r->jailer, supervisor_fds, 0);
	check_namespaces(r->jailer, false);
}

/* A process that is not dumpable has a /proc directory that is root's. */
static bool dumpable(pid_t pid)
{
	char path[32];
	struct stat st;

	snprintf(path, sizeof(path), "/proc/%d/environ", (int)pid);
	return stat(path, &st) == 0 && st.st_uid != 0;
}

Test(jail, as_root_every_wall_stands, .timeout = 60)
{
	struct rig r = rig_make(0);

	rig_start(&r, rig_config(&r, "idle", ""));
	rig_running(&r);
	check_jail(&r);
	for (unsigned i = 0; i < r.nprocs; i++) {
		cr_assert_eq(rig_status(r.pid[i], "Uid", 10), 2000000000 + 5 * 16 + (long)i);
		cr_assert_eq(rig_status(r.pid[i], "Gid", 10), 2000000000 + 5 * 16 + (long)i);
		cr_assert_eq(rig_status(r.pid[i], "Groups", 10), 0);
		cr_assert(!dumpable(r.pid[i]));
	}
	cr_assert_eq(send(r.client, "{\"op\":\"stop\"}", 13, 0), 13);
	json_decref(rig_end(&r, "stopped", 0));
	rig_nothing_left(&r);
	rig_remove(&r);
}

/* Whether files in @dir can be read past the host's cache. */
static bool takes_direct(const char *dir)
{
	int fd = open(dir, O_TMPFILE | O_RDWR | O_DIRECT | O_CLOEXEC, 0600);

	close(fd);
	return fd >= 0;
}

/* With threads of its own, each behind the same walls. */
Test(jail, a_disk_past_the_cache_has_walls_around_each_thread, .timeout = 60)
{
	struct rig r = rig_make(0);

	if (!takes_direct(r.dir)) {
		rig_remove(&r);
		cr_skip("NO DIRECT I/O in /tmp: not tried");
	}
	r.direct = true;
	rig_start(&r, rig_config(&r, "idle", ""));
	rig_running(&r);
	check_jail(&r);
	cr_assert_eq(send(r.client, "{\"op\":\"stop\"}", 13, 0), 13);
	json_decref(rig_end(&r, "stopped", 0));
	rig_nothing_left(&r);
	rig_remove(&r);
}

Test(jail, a_guest_that_is_done_ends_the_vm, .timeout = 60)
{
	struct rig r = rig_make(0);
	json_t *end;

	rig_start(&r, rig_config(&r, "done", ""));
	end = rig_end(&r, "guest-poweroff", 0);
	cr_assert_eq(json_integer_value(json_object_get(end, "detail")), 42);
	json_decref(end);
	rig_nothing_left(&r);
	rig_remove(&r);
}

/* Kills process @victim of a running VM with @sig. */
static void kill_one(unsigned victim, int sig, const char *reason, const char *name)
{
	struct rig r = rig_make(0);
	json_t *end;

	rig_start(&r, rig_config(&r, "idle", ""));
	rig_running(&r);
	cr_assert_eq(kill(r.pid[victim], sig), 0);
	end = rig_end(&r, reason, 1);
	cr_assert_str_eq(rig_word(end, "process"), name);
	json_decref(end);
	rig_nothing_left(&r);
	rig_remove(&r);
}

Test(jail, each_process_takes_the_vm_with_it_and_is_named, .timeout = 120)
{
	kill_one(0, SIGKILL, "vmm-died", "vmm");
	kill_one(1, SIGKILL, "device-died", "blk0");
	kill_one(2, SIGKILL, "device-died", "vsock");
	kill_one(1, SIGSEGV, "device-died", "blk0");
	/* Process 1 of its PID namespace, which most signals do not touch. */
	kill_one(0, SIGSEGV, "vmm-died", "vmm");
	kill_one(0, SIGILL, "vmm-died", "vmm");
}

Test(jail, a_death_by_sigsys_is_a_violation, .timeout = 60)
{
	kill_one(2, SIGSYS, "violation", "vsock");
}

/* The VM's processes become children of this one, and end within two seconds. */
static void wait_gone(const struct rig *r)
{
	unsigned gone = 0;

	for (int ms = 0; ms < 2000 && gone < r->nprocs; ms++) {
		while (waitpid(-1, NULL, WNOHANG) > 0)
			gone++;
		usleep(1000);
	}
	cr_assert_eq(gone, r->nprocs, "a process outlived the VM");
}

Test(jail, without_its_supervisor_nothing_lives_on, .timeout = 60)
{
	struct rig r = rig_make(0);
	char path[96];
	int status;

	cr_assert_eq(prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0), 0);
	rig_start(&r, rig_config(&r, "idle", ""));
	rig_running(&r);
	cr_assert_eq(kill(r.jailer, SIGKILL), 0);
	cr_assert_eq(waitpid(r.jailer, &status, 0), r.jailer);
	wait_gone(&r);
	cr_assert(rig_cgroup_left(&r));
	cr_assert(cgroup_sweep(r.name, 0));
	cr_assert(!rig_cgroup_left(&r));
	/* The next VM of this name takes the dead one's socket over. */
	rig_start(&r, rig_config(&r, "done", ""));
	json_decref(rig_end(&r, "guest-poweroff", 0));
	snprintf(path, sizeof(path), "%s/parent/run/v.sock", r.dir);
	cr_assert(access(path, F_OK) < 0);
	rig_nothing_left(&r);
	rig_remove(&r);
}

/* Writes @text to @file of the directory that all VMs' cgroups of the v1 CPU controller lie in. */
static bool set_parent_quota(const char *text)
{
	int fd = open("/sys/fs/cgroup/cpu/immure/cpu.cfs_quota_us", O_WRONLY | O_CLOEXEC);
	bool done = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);

	close(fd);
	return done;
}

Test(jail, a_share_above_that_of_the_whole_is_a_note_and_no_failure, .timeout = 60)
{
	struct rig r;
	json_t *e;

	mkdir("/sys/fs/cgroup/cpu/immure", 0755);
	if (!set_parent_quota("150000"))
		cr_skip("needs the CPU controller of cgroup version 1");
	r = rig_make(0);
	rig_start(&r, rig_config(&r, "done", ",\"limits\":{\"cpu_percent\":200}"));
	e = rig_event(&r);
	cr_expect(set_parent_quota("-1"));
	cr_expect(strstr(rig_word(e, "text"), "not limited: CPU") != NULL, "%s", rig_word(e, "text"));
	json_decref(e);
	json_decref(rig_end(&r, "guest-poweroff", 0));
	rig_nothing_left(&r);
	rig_remove(&r);
}

Test(jail, without_its_caller_the_vm_ends, .timeout = 60)
{
	struct rig r = rig_make(0);
	int status;

	rig_start(&r, rig_config(&r, "idle", ""));
	rig_running(&r);
	close(r.client);
	r.client = -1;
	cr_assert_eq(waitpid(r.jailer, &status, 0), r.jailer);
	cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	rig_nothing_left(&r);
	rig_remove(&r);
}

Test(jail, a_signal_or_the_time_limit_ends_the_vm, .timeout = 60)
{
	struct rig r = rig_make(0), s = rig_make(0);

	rig_start(&r, rig_config(&r, "idle", ""));
	rig_running(&r);
	cr_assert_eq(kill(r.jailer, SIGTERM), 0);
	json_decref(rig_end(&r, "stopped", 0));
	rig_nothing_left(&r);
	rig_remove(&r);
	rig_start(&s, rig_config(&s, "idle", ",\"timeout_ms\":300"));
	json_decref(rig_end(&s, "timeout", 1));
	rig_nothing_left(&s);
	rig_remove(&s);
}

/* @config cannot become a VM, and the message has @word. */
static void cannot_start(struct rig *r, const char *config, const char *word)
{
	json_t *end;

	rig_start(r, config);
	end = rig_end(r, "setup", 125);
	cr_assert(strstr(rig_word(end, "text"), word) != NULL, "no '%s' in: %s", word,
		  rig_word(end, "text"));
	json_decref(end);
	cr_assert(!rig_cgroup_left(r));
	close(r->client);
	r->client = -1;
}

Test(jail, what_cannot_start_says_why_and_leaves_nothing, .timeout = 60)
{
	struct rig r = rig_make(0), other = rig_make(0);
	char config[2048];

	cannot_start(&r, "{", "config: line 1");
	cannot_start(&r, rig_config(&r, "missing", ""), "missing: No such file");
	cannot_start(&r, rig_config(&r, "parent", ""), "not a regular file");
	cannot_start(&r, rig_config(&r, "idle", ",\"initrd\":\"/proc/self/exe\""),
		     "initramfs");
	cannot_start(&r, rig_config(&r, "idle", ",\"console\":2"), "console: must be");
	snprintf(config, sizeof(config), "{\"name\":\"x\",\"kernel\":\"%s/idle\","
		 "\"memory\":1099511627776}", r.dir);
	cannot_start(&r, config, "memory: 1048576 MiB asked");
	/* A disk is one VM's to write, and a socket one VM's to listen on. */
	rig_start(&r, rig_config(&r, "idle", ""));
	rig_running(&r);
	snprintf(config, sizeof(config), "{\"name\":\"x\",\"kernel\":\"%s/idle\","
		 "\"disks\":[{\"path\":\"%s/disk\"}]}", r.dir, r.dir);
	cannot_start(&other, config, "in use by another VM");
	snprintf(config, sizeof(config), "{\"name\":\"%s\",\"kernel\":\"%s/idle\"}", r.name,
		 r.dir);
	cannot_start(&other, config, "a VM of this name runs");
	snprintf(config, sizeof(config), "{\"name\":\"x\",\"kernel\":\"%s/idle\","
		 "\"vsock\":{\"cid\":4,\"path\":\"%s/parent/run/v.sock\"}}", r.dir, r.dir);
	cannot_start(&other, config, "exists and is in use");
	close(r.client);
	r.client = -1;
	cr_assert_eq(waitpid(r.jailer, NULL, 0), r.jailer);
	rig_nothing_left(&r);
	rig_remove(&r);
	rig_remove(&other);
}

/* /dev/kvm for everybody, in a mount namespace of our own. */
static void open_kvm_to_all(const struct rig *r, char *node, size_t size)
{
	snprintf(node, size, "%s/kvm", r->dir);
	if (unshare(CLONE_NEWNS) < 0 ||
	    mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mknod(node, S_IFCHR | 0666, makedev(10, 232)) < 0 || chmod(node, 0666) < 0 ||
	    mount(node, "/dev/kvm", NULL, MS_BIND, NULL) < 0)
		cr_skip("cannot offer /dev/kvm to another user here: %s", strerror(errno));
}

Test(jail, rootless_every_wall_stands, .timeout = 60)
{
	struct rig r = rig_make(12345);
	char node[64], pages[64];
	struct stat st;
	json_t *e;

	open_kvm_to_all(&r, node, sizeof(node));
	r.direct = takes_direct(r.dir);		/* then with threads */
	rig_start(&r, rig_config(&r, "idle", ""));
	e = rig_event(&r);
	if (strstr(rig_word(e, "text"), "make namespaces") != NULL)
		cr_skip("user namespaces are not allowed here");
	/* No cgroup was delegated to this user: said in one line. */
	cr_assert(strstr(rig_word(e, "text"), "not limited: memory") != NULL);
	json_decref(e);
	rig_running(&r);
	check_jail(&r);
	for (unsigned i = 0; i < r.nprocs; i++)
		cr_assert_eq(rig_status(r.pid[i], "Uid", 10), 12345);
	cr_assert_str_neq(link_of(r.jailer, "ns/user"), link_of(getpid(), "ns/user"));
	snprintf(pages, sizeof(pages), "%s/parent/run/pages", r.dir);
	cr_assert(stat(pages, &st) == 0 && st.st_uid == 12345 && st.st_mode == (S_IFREG | 0600));
	close(r.client);
	r.client = -1;
	cr_assert_eq(waitpid(r.jailer, NULL, 0), r.jailer);
	rig_nothing_left(&r);
	unlink(node);
	rig_remove(&r);
}

/* A lock as `immure run` has them; the rig's only descriptor of it, once the jailer has it. */
static int lock_file(const struct rig *r)
{
	char path[64];
	int fd;

	rig_file(r, "lock", "", 0, 0);
	snprintf(path, sizeof(path), "%s/lock", r->dir);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	cr_assert(fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0);
	return fd;
}

static bool locked(const struct rig *r)
{
	char path[64];
	bool busy;
	int fd;

	snprintf(path, sizeof(path), "%s/lock", r->dir);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	cr_assert_geq(fd, 0);
	busy = flock(fd, LOCK_EX | LOCK_NB) < 0;
	cr_assert_eq(close(fd), 0);
	return busy;
}

Test(jail, locks_are_held_as_long_as_the_vm_exists_whatever_becomes_of_the_caller, .timeout = 60)
{
	struct rig r = rig_make(0);

	r.lock = lock_file(&r);
	rig_start(&r, rig_config(&r, "idle", ""));
	close(r.lock);
	rig_running(&r);
	cr_assert(locked(&r));
	cr_assert_eq(kill(r.jailer, SIGSTOP), 0);
	close(r.client);
	r.client = -1;
	usleep(20000);
	cr_assert(locked(&r));
	cr_assert_eq(kill(r.jailer, SIGCONT), 0);
	cr_assert_eq(waitpid(r.jailer, NULL, 0), r.jailer);
	cr_assert(!locked(&r));
	rig_nothing_left(&r);
	rig_remove(&r);
}

/* A directory would be a way out of the supervisor's jail. */
Test(jail, only_a_file_is_held_as_a_lock, .timeout = 60)
{
	struct rig r = rig_make(0);

	r.lock = open(r.dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	cannot_start(&r, rig_config(&r, "idle", ""), "--lock-fd 6: not a regular file");
	close(r.lock);
	rig_remove(&r);
}

static bool has_run_dir(const struct rig *r)
{
	char path[64];

	snprintf(path, sizeof(path), "%s/parent/run", r->dir);
	return access(path, F_OK) == 0;
}

Test(jail, a_caller_that_locked_the_run_directory_removes_it, .timeout = 60)
{
	struct rig r = rig_make(0);

	r.lock = lock_file(&r);
	cannot_start(&r, rig_config(&r, "idle", ",\"limits\":{\"pids\":1}"), "start vmm");
	cr_assert(has_run_dir(&r));
	rig_start(&r, rig_config(&r, "done", ""));
	json_decref(rig_end(&r, "guest-poweroff", 0));
	cr_assert(has_run_dir(&r));
	close(r.lock);
	/* Empty it is; rig_remove() would not manage otherwise. */
	rig_remove(&r);
}

/* A freezer of the first version stands for a disk that does not answer: the kernel cannot end
 * what is in it.  Returns a descriptor; the freezer thaws when it is closed, by a process of its
 * own, so that nothing stays frozen when a claim fails. */
static int freeze(const struct rig *r, pid_t pid, pid_t *thawer)
{
	char dir[96], procs[128], state[128], text[16];
	int held[2], ready[2];

	snprintf(dir, sizeof(dir), "/sys/fs/cgroup/freezer/%s", r->name);
	snprintf(procs, sizeof(procs), "%s/cgroup.procs", dir);
	snprintf(state, sizeof(state), "%s/freezer.state", dir);
	snprintf(text, sizeof(text), "%d", (int)pid);
	if (access("/sys/fs/cgroup/freezer/tasks", F_OK) < 0)
		cr_skip("needs the freezer of cgroup v1");
	cr_assert(mkdir(dir, 0755) == 0 && pipe2(held, O_CLOEXEC) == 0 &&
		  pipe2(ready, O_CLOEXEC) == 0);
	*thawer = fork();
	if (*thawer == 0) {
		setsid();
		close(held[1]);
		rig_put(procs, text);
		rig_put(state, "FROZEN");
		close(ready[0]);
		close(ready[1]);
		if (read(held[0], text, 1) == 0)
			rig_put(state, "THAWED");
		for (int ms = 0; rmdir(dir) < 0 && ms < 2000; ms++)
			usleep(1000);
		_exit(0);
	}
	close(held[0]);
	close(ready[1]);
	cr_assert_eq(read(ready[0], text, 1), 0);
	close(ready[0]);
	return held[1];
}

Test(jail, a_process_that_cannot_be_ended_is_told_and_waited_for, .timeout = 60)
{
	struct rig r = rig_make(0);
	json_int_t told = 0;
	int frozen;
	pid_t thawer;
	json_t *end;

	r.lock = lock_file(&r);
	rig_start(&r, rig_config(&r, "idle", ""));
	close(r.lock);
	rig_running(&r);
	frozen = freeze(&r, r.pid[1], &thawer);
	cr_assert_eq(send(r.client, "{\"op\":\"stop\"}", 13, 0), 13);
	while (strcmp(rig_word(end = rig_event(&r), "event"), "log") == 0) {
		told += strstr(rig_word(end, "text"), "did not end") != NULL;
		json_decref(end);
	}
	cr_assert_str_eq(rig_word(end, "reason"), "stopped");
	/* A device, and the VMM, which is the init process of its namespace; or that alone. */
	cr_assert(told > 0 && json_integer_value(json_object_get(end, "left")) == told);
	json_decref(end);
	cr_assert_null(rig_event(&r), "the caller is let go");
	cr_assert(locked(&r) && rig_cgroup_left(&r) && !cgroup_sweep(r.name, 0));
	cr_assert_eq(waitpid(r.jailer, NULL, WNOHANG), 0);
	cr_assert_eq(close(frozen), 0);
	cr_assert_eq(waitpid(r.jailer, NULL, 0), r.jailer);
	cr_assert_eq(waitpid(thawer, NULL, 0), thawer);
	cr_assert(!locked(&r));
	rig_nothing_left(&r);
	rig_remove(&r);
}

/* Root of a user namespace that has no other ids: a child exists already when that shows. */
Test(jail, a_failure_after_the_first_child_is_undone_and_told, .timeout = 60)
{
	struct rig r = rig_make(0);

	r.alone = true;
	cannot_start(&r, rig_config(&r, "idle", ""), "map the ids of vmm: Operation not permitted");
	rig_remove(&r);
}

/* Under the first filter already: without privilege no limit can be raised any more. */
Test(jail, a_failure_while_it_locks_itself_in_is_undone_and_told, .timeout = 60)
{
	struct rig r = rig_make(0);
	const struct rlimit none = { 0, 0 };

	cr_assert_eq(setrlimit(RLIMIT_NPROC, &none), 0);
	cannot_start(&r, rig_config(&r, "idle", ""), "seal the supervisor");
	rig_remove(&r);
}

Test(jail, too_low_a_limit_of_open_files_is_told_before_anything_is_made, .timeout = 60)
{
	struct rig r = rig_make(0);
	const struct rlimit low = { 512, 512 };

	cr_assert_eq(setrlimit(RLIMIT_NOFILE, &low), 0);
	cannot_start(&r, rig_config(&r, "idle", ""), "512 open files");
	rig_remove(&r);
}
