/* SPDX-License-Identifier: Apache-2.0 */
/* streams.h: one direction of the command's standard streams.
 *
 * A stream moves bytes between a vsock connection and a pipe or terminal, in order and without
 * loss, and carries the end in both directions: end of file from the source is passed on once
 * everything before it was written; a sink that nobody reads any more closes the source, so
 * that the command gets its SIGPIPE and the host its broken connection. */
#ifndef IMMURE_GUEST_STREAMS_H
#define IMMURE_GUEST_STREAMS_H

#include "core/base.h"

#include <poll.h>

enum { STREAM_BUF = 128 * 1024 };

/* How the sink is told that no more comes. */
enum stream_sink {
	SINK_PIPE,	/* close */
	SINK_SOCKET,	/* shutdown(SHUT_WR); stays open, so that nothing on its way is lost */
	SINK_TTY,	/* the terminal's end-of-file character, in canonical mode */
};

struct stream {
	int from, to;			/* owned; -1 once closed */
	enum stream_sink sink;
	bool eof;			/* nothing more comes from the source */
	bool done;			/* and the sink knows, or is gone */
	bool last;			/* an empty source counts as its end */
	bool midline;			/* the last byte read was not a newline */
	uint32_t start, end;		/* buf[start..end) is not yet written */
	uint8_t buf[STREAM_BUF];
};

/* Begins to move bytes from @from to @to; owns both from now on, even on error.  Both become
 * non-blocking.  Returns 0 or -errno. */
must_check int stream_open(struct stream *s, int from, int to, enum stream_sink sink);

/* Fills in what to wait for; an entry that is not needed has descriptor -1. */
void stream_poll(const struct stream *s, struct pollfd p[static 2]);

/* Moves what can be moved without waiting: one read, one write.  @p as poll() left it. */
void stream_turn(struct stream *s, const struct pollfd p[static 2]);

/* The processes that wrote into the source are gone: what is in it now is all. */
void stream_finish(struct stream *s);

/* Closes both ends.  Safe to call twice. */
void stream_close(struct stream *s);

#endif
