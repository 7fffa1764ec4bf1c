/* SPDX-License-Identifier: Apache-2.0 */
/* overlay.c: the layout of an overlay and its header. */
#include "core/overlay.h"

#include <string.h>

_Static_assert(OVERLAY_CLUSTER % OVERLAY_PAGE == 0, "data begins at a page");

static const char magic[8] = { 'i', 'm', 'm', 'u', 'r', 'e', 'O', 'V' };

bool overlay_layout(struct overlay_layout *l, uint64_t base)
{
	uint64_t clusters = base / OVERLAY_CLUSTER + (base % OVERLAY_CLUSTER != 0);
	uint64_t map = round_up((clusters * OVERLAY_STATE_BITS + 7) / 8, OVERLAY_PAGE);

	if (base == 0 || base > OVERLAY_BASE_MAX)
		return false;
	*l = (struct overlay_layout){
		.base = base, .clusters = clusters, .map_len = map,
		.data = round_up(OVERLAY_HEADER + map, OVERLAY_CLUSTER),
	};
	l->size = l->data + clusters * OVERLAY_CLUSTER;
	return true;
}

/* A bit at a time: it is asked for one page, once. */
static uint32_t crc32c(const void *data, size_t len)
{
	const uint8_t *p = data;
	uint32_t crc = ~0u;

	for (; len > 0; len--, p++) {
		crc ^= *p;
		for (int bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ ((crc & 1) != 0 ? 0x82f63b78u : 0u);
	}
	return ~crc;
}

void overlay_header(struct overlay_header *h, const struct overlay_layout *l)
{
	*h = (struct overlay_header){
		.version = to_le32(OVERLAY_VERSION), .header_len = to_le32(OVERLAY_HEADER),
		.cluster = to_le32(OVERLAY_CLUSTER), .base = to_le64(l->base),
		.map_len = to_le64(l->map_len), .data = to_le64(l->data),
		.size = to_le64(l->size),
	};
	memcpy(h->magic, magic, sizeof(magic));
	h->checksum = to_le32(crc32c(h, offsetof(struct overlay_header, checksum)));
}

const char *overlay_differs(const struct overlay_header *h, const struct overlay_header *want)
{
	if (memcmp(h, want, sizeof(*h)) == 0)
		return NULL;
	if (memcmp(h->magic, want->magic, sizeof(h->magic)) != 0)
		return "it is not an overlay";
	if (h->version.v != want->version.v)
		return "it is of another version";
	if (h->flags.v != 0)
		return "it has features that this immure does not know";
	if (h->base.v != want->base.v)
		return "its base had another size";
	return "its header is damaged";
}
