/* SPDX-License-Identifier: Apache-2.0 */
/* run_config.h: options become the jailer's configuration (jailer/config.h). */
#ifndef IMMURE_CLI_RUN_CONFIG_H
#define IMMURE_CLI_RUN_CONFIG_H

#include "cli/run_options.h"

/* What was found or made for the options.  Absolute paths. */
struct run_parts {
	const char *name;
	const char *kernel, *initrd, *image;
	const char *disk[RUN_DISKS], *overlay[RUN_DISKS];
	const char *vsock;	/* path of the socket */
	const char *run_dir;	/* removed at the end by the supervisor; NULL: not its business */
	uint32_t id;
};

/* The configuration as JSON text, which the caller frees; NULL after an error message. */
must_check char *run_config(const struct run_options *o, const struct run_parts *p);

/* The kernel command line of @o into @buf.  Returns 0, or -1 after an error message. */
must_check int run_cmdline(const struct run_options *o, char *buf, size_t size);

/* Checks the disks of @o (regular files or block devices) and writes their absolute paths to
 * @paths, PATH_MAX bytes each.  Returns 0, or -1 after an error message. */
must_check int run_disks(const struct run_options *o, char (*paths)[4096]);

/* Makes the --vsock path @given absolute.  Returns 0, or -1 after an error message. */
must_check int run_vsock_path(const char *given, char *path, size_t size);

#endif
