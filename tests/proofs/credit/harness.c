/* SPDX-License-Identifier: Apache-2.0 */
/* Credit of a vsock connection (virtio 1.3 §5.10.6.3), in any state, whatever the guest says.
 *
 * Assumed: the bytes held are no more than the window (what credit_init() makes, and what is claimed of
 * every step after it); the callers pass on no more than is held, and send no more than is available.
 *
 * Proven, for one step of any kind from any such state, so for any number of them:
 *   - what is held stays within the window, and is refused exactly when it would not;
 *   - what goes to the guest is never more than it promised, as it said last;
 *   - no news of credit takes anything back, and a guest that believes to have none left hears of it. */
#include "devices/vsock/conn.c"

#include "tests/proofs/proof.h"

struct credit nondet_credit(void);

static uint32_t held(const struct credit *c)
{
	return c->rx_cnt - c->fwd_cnt;
}

static void receive(struct credit *c)
{
	const struct credit was = *c;
	uint32_t n = nondet_u32();
	bool ok = credit_received(c, n);

	claim(ok == ((uint64_t)held(&was) + n <= c->window), "refused when there is no room, and only then");
	claim(ok || (c->rx_cnt == was.rx_cnt && c->fwd_cnt == was.fwd_cnt), "what is refused is not counted");
	claim(!ok || held(c) == held(&was) + n, "what is taken is counted");
	REACHED("the end of receive()");
}

static void pass_on(struct credit *c)
{
	uint32_t n = nondet_u32(), before = held(c);

	assume(n <= before);
	credit_passed_on(c, n);
	claim(held(c) == before - n, "what left is not held");
	REACHED("the end of pass_on()");
}

static void send(struct credit *c)
{
	uint32_t n = nondet_u32();

	assume(n <= credit_available(c));
	credit_sent(c, n);
	claim(n == 0 || c->tx_cnt - c->peer_fwd_cnt <= c->peer_buf_alloc, "no more under way than was promised");
	REACHED("the end of send()");
}

static void hear(struct credit *c)
{
	const struct credit was = *c;
	uint32_t alloc = nondet_u32(), fwd = nondet_u32(), room;

	credit_heard(c, alloc, fwd);
	room = credit_available(c);
	claim(room <= alloc, "never more than the guest's buffer");
	claim(room == 0 || (uint64_t)room + (c->tx_cnt - fwd) == alloc, "all of it, but for what is under way");
	claim(held(c) == held(&was) && c->window == was.window, "what we promised does not depend on it");
	REACHED("the end of hear()");
}

static void tell(const struct credit *c)
{
	/* What the guest believes to be held, as it was told fwd_cnt last. */
	uint32_t believes = c->rx_cnt - c->told;

	assume(c->window > 0 && c->told == c->fwd_cnt - (believes - held(c)));
	assume(believes >= held(c) && believes <= c->window);
	claim(believes < c->window || held(c) > c->window - c->window / 4 || credit_should_tell(c),
	      "who has nothing left hears when a quarter is free");
	REACHED("the end of tell()");
}

void harness(void)
{
	struct credit c = nondet_credit();

	if (nondet_bool()) {
		credit_init(&c, nondet_u32());
		claim(held(&c) == 0, "nothing is held at first");
	}
	assume(held(&c) <= c.window);
	switch (CASE) {
	case 0: receive(&c); break;
	case 1: pass_on(&c); break;
	case 2: send(&c); break;
	case 3: hear(&c); break;
	case 4: tell(&c); break;
	default: break;
	}
	claim(held(&c) <= c.window, "what is held stays within the window");
}
