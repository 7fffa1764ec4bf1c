/* SPDX-License-Identifier: Apache-2.0 */
/* base.h: the few words every other file is written in.
 *
 * Checked arithmetic, little-endian wire integers, and compiler attributes.  Nothing here
 * has state, allocates, or can fail other than by its return value. */
#ifndef IMMURE_CORE_BASE_H
#define IMMURE_CORE_BASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define must_check __attribute__((warn_unused_result))
#define printf_like(fmt, args) __attribute__((format(printf, fmt, args)))
#define array_len(a) (sizeof(a) / sizeof((a)[0]))

/* Wire integers (virtio 1.3 §1.4: little-endian).  A struct of their own, so that le16() and
 * friends are the only door to native arithmetic. */
typedef struct { uint16_t v; } le16_t;
typedef struct { uint32_t v; } le32_t;
typedef struct { uint64_t v; } le64_t;

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__,
	       "hosts are little-endian; a big-endian port swaps here");

static inline uint16_t le16(le16_t x) { return x.v; }
static inline uint32_t le32(le32_t x) { return x.v; }
static inline uint64_t le64(le64_t x) { return x.v; }
static inline le16_t to_le16(uint16_t x) { return (le16_t){ x }; }
static inline le32_t to_le32(uint32_t x) { return (le32_t){ x }; }
static inline le64_t to_le64(uint64_t x) { return (le64_t){ x }; }

/* True when [@off, @off + @len) lies inside [0, @size); cannot wrap. */
static inline bool range_fits(uint64_t off, uint64_t len, uint64_t size)
{
	return off <= size && len <= size - off;
}

/* *@out = @a + @b; false (and *@out unspecified) when the sum does not fit in 64 bits. */
static inline must_check bool add_u64(uint64_t a, uint64_t b, uint64_t *out)
{
	return !__builtin_add_overflow(a, b, out);
}

/* *@out = @a * @b; false (and *@out unspecified) when the product does not fit in 64 bits. */
static inline must_check bool mul_u64(uint64_t a, uint64_t b, uint64_t *out)
{
	return !__builtin_mul_overflow(a, b, out);
}

static inline bool is_power_of_2(uint64_t x) { return x != 0 && (x & (x - 1)) == 0; }

/* @x rounded up to a multiple of @unit, a power of two.  The caller knows that the result
 * fits: used on sizes that were bounded before, never on a raw guest value. */
static inline uint64_t round_up(uint64_t x, uint64_t unit)
{
	return (x + unit - 1) & ~(unit - 1);
}

static inline uint64_t min_u64(uint64_t a, uint64_t b) { return a < b ? a : b; }

#endif
