/* SPDX-License-Identifier: Apache-2.0 */
/* guestmem.c: the one door to guest RAM.
 *
 * The guest lies in two ways: by the addresses it names, and by rewriting what it told us
 * while we look.  The first is met by region(), the only place where a guest-physical address
 * becomes a pointer: subtract first, then compare, so that no sum can wrap.  The second by
 * copying each thing once; the fence behind a copy keeps the compiler from going back to
 * guest memory for a value it has already given to its caller.
 *
 * Address space, one reservation without access rights, RAM and bitmap mapped into it:
 *
 *     guard | RAM below 3 GiB | guard | RAM from 4 GiB | guard | dirty bitmap | guard
 *
 * A guard is 4 GiB because lengths in virtqueues are 32 bits wide: a pointer that was right
 * once, moved by any length a descriptor can hold, still lands in a guard and faults instead
 * of in something of ours.  Guards cost a line in the process's map and no memory. */
#include "core/guestmem.h"
#include "core/contract.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#define GUARD (4ull << 30)

static uint64_t bitmap_bytes(uint64_t ram)
{
	return round_up((ram / GUESTMEM_PAGE + 7) / 8, GUESTMEM_PAGE);
}

uint64_t guestmem_file_size(uint64_t ram)
{
	return ram + bitmap_bytes(ram);
}

void guestmem_layout(struct guestmem *m, uint64_t ram)
{
	uint64_t low = min_u64(ram, GUESTMEM_HOLE_START);

	*m = (struct guestmem){ .nregions = 1, .size = ram };
	m->region[0] = (struct guestmem_region){ .start = 0, .size = low };
	if (ram == low)
		return;
	m->nregions = 2;
	m->region[1] = (struct guestmem_region){
		.start = GUESTMEM_HOLE_END,
		.size = ram - low,
		.offset = low,
	};
}

static bool map_at(uint8_t *where, uint64_t size, int memfd, uint64_t offset)
{
	void *p = mmap(where, size, PROT_READ | PROT_WRITE,
		       MAP_SHARED | MAP_NORESERVE | MAP_FIXED, memfd, (off_t)offset);

	return p == (void *)where;
}

/* Puts RAM and bitmap into the reservation at @base. */
static bool map_all(struct guestmem *m, uint8_t *base, int memfd)
{
	uint8_t *at = base + GUARD;

	for (uint32_t i = 0; i < m->nregions; i++) {
		struct guestmem_region *r = &m->region[i];

		if (!map_at(at, r->size, memfd, r->offset))
			return false;
		r->hva = at;
		at += r->size + GUARD;
	}
	if (!map_at(at, bitmap_bytes(m->size), memfd, m->size))
		return false;
	m->dirty = (uint64_t *)(void *)at;
	return true;
}

int guestmem_map(struct guestmem *m, int memfd, uint64_t ram)
{
	struct stat st;
	uint64_t total;
	uint8_t *base;

	if (ram < GUESTMEM_MIN || ram > GUESTMEM_MAX || ram % GUESTMEM_PAGE != 0)
		return -EINVAL;
	if (fstat(memfd, &st) < 0)
		return -errno;
	/* A shorter file would turn an access to RAM into SIGBUS. */
	if (st.st_size < 0 || (uint64_t)st.st_size < guestmem_file_size(ram))
		return -EINVAL;

	guestmem_layout(m, ram);
	total = ram + bitmap_bytes(ram) + GUARD * (m->nregions + 2);
	base = mmap(NULL, total, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
		    -1, 0);
	if (base == MAP_FAILED)
		return -errno;
	/* A shared mapping is never merged with others; only dumps need a word. */
	if (!map_all(m, base, memfd) || madvise(base, total, MADV_DONTDUMP) < 0) {
		int err = errno;

		munmap(base, total);
		return -err;
	}
	return 0;
}

/* The region that holds address @a, or NULL. */
static inline const struct guestmem_region *region(const struct guestmem *m, uint64_t a)
{
	for (uint32_t i = 0; i < m->nregions; i++)
		if (a - m->region[i].start < m->region[i].size)
			return &m->region[i];
	return NULL;
}

/* The first piece of [@a, @a + @len): its length in *@n, or NULL when @a is not RAM. */
static inline uint8_t *piece(const struct guestmem *m, uint64_t a, uint64_t len,
			     const struct guestmem_region **r, uint64_t *n)
{
	uint64_t off;

	*r = region(m, a);
	if (*r == NULL)
		return NULL;
	off = a - (*r)->start;
	*n = min_u64(len, (*r)->size - off);
	return (*r)->hva + off;
}

