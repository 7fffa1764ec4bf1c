/* SPDX-License-Identifier: Apache-2.0 */
/* reader.h: reads parts of a file, into our memory or straight into the guest's. */
#ifndef IMMURE_VMM_BOOT_READER_H
#define IMMURE_VMM_BOOT_READER_H

#include "core/guestmem.h"

/* Reads exactly @len bytes at @off of @fd to @dst.  False: error, or the file ends before. */
must_check bool reader_copy(int fd, uint64_t off, void *dst, size_t len);

/* Reads exactly @len bytes at @off of @fd to guest address @a, in bounded steps, without a copy
 * of our own.  False: error, the file ends before, or the range is not RAM; part of it may have
 * been written then. */
must_check bool reader_load(const struct guestmem *m, int fd, uint64_t off, gpa_t a,
			    uint64_t len);

#endif
