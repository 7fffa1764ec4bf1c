/* SPDX-License-Identifier: Apache-2.0 */
/* cgroup.c: makes, fills and removes the VM's cgroup.
 *
 * v2: clone3() puts each child into the cgroup at birth (CLONE_INTO_CGROUP), the jailer stays
 * outside.  v1 has no such thing: the jailer enters, its children inherit, it leaves; it must
 * not stay, because the out-of-memory killer could then choose the one process that cleans up.
 *
 * The cgroups of all VMs lie in one directory "immure", which stays: the supervisor has no
 * capability and could not remove a cgroup from the hierarchy's root, which even root may
 * write to by capability only.  What a VM whose supervisor was killed left is empty and
 * replaced; a cgroup with tasks in it is a VM of the same name that runs. */
#include "jailer/cgroup.h"
#include "jailer/devices.h"
#include "jailer/path.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

#define ROOT "/sys/fs/cgroup"
#define ALL "immure"			/* the directory of all VMs' cgroups */

static const char *const v1_controllers[CGROUP_V1_MAX] = { "memory", "pids", "cpu", "blkio" };

bool cgroup_find(const char *text, const char *controller, char *path, size_t size)
{
	size_t want = strlen(controller);

	for (const char *line = text; line != NULL && *line != 0; ) {
		const char *list = strchr(line, ':');
		const char *end = list != NULL ? strchr(list + 1, ':') : NULL;
		const char *eol = end != NULL ? strchr(end, '\n') : NULL;

		if (eol == NULL)
			return false;
		/* The list is "memory", "cpu,cpuacct" or, for v2, empty. */
		for (const char *c = list + 1; c <= end; c += strcspn(c, ",:") + 1) {
			size_t len = (size_t)(eol - end - 1);

			if (strcspn(c, ",:") != want || strncmp(c, controller, want) != 0)
				continue;
			if (len >= size)
				return false;
			memcpy(path, end + 1, len);
			path[len] = 0;
			return true;
		}
		line = eol + 1;
	}
	return false;
}

static int read_file(const char *path, char *buf, size_t size)
{
	int fd = path_open(AT_FDCWD, path, O_RDONLY, PATH_HOST);
	ssize_t n;

	if (fd < 0)
		return fd;
	n = read(fd, buf, size - 1);
	close(fd);
	buf[n > 0 ? n : 0] = 0;
	return n < 0 ? -EIO : 0;
}

static int write_at(int dir, const char *file, const char *text)
{
	int fd = path_open(dir, file, O_WRONLY, PATH_BELOW);
	int rc = 0;

	if (fd < 0)
		return fd;
	if (write(fd, text, strlen(text)) < 0)
		rc = -errno;
	close(fd);
	return rc;
}

static int write_number(int dir, const char *file, uint64_t value)
{
	char text[24];

	snprintf(text, sizeof(text), "%llu", (unsigned long long)value);
	return write_at(dir, file, text);
}

static void note(struct cgroup *cg, const char *what)
{
	size_t used = strlen(cg->note);

	snprintf(cg->note + used, sizeof(cg->note) - used, "%s%s",
		 used == 0 ? "not limited: " : "; ", what);
}

/* The device number that I/O limits of an image on @dev name: of the whole disk, not of a
 * partition.  False for file systems without a block device. */
static bool whole_disk(uint64_t dev, char *buf, size_t size)
{
	char path[80];
	int partition;

	if (major(dev) == 0)
		return false;
	snprintf(path, sizeof(path), "/sys/dev/block/%u:%u/partition", major(dev), minor(dev));
	partition = path_open(AT_FDCWD, path, O_PATH, PATH_HOST);
	if (partition < 0) {
		snprintf(buf, size, "%u:%u", major(dev), minor(dev));
		return true;
	}
	close(partition);
	snprintf(path, sizeof(path), "/sys/dev/block/%u:%u/../dev", major(dev), minor(dev));
	if (read_file(path, buf, size) != 0)
		return false;
	buf[strcspn(buf, "\n")] = 0;
	return true;
}

