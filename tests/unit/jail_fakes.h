/* SPDX-License-Identifier: Apache-2.0 */
/* jail_fakes.h: a rig whose jailed programs are all one that misbehaves (fake_*.c). */
#ifndef IMMURE_TESTS_UNIT_JAIL_FAKES_H
#define IMMURE_TESTS_UNIT_JAIL_FAKES_H

#include "tests/unit/jail_rig.h"

static inline void rig_copy(const struct rig *r, const char *from, const char *name)
{
	char path[128], data[65536];
	int in = open(from, O_RDONLY | O_CLOEXEC), out;
	ssize_t n;

	cr_assert_geq(in, 0, "%s", from);
	snprintf(path, sizeof(path), "%s/%s", r->bin, name);
	out = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0755);
	while ((n = read(in, data, sizeof(data))) > 0)
		cr_assert_eq(write(out, data, (size_t)n), n);
	cr_assert(fchmod(out, 0755) == 0 && close(out) == 0 && close(in) == 0);
}

static const char *const rig_programs[] = {
	"immure-jailer", "immure-vmm", "immure-blk", "immure-vsock", "immure-net",
};

enum { RIG_PROGRAMS = sizeof(rig_programs) / sizeof(rig_programs[0]) };

/* From now on @r starts the real jailer, and @fake instead of the others. */
static inline void rig_fakes(struct rig *r, const char *fake)
{
	char self[256] = "", from[320];

	snprintf(r->bin, sizeof(r->bin), "%s/bin", r->dir);
	cr_assert_eq(mkdir(r->bin, 0755), 0);
	cr_assert_gt(readlink("/proc/self/exe", self, sizeof(self) - 1), 0);
	*strrchr(self, '/') = 0;
	snprintf(from, sizeof(from), "%s/../bin/immure-jailer", self);
	rig_copy(r, from, rig_programs[0]);
	snprintf(from, sizeof(from), "%s/%s", self, fake);
	for (size_t i = 1; i < RIG_PROGRAMS; i++)
		rig_copy(r, from, rig_programs[i]);
}

static inline void rig_remove_fakes(struct rig *r)
{
	char path[128];

	for (size_t i = 0; i < RIG_PROGRAMS; i++) {
		snprintf(path, sizeof(path), "%s/%s", r->bin, rig_programs[i]);
		unlink(path);
	}
	rmdir(r->bin);
	r->bin[0] = 0;
}

#endif
