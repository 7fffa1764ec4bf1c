/* SPDX-License-Identifier: Apache-2.0 */
/* walls_text.h: files and links below a directory, whole or not at all. */
#ifndef IMMURE_CLI_WALLS_TEXT_H
#define IMMURE_CLI_WALLS_TEXT_H

#include "core/base.h"

/* The text of @path below directory @dir, the caller's to free; NULL with *@err (an errno) when
 * it cannot be read or is longer than any file of /proc should be (EFBIG). */
char *walls_text(int dir, const char *path, int *err);

/* As walls_text(), of "@a/@b". */
char *walls_text2(int dir, const char *a, const char *b, int *err);

/* The text of link @path.  Returns 0 or an errno; a text that does not fit is cut. */
must_check int walls_link(int dir, const char *path, char *buf, size_t size);

/* Opens directory "@path" below @dir for reading.  Returns a descriptor or -errno. */
must_check int walls_dir(int dir, const char *path);

/* The numbers among the names in directory @path below @dir, ascending, at most @max into
 * @number.  Returns how many there are (may be more than @max), or -errno. */
must_check int walls_numbers(int dir, const char *path, unsigned *number, int max);

#endif
