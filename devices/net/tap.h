/* SPDX-License-Identifier: Apache-2.0 */
/* tap.h: the host's side of one queue pair: a descriptor that takes and gives whole frames. */
#ifndef IMMURE_DEVICES_NET_TAP_H
#define IMMURE_DEVICES_NET_TAP_H

#include "core/base.h"

#include <sys/uio.h>

enum tap_result {
	TAP_OK,
	TAP_AGAIN,	/* nothing there, or no room: poll tells when that changes */
	TAP_REFUSED,	/* this frame not; the next may */
	TAP_GONE,	/* the host took the interface away */
};

/* Reads one frame with its header into @iov (@n of them, at most 1024); *@len is its length.
 * What does not fit is lost: offer room for a byte too many. */
must_check enum tap_result tap_read(int fd, const struct iovec *iov, int n, size_t *len);

/* Writes one frame of @len bytes with its header. */
must_check enum tap_result tap_write(int fd, const struct iovec *iov, int n, size_t len);

#endif
