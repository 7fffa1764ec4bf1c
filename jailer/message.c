/* SPDX-License-Identifier: Apache-2.0 */
/* message.c: JSON by hand, for four fixed shapes. */
#include "jailer/message.h"
#include "core/log.h"
#include "jailer/violation.h"

#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>

enum { END_WAIT_MS = 1000 };

size_t message_escape(char *dst, size_t size, const char *src, size_t len)
{
	size_t at = 0;

	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)src[i];
		char one[8] = { (char)c };
		size_t n;

		if (c == '"' || c == '\\')
			log_format(one, sizeof(one), "\\%c", c);
		else if (c < ' ' || c > '~')
			log_format(one, sizeof(one), "\\u%04x", c);
		n = strlen(one);
		if (at + n >= size)
			break;
		memcpy(dst + at, one, n);
		at += n;
	}
	dst[at] = 0;
	return at;
}

static bool tell(int client, const char *text, size_t len)
{
	return send(client, text, len, MSG_DONTWAIT | MSG_NOSIGNAL) == (ssize_t)len;
}

bool message_running(int client)
{
	static const char text[] = "{\"event\":\"running\"}\n";

	return tell(client, text, sizeof(text) - 1);
}

bool message_log(int client, const char *process, const char *text, size_t len)
{
	char buf[MESSAGE_BYTES];
	size_t n = log_format(buf, sizeof(buf), "{\"event\":\"log\"");

	n += log_format(buf + n, sizeof(buf) - n, ",\"process\":\"%s\",\"text\":\"", process);
	n += message_escape(buf + n, sizeof(buf) - n - 4, text, len);
	n += log_format(buf + n, sizeof(buf) - n, "\"}\n");
	return tell(client, buf, n);
}

/* Appends "<key>":"<value>", escaped. */
static size_t put_field(char *buf, size_t size, size_t at, const char *key, const char *value)
{
	at += log_format(buf + at, size - at, ",\"%s\":\"", key);
	at += message_escape(buf + at, size - at - 1, value, strlen(value));
	return at + log_format(buf + at, size - at, "\"");
}

static void tell_end(int client, const char *buf, size_t len)
{
	struct pollfd room = { .fd = client, .events = POLLOUT };
	struct timespec patience = { .tv_sec = END_WAIT_MS / 1000 };

	if (!tell(client, buf, len) && ppoll(&room, 1, &patience, NULL) > 0)
		tell(client, buf, len);
}

void message_end(int client, const struct outcome *o, const struct plan *p)
{
	char buf[MESSAGE_BYTES], text[FAILURE_TEXT];
	const size_t room = sizeof(buf) - 8;
	size_t at = log_format(buf, room, "{\"event\":\"end\"");

	at = put_field(buf, room, at, "reason", end_reason_name(o->reason));
	at += log_format(buf + at, room - at, ",\"detail\":%ld", (long)o->detail);
	if (o->process >= 0)
		at = put_field(buf, room, at, "process", p->proc[o->process].name);
	if (o->reason == END_VIOLATION)
		at = put_field(buf, room, at, "syscall", violation_name(o->call));
	if (o->process >= 0 && WIFSIGNALED(o->status))
		at += log_format(buf + at, room - at, ",\"signal\":%d", WTERMSIG(o->status));
	outcome_text(o, p, text, sizeof(text));
	at = put_field(buf, room, at, "text", text);
	at += log_format(buf + at, room - at, ",\"user_exits\":%lu", o->user_exits);
	at += log_format(buf + at, room - at, ",\"left\":%u", o->left);
	at += log_format(buf + at, sizeof(buf) - at, "}\n");
	tell_end(client, buf, at);
}

void message_setup_failed(int client, const struct failure *f)
{
	char buf[MESSAGE_BYTES];
	const size_t room = sizeof(buf) - 8;
	size_t at = log_format(buf, room, "{\"event\":\"end\",\"reason\":\"%s\"",
			       end_reason_name(END_SETUP));

	at = put_field(buf, room, at, "text", f->text);
	at += log_format(buf + at, sizeof(buf) - at, "}\n");
	tell_end(client, buf, at);
}
