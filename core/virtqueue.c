/* SPDX-License-Identifier: Apache-2.0 */
/* virtqueue.c: the device side of a split virtqueue (virtio 1.3 §2.7).
 *
 * The rings live in guest memory, and the guest may rewrite any byte at any time, from
 * another vCPU, between two of our loads.  So: every field is loaded once, into a local, and
 * only the local is judged and used; our own positions (last_avail, next_used) are never read
 * back; and a chain is either returned whole, bounded and inside RAM, or the queue is
 * declared broken (§2.1.2 DEVICE_NEEDS_RESET) and stays so until it is set up again.  Nothing
 * is consumed by a vq_pop() that fails.
 *
 * The checks.  [§] is demanded by the specification of the driver, [H] is hardening: no driver
 * we know of fails it, and what it refuses has been a hole somewhere.
 *
 *  1  avail.idx is at most the queue size ahead of last_avail                 §2.7.6
 *  2  the head is an index of the descriptor table                            §2.7.6
 *  3  next is an index of the table the descriptor is in                      §2.7.5
 *  4  a chain is no longer than its table, nor than the queue size            §2.7.5, §2.7.5.3
 *  5  readable descriptors come before writable ones                          §2.7.4.2
 *  6  INDIRECT: negotiated, not inside an indirect table, not with NEXT,
 *     length a multiple of 16 and not 0                                       §2.7.5.3
 *  7  no descriptor has length 0                                              H
 *  8  the chain fits into VQ_SPANS_MAX spans                                  H
 *  9  every buffer, table and ring is RAM                                     H
 * 10  the chain carries at most VQ_CHAIN_BYTES_MAX bytes                      H (§2.7.4: 2^32)
 * 11  vq_setup(): the size is a power of two in 1..VQ_SIZE_MAX and the areas
 *     are aligned to 16, 2 and 4                                              §2.7
 * 12  a head is handed out once until it is returned                          H
 *
 * Order of memory accesses (§2.7.13, §2.7.14): avail.idx is loaded with acquire order before
 * anything it announces; used.idx is stored with release order after its entry; and a full
 * fence stands between our last store and the load that decides whether the other side sleeps. */
#include "core/virtqueue.h"
#include "core/contract.h"

#include <string.h>

enum { DESC_NEXT = 1, DESC_WRITE = 2, DESC_INDIRECT = 4 };	/* §2.7.5 */
enum { AVAIL_NO_INTERRUPT = 1 };				/* §2.7.6 */
enum { USED_NO_NOTIFY = 1 };					/* §2.7.8 */
enum { RING_FLAGS = 0, RING_IDX = 2, RING_ENTRIES = 4 };	/* both rings */

struct vring_desc {
	le64_t addr;
	le32_t len;
	le16_t flags;
	le16_t next;
};

struct vring_used_elem {
	le32_t id;
	le32_t len;
};

_Static_assert(sizeof(struct vring_desc) == 16, "virtio 1.3 §2.7.5");
_Static_assert(sizeof(struct vring_used_elem) == 8, "virtio 1.3 §2.7.8");

/* The table being walked: the queue's own, or an indirect one. */
struct table {
	uint64_t gpa;
	uint32_t entries;
	uint32_t left;		/* descriptors this chain may still have */
	bool indirect;
};

/* Addresses inside the areas, whose ends vq_setup() has found to be RAM: no sum can wrap. */
static gpa_t avail_at(const struct virtqueue *vq, uint32_t off)
{
	return gpa(vq->avail + off);
}

static gpa_t used_at(const struct virtqueue *vq, uint32_t off)
{
	return gpa(vq->used + off);
}

/* The ring entry for position @i, and the event word behind the last entry (§2.7.10). */
static gpa_t avail_entry(const struct virtqueue *vq, uint16_t i)
{
	return avail_at(vq, RING_ENTRIES + 2 * (i & (vq->size - 1u)));
}

