/* SPDX-License-Identifier: Apache-2.0 */
/* run.h: the runner's parts: the tables, the host's objects that are aimed at, one VM, the open list. */
#ifndef IMMURE_TESTS_ESCAPE_RUN_H
#define IMMURE_TESTS_ESCAPE_RUN_H

#include "tests/escape/table.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>

struct row {
	unsigned number, sub;
	const char *kinds;
	enum escape_way way;
	const char *call, *others, *what;
};

struct kind {
	char letter;
	const char *name, *process;
};

struct layer {
	const char *name, *absent;
};

extern const struct row rows[];
extern const size_t nrows;
extern const struct kind kinds[];
extern const size_t nkinds;
extern const struct layer layers[];
extern const size_t nlayers;

enum verdict { UNTRIED, PASSED, ESCAPED, FAILED };

/* What became of one attempt by one kind. */
struct cell {
	enum verdict verdict;
	char by[24];		/* "S", "EPERM C", ... */
	char why[160];		/* of FAILED and ESCAPED */
	unsigned end_ms;	/* from the attempt to nothing left, when the VM ended; or 0 */
};

enum { CANARY_FILES = 5, CANARY_SOCKETS = 8, DISK_BYTES = 65536, TAP_STATE = 160 };

/* The host's objects that are aimed at, and what they looked like before. */
struct world {
	char dir[32], name[40];
	char tap[16];		/* of the VM that has one; "": the host cannot give any */
	unsigned id;
	uid_t uid;		/* the jailer runs as; 0: as the runner does */
	struct stat before[CANARY_FILES];
	int socket[CANARY_SOCKETS];
	unsigned nsockets;
	long tcp, udp, vsock;
	pid_t victim;		/* a process that does nothing */
	unsigned long received;	/* packets that came in by the network */
};

/* Makes everything in a new directory; @bin: the test build's programs. */
bool world_make(struct world *w, unsigned id, uid_t uid, const char *bin);
void world_remove(struct world *w);

/* NULL, or what is not as it was made: it is made anew. */
const char *world_changed(struct world *w);

/* run_net.c.  A network of this process's own, when it is root and the host has taps; else that of the host. */
bool net_own(void);
bool net_bring_up(const char *interface);

/* An attribute of an interface of that network, without its newline. */
bool net_attribute(const char *interface, const char *name, char *text, size_t size);

/* Did a packet come in since the last time? */
bool net_received(struct world *w);

/* run_tap.c.  Whether VMs can have a network interface here. */
bool tap_possible(void);

/* Names the VMs' tap and, where they are given one, makes it. */
bool tap_make(struct world *w);
void tap_remove(const struct world *w);

/* When a VM has ended: NULL, or what is left of its tap, or not left of what was given; which is put right. */
const char *tap_left(const struct world *w);

/* After an attempt that may have changed it. */
bool tap_renew(const struct world *w);

/* What the host says of a tap that a VM uses: the same for all that nobody has changed. */
void tap_state(const struct world *w, char *text, size_t size);

/* In the child that becomes the jailer: a key in its keyrings. */
void world_add_keys(void);

/* Starts a VM in which @k tries those of the @count rows from @first on that are @tried, without the layers
 * named in @without, and fills their cells.  Returns the row to go on with. */
size_t vm_run(struct world *w, const struct kind *k, const char *without, const bool *tried, size_t first,
	      size_t count, struct cell *cells);

/* A VM that nobody attacks from inside; the taps of later ones must look as its does.  Returns its jailer,
 * *@client is its connection. */
pid_t vm_neighbour(struct world *w, int *client);

/* Ends it; false when it was not as it should be. */
bool vm_neighbour_end(struct world *w, pid_t jailer, int client);

static inline bool row_is_of(const struct row *r, const struct kind *k)
{
	if (r->kinds[0] == '*')
		return true;
	for (const char *c = r->kinds; *c != 0; c++)
		if (*c == k->letter)
			return true;
	return false;
}

/* Only the packet wall stops it, which only VMs of root have. */
static inline bool row_is_walled(const struct row *r)
{
	return strstr(r->others, ":B") != NULL;
}

/* True on a kernel older than @major.@minor. */
bool kernel_before(unsigned major, unsigned minor);

enum open_row { NOT_OPEN, OPEN, MAYBE_OPEN };

/* Reads tests/escape/open-rows; false (and says why) when it is not in order. */
bool open_rows_read(const char *path, bool rootless);
enum open_row open_rows_find(const char *layer, const struct kind *k, const struct row *r);

#endif
