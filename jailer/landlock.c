/* SPDX-License-Identifier: Apache-2.0 */
/* landlock.c: a Landlock domain that allows nothing.
 *
 * A second opinion on the empty root and the filters: should a process ever hold a directory,
 * or a filter ever let an open through, this still says no.  Numbers instead of the header's
 * names, because the header that a program is built with may be older than the kernel it runs
 * on, and a right that is not handled is a right that is granted. */
#include "jailer/landlock.h"

#include <errno.h>
#include <sys/syscall.h>
#include <unistd.h>

enum {
	CREATE_RULESET_VERSION = 1,
	RULE_PATH_BENEATH = 1,
	SCOPE_SIGNAL = 1 << 1,
	ABI_KNOWN = 10,
};

struct path_beneath_attr {
	uint64_t allowed_access;
	int32_t parent_fd;
} __attribute__((packed));

int landlock_abi(void)
{
	long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, CREATE_RULESET_VERSION);

	return abi > 0 ? (int)abi : 0;
}

struct landlock_rights landlock_rights(int abi)
{
	/* How many rights there are, from which ABI on.  File system: up to MAKE_SYM, REFER,
	 * TRUNCATE, IOCTL_DEV, RESOLVE_UNIX.  Network: BIND_TCP and CONNECT_TCP, BIND_UDP and
	 * CONNECT_SEND_UDP.  Scopes: ABSTRACT_UNIX_SOCKET and SIGNAL. */
	unsigned fs = abi >= 9 ? 17 : abi >= 5 ? 16 : abi >= 3 ? 15 : abi >= 2 ? 14 : abi >= 1 ? 13 : 0;
	unsigned net = abi >= 10 ? 4 : abi >= 4 ? 2 : 0;
	unsigned scoped = abi >= 6 ? 2 : 0;

	return (struct landlock_rights){
		(1ull << fs) - 1, (1ull << net) - 1, (1ull << scoped) - 1,
	};
}

/* A descriptor of a domain that denies @r, or -errno.  Older kernels know a shorter structure. */
static int make_ruleset(const struct landlock_rights *r)
{
	size_t size = r->scoped != 0 ? sizeof(*r)
		    : r->net != 0 ? offsetof(struct landlock_rights, scoped)
		    : offsetof(struct landlock_rights, net);
	long fd = syscall(SYS_landlock_create_ruleset, r, size, 0);

	return fd < 0 ? -errno : (int)fd;
}

/* True when the kernel knows the right @bit of the member at @offset. */
static bool known(size_t offset, uint64_t bit)
{
	struct landlock_rights one = { 0 };
	int fd;

	*(uint64_t *)(void *)((char *)&one + offset) = bit;
	fd = make_ruleset(&one);
	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

void landlock_ask(struct landlock_rights *r)
{
	static const size_t members[] = {
		offsetof(struct landlock_rights, fs), offsetof(struct landlock_rights, net),
		offsetof(struct landlock_rights, scoped),
	};

	for (size_t i = 0; i < array_len(members); i++) {
		uint64_t *all = (void *)((char *)r + members[i]);

		/* Rights are numbered without gaps. */
		while (*all != UINT64_MAX && known(members[i], *all + 1))
			*all = *all << 1 | 1;
	}
}

static int add_rules(int ruleset, uint64_t rights, const struct landlock_allow *allow,
		     size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct path_beneath_attr rule = {
			.allowed_access = allow[i].access & rights,
			.parent_fd = allow[i].fd,
		};

		if (syscall(SYS_landlock_add_rule, ruleset, RULE_PATH_BENEATH, &rule, 0) < 0)
			return -errno;
	}
	return 0;
}

int landlock_deny(int abi, enum landlock_scope scope, const struct landlock_allow *allow,
		  size_t n)
{
	struct landlock_rights r = landlock_rights(abi);
	int ruleset, rc;

	if (abi == 0)
		return 0;
	if (scope == LANDLOCK_SCOPE_SIGNALS_PASS)
		r.scoped &= ~(uint64_t)SCOPE_SIGNAL;
	else if (abi > ABI_KNOWN)
		landlock_ask(&r);
	ruleset = make_ruleset(&r);
	if (ruleset < 0)
		return ruleset;
	rc = add_rules(ruleset, r.fs, allow, n);
	if (rc == 0 && syscall(SYS_landlock_restrict_self, ruleset, 0) < 0)
		rc = -errno;
	close(ruleset);
	return rc;
}
