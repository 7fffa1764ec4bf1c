/* SPDX-License-Identifier: Apache-2.0 */
/* kernel_unpack.c: gzip, xz, zstd and lz4 as Linux uses them for kernels and modules.
 *
 * The input is a file of the user's choice and may be damaged or hostile; the libraries do the
 * parsing, and what comes out is bounded here, whatever sizes the input claims. */
#include "cli/kernel_unpack.h"

#include <errno.h>
#include <lz4.h>
#include <lzma.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

enum {
	CHUNK = 1 << 20,
	LZ4_BLOCK = 8 << 20,		/* of the legacy frame format */
	XZ_MEMORY = 256 << 20,
};

void blob_free(struct blob *b)
{
	free(b->data);
	*b = (struct blob){ 0 };
}

int blob_append(struct blob *b, const void *bytes, size_t len)
{
	uint8_t *grown;

	if (len == 0)
		return 0;
	if (len > SIZE_MAX - b->len)
		return -ENOMEM;
	grown = realloc(b->data, b->len + len);
	if (grown == NULL)
		return -ENOMEM;
	memcpy(grown + b->len, bytes, len);
	b->data = grown;
	b->len += len;
	return 0;
}

int blob_read(int fd, size_t max, struct blob *out)
{
	uint8_t *chunk = malloc(CHUNK);
	int err = chunk == NULL ? -ENOMEM : 0;

	while (err == 0) {
		ssize_t n = read(fd, chunk, CHUNK);

		if (n == 0)
			break;
		if (n < 0)
			err = errno == EINTR ? 0 : -errno;
		else if ((size_t)n > max - out->len)
			err = -EFBIG;
		else
			err = blob_append(out, chunk, (size_t)n);
	}
	free(chunk);
	if (err != 0)
		blob_free(out);
	return err;
}

/* Where the output goes: @chunk has room for CHUNK bytes, sink_put() takes them from there. */
struct sink {
	struct blob *out;
	size_t max;
	uint8_t *chunk;
};

static enum unpack_err sink_put(struct sink *s, size_t n)
{
	if (n > s->max - s->out->len)
		return UNPACK_TOO_LARGE;
	return blob_append(s->out, s->chunk, n) == 0 ? UNPACK_OK : UNPACK_MEMORY;
}

static enum unpack_err gunzip(const uint8_t *in, size_t len, struct sink *s)
{
	z_stream z = { .next_in = (Bytef *)(uintptr_t)in, .avail_in = (uInt)len };
	enum unpack_err err = UNPACK_OK;
	int rc = Z_OK;

	if (inflateInit2(&z, 16 + MAX_WBITS) != Z_OK)
		return UNPACK_MEMORY;
	while (err == UNPACK_OK && rc == Z_OK) {
		z.next_out = s->chunk;
		z.avail_out = CHUNK;
		rc = inflate(&z, Z_NO_FLUSH);
		if (rc != Z_OK && rc != Z_STREAM_END)
			err = UNPACK_DAMAGED;
		else
			err = sink_put(s, CHUNK - z.avail_out);
	}
	inflateEnd(&z);
	return err;
}

static enum unpack_err unxz(const uint8_t *in, size_t len, struct sink *s)
{
	lzma_stream z = LZMA_STREAM_INIT;
	enum unpack_err err = UNPACK_OK;
	lzma_ret rc = LZMA_OK;

	if (lzma_stream_decoder(&z, XZ_MEMORY, 0) != LZMA_OK)
		return UNPACK_MEMORY;
	z.next_in = in;
	z.avail_in = len;
	while (err == UNPACK_OK && rc == LZMA_OK) {
		z.next_out = s->chunk;
		z.avail_out = CHUNK;
		rc = lzma_code(&z, LZMA_RUN);
		if (rc != LZMA_OK && rc != LZMA_STREAM_END)
			err = UNPACK_DAMAGED;
		else
			err = sink_put(s, CHUNK - z.avail_out);
	}
	lzma_end(&z);
	return err;
}

