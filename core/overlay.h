/* SPDX-License-Identifier: Apache-2.0 */
/* overlay.h: the file that holds what a guest wrote over a base image: docs/overlay-format.md.
 *
 * Everything in it lies where the base's size says, so that nobody parses one: the jailer makes the
 * header, the device process compares the one it finds with the one it would have made. */
#ifndef IMMURE_CORE_OVERLAY_H
#define IMMURE_CORE_OVERLAY_H

#include "core/base.h"

enum {
	OVERLAY_VERSION = 1,
	OVERLAY_HEADER = 4096,		/* bytes, at the beginning */
	OVERLAY_PAGE = 4096,		/* the map is read and written in these */
	OVERLAY_CLUSTER = 64 << 10,	/* bytes that are copied and kept as one */
	OVERLAY_STATE_BITS = 2,		/* of a cluster in the map */
};

#define OVERLAY_BASE_MAX (1ull << 40)
#define OVERLAY_MAP_MAX (OVERLAY_BASE_MAX / OVERLAY_CLUSTER * OVERLAY_STATE_BITS / 8)

/* What the map says of a cluster. */
enum overlay_state {
	OVERLAY_BASE,		/* as in the base image */
	OVERLAY_DATA,		/* in this file */
	OVERLAY_ZERO,		/* all zeroes; what this file has in its place means nothing */
};

/* Where things lie in the file, in bytes. */
struct overlay_layout {
	uint64_t base;		/* size of the base, whole sectors */
	uint64_t clusters;	/* the last one may go beyond the base's end */
	uint64_t map_len;	/* of the map behind the header, whole pages */
	uint64_t data;		/* offset of cluster 0; the others follow */
	uint64_t size;		/* of the file */
};

/* As it is in the file. */
struct overlay_header {
	char magic[8];
	le32_t version;
	le32_t header_len;
	le32_t cluster;
	le32_t flags;		/* 0 */
	le64_t base;
	le64_t map_len;
	le64_t data;
	le64_t size;
	uint8_t zero[OVERLAY_HEADER - 60];
	le32_t checksum;	/* CRC-32C of what stands before */
};

_Static_assert(sizeof(struct overlay_header) == OVERLAY_HEADER, "a block of any file system's");
_Static_assert(offsetof(struct overlay_header, checksum) == OVERLAY_HEADER - 4, "docs/overlay-format.md");

/* Lays out the overlay of a base of @base bytes, whole sectors.  False: there is none for an empty
 * base, or one beyond OVERLAY_BASE_MAX. */
must_check bool overlay_layout(struct overlay_layout *l, uint64_t base);

/* Makes the one header that a file laid out as @l has. */
void overlay_header(struct overlay_header *h, const struct overlay_layout *l);

/* Why the header @h is not @want, or NULL: it is. */
must_check const char *overlay_differs(const struct overlay_header *h,
				       const struct overlay_header *want);

#endif