bool guestmem_is_ram(const struct guestmem *m, gpa_t a, uint64_t len)
{
	const struct guestmem_region *r;
	uint64_t n;

	if (len == 0)
		return region(m, a.v) != NULL || (a.v > 0 && region(m, a.v - 1) != NULL);
	for (; len > 0; len -= n, a.v += n)
		if (piece(m, a.v, len, &r, &n) == NULL)
			return false;
	return true;
}

/* Sets bits of one word of the bitmap.  Looking first keeps the cache line shared among the
 * processes when the pages are dirty already, which is the usual case. */
static inline void mark_word(uint64_t *word, uint64_t bits)
{
	if ((__atomic_load_n(word, __ATOMIC_RELAXED) & bits) != bits)
		__atomic_fetch_or(word, bits, __ATOMIC_RELAXED);
}

/* Marks @len > 0 bytes at @off in the memfd. */
static inline void mark_dirty(const struct guestmem *m, uint64_t off, uint64_t len)
{
	uint64_t page = off / GUESTMEM_PAGE;
	uint64_t last = (off + len - 1) / GUESTMEM_PAGE;

	while (page / 64 < last / 64)
		loop_assigns(page, whole_object(m->dirty))
		loop_invariant(page <= last)
		loop_decreases(last - page)
	{
		mark_word(&m->dirty[page / 64], ~0ull << (page % 64));
		page = round_up(page + 1, 64);
	}
	mark_word(&m->dirty[page / 64], (~0ull << (page % 64)) & (~0ull >> (63 - last % 64)));
}

/* The fence is for the compiler only: see the head of this file. */
static inline void copy(void *dst, const void *src, size_t len)
{
	/* The two sizes of the virtqueues' hot path, as plain loads and stores. */
	if (len == 16)
		memcpy(dst, src, 16);
	else if (len == 8)
		memcpy(dst, src, 8);
	else
		memcpy(dst, src, len);
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
}

bool guestmem_read(const struct guestmem *m, gpa_t a, void *dst, size_t len)
{
	const struct guestmem_region *r;
	uint8_t *to = dst;
	uint64_t n;

	for (; len > 0; len -= n, a.v += n, to += n) {
		const uint8_t *from = piece(m, a.v, len, &r, &n);

		if (from == NULL)
			return false;
		copy(to, from, n);
	}
	return true;
}

bool guestmem_write(const struct guestmem *m, gpa_t a, const void *src, size_t len)
{
	const struct guestmem_region *r;
	const uint8_t *from = src;
	uint64_t n;

	if (!guestmem_is_ram(m, a, len))
		return false;
	for (; len > 0; len -= n, a.v += n, from += n) {
		uint8_t *to = piece(m, a.v, len, &r, &n);

		if (to == NULL)
			return false;
		copy(to, from, n);
		mark_dirty(m, r->offset + (a.v - r->start), n);
	}
	return true;
}

/* The aligned word at @a, or NULL.  Regions are page aligned, so it lies in one piece. */
static inline uint16_t *word16(const struct guestmem *m, uint64_t a,
			       const struct guestmem_region **r)
{
	uint64_t n;

	return a % 2 == 0 ? (uint16_t *)(void *)piece(m, a, 2, r, &n) : NULL;
}

bool guestmem_load16(const struct guestmem *m, gpa_t a, uint16_t *out)
{
	const struct guestmem_region *r;
	const uint16_t *p = word16(m, a.v, &r);

	if (p == NULL)
		return false;
	*out = __atomic_load_n(p, __ATOMIC_ACQUIRE);
	return true;
}

bool guestmem_store16(const struct guestmem *m, gpa_t a, uint16_t value)
{
	const struct guestmem_region *r;
	uint16_t *p = word16(m, a.v, &r);

	if (p == NULL)
		return false;
	__atomic_store_n(p, value, __ATOMIC_RELEASE);
	mark_dirty(m, r->offset + (a.v - r->start), 2);
	return true;
}

int guestmem_spans(const struct guestmem *m, gpa_t a, uint32_t len,
		   enum guestmem_access access, struct iovec *iov, int max)
{
	const struct guestmem_region *r;
	uint64_t left = len;
	uint64_t n;
	int used = 0;

	for (; left > 0; left -= n, a.v += n) {
		uint8_t *p = used < max ? piece(m, a.v, left, &r, &n) : NULL;

		if (p == NULL)
			return -1;
		if (access == GUESTMEM_WRITE)
			mark_dirty(m, r->offset + (a.v - r->start), n);
		iov[used++] = (struct iovec){ .iov_base = p, .iov_len = n };
	}
	return used;
}
