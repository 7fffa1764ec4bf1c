/* SPDX-License-Identifier: Apache-2.0 */
/* Guest RAM: where it lies, where it ends, what a write leaves in the dirty bitmap. */
#include "core/guestmem.c"

#include "tests/unit/driver.h"

#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>

#define MIB (1ull << 20)
#define GIB (1ull << 30)

static struct ram ram;

Test(guestmem, layout_leaves_the_hole_below_4_GiB)
{
	struct guestmem m;

	guestmem_layout(&m, 16 * MIB);
	cr_assert(m.nregions == 1 && m.region[0].start == 0 && m.region[0].size == 16 * MIB);
	guestmem_layout(&m, 3 * GIB);
	cr_assert(m.nregions == 1 && m.region[0].size == 3 * GIB && m.size == 3 * GIB);
	guestmem_layout(&m, 3 * GIB + GUESTMEM_PAGE);
	cr_assert(m.nregions == 2 && m.region[0].size == 3 * GIB);
	cr_assert(m.region[1].start == 4 * GIB && m.region[1].size == GUESTMEM_PAGE);
	cr_assert_eq(m.region[1].offset, 3 * GIB);
	guestmem_layout(&m, GUESTMEM_MAX);
	cr_assert_eq(m.region[0].size + m.region[1].size, GUESTMEM_MAX);
}

Test(guestmem, file_has_room_for_a_bit_a_page)
{
	cr_assert_eq(guestmem_file_size(16 * MIB), 16 * MIB + GUESTMEM_PAGE);
	cr_assert_eq(guestmem_file_size(128 * MIB), 128 * MIB + GUESTMEM_PAGE);
	cr_assert_eq(guestmem_file_size(129 * MIB), 129 * MIB + 2 * GUESTMEM_PAGE);
	/* One page more than a bitmap page has bits for. */
	cr_assert_eq(guestmem_file_size(128 * MIB + GUESTMEM_PAGE), 128 * MIB + 3 * GUESTMEM_PAGE);
	cr_assert_eq(guestmem_file_size(GUESTMEM_MAX), GUESTMEM_MAX + GUESTMEM_MAX / 32768);
}

Test(guestmem, map_refuses_what_is_no_guest_memory)
{
	int fd = memfd_create("guest", MFD_CLOEXEC);
	struct guestmem m;

	cr_assert_eq(guestmem_map(&m, fd, 16 * MIB), -EINVAL, "empty file");
	cr_assert_eq(ftruncate(fd, (off_t)guestmem_file_size(16 * MIB) - 1), 0);
	cr_assert_eq(guestmem_map(&m, fd, 16 * MIB), -EINVAL, "a byte short");
	cr_assert_eq(ftruncate(fd, (off_t)guestmem_file_size(16 * MIB)), 0);
	cr_assert_eq(guestmem_map(&m, fd, 16 * MIB - GUESTMEM_PAGE), -EINVAL);
	cr_assert_eq(guestmem_map(&m, fd, GUESTMEM_MAX + GUESTMEM_PAGE), -EINVAL);
	cr_assert_eq(guestmem_map(&m, -1, 16 * MIB), -EBADF);
	cr_assert_eq(guestmem_map(&m, fd, 16 * MIB), 0);
	cr_assert_eq(ftruncate(fd, 64 << 20), 0);
	cr_assert_eq(guestmem_map(&m, fd, 16 * MIB + 512), -EINVAL, "half a page");
	close(fd);
	cr_assert_eq(m.region[0].hva[16 * MIB - 1], 0, "stays mapped without the descriptor");
}

Test(guestmem, mapping_fails_without_leaving_anything)
{
	int fd = open("/dev/zero", O_RDONLY | O_CLOEXEC);
	struct guestmem m;

	cr_assert_lt(guestmem_map(&m, fd, 16 * MIB), 0);
}

