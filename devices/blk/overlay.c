/* SPDX-License-Identifier: Apache-2.0 */
/* overlay.c: which cluster is where, and in which order that becomes true.
 *
 * A cluster that is written for the first time is completed from the base (or with zeroes), and
 * only then does the map in memory say that it is data: a write that fails half-way changes
 * nothing.  What lies in the file in the place of a cluster that is no data is never read: it may
 * be left from a write that a power cut undid.
 *
 * A flush makes the data stable, then writes the pages of the map that changed, then makes those
 * stable.  The file's map is so at any moment a mixture, by single clusters, of that of the last
 * flush and that of this one, and each data cluster in either is whole.
 *
 * Whole clusters of zeroes become holes at once.  Should the power go before the map says zero,
 * then what the map calls data is what was there, or the hole: both are what a disk may have that
 * was not flushed. */
#include "devices/blk/overlay.h"
#include "core/log.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>

enum {
	PER_WORD = 64 / OVERLAY_STATE_BITS,
	PER_PAGE = OVERLAY_PAGE * 8 / OVERLAY_STATE_BITS,
};

#define LOW_BITS 0x5555555555555555ull	/* of each state in a word */

static enum overlay_state state(const struct overlay *o, uint64_t c)
{
	return (enum overlay_state)(o->map[c / PER_WORD] >> c % PER_WORD * OVERLAY_STATE_BITS & 3);
}

/* All clusters that [@at, @at + @len) touches are @s from now on; in the file's map after the next
 * flush. */
static void mark(struct overlay *o, uint64_t at, uint64_t len, enum overlay_state s)
{
	for (uint64_t c = at / OVERLAY_CLUSTER; c * OVERLAY_CLUSTER < at + len; c++) {
		const unsigned shift = (unsigned)(c % PER_WORD) * OVERLAY_STATE_BITS;
		const enum overlay_state was = state(o, c);

		if (was == s)
			continue;
		o->map[c / PER_WORD] ^= (uint64_t)(was ^ s) << shift;
		o->used = o->used + (s == OVERLAY_DATA) - (was == OVERLAY_DATA);
		o->dirty[c / PER_PAGE / 64] |= 1ull << c / PER_PAGE % 64;
	}
}

/* How many of the @len > 0 bytes from @at on are of one state; which, in @s. */
static uint64_t run(const struct overlay *o, uint64_t at, uint64_t len, enum overlay_state *s)
{
	uint64_t c = at / OVERLAY_CLUSTER;

	*s = state(o, c);
	do
		c++;
	while (c * OVERLAY_CLUSTER < at + len && state(o, c) == *s);
	return min_u64(len, c * OVERLAY_CLUSTER - at);
}

/* ---- start ---- */

