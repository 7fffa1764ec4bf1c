/* SPDX-License-Identifier: Apache-2.0 */
/* LIBS: -ljansson */
/* The real jailer and passt: started, sealed, ended with the VM; missing, failing, dying.  In most of
 * them the passt of /usr/bin is fake_passt, in a mount namespace of the test's own. */
#include "tests/unit/jail_rig.h"

enum { SOMEBODY = 12345, BASE = 2000000000, ID = 5, UIDS = 16 };

#define PASST "/usr/bin/passt"

/* In a mount namespace of this test's own, which lets nothing out. */
static struct rig rig_apart(uid_t uid)
{
	struct rig r = rig_make(uid);
	char node[64];

	if (access(PASST, X_OK) != 0)
		cr_skip("needs passt");
	cr_assert_eq(unshare(CLONE_NEWNS), 0);
	cr_assert_eq(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL), 0);
	if (uid == 0)
		return r;
	snprintf(node, sizeof(node), "%s/disk", r.dir);
	cr_assert_eq(unlink(node), 0);
	/* In a place that rig_remove() knows. */
	cr_assert(mknod(node, S_IFCHR | 0666, makedev(10, 232)) == 0 && chmod(node, 0666) == 0);
	cr_assert_eq(mount(node, "/dev/kvm", NULL, MS_BIND, NULL), 0);
	cr_assert_eq(unlink(node), 0);
	rig_file(&r, "disk", "", 0, 1 << 20);
	return r;
}

/* One whose passt is fake_passt. */
static struct rig rig_faked(uid_t uid)
{
	struct rig r = rig_apart(uid);
	char self[256] = "", path[300];

	cr_assert_gt(readlink("/proc/self/exe", self, sizeof(self) - 1), 0);
	*strrchr(self, '/') = 0;
	snprintf(path, sizeof(path), "%s/fake_passt", self);
	cr_assert_eq(mount(path, PASST, NULL, MS_BIND, NULL), 0, "%s", strerror(errno));
	return r;
}

/* A VM with such an interface; the fake does what @gateway, a digit, says. */
static const char *vm(const struct rig *r, char gateway)
{
	static char more[256];

	snprintf(more, sizeof(more), ",\"net\":[{\"user\":{\"address\":\"10.0.2.15/24\","
		 "\"gateway\":\"10.0.2.%c\",\"dns\":\"10.0.2.2\"}}]", gateway);
	return rig_config(r, "idle", more);
}

static void stop(struct rig *r)
{
	rig_stop(r);
	rig_remove(r);
}

/* Which of the jailer's children is passt. */
static pid_t passt_of(const struct rig *r)
{
	char path[64], name[32];

	for (unsigned i = 0; i < r->nprocs; i++) {
		FILE *f;

		snprintf(path, sizeof(path), "/proc/%d/comm", (int)r->pid[i]);
		f = fopen(path, "re");
		if (f != NULL && fgets(name, sizeof(name), f) != NULL && strstr(name, "passt") != NULL) {
			fclose(f);
			return r->pid[i];
		}
		if (f != NULL)
			fclose(f);
	}
	cr_assert_fail("no passt among %u processes", r->nprocs);
	return 0;
}

/* Is the namespace @ns of @pid another than this test's? */
static bool own(pid_t pid, const char *ns)
{
	char path[64], one[64] = "", two[64] = "";

	snprintf(path, sizeof(path), "/proc/%d/ns/%s", (int)pid, ns);
	cr_assert_gt(readlink(path, one, sizeof(one) - 1), 0);
	snprintf(path, sizeof(path), "/proc/self/ns/%s", ns);
	cr_assert_gt(readlink(path, two, sizeof(two) - 1), 0);
	return strcmp(one, two) != 0;
}

/* Waits for a line of @process that has @text in it. */
static void logs(struct rig *r, const char *process, const char *text)
{
	for (;;) {
		json_t *e = rig_expect(r, "log");
		bool found = strcmp(rig_word(e, "process"), process) == 0 &&
			     strstr(rig_word(e, "text"), text) != NULL;

		json_decref(e);
		if (found)
			return;
	}
}

