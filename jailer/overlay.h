/* SPDX-License-Identifier: Apache-2.0 */
/* overlay.h: the file that an overlay is kept in, or the memory. */
#ifndef IMMURE_JAILER_OVERLAY_H
#define IMMURE_JAILER_OVERLAY_H

#include "jailer/config.h"

/* Makes or opens what @disk, which has an overlay, is written to: its file, locked, or memory.  The
 * base is @base bytes, whole sectors.  An existing file is not read and, unless it is empty, not
 * written.  *@size: bytes of it; *@dev: dev_t below it, 0 for memory.  Returns a descriptor, or -1
 * with @f filled. */
must_check int overlay_make(const struct config_disk *disk, uint64_t base, uint64_t *size,
			    uint64_t *dev, struct failure *f);

#endif
