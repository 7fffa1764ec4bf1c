/* SPDX-License-Identifier: Apache-2.0 */
/* agent.h: from a connected guest to an ended command. */
#ifndef IMMURE_GUEST_AGENT_H
#define IMMURE_GUEST_AGENT_H

#include "guest/control.h"
#include "guest/start.h"
#include "guest/streams.h"
#include "guest/tty.h"

#include <sys/types.h>

enum { AGENT_STREAMS = 3 };	/* stdin, stdout, stderr */

struct agent {
	struct control control;
	int sigchld;		/* from reap_open() */
	struct tty tty;		/* -1, -1 without one */
	pid_t pid;		/* of the command; its session and process group too */
	bool ended;
	int status;		/* as waitpid() says it, once ended */
	struct start start;
	struct stream stream[AGENT_STREAMS];
	char body[PROTO_FRAME_MAX];	/* of START */
};

/* Connects to @port of the host, trying again while the device is not there yet (at most 30 s).
 * Returns the descriptor, or -1 with @f filled. */
must_check int agent_connect(uint32_t port, struct fail *f);

/* Receives START, runs the command to its end and until its output is on its way.  Returns 0,
 * or -1 with @f filled when it was never started. */
must_check int agent_run(struct agent *a, struct fail *f);

/* Tells the host how the command ended. */
void agent_exit(struct agent *a);

#endif
