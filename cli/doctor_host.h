/* SPDX-License-Identifier: Apache-2.0 */
/* doctor_host.h: how a host should be set up where strangers' programs run in VMs.
 *
 * Advice: immure runs without any of it, and its own walls do not rely on it.  Each check reads
 * files below /proc and /sys, which a test may replace, or asks the kernel by trying. */
#ifndef IMMURE_CLI_DOCTOR_HOST_H
#define IMMURE_CLI_DOCTOR_HOST_H

#include "core/base.h"

struct json_t;

enum { ADVICE_MAX = 128, ADVICE_STATE = 160 };

enum advice_result {
	ADVICE_OK,
	ADVICE_GIVEN,		/* something should be changed */
	ADVICE_UNKNOWN,		/* cannot be told here; the state says why */
};

struct advice {
	enum advice_result result;
	char name[40];
	char state[ADVICE_STATE];
	const char *why;	/* what it is to immure */
	const char *fix;	/* the command, or the setting */
};

struct advices {
	unsigned n;
	struct advice a[ADVICE_MAX];
};

/* Open directories, /proc, /sys and /etc; or others. */
struct doctor_host {
	int proc, sys, etc;
};

/* Adds one; beyond ADVICE_MAX the last one is replaced. */
void advise(struct advices *to, const char *name, enum advice_result result, const char *why,
	    const char *fix, const char *fmt, ...) printf_like(6, 7);

/* Reads the first line of @path below @dir, cleaned and without the end of line.  Returns 0 or an
 * errno. */
must_check int doctor_line(int dir, const char *path, char *buf, size_t size);

/* The groups of checks. */
void advise_cpu(const struct doctor_host *h, struct advices *to);
void advise_memory(const struct doctor_host *h, struct advices *to);
void advise_sysctl(const struct doctor_host *h, struct advices *to);
void advise_cgroup(const struct doctor_host *h, struct advices *to);
void advise_kernel(struct advices *to);
void advise_admin(const struct doctor_host *h, struct advices *to);

/* All of them, on this machine. */
void advise_all(struct advices *to);

void advices_print(const struct advices *all);
struct json_t *advices_json(const struct advices *all);
unsigned advices_given(const struct advices *all);

/* The exit status of `immure doctor`: @given counts only for who asked for advice. */
int doctor_status(unsigned missing, bool production, unsigned given);

/* What VMs started without root do without. */
void rootless_print(void);
struct json_t *rootless_json(void);

#endif
