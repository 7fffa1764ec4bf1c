/* SPDX-License-Identifier: Apache-2.0 */
/* walls_parse.h: the text files of /proc that `immure walls` reads.  All functions are pure,
 * take a C string of any contents, and return false rather than guess. */
#ifndef IMMURE_CLI_WALLS_PARSE_H
#define IMMURE_CLI_WALLS_PARSE_H

#include "core/base.h"

#include <sys/types.h>

enum walls_ns {
	WALLS_USER, WALLS_MNT, WALLS_PID, WALLS_NET, WALLS_IPC, WALLS_UTS, WALLS_CGROUP,
	WALLS_TIME, WALLS_NS
};
extern const char *const walls_ns_names[WALLS_NS];

enum walls_cap { CAP_SET_INH, CAP_SET_PRM, CAP_SET_EFF, CAP_SET_BND, CAP_SET_AMB, WALLS_CAPS };
extern const char *const walls_cap_names[WALLS_CAPS];

/* /proc/PID/status */
struct walls_status {
	char name[32];
	char state;			/* 'Z', 'X': has ended, waits to be reaped */
	pid_t ppid, tracer;
	uint32_t uid[4], gid[4];	/* real, effective, saved, file system; as the reader sees */
	unsigned groups;		/* supplementary */
	unsigned levels;		/* PID namespaces below the reader's, with it */
	unsigned nspid;			/* number in its own PID namespace */
	unsigned threads;
	unsigned mode;			/* seccomp: 0 none, 1 strict, 2 filter */
	unsigned filters;
	bool no_new_privs;
	uint64_t cap[WALLS_CAPS];
	/* What it may speculate on, in the kernel's words; "" where the kernel says nothing. */
	char store_bypass[28], indirect_branch[28];
};
must_check bool walls_parse_status(const char *text, struct walls_status *s);

/* "user:[4026531837]" */
must_check bool walls_parse_ns(const char *text, const char *name, uint64_t *inode);

/* /proc/PID/uid_map: the first line, and how many ids all lines map. */
struct walls_map {
	uint64_t inside, outside, count;
};
must_check bool walls_parse_map(const char *text, struct walls_map *m);

/* /proc/PID/mountinfo */
struct walls_mounts {
	unsigned n, writable;
};
must_check bool walls_parse_mounts(const char *text, struct walls_mounts *m);

/* /proc/PID/limits; UINT64_MAX is "unlimited". */
enum walls_limit_kind {
	LIMIT_CORE, LIMIT_NOFILE, LIMIT_NPROC, LIMIT_FSIZE, LIMIT_MEMLOCK, LIMIT_MSGQUEUE, LIMIT_NICE,
	LIMIT_RTPRIO, LIMIT_AS, WALLS_RLIMITS
};
extern const char *const walls_limit_names[WALLS_RLIMITS];
struct walls_limits {
	uint64_t soft[WALLS_RLIMITS], hard[WALLS_RLIMITS];
};
must_check bool walls_parse_limits(const char *text, struct walls_limits *l);

/* What a descriptor is: bits, so that a plan can allow several. */
enum walls_kind {
	KIND_UNKNOWN = 0,
	KIND_SOCKET = 1 << 0, KIND_PIPE = 1 << 1, KIND_EVENTFD = 1 << 2, KIND_EPOLL = 1 << 3,
	KIND_PIDFD = 1 << 4, KIND_SIGNALFD = 1 << 5, KIND_TIMERFD = 1 << 6, KIND_KVM = 1 << 7,
	KIND_KVM_VM = 1 << 8, KIND_KVM_VCPU = 1 << 9, KIND_MEMFD = 1 << 10, KIND_FILE = 1 << 11,
	KIND_DIRECTORY = 1 << 12, KIND_BLOCK = 1 << 13, KIND_CHAR = 1 << 14, KIND_OTHER = 1 << 15,
};

/* The kind in the text of a link /proc/PID/fd/N.  KIND_UNKNOWN for a path: only stat() tells. */
unsigned walls_parse_link(const char *text);

/* /proc/PID/fdinfo/N: access mode, inode, and the kind where its lines give it away. */
struct walls_fdinfo {
	char access[3];
	uint64_t inode;
	unsigned kind;
};
must_check bool walls_parse_fdinfo(const char *text, struct walls_fdinfo *f);

/* "NAME" of a cgroup path that ends in "/immure/NAME".  False when it does not. */
must_check bool walls_parse_group(const char *path, char *name, size_t size);

/* "NAME" of a run directory ".../immure/NAME" or "/tmp/immure-UID/NAME". */
must_check bool walls_parse_run_dir(const char *path, char *name, size_t size);

#endif
