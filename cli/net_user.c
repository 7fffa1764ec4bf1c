/* SPDX-License-Identifier: Apache-2.0 */
/* net_user.c: the numbers of a packet wall that is in the interface's own process.
 *
 * They lie in the page of its counters, and a process that was taken over writes there what it likes:
 * what has no place in a table of ours is left out, and the rest is numbers. */
#include "cli/net.h"
#include "cli/run_dir.h"
#include "cli/run_values.h"
#include "cli/stats.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

bool net_target_ok(const struct wall_denied *w)
{
	return w->rule > WALL_PASS && w->rule < WALL_NRULES &&
	       (w->target.version == 0 || w->target.version == 4 || w->target.version == 6);
}

static int by_frames(const void *a, const void *b)
{
	const struct net_target *x = a, *y = b;

	return x->frames != y->frames ? (x->frames < y->frames) - (x->frames > y->frames)
				      : memcmp(&x->what, &y->what, sizeof(x->what));
}

void net_sort(struct net_denied *d)
{
	qsort(d->target, d->n, sizeof(d->target[0]), by_frames);
}

static void take(struct net_denied *d, const struct stats_wall *w)
{
	_Static_assert((int)STATS_WALL_DENIED <= (int)WALL_DENIED_MAX, "room for all");
	d->user = true;
	memcpy(d->count, w->count, sizeof(d->count));
	for (unsigned i = 0; i < STATS_WALL_DENIED; i++)
		if (net_target_ok(&w->denied[i].what))
			d->target[d->n++] = (struct net_target){ w->denied[i].what, w->denied[i].frames };
	net_sort(d);
}

bool net_user_take(struct net_denied *d, const struct stats_vm *vm)
{
	for (unsigned i = 0; i < vm->n; i++) {
		const struct stats_process *p = &vm->process[i];

		if (p->kind != VM_DEVICE_NET || !p->trusted || p->page.walled != 1)
			continue;
		take(d, &p->page.u.wall);
		return true;
	}
	return false;
}

static unsigned interfaces(const struct stats_vm *vm)
{
	unsigned n = 0;

	for (unsigned i = 0; i < vm->n; i++)
		n += vm->process[i].kind == VM_DEVICE_NET;
	return n;
}

int net_user_read(const char *name, struct net_denied *d)
{
	struct stats_vm *vm;
	int fd, rc = -1;

	if (!value_name(name) || !run_dir_has(name, PAGES_NAME))
		return 0;
	fd = stats_open(name, O_RDONLY);
	vm = fd >= 0 ? calloc(1, sizeof(*vm)) : NULL;
	if (vm != NULL && stats_read(vm, name, fd) == 0)
		rc = !net_user_take(d, vm) ? 0 : interfaces(vm) > 1 ? 2 : 1;
	free(vm);
	if (fd >= 0)
		close(fd);
	return rc;
}
