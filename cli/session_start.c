/* SPDX-License-Identifier: Apache-2.0 */
/* session_start.c: argv, environment, directory and user become one frame. */
#include "cli/session_start.h"

#include <stdlib.h>
#include <string.h>

static size_t strings_size(const char *const *list, unsigned count)
{
	size_t size = 0;

	for (unsigned i = 0; i < count; i++)
		size += strlen(list[i]) + 1;
	return size;
}

static uint8_t *put(uint8_t *at, const char *s)
{
	size_t len = strlen(s) + 1;

	memcpy(at, s, len);
	return at + len;
}

size_t session_encode_start(const struct session_start *start, size_t room, uint8_t **frame,
			    const char **why)
{
	struct proto_start head = {
		.version = to_le32(PROTO_VERSION),
		.flags = to_le32(start->tty ? PROTO_TTY : 0u),
		.argc = to_le32(start->argc),
		.envc = to_le32(start->envc),
		.winsize = { to_le16(start->rows), to_le16(start->cols) },
		.nets = to_le32(start->nets),
	};
	const size_t nets = start->nets * sizeof(start->net[0]);
	size_t body = sizeof(head) + nets + strings_size(start->argv, start->argc) +
		      strings_size(start->env, start->envc) + strlen(start->dir) + 1 +
		      strlen(start->user) + 1;
	const struct proto_frame f = { to_le32(PROTO_START), to_le32((uint32_t)body) };
	uint8_t *at;

	*frame = NULL;
	*why = NULL;
	if (start->argc < 1 || start->argv[0][0] == '\0')
		*why = "the command's name is empty";
	else if (start->argc > PROTO_ARGS_MAX || start->envc > PROTO_ARGS_MAX ||
		 body > PROTO_FRAME_MAX)
		*why = "the command and its environment are longer than 256 KiB";
	else if (!(*frame = malloc(sizeof(f) + body + room)))
		*why = "out of memory";
	if (*why)
		return 0;
	at = *frame;
	memcpy(at, &f, sizeof(f));
	memcpy(at + sizeof(f), &head, sizeof(head));
	at += sizeof(f) + sizeof(head);
	memcpy(at, start->net, nets);
	at += nets;
	for (unsigned i = 0; i < start->argc; i++)
		at = put(at, start->argv[i]);
	for (unsigned i = 0; i < start->envc; i++)
		at = put(at, start->env[i]);
	put(put(at, start->dir), start->user);
	return sizeof(f) + body;
}