/* Limits the rate of both directions at the device @dev. */
static int limit_io_of(struct cgroup *cg, int dir, uint64_t dev, unsigned long long rate, bool v2)
{
	char disk[24], text[128];
	int rc;

	if (!whole_disk(dev, disk, sizeof(disk))) {
		note(cg, "I/O of an image that lies on no block device");
		return 0;
	}
	if (v2) {
		snprintf(text, sizeof(text), "%s rbps=%llu wbps=%llu", disk, rate, rate);
		return write_at(dir, "io.max", text);
	}
	snprintf(text, sizeof(text), "%s %llu", disk, rate);
	rc = write_at(dir, "blkio.throttle.read_bps_device", text);
	return rc != 0 ? rc : write_at(dir, "blkio.throttle.write_bps_device", text);
}

static int limit_io(struct cgroup *cg, int dir, const struct plan *p, const struct opened *o,
		    bool v2)
{
	unsigned long long rate = p->cgroup.io_bytes_per_sec;
	int rc = 0;

	for (unsigned i = 0; i < p->config->ndisks && rc == 0; i++) {
		rc = limit_io_of(cg, dir, o->disk_dev[i], rate, v2);
		if (rc == 0 && o->overlay_dev[i] != 0)
			rc = limit_io_of(cg, dir, o->overlay_dev[i], rate, v2);
	}
	return rc;
}

/* Makes cg->name in @parent and opens it.  Returns the descriptor or -errno. */
static int make_leaf(const struct cgroup *cg, int parent)
{
	if (mkdirat(parent, cg->name, 0755) < 0) {
		if (errno != EEXIST)
			return -errno;
		if (unlinkat(parent, cg->name, AT_REMOVEDIR) < 0 ||
		    mkdirat(parent, cg->name, 0755) < 0)
			return errno == EBUSY ? -EEXIST : -errno;
	}
	return path_open(parent, cg->name, O_PATH | O_DIRECTORY, PATH_BELOW);
}

static int failed(const struct cgroup *cg, int rc, const char *what, struct failure *f)
{
	if (rc == -EEXIST)
		return fail(f, 0, "choose another name, or stop it",
			    "cgroup %s: a VM of this name runs", cg->name);
	return fail(f, -rc, "run `immure doctor`, or turn cgroups off", "cgroup %s: %s",
		    cg->name, what);
}

/* Opens the directory of all VMs' cgroups below @path, making it when it is the first time.
 * Returns the descriptor or -errno. */
static int open_parent(const char *path)
{
	int base = path_open(AT_FDCWD, path, O_PATH | O_DIRECTORY, PATH_HOST);
	int parent;

	if (base < 0)
		return base;
	parent = path_open(base, ALL, O_PATH | O_DIRECTORY, PATH_BELOW);
	if (parent == -ENOENT && mkdirat(base, ALL, 0755) == 0)
		parent = path_open(base, ALL, O_PATH | O_DIRECTORY, PATH_BELOW);
	close(base);
	return parent;
}

/* ---- v2 ---- */

/* What a missing file means: at first, that the parent may not pass the controller on yet
 * (-ENOENT, see v2_enable()); afterwards, that the host does not have it. */
static int v2_missing(struct cgroup *cg, int rc, const char *what, bool enabled)
{
	if (rc != -ENOENT || !enabled)
		return rc;
	note(cg, what);
	return 0;
}

static int v2_limits(struct cgroup *cg, int leaf, const struct plan *p, const struct opened *o,
		     bool enabled)
{
	const struct plan_cgroup *pc = &p->cgroup;
	char text[48];
	int rc = write_number(leaf, "memory.max", pc->memory_max);

	rc = v2_missing(cg, rc, "memory", enabled);
	if (rc == 0)
		rc = v2_missing(cg, write_number(leaf, "pids.max", pc->pids_max), "tasks",
				enabled);
	if (rc != 0)
		return rc;
	rc = write_at(leaf, "memory.swap.max", "0");
	if (rc != 0 && rc != -ENOENT)	/* a kernel without swap accounting */
		return rc;
	snprintf(text, sizeof(text), "%u 100000", pc->cpu_percent * 1000);
	rc = pc->cpu_percent != 0 ? write_at(leaf, "cpu.max", text) : 0;
	rc = v2_missing(cg, rc, "CPU", enabled);
	if (rc == 0 && pc->io_bytes_per_sec != 0)
		rc = v2_missing(cg, limit_io(cg, leaf, p, o, true), "I/O", enabled);
	return rc;
}

