/* SPDX-License-Identifier: Apache-2.0 */
/* relay.c: hostile bytes in, clean lines out, so many a second.
 *
 * Control characters and bytes beyond ASCII become '?': the line may end up in a terminal. */
#include "jailer/relay.h"
#include "core/log.h"
#include "jailer/message.h"

#include <errno.h>
#include <unistd.h>

enum { SECOND_MS = 1000, CHUNK = 2048 };

void relay_init(struct relay *r, int fd, const char *process, uint64_t now_ms)
{
	*r = (struct relay){ .fd = fd, .process = process, .window = now_ms };
}

uint64_t relay_wait(const struct relay *r, uint64_t now_ms)
{
	bool spent = r->lines >= RELAY_LINES || r->bytes >= RELAY_BYTES;
	uint64_t end = r->window + SECOND_MS;

	return spent && now_ms < end ? end - now_ms : 0;
}

static void pass_on(struct relay *r, int client)
{
	char note[48];
	size_t n;

	r->lines++;
	if (r->dropped > 0) {
		n = log_format(note, sizeof(note), "%lu lines dropped", r->dropped);
		if (message_log(client, r->process, note, n))
			r->dropped = 0;
	}
	if (r->dropped > 0 || !message_log(client, r->process, r->line, r->len))
		r->dropped++;
	r->len = 0;
}

void relay_flush(struct relay *r, int client)
{
	if (r->len > 0)
		pass_on(r, client);
}

static void take(struct relay *r, int client, char c)
{
	if (c == '\n') {
		relay_flush(r, client);
		return;
	}
	r->line[r->len++] = c < ' ' || c > '~' ? '?' : c;
	if (r->len == sizeof(r->line))
		pass_on(r, client);
}

void relay_read(struct relay *r, int client, uint64_t now_ms)
{
	char buf[CHUNK];
	ssize_t n;

	if (now_ms >= r->window + SECOND_MS) {
		r->window = now_ms;
		r->lines = r->bytes = 0;
	}
	n = read(r->fd, buf, sizeof(buf));
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		relay_flush(r, client);
		close(r->fd);
		r->fd = -1;
		return;
	}
	r->bytes += (uint32_t)n;
	for (ssize_t i = 0; i < n; i++)
		take(r, client, buf[i]);
}
