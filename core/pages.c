/* SPDX-License-Identifier: Apache-2.0 */
/* pages.c: maps a process's counters and limits.
 *
 * The jailer wrote every byte of the file, so that a page exists for whatever is touched here:
 * counting cannot meet a full file system.  Only the file's owner could still cut it short,
 * and would end the VM by it. */
#include "core/pages.h"
#include "core/fdplan.h"

#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

_Static_assert((int)LIMITS_DEVICES >= (int)PLAN_DEVICES, "room for all");
_Static_assert((int)STATS_VCPUS >= (int)PLAN_VCPUS, "room for all");
_Static_assert((int)LIMITS_PAGE == (int)STATS_PAGE, "one size");

static int map(int protection, unsigned page, void **at)
{
	*at = mmap(NULL, STATS_PAGE, protection, MAP_SHARED, FD_PAGES, (off_t)page * STATS_PAGE);
	return *at == MAP_FAILED ? -errno : 0;
}

static int map_own(struct pages *p, int index)
{
	const struct limits_page *limits;
	void *at;
	int rc = map(PROT_READ | PROT_WRITE, (unsigned)(2 + index), &at);

	if (rc < 0)
		return rc;
	p->stats = at;
	if (index < 0)
		return 0;
	rc = map(PROT_READ, 0, &at);
	limits = at;
	if (rc == 0)
		p->limits = &limits->device[index];
	return rc;
}

int pages_map(struct pages *p, const struct vm_config *c, int index)
{
	static struct stats_page unseen;
	int rc = 0;

	*p = (struct pages){ .stats = &unseen };
	if ((c->flags & VM_PAGES) != 0)
		rc = map_own(p, index);
	close(FD_PAGES);
	if (rc < 0)
		return rc;
	p->stats->magic = STATS_MAGIC;
	p->stats->version = STATS_VERSION;
	p->stats->kind = index < 0 ? VM_DEVICE_NONE : (uint16_t)c->device[index].kind;
	p->stats->vcpus = index < 0 ? c->vcpus : 0;
	return 0;
}
