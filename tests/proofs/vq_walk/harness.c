/* SPDX-License-Identifier: Apache-2.0 */
/* Taking a chain out of a queue (virtio 1.3 §2.7.5, §2.7.13), whatever the guest wrote and however it
 * rewrites it meanwhile: each read of guest memory gives any bytes.
 *
 * Assumed: a queue as vq_setup() leaves it and vq_pop() and vq_push() keep it (power of two, areas that do
 * not wrap).  guestmem.c is not looked at: its functions answer anything that their declarations allow;
 * what those promise is proven in guestmem_range.
 *
 * Proven, for any size of the queue up to VQ_SIZE_MAX and any length of indirect table:
 *   - it ends, after no more descriptors than the table has, and one;
 *   - descriptors are read inside the table only: the queue's, or an indirect one that is all RAM;
 *   - no more than VQ_SPANS_MAX spans, each entry of iov inside the chain; no more than VQ_CHAIN_BYTES_MAX
 *     bytes; readable before writable;
 *   - a head is inside the table and was not in flight, and is afterwards;
 *   - a queue that was refused says why and has lost nothing. */
#define loop_ghosts , ram, ram_end, wrote
#define loop_ghost_invariant \
	(err != VQ_OK || !more || (wrote == (c->nwrite > 0) && \
	 (t.indirect ? t.gpa == ram && ram_end - ram == 16ull * t.entries && ram <= ram_end : t.gpa == own)))

#include <stdbool.h>
#include <stdint.h>

static uint64_t own, own_end;	/* the queue's table */
static uint64_t ram, ram_end;	/* what was last found to be RAM */
static bool wrote;		/* a span for writing was added */

#include "core/virtqueue.c"

#include "tests/proofs/proof.h"

struct virtqueue nondet_virtqueue(void);
struct vring_desc nondet_desc(void);

bool guestmem_is_ram(const struct guestmem *m, gpa_t a, uint64_t len)
{
	bool yes = nondet_bool() && a.v <= UINT64_MAX - len;

	(void)m;
	ram = yes ? a.v : 0;
	ram_end = yes ? a.v + len : 0;
	return yes;
}

bool guestmem_read(const struct guestmem *m, gpa_t a, void *dst, size_t len)
{
	(void)m;
	claim(len == sizeof(struct vring_desc), "a descriptor");
	claim((a.v >= own && a.v < own_end && own_end - a.v >= len && (a.v - own) % 16 == 0) ||
	      (a.v >= ram && a.v < ram_end && ram_end - a.v >= len && (a.v - ram) % 16 == 0),
	      "inside its table");
	*(struct vring_desc *)dst = nondet_desc();
	return nondet_bool();
}

bool guestmem_load16(const struct guestmem *m, gpa_t a, uint16_t *out)
{
	(void)m, (void)a;
	*out = nondet_u16();
	return nondet_bool();
}

int guestmem_spans(const struct guestmem *m, gpa_t a, uint32_t len, enum guestmem_access access,
		   struct iovec *iov, int max)
{
	int n = nondet_int();

	(void)m, (void)a;
	claim(len > 0, "guestmem_spans() is asked about something");
	claim(max >= 0 && max <= VQ_SPANS_MAX, "room that there is");
	claim(max == 0 || __CPROVER_w_ok(iov, sizeof(*iov) * (size_t)max), "inside the chain");
	assume(n == -1 || (n >= 1 && n <= max && (uint32_t)n <= len));
	claim(access == GUESTMEM_WRITE || !wrote, "readable before writable");
	if (n > 0) {
		wrote = access == GUESTMEM_WRITE;
		iov[0] = (struct iovec){ 0 };
		iov[n - 1] = (struct iovec){ 0 };
	}
	return n;
}

void harness(void)
{
	struct virtqueue vq = nondet_virtqueue();
	struct vq_chain chain;
	uint16_t last = vq.last_avail, any = nondet_u8();
	uint16_t count = vq.inflight_count;
	uint64_t flying[VQ_SIZE_MAX / 64];
	int rc;

	assume(is_power_of_2(vq.size) && vq.size <= VQ_SIZE_MAX);
	assume(vq.desc < 1ull << 60 && vq.avail < 1ull << 60 && vq.used < 1ull << 60);
	assume(any < vq.size);
	own = vq.desc;
	own_end = vq.desc + 16ull * vq.size;
	wrote = false;
	__CPROVER_array_copy(flying, vq.inflight);
	rc = vq_pop(&vq, &chain);
	claim(rc >= -1 && rc <= 1, "one of three answers");
	if (rc == 1) {
		claim(chain.head < vq.size, "the head is in the table");
		claim((flying[chain.head / 64] >> (chain.head % 64) & 1) == 0, "and was not in flight");
		claim(in_flight(&vq, chain.head), "and is");
		claim(vq.last_avail == (uint16_t)(last + 1), "one chain");
		claim(chain.nread + chain.nwrite <= VQ_SPANS_MAX, "spans that there is room for");
		claim((uint64_t)chain.read_len + chain.write_len <= VQ_CHAIN_BYTES_MAX, "no more bytes than that");
		claim(any == chain.head || in_flight(&vq, any) == ((flying[any / 64] >> (any % 64) & 1) != 0),
		      "no other head is touched");
		REACHED("a chain");
		if (chain.nwrite > 0 && chain.nread > 0)
			REACHED("a chain of both kinds");
	} else {
		claim(vq.last_avail == last && vq.inflight_count == count, "nothing is lost");
		claim(in_flight(&vq, any) == ((flying[any / 64] >> (any % 64) & 1) != 0), "nothing flies");
		claim(rc == 0 || !vq.ready || vq.err != VQ_OK, "a reason");
		if (vq.err == VQ_E_LOOP)
			REACHED("a loop");
		if (vq.err == VQ_E_SPANS)
			REACHED("too many spans");
	}
}
