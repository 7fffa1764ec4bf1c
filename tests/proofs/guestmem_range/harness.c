/* SPDX-License-Identifier: Apache-2.0 */
/* From a guest-physical range to host memory: guestmem_is_ram(), _spans(), _read(), _write(), _load16() and
 * _store16(), for any size of RAM, any address and any length.
 *
 * Assumed: a machine's memory as guestmem_layout() divides it, each region in an object of its own that is
 * exactly as large (guestmem_map() puts 4 GiB without access around it).
 *
 * Proven:
 *   - no pointer is made that leaves its region, and none of what is said to lie in RAM does;
 *   - a range is accepted exactly when each byte of it is RAM, without sums that wrap;
 *   - spans cover the range, in order and without a gap, and are as many as there is room for;
 *   - bits of the dirty bitmap are set inside it only.
 * Copies of more than 16 bytes are not looked at here: memcpy() is one call whose two ends are checked. */
#include "core/contract.h"

#include "tests/proofs/proof.h"

#include <stddef.h>

static bool moved;

/* What is copied changes while it is: any bytes.  Both ends have to be there. */
static void *proof_memcpy(void *to, const void *from, size_t n)
{
	claim(n == 0 || __CPROVER_r_ok(from, n), "what is copied is there");
	claim(n == 0 || __CPROVER_w_ok(to, n), "where it goes is, too");
	moved = true;
	return to;
}
#define memcpy proof_memcpy

#include "core/guestmem.c"

static struct guestmem mem;

static void any_memory(void)
{
	uint64_t ram = nondet_u64();

	assume(ram >= GUESTMEM_MIN && ram <= GUESTMEM_MAX && ram % GUESTMEM_PAGE == 0);
	guestmem_layout(&mem, ram);
	for (uint32_t i = 0; i < mem.nregions; i++) {
		mem.region[i].hva = __CPROVER_allocate(mem.region[i].size, 0);
		assume(mem.region[i].hva != NULL);
	}
	mem.dirty = __CPROVER_allocate(bitmap_bytes(ram), 0);
	assume(mem.dirty != NULL);
}

/* The layout in words of its own. */
static bool is_ram(uint64_t a)
{
	uint64_t low = mem.size < GUESTMEM_HOLE_START ? mem.size : GUESTMEM_HOLE_START;

	return a < low || (a >= GUESTMEM_HOLE_END && a - GUESTMEM_HOLE_END < mem.size - low);
}

/* No hole lies in a range of RAM but the one: whole ranges by their ends. */
static bool all_ram(uint64_t a, uint64_t len)
{
	return len <= UINT64_MAX - a && is_ram(a) && is_ram(a + len - 1) &&
	       (a >= GUESTMEM_HOLE_END || a + len <= GUESTMEM_HOLE_START);
}

static void asks(void)
{
	uint64_t a = nondet_u64(), len = nondet_u64();
	bool yes = guestmem_is_ram(&mem, gpa(a), len);

	if (len > 0) {
		claim(yes == all_ram(a, len), "RAM exactly when every byte is");
		if (yes)
			REACHED("a range of RAM");
		else
			REACHED("a range that is not");
	}
}

static void describes(void)
{
	struct iovec iov[3];
	uint64_t a = nondet_u64();
	uint32_t len = nondet_u32();
	int max = nondet_int(), n;

	assume(len > 0 && max >= 0 && max <= 3);
	n = guestmem_spans(&mem, gpa(a), len, nondet_bool() ? GUESTMEM_WRITE : GUESTMEM_READ, iov, max);
	claim(n == -1 || (n >= 1 && n <= max), "as many as there is room for");
	claim((n > 0) == (all_ram(a, len) && max > 0), "described exactly when it is RAM");
	if (n == 1) {
		claim(iov[0].iov_len == len, "all of it");
		claim(__CPROVER_w_ok(iov[0].iov_base, len), "in its region");
		claim(iov[0].iov_base == (a < GUESTMEM_HOLE_START ? mem.region[0].hva + a
					  : mem.region[1].hva + (a - GUESTMEM_HOLE_END)), "where it lies");
		REACHED("one span");
	}
	claim(n <= 1, "no range of RAM crosses the hole");
}

static void copies(void)
{
	uint8_t buf[16];
	uint64_t a = nondet_u64();
	size_t len = nondet_u8();
	bool ok, write = nondet_bool();

	assume(len <= sizeof(buf));
	moved = false;
	ok = write ? guestmem_write(&mem, gpa(a), buf, len) : guestmem_read(&mem, gpa(a), buf, len);
	claim(ok || !write || !moved, "nothing is written of what is not RAM as a whole");
	claim(len == 0 || ok == all_ram(a, len), "copied exactly when it is RAM");
	if (ok && len > 0)
		REACHED("a copy");
}

static void words(void)
{
	uint64_t a = nondet_u64();
	uint16_t w;
	bool ok = nondet_bool() ? guestmem_load16(&mem, gpa(a), &w) : guestmem_store16(&mem, gpa(a), w);

	claim(ok == (a % 2 == 0 && is_ram(a)), "an aligned word of RAM");
	if (ok)
		REACHED("a word");
}

void harness(void)
{
	any_memory();
	switch (CASE) {
	case 0: asks(); break;
	case 1: describes(); break;
	case 2: copies(); break;
	default: words(); break;
	}
}
