/* SPDX-License-Identifier: Apache-2.0 */
/* direct.c: statx() by its number.
 *
 * A file of its own: the C library's struct statx may be older than the two fields we want, and
 * the kernel's cannot be in one file with it. */
#include "jailer/direct.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

int direct_unit(int fd, uint32_t *unit)
{
	struct statx s = { 0 };

	if (syscall(SYS_statx, fd, "", AT_EMPTY_PATH, STATX_DIOALIGN, &s) < 0)
		return -errno;
	*unit = 0;
	if ((s.stx_mask & STATX_DIOALIGN) == 0)
		return 0;
	if (s.stx_dio_offset_align == 0)
		return -EOPNOTSUPP;
	*unit = s.stx_dio_offset_align > s.stx_dio_mem_align ? s.stx_dio_offset_align
							      : s.stx_dio_mem_align;
	return 0;
}