static enum unpack_err unzstd(const uint8_t *in, size_t len, struct sink *s)
{
	ZSTD_DStream *z = ZSTD_createDStream();
	ZSTD_inBuffer input = { .src = in, .size = len };
	enum unpack_err err = UNPACK_OK;
	size_t rc = 1;

	if (z == NULL)
		return UNPACK_MEMORY;
	while (err == UNPACK_OK && rc != 0) {
		ZSTD_outBuffer output = { .dst = s->chunk, .size = CHUNK };

		rc = ZSTD_decompressStream(z, &output, &input);
		if (ZSTD_isError(rc) || (rc != 0 && input.pos == len && output.pos == 0))
			err = UNPACK_DAMAGED;
		else
			err = sink_put(s, output.pos);
	}
	ZSTD_freeDStream(z);
	return err;
}

/* The legacy frame: a magic number, then blocks of (32-bit length, data), each 8 MiB when
 * unpacked but for the last.  Less than a block's header, or a kernel's size field of just four
 * bytes, ends it. */
static enum unpack_err unlz4(const uint8_t *in, size_t len, struct sink *s)
{
	char *block = malloc(LZ4_BLOCK);
	enum unpack_err err = block == NULL ? UNPACK_MEMORY : UNPACK_OK;
	size_t at = 4;

	while (err == UNPACK_OK && len - at > 4) {
		uint32_t size;
		int n;

		memcpy(&size, in + at, sizeof(size));
		at += sizeof(size);
		if (size > len - at || size > INT32_MAX) {
			err = UNPACK_DAMAGED;
			break;
		}
		n = LZ4_decompress_safe((const char *)in + at, block, (int)size, LZ4_BLOCK);
		at += size;
		if (n < 0)
			err = UNPACK_DAMAGED;
		else if ((size_t)n > s->max - s->out->len)
			err = UNPACK_TOO_LARGE;
		else if (blob_append(s->out, block, (size_t)n) != 0)
			err = UNPACK_MEMORY;
	}
	free(block);
	return err;
}

static enum unpack_err copy(const uint8_t *in, size_t len, struct sink *s)
{
	if (len > s->max)
		return UNPACK_TOO_LARGE;
	return blob_append(s->out, in, len) == 0 ? UNPACK_OK : UNPACK_MEMORY;
}

static const struct format {
	uint8_t magic[4];
	uint8_t magic_len;
	enum unpack_err (*unpack)(const uint8_t *in, size_t len, struct sink *s);
} formats[] = {
	{ { 0x1f, 0x8b }, 2, gunzip },
	{ { 0xfd, '7', 'z', 'X' }, 4, unxz },
	{ { 0x28, 0xb5, 0x2f, 0xfd }, 4, unzstd },
	{ { 0x02, 0x21, 0x4c, 0x18 }, 4, unlz4 },
	{ { 0x7f, 'E', 'L', 'F' }, 4, copy },
};

enum unpack_err unpack(const uint8_t *in, size_t len, size_t max, struct blob *out)
{
	struct sink s = { .out = out, .max = max };
	enum unpack_err err = UNPACK_UNKNOWN;

	if (len > UINT32_MAX)
		return UNPACK_TOO_LARGE;
	s.chunk = malloc(CHUNK);
	if (s.chunk == NULL)
		return UNPACK_MEMORY;
	for (size_t i = 0; i < array_len(formats); i++) {
		if (len < 4 || memcmp(in, formats[i].magic, formats[i].magic_len) != 0)
			continue;
		err = formats[i].unpack(in, len, &s);
		break;
	}
	free(s.chunk);
	if (err != UNPACK_OK)
		blob_free(out);
	return err;
}

const char *unpack_err_text(enum unpack_err err)
{
	switch (err) {
	case UNPACK_OK:
		return "no error";
	case UNPACK_UNKNOWN:
		return "not compressed by gzip, xz, zstd or lz4";
	case UNPACK_DAMAGED:
		return "damaged or truncated";
	case UNPACK_TOO_LARGE:
		return "larger than any kernel";
	case UNPACK_MEMORY:
		return "out of memory";
	}
	return "unknown error";
}
