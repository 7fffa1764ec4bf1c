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
	NET_BIND_TCP = 1 << 0,
	NET_CONNECT_TCP = 1 << 1,
	SCOPE_ABSTRACT_UNIX_SOCKET = 1 << 0,
	SCOPE_SIGNAL = 1 << 1,
};

struct ruleset_attr {
	uint64_t handled_access_fs;
	uint64_t handled_access_net;	/* from ABI 4 */
	uint64_t scoped;		/* from ABI 6 */
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

uint64_t landlock_fs_rights(int abi)
{
	unsigned bits = 0;

	if (abi >= 1)
		bits = 13;	/* EXECUTE .. MAKE_SYM */
	if (abi >= 2)
		bits = 14;	/* REFER */
	if (abi >= 3)
		bits = 15;	/* TRUNCATE */
	if (abi >= 5)
		bits = 16;	/* IOCTL_DEV */
	return (1ull << bits) - 1;
}

static size_t attr_size(int abi)
{
	if (abi >= 6)
		return sizeof(struct ruleset_attr);
	return abi >= 4 ? offsetof(struct ruleset_attr, scoped)
			: offsetof(struct ruleset_attr, handled_access_net);
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
	struct ruleset_attr attr = {
		.handled_access_fs = landlock_fs_rights(abi),
		.handled_access_net = abi >= 4 ? NET_BIND_TCP | NET_CONNECT_TCP : 0,
		.scoped = abi >= 6 ? SCOPE_ABSTRACT_UNIX_SOCKET | SCOPE_SIGNAL : 0,
	};
	int ruleset, rc;

	if (abi == 0)
		return 0;
	if (scope == LANDLOCK_SCOPE_SIGNALS_PASS)
		attr.scoped &= ~(uint64_t)SCOPE_SIGNAL;
	ruleset = (int)syscall(SYS_landlock_create_ruleset, &attr, attr_size(abi), 0);
	if (ruleset < 0)
		return -errno;
	rc = add_rules(ruleset, attr.handled_access_fs, allow, n);
	if (rc == 0 && syscall(SYS_landlock_restrict_self, ruleset, 0) < 0)
		rc = -errno;
	close(ruleset);
	return rc;
}