static gpa_t used_entry(const struct virtqueue *vq, uint16_t i)
{
	return used_at(vq, RING_ENTRIES + 8 * (i & (vq->size - 1u)));
}

static gpa_t used_event(const struct virtqueue *vq)
{
	return avail_at(vq, RING_ENTRIES + 2u * vq->size);
}

static gpa_t avail_event(const struct virtqueue *vq)
{
	return used_at(vq, RING_ENTRIES + 8u * vq->size);
}

static bool has_event_idx(const struct virtqueue *vq)
{
	return (vq->features & VIRTIO_F_EVENT_IDX) != 0;
}

/* §2.7.10, vring_need_event(): did the index pass @event on its way from @old to @new? */
static bool need_event(uint16_t event, uint16_t new, uint16_t old)
{
	return (uint16_t)(new - event - 1) < (uint16_t)(new - old);
}

static bool in_flight(const struct virtqueue *vq, uint16_t head)
{
	return (vq->inflight[head / 64] >> (head % 64) & 1) != 0;
}

static int broken(struct virtqueue *vq, enum vq_err err)
{
	vq->err = err;
	return -1;
}

enum vq_err vq_setup(struct virtqueue *vq, const struct guestmem *mem,
		     const struct vq_config *c, uint64_t features)
{
	uint64_t n = c->size;

	vq_reset(vq);
	if (!c->ready || !is_power_of_2(n) || n > VQ_SIZE_MAX)
		return VQ_E_SETUP;
	if (c->desc % 16 != 0 || c->avail % 2 != 0 || c->used % 4 != 0)
		return VQ_E_SETUP;
	/* With the event words, whether negotiated or not: they are part of the layout. */
	if (!guestmem_is_ram(mem, gpa(c->desc), 16 * n) ||
	    !guestmem_is_ram(mem, gpa(c->avail), RING_ENTRIES + 2 * n + 2) ||
	    !guestmem_is_ram(mem, gpa(c->used), RING_ENTRIES + 8 * n + 2))
		return VQ_E_RANGE;
	vq->mem = mem;
	vq->features = features;
	vq->desc = c->desc;
	vq->avail = c->avail;
	vq->used = c->used;
	vq->size = c->size;
	vq->signalled_valid = true;
	vq->ready = true;
	return VQ_OK;
}

void vq_reset(struct virtqueue *vq)
{
	*vq = (struct virtqueue){ 0 };
}

/* Appends the buffer of @d to @c. */
static enum vq_err add_buffer(const struct virtqueue *vq, struct vq_chain *c,
			      const struct vring_desc *d)
{
	bool write = (le16(d->flags) & DESC_WRITE) != 0;
	uint32_t len = le32(d->len);
	int have = c->nread + c->nwrite;
	int n;

	if (len == 0)
		return VQ_E_ZERO;
	if (!write && c->nwrite > 0)
		return VQ_E_ORDER;
	if (len > VQ_CHAIN_BYTES_MAX - (c->read_len + c->write_len))
		return VQ_E_LENGTH;
	n = guestmem_spans(vq->mem, gpa(le64(d->addr)), len,
			   write ? GUESTMEM_WRITE : GUESTMEM_READ, c->iov + have,
			   VQ_SPANS_MAX - have);
	if (n < 0)
		return guestmem_is_ram(vq->mem, gpa(le64(d->addr)), len) ? VQ_E_SPANS
									: VQ_E_RANGE;
	if (write) {
		c->nwrite = (uint16_t)(c->nwrite + n);
		c->write_len += len;
	} else {
		c->nread = (uint16_t)(c->nread + n);
		c->read_len += len;
	}
	return VQ_OK;
}

/* Goes on in the table that @d points to (§2.7.5.3). */
static enum vq_err enter_indirect(const struct virtqueue *vq, const struct vring_desc *d,
				  struct table *t)
{
	uint32_t len = le32(d->len);

