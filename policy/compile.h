/* SPDX-License-Identifier: Apache-2.0 */
/* compile.h: a policy file as data, between the parser and what is made of it.
 *
 * Host tool only: nothing here is linked into a program that runs a VM.  The format of a
 * policy file is described in policy/README.md. */
#ifndef IMMURE_POLICY_COMPILE_H
#define IMMURE_POLICY_COMPILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum {
	POLICY_RULES = 512,	/* lines a policy may have */
	POLICY_CONDS = 6,	/* a system call has six arguments */
	POLICY_FD_END = 4096,	/* `fd >= X` means X..4095: no plan reaches further */
	POLICY_SYSCALLS = 512,	/* x86-64 numbers end well below this */
	POLICY_WORDS = 10,	/* in core/seal.h */
	POLICY_NAME = 64,	/* of a variant, with its NUL: "supervisor+console+vsock" */
};

enum policy_op {
	POLICY_EQ,		/* (arg & mask) == value, all 64 bits of it */
	POLICY_FROM,		/* value <= arg < POLICY_FD_END */
};

struct policy_cond {
	enum policy_op op;
	unsigned int arg;	/* 0..5 */
	uint64_t mask;
	uint64_t value;
	char text[64];		/* as written, single spaces */
};

/* One line: the call is allowed when all conditions hold. */
struct policy_rule {
	int nr;			/* x86-64 number */
	unsigned int line;
	unsigned int when;	/* WHEN_ bits: only in configurations that have all of these */
	unsigned int nconds;
	struct policy_cond cond[POLICY_CONDS];
	char name[32];
	char reason[160];
};

/* Lines with the same name are alternatives. */
struct policy {
	unsigned int when;	/* words that lines of the file use: a variant per subset */
	size_t nrules;
	struct policy_rule rule[POLICY_RULES];
	char error[320];	/* "file:line: what", when policy_parse() failed */
};

/* Reads @f, called @file in messages.  False: see @p->error. */
bool policy_parse(struct policy *p, FILE *f, const char *file);

/* The next subset of @all after @when, in counting order; 0 after the last. */
static inline unsigned int policy_subset(unsigned int all, unsigned int when)
{
	return (when - all) & all;
}

/* The same of those that a configuration can have: core/seal.h. */
unsigned int policy_next(unsigned int all, unsigned int when);

/* What is left of @p in a configuration that has the words @when and no others. */
void policy_variant(struct policy *out, const struct policy *p, unsigned int when);

/* "blk+writable", for file "blk".  Writes at most POLICY_NAME bytes, returns @out. */
const char *policy_variant_name(char *out, const char *file, unsigned int when);

/* Does @p allow call @nr with @args?  The meaning of the format, which every filter is
 * compared with. */
bool policy_allows(const struct policy *p, int nr, const uint64_t args[6]);

/* The first rule of @tight that no single rule of @coarse covers, or NULL. */
const struct policy_rule *policy_uncovered(const struct policy *coarse,
					   const struct policy *tight);

/* Compiles @p to classic BPF, struct sock_filter written to @fd.  Returns 0 or -errno. */
int policy_compile(const struct policy *p, int fd);

/* x86-64 number of the call @name, or -1. */
int policy_syscall(const char *name);

/* Name of the call @nr, or NULL.  Static storage, valid until the next call. */
const char *policy_syscall_name(int nr);

/* Which argument of @syscall is called @name ("fd", "cmd", "arg3", ...), or -1. */
int policy_arg(const char *syscall, const char *name);

/* The WHEN_ bit of the word @name, or 0. */
unsigned int policy_word(const char *name);

/* The word of the WHEN_ bit @bit. */
const char *policy_word_name(unsigned int bit);

/* The value of a constant or of a descriptor in a plan.  False: no such name. */
bool policy_constant(const char *name, uint64_t *out);

#endif
