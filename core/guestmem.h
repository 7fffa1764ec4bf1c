/* SPDX-License-Identifier: Apache-2.0 */
/* guestmem.h: guest RAM as the host sees it.
 *
 * The contents are hostile and change under us: another vCPU may rewrite any byte between two
 * of our loads.  This module is the only one that turns a guest-physical address into a
 * pointer; everybody else copies in, copies out, or asks for spans to hand to the kernel.
 * Every write, ours or one announced by guestmem_spans(..., GUESTMEM_WRITE), is marked in the
 * dirty bitmap, one bit a 4 KiB page of RAM, shared by all processes of the VM (it lies behind
 * RAM in the same memfd, outside every KVM memory slot). */
#ifndef IMMURE_CORE_GUESTMEM_H
#define IMMURE_CORE_GUESTMEM_H

#include "core/base.h"

#include <sys/uio.h>

/* A guest-physical address.  A struct, so that arithmetic on it does not compile. */
typedef struct { uint64_t v; } gpa_t;

static inline gpa_t gpa(uint64_t v) { return (gpa_t){ v }; }

/* *@out = @a + @off; false when the sum wraps. */
static inline must_check bool gpa_add(gpa_t a, uint64_t off, gpa_t *out)
{
	return add_u64(a.v, off, &out->v);
}

enum {
	GUESTMEM_PAGE = 4096,
	GUESTMEM_REGIONS = 2,		/* below and above the hole for devices */
};

#define GUESTMEM_HOLE_START 0xc0000000ull	/* RAM below 4 GiB ends here: 3 GiB */
#define GUESTMEM_HOLE_END   0x100000000ull	/* and goes on here */
#define GUESTMEM_MIN  (16ull << 20)
#define GUESTMEM_MAX  (1ull << 40)

/* One contiguous piece of guest RAM. */
struct guestmem_region {
	uint64_t start;		/* guest-physical, page aligned */
	uint64_t size;		/* bytes, page aligned, > 0 */
	uint64_t offset;	/* of this piece in the memfd */
	uint8_t *hva;		/* where this process sees it; used in guestmem.c and kvm set-up only */
};

struct guestmem {
	uint32_t nregions;
	struct guestmem_region region[GUESTMEM_REGIONS];
	uint64_t *dirty;	/* the shared bitmap; bit n = RAM page n in memfd order */
	uint64_t size;		/* bytes of RAM, all regions */
};

enum guestmem_access { GUESTMEM_READ, GUESTMEM_WRITE };

/* Bytes a memfd needs for @ram bytes of guest RAM and its dirty bitmap.  @ram is page aligned,
 * GUESTMEM_MIN..GUESTMEM_MAX. */
uint64_t guestmem_file_size(uint64_t ram);

/* Fills @m->region[] (start, size, offset; not hva) for @ram bytes: RAM from 0 up to 3 GiB,
 * the rest from 4 GiB.  Pure. */
void guestmem_layout(struct guestmem *m, uint64_t ram);

/* Maps @ram bytes of guest RAM from @memfd, with guard pages on both sides of every region, not
 * dumped in a core and never merged.  Called once, before the process seals itself; @memfd may
 * be closed afterwards.  Returns 0 or -errno. */
must_check int guestmem_map(struct guestmem *m, int memfd, uint64_t ram);

/* Copies @len bytes from guest address @a to @dst.  False, with nothing promised about @dst,
 * unless the whole range is RAM. */
must_check bool guestmem_read(const struct guestmem *m, gpa_t a, void *dst, size_t len);

/* Copies @len bytes from @src to guest address @a and marks them dirty.  False, with nothing
 * written, unless the whole range is RAM. */
must_check bool guestmem_write(const struct guestmem *m, gpa_t a, const void *src, size_t len);

/* Loads one naturally aligned 16-bit word with acquire order (an index of a ring).  False
 * unless it is RAM and aligned. */
must_check bool guestmem_load16(const struct guestmem *m, gpa_t a, uint16_t *out);

/* Stores one naturally aligned 16-bit word with release order and marks it dirty. */
must_check bool guestmem_store16(const struct guestmem *m, gpa_t a, uint16_t value);

/* True when [@a, @a + @len) is RAM, @len may be 0. */
must_check bool guestmem_is_ram(const struct guestmem *m, gpa_t a, uint64_t len);

/* Describes [@a, @a + @len) as at most @max pieces of host memory for readv/writev.  A range may
 * become several spans, always: code that assumes contiguity is wrong.  @len > 0.  With
 * GUESTMEM_WRITE the range is marked dirty.  Returns the number of spans, or -1 when the range
 * is not RAM or needs more than @max.  The pointers are for the kernel; nobody looks through
 * them. */
must_check int guestmem_spans(const struct guestmem *m, gpa_t a, uint32_t len,
			      enum guestmem_access access, struct iovec *iov, int max);

#endif