int overlay_open(struct overlay *o, struct disk *d, const struct overlay_terms *t)
{
	const int mode = fcntl(t->base, F_GETFL);

	*o = (struct overlay){
		.store = *d, .kept = t->kept,
		.base = { .fd = t->base, .readonly = true, .size = t->base_size, .ahead = true },
		.limit = t->limit != 0 ? t->limit / OVERLAY_CLUSTER : UINT64_MAX,
	};
	if (mode < 0)
		return -errno;
	if ((mode & O_ACCMODE) != O_RDONLY)
		return -EPERM;
	if (!overlay_layout(&o->layout, t->base_size) || d->size != o->layout.size)
		return -EINVAL;
	o->map = mmap(NULL, o->layout.map_len, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (o->map == MAP_FAILED)
		return -errno;
	d->size = t->base_size;
	d->over = o;
	return 0;
}

static bool load(struct overlay *o, uint64_t at, void *to, uint64_t len)
{
	struct iovec iov = { to, len };

	return disk_read(&o->store, at, &iov, 1, (uint32_t)len) == len;
}

/* Counts the data in the map that was read.  False: it says what no map says. */
static bool map_ok(struct overlay *o)
{
	const uint64_t words = o->layout.map_len / 8, last = o->layout.clusters / PER_WORD;
	const unsigned behind = (unsigned)(o->layout.clusters % PER_WORD) * OVERLAY_STATE_BITS;
	uint64_t bad = last < words ? o->map[last] >> behind : 0;

	for (uint64_t i = 0; i < words; i++) {
		uint64_t low = o->map[i] & LOW_BITS, high = o->map[i] >> 1 & LOW_BITS;

		bad |= (low & high) | (i > last ? o->map[i] : 0);
		for (; low != 0; low &= low - 1)
			o->used++;
	}
	return bad == 0;
}

bool overlay_load(struct overlay *o)
{
	static struct overlay_header have, want;
	const char *why = "it cannot be read";

	if (!o->kept)
		return true;
	overlay_header(&want, &o->layout);
	if (load(o, 0, &have, sizeof(have))) {
		why = overlay_differs(&have, &want);
		if (why == NULL && !load(o, OVERLAY_HEADER, o->map, o->layout.map_len))
			why = "its map cannot be read";
		if (why == NULL && !map_ok(o))
			why = "its map is damaged";
	}
	if (why != NULL)
		log_line("blk: the overlay's file is not one for this base: %s", why);
	return why == NULL;
}

/* ---- reading ---- */

static uint32_t fill_zeroes(const struct iovec *iov, int n)
{
	size_t done = 0;

	for (int i = 0; i < n; i++) {
		memset(iov[i].iov_base, 0, iov[i].iov_len);
		done += iov[i].iov_len;
	}
	return (uint32_t)done;
}

static uint32_t read_from(struct overlay *o, enum overlay_state from, uint64_t at,
			  struct iovec *iov, int n, uint32_t len)
{
	if (from == OVERLAY_BASE)
		return disk_read(&o->base, at, iov, n, len);
	if (from == OVERLAY_DATA)
		return disk_read(&o->store, o->layout.data + at, iov, n, len);
	return fill_zeroes(iov, n);
}

uint32_t overlay_read(struct overlay *o, uint64_t at, struct iovec *iov, int n, uint32_t len)
{
	uint32_t done = 0;

	while (done < len) {
		enum overlay_state from;
		uint32_t here = (uint32_t)run(o, at + done, len - done, &from), moved;
		size_t left = here;
		struct iovec cut;
		int last = 0;

		for (; last < n - 1 && left > iov[last].iov_len; last++)
			left -= iov[last].iov_len;
		/* The front of the last span now, its rest with the next run. */
		cut = iov[last];
		iov[last].iov_len = left;
		moved = read_from(o, from, at + done, iov, last + 1, here);
		iov[last] = (struct iovec){ (char *)cut.iov_base + left, cut.iov_len - left };
		iov += last;
		n -= last;
		done += moved;
		if (moved < here)
			break;
	}
	return done;
}

/* Only what is of one state: such are nearly all. */
bool overlay_read_cached(struct overlay *o, uint64_t at, const struct iovec *iov, int n, uint32_t len,
			 bool *ahead)
{
	enum overlay_state from;
	bool got;

	if (run(o, at, len, &from) < len)
		return false;
	if (from == OVERLAY_BASE)
		got = disk_read_cached(&o->base, at, iov, n, len);
	else if (from == OVERLAY_DATA)
		got = disk_read_cached(&o->store, o->layout.data + at, iov, n, len);
	else
		got = fill_zeroes(iov, n) == len;
	*ahead = o->base.ahead && o->store.ahead;
	return got;
}

void overlay_will_read(const struct overlay *o, uint64_t at, uint64_t len)
{
	enum overlay_state from;
	uint64_t here = run(o, at, len, &from);

	if (from == OVERLAY_BASE)
		disk_will_read(&o->base, at, here);
	if (from == OVERLAY_DATA)
		disk_will_read(&o->store, o->layout.data + at, here);
}

/* ---- writing ---- */

/* May all clusters that [@at, @at + @len) touches be data? */
static bool has_room(const struct overlay *o, uint64_t at, uint64_t len)
{
	static struct log_limit limit;
	uint64_t more = 0;

	for (uint64_t c = at / OVERLAY_CLUSTER; c * OVERLAY_CLUSTER < at + len; c++)
		more += state(o, c) != OVERLAY_DATA;
	if (more == 0 || (o->used < o->limit && more <= o->limit - o->used))
		return true;
	log_limited(&limit, "disk write failed at sector %lu: the overlay has reached its limit of "
		    "%lu KiB", (unsigned long)(at / SECTOR),
		    (unsigned long)(o->limit * (OVERLAY_CLUSTER >> 10)));
	return false;
}

/* Writes the bytes [@from, @to) of one cluster that is no data to its place in the file. */
static bool complete(struct overlay *o, uint64_t from, uint64_t to)
{
	static uint8_t buf[OVERLAY_CLUSTER];
	const uint32_t len = (uint32_t)(to - from);
	struct iovec iov = { buf, len };

	if (read_from(o, state(o, from / OVERLAY_CLUSTER), from, &iov, 1, len) != len)
		return false;
	iov = (struct iovec){ buf, len };
	return disk_write(&o->store, o->layout.data + from, &iov, 1, len, false);
}

/* Prepares the file for @len > 0 bytes at @at: clusters that are no data have in it what these bytes
 * leave of them. */
static bool begin(struct overlay *o, uint64_t at, uint64_t len)
{
	const uint64_t end = at + len, last = (end - 1) / OVERLAY_CLUSTER;
	const uint64_t first_at = at - at % OVERLAY_CLUSTER;
	const uint64_t last_end = min_u64((last + 1) * OVERLAY_CLUSTER, o->layout.base);

	if (first_at < at && state(o, first_at / OVERLAY_CLUSTER) != OVERLAY_DATA &&
	    !complete(o, first_at, at))
		return false;
	return end == last_end || state(o, last) == OVERLAY_DATA || complete(o, end, last_end);
}

/* Gives back the storage of @len bytes at @at.  False: the host cannot, and will not be asked
 * again. */
static bool let_go(struct overlay *o, uint64_t at, uint64_t len)
{
	if (o->store.discard)
		o->store.discard = disk_discard(&o->store, o->layout.data + at, len) == DISK_OK;
	return o->store.discard;
}

/* The bytes are in the file (@ok), or something failed since begin(): then the clusters that are
 * still no data let go of what they may have got. */
static bool finish(struct overlay *o, uint64_t at, uint64_t len, bool ok)
{
	if (ok)
		mark(o, at, len, OVERLAY_DATA);
	for (uint64_t c = at / OVERLAY_CLUSTER; !ok && c * OVERLAY_CLUSTER < at + len; c++)
		if (state(o, c) != OVERLAY_DATA &&
		    !let_go(o, c * OVERLAY_CLUSTER, OVERLAY_CLUSTER))
			break;
	return ok;
}

bool overlay_write(struct overlay *o, uint64_t at, struct iovec *iov, int n, uint32_t len,
		   bool durable)
{
	if (len > 0 && (!has_room(o, at, len) ||
			!finish(o, at, len, begin(o, at, len) &&
				disk_write(&o->store, o->layout.data + at, iov, n, len, false))))
		return false;
	return !durable || overlay_flush(o);
}

/* ---- zeroes ---- */

static bool zero_data(struct overlay *o, uint64_t at, uint64_t len, bool unmap)
{
	return has_room(o, at, len) &&
	       finish(o, at, len, begin(o, at, len) &&
		      disk_zero(&o->store, o->layout.data + at, len, unmap));
}

/* What is to become of a range. */
enum zeroes {
	ZEROES_KEEP,	/* zeroes, and the storage stays */
	ZEROES_UNMAP,	/* zeroes */
	ZEROES_DISCARD,	/* zeroes where that costs nothing, as it was elsewhere */
};

/* One run of clusters that are @s, or (not @whole) a part of such a cluster. */
static bool zero_run(struct overlay *o, enum overlay_state s, uint64_t at, uint64_t len,
		     bool whole, enum zeroes how)
{
	const bool hole = s == OVERLAY_DATA && how != ZEROES_KEEP && let_go(o, at, len);

	if (s == OVERLAY_ZERO || (hole && !whole))
		return true;
	if (whole && (hole || s == OVERLAY_BASE)) {
		mark(o, at, len, OVERLAY_ZERO);
		return true;
	}
	return how == ZEROES_DISCARD || zero_data(o, at, len, how == ZEROES_UNMAP);
}

static bool zero(struct overlay *o, uint64_t at, uint64_t len, enum zeroes how)
{
	const uint64_t end = at + len;
	bool ok = true;

	while (at < end && ok) {
		enum overlay_state s;
		uint64_t here = run(o, at, end - at, &s);
		const uint64_t behind = (at + here) % OVERLAY_CLUSTER;
		bool whole = at % OVERLAY_CLUSTER == 0 &&
			     (here >= OVERLAY_CLUSTER || at + here == o->layout.base);

		if (!whole)
			here = min_u64(here, OVERLAY_CLUSTER - at % OVERLAY_CLUSTER);
		else if (at + here != o->layout.base)
			here -= behind;
		ok = zero_run(o, s, at, here, whole, how);
		at += here;
	}
	return ok;
}

bool overlay_discard(struct overlay *o, uint64_t at, uint64_t len)
{
	return zero(o, at, len, ZEROES_DISCARD);
}

bool overlay_zero(struct overlay *o, uint64_t at, uint64_t len, bool unmap)
{
	return zero(o, at, len, unmap ? ZEROES_UNMAP : ZEROES_KEEP);
}

/* ---- flushing ---- */

static bool write_page(struct overlay *o, uint64_t p)
{
	struct iovec iov = { o->map + p * (OVERLAY_PAGE / sizeof(*o->map)), OVERLAY_PAGE };

	return disk_write(&o->store, OVERLAY_HEADER + p * OVERLAY_PAGE, &iov, 1, OVERLAY_PAGE, false);
}

/* Writes the pages that changed.  -1: failed; else whether there were any. */
static int write_map(struct overlay *o)
{
	int any = 0;

	for (size_t i = 0; i < array_len(o->dirty); i++)
		for (; o->dirty[i] != 0; o->dirty[i] &= o->dirty[i] - 1, any = 1)
			if (!write_page(o, i * 64 + (unsigned)__builtin_ctzll(o->dirty[i])))
				return -1;
	return any;
}

bool overlay_flush(struct overlay *o)
{
	int map;

	if (!o->kept)
		return true;
	if (!disk_flush(&o->store))
		return false;
	map = write_map(o);
	return map == 0 || (map > 0 && disk_flush(&o->store));
}
