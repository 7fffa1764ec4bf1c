/* SPDX-License-Identifier: Apache-2.0 */
/* commands.h: the subcommands of immure.  argv[0] is the subcommand's own name; the value is
 * the exit status of the program. */
#ifndef IMMURE_CLI_COMMANDS_H
#define IMMURE_CLI_COMMANDS_H

int cmd_run(int argc, char **argv);
int cmd_plan(int argc, char **argv);
int cmd_kernel(int argc, char **argv);
int cmd_doctor(int argc, char **argv);
int cmd_walls(int argc, char **argv);
int cmd_stats(int argc, char **argv);
int cmd_limit(int argc, char **argv);
int cmd_net(int argc, char **argv);

#endif
