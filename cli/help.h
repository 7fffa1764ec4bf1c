/* SPDX-License-Identifier: Apache-2.0 */
/* help.h: the texts of --help. */
#ifndef IMMURE_CLI_HELP_H
#define IMMURE_CLI_HELP_H

/* Prints the help of @command to standard output; returns the exit status 0. */
int help_print(const char *command);

/* `immure help [COMMAND]`, also what `immure` alone prints. */
int cmd_help(int argc, char **argv);

/* `immure version`. */
int cmd_version(int argc, char **argv);

#endif