/* Controllers exist in our cgroup only when those above it pass them on.  Each on its own: one
 * that the host lacks must not keep the others away. */
static void v2_enable(int parent)
{
	static const char *const all[] = { "+memory", "+pids", "+cpu", "+io" };
	int above = path_open(parent, "..", O_PATH | O_DIRECTORY, PATH_HOST_DIRECT);

	for (size_t i = 0; i < array_len(all); i++) {
		(void)!write_at(above, "cgroup.subtree_control", all[i]);
		(void)!write_at(parent, "cgroup.subtree_control", all[i]);
	}
	close(above);
}

/* Some kernels have no device control, and only root of the host may ask for it. */
static int without_devices(struct cgroup *cg, int rc)
{
	if (rc != -EPERM && rc != -EINVAL && rc != -ENOSYS && rc != -ENOENT)
		return rc;
	note(cg, rc == -EPERM ? "devices (only for the host's root)" : "devices");
	return 0;
}

static int v2_make(struct cgroup *cg, int parent, const struct plan *p, const struct opened *o,
		   struct failure *f)
{
	int leaf = make_leaf(cg, parent);
	int rc;

	if (leaf < 0)
		return failed(cg, leaf, "make", f);
	rc = v2_limits(cg, leaf, p, o, false);
	if (rc == -ENOENT) {
		v2_enable(parent);
		cg->note[0] = 0;
		rc = v2_limits(cg, leaf, p, o, true);
	}
	if (rc == 0)
		rc = without_devices(cg, devices_deny(leaf));
	if (rc != 0) {
		unlinkat(parent, cg->name, AT_REMOVEDIR);
		return failed(cg, rc, "set limits", f);
	}
	cg->events = path_open(leaf, "memory.events", O_RDONLY, PATH_BELOW);
	cg->parent[0] = parent;
	cg->home[0] = -1;
	cg->n = 1;
	cg->into = leaf;
	return 0;
}

/* True when children of the cgroup at @path may be made by us and get memory and pids, which
 * we may have to ask for; the kernel refuses where there are tasks beside the children. */
static bool delegated(const char *path)
{
	char file[1200], controllers[256];
	int dir = path_open(AT_FDCWD, path, O_PATH | O_DIRECTORY, PATH_HOST);
	bool ours = dir >= 0 && faccessat(dir, "cgroup.procs", W_OK, 0) == 0;

	snprintf(file, sizeof(file), "%s/cgroup.subtree_control", path);
	if (ours && read_file(file, controllers, sizeof(controllers)) == 0 &&
	    (strstr(controllers, "memory") == NULL || strstr(controllers, "pids") == NULL))
		ours = write_at(dir, "cgroup.subtree_control", "+memory +pids") == 0;
	close(dir);
	return ours;
}

/* Rootless: below the nearest ancestor that was delegated to the caller. */
static int v2_rootless_parent(void)
{
	char text[2048], path[1100] = ROOT;
	size_t root = strlen(path);
	char *slash;

	if (read_file("/proc/self/cgroup", text, sizeof(text)) != 0 ||
	    !cgroup_find(text, "", path + root, sizeof(path) - root))
		return -1;
	while (!delegated(path)) {
		slash = strrchr(path, '/');
		if ((size_t)(slash - path) <= root)
			return -1;
		*slash = 0;
	}
	return open_parent(path);
}

/* ---- v1 ---- */

/* A kernel may have no quotas; and within one that is lower already, a container's perhaps, it
 * refuses a higher one. */
