/* SPDX-License-Identifier: Apache-2.0 */
/* What a chain becomes: spans, copies, dirty pages, and a guest that rewrites it meanwhile. */
#include "tests/unit/virtqueue.h"

#include <pthread.h>

Test(virtqueue, buffers_become_several_spans)
{
	setup(8, plain);
	block = 4096;
	driver_add(&drv, (struct buf[]){ out(DATA + 4000, 200), in(DATA + 8000, 4288) }, 2);
	cr_assert_eq(vq_pop(&vq, &chain), 1);
	cr_assert(chain.nread == 2 && chain.nwrite == 2);
	cr_assert(chain.read_len == 200 && chain.write_len == 4288);
	cr_assert_eq(chain.iov[0].iov_len, 96);
	cr_assert_eq(chain.iov[1].iov_len, 104);
	cr_assert_eq(chain.iov[1].iov_base, ram_at(&ram, DATA + 4096));
	cr_assert_eq(chain.iov[2].iov_len, 192);
	cr_assert_eq(chain.iov[3].iov_len, 4096);
}

Test(virtqueue, a_buffer_across_two_regions_of_RAM)
{
	struct guestmem *m = &ram.mem;

	/* Regions never touch in a VM; here the second lies elsewhere in the file. */
	ram_init(&ram, 64 << 20);
	m->nregions = 2;
	m->region[1] = (struct guestmem_region){
		.start = 8 << 20, .size = 8 << 20, .offset = 32 << 20,
		.hva = m->region[0].hva + (32 << 20),
	};
	m->region[0].size = 8 << 20;
	setup(8, plain);
	driver_add(&drv, (struct buf[]){ in((8 << 20) - 16, 48) }, 1);
	cr_assert_eq(vq_pop(&vq, &chain), 1);
	cr_assert_eq(chain.nwrite, 2);
	cr_assert_eq(chain.iov[0].iov_len, 16);
	cr_assert_eq(chain.iov[1].iov_base, m->region[1].hva);
	cr_assert(ram_dirty(&ram, (8 << 20) - 1) && ram_dirty(&ram, 8 << 20));
	cr_assert(vq_chain_write(&chain, 12, "abcdefgh", 8));
	cr_assert_eq(memcmp(m->region[0].hva + (8 << 20) - 4, "abcd", 4), 0);
	cr_assert_eq(memcmp(m->region[1].hva, "efgh", 4), 0);
}

Test(virtqueue, copies_at_every_offset_and_length)
{
	uint8_t want[24], got[25];

	setup(8, plain);
	driver_add(&drv, (struct buf[]){ out(DATA, 7), out(DATA + 100, 1), out(DATA + 200, 16),
					 in(DATA + 300, 3), in(DATA + 400, 21) }, 5);
	for (uint8_t i = 0; i < 24; i++) {
		want[i] = (uint8_t)(i + 1);
		*(uint8_t *)ram_at(&ram, i < 7 ? DATA + (uint32_t)i : i < 8 ? DATA + 100u
							       : DATA + 192u + i) = want[i];
	}
	cr_assert_eq(vq_pop(&vq, &chain), 1);
	for (uint32_t off = 0; off <= 25; off++)
		for (uint32_t len = 0; len <= 25; len++) {
			bool fits = off + len <= 24;

			cr_assert_eq(vq_chain_read(&chain, off, got, len), fits);
			if (fits)
				cr_assert_eq(memcmp(got, want + off, len), 0);
			cr_assert_eq(vq_chain_write(&chain, off, want, len), fits);
		}
	cr_assert_not(vq_chain_read(&chain, 0xffffffff, got, 2));
	cr_assert_not(vq_chain_write(&chain, 2, got, 0xffffffff));
	cr_assert(vq_chain_write(&chain, 0, want, 24));
	cr_assert_eq(memcmp(ram_at(&ram, DATA + 300), want, 3), 0);
	cr_assert_eq(memcmp(ram_at(&ram, DATA + 400), want + 3, 21), 0);
}

Test(virtqueue, slices_at_every_offset_and_length)
{
	struct iovec v[3];

	setup(8, plain);
	driver_add(&drv, (struct buf[]){ out(DATA, 3), out(DATA + 100, 4), out(DATA + 200, 5),
					 in(DATA + 300, 6) }, 4);
	cr_assert_eq(vq_pop(&vq, &chain), 1);
	for (uint32_t off = 0; off <= 13; off++)
		for (uint32_t len = 0; len <= 13; len++) {
			int n = vq_chain_readable(&chain, off, len, v, 3);
			uint64_t sum = 0;

			cr_assert_eq(n >= 0, len == 0 || off + len <= 12);
			for (int i = 0; i < n; i++)
				sum += v[i].iov_len;
			cr_assert(n < 0 || sum == len);
		}
	cr_assert_eq(vq_chain_readable(&chain, 2, 6, v, 2), -1, "needs three");
	cr_assert_eq(vq_chain_readable(&chain, 2, 6, v, 3), 3);
	cr_assert_eq(v[0].iov_base, ram_at(&ram, DATA + 2));
	cr_assert_eq(vq_chain_writable(&chain, 1, 5, v, 1), 1);
	cr_assert_eq(v[0].iov_base, ram_at(&ram, DATA + 301));
	cr_assert_eq(vq_chain_writable(&chain, 1, 6, v, 3), -1);
}

