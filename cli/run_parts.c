/* SPDX-License-Identifier: Apache-2.0 */
/* run_parts.c: see run_parts.h.  The cheap checks come first. */
#include "cli/run_parts.h"
#include "cli/image.h"
#include "cli/run_config.h"
#include "cli/run_overlay.h"

int find_parts(const struct run_options *o, struct found *f)
{
	if (run_disks(o, f->disk) < 0 || run_overlay_paths(o, f->overlay) < 0)
		return -1;
	if (o->vsock && run_vsock_path(o->vsock, f->vsock, sizeof(f->vsock)) < 0)
		return -1;
	if (kernel_find(o->kernel, &f->kernel) < 0)
		return -1;
	return image_prepare(o->rootfs, f->image, sizeof(f->image));
}