	if ((vq->features & VIRTIO_F_INDIRECT_DESC) == 0 || t->indirect ||
	    (le16(d->flags) & DESC_NEXT) != 0 || len == 0 || len % 16 != 0)
		return VQ_E_INDIRECT;
	if (!guestmem_is_ram(vq->mem, gpa(le64(d->addr)), len))
		return VQ_E_RANGE;
	t->gpa = le64(d->addr);
	t->entries = len / 16;
	/* The descriptor that brought us here carries no buffer and does not count. */
	t->left = (uint32_t)min_u64(t->left + 1, t->entries);
	t->indirect = true;
	return VQ_OK;
}

/* Descriptor *@i of @t: what it describes goes to @c, the number of the next one to *@i.  *@more: there is
 * one. */
static enum vq_err step(const struct virtqueue *vq, struct vq_chain *c, struct table *t, uint32_t *i,
			bool *more)
{
	struct vring_desc d;
	enum vq_err err;

	if (t->left-- == 0)
		return VQ_E_LOOP;
	if (!guestmem_read(vq->mem, gpa(t->gpa + 16ull * *i), &d, sizeof(d)))
		return VQ_E_RANGE;
	if ((le16(d.flags) & DESC_INDIRECT) != 0) {
		*i = 0;
		return enter_indirect(vq, &d, t);
	}
	err = add_buffer(vq, c, &d);
	*more = (le16(d.flags) & DESC_NEXT) != 0;
	if (err != VQ_OK || !*more)
		return err;
	*i = le16(d.next);
	return *i < t->entries ? VQ_OK : VQ_E_NEXT;
}

/* Follows the chain from @head.  Reads at most size + 1 descriptors, each once. */
static enum vq_err walk(const struct virtqueue *vq, uint16_t head, struct vq_chain *c)
{
	struct table t = { .gpa = vq->desc, .entries = vq->size, .left = vq->size };
	enum vq_err err = VQ_OK;
	bool more = true;
	uint32_t i = head;

	while (more && err == VQ_OK)
		loop_assigns(t, i, more, err, whole_object(c) loop_ghosts)
		loop_invariant(err != VQ_OK || i < t.entries)
		loop_invariant(err != VQ_OK || t.left <= vq->size)
		loop_invariant(t.indirect || t.entries == vq->size)
		loop_invariant(c->nread + c->nwrite <= VQ_SPANS_MAX && c->head == head)
		loop_invariant(c->read_len <= VQ_CHAIN_BYTES_MAX)
		loop_invariant(c->write_len <= VQ_CHAIN_BYTES_MAX - c->read_len)
		loop_invariant(loop_ghost_invariant)
		loop_decreases(err != VQ_OK || !more ? 0u : t.left + (t.indirect ? 1u : 2u))
		err = step(vq, c, &t, &i, &more);
	return err;
}

int vq_pop(struct virtqueue *vq, struct vq_chain *c)
{
	uint16_t idx, head;
	enum vq_err err;

	if (!vq->ready || vq->err != VQ_OK)
		return -1;
	if (!guestmem_load16(vq->mem, avail_at(vq, RING_IDX), &idx))
		return broken(vq, VQ_E_RANGE);
	if (idx == vq->last_avail)
		return 0;
	if ((uint16_t)(idx - vq->last_avail) > vq->size)
		return broken(vq, VQ_E_AVAIL);
	if (!guestmem_load16(vq->mem, avail_entry(vq, vq->last_avail), &head))
		return broken(vq, VQ_E_RANGE);
	if (head >= vq->size)
		return broken(vq, VQ_E_HEAD);
	if (in_flight(vq, head))
		return broken(vq, VQ_E_INFLIGHT);

	c->head = head;
	c->nread = 0;
	c->nwrite = 0;
	c->read_len = 0;
	c->write_len = 0;
	err = walk(vq, head, c);
	if (err != VQ_OK)
		return broken(vq, err);
	vq->inflight[head / 64] |= 1ull << (head % 64);
	vq->inflight_count++;
	vq->last_avail++;
	return 1;
}

