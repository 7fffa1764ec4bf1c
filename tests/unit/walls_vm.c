/* SPDX-License-Identifier: Apache-2.0 */
/* LIBS: -ljansson */
/* The built `immure walls` looks at real VMs, and the test at the same processes by itself. */
#include "tests/unit/command.h"
#include "tests/unit/jail_rig.h"

enum { OUTPUT = 1 << 20 };

static char output[OUTPUT];

/* Runs `immure walls` with @a and @b as user @uid; its exit status. */
static int walls(uid_t uid, const char *a, const char *b)
{
	const struct command c = { .uid = uid, .errors = true, .argv = { "immure", "walls", a, b } };

	return command_run(&c, output, sizeof(output));
}

static json_t *parsed(void)
{
	json_t *o = json_loads(output, 0, NULL);

	cr_assert_not_null(o, "not JSON: %.300s", output);
	return o;
}

static json_int_t number(const json_t *o, const char *key)
{
	return json_integer_value(json_object_get(o, key));
}

static unsigned entries(pid_t pid, const char *what)
{
	char path[64];
	unsigned n = 0;
	struct dirent *e;
	DIR *d;

	snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, what);
	d = opendir(path);
	cr_assert_not_null(d, "%s", path);
	while ((e = readdir(d)) != NULL)
		n += e->d_name[0] != '.';
	closedir(d);
	return n;
}

/* What @o says of process @pid is what this test reads of it. */
static void compare(const json_t *o, pid_t pid)
{
	json_t *threads = json_object_get(o, "threads"), *t, *key;
	const char *name;
	char link[64], path[64];
	size_t i;

	cr_assert_eq(number(o, "pid"), pid);
	cr_assert_eq(json_integer_value(json_array_get(json_object_get(o, "uid"), 0)),
		     rig_status(pid, "Uid", 10));
	cr_assert_eq(json_array_size(json_object_get(o, "descriptors")), entries(pid, "fd"));
	cr_assert_eq(json_array_size(threads), entries(pid, "task"));
	json_array_foreach(threads, i, t) {
		pid_t tid = (pid_t)number(t, "tid");

		cr_assert_eq(number(t, "seccomp"), rig_status(tid, "Seccomp", 10));
		cr_assert_eq(number(t, "filters"), rig_status(tid, "Seccomp_filters", 10));
	}
	json_object_foreach(json_object_get(o, "namespaces"), name, key) {
		snprintf(path, sizeof(path), "/proc/%d/ns/%s", (int)pid, name);
		memset(link, 0, sizeof(link));
		cr_assert_gt(readlink(path, link, sizeof(link) - 1), 0);
		cr_assert_eq(number(key, "inode"), strtoll(strchr(link, '[') + 1, NULL, 10), "%s",
			     path);
	}
	cr_assert_eq(number(o, "mounts"), 1);
	cr_assert_eq(number(o, "mounts_writable"), 0);
	cr_assert(json_is_true(json_object_get(json_object_get(o, "root"), "empty")));
	cr_assert(json_is_true(json_object_get(json_object_get(o, "root"), "readonly")));
}

/* What a process may speculate on is told in the kernel's own words. */
static void compare_speculation(const json_t *o, pid_t pid, bool forbidden)
{
	json_t *s = json_object_get(o, "speculation");
	char path[64], line[256];
	unsigned found = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	f = fopen(path, "re");
	while (f != NULL && fgets(line, sizeof(line), f) != NULL) {
		const char *key = strncmp(line, "Speculation_Store_Bypass:", 25) == 0 ? "store_bypass"
				: strncmp(line, "SpeculationIndirectBranch:", 26) == 0 ? "indirect_branch"
				: NULL;

		line[strcspn(line, "\n")] = 0;
		if (key == NULL)
			continue;
		cr_expect_str_eq(rig_word(s, key), strchr(line, '\t') + 1);
		cr_expect(!forbidden || (strstr(line, "enabled") == NULL && strstr(line, "vulnerable") == NULL) ||
			  strstr(line, "not vulnerable") != NULL, "%s", line);
		found++;
	}
	fclose(f);
	cr_expect_eq(found, 2);
}

static bool weaker(const json_t *o, const char *process, const char *what)
{
	json_t *list = json_object_get(o, "weaker"), *e;
	size_t i;

	json_array_foreach(list, i, e)
		if (strcmp(rig_word(e, "process"), process) == 0 && strstr(rig_word(e, "what"), what))
			return true;
	return false;
}

static void stop(struct rig *r)
{
	close(r->client);
	r->client = -1;
	cr_assert_eq(waitpid(r->jailer, NULL, 0), r->jailer);
	rig_nothing_left(r);
	rig_remove(r);
}

