/* SPDX-License-Identifier: Apache-2.0 */
/* walls.h: what confines the processes of a running VM, as the kernel tells it.
 *
 * Three steps that know nothing of each other: walls_find.c and walls_process.c read /proc and
 * /sys into the structures below, with an errno beside everything that could not be read;
 * walls_judge.c holds them against what jailer/plan.h says of a VM of that shape; the printers
 * print.  Nothing here comes from a configuration file or from a process's own word. */
#ifndef IMMURE_CLI_WALLS_H
#define IMMURE_CLI_WALLS_H

#include "cli/walls_parse.h"
#include "core/base.h"
#include "jailer/plan.h"

#include <sys/types.h>

enum {
	WALLS_PROCESSES = 24,	/* of one VM; a plan has ten at most */
	WALLS_THREADS = 128,	/* of one process */
	WALLS_FDS = 8192,	/* of one process */
	WALLS_VMS = 65536,
	WALLS_LINK = 128,	/* of a link's text is kept */
	WALLS_NAME = 80,
	WALLS_LIMITS = 9,
};

/* Where to look: open directories, so that a test can offer others. */
struct walls_host {
	int proc;		/* /proc */
	int cgroup;		/* /sys/fs/cgroup */
	uint64_t ns[WALLS_NS];	/* the reader's own; 0: not readable */
};

/* A finding or a gap.  @thread is 0 when it is about the whole process. */
struct walls_note {
	char process[16];
	pid_t thread;
	char what[128];
	const char *means;
};

struct walls_notes {
	struct walls_note *note;
	size_t n;
};

struct walls_thread {
	pid_t tid;
	int err;
	struct walls_status status;
};

struct walls_fd {
	unsigned number;
	unsigned kind;			/* one of enum walls_kind */
	char access[3];			/* "r", "w", "rw", "-" (path only), "?" */
	uint64_t inode;			/* 0: not readable */
	char target[WALLS_LINK];	/* the link's text, "" when not readable */
	char name[24];			/* in core/fdplan.h; "" when it has none */
};

struct walls_root {
	int err;
	bool empty, readonly;
};

struct walls_process {
	pid_t pid;
	int program;			/* enum plan_program, or -1: none of ours */
	unsigned device;		/* of a device process: its number */
	char name[16];			/* "vmm", "blk0", ... */
	struct walls_status status;
	int exe_err;
	char exe[WALLS_LINK];
	int maps_err;
	struct walls_map uids;
	int ns_err[WALLS_NS];
	uint64_t ns[WALLS_NS];
	int threads_err;
	unsigned nthreads;
	struct walls_thread thread[WALLS_THREADS];
	int fds_err;
	size_t nfds;
	struct walls_fd *fd;		/* on the heap */
	struct walls_root root;
	int mounts_err;
	struct walls_mounts mounts;
	int limits_err;
	struct walls_limits limits;
	int dumpable;			/* 0, 1; -1: not to be told */
	int cores;			/* 1: only its VM on the threads of a core; 0, -1: as above */
	int cgroup_err;
	char cgroup[256];		/* path in the hierarchy that limits memory */
	char devices[256];		/* path that version 1 has for devices, or "" */
	char group[WALLS_NAME];		/* "NAME" of .../immure/NAME, or "" */
};

struct walls_limit {
	char file[40];
	char text[96];			/* what it says, one line */
	int err;
};

struct walls_vm {
	char name[WALLS_NAME];
	bool root;			/* the jailer was root's */
	bool gone;			/* ended while it was looked at */
	unsigned n;			/* processes; the supervisor first */
	struct walls_process proc[WALLS_PROCESSES];
	char cgroup[256];		/* "" when it has none that we know of */
	unsigned nlimits;
	struct walls_limit limit[WALLS_LIMITS];
	struct walls_notes weaker;	/* than planned */
	struct walls_notes unread;	/* what could not be read; .means is why */
};

/* Fills @h from this machine.  Returns 0, or -1 after an error message. */
must_check int walls_host(struct walls_host *h);

/* The supervisors of this host, at most @max, ascending.  Returns how many, or -errno. */
must_check int walls_supervisors(const struct walls_host *h, pid_t *pid, int max);

/* Reads the whole VM of @supervisor and names it; @vm is walls_free()d in any case. */
void walls_read(const struct walls_host *h, pid_t supervisor, struct walls_vm *vm);
void walls_free(struct walls_vm *vm);

/* Leaves of the @n supervisors at @pid only those of VMs called @name; @vm is room to read one in, and
 * empty afterwards.  Returns how many. */
must_check int walls_select(const struct walls_host *h, const char *name, pid_t *pid, int n,
			    struct walls_vm *vm);

/* Reads one process.  Returns 0, or an errno when there is none (any more). */
must_check int walls_read_process(const struct walls_host *h, pid_t pid, struct walls_process *p);

/* Descriptors of @p, ascending, into p->fd.  Returns 0 or an errno. */
must_check int walls_read_fds(int dir, struct walls_process *p);

/* The limits of the VM's cgroup and what is used of them. */
void walls_read_cgroup(const struct walls_host *h, struct walls_vm *vm);

/* The same about device nodes. */
#define WALLS_DENIED "all denied"
void walls_read_devices(const struct walls_host *h, struct walls_vm *vm);

/* Holds @vm against its plan: fills vm->weaker, vm->unread and the names of descriptors. */
void walls_judge(const struct walls_host *h, struct walls_vm *vm);

/* The part of it about descriptors, with what the plan knows of @p. */
void walls_judge_fds(struct walls_vm *vm, struct walls_process *p, const struct plan_process *pp);

/* Adds a line to @to. */
void walls_note(struct walls_notes *to, const struct walls_process *p, pid_t thread,
		const char *means, const char *fmt, ...) printf_like(5, 6);

/* How process @p stands in namespace @ns: "own", "vm" (with others of its VM), "host", "?". */
const char *walls_share(const struct walls_host *h, const struct walls_vm *vm,
			const struct walls_process *p, unsigned ns);

/* "none", or names separated by commas. */
const char *walls_caps(uint64_t set, char *buf, size_t size);

/* Descriptor kinds in words. */
const char *walls_kind_name(unsigned kind);

/* The printers; each prints whole VMs. */
void walls_print(const struct walls_host *h, const struct walls_vm *vm);
void walls_print_line(const struct walls_vm *vm);
struct json_t;
struct json_t *walls_json(const struct walls_host *h, const struct walls_vm *vm);

/* What of a process cannot be seen from outside it, for both printers. */
extern const char walls_invisible[];

#endif