/* The same for spans that were taken out of their chains. */
Test(virtqueue, parts_of_loose_spans)
{
	uint8_t mem[60] = { 0 };
	struct iovec v[3] = { { mem, 10 }, { mem + 20, 1 }, { mem + 30, 20 } }, out[3];
	uint8_t flat[31];

	for (uint32_t off = 0; off <= 31; off++)
		for (uint32_t len = 0; len + off <= 31; len++) {
			size_t sum = 0;
			int n = vq_spans_part(v, 3, off, len, out, 3);

			cr_assert_geq(n, 0);
			for (int i = 0; i < n; i++)
				sum += out[i].iov_len;
			cr_assert_eq(sum, len);
			memset(mem, 0, sizeof(mem));
			memset(flat, 0xff, sizeof(flat));
			cr_assert(vq_spans_write(v, 3, off, flat, len));
			for (uint32_t i = 0; i < 31; i++)
				cr_assert_eq(mem[i < 10 ? i : i < 11 ? 20 : 19 + i],
					     i >= off && i < off + len ? 0xff : 0);
		}
	cr_assert_eq(vq_spans_part(v, 3, 5, 27, out, 3), -1, "longer than they are");
	cr_assert_eq(vq_spans_part(v, 3, 0, 31, out, 2), -1, "more pieces than there is room for");
	cr_assert_not(vq_spans_write(v, 3, 31, flat, 1));
	cr_assert_not(vq_spans_write(v, 3, 1u << 31, flat, 1));
}

Test(virtqueue, writes_are_marked_dirty_and_reads_are_not)
{
	setup(8, plain);
	driver_add(&drv, (struct buf[]){ out(DATA, 4096), in(DATA + 0x10000, 4096) }, 2);
	ram_clean(&ram);
	cr_assert_eq(vq_pop(&vq, &chain), 1);
	cr_assert_not(ram_dirty(&ram, DATA));
	cr_assert(ram_dirty(&ram, DATA + 0x10000));
	cr_assert_not(ram_dirty(&ram, drv.used));
	cr_assert(vq_push(&vq, &chain, 1));
	cr_assert(ram_dirty(&ram, drv.used));
}

Test(virtqueue, aliasing_buffers_and_rings_break_nothing_of_ours)
{
	setup(8, plain);
	for (int i = 0; i < 64; i++) {
		driver_init(&drv, &ram, QUEUE, 8, plain);
		vq.last_avail = vq.next_used = 0;
		driver_add(&drv, (struct buf[]){ out(drv.desc, 128), in(drv.desc, 128),
						 in(drv.avail, 22), in(drv.used, 70) }, 4);
		cr_assert_eq(vq_pop(&vq, &chain), 1);
		cr_assert(vq_chain_write(&chain, (uint32_t)i, "\xff\xff\xff\xff\xff\xff", 6));
		cr_assert(vq_push(&vq, &chain, 200));
	}
	cr_assert_eq(vq.inflight_count, 0);
}

static bool stop;

static void *scribble(void *arg)
{
	uint32_t x = 12345;

	while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
		x = x * 1664525 + 1013904223;
		switch (x >> 29) {
		case 0:
			driver_desc(&drv, x & 7, DATA, (x >> 8 & 1) ? 0xffffffff : 64,
				    DRV_NEXT | (x >> 9 & 2), x >> 12 & 15);
			break;
		case 1:
			driver_desc(&drv, x & 7, (x >> 8 & 1) ? UINT64_MAX - 5 : DATA, 64,
				    x >> 12 & 3, x >> 16 & 7);
			break;
		case 2:
			driver_desc(&drv, x & 7, TABLE, 128, DRV_INDIRECT, 0);
			break;
		default:
			memset(ram_at(&ram, TABLE + 16 * (x & 7)), (int)(x >> 16 & 1), 16);
		}
	}
	return arg;
}

Test(virtqueue, a_racing_guest_gets_whole_chains_or_a_broken_queue, .timeout = 60)
{
	struct vq_config c;
	pthread_t racer;
	uint64_t popped = 0, refused = 0;

	setup(8, indirect);
	c = driver_config(&drv);
	cr_assert_eq(pthread_create(&racer, NULL, scribble, NULL), 0);
	/* On a busy machine the racer may be started long after this thread is through; the time limit ends
	 * what never becomes both. */
	for (unsigned i = 0; i < 300000 || popped == 0 || refused == 0; i++) {
		uint64_t sum = 0;

		driver_offer(&drv, (uint16_t)(i & 7));
		if (vq_pop(&vq, &chain) != 1) {
			refused++;
			cr_assert_neq(vq.err, VQ_OK);
			drv.avail_idx = 0;
			cr_assert_eq(vq_setup(&vq, &ram.mem, &c, indirect), VQ_OK);
			continue;
		}
		popped++;
		cr_assert_leq(chain.nread + chain.nwrite, 8);
		for (int k = 0; k < chain.nread + chain.nwrite; k++) {
			uint64_t at = (uint64_t)((uint8_t *)chain.iov[k].iov_base -
						 ram.mem.region[0].hva);

			sum += chain.iov[k].iov_len;
			cr_assert(range_fits(at, chain.iov[k].iov_len, ram.mem.size));
		}
		cr_assert_eq(sum, chain.read_len + chain.write_len);
		cr_assert(vq_push(&vq, &chain, 1));
	}
	__atomic_store_n(&stop, true, __ATOMIC_RELAXED);
	pthread_join(racer, NULL);
	cr_assert(popped > 0 && refused > 0, "%lu popped, %lu refused", popped, refused);
}
