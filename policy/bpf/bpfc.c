/* SPDX-License-Identifier: Apache-2.0 */
/* bpfc.c: bpfc, the build tool that turns a compiled BPF object into tables.
 *
 *   bpfc NAME FILE.o    C source of bpf_NAME (jailer/bpf.h) on standard output
 *
 * libbpf does here, once, what it would do at each start of a VM: read the object, lay out its
 * maps, link functions, resolve references.  It is asked to do so for a loader that runs later
 * (bpf_object__gen_loader), so it neither asks the kernel of this machine nor needs privileges,
 * and refers to maps by their index: instructions which the kernel takes as they are, with an
 * array of descriptors beside them (5.14).  What of libbpf's would have to be done again at the
 * start is refused, by name: data of the program's own, types and functions of the kernel.
 *
 * It runs on the build machine only; nothing of it, and nothing of libbpf, is in a program. */
#include "jailer/bpf.h"

#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Where .BTF.ext keeps the length of what depends on the running kernel's types
 * (Documentation/bpf/btf.rst): the header's own length, then three pairs of offset, length. */
enum { EXT_HEADER_LENGTH = 1, EXT_CORE_LENGTH = 7 };

static const char *file;

static _Noreturn void die(const char *fmt, ...) printf_like(1, 2);
static _Noreturn void die(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	fprintf(stderr, "bpfc: %s: ", file);
	vfprintf(stderr, fmt, args);
	fputc('\n', stderr);
	va_end(args);
	exit(1);
}

static int say(enum libbpf_print_level level, const char *fmt, va_list args)
{
	return level == LIBBPF_WARN ? vfprintf(stderr, fmt, args) : 0;
}

/* The kernel refuses other names. */
static const char *checked_name(const char *name)
{
	const char *c = name;

	while (isalnum((unsigned char)*c) || *c == '_')
		c++;
	if (name[0] == 0 || *c != 0 || strlen(name) >= BPF_OBJ_NAME_LEN)
		die("name %s: 1 to %d letters, digits and '_'", name, BPF_OBJ_NAME_LEN - 1);
	return name;
}

static void refuse_kernel_types(void)
{
	struct btf_ext *ext = NULL;
	struct btf *btf = btf__parse_elf(file, &ext);
	uint32_t size = 0;
	const uint32_t *header = ext != NULL ? btf_ext__get_raw_data(ext, &size) : NULL;

	if (btf == NULL)
		die("no type information: compile it with -g");
	if (size > EXT_CORE_LENGTH * sizeof(*header) &&
	    header[EXT_HEADER_LENGTH] > EXT_CORE_LENGTH * sizeof(*header) &&
	    header[EXT_CORE_LENGTH] != 0)
		die("uses types of the running kernel (CO-RE): only its stable interface is allowed");
	btf_ext__free(ext);
	btf__free(btf);
}

static void print_map(struct bpf_map *m)
{
	const char *name = checked_name(bpf_map__name(m));
	enum bpf_map_type type = bpf_map__type(m);

	if (type == BPF_MAP_TYPE_ARRAY_OF_MAPS || type == BPF_MAP_TYPE_HASH_OF_MAPS ||
	    bpf_map__pin_path(m) != NULL || bpf_map__map_extra(m) != 0)
		die("map %s: a kind that jailer/bpf.c cannot make", name);
	printf("\t{ \"%s\", %u, %u, %u, %u, %u },\n", name, type, bpf_map__key_size(m),
	       bpf_map__value_size(m), bpf_map__max_entries(m), bpf_map__map_flags(m));
}

static unsigned print_maps(struct bpf_object *o, const char *name)
{
	struct bpf_map *m;
	unsigned n = 0;

	/* First: it would be in the way of every later message. */
	for (m = bpf_object__next_map(o, NULL); m != NULL; m = bpf_object__next_map(o, m))
		if (bpf_map__is_internal(m))
			die("data of its own (%s): keep it in a map", bpf_map__name(m));
	for (m = bpf_object__next_map(o, NULL); m != NULL; m = bpf_object__next_map(o, m)) {
		if (n == 0)
			printf("static const struct bpf_map_image %s_maps[] = {\n", name);
		print_map(m);
		if (++n > BPF_MAPS_MAX)
			die("more than %d maps", BPF_MAPS_MAX);
	}
	if (n > 0)
		printf("};\n\n");
	return n;
}

/* True when the kernel can take @i from us as it is.  (The second half of a wide instruction has
 * no code.) */
static bool self_contained(const struct bpf_insn *i)
{
	if (i->code == (BPF_LD | BPF_IMM | BPF_DW))
		return i->src_reg == 0 || i->src_reg == BPF_PSEUDO_MAP_IDX;
	if (i->code == (BPF_JMP | BPF_CALL))
		return i->src_reg == 0 || i->src_reg == BPF_PSEUDO_CALL;
	return true;
}

static void print_insns(struct bpf_program *p, const char *name, unsigned number)
{
	const struct bpf_insn *insn = bpf_program__insns(p);

	printf("static const struct bpf_insn %s_insns_%u[] = {\n", name, number);
	for (size_t i = 0; i < bpf_program__insn_cnt(p); i++) {
		if (!self_contained(&insn[i]))
			die("%s, instruction %zu: uses what only the running kernel can name",
			    bpf_program__name(p), i);
		printf("\t{ 0x%02x, %u, %u, %d, %d },\n", insn[i].code, insn[i].dst_reg,
		       insn[i].src_reg, insn[i].off, insn[i].imm);
	}
	printf("};\n\n");
}

static unsigned print_programs(struct bpf_object *o, const char *name)
{
	struct bpf_program *p;
	unsigned n = 0;

	for (p = bpf_object__next_program(o, NULL); p != NULL; p = bpf_object__next_program(o, p))
		print_insns(p, name, n++);
	if (n == 0 || n > BPF_PROGRAMS_MAX)
		die("%u programs: 1 to %d", n, BPF_PROGRAMS_MAX);
	printf("static const struct bpf_program_image %s_programs[] = {\n", name);
	p = NULL;
	for (unsigned i = 0; i < n; i++) {
		p = bpf_object__next_program(o, p);
		printf("\t{ \"%s\", %u, %u, %zu, %s_insns_%u },\n",
		       checked_name(bpf_program__name(p)), bpf_program__type(p),
		       bpf_program__expected_attach_type(p), bpf_program__insn_cnt(p), name, i);
	}
	printf("};\n\n");
	return n;
}

int main(int argc, char **argv)
{
	struct gen_loader_opts later = { .sz = sizeof(later) };
	unsigned nmaps, nprograms;
	struct bpf_object *o;

	if (argc != 3) {
		fputs("usage: bpfc NAME FILE.o\n", stderr);
		return 2;
	}
	file = argv[2];
	libbpf_set_print(say);
	o = bpf_object__open(file);
	if (o == NULL || bpf_object__gen_loader(o, &later) != 0 || bpf_object__load(o) != 0)
		die("libbpf does not take it");
	refuse_kernel_types();
	printf("/* Generated by bpfc from %s. */\n#include \"jailer/bpf.h\"\n\n", file);
	nmaps = print_maps(o, checked_name(argv[1]));
	nprograms = print_programs(o, argv[1]);
	printf("const struct bpf_image bpf_%s = {\n\t%u, %u, %s%s, %s_programs,\n};\n", argv[1], nmaps,
	       nprograms, nmaps > 0 ? argv[1] : "", nmaps > 0 ? "_maps" : "NULL", argv[1]);
	bpf_object__close(o);
	if (fflush(stdout) != 0 || ferror(stdout))
		die("cannot write");
	return 0;
}
