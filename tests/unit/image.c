/* SPDX-License-Identifier: Apache-2.0 */
/* LIBS: -lmd */
/* image.c: a directory becomes one cached image; its key follows what is in it. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* What image.c syncs and renames, in order. */
static char trace[8];

static int traced_fsync(int fd)
{
	strncat(trace, "s", sizeof(trace) - strlen(trace) - 1);
	return fsync(fd);
}

static int traced_rename(const char *from, const char *to)
{
	strncat(trace, "r", sizeof(trace) - strlen(trace) - 1);
	return rename(from, to);
}

/* The next fork fails. */
static int no_fork;

static pid_t failing_fork(void)
{
	if (!no_fork)
		return fork();
	errno = EAGAIN;
	return -1;
}

#define fork failing_fork
#define fsync traced_fsync
#define rename traced_rename
#include "cli/cache.c"
#include "cli/image.c"
#include "cli/say.c"

#include <criterion/criterion.h>

static char base[] = "/tmp/immure-image.XXXXXX";
static char tree[64];

/* Runs a shell line; $B is the scratch directory, $T the tree in it. */
static int shell(const char *line)
{
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		execl("/bin/sh", "sh", "-c", line, (char *)NULL);
		_exit(127);
	}
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	return status;
}

static void run(const char *line)
{
	cr_assert_eq(shell(line), 0, "%s", line);
}

static void setup(void)
{
	cr_assert_not_null(mkdtemp(base));
	snprintf(tree, sizeof(tree), "%s/tree", base);
	setenv("IMMURE_CACHE", base, 1);
	setenv("B", base, 1);
	setenv("T", tree, 1);
	run("mkdir -p $T/bin && echo one > $T/bin/a && ln -s a $T/bin/b");
}

static void teardown(void)
{
	run("rm -rf $B");
}

TestSuite(image, .init = setup, .fini = teardown);

static void key_of(char *key)
{
	struct tree t = { .files = 0 };

	cr_assert_eq(list_tree(tree, false, &t), 0);
	memcpy(key, t.key, sizeof(t.key));
}

Test(image, the_key_follows_content_names_modes_and_links)
{
	static const char *const changes[] = {
		"echo longer > $T/bin/a", "mv $T/bin/a $T/bin/c", "chmod 700 $T/bin",
		"ln -sf elsewhere $T/bin/b", "touch -h -d 2001-01-01 $T/bin/b", "mkdir $T/new",
		"touch -r $T/bin/c $B/t && echo twoooo > $T/bin/c && touch -r $B/t $T/bin/c",
	};
	char before[SHA256_DIGEST_STRING_LENGTH], after[SHA256_DIGEST_STRING_LENGTH];

	key_of(before);
	key_of(after);
	cr_assert_str_eq(before, after, "an unchanged tree keeps its key");
	for (size_t i = 0; i < array_len(changes); i++) {
		run(changes[i]);
		key_of(after);
		cr_assert_str_neq(before, after, "%s", changes[i]);
		memcpy(before, after, sizeof(before));
	}
}

Test(image, a_directory_is_made_once_and_reused)
{
	char path[PATH_MAX], again[PATH_MAX];
	struct stat first, second;

	cr_assert_eq(image_prepare(tree, path, sizeof(path)), 0);
	cr_assert_eq(stat(path, &first), 0);
	cr_assert_eq(image_prepare(tree, again, sizeof(again)), 0);
	cr_assert_str_eq(path, again);
	cr_assert_eq(stat(path, &second), 0);
	cr_assert_eq(first.st_ino, second.st_ino);
	cr_assert_eq(use_file(path), 0, "what was made is a known format");
}

Test(image, an_image_is_on_the_disk_before_it_has_its_name)
{
	char path[PATH_MAX];

	cr_assert_eq(image_prepare(tree, path, sizeof(path)), 0);
	cr_assert_str_eq(trace, "sr");
}

/* What ends immure while @signo comes in the middle: its wait status. */
static int end_of_a_run(int signo, bool ignored)
{
	char path[PATH_MAX];
	int status;
	pid_t pid;

	run("mkdir -p $B/fake && rm -rf $B/images && "
	    "printf '#!/bin/sh\nkill -%s $PPID; sleep 0.3; exec /usr/bin/mkfs.erofs \"$@\"\n' \"$S\" "
	    "> $B/fake/mkfs.erofs && chmod 755 $B/fake/mkfs.erofs");
	snprintf(path, sizeof(path), "%s/fake:%s", base, getenv("PATH"));
	pid = fork();
	if (pid == 0) {
		setenv("PATH", path, 1);
		signal(signo, ignored ? SIG_IGN : SIG_DFL);
		_exit(image_prepare(tree, path, sizeof(path)) == 0 ? 0 : 1);
	}
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	return status;
}

