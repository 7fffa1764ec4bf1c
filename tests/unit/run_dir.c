/* SPDX-License-Identifier: Apache-2.0 */
/* Run directories: who owns one, who sweeps it, what is refused. */
#include <criterion/criterion.h>

#include "cli/run_dir.c"
#include "cli/run_values.c"
#include "cli/say.c"

/* Instead of jailer/cgroup.c: whose cgroups were to be removed. */
static char swept[64];
static const char *busy = "";

bool cgroup_sweep(const char *name, int ms)
{
	cr_assert_eq(ms, 0);
	snprintf(swept, sizeof(swept), "%s", name);
	return strcmp(name, busy) != 0;
}

static char base[] = "/tmp/immure-rundir-XXXXXX", parent[64];

/* As an ordinary user, so that the parent is ours to choose. */
static void become_user(void)
{
	if (geteuid() == 0)
		cr_assert_eq(setresuid(65534, 65534, 65534), 0);
	cr_assert_not_null(mkdtemp(base));
	setenv("XDG_RUNTIME_DIR", base, 1);
	snprintf(parent, sizeof(parent), "%s/immure", base);
}

TestSuite(run_dir, .init = become_user);

static bool exists(const char *name)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/%s", parent, name);
	return access(path, F_OK) == 0;
}

static void put(const char *name, const char *file)
{
	char path[128];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", parent, name);
	cr_assert_eq(mkdir(path, 0700), 0);
	snprintf(path, sizeof(path), "%s/%s/%s", parent, name, file);
	fd = open(path, O_CREAT | O_WRONLY, 0600);
	cr_assert_geq(fd, 0);
	close(fd);
}

Test(run_dir, is_made_locked_and_removed)
{
	char path[RUN_PATH + 8];
	struct run_dir d;
	int fd;

	cr_assert_eq(run_dir_make(&d, "one"), 0);
	cr_assert(exists("one"));
	snprintf(path, sizeof(path), "%s/lock", d.path);
	fd = open(path, O_RDWR);
	cr_assert_geq(fd, 0);
	cr_assert_lt(flock(fd, LOCK_EX | LOCK_NB), 0);
	close(fd);
	run_dir_remove(&d);
	cr_assert_not(exists("one"));
	cr_assert_eq(rmdir(parent), 0, "nothing else was left in it");
	cr_assert_eq(rmdir(base), 0);
}

Test(run_dir, those_that_are_there_can_be_listed)
{
	char names[2][RUN_NAME];
	struct run_dir a, b;
	int fd;

	cr_assert_eq(run_dir_names(names, 2), 0, "not even the parent is there");
	cr_assert(run_dir_make(&b, "two") == 0 && run_dir_make(&a, "one") == 0);
	fd = openat(a.fd, "pages", O_CREAT | O_WRONLY, 0600);
	cr_assert(fd >= 0 && close(fd) == 0);
	cr_assert_eq(run_dir_names(names, 2), 2);
	cr_assert(strcmp(names[0], "one") == 0 && strcmp(names[1], "two") == 0);
	cr_assert_eq(run_dir_names(names, 1), 1);
	cr_assert(run_dir_has("one", "pages") && !run_dir_has("two", "pages"));
	run_dir_remove(&a);
	cr_assert_not(exists("one"), "counters and all");
	run_dir_remove(&b);
}

Test(run_dir, a_name_in_use_is_refused)
{
	struct run_dir d, e;

	cr_assert_eq(run_dir_make(&d, "one"), 0);
	cr_assert_eq(run_dir_make(&e, "one"), -1);
	run_dir_remove(&e);
	cr_assert(exists("one"), "and its owner keeps it");
	run_dir_remove(&d);
}

Test(run_dir, one_that_took_the_name_is_not_removed)
{
	char path[128], away[128];
	struct run_dir d;

	cr_assert_eq(run_dir_make(&d, "one"), 0);
	snprintf(path, sizeof(path), "%s/one", parent);
	snprintf(away, sizeof(away), "%s/away", parent);
	cr_assert(rename(path, away) == 0 && mkdir(path, 0700) == 0);
	run_dir_remove(&d);
	cr_assert(exists("one"));
}

Test(run_dir, made_up_names_differ)
{
	struct run_dir d, e;

	cr_assert_eq(run_dir_make(&d, NULL), 0);
	cr_assert_eq(run_dir_make(&e, NULL), 0);
	cr_assert_str_neq(d.name, e.name);
	run_dir_remove(&d);
	run_dir_remove(&e);
}

Test(run_dir, what_the_dead_left_is_swept_and_the_living_stay)
{
	struct run_dir d, e;

	cr_assert_eq(run_dir_make(&d, "living"), 0);
	put("dead", "vsock.sock_1024");
	put("deader", "lock");
	put("strange", "letter");
	cr_assert_eq(run_dir_make(&e, "new"), 0);
	cr_assert_not(exists("dead"));
	cr_assert_not(exists("deader"));
	cr_assert(swept[0] != 0 && strcmp(swept, "living") != 0, "with its cgroup");
	cr_assert(exists("living"));
	cr_assert(exists("strange/letter"), "a file that is not ours is not removed");
	run_dir_remove(&e);
	run_dir_remove(&d);
}

Test(run_dir, what_still_has_processes_is_swept_when_they_are_gone)
{
	struct run_dir d, e;

	cr_assert_eq(run_dir_make(&d, "first"), 0);
	put("dying", "vsock.sock_1024");
	busy = "dying";
	cr_assert_eq(run_dir_make(&e, "dying"), -1, "its name is taken");
	run_dir_leave(&e);
	cr_assert(exists("dying/vsock.sock_1024"));
	busy = "";
	cr_assert_eq(run_dir_make(&e, "dying"), 0);
	cr_assert_not(exists("dying/vsock.sock_1024"));
	run_dir_remove(&e);
	run_dir_remove(&d);
}

Test(run_dir, a_parent_that_others_may_write_to_is_refused)
{
	struct run_dir d;

	cr_assert_eq(mkdir(parent, 0700), 0);
	cr_assert_eq(chmod(parent, 0777), 0);
	cr_assert_eq(run_dir_make(&d, "one"), -1);
	run_dir_remove(&d);
}

Test(run_dir, a_parent_that_is_a_link_is_refused)
{
	struct run_dir d;

	cr_assert_eq(symlink("/tmp", parent), 0);
	cr_assert_eq(run_dir_make(&d, "one"), -1);
	run_dir_remove(&d);
}

Test(run_dir, a_path_too_long_for_a_socket_is_refused)
{
	struct run_dir d;
	char name[RUN_NAME];

	memset(name, 'x', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	cr_assert_eq(run_dir_make(&d, name), -1);
	run_dir_remove(&d);
}
