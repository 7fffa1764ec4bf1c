/* SPDX-License-Identifier: Apache-2.0 */
/* session.h: what happens between `immure run` and immure-init, over Unix sockets that the
 * vsock process connects to (guest/proto.h).
 *
 * The guest is hostile.  It may connect to the four ports, and that is all it can reach; a
 * frame that is longer, shorter, other or earlier than it may be, a second connection to a
 * port, or an exit value out of range ends the session (SESSION_BROKEN).  Nothing it sends is
 * interpreted except the frames; text for the user is bounded here and cleaned where it is
 * printed. */
#ifndef IMMURE_CLI_SESSION_H
#define IMMURE_CLI_SESSION_H

#include "cli/session_pump.h"
#include "guest/proto.h"

#include <poll.h>
#include <sys/stat.h>

enum {
	SESSION_PORTS = 4,		/* control, stdin, stdout, stderr */
	SESSION_POLL = SESSION_PORTS + 2,
	SESSION_TEXT = 512,
	SESSION_FRAME = 2048,		/* the longest frame a guest may send, with its header */
	SESSION_QUEUE = 4096,		/* bytes of orders that wait for a guest which does not read */
	SESSION_PATH = 108,		/* sun_path */
};

enum session_state {
	SESSION_WAITING,	/* no control connection yet */
	SESSION_STARTING,	/* connected, START is on its way */
	SESSION_RUNNING,	/* STARTED arrived */
	SESSION_FAILED,		/* FAILED arrived: fail, text */
	SESSION_EXITED,		/* EXIT arrived: code, signo */
	SESSION_BROKEN,		/* the guest broke the protocol or hung up: text */
};

/* What to run; strings are not owned and not changed. */
struct session_start {
	const char *const *argv, *const *env;
	unsigned argc, envc;
	const char *dir, *user;
	bool tty;
	uint16_t rows, cols;
	unsigned nets;
	struct proto_net net[PROTO_NETS_MAX];
};

struct session {
	enum session_state state;
	enum proto_fail fail;
	unsigned code, signo;		/* of EXIT: 0..255, 0..64 */
	char text[SESSION_TEXT];	/* FAILED: from the guest, not cleaned; BROKEN: our own */
	bool tty;
	int local[3];			/* the caller's standard streams; not owned */
	int listener[SESSION_PORTS];
	int control;
	int notify;			/* eventfd of the pumps */
	bool connected[SESSION_PORTS];
	struct pump pump[3];
	char path[SESSION_PORTS][SESSION_PATH];	/* "": nothing to remove */
	struct stat file[SESSION_PORTS];	/* what we made there */
	uint8_t *out;			/* START, then orders; owned */
	size_t out_at, out_len, out_size;
	uint8_t in[SESSION_FRAME];
	size_t in_len;
	uint64_t frames;		/* from the guest, ever */
};

/* Listens on "<vsock_path>_1024".."_1027" and prepares START.  A socket file that nobody
 * listens on any more is replaced.  Returns 0, or -1 with @s->text filled; session_close() is
 * right in either case. */
must_check int session_open(struct session *s, const char *vsock_path,
			    const struct session_start *start, const int local[static 3]);

/* Fills in what to wait for; unused entries have descriptor -1. */
void session_poll(const struct session *s, struct pollfd p[static SESSION_POLL]);

/* Handles what poll() found.  May change @s->state. */
void session_turn(struct session *s, const struct pollfd p[static SESSION_POLL]);

/* Sends an order; does nothing when no command is running or the guest's queue is full. */
void session_signal(struct session *s, int signo);
void session_winsize(struct session *s, uint16_t rows, uint16_t cols);

/* Everything the command wrote has been handed on (or nobody wanted it). */
bool session_drained(const struct session *s);

/* Changes whenever the guest showed a sign of life. */
uint64_t session_life(const struct session *s);

/* The first error of a standard stream, errno and which (0..2); 0 when there was none. */
int session_stream_error(const struct session *s, int *which);

/* Lets go of the control connection: immure-init powers off. */
void session_release(struct session *s);

/* Ends everything and removes the sockets. */
void session_close(struct session *s);

#endif
