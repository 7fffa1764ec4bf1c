/* SPDX-License-Identifier: Apache-2.0 */
/* stats_read.c: from the file to numbers.
 *
 * The processes go on counting while it is read: each counter is loaded once, by itself. */
#include "cli/stats.h"
#include "cli/run_dir.h"
#include "cli/say.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { READS = 100 };	/* of limits that somebody may be writing */

int stats_open(const char *name, int flags)
{
	char dir[4096], path[4096 + 16];
	int fd;

	if (run_dir_path(name, dir, sizeof(dir)) < 0)
		return -1;
	snprintf(path, sizeof(path), "%s/" PAGES_NAME, dir);
	fd = open(path, flags | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd >= 0)
		return fd;
	if (errno == ENOENT) {
		say_error("no machine named %s has counters here", name);
		say_hint("it ended, runs as another user, or was started with --vsock");
	} else {
		say_error("cannot open %s: %s", path, strerror(errno));
	}
	return -1;
}

void stats_device_name(char *buf, size_t size, enum vm_device_kind kind, unsigned before)
{
	switch (kind) {
	case VM_DEVICE_BLK:
		snprintf(buf, size, "blk%u", before % 100);
		return;
	case VM_DEVICE_NET:
		snprintf(buf, size, "net%u", before % 100);
		return;
	case VM_DEVICE_VSOCK:
		snprintf(buf, size, "vsock");
		return;
	case VM_DEVICE_NONE:
		snprintf(buf, size, "vmm");
		return;
	}
	snprintf(buf, size, "device%u", before % 100);
}

static void copy_page(struct stats_page *to, const struct stats_page *from)
{
	const uint64_t *f = (const uint64_t *)(const void *)from;
	uint64_t *t = (uint64_t *)(void *)to;

	for (size_t i = 0; i < sizeof(*to) / sizeof(*t); i++)
		t[i] = __atomic_load_n(&f[i], __ATOMIC_RELAXED);
}

static void take_process(struct stats_process *p, const struct stats_page *page,
			 enum vm_device_kind kind, unsigned before)
{
	*p = (struct stats_process){ .kind = kind };
	stats_device_name(p->name, sizeof(p->name), kind, before);
	copy_page(&p->page, page);
	p->vcpus = kind == VM_DEVICE_NONE ? p->page.vcpus : 0;
	p->trusted = p->page.magic == STATS_MAGIC && p->page.version == STATS_VERSION &&
		     p->page.kind == kind && p->page.vcpus <= (kind == VM_DEVICE_NONE ? STATS_VCPUS : 0);
}

static void take_limits(struct limits_entry *to, const struct limits_entry *from)
{
	*to = (struct limits_entry){ .kind = from->kind, .sequence = 1 };
	for (unsigned i = 0; i < READS; i++)
		if (limits_read(from, &to->sequence, to->direction))
			return;
	to->sequence |= 1;
}

/* Devices of the same kind as number @d, in front of it. */
static unsigned same_before(const struct stats_vm *vm, unsigned d)
{
	unsigned n = 0;

	for (unsigned i = 0; i < d; i++)
		n += vm->limit[i].kind == vm->limit[d].kind;
	return n;
}

static int take_all(struct stats_vm *vm, const uint8_t *file, size_t size)
{
	const struct limits_page *l = (const void *)file;
	unsigned devices = l->devices;

	if (l->magic != LIMITS_MAGIC || l->version != LIMITS_VERSION || devices > PLAN_DEVICES ||
	    size != (2 + devices) * (size_t)STATS_PAGE) {
		say_error("the counters of %s are not in the form that this immure knows", vm->name);
		say_hint("was it started by another version?");
		return -1;
	}
	vm->n = 1 + devices;
	take_process(&vm->process[0], (const void *)(file + STATS_PAGE), VM_DEVICE_NONE, 0);
	for (unsigned d = 0; d < devices; d++) {
		take_limits(&vm->limit[d], &l->device[d]);
		take_process(&vm->process[1 + d], (const void *)(file + (2 + d) * (size_t)STATS_PAGE),
			     (enum vm_device_kind)vm->limit[d].kind, same_before(vm, d));
	}
	return 0;
}

int stats_read(struct stats_vm *vm, const char *name, int fd)
{
	const size_t most = (2 + PLAN_DEVICES) * (size_t)STATS_PAGE;
	struct stat st;
	size_t size;
	void *file;
	int rc;

	memset(vm, 0, sizeof(*vm));
	snprintf(vm->name, sizeof(vm->name), "%s", name);
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_size < STATS_PAGE ||
	    (size_t)st.st_size > most) {
		say_error("the counters of %s are no file of counters", name);
		return -1;
	}
	size = (size_t)st.st_size;
	file = mmap(NULL, size, PROT_READ, MAP_SHARED, fd, 0);
	if (file == MAP_FAILED) {
		say_error("cannot read the counters of %s: %s", name, strerror(errno));
		return -1;
	}
	rc = take_all(vm, file, size);
	munmap(file, size);
	return rc;
}