/* Takes @head off the list of chains in flight; false when it is not on it. */
static bool land(struct virtqueue *vq, uint16_t head)
{
	if (!vq->ready || head >= vq->size || !in_flight(vq, head))
		return false;
	vq->inflight[head / 64] &= ~(1ull << (head % 64));
	vq->inflight_count--;
	return true;
}

void vq_unpop(struct virtqueue *vq, const struct vq_chain *c)
{
	if (land(vq, c->head))
		vq->last_avail--;
}

bool vq_push_all(struct virtqueue *vq, const struct vq_used *u, unsigned n)
{
	if (vq->err != VQ_OK)
		return false;
	for (unsigned i = 0; i < n; i++) {
		const struct vring_used_elem e = { to_le32(u[i].head), to_le32(u[i].written) };

		if (!land(vq, u[i].head))
			return false;
		if (!guestmem_write(vq->mem, used_entry(vq, (uint16_t)(vq->next_used + i)), &e,
				    sizeof(e))) {
			broken(vq, VQ_E_RANGE);
			return false;
		}
	}
	if (!guestmem_store16(vq->mem, used_at(vq, RING_IDX), (uint16_t)(vq->next_used + n))) {
		broken(vq, VQ_E_RANGE);
		return false;
	}
	/* A whole turn of the index without a decision: the difference says nothing now. */
	if ((uint16_t)(vq->signalled - vq->next_used - 1) < n)
		vq->signalled_valid = false;
	vq->next_used = (uint16_t)(vq->next_used + n);
	return true;
}

bool vq_push(struct virtqueue *vq, const struct vq_chain *c, uint32_t written)
{
	const struct vq_used u = { c->head, (uint32_t)min_u64(written, c->write_len) };

	return vq_push_all(vq, &u, 1);
}

/* What the driver asks for; true when in doubt, a spurious interrupt is legal. */
static bool driver_wants(const struct virtqueue *vq, uint16_t old)
{
	uint16_t word;

	if (has_event_idx(vq))
		return !guestmem_load16(vq->mem, used_event(vq), &word) ||
		       need_event(word, vq->next_used, old);
	return !guestmem_load16(vq->mem, avail_at(vq, RING_FLAGS), &word) ||
	       (word & AVAIL_NO_INTERRUPT) == 0;
}

bool vq_should_interrupt(struct virtqueue *vq)
{
	uint16_t old = vq->signalled;
	bool valid = vq->signalled_valid;

	if (!vq->ready || (valid && vq->next_used == old))
		return false;
	vq->signalled = vq->next_used;
	vq->signalled_valid = true;
	/* used.idx must be out before we look whether the driver has just asked for it. */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	return !valid || driver_wants(vq, old);
}

bool vq_enable_kick(struct virtqueue *vq)
{
	uint16_t idx;

	if (!vq->ready || vq->err != VQ_OK)
		return false;
	if (has_event_idx(vq)) {
		if (!guestmem_store16(vq->mem, avail_event(vq), vq->last_avail))
			return false;
	} else if (!guestmem_store16(vq->mem, used_at(vq, RING_FLAGS), 0)) {
		return false;
	}
	/* The wish must be out before we look for what came without a kick. */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	return guestmem_load16(vq->mem, avail_at(vq, RING_IDX), &idx) && idx != vq->last_avail;
}

void vq_disable_kick(struct virtqueue *vq)
{
	/* With EVENT_IDX an avail_event left behind asks for nothing. */
	if (!vq->ready || vq->err != VQ_OK || has_event_idx(vq))
		return;
	if (!guestmem_store16(vq->mem, used_at(vq, RING_FLAGS), USED_NO_NOTIFY))
		broken(vq, VQ_E_RANGE);
}

/* Walks over a part of a chain, piece by piece. */
struct cursor {
	const struct iovec *v;
	uint32_t n;		/* spans from v on */
	uint64_t off;		/* bytes to pass over first */
	uint64_t left;		/* bytes wanted after them */
};

