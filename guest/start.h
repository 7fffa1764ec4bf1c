/* SPDX-License-Identifier: Apache-2.0 */
/* start.h: the body of PROTO_START, taken apart. */
#ifndef IMMURE_GUEST_START_H
#define IMMURE_GUEST_START_H

#include "guest/proto.h"

enum { START_ENV_EXTRA = 8 };	/* defaults that command.c may add to the environment */

struct start {
	bool tty;
	uint16_t rows, cols;	/* 0: the host's terminal did not say */
	uint32_t argc, envc, nets;
	struct proto_net net[PROTO_NETS_MAX];
	char *argv[PROTO_ARGS_MAX + 1];				/* ends with NULL */
	char *env[PROTO_ARGS_MAX + START_ENV_EXTRA + 1];	/* ends with NULL */
	const char *dir;	/* absolute, or empty: "/" */
	const char *user;	/* see proto.h */
};

/* Fills @s from the @len bytes at @body, whose strings it points into.  Returns 0, or -1 with
 * *@why a constant sentence: wrong version, unknown flag, a count out of range, a network that
 * cannot be, a string that does not end inside the body, bytes behind the last one, an empty
 * argv[0], an environment entry without a name, a directory that is not absolute. */
must_check int start_parse(struct start *s, char *body, size_t len, const char **why);

#endif
