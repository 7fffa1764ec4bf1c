/* SPDX-License-Identifier: Apache-2.0 */
/* proof.h: the words of the harnesses.
 *
 * A harness makes any state that its assumptions allow, calls what is proven, and asserts.  CBMC checks
 * the assertions, and every access and every sum on the way, for all of them. */
#ifndef IMMURE_TESTS_PROOFS_PROOF_H
#define IMMURE_TESTS_PROOFS_PROOF_H

#include <stdbool.h>
#include <stdint.h>

#define assume(x) __CPROVER_assume(x)
#define claim(x, why) __CPROVER_assert(x, why)

/* The place can be reached, or what is claimed there is claimed of nothing. */
#ifdef COVER
#define REACHED(what) __CPROVER_assert(0, "reached " what)
#else
#define REACHED(what) (void)0
#endif

/* Any value at all. */
bool nondet_bool(void);
uint8_t nondet_u8(void);
uint16_t nondet_u16(void);
uint32_t nondet_u32(void);
uint64_t nondet_u64(void);
int nondet_int(void);

#endif
