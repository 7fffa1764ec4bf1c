/* SPDX-License-Identifier: Apache-2.0 */
/* direct.h: what a file asks of reads and writes that go past the host's cache. */
#ifndef IMMURE_JAILER_DIRECT_H
#define IMMURE_JAILER_DIRECT_H

#include "core/base.h"

/* Asks the kernel what direct I/O on @fd has to be a multiple of, on disk and in memory: *@unit
 * in bytes, or 0 where it does not say (Linux before 6.1, some file systems).  Returns 0,
 * -EOPNOTSUPP when @fd knows no direct I/O, or -errno. */
must_check int direct_unit(int fd, uint32_t *unit);

#endif