/* Can this process read (or write) at @p?  Asked of the kernel, which does not crash. */
static bool accessible(void *p, bool write_it)
{
	int fd[2];
	bool ok;

	cr_assert_eq(pipe(fd), 0);
	ok = write_it ? write(fd[1], "x", 1) == 1 && read(fd[0], p, 1) == 1
		      : write(fd[1], p, 1) == 1;
	close(fd[0]);
	close(fd[1]);
	return ok;
}

Test(guestmem, a_32_bit_slip_past_RAM_faults)
{
	static const uint64_t slips[] = { 0, 1, 4095, 4096, 1 << 20, 1ull << 31, UINT32_MAX };
	struct guestmem *m = &ram.mem;

	ram_init(&ram, 3 * GIB + 16 * MIB);
	for (uint32_t r = 0; r < 2; r++) {
		uint8_t *start = m->region[r].hva, *end = start + m->region[r].size;

		cr_assert(accessible(start, true) && accessible(end - 1, true));
		for (size_t i = 0; i < array_len(slips); i++) {
			cr_assert_not(accessible(end + slips[i], false));
			cr_assert_not(accessible(start - 1 - slips[i], false));
		}
	}
	cr_assert_not(accessible((uint8_t *)m->dirty - 1, false));
	cr_assert_not(accessible((uint8_t *)m->dirty + bitmap_bytes(m->size), false));
}

Test(guestmem, RAM_is_not_dumped)
{
	char line[256], flags[256] = "";
	FILE *f = fopen("/proc/self/smaps", "re");
	bool here = false;
	int found = 0;

	ram_init(&ram, 16 * MIB);
	while (fgets(line, sizeof(line), f) != NULL) {
		unsigned long from, to;

		if (sscanf(line, "%lx-%lx ", &from, &to) == 2)
			here = from == (unsigned long)ram.mem.region[0].hva;
		if (here && strncmp(line, "VmFlags:", 8) == 0)
			found += snprintf(flags, sizeof(flags), "%s", line) > 0;
	}
	fclose(f);
	cr_assert_eq(found, 1);
	cr_assert_not_null(strstr(flags, " dd"), "%s", flags);
}

Test(guestmem, addresses_are_RAM_or_not)
{
	const struct guestmem *m = &ram.mem;

	ram_init(&ram, 3 * GIB + 16 * MIB);
	cr_assert(guestmem_is_ram(m, gpa(0), 3 * GIB));
	cr_assert_not(guestmem_is_ram(m, gpa(0), 3 * GIB + 1));
	cr_assert_not(guestmem_is_ram(m, gpa(3 * GIB), 1));
	cr_assert_not(guestmem_is_ram(m, gpa(4 * GIB - 1), 1));
	cr_assert_not(guestmem_is_ram(m, gpa(4 * GIB - 1), 2));
	cr_assert(guestmem_is_ram(m, gpa(4 * GIB), 16 * MIB));
	cr_assert_not(guestmem_is_ram(m, gpa(4 * GIB), 16 * MIB + 1));
	cr_assert_not(guestmem_is_ram(m, gpa(1), UINT64_MAX));
	cr_assert_not(guestmem_is_ram(m, gpa(UINT64_MAX), 2));
	cr_assert_not(guestmem_is_ram(m, gpa(UINT64_MAX), UINT64_MAX));
}

Test(guestmem, an_empty_range_needs_a_place_too)
{
	const struct guestmem *m = &ram.mem;

	ram_init(&ram, 3 * GIB + 16 * MIB);
	cr_assert(guestmem_is_ram(m, gpa(0), 0) && guestmem_is_ram(m, gpa(3 * GIB), 0));
	cr_assert(guestmem_is_ram(m, gpa(4 * GIB), 0));
	cr_assert(guestmem_is_ram(m, gpa(4 * GIB + 16 * MIB), 0));
	cr_assert_not(guestmem_is_ram(m, gpa(3 * GIB + 1), 0));
	cr_assert_not(guestmem_is_ram(m, gpa(UINT64_MAX), 0));
}

