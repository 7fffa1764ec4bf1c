/* SPDX-License-Identifier: Apache-2.0 */
/* bpf.c: tables to the kernel, by bpf(2) itself.
 *
 * No library: there is nothing left to decide (policy/bpf/bpfc.c).  libbpf at this place would
 * cost three times the time and a C library it can live with; policy/README.md has the numbers. */
#include "jailer/bpf.h"

#include <errno.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static int bpf(enum bpf_cmd cmd, union bpf_attr *attr)
{
	long rc = syscall(SYS_bpf, cmd, attr, sizeof(*attr));

	return rc < 0 ? -errno : (int)rc;
}

static int make_map(const struct bpf_map_image *m)
{
	union bpf_attr attr = { 0 };

	attr.map_type = m->type;
	attr.key_size = m->key_size;
	attr.value_size = m->value_size;
	attr.max_entries = m->max_entries;
	attr.map_flags = m->flags;
	memcpy(attr.map_name, m->name, sizeof(m->name));
	return bpf(BPF_MAP_CREATE, &attr);
}

static int load_program(const struct bpf_program_image *p, const int *maps)
{
	union bpf_attr attr = { 0 };

	attr.prog_type = p->type;
	attr.expected_attach_type = p->attach_type;
	attr.insns = (uint64_t)(uintptr_t)p->insns;
	attr.insn_cnt = p->ninsns;
	attr.license = (uint64_t)(uintptr_t)"Apache-2.0";
	attr.fd_array = (uint64_t)(uintptr_t)maps;
	memcpy(attr.prog_name, p->name, sizeof(p->name));
	return bpf(BPF_PROG_LOAD, &attr);
}

static int put_constant(const struct bpf_image *b, const struct bpf_constant *c, const int *maps)
{
	const uint32_t first = 0;
	union bpf_attr put = { 0 }, freeze = { 0 };
	uint32_t i = 0;
	int rc;

	while (i < b->nmaps && strcmp(b->map[i].name, c->map) != 0)
		i++;
	if (i == b->nmaps)
		return -ENOENT;
	put.map_fd = freeze.map_fd = (uint32_t)maps[i];
	put.key = (uint64_t)(uintptr_t)&first;
	put.value = (uint64_t)(uintptr_t)c->value;
	rc = bpf(BPF_MAP_UPDATE_ELEM, &put);
	return rc < 0 ? rc : bpf(BPF_MAP_FREEZE, &freeze);
}

int bpf_load(const struct bpf_image *b, const struct bpf_constant *c, struct bpf_loaded *l)
{
	int rc = 0;

	memset(l, 0xff, sizeof(*l));
	for (uint32_t i = 0; i < b->nmaps && rc >= 0; i++)
		rc = l->map[i] = make_map(&b->map[i]);
	if (rc >= 0 && c != NULL)
		rc = put_constant(b, c, l->map);
	for (uint32_t i = 0; i < b->nprograms && rc >= 0; i++)
		rc = l->program[i] = load_program(&b->program[i], l->map);
	if (rc >= 0)
		return 0;
	bpf_close(b, l);
	return rc;
}

static void close_all(int *fd, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		if (fd[i] >= 0)
			close(fd[i]);
		fd[i] = -1;
	}
}

void bpf_close(const struct bpf_image *b, struct bpf_loaded *l)
{
	close_all(l->program, b->nprograms);
	close_all(l->map, b->nmaps);
}

int bpf_attach(int program, int target, enum bpf_attach_type type)
{
	union bpf_attr attr = { .target_fd = (uint32_t)target };

	/* No flags: nobody may attach another below, if the kernel has a below. */
	attr.attach_bpf_fd = (uint32_t)program;
	attr.attach_type = type;
	return bpf(BPF_PROG_ATTACH, &attr);
}