Test(image, what_the_caller_ignores_does_not_end_the_work)
{
	setenv("S", "HUP", 1);
	cr_assert_eq(end_of_a_run(SIGHUP, true), 0);
	cr_assert_eq(end_of_a_run(SIGHUP, false), SIGHUP);
	run("test ! -e $B/images/making");
}

Test(image, a_child_that_cannot_be_made_is_an_error)
{
	char path[PATH_MAX];

	no_fork = 1;
	cr_assert_eq(image_prepare(tree, path, sizeof(path)), -1);
	cr_assert_str_eq(say_last(), "cannot start mkfs.erofs: Resource temporarily unavailable");
	no_fork = 0;
}

/* A mounted erofs keeps one time a file. */
Test(image, where_times_tell_nothing_contents_do)
{
	char first[SHA256_DIGEST_STRING_LENGTH], second[SHA256_DIGEST_STRING_LENGTH];

	run("mkdir $B/m && mkfs.erofs --quiet -T 1000000000 $B/1.erofs $T && "
	    "echo two > $T/bin/a && mkfs.erofs --quiet -T 1000000000 $B/2.erofs $T");
	if (shell("mount -o ro,loop -t erofs $B/1.erofs $B/m") != 0)
		cr_skip_test("an image cannot be mounted here");
	snprintf(tree, sizeof(tree), "%s/m", base);
	key_of(first);
	run("umount $B/m && mount -o ro,loop -t erofs $B/2.erofs $B/m");
	key_of(second);
	run("umount $B/m");
	cr_assert_str_neq(first, second);
}

Test(image, a_half_made_image_of_a_dead_run_is_swept)
{
	char path[PATH_MAX], left[128];

	run("mkdir -p $B/images && echo rubbish > $B/images/making");
	cr_assert_eq(image_prepare(tree, path, sizeof(path)), 0);
	snprintf(left, sizeof(left), "%s/images/making", base);
	cr_assert_neq(access(left, F_OK), 0);
}

Test(image, make_rootfs_removes_only_what_it_made)
{
	run("scripts/make-rootfs $B/r && touch $B/r/mark && scripts/make-rootfs $B/r && test ! -e $B/r/mark");
	run("! scripts/make-rootfs $T 2>$B/err && grep -q 'not of this script' $B/err && test -e $T/bin/a");
}

Test(image, files_of_no_known_format_are_refused)
{
	char path[PATH_MAX], file[128];

	snprintf(file, sizeof(file), "%s/bin/a", tree);
	cr_assert_neq(image_prepare(file, path, sizeof(path)), 0);
	cr_assert_neq(image_prepare("/no/such/rootfs", path, sizeof(path)), 0);
}

Test(image, an_unreadable_cache_is_an_error_that_leaves_nothing)
{
	char path[PATH_MAX];

	setenv("IMMURE_CACHE", "/proc/nowhere", 1);
	cr_assert_neq(image_prepare(tree, path, sizeof(path)), 0);
	setenv("IMMURE_CACHE", "relative", 1);
	cr_assert_neq(image_prepare(tree, path, sizeof(path)), 0);
}

/* True when an image can be made after shell line @change. */
static bool works_after(const char *change)
{
	char path[PATH_MAX];

	run("rm -rf $B/cache && mkdir -p -m 700 $B/cache/images");
	setenv("IMMURE_CACHE", getenv("C"), 1);
	run(change);
	return image_prepare(tree, path, sizeof(path)) == 0;
}

static void use_cache(void)
{
	char cache[96];

	snprintf(cache, sizeof(cache), "%s/cache", base);
	setenv("C", cache, 1);
	cr_assert(works_after("true"));
}

Test(image, a_cache_that_others_may_write_to_is_refused)
{
	static const char *const bad[] = {
		"chmod g+w $C", "chmod o+w $C/images", "ln -s $B/stolen $C/images/lock",
	};

	use_cache();
	cr_assert(works_after("mv $C $B/elsewhere && ln -s $B/elsewhere $C"), "a link of our own");
	for (size_t i = 0; i < array_len(bad); i++)
		cr_assert_not(works_after(bad[i]), "%s", bad[i]);
	run("test ! -e $B/stolen");
}

Test(image, a_cache_of_another_user_is_refused)
{
	static const char *const bad[] = {
		"chown 65534 $C", "chown 65534 $C/images",
		"mv $C $B/moved && ln -s $B/moved $C && chown -h 65534 $C",
	};

	if (geteuid() != 0)
		cr_skip_test("only root may give a directory away");
	use_cache();
	for (size_t i = 0; i < array_len(bad); i++)
		cr_assert_not(works_after(bad[i]), "%s", bad[i]);
}
