/* SPDX-License-Identifier: Apache-2.0 */
/* main.c: the program `immure`: a table of subcommands. */
#include "cli/commands.h"
#include "cli/help.h"
#include "cli/say.h"

#include <signal.h>
#include <string.h>

static const struct {
	const char *name;
	int (*main)(int argc, char **argv);
} commands[] = {
	{ "run", cmd_run },	    { "plan", cmd_plan },	{ "doctor", cmd_doctor },
	{ "stats", cmd_stats },	    { "limit", cmd_limit },	{ "net", cmd_net },
	{ "walls", cmd_walls },	    { "kernel", cmd_kernel },	{ "version", cmd_version },
	{ "help", cmd_help },
	{ "--version", cmd_version }, { "--help", cmd_help },	{ "-h", cmd_help },
};

int main(int argc, char **argv)
{
	/* A caller that ignores it has its children reaped by the kernel, and us ours. */
	signal(SIGCHLD, SIG_DFL);
	if (argc < 2) {
		help_print("");
		return EXIT_IMMURE;
	}
	for (size_t i = 0; i < array_len(commands); i++)
		if (strcmp(argv[1], commands[i].name) == 0)
			return commands[i].main(argc - 1, argv + 1);
	say_error("there is no subcommand %s", argv[1]);
	say_hint("`immure help` lists them; to run a command: immure run ROOTFS -- %s", argv[1]);
	return EXIT_IMMURE;
}
