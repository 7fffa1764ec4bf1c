/* SPDX-License-Identifier: Apache-2.0 */
/* walls_process.c: one process, from /proc.  A process may end at any moment: what then is
 * missing has an errno, and the caller looks whether the process is still there. */
#include "cli/walls.h"
#include "cli/say.h"
#include "cli/walls_text.h"
#include "jailer/cgroup.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

/* Gives the text of @file below @dir to @parse, which fills @to; @err says how that went. */
#define PARSE(dir, file, parse, to, err) do {                               \
		char *text_ = walls_text(dir, file, &(err));                \
		if (text_ != NULL && !parse(text_, to))                     \
			(err) = EPROTO;                                     \
		free(text_);                                                \
	} while (0)

static void read_namespaces(int dir, struct walls_process *p)
{
	char path[24], text[64];

	for (unsigned i = 0; i < WALLS_NS; i++) {
		snprintf(path, sizeof(path), "ns/%s", walls_ns_names[i]);
		p->ns_err[i] = walls_link(dir, path, text, sizeof(text));
		if (p->ns_err[i] == 0 && !walls_parse_ns(text, walls_ns_names[i], &p->ns[i]))
			p->ns_err[i] = EPROTO;
	}
}

static void read_threads(int dir, struct walls_process *p)
{
	unsigned tid[WALLS_THREADS];
	int n = walls_numbers(dir, "task", tid, WALLS_THREADS);

	p->threads_err = n < 0 ? -n : n > WALLS_THREADS ? EFBIG : 0;
	p->nthreads = p->threads_err == 0 ? (unsigned)n : 0;
	for (unsigned i = 0; i < p->nthreads; i++) {
		struct walls_thread *t = &p->thread[i];
		char path[40];

		snprintf(path, sizeof(path), "task/%u/status", tid[i]);
		t->tid = (pid_t)tid[i];
		PARSE(dir, path, walls_parse_status, &t->status, t->err);
		say_clean(t->status.name);
	}
}

/* Looks into the root directory of the process, from outside. */
static void read_root(int dir, struct walls_root *root)
{
	int fd = walls_dir(dir, "root/");
	DIR *d = fd >= 0 ? fdopendir(fd) : NULL;
	struct statvfs fs;
	struct dirent *e;

	*root = (struct walls_root){ .err = d == NULL ? (fd < 0 ? -fd : ENOMEM) : 0, .empty = true };
	if (d == NULL)
		return;
	if (fstatvfs(fd, &fs) < 0)
		root->err = errno;
	root->readonly = root->err == 0 && (fs.f_flag & ST_RDONLY) != 0;
	while (root->empty && (e = readdir(d)) != NULL)
		root->empty = strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0;
	closedir(d);
}

/* What is in /proc of a process that may not be dumped belongs to the root of its user
 * namespace, or of the host: not to itself.  Of root's own processes that says nothing. */
static int dumpable(int dir, const struct walls_status *s)
{
	struct stat st;

	if (s->uid[1] == 0 || fstatat(dir, "environ", &st, AT_SYMLINK_NOFOLLOW) < 0)
		return -1;
	return st.st_uid == s->uid[1];
}

/* Has the kernel given it a core scheduling cookie?  Whether the processor has several threads a
 * core is the host's matter (immure doctor). */
static int cores(pid_t pid)
{
	enum { SCHED_CORE = 62, GET = 0, THREAD = 0 };	/* <linux/prctl.h> of Linux 5.14 */
	uint64_t cookie = 0;

	if (prctl(SCHED_CORE, GET, (long)pid, THREAD, (unsigned long)&cookie) < 0)
		return -1;
	return cookie != 0;
}

static void read_cgroup(int dir, struct walls_process *p)
{
	char *text = walls_text(dir, "cgroup", &p->cgroup_err);

	if (text == NULL)
		return;
	/* Version 1 has a hierarchy that limits memory, version 2 one for all. */
	if (!cgroup_find(text, "memory", p->cgroup, sizeof(p->cgroup)) &&
	    !cgroup_find(text, "", p->cgroup, sizeof(p->cgroup)))
		p->cgroup_err = EPROTO;
	else if (!walls_parse_group(p->cgroup, p->group, sizeof(p->group)))
		p->group[0] = 0;
	if (!cgroup_find(text, "devices", p->devices, sizeof(p->devices)))
		p->devices[0] = 0;
	free(text);
}

int walls_read_process(const struct walls_host *h, pid_t pid, struct walls_process *p)
{
	struct walls_status now;
	char path[16];
	int dir, err;

	*p = (struct walls_process){ .pid = pid, .program = -1, .dumpable = -1, .cores = -1 };
	snprintf(path, sizeof(path), "%d", (int)pid);
	dir = openat(h->proc, path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0)
		return errno;
	PARSE(dir, "status", walls_parse_status, &p->status, err);
	if (p->status.state == 'Z' || p->status.state == 'X')
		err = ESRCH;
	if (err == 0) {
		p->exe_err = walls_link(dir, "exe", p->exe, sizeof(p->exe));
		say_clean(p->exe);
		say_clean(p->status.name);
		say_clean(p->status.store_bypass);
		say_clean(p->status.indirect_branch);
		PARSE(dir, "uid_map", walls_parse_map, &p->uids, p->maps_err);
		read_namespaces(dir, p);
		read_threads(dir, p);
		p->fds_err = walls_read_fds(dir, p);
		read_root(dir, &p->root);
		PARSE(dir, "mountinfo", walls_parse_mounts, &p->mounts, p->mounts_err);
		PARSE(dir, "limits", walls_parse_limits, &p->limits, p->limits_err);
		p->dumpable = dumpable(dir, &p->status);
		p->cores = cores(pid);
		read_cgroup(dir, p);
		/* Whatever went missing meanwhile: did the process? */
		PARSE(dir, "status", walls_parse_status, &now, err);
		if (err == 0 && (now.state == 'Z' || now.state == 'X'))
			err = ESRCH;
	}
	close(dir);
	return err;
}
