/* SPDX-License-Identifier: Apache-2.0 */
/* run_stop.c: two presses and a silence. */
#include "cli/run_stop.h"

void stop_press(struct stop *s, int64_t now_ms, uint64_t life)
{
	if (s->pressed_ms && now_ms - s->pressed_ms <= STOP_WINDOW_MS && !s->doubted_ms) {
		s->doubted_ms = now_ms;
		s->life = life;
	}
	s->pressed_ms = now_ms;
}

bool stop_decide(struct stop *s, int64_t now_ms, uint64_t life)
{
	if (!s->doubted_ms)
		return false;
	if (life != s->life) {
		s->doubted_ms = 0;
		return false;
	}
	return now_ms - s->doubted_ms >= STOP_WINDOW_MS;
}

int stop_wait(const struct stop *s, int64_t now_ms)
{
	if (!s->doubted_ms)
		return -1;
	return now_ms - s->doubted_ms >= STOP_WINDOW_MS ?
		       0 : (int)(s->doubted_ms + STOP_WINDOW_MS - now_ms);
}
