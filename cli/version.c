/* SPDX-License-Identifier: Apache-2.0 */
/* version.c: `immure version`. */
#include "cli/help.h"
#include "cli/say.h"
#include "guest/proto.h"

#include <stdio.h>
#include <string.h>

#define VERSION "0.1.0"

int cmd_version(int argc, char **argv)
{
	if (argc == 1) {
		printf("immure %s\n", VERSION);
		return 0;
	}
	if (argc == 2 && strcmp(argv[1], "--json") == 0) {
		printf("{\"version\": \"%s\", \"guest_protocol\": %d}\n", VERSION, PROTO_VERSION);
		return 0;
	}
	if (argc == 2 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0))
		return help_print("version");
	return say_error("unknown option %s; `immure version` takes --json only", argv[1]);
}
