/* SPDX-License-Identifier: Apache-2.0 */
/* kernel_unpack.h: gzip, xz, zstd and lz4 as Linux uses them for kernels and modules. */
#ifndef IMMURE_CLI_KERNEL_UNPACK_H
#define IMMURE_CLI_KERNEL_UNPACK_H

#include "core/base.h"

/* Bytes on the heap; {NULL, 0} is empty. */
struct blob {
	uint8_t *data;
	size_t len;
};

void blob_free(struct blob *b);

/* Reads the whole file @fd into @out (previously empty).  Returns 0 or -errno; -EFBIG: it is
 * longer than @max bytes. */
must_check int blob_read(int fd, size_t max, struct blob *out);

/* Appends @len bytes.  Returns 0 or -ENOMEM. */
must_check int blob_append(struct blob *b, const void *bytes, size_t len);

enum unpack_err {
	UNPACK_OK = 0,
	UNPACK_UNKNOWN,		/* none of the four formats, and not ELF either */
	UNPACK_DAMAGED,		/* truncated, or a checksum does not hold */
	UNPACK_TOO_LARGE,	/* more than @max bytes would come out */
	UNPACK_MEMORY,
};

/* Unpacks @len bytes at @in into @out (previously empty), at most @max bytes.  The format is
 * told by its magic number; ELF is copied as it is.  What follows the compressed stream is
 * ignored (a kernel has its size there, a module nothing). */
must_check enum unpack_err unpack(const uint8_t *in, size_t len, size_t max, struct blob *out);

const char *unpack_err_text(enum unpack_err err);

#endif
