/* SPDX-License-Identifier: Apache-2.0 */
/* Every write of a guest to the registers of a device (virtio 1.3 §4.2.2): any offset, width and value, in
 * any state that the machine can be in.
 *
 * Assumed: the state is one of those that are claimed of every step after it (`possible`), which holds from
 * vmio_hello() on; the device offered what link_step() lets through.
 *
 * Proven:
 *   - "once ready, nothing changes": a queue that is ready keeps its size and its addresses until a reset
 *     has been completed, and from DRIVER_OK on no queue becomes ready or stops to be, and no feature
 *     changes (what CVE-2026-5747 was about);
 *   - the status goes one legal step at a time, or to FAILED; NEEDS_RESET stays;
 *   - the driver gets no feature that was not offered, and DRIVER_OK not without VERSION_1;
 *   - a queue that is ready has a size in range and aligned addresses;
 *   - what is refused changes nothing; nothing beyond the page is written. */
#include "vmm/virtio_mmio.c"

#include "tests/proofs/proof.h"

struct virtio_mmio nondet_mmio(void);

static uint32_t page[VMIO_PAGE / 4];

static bool legal_status(uint32_t s)
{
	s &= ~(uint32_t)(VMIO_S_NEEDS_RESET | VMIO_S_FAILED);
	return s == 0 || s == FOUND || s == DRIVEN || s == AGREED || s == LIVE;
}

static bool good_queue(const struct virtio_mmio *d, const struct vmio_queue *q)
{
	bool size = q->size == 0 || (is_power_of_2(q->size) && q->size <= d->queue_max);

	return size && (!q->ready || (q->size != 0 && q->desc % 16 == 0 && q->driver % 2 == 0 &&
				      q->device % 4 == 0));
}

/* @n: any queue; what holds of it holds of all. */
static bool possible(const struct virtio_mmio *d, uint32_t n)
{
	bool agreed = (d->status & VMIO_S_FEATURES_OK) != 0;

	return d->page == page && legal_status(d->status) && d->nqueues <= LINK_QUEUES_MAX &&
	       d->queue_max <= VQ_SIZE_MAX && good_queue(d, &d->queue[n]) &&
	       (!d->queue[n].ready || (n < d->nqueues && agreed)) &&
	       (!agreed || features_good(d));
}

static bool same_queue(const struct vmio_queue *a, const struct vmio_queue *b)
{
	return a->desc == b->desc && a->driver == b->driver && a->device == b->device &&
	       a->size == b->size && a->ready == b->ready;
}

static bool same(const struct virtio_mmio *a, const struct virtio_mmio *b, uint32_t n)
{
	return a->accepted == b->accepted && a->beyond == b->beyond && a->resetting == b->resetting &&
	       a->config_pending == b->config_pending && a->status == b->status &&
	       a->driver_sel == b->driver_sel && a->queue_sel == b->queue_sel &&
	       same_queue(&a->queue[n], &b->queue[n]);
}

static bool one_step(uint32_t from, uint32_t to)
{
	const uint32_t bare = from & ~(uint32_t)VMIO_S_NEEDS_RESET, now = to & ~(uint32_t)VMIO_S_NEEDS_RESET;

	return ((from ^ to) & VMIO_S_NEEDS_RESET) == 0 &&
	       (bare == now || now == (bare | VMIO_S_FAILED) || (bare == 0 && now == FOUND) ||
		(bare == FOUND && now == DRIVEN) || (bare == DRIVEN && now == AGREED) ||
		(bare == AGREED && now == LIVE));
}

static void written(const struct virtio_mmio *was, const struct virtio_mmio *d, enum vmio_action a, uint32_t n)
{
	const struct vmio_queue *before = &was->queue[n], *q = &d->queue[n];

	claim(a != VMIO_REFUSED || same(was, d, n), "what is refused changes nothing");
	claim(!before->ready || q->desc == before->desc, "a ready queue stays where it is: descriptors");
	claim(!before->ready || q->driver == before->driver, "avail ring");
	claim(!before->ready || q->device == before->device, "used ring");
	claim(!before->ready || q->size == before->size, "size");
	if ((was->status & VMIO_S_DRIVER_OK) != 0) {
		claim(same_queue(before, q), "nothing is set up while the device is live");
		claim(d->accepted == was->accepted, "features neither");
		REACHED("a write while it is live");
	}
	claim(one_step(was->status, d->status), "one legal step");
	claim(d->offered == was->offered && d->nqueues == was->nqueues && d->queue_max == was->queue_max,
	      "what the device said stays");
	claim((a == VMIO_ACTIVATE) == ((d->status & VMIO_S_DRIVER_OK) > (was->status & VMIO_S_DRIVER_OK)),
	      "the device is started once");
	claim(a != VMIO_RESET || d->resetting, "status 0 waits for the device");
	claim(!was->resetting || same(was, d, n), "until then nothing else");
	if (a == VMIO_ACTIVATE) {
		claim((d->accepted & ~d->offered) == 0, "no feature that was not offered");
		claim((d->accepted & VIRTIO_F_VERSION_1) != 0, "by the modern protocol");
		REACHED("the start of a device");
	}
	if (q->ready && !before->ready)
		REACHED("a queue becomes ready");
	if (a == VMIO_RESET)
		REACHED("a reset");
}

void harness(void)
{
	struct virtio_mmio d = nondet_mmio(), was;
	uint32_t n = nondet_u32();

	assume(n < LINK_QUEUES_MAX);
	d.page = page;
	d.resetting = nondet_bool();	/* each of them 0 or 1, unlike in any bytes at all */
	d.beyond = nondet_bool();
	d.config_pending = nondet_bool();
	d.queue[n].ready = nondet_bool();
	assume(possible(&d, n));
	/* The selected queue is a queue like any other. */
	assume(d.queue_sel >= LINK_QUEUES_MAX || possible(&d, d.queue_sel));
	was = d;
	switch (CASE) {
	case 0: {
		uint64_t offset = nondet_u64();
		uint32_t len = nondet_u32();
		enum vmio_action a = vmio_write(&d, offset, len, nondet_u32());

		claim(a == VMIO_REFUSED || (len == 4 && offset % 4 == 0 && offset < VIRTIO_MMIO_CONFIG),
		      "registers are written whole");
		written(&was, &d, a, n);
		break;
	}
	case 1:
		vmio_reset_done(&d);
		claim(d.status == 0 && !d.queue[n].ready && !d.resetting && d.accepted == 0, "as at the start");
		REACHED("a reset done");
		break;
	case 2:
		(void)!vmio_needs_reset(&d);
		claim(same_queue(&was.queue[n], &d.queue[n]) && d.accepted == was.accepted, "status only");
		break;
	default: {
		struct link_activate out;

		vmio_activation(&d, &out);
		claim(n < d.nqueues || out.queue[n].ready == 0, "no queue that there is not");
		claim(out.queue[n].ready == (n < d.nqueues && d.queue[n].ready), "those that are ready");
		claim(out.queue[n].ready == 0 || out.queue[n].size == d.queue[n].size, "as they are");
		REACHED("an activation");
	}
	}
	claim(possible(&d, n), "one of the states there are");
}
