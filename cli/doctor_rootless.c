/* SPDX-License-Identifier: Apache-2.0 */
/* doctor_rootless.c: layer by layer, what a VM that was not started by root does without. */
#include "cli/doctor_host.h"

#include <jansson.h>
#include <stdio.h>

static const struct {
	const char *layer, *root, *rootless;
} layers[] = {
	{ "user ids", "each process has one of its own, of a range nobody else uses",
	  "all have the caller's; only namespaces, filters and \"not dumpable\" keep them apart" },
	{ "groups", "none", "the caller's: who maps ids without root may not drop groups" },
	{ "cgroup", "limits on memory, tasks, processors, disks",
	  "where one was delegated (version 2); otherwise processor time and tasks have no limit, and "
	  "memory only that of the guest's size" },
	{ "cgroup, version 1", "as version 2", "none: version 1 cannot be delegated safely" },
	{ "device nodes", "none can be opened or made in the machine's cgroup",
	  "no cgroup refuses them; the empty root without devices, no right to make any, and the filters "
	  "remain" },
	{ "directory of the sockets", "the supervisor has it as a mount of its own, with no way out",
	  "where the kernel refuses that, as an ordinary directory: only filter and Landlock keep the "
	  "supervisor in it" },
	{ "network namespace", "made by a thread beside the other work",
	  "as strong, but made in line, because the user namespace has to own it: starts later" },
	{ "packet wall", "before every tap, unless turned off",
	  "none: only the host's root may load it, so the guest sends from any address to any; allow= and "
	  "rate= are refused" },
	{ "--net user", "passt has a user id of its own; the packet wall is in immure-net itself",
	  "passt has the caller's user id; the packet wall is the same" },
	{ "/dev/kvm", "root's", "the caller must be in the group that owns it" },
	{ "immure walls", "sees everything", "cannot read the supervisor's namespaces, root and "
	  "descriptors, nor the kind of some descriptors" },
};

void rootless_print(void)
{
	printf("%-25s %s\n", "LAYER", "WITHOUT ROOT");
	for (size_t i = 0; i < array_len(layers); i++)
		printf("%-25s %s\n%-25s as root: %s\n", layers[i].layer, layers[i].rootless, "",
		       layers[i].root);
}

struct json_t *rootless_json(void)
{
	json_t *list = json_array();

	for (size_t i = 0; i < array_len(layers); i++)
		json_array_append_new(list, json_pack("{s:s, s:s, s:s}", "layer", layers[i].layer, "root",
						      layers[i].root, "rootless", layers[i].rootless));
	return list;
}
