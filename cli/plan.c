/* SPDX-License-Identifier: Apache-2.0 */
/* plan.c: `immure plan`: what `immure run` with the same options would open, by whom, under which
 * limits.  The configuration goes through the jailer's own parser and its own plan, so what is
 * printed is what would be done. */
#include "cli/commands.h"
#include "cli/help.h"
#include "cli/run_config.h"
#include "cli/run_dir.h"
#include "cli/run_parts.h"
#include "cli/say.h"
#include "jailer/plan.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char *configuration(struct run_options *o, const struct found *f)
{
	static char dir[RUN_PATH], vsock[RUN_PATH + 16];
	struct run_parts parts = {
		.name = o->name ? o->name : "vm",
		.kernel = f->kernel.vmlinux, .initrd = f->kernel.initramfs, .image = f->image,
		.vsock = o->vsock ? f->vsock : vsock, .run_dir = o->vsock ? NULL : dir,
	};

	if (run_dir_path(parts.name, dir, sizeof(dir)) < 0 || !run_nets_macs(o->net, o->nnets, parts.name))
		return NULL;
	snprintf(vsock, sizeof(vsock), "%s/vsock.sock", dir);
	for (unsigned i = 0; i < o->ndisks; i++) {
		parts.disk[i] = f->disk[i];
		parts.overlay[i] = f->overlay[i];
	}
	return run_config(o, &parts);
}

static int print_plan(const char *text, bool json)
{
	static struct config config;
	static struct plan plan;
	struct plan_caller who = { .uid = geteuid(), .gid = getegid() };
	struct failure failure = { "" };

	if (config_parse(&config, text, strlen(text), &failure) != 0) {
		config_free(&config);
		return say_error("%s", failure.text);
	}
	plan_make(&plan, &config, &who);
	if (json)
		plan_print_json(stdout, &plan);
	else
		plan_print(stdout, &plan);
	config_free(&config);
	return fflush(stdout) == 0 ? 0 : say_error("cannot write the plan");
}

int cmd_plan(int argc, char **argv)
{
	static struct run_options o;
	static struct found f;
	char *text;
	int status;

	if (run_options_parse(&o, argc, argv) < 0)
		return EXIT_IMMURE;
	if (o.help)
		return help_print("plan");
	if (find_parts(&o, &f) < 0)
		return EXIT_IMMURE;
	text = configuration(&o, &f);
	if (!text)
		return EXIT_IMMURE;
	status = print_plan(text, o.json);
	free(text);
	return status;
}
