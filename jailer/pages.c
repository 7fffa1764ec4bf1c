/* SPDX-License-Identifier: Apache-2.0 */
/* pages.c: the file of counters and limits.
 *
 * Every byte of it is written, so that the file system has given a page for each before a
 * process counts in it.  The jailer never looks at it again: what jailed processes write there
 * is for the VM's owner to read (immure stats), and its name is removed at the end. */
#include "jailer/pages.h"
#include "core/pages.h"
#include "jailer/path.h"

#include <errno.h>
#include <sys/uio.h>
#include <unistd.h>

/* As the processes see it too (vm_config), by device. */
static void fill_limits(struct limits_page *l, const struct config *c)
{
	*l = (struct limits_page){
		.magic = LIMITS_MAGIC, .version = LIMITS_VERSION, .devices = config_devices(c),
	};
	for (uint32_t i = 0; i < l->devices; i++) {
		l->device[i].kind = config_kind(c, i);
		for (unsigned d = 0; d < LIMITS_DIRECTIONS; d++)
			l->device[i].direction[d] = *config_limit(c, i, d);
	}
}

static int create(int dir)
{
	int fd = path_create(dir, PAGES_NAME);

	if (fd == -EEXIST && unlinkat(dir, PAGES_NAME, 0) == 0)
		fd = path_create(dir, PAGES_NAME);
	return fd;
}

int pages_make(struct opened *o, const struct plan *p, struct failure *f)
{
	static struct limits_page limits;
	static const char empty[STATS_PAGE];
	struct iovec iov[1 + PLAN_PROCESSES] = { { &limits, sizeof(limits) } };
	ssize_t want = (ssize_t)(1 + p->nprocs) * STATS_PAGE;
	int fd;

	if (p->config->run_dir == NULL)
		return 0;
	fill_limits(&limits, p->config);
	for (unsigned i = 0; i < p->nprocs; i++)
		iov[1 + i] = (struct iovec){ (char *)(uintptr_t)empty, sizeof(empty) };
	fd = create(o->fd[OBJ_RUNDIR][0]);
	if (fd < 0 || writev(fd, iov, 1 + (int)p->nprocs) != want)
		return fail(f, fd < 0 ? -fd : errno, "is there room in the run directory?",
			    "make %s in %s", PAGES_NAME, p->config->run_dir);
	o->fd[OBJ_PAGES][0] = fd;
	return 0;
}