static bool next_piece(struct cursor *p, struct iovec *out)
{
	for (; p->n > 0 && p->off >= p->v->iov_len; p->n--, p->v++)
		p->off -= p->v->iov_len;
	if (p->n == 0 || p->left == 0)
		return false;
	out->iov_base = (uint8_t *)p->v->iov_base + p->off;
	out->iov_len = min_u64(p->left, p->v->iov_len - p->off);
	p->off += out->iov_len;
	p->left -= out->iov_len;
	return true;
}

static int describe(struct cursor p, struct iovec *iov, int max)
{
	struct iovec v;
	int used = 0;

	while (next_piece(&p, &v)) {
		if (used == max)
			return -1;
		iov[used++] = v;
	}
	return p.left == 0 ? used : -1;
}

int vq_spans_part(const struct iovec *v, unsigned n, uint64_t off, uint64_t len,
		  struct iovec *iov, int max)
{
	return describe((struct cursor){ v, n, off, len }, iov, max);
}

bool vq_spans_write(const struct iovec *v, unsigned n, uint64_t off, const void *src,
		    uint32_t len)
{
	struct cursor p = { v, n, off, len };
	const uint8_t *from = src;
	struct iovec piece;

	for (; next_piece(&p, &piece); from += piece.iov_len)
		memcpy(piece.iov_base, from, piece.iov_len);
	return p.left == 0;
}

static struct cursor readable(const struct vq_chain *c, uint32_t off, uint32_t len)
{
	return (struct cursor){ c->iov, c->nread, off, len };
}

static struct cursor writable(const struct vq_chain *c, uint32_t off, uint32_t len)
{
	return (struct cursor){ c->iov + c->nread, c->nwrite, off, len };
}

int vq_chain_readable(const struct vq_chain *c, uint32_t off, uint32_t len, struct iovec *iov,
		      int max)
{
	return describe(readable(c, off, len), iov, max);
}

int vq_chain_writable(const struct vq_chain *c, uint32_t off, uint32_t len, struct iovec *iov,
		      int max)
{
	return describe(writable(c, off, len), iov, max);
}

bool vq_chain_piece(const struct vq_chain *c, uint32_t off, uint32_t len, struct iovec *piece)
{
	struct cursor p = readable(c, off, len);

	return next_piece(&p, piece);
}

bool vq_chain_read(const struct vq_chain *c, uint32_t off, void *dst, uint32_t len)
{
	struct cursor p = readable(c, off, len);
	uint8_t *to = dst;
	struct iovec v;

	if (!range_fits(off, len, c->read_len))
		return false;
	for (; next_piece(&p, &v); to += v.iov_len)
		memcpy(to, v.iov_base, v.iov_len);
	/* For the compiler: what was copied is not looked up in guest memory again. */
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	return true;
}

bool vq_chain_write(const struct vq_chain *c, uint32_t off, const void *src, uint32_t len)
{
	return range_fits(off, len, c->write_len) &&
	       vq_spans_write(c->iov + c->nread, c->nwrite, off, src, len);
}

const char *vq_err_name(enum vq_err err)
{
	switch (err) {
	case VQ_OK: return "ok";
	case VQ_E_AVAIL: return "avail.idx too far ahead";
	case VQ_E_HEAD: return "head outside the table";
	case VQ_E_NEXT: return "next outside the table";
	case VQ_E_LOOP: return "chain longer than its table";
	case VQ_E_ORDER: return "readable descriptor after a writable one";
	case VQ_E_INDIRECT: return "bad indirect descriptor";
	case VQ_E_ZERO: return "descriptor of length 0";
	case VQ_E_SPANS: return "too many spans";
	case VQ_E_RANGE: return "address outside RAM";
	case VQ_E_LENGTH: return "chain too long";
	case VQ_E_SETUP: return "bad queue size or address";
	case VQ_E_INFLIGHT: return "head already in flight";
	}
	return "unknown";
}
