/* SPDX-License-Identifier: Apache-2.0 */
/* doctor_sysctl.c: settings of the kernel that narrow what a process can reach.  The walls of
 * immure close each of these doors by themselves; this closes them a second time. */
#include "cli/doctor_host.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum absent {
	ABSENT_OK,	/* without the switch there is nothing to switch off */
	ABSENT_UNKNOWN,	/* older kernels have the thing and no switch */
	ABSENT_BAD,
};

static const struct setting {
	const char *path;	/* below /proc/sys */
	const char *why, *fix;
	long least, most;	/* good values */
	enum absent absent;
} settings[] = {
	{ "kernel/io_uring_disabled", "a second way to most system calls, which filters do not see; no "
	  "process of immure uses it", "sysctl -w kernel.io_uring_disabled=2", 2, 2,
	  ABSENT_UNKNOWN },
	{ "dev/tty/legacy_tiocsti", "a process with a terminal could type into it; VMs have none",
	  "sysctl -w dev.tty.legacy_tiocsti=0", 0, 0, ABSENT_UNKNOWN },
	{ "kernel/unprivileged_bpf_disabled", "programs of users inside the kernel; immure loads none "
	  "without root", "sysctl -w kernel.unprivileged_bpf_disabled=1", 1, 2, ABSENT_OK },
	{ "vm/unprivileged_userfaultfd", "stops the kernel in the middle of a copy, which makes races "
	  "easy to win", "sysctl -w vm.unprivileged_userfaultfd=0", 0, 0, ABSENT_OK },
	{ "user/max_user_namespaces", "each process of a VM has a user namespace of its own, and a "
	  "rootless VM one more", "sysctl -w user.max_user_namespaces=N",
	  1, LONG_MAX, ABSENT_BAD },
	{ "kernel/yama/ptrace_scope", "processes of one user cannot trace each other: rootless VMs are "
	  "processes of one user", "boot with yama in the lsm= list; sysctl -w kernel.yama.ptrace_scope=1",
	  1, 2, ABSENT_BAD },
	{ "kernel/dmesg_restrict", "the kernel's log has addresses in it",
	  "sysctl -w kernel.dmesg_restrict=1", 1, 1, ABSENT_BAD },
	{ "kernel/kptr_restrict", "addresses of the kernel make its holes easier to use",
	  "sysctl -w kernel.kptr_restrict=1", 1, 2, ABSENT_BAD },
};

static void setting(const struct doctor_host *h, const struct setting *s, struct advices *to)
{
	static const enum advice_result absent[] = {
		[ABSENT_OK] = ADVICE_OK, [ABSENT_UNKNOWN] = ADVICE_UNKNOWN, [ABSENT_BAD] = ADVICE_GIVEN,
	};
	char path[64], name[40], text[32], *end;
	enum advice_result result = ADVICE_UNKNOWN;
	long value;
	int err;

	snprintf(path, sizeof(path), "sys/%s", s->path);
	snprintf(name, sizeof(name), "%s", s->path);
	for (char *slash = name; (slash = strchr(slash, '/')) != NULL;)
		*slash = '.';
	err = doctor_line(h->proc, path, text, sizeof(text));
	if (err != 0) {
		advise(to, name, err == ENOENT ? absent[s->absent] : result, s->why, s->fix, "%s",
		       err == ENOENT ? "not in this kernel" : strerror(err));
		return;
	}
	errno = 0;
	value = strtol(text, &end, 10);
	if (end != text && *end == 0 && errno == 0)
		result = value >= s->least && value <= s->most ? ADVICE_OK : ADVICE_GIVEN;
	advise(to, name, result, s->why, s->fix, "%s", text);
}

/* A limit of 0 on core dumps does not keep the kernel from starting a handler. */
static void core_pattern(const struct doctor_host *h, struct advices *to)
{
	static const char why[] = "a handler is run by the kernel, as root, on the memory of a process that "
				  "died; immure's processes cannot be dumped, others of this host can";
	static const char fix[] = "sysctl -w kernel.core_pattern=core";
	char text[ADVICE_STATE];
	int err = doctor_line(h->proc, "sys/kernel/core_pattern", text, sizeof(text));
	enum advice_result result = text[0] == '|' ? ADVICE_GIVEN : ADVICE_OK;

	advise(to, "kernel.core_pattern", err != 0 ? ADVICE_UNKNOWN : result, why, fix, "%s",
	       err != 0 ? strerror(err) : text[0] != 0 ? text : "(empty)");
}

void advise_sysctl(const struct doctor_host *h, struct advices *to)
{
	for (size_t i = 0; i < array_len(settings); i++)
		setting(h, &settings[i], to);
	core_pattern(h, to);
}