static void real_one(uid_t uid)
{
	struct rig r = rig_apart(uid);
	pid_t passt;

	rig_start(&r, vm(&r, '2'));
	rig_running(&r);
	cr_assert_eq(r.nprocs, 5, "%u processes", r.nprocs);
	passt = passt_of(&r);
	cr_assert_eq(rig_status(passt, "Uid", 10), uid != 0 ? uid : BASE + (ID + 1) * UIDS - 1);
	cr_assert_eq(rig_status(passt, "Seccomp", 10), 2);
	cr_assert_eq(rig_status(passt, "NoNewPrivs", 10), 1);
	cr_assert_eq(rig_status(passt, "CapEff", 16), 0);
	cr_assert_eq(rig_status(passt, "CapPrm", 16), 0);
	cr_assert(!own(passt, "net") && own(passt, "user") && own(passt, "mnt"));
	stop(&r);
}

Test(jail_passt, runs_apart_as_root, .timeout = 60)
{
	real_one(0);
}

Test(jail_passt, runs_apart_as_somebody, .timeout = 60)
{
	real_one(SOMEBODY);
}

Test(jail_passt, goes_when_any_process_is_killed, .timeout = 120)
{
	for (int victim = -1; victim < 4; victim++) {
		struct rig r = rig_apart(0);
		pid_t passt, pid;

		rig_start(&r, vm(&r, '2'));
		rig_running(&r);
		passt = passt_of(&r);
		pid = victim < 0 ? r.jailer : r.pid[victim] != passt ? r.pid[victim] : r.pid[4];
		cr_assert_eq(kill(pid, SIGKILL), 0);
		while (rig_event(&r) != NULL)
			;
		for (int ms = 0; kill(passt, 0) == 0 && ms < 5000; ms++)
			usleep(1000);
		cr_assert(kill(passt, 0) < 0 && errno == ESRCH, "passt outlived process %d", victim);
		waitpid(r.jailer, NULL, 0);
	}
}

Test(jail_passt, is_missing, .timeout = 60)
{
	struct rig r = rig_apart(0);

	cr_assert_eq(mount("none", "/usr/bin", "tmpfs", 0, NULL), 0);
	rig_setup_fails(&r, vm(&r, '2'), "apt install passt");
}

Test(jail_passt, cannot_start, .timeout = 60)
{
	struct rig r = rig_faked(0);

	rig_setup_fails(&r, vm(&r, '1'), "passt: bad news");
}

Test(jail_passt, is_no_program, .timeout = 60)
{
	struct rig r = rig_apart(0);

	cr_assert_eq(mount("/etc/passwd", PASST, NULL, MS_BIND, NULL), 0);
	rig_setup_fails(&r, vm(&r, '2'), "execute the program");
}

Test(jail_passt, has_no_route, .timeout = 60)
{
	struct rig r = rig_apart(0);

	cr_assert_eq(unshare(CLONE_NEWNET), 0);
	rig_setup_fails(&r, vm(&r, '2'), "default route");
}

Test(jail_passt, that_never_locks_itself_in_is_none, .timeout = 60)
{
	struct rig r = rig_faked(0);

	rig_setup_fails(&r, vm(&r, '9'), "does not lock itself in");
}

Test(jail_passt, that_clings_to_life_is_killed, .timeout = 60)
{
	static const uid_t uids[] = { 0, SOMEBODY };

	for (size_t i = 0; i < 2; i++) {
		struct rig r = rig_faked(uids[i]);

		rig_start(&r, vm(&r, '2'));
		rig_running(&r);
		cr_assert_eq(rig_status(passt_of(&r), "Seccomp", 10), 2, "the VM began before it");
		stop(&r);
		cr_assert_eq(umount(PASST), 0);
	}
}

Test(jail_passt, that_dies_takes_only_the_link_along, .timeout = 60)
{
	struct rig r = rig_faked(0);

	rig_start(&r, vm(&r, '3'));
	rig_running(&r);
	logs(&r, "passt", "my last word");
	logs(&r, "passt", "ended with status 7");
	rig_find(&r);
	cr_assert_eq(r.nprocs, 4, "%u processes", r.nprocs);
	stop(&r);
}

Test(jail_passt, that_floods_its_log_and_the_socket_harms_nobody, .timeout = 60)
{
	struct rig r = rig_faked(0);

	rig_start(&r, vm(&r, '4'));
	rig_running(&r);
	for (int i = 0; i < 50; i++)
		logs(&r, "passt", "what a day");
	stop(&r);
}