static int v1_quota(struct cgroup *cg, int leaf, uint64_t quota)
{
	int rc = write_number(leaf, "cpu.cfs_quota_us", quota);

	if (rc != -ENOENT && rc != -EINVAL)
		return rc;
	note(cg, rc == -ENOENT ? "CPU" : "CPU (the host's own limit is lower)");
	return 0;
}

static int v1_limit(struct cgroup *cg, unsigned which, int leaf, const struct plan *p,
		    const struct opened *o)
{
	const struct plan_cgroup *pc = &p->cgroup;
	int rc;

	if (which == 1)
		return write_number(leaf, "pids.max", pc->pids_max);
	if (which == 2)
		return v1_quota(cg, leaf, pc->cpu_percent * 1000ull);
	if (which == 3)
		return limit_io(cg, leaf, p, o, false);
	rc = write_number(leaf, "memory.limit_in_bytes", pc->memory_max);
	if (rc != 0)
		return rc;
	rc = write_number(leaf, "memory.memsw.limit_in_bytes", pc->memory_max);
	if (rc == -ENOENT)	/* a kernel without swap accounting */
		rc = write_at(leaf, "memory.swappiness", "0");
	return rc;
}

/* The task list of the cgroup the jailer is in, to come back to.  "tasks", not "cgroup.procs":
 * a thread that moves itself alone need not stop the world's forks for a grace period, which
 * takes milliseconds, and we are a single thread. */
static int v1_home(const char *text, const char *controller)
{
	char path[1100], own[1024];

	if (!cgroup_find(text, controller, own, sizeof(own)))
		own[0] = 0;
	snprintf(path, sizeof(path), ROOT "/%s%s/tasks", controller, own);
	return path_open(AT_FDCWD, path, O_WRONLY, PATH_HOST);
}

static int v1_make_one(struct cgroup *cg, unsigned which, const char *text,
		       const struct plan *p, const struct opened *o)
{
	char path[64];
	int parent, leaf, rc;

	snprintf(path, sizeof(path), ROOT "/%s", v1_controllers[which]);
	parent = open_parent(path);
	if (parent == -ENOENT) {
		note(cg, v1_controllers[which]);
		return 0;
	}
	leaf = parent < 0 ? parent : make_leaf(cg, parent);
	if (leaf < 0)
		return leaf;
	cg->parent[cg->n] = parent;
	cg->home[cg->n] = v1_home(text, v1_controllers[which]);
	cg->n++;
	if (which == 0)
		cg->events = path_open(leaf, "memory.oom_control", O_RDONLY, PATH_BELOW);
	rc = v1_limit(cg, which, leaf, p, o);
	if (rc == 0)
		rc = write_at(leaf, "tasks", "0");
	close(leaf);
	return rc;
}

/* One cgroup for all VMs: it denies the same to each, nothing in it is counted, and there is
 * nothing to remove. */
static int v1_devices(struct cgroup *cg, const char *text)
{
	int dir = open_parent(ROOT "/devices");
	int rc = dir < 0 ? dir : devices_deny_v1(dir);

	close(dir);
	if (rc != 0)
		return without_devices(cg, rc);
	cg->devices_home = v1_home(text, "devices");
	return 0;
}

static int v1_make(struct cgroup *cg, const struct plan *p, const struct opened *o,
		   struct failure *f)
{
	const bool wanted[CGROUP_V1_MAX] = {
		true, true, p->cgroup.cpu_percent != 0, p->cgroup.io_bytes_per_sec != 0,
	};
	char text[2048];

	if (read_file("/proc/self/cgroup", text, sizeof(text)) != 0)
		text[0] = 0;
	for (unsigned i = 0; i <= CGROUP_V1_MAX; i++) {
		bool last = i == CGROUP_V1_MAX;
		int rc = last ? v1_devices(cg, text)
			 : wanted[i] ? v1_make_one(cg, i, text, p, o) : 0;

		if (rc != 0) {
			(void)!cgroup_leave(cg);
			cgroup_remove(cg->parent, cg->n, cg->name, 0);
			return failed(cg, rc, last ? "devices" : v1_controllers[i], f);
		}
	}
	return 0;
}

