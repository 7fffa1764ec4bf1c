/* SPDX-License-Identifier: Apache-2.0 */
/* tap.c: one frame, one system call.
 *
 * The jailer opened the tap, with a header of twelve bytes before each frame, the same that
 * virtio has: frames go between guest memory and the host's network stack without a copy
 * here. */
#include "devices/net/tap.h"

#include <errno.h>

/* EBADFD: the interface was deleted under us.  The others are those of a socket in its place. */
static enum tap_result verdict(int err)
{
	switch (err) {
	case EAGAIN: return TAP_AGAIN;
	case EINTR: return TAP_AGAIN;
	case EBADFD: return TAP_GONE;
	case EPIPE: return TAP_GONE;
	case ECONNRESET: return TAP_GONE;
	}
	return TAP_REFUSED;
}

enum tap_result tap_read(int fd, const struct iovec *iov, int n, size_t *len)
{
	ssize_t got = readv(fd, iov, n);

	*len = got > 0 ? (size_t)got : 0;
	if (got < 0)
		return verdict(errno);
	return got == 0 ? TAP_GONE : TAP_OK;
}

enum tap_result tap_write(int fd, const struct iovec *iov, int n, size_t len)
{
	ssize_t put = writev(fd, iov, n);

	if (put < 0)
		return verdict(errno);
	return (size_t)put == len ? TAP_OK : TAP_REFUSED;
}