Test(guestmem, copies_arrive_and_are_refused_whole)
{
	const struct guestmem *m = &ram.mem;
	uint8_t in[64], out[64];

	ram_init(&ram, 16 * MIB);
	for (uint8_t i = 0; i < 64; i++)
		in[i] = (uint8_t)(i + 1);
	for (size_t len = 0; len <= 64; len++) {
		memset(out, 0, sizeof(out));
		cr_assert(guestmem_write(m, gpa(0x1000 + 3 * len), in, len));
		cr_assert(guestmem_read(m, gpa(0x1000 + 3 * len), out, len));
		cr_assert_eq(memcmp(in, out, len), 0);
	}
	cr_assert(guestmem_write(m, gpa(16 * MIB - 64), in, 64));
	cr_assert_not(guestmem_write(m, gpa(16 * MIB - 32), in, 64));
	cr_assert(guestmem_read(m, gpa(16 * MIB - 64), out, 64));
	cr_assert_eq(memcmp(in, out, 64), 0, "a refused write wrote");
	cr_assert_not(guestmem_read(m, gpa(16 * MIB - 63), out, 64));
	cr_assert_not(guestmem_read(m, gpa(UINT64_MAX), out, 2));
}

Test(guestmem, words_are_aligned_and_inside)
{
	const struct guestmem *m = &ram.mem;
	uint16_t x;

	ram_init(&ram, 16 * MIB);
	cr_assert(guestmem_store16(m, gpa(0x2000), 0xabcd));
	cr_assert(guestmem_load16(m, gpa(0x2000), &x) && x == 0xabcd);
	cr_assert_not(guestmem_load16(m, gpa(0x2001), &x));
	cr_assert_not(guestmem_store16(m, gpa(0x2001), 1));
	cr_assert(guestmem_load16(m, gpa(16 * MIB - 2), &x));
	cr_assert_not(guestmem_load16(m, gpa(16 * MIB), &x));
	cr_assert_not(guestmem_store16(m, gpa(UINT64_MAX - 1), 1));
}

/* Marks [@off, @off + @len) and compares the whole bitmap with what it must be. */
static void marks(uint64_t off, uint32_t len)
{
	struct iovec v;

	ram_clean(&ram);
	cr_assert_eq(guestmem_spans(&ram.mem, gpa(off), len, GUESTMEM_WRITE, &v, 1), 1);
	for (uint64_t p = 0; p < ram.mem.size / GUESTMEM_PAGE; p++) {
		bool want = p >= off / GUESTMEM_PAGE && p <= (off + len - 1) / GUESTMEM_PAGE;

		cr_assert_eq(ram_dirty(&ram, p * GUESTMEM_PAGE), want,
			     "page %lu of [%lx, +%x)", p, off, len);
	}
}

Test(guestmem, every_written_page_is_marked_and_no_other)
{
	static const uint64_t pages[] = { 1, 2, 63, 64, 65, 127, 128, 129, 200 };
	static const uint64_t firsts[] = { 0, 1, 2, 30, 62, 63, 64, 65, 126, 127, 128 };

	ram_init(&ram, 16 * MIB);
	for (size_t f = 0; f < array_len(firsts); f++)
		for (size_t i = 0; i < array_len(pages); i++)
			marks(firsts[f] * 4096, (uint32_t)pages[i] * 4096);
	marks(4095, 1);
	marks(4095, 2);
	marks(0, 16 << 20);
	marks((16 << 20) - 1, 1);
}

Test(guestmem, writes_mark_and_reads_do_not)
{
	const struct guestmem *m = &ram.mem;
	struct iovec v;
	uint64_t x = 0;

	ram_init(&ram, 3 * GIB + 16 * MIB);
	cr_assert(guestmem_read(m, gpa(0), &x, 8));
	cr_assert_eq(guestmem_spans(m, gpa(0), 4096, GUESTMEM_READ, &v, 1), 1);
	cr_assert_not(ram_dirty(&ram, 0));
	cr_assert(guestmem_write(m, gpa(4 * GIB + 5 * MIB), &x, 8));
	cr_assert(ram_dirty(&ram, 4 * GIB + 5 * MIB));
	/* Bits go by place in the file. */
	cr_assert_eq(m->dirty[(3 * GIB + 5 * MIB) / 4096 / 64], 1);
	cr_assert(guestmem_store16(m, gpa(8192), 1));
	cr_assert(ram_dirty(&ram, 8192));
}

