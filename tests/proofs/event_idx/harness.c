/* SPDX-License-Identifier: Apache-2.0 */
/* When the driver is interrupted, and when it is asked to kick (virtio 1.3 §2.7.7, §2.7.10), after any
 * number of chains since the last decision, for any event word.
 *
 * Assumed: `signalled` and `signalled_valid` say what is claimed here of every step: how many entries went
 * out since the last decision, as long as that is less than a whole turn of the index.
 *
 * Proven: an interrupt goes exactly when one of the entries since then is the one that the driver named, or
 * a whole turn went by; without EVENT_IDX exactly when the driver did not say NO_INTERRUPT; never when there
 * is nothing new; a word that cannot be read counts as a wish. */
#include "core/virtqueue.c"

#include "tests/proofs/proof.h"

struct virtqueue nondet_virtqueue(void);

static uint16_t word;
static bool can_read;
static uint64_t asked;		/* the address that was read */
static uint16_t stored;		/* what was stored last */

bool guestmem_load16(const struct guestmem *m, gpa_t a, uint16_t *out)
{
	(void)m;
	asked = a.v;
	*out = word;
	return can_read;
}

bool guestmem_store16(const struct guestmem *m, gpa_t a, uint16_t value)
{
	(void)m;
	asked = a.v;
	stored = value;
	return true;
}

bool guestmem_write(const struct guestmem *m, gpa_t a, const void *src, size_t len)
{
	(void)m, (void)a, (void)src, (void)len;
	return true;
}

/* A ghost: entries since the last decision, up to a whole turn and more. */
static uint32_t since;

static bool says_so(const struct virtqueue *vq)
{
	if (!vq->signalled_valid)
		return since > UINT16_MAX;
	return since <= UINT16_MAX && (uint16_t)(vq->signalled + since) == vq->next_used;
}

static void goes_on(struct virtqueue *vq)
{
	struct vq_used u[VQ_SIZE_MAX];
	unsigned n = nondet_u16();
	bool ok;

	assume(n > 0 && n <= 2);
	assume(vq->size >= 2 && u[0].head < vq->size && u[1].head < vq->size && u[0].head != u[1].head);
	vq->inflight[u[0].head / 64] |= 1ull << (u[0].head % 64);
	vq->inflight[u[1].head / 64] |= 1ull << (u[1].head % 64);
	ok = vq_push_all(vq, u, n);
	claim(ok, "two that were in flight");
	since = since > UINT16_MAX ? since : since + n;
	REACHED("the end of goes_on()");
}

static void decides(struct virtqueue *vq)
{
	const struct virtqueue was = *vq;
	const bool event_idx = (vq->features & VIRTIO_F_EVENT_IDX) != 0;
	uint16_t back = (uint16_t)(vq->next_used - 1 - word);	/* how far behind the newest lies the named one */
	bool wants, got;

	word = nondet_u16();
	can_read = nondet_bool();
	back = (uint16_t)(vq->next_used - 1 - word);
	wants = event_idx ? back < since : (word & AVAIL_NO_INTERRUPT) == 0;
	wants = since > 0 && (since > UINT16_MAX || !can_read || wants);
	got = vq_should_interrupt(vq);
	claim(got == wants, "exactly when the driver wants it");
	claim(since == 0 || since > UINT16_MAX ||
	      asked == (event_idx ? was.avail + 4 + 2u * was.size : was.avail), "by the word that is for it");
	since = 0;
	REACHED("the end of decides()");
}

static void asks_for_kicks(struct virtqueue *vq)
{
	const bool event_idx = (vq->features & VIRTIO_F_EVENT_IDX) != 0;
	bool more;

	word = nondet_u16();
	can_read = nondet_bool();
	more = vq_enable_kick(vq);
	claim(more == (can_read && word != vq->last_avail), "goes round again when there is something new");
	claim(stored == (event_idx ? vq->last_avail : 0), "asks for a kick at the next chain");
	REACHED("the end of asks_for_kicks()");
}

void harness(void)
{
	struct virtqueue vq = nondet_virtqueue();

	since = nondet_u32();
	assume(vq.ready && vq.err == VQ_OK && is_power_of_2(vq.size) && vq.size <= VQ_SIZE_MAX);
	/* What vq_setup() makes sure of: the areas do not wrap. */
	assume(vq.avail < 1ull << 60 && vq.used < 1ull << 60);
	assume(since <= UINT16_MAX + 1u && says_so(&vq));
	switch (CASE) {
	case 0: goes_on(&vq); break;
	case 1: decides(&vq); break;
	default: asks_for_kicks(&vq); break;
	}
	claim(says_so(&vq), "what went out is known for the next decision");
}
