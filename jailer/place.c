/* SPDX-License-Identifier: Apache-2.0 */
/* place.c: first everything out of the way, then everything to its place. */
#include "jailer/place.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

/* True when @fd is the place of one of the entries. */
static bool taken(const struct place *p, size_t n, int fd)
{
	for (size_t i = 0; i < n; i++)
		if (p[i].to == fd)
			return true;
	return false;
}

int place_all(struct place *p, size_t n, int limit)
{
	for (size_t i = 0; i < n; i++) {
		if (p[i].from == p[i].to || !taken(p, n, p[i].from))
			continue;
		p[i].from = fcntl(p[i].from, F_DUPFD_CLOEXEC, limit);
		if (p[i].from < 0)
			return -errno;
	}
	for (size_t i = 0; i < n; i++)
		if (p[i].from == p[i].to ? fcntl(p[i].to, F_SETFD, 0) < 0
					 : dup2(p[i].from, p[i].to) < 0)
			return -errno;
	return 0;
}