/* The directory of all VMs' cgroups in the v2 hierarchy.  Returns the descriptor or < 0. */
static int v2_parent(bool root)
{
	return root ? open_parent(ROOT) : v2_rootless_parent();
}

bool cgroup_sweep(const char *name, int ms)
{
	int parent[1 + CGROUP_V1_MAX];
	char path[64];
	struct statfs fs;
	unsigned n = 0;
	bool gone = true;

	if (statfs(ROOT, &fs) < 0)
		return true;
	if (fs.f_type == CGROUP2_SUPER_MAGIC)
		parent[n++] = v2_parent(geteuid() == 0);
	for (unsigned i = 0; i < CGROUP_V1_MAX && fs.f_type != CGROUP2_SUPER_MAGIC; i++) {
		snprintf(path, sizeof(path), ROOT "/%s/" ALL, v1_controllers[i]);
		parent[n++] = path_open(AT_FDCWD, path, O_PATH | O_DIRECTORY, PATH_HOST);
	}
	for (unsigned i = 0; i < n; i++) {
		if (parent[i] < 0)
			continue;
		gone &= cgroup_remove(&parent[i], 1, name, ms) != -EBUSY;
		close(parent[i]);
	}
	return gone;
}

int cgroup_make(struct cgroup *cg, const struct plan *p, const struct opened *o,
		struct failure *f)
{
	struct statfs fs;
	int parent;

	*cg = (struct cgroup){ .into = -1, .events = -1, .devices_home = -1 };
	snprintf(cg->name, sizeof(cg->name), "%s", p->config->name);
	if (!p->cgroup.wanted)
		return 0;
	if (statfs(ROOT, &fs) < 0) {
		note(cg, "memory, CPU, tasks, I/O, devices (no cgroups on this host)");
		return 0;
	}
	if (fs.f_type != CGROUP2_SUPER_MAGIC && p->root)
		return v1_make(cg, p, o, f);
	parent = -1;
	if (fs.f_type == CGROUP2_SUPER_MAGIC)
		parent = v2_parent(p->root);
	if (parent < 0) {
		note(cg, "memory, CPU, tasks, I/O, devices (no cgroup was delegated to this user)");
		return 0;
	}
	return v2_make(cg, parent, p, o, f);
}

void cgroup_refused(struct cgroup *cg)
{
	cg->into = -1;
	note(cg, "memory, CPU, tasks, I/O, devices (no tasks may be moved to the delegated cgroup)");
}

static int go_home(int *home)
{
	int rc = 0;

	if (*home < 0)
		return 0;
	if (write(*home, "0", 1) < 0)
		rc = -errno;
	close(*home);
	*home = -1;
	return rc;
}

int cgroup_leave(struct cgroup *cg)
{
	int rc = go_home(&cg->devices_home);

	for (unsigned i = 0; i < cg->n; i++) {
		int one = go_home(&cg->home[i]);

		rc = one != 0 ? one : rc;
	}
	return rc;
}

bool cgroup_out_of_memory(int events)
{
	static const char key[] = "oom_kill ";
	char text[256] = "";
	const char *at;

	if (pread(events, text, sizeof(text) - 1, 0) <= 0)
		return false;
	at = strstr(text, key);
	return at != NULL && at[strlen(key)] != '0';
}

int cgroup_remove(const int *parent, unsigned n, const char *name, int ms)
{
	/* Not poll(), nor nanosleep(): after a stop the kernel resumes those by
	 * restart_syscall(), which no filter allows. */
	const struct timespec moment = { .tv_nsec = 1000 * 1000 };
	int rc = 0;

	for (unsigned i = 0; i < n; i++) {
		while (unlinkat(parent[i], name, AT_REMOVEDIR) < 0) {
			if (errno != EBUSY || ms-- <= 0) {
				rc = errno == ENOENT ? rc : -errno;
				break;
			}
			ppoll(NULL, 0, &moment, NULL);
		}
	}
	return rc;
}
