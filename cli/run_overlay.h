/* SPDX-License-Identifier: Apache-2.0 */
/* run_overlay.h: what --disk says about an overlay. */
#ifndef IMMURE_CLI_RUN_OVERLAY_H
#define IMMURE_CLI_RUN_OVERLAY_H

#include "cli/run_options.h"

#include <jansson.h>

/* Takes one word behind a comma of --disk.  False: it is none of an overlay, or wrong. */
must_check bool run_overlay_word(struct run_disk *d, char *word);

/* Why @word, which run_overlay_word() did not take, cannot be part of a name; NULL: it can. */
must_check const char *run_overlay_wrong(const char *word);

/* Why all that was said about @d cannot be true; NULL: it can. */
must_check const char *run_overlay_clash(const struct run_disk *d);

/* Writes the absolute paths of the files that overlays of @o are kept in to @paths, PATH_MAX bytes
 * each; "" for a disk without one.  They need not exist, their directories must.  Returns 0, or -1
 * after an error message. */
must_check int run_overlay_paths(const struct run_options *o, char (*paths)[4096]);

/* Adds what the jailer's configuration says of the overlay of @d, kept at @path, to @disk.  False:
 * it cannot be said. */
must_check bool run_overlay_json(json_t *disk, const struct run_disk *d, const char *path);

#endif