static void speculation_of_a_vm(const char *extra, bool forbidden)
{
	struct rig r = rig_make(0);
	json_t *o, *list;

	rig_start(&r, rig_config(&r, "idle", extra));
	if (forbidden && !rig_restricts()) {
		json_decref(rig_end(&r, "setup", 125));
		rig_remove(&r);
		return;
	}
	rig_running(&r);
	cr_assert_eq(walls(0, r.name, "--json"), 0, "%s", output);
	o = parsed();
	list = json_object_get(o, "processes");
	compare_speculation(json_array_get(list, 0), r.jailer, forbidden);
	for (unsigned i = 0; i < r.nprocs; i++)
		compare_speculation(json_array_get(list, 1 + i), r.pid[i], forbidden);
	json_decref(o);
	cr_assert_eq(walls(0, r.name, NULL), 0);
	cr_expect_not_null(strstr(output, "SPECULATES PAST STORES"));
	stop(&r);
}

Test(walls_vm, what_processes_may_speculate_on_is_told, .timeout = 60)
{
	speculation_of_a_vm("", false);
	speculation_of_a_vm(",\"speculation\":\"restrict\"", true);
}

Test(walls_vm, as_root_every_wall_stands_and_is_what_the_kernel_says, .timeout = 60)
{
	struct rig r = rig_make(0);
	json_t *o, *list, *limits;
	char alias[24];

	rig_start(&r, rig_config(&r, "idle", ""));
	rig_running(&r);
	cr_assert_eq(walls(0, r.name, "--json"), 0, "%s", output);
	o = parsed();
	cr_assert_str_eq(rig_word(o, "name"), r.name);
	cr_assert_str_eq(rig_word(o, "mode"), "root");
	cr_assert(json_is_true(json_object_get(o, "ok")));
	cr_assert_eq(json_array_size(json_object_get(o, "not_readable")), 0);
	list = json_object_get(o, "processes");
	cr_assert_eq(json_array_size(list), 1 + r.nprocs);
	compare(json_array_get(list, 0), r.jailer);
	for (unsigned i = 0; i < r.nprocs; i++)
		compare(json_array_get(list, 1 + i), r.pid[i]);
	limits = json_object_get(json_array_get(list, 2), "limits");
	cr_assert_eq(number(limits, "fsize"), 1 << 20);
	cr_assert_eq(number(limits, "nofile"), BLK_BASE);
	cr_assert_eq(number(limits, "core"), 0);
	cr_assert_neq(rig_word(json_object_get(o, "cgroup"), "devices")[0], 0);
	json_decref(o);
	/* For people, by its other name, and in the list of all. */
	snprintf(alias, sizeof(alias), "pid-%d", (int)r.jailer);
	cr_assert_eq(walls(0, alias, NULL), 0);
	cr_assert(strstr(output, "every wall stands") != NULL);
	(void)walls(0, NULL, NULL);
	cr_assert(strstr(output, r.name) != NULL);
	stop(&r);
}

Test(walls_vm, text_fits_a_hundred_columns, .timeout = 60)
{
	struct rig r = rig_make(0);
	char *at = output;

	rig_start(&r, rig_config(&r, "idle", ""));
	rig_running(&r);
	cr_assert_eq(walls(0, r.name, NULL), 0);
	for (char *line = strsep(&at, "\n"); line != NULL; line = strsep(&at, "\n"))
		cr_assert_leq(strlen(line), 100, "%s", line);
	stop(&r);
}

Test(walls_vm, what_is_not_there_is_an_error, .timeout = 60)
{
	struct rig r = rig_make(0);

	cr_assert_eq(walls(0, "no-such-machine", NULL), 125);
	cr_assert(strstr(output, "no VM named") != NULL);
	cr_assert_eq(walls(0, "--nonsense", NULL), 125);
	rig_remove(&r);
}

/* /dev/kvm for everybody, in a mount namespace of our own. */
static void open_kvm_to_all(const struct rig *r, char *node, size_t size)
{
	snprintf(node, size, "%s/kvm", r->dir);
	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mknod(node, S_IFCHR | 0666, makedev(10, 232)) < 0 || chmod(node, 0666) < 0 ||
	    mount(node, "/dev/kvm", NULL, MS_BIND, NULL) < 0)
		cr_skip("cannot offer /dev/kvm to another user here: %s", strerror(errno));
}

/* Without a cgroup: that is weaker, by each process, and nothing else is; what the user may not
 * see is said. */
