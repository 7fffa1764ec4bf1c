/* SPDX-License-Identifier: Apache-2.0 */
/* run_options.h: the command line of `immure run` and `immure plan`. */
#ifndef IMMURE_CLI_RUN_OPTIONS_H
#define IMMURE_CLI_RUN_OPTIONS_H

#include "cli/run_net.h"
#include "core/fdplan.h"
#include "core/limits.h"
#include "guest/proto.h"

enum {
	RUN_DISKS = PLAN_DEVICES - 2,	/* the root image and vsock are devices too */
	RUN_NETS = RUN_DISKS,		/* disks and interfaces together */
	RUN_BOOT_TIMEOUT_MS = 60 * 1000,
	RUN_APPEND = 1024,
	RUN_MEMORY_DEFAULT = 256 * 1024 * 1024,
	RUN_LIMIT_DEFAULT = UINT32_MAX,
	/* The session's four, and two that a guest may ask for meanwhile. */
	RUN_CONNECTIONS = 6,
};

struct run_disk {
	char *path;		/* into argv */
	bool readonly;
	bool keep;		/* discard=off: the image keeps its storage */
	bool direct;		/* cache=direct */
	uint32_t block;		/* bytes of a block; 0: the image's own */
	uint32_t queues;	/* 0: one */
	uint64_t grow;		/* bytes the image may come to; 0: it is fixed */
	bool overlay;		/* what is written goes elsewhere: run_overlay.h */
	char *overlay_path;	/* into argv; NULL: to memory */
	uint64_t overlay_limit;	/* bytes; 0: the jailer's own */
	struct limit_values limit[LIMITS_DIRECTIONS];	/* the first */
};

_Static_assert((int)RUN_NETS == (int)PROTO_NETS_MAX, "START has room for all");

/* What the machine's cgroup is given.  0: no limit of the kind. */
struct run_limits {
	uint32_t cpu_percent;	/* of one processor; RUN_LIMIT_DEFAULT: its processors and one more */
	uint32_t pids;		/* 0: as many as its processes and threads are */
	uint64_t io;		/* bytes a second, for each disk and direction */
	uint64_t overhead;	/* bytes beyond its memory; 0: what was measured */
};

/* Strings point into argv, which outlives the struct. */
struct run_options {
	uint64_t memory;	/* bytes, a multiple of 4096 */
	uint64_t timeout_ms;	/* 0: none */
	uint64_t boot_timeout_ms;
	unsigned cpus;
	unsigned ndisks;
	struct run_disk disk[RUN_DISKS];
	unsigned nenv;
	const char *env[PROTO_ARGS_MAX];	/* "K=V" */
	const char *dir, *user;	/* "" when not given */
	const char *kernel;	/* name or path; NULL: the newest imported one */
	const char *entry;	/* "auto", "pvh" or "linux64" */
	const char *speculation;	/* "host" or "restrict" */
	const char *append;	/* "" when not given */
	const char *name;	/* NULL: immure makes one up */
	const char *vsock;	/* NULL: in the run directory */
	unsigned vsock_connections;
	bool no_net;		/* --net none */
	unsigned nnets;
	struct run_net net[RUN_NETS];	/* eth0, eth1... of the guest */
	struct run_limits limits;
	bool tty;		/* -t */
	bool no_tty;		/* -T */
	bool console;
	bool core_scheduling;
	bool json;
	bool help;		/* --help: nothing else counts */
	int json_fd;		/* where --json prints */
	const char *rootfs;
	char **argv;		/* the command, ends with NULL; NULL when there is none */
	unsigned argc;
};

/* Fills @o from the words behind the subcommand's name (@argv[0] is that name).  Returns 0, or
 * -1 after printing what is wrong and what to do; @o then says whether and where --json prints. */
must_check int run_options_parse(struct run_options *o, int argc, char **argv);

#endif