Test(guestmem, spans_stop_at_max_and_at_the_end_of_RAM)
{
	const struct guestmem *m = &ram.mem;
	struct iovec v[2];

	ram_init(&ram, 16 * MIB);
	cr_assert_eq(guestmem_spans(m, gpa(0), 100, GUESTMEM_READ, v, 0), -1);
	cr_assert_eq(guestmem_spans(m, gpa(16 * MIB - 1), 2, GUESTMEM_READ, v, 2), -1);
	cr_assert_eq(guestmem_spans(m, gpa(16), UINT32_MAX, GUESTMEM_READ, v, 2), -1);
	cr_assert_eq(guestmem_spans(m, gpa(5), 100, GUESTMEM_READ, v, 2), 1);
	cr_assert(v[0].iov_base == m->region[0].hva + 5 && v[0].iov_len == 100);
}

Test(guestmem, ranges_over_two_regions_become_two_pieces)
{
	struct guestmem *m = &ram.mem;
	struct iovec v[2];
	uint8_t in[16] = "0123456789abcde", out[16];

	/* Never so in a VM; in clones every block will be a region. */
	ram_init(&ram, 64 * MIB);
	m->nregions = 2;
	m->region[0].size = 8 * MIB;
	m->region[1] = (struct guestmem_region){ 8 * MIB, 8 * MIB, 32 * MIB,
						 m->region[0].hva + 32 * MIB };
	cr_assert(guestmem_is_ram(m, gpa(0), 16 * MIB));
	cr_assert_not(guestmem_is_ram(m, gpa(0), 16 * MIB + 1));
	cr_assert(guestmem_write(m, gpa(8 * MIB - 7), in, 16));
	cr_assert(guestmem_read(m, gpa(8 * MIB - 7), out, 16));
	cr_assert_eq(memcmp(in, out, 16), 0);
	cr_assert_eq(memcmp(m->region[1].hva, in + 7, 9), 0);
	cr_assert_eq(guestmem_spans(m, gpa(8 * MIB - 7), 16, GUESTMEM_WRITE, v, 2), 2);
	cr_assert(v[0].iov_len == 7 && v[1].iov_len == 9 && v[1].iov_base == m->region[1].hva);
	cr_assert_eq(guestmem_spans(m, gpa(8 * MIB - 7), 16, GUESTMEM_WRITE, v, 1), -1);
	cr_assert_not(guestmem_write(m, gpa(16 * MIB - 7), in, 16));
}

enum { ROUNDS = 3000 };
static int round_now;

/* Marks every other page of the bitmap's first word, in each round, at the same time. */
static void mark_half(int first)
{
	for (uint64_t p = (uint64_t)first; p < 64; p += 2)
		cr_assert(guestmem_store16(&ram.mem, gpa(p * 4096), 1));
}

static void await(int round)
{
	while (__atomic_load_n(&round_now, __ATOMIC_ACQUIRE) != round)
		sched_yield();
}

static void *mark_odd(void *arg)
{
	for (int i = 0; i < ROUNDS; i++) {
		await(2 * i + 1);
		mark_half(1);
		__atomic_fetch_add(&round_now, 1, __ATOMIC_RELEASE);
	}
	return arg;
}

Test(guestmem, two_processes_marking_lose_no_bit, .timeout = 60)
{
	pthread_t other;

	ram_init(&ram, 16 * MIB);
	cr_assert_eq(pthread_create(&other, NULL, mark_odd, NULL), 0);
	for (int i = 0; i < ROUNDS; i++) {
		ram_clean(&ram);
		__atomic_fetch_add(&round_now, 1, __ATOMIC_RELEASE);
		mark_half(0);
		await(2 * i + 2);
		cr_assert_eq(ram.mem.dirty[0], UINT64_MAX, "round %d", i);
	}
	pthread_join(other, NULL);
}
