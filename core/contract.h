/* SPDX-License-Identifier: Apache-2.0 */
/* contract.h: what holds on each turn of a loop that a guest can steer, said at the loop.
 *
 * For the proofs of tests/proofs/, which show it for any number of turns; a compiler sees nothing.  They
 * stand between the head of a loop and its body:
 *
 *	loop_assigns(...)	all that a turn may change
 *	loop_invariant(x)	true before each turn, and after the last
 *	loop_decreases(n)	less after each turn, and never below 0: so it ends
 *
 * A harness may have variables of its own that a turn changes (loop_ghosts) and say what they stand for
 * (loop_ghost_invariant). */
#ifndef IMMURE_CORE_CONTRACT_H
#define IMMURE_CORE_CONTRACT_H

#ifdef PROOF
#define loop_assigns(...) __CPROVER_assigns(__VA_ARGS__)
#define loop_invariant(x) __CPROVER_loop_invariant(x)
#define loop_decreases(n) __CPROVER_decreases(n)
#define whole_object(p) __CPROVER_object_whole(p)
#ifndef loop_ghosts
#define loop_ghosts
#define loop_ghost_invariant true
#endif
#else
#define loop_assigns(...)
#define loop_invariant(x)
#define loop_decreases(n)
#endif

#endif
