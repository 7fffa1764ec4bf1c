/* SPDX-License-Identifier: Apache-2.0 */
/* run_parts.h: what the options of `immure run` and `immure plan` name, found and checked. */
#ifndef IMMURE_CLI_RUN_PARTS_H
#define IMMURE_CLI_RUN_PARTS_H

#include "cli/kernel.h"
#include "cli/run_dir.h"
#include "cli/run_options.h"

struct found {
	struct kernel kernel;
	char image[4096];
	char disk[RUN_DISKS][4096];	/* absolute paths */
	char overlay[RUN_DISKS][4096];	/* likewise; "": none, or in memory */
	char vsock[RUN_PATH];		/* "" unless --vsock was given */
};

/* Finds disks, vsock directory, kernel and image; makes the image when ROOTFS is a directory that
 * has none yet.  Returns 0, or -1 after an error message. */
must_check int find_parts(const struct run_options *o, struct found *f);

#endif
