/* SPDX-License-Identifier: Apache-2.0 */
/* doctor.h: what immure needs of a host, tested by doing it. */
#ifndef IMMURE_CLI_DOCTOR_H
#define IMMURE_CLI_DOCTOR_H

#include "core/base.h"

enum { DOCTOR_DETAIL = 160 };

enum doctor_result {
	DOCTOR_OK,
	DOCTOR_MISSING,		/* immure cannot run without it */
	DOCTOR_WEAKER,		/* immure runs, with one layer or one limit less */
};

struct doctor_check {
	const char *name;
	const char *why;	/* what immure uses it for */
	const char *fix;	/* what to do when it is missing */
	/* Does the thing.  @detail (DOCTOR_DETAIL bytes, empty at first) says what was found. */
	enum doctor_result (*run)(char *detail);
};

extern const struct doctor_check doctor_kvm_checks[];
extern const size_t doctor_kvm_count;
extern const struct doctor_check doctor_jail_checks[];
extern const size_t doctor_jail_count;

/* Runs a guest of a few instructions that every Linux kernel needs (64-bit mode, an interrupt
 * gate, int3, cmpxchg16b, xsave) on /dev/kvm.  Returns DOCTOR_OK or DOCTOR_MISSING. */
enum doctor_result doctor_probe_guest(char *detail);

#endif
