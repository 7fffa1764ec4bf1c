/* SPDX-License-Identifier: Apache-2.0 */
/* doctor_cgroup.c: which limits VMs can get here, as root and without. */
#include "cli/doctor_host.h"
#include "cli/walls_text.h"
#include "jailer/cgroup.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *const needed_controllers[] = { "memory", "pids", "cpu", "io" };

/* True when @word is one of the words of @list, which are separated by blanks. */
static bool has_word(const char *list, const char *word)
{
	size_t len = strlen(word);

	for (const char *at = list; *at != 0; at += strspn(at, " ")) {
		size_t n = strcspn(at, " ");

		if (n == len && strncmp(at, word, n) == 0)
			return true;
		at += n;
	}
	return false;
}

static void controllers(const struct doctor_host *h, struct advices *to)
{
	static const char why[] = "limits on memory, tasks, processors and disks: without them a guest can "
				  "use up the host; version 1 has none for rootless VMs";
	static const char fix[] = "boot with systemd.unified_cgroup_hierarchy=1 and without cgroup_disable=";
	char have[256], lacks[64] = "";

	if (doctor_line(h->sys, "fs/cgroup/cgroup.controllers", have, sizeof(have)) != 0) {
		bool v1 = faccessat(h->sys, "fs/cgroup/memory", F_OK, 0) == 0;

		advise(to, "control groups", ADVICE_GIVEN, why, fix, v1 ? "version 1" : "none");
		return;
	}
	for (size_t i = 0; i < array_len(needed_controllers); i++) {
		size_t used = strlen(lacks);

		if (!has_word(have, needed_controllers[i]))
			snprintf(lacks + used, sizeof(lacks) - used, " %s", needed_controllers[i]);
	}
	if (lacks[0] != 0)
		advise(to, "control groups", ADVICE_GIVEN, why, fix, "version 2, lacks%s", lacks);
	else
		advise(to, "control groups", ADVICE_OK, why, fix, "version 2: memory, pids, cpu, io");
}

static bool file_has(const struct doctor_host *h, const char *dir, const char *file, char *have,
		     size_t size)
{
	char path[1200];

	snprintf(path, sizeof(path), "fs/cgroup%s/%s", dir, file);
	return doctor_line(h->sys, path, have, size) == 0 && has_word(have, "memory") &&
	       has_word(have, "pids");
}

/* As the jailer looks for it: the nearest cgroup from @path on up that the caller may put tasks
 * into and that passes memory and pids on.  The caller's own does so only if it already does:
 * it has tasks.  Cuts @path to it. */
static bool delegated_above(const struct doctor_host *h, char *path, char *have, size_t size)
{
	const char *file = "cgroup.subtree_control";
	char procs[1200], *slash;

	while ((slash = strrchr(path, '/')) != NULL) {
		snprintf(procs, sizeof(procs), "fs/cgroup%s/cgroup.procs", path);
		if (faccessat(h->sys, procs, W_OK, 0) == 0 && file_has(h, path, file, have, size))
			return true;
		*slash = 0;
		file = "cgroup.controllers";
	}
	return false;
}

static void delegation(const struct doctor_host *h, struct advices *to)
{
	static const char why[] = "rootless VMs have limits only where a cgroup was given to the user";
	static const char fix[] = "systemctl edit user@.service: [Service] Delegate=memory pids cpu io; then "
				  "log in again";
	char path[1024], have[256], *text;
	int err;

	if (geteuid() == 0) {
		advise(to, "delegated control group", ADVICE_OK, why, fix, "root needs none; ask as a user");
		return;
	}
	text = walls_text(h->proc, "self/cgroup", &err);
	if (faccessat(h->sys, "fs/cgroup/cgroup.controllers", F_OK, 0) != 0 || text == NULL ||
	    !cgroup_find(text, "", path, sizeof(path)))
		advise(to, "delegated control group", ADVICE_GIVEN, why, fix, "no version 2 here");
	else if (delegated_above(h, path, have, sizeof(have)))
		advise(to, "delegated control group", ADVICE_OK, why, fix, "%.60s: %.80s", path, have);
	else
		advise(to, "delegated control group", ADVICE_GIVEN, why, fix, "none with memory and pids");
	free(text);
}

void advise_cgroup(const struct doctor_host *h, struct advices *to)
{
	controllers(h, to);
	delegation(h, to);
}
