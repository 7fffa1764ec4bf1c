/* SPDX-License-Identifier: Apache-2.0 */
/* reader.c: reads parts of a file, into our memory or straight into the guest's.
 *
 * The process is sealed: pread64 on the kernel, and preadv on kernel and initramfs, are all it may
 * do with a file.  Offsets were checked against the file's stated size before, but the file may be
 * shorter than it was said to be: whatever does not arrive is an error, never a zero. */
#include "vmm/boot/reader.h"

#include <errno.h>
#include <sys/uio.h>
#include <unistd.h>

enum {
	STEP = 2 << 20,			/* bytes a preadv() */
	SPANS = 64,			/* pieces they may become */
};

bool reader_copy(int fd, uint64_t off, void *dst, size_t len)
{
	uint8_t *p = dst;

	if (off > INT64_MAX || len > INT64_MAX - off)
		return false;
	while (len != 0) {
		ssize_t n = pread(fd, p, len, (off_t)off);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return false;
		p += n;
		off += (uint64_t)n;
		len -= (size_t)n;
	}
	return true;
}

bool reader_load(const struct guestmem *m, int fd, uint64_t off, gpa_t a, uint64_t len)
{
	if (off > INT64_MAX || len > INT64_MAX - off)
		return false;
	while (len != 0) {
		struct iovec iov[SPANS];
		ssize_t n;
		int spans = guestmem_spans(m, a, (uint32_t)min_u64(len, STEP), GUESTMEM_WRITE, iov,
					   SPANS);

		if (spans <= 0)
			return false;
		n = preadv(fd, iov, spans, (off_t)off);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0 || !gpa_add(a, (uint64_t)n, &a))
			return false;
		off += (uint64_t)n;
		len -= (uint64_t)n;
	}
	return true;
}