Test(walls_vm, rootless_only_the_cgroup_is_missing, .timeout = 60)
{
	struct rig r = rig_make(12345);
	char alias[24], node[64];
	json_t *o, *e;
	size_t i;

	open_kvm_to_all(&r, node, sizeof(node));
	rig_start(&r, rig_config(&r, "idle", ""));
	rig_running(&r);
	snprintf(alias, sizeof(alias), "pid-%d", (int)r.jailer);
	cr_assert_eq(walls(12345, alias, "--json"), 1, "%s", output);
	o = parsed();
	cr_assert_str_eq(rig_word(o, "mode"), "rootless");
	cr_assert_eq(json_array_size(json_object_get(o, "weaker")), r.nprocs);
	json_array_foreach(json_object_get(o, "weaker"), i, e)
		cr_assert(strstr(rig_word(e, "what"), "no cgroup") != NULL, "%s", rig_word(e, "what"));
	cr_assert_gt(json_array_size(json_object_get(o, "not_readable")), 0);
	json_decref(o);
	unlink(node);
	stop(&r);
}

/* ---- broken walls ---- */

/* Programs that never seal themselves, in a real jail: tests/unit/fake_jailed.c. */
static void fake_programs(struct rig *r)
{
	static const char *const names[] = { "immure-jailer", "immure-vmm", "immure-blk",
					     "immure-vsock" };
	char self[256] = "", from[288], to[128];

	snprintf(r->bin, sizeof(r->bin), "%s/bin", r->dir);
	cr_assert_eq(mkdir(r->bin, 0755), 0);
	cr_assert_gt(readlink("/proc/self/exe", self, sizeof(self) - 1), 0);
	*strrchr(self, '/') = 0;
	for (size_t i = 0; i < 4; i++) {
		int in, out;

		snprintf(from, sizeof(from), i == 0 ? "%s/../bin/immure-jailer" : "%s/fake_jailed",
			 self);
		snprintf(to, sizeof(to), "%s/%s", r->bin, names[i]);
		in = open(from, O_RDONLY | O_CLOEXEC);
		out = open(to, O_CREAT | O_WRONLY | O_CLOEXEC, 0755);
		while (copy_file_range(in, NULL, out, NULL, 1 << 20, 0) > 0)
			continue;
		cr_assert(fchmod(out, 0755) == 0 && close(in) == 0 && close(out) == 0);
	}
}

static void remove_fakes(const struct rig *r)
{
	static const char *const names[] = { "immure-jailer", "immure-vmm", "immure-blk",
					     "immure-vsock" };
	char path[128];

	for (size_t i = 0; i < 4; i++) {
		snprintf(path, sizeof(path), "%s/%s", r->bin, names[i]);
		unlink(path);
	}
	rmdir(r->bin);
}

Test(walls_vm, a_process_that_did_not_seal_itself_is_found, .timeout = 60)
{
	struct rig r = rig_make(0);
	json_t *o;

	fake_programs(&r);
	rig_start(&r, rig_config(&r, "idle", ""));
	rig_running(&r);
	cr_assert_eq(walls(0, r.name, "--json"), 1);
	o = parsed();
	cr_assert(json_is_false(json_object_get(o, "ok")));
	for (size_t i = 0; i < 3; i++) {
		static const char *const names[] = { "vmm", "blk0", "vsock" };

		cr_assert(weaker(o, names[i], "1 of 2 system call filters"), "%s", names[i]);
		cr_assert(weaker(o, names[i], "descriptor 4, FD_MEM (memfd), is still open"));
		cr_assert_not(weaker(o, names[i], "not in its plan"));
	}
	cr_assert(weaker(o, "vmm", "VMM_KVM (kvm), is still open"));
	cr_assert_not(weaker(o, "supervisor", ""));
	json_decref(o);
	remove_fakes(&r);
	stop(&r);
}

/* Not even started by immure: a process that only has the name, with a descriptor too many. */
Test(walls_vm, a_process_without_walls_is_found, .timeout = 60)
{
	struct rig r = rig_make(0);
	char alias[24];
	int ready[2];
	char byte;
	json_t *o;
	pid_t pid;

	cr_assert_eq(pipe(ready), 0);
	pid = fork();
	if (pid == 0) {
		FILE *f = fopen("/proc/self/comm", "we");

		if (f == NULL || fputs("immure-jailer", f) < 0 || fclose(f) != 0 ||
		    dup2(ready[1], 77) < 0 || write(77, "x", 1) != 1)
			_exit(1);
		for (;;)
			pause();
	}
	cr_assert_eq(read(ready[0], &byte, 1), 1);
	snprintf(alias, sizeof(alias), "pid-%d", (int)pid);
	cr_assert_eq(walls(0, alias, "--json"), 1);
	o = parsed();
	cr_assert(weaker(o, "supervisor", "0 of 2 system call filters"));
	cr_assert(weaker(o, "supervisor", "descriptor 77 (pipe) is not in its plan"));
	cr_assert(weaker(o, "supervisor", "shares the host's net"));
	cr_assert(weaker(o, "supervisor", "does not run the program"));
	cr_assert(weaker(o, "VM", "no VMM process"));
	json_decref(o);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	rig_remove(&r);
}
