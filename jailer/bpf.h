/* SPDX-License-Identifier: Apache-2.0 */
/* bpf.h: the BPF programs of policy/bpf/, as tables, and how they get into the kernel.
 *
 * policy/bpf/NAME.bpf.c is compiled when immure is built; libbpf lays it out there and then
 * (policy/bpf/bpfc.c), so that starting a VM takes one system call a map and one a program. */
#ifndef IMMURE_JAILER_BPF_H
#define IMMURE_JAILER_BPF_H

#include "core/base.h"

#include <linux/bpf.h>

enum {
	BPF_MAPS_MAX = 16,		/* of one image */
	BPF_PROGRAMS_MAX = 4,
};

/* Numbers as in bpf(2), BPF_MAP_CREATE. */
struct bpf_map_image {
	char name[BPF_OBJ_NAME_LEN];
	uint32_t type, key_size, value_size, max_entries, flags;
};

/* Numbers as in bpf(2), BPF_PROG_LOAD.  A reference to a map is its index in the image
 * (BPF_PSEUDO_MAP_IDX). */
struct bpf_program_image {
	char name[BPF_OBJ_NAME_LEN];
	uint32_t type, attach_type, ninsns;
	const struct bpf_insn *insns;
};

/* What belongs together: programs and the maps they share. */
struct bpf_image {
	uint32_t nmaps, nprograms;	/* at most BPF_MAPS_MAX; 1..BPF_PROGRAMS_MAX */
	const struct bpf_map_image *map;
	const struct bpf_program_image *program;
};

/* The descriptors of a loaded image, in its order, all close-on-exec. */
struct bpf_loaded {
	int map[BPF_MAPS_MAX];
	int program[BPF_PROGRAMS_MAX];
};

/* Generated, one per policy/bpf/NAME.bpf.c: build/gen/bpf/NAME.c defines bpf_NAME. */
extern const struct bpf_image bpf_devices, bpf_wall;

/* The one element of the array @map, which its programs cannot write (BPF_F_RDONLY_PROG): from before
 * they are loaded, and for ever.  So the verifier knows it, and follows no branch that it closes. */
struct bpf_constant {
	const char *map;
	const void *value;	/* as many bytes as the map's values have */
};

/* Makes the maps of @b, empty but for @c (NULL: none), and loads its programs, which needs
 * CAP_SYS_ADMIN (or CAP_BPF and CAP_NET_ADMIN) over the host.  Returns 0 or -errno (-ENOENT: no such
 * map); then nothing is left open. */
must_check int bpf_load(const struct bpf_image *b, const struct bpf_constant *c, struct bpf_loaded *l);

/* Closes the descriptors.  What is attached somewhere stays there. */
void bpf_close(const struct bpf_image *b, struct bpf_loaded *l);

/* Has the kernel ask @program in @target, a directory of a cgroup for instance, as the only one
 * there and below.  Returns 0 or -errno. */
must_check int bpf_attach(int program, int target, enum bpf_attach_type type);

#endif
