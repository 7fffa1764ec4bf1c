/* SPDX-License-Identifier: Apache-2.0 */
/* What a host can and cannot do about a shared processor, for every kind of host. */
#include <sys/prctl.h>

static int fake_prctl(int option, unsigned long a, unsigned long b, unsigned long c, unsigned long d);
#define prctl fake_prctl
#define path_open fake_path_open
#include "jailer/cpu.c"
#undef prctl
#include "jailer/failure.c"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

static struct {
	int state[2];		/* of the two kinds, before; negative: an errno */
	int core;		/* 0 or an errno */
	const char *smt;	/* what the file says; NULL: there is none */
	unsigned set, cores, reads;
} host;

/* As arch/x86/kernel/cpu/bugs.c answers. */
static int fake_prctl(int option, unsigned long a, unsigned long b, unsigned long c, unsigned long d)
{
	int *state = &host.state[a == PR_SPEC_INDIRECT_BRANCH];

	(void)d;
	if (option == PR_SCHED_CORE) {
		host.cores += a == PR_SCHED_CORE_CREATE && b == 0 && c == 0;
		errno = host.core;
		return host.core != 0 ? -1 : 0;
	}
	if (*state < 0) {
		errno = -*state;
		return -1;
	}
	if (option == PR_GET_SPECULATION_CTRL)
		return *state;
	host.set += option == PR_SET_SPECULATION_CTRL && b == PR_SPEC_FORCE_DISABLE;
	if ((*state & PR_SPEC_PRCTL) == 0) {
		errno = ENXIO;
		return -1;
	}
	*state = PR_SPEC_PRCTL | PR_SPEC_FORCE_DISABLE;
	return 0;
}

int fake_path_open(int dir, const char *path, int flags, unsigned resolve)
{
	int fd;

	(void)dir;
	(void)flags;
	(void)resolve;
	host.reads += strcmp(path, "/sys/devices/system/cpu/smt/active") == 0;
	if (host.smt == NULL)
		return -ENOENT;
	fd = memfd_create("smt", 0);
	cr_assert_eq(write(fd, host.smt, strlen(host.smt)), (ssize_t)strlen(host.smt));
	cr_assert_eq(lseek(fd, 0, SEEK_SET), 0);
	return fd;
}

static struct failure failure;

static bool restricts(bool speculation, bool cores)
{
	const struct config c = { .speculation_restrict = speculation, .core_scheduling = cores };

	failure.text[0] = 0;
	return cpu_restrict(&c, &failure) == 0;
}

Test(cpu, nothing_is_touched_unless_asked)
{
	host.core = EINVAL;
	host.state[0] = host.state[1] = PR_SPEC_ENABLE;
	cr_expect(restricts(false, false));
	cr_expect_eq(host.set + host.cores + host.reads, 0);
}

Test(cpu, speculation_is_taken_away_for_good)
{
	host.state[0] = host.state[1] = PR_SPEC_PRCTL | PR_SPEC_ENABLE;
	cr_expect(restricts(true, false), "%s", failure.text);
	cr_expect_eq(host.set, 2);
	cr_expect_eq(host.cores, 0);
	cr_expect_eq(host.state[0], PR_SPEC_PRCTL | PR_SPEC_FORCE_DISABLE);
	cr_expect_eq(host.state[1], PR_SPEC_PRCTL | PR_SPEC_FORCE_DISABLE);
}

Test(cpu, a_processor_without_the_flaw_or_a_host_that_forbids_it_will_do)
{
	static const int good[] = { PR_SPEC_NOT_AFFECTED, PR_SPEC_DISABLE,
				    PR_SPEC_PRCTL | PR_SPEC_FORCE_DISABLE };

	for (size_t i = 0; i < array_len(good); i++) {
		host.state[0] = host.state[1] = good[i];
		cr_expect(restricts(true, false), "state %d: %s", good[i], failure.text);
	}
}

Test(cpu, a_host_that_cannot_restrict_speculation_is_an_error)
{
	static const int bad[] = { PR_SPEC_ENABLE, -ENODEV, -EINVAL };

	for (size_t i = 0; i < array_len(bad); i++)
		for (unsigned kind = 0; kind < 2; kind++) {
			host.state[kind] = bad[i];
			host.state[!kind] = PR_SPEC_PRCTL | PR_SPEC_ENABLE;
			cr_expect(!restricts(true, false), "state %d of %u", bad[i], kind);
			cr_expect_not_null(strstr(failure.text, kinds[kind].name), "%s", failure.text);
			cr_expect_not_null(strstr(failure.text, kinds[kind].advice));
		}
}

Test(cpu, a_cookie_of_its_own)
{
	cr_expect(restricts(false, true));
	cr_expect_eq(host.cores, 1);
	cr_expect_eq(host.set, 0);
}

Test(cpu, no_core_scheduling_is_an_error_where_cores_have_several_threads)
{
	static const struct { int err; const char *smt; bool good; } all[] = {
		{ ENODEV, "1\n", true }, { EINVAL, "0\n", true }, { EINVAL, "1\n", false },
		{ EINVAL, NULL, false }, { EINVAL, "", false }, { EPERM, "0\n", false },
		{ ENOMEM, "0\n", false },
	};

	for (size_t i = 0; i < array_len(all); i++) {
		host.core = all[i].err;
		host.smt = all[i].smt;
		cr_expect_eq(restricts(false, true), all[i].good, "case %zu: %s", i, failure.text);
		cr_expect(all[i].good || strstr(failure.text, "core scheduling") != NULL);
	}
}
