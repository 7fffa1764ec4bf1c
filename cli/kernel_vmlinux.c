/* SPDX-License-Identifier: Apache-2.0 */
/* kernel_vmlinux.c: the ELF kernel inside a bzImage.
 *
 * A bzImage is a vmlinux that unpacks itself (Linux Documentation/arch/x86/boot.rst:
 * payload_offset, payload_length).  Unpacking it once, here, saves every boot that work, and the
 * memory for doing it.
 *
 * The copy is lean: what a loader needs and no more.  The file that Linux's build makes is padded
 * with zeros for page alignment and carries uninitialised data as zeros, a third of it; and it
 * ends in .init.scratch, 4 MiB where a kernel under AMD memory encryption would encrypt itself.
 * That section is never read without the encryption, which immure's CPU does not have, so it is
 * left out of the last segment: a small guest gets 4 MiB more.
 *
 * The image may be damaged or hostile: no sum of two of its fields is made before both were
 * compared with the size of what is there. */
#include "cli/kernel_vmlinux.h"

#include <asm/bootparam.h>
#include <elf.h>
#include <stdlib.h>
#include <string.h>

enum {
	HEADER_AT = 0x1f1,
	VERSION_BASE = 0x200,		/* kernel_version counts from here */
	SECTOR = 512,
	PROTOCOL_PAYLOAD = 0x208,	/* first with payload_offset */
	KERNEL_MAX = 512 << 20,		/* unpacked */
	SEGMENTS_MAX = 32,
	SECTIONS_MAX = 4096,
	PAGE = 4096,
};

static enum vmlinux_err get_header(const struct blob *image, struct setup_header *h)
{
	if (image->len < HEADER_AT + sizeof(*h))
		return VMLINUX_NOT_BZIMAGE;
	memcpy(h, image->data + HEADER_AT, sizeof(*h));
	if (h->boot_flag != 0xaa55 || h->header != 0x53726448 || h->version < PROTOCOL_PAYLOAD)
		return VMLINUX_NOT_BZIMAGE;
	return VMLINUX_OK;
}

static bool version_char(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
	       (c != '\0' && strchr("._+-~", c) != NULL);
}

enum vmlinux_err vmlinux_version(const struct blob *image, char *version, size_t size)
{
	struct setup_header h;
	enum vmlinux_err err = get_header(image, &h);
	size_t at, n = 0;

	if (err != VMLINUX_OK)
		return err;
	at = (size_t)h.kernel_version + VERSION_BASE;
	if (h.kernel_version == 0 || at >= image->len)
		return VMLINUX_TRUNCATED;
	while (n + 1 < size && n < image->len - at && version_char((char)image->data[at + n])) {
		version[n] = (char)image->data[at + n];
		n++;
	}
	version[n] = '\0';
	return n == 0 ? VMLINUX_NOT_BZIMAGE : VMLINUX_OK;
}

/* ---- the lean copy ---- */

struct lean {
	const struct blob *in;
	Elf64_Ehdr eh;
	Elf64_Phdr ph[SEGMENTS_MAX];
};

static bool read_headers(struct lean *l)
{
	const struct blob *in = l->in;
	Elf64_Ehdr *eh = &l->eh;

	if (in->len < sizeof(*eh))
		return false;
	memcpy(eh, in->data, sizeof(*eh));
	if (memcmp(eh->e_ident, ELFMAG, SELFMAG) != 0 || eh->e_ident[EI_CLASS] != ELFCLASS64 ||
	    eh->e_ident[EI_DATA] != ELFDATA2LSB || eh->e_machine != EM_X86_64 ||
	    eh->e_phentsize != sizeof(l->ph[0]) || eh->e_phnum == 0 ||
	    eh->e_phnum > SEGMENTS_MAX)
		return false;
	if (!range_fits(eh->e_phoff, eh->e_phnum * sizeof(l->ph[0]), in->len))
		return false;
	memcpy(l->ph, in->data + eh->e_phoff, eh->e_phnum * sizeof(l->ph[0]));
	for (unsigned int i = 0; i < eh->e_phnum; i++) {
		if (!range_fits(l->ph[i].p_offset, l->ph[i].p_filesz, in->len))
			return false;
	}
	return true;
}

/* Section @i, or false. */
static bool section(const struct lean *l, unsigned int i, Elf64_Shdr *out)
{
	uint64_t at;

	if (l->eh.e_shentsize != sizeof(*out) || i >= l->eh.e_shnum ||
	    l->eh.e_shnum > SECTIONS_MAX || l->eh.e_shoff > l->in->len)
		return false;
	at = l->eh.e_shoff + i * sizeof(*out);
	if (!range_fits(at, sizeof(*out), l->in->len))
		return false;
	memcpy(out, l->in->data + at, sizeof(*out));
	return true;
}

static bool section_is(const struct lean *l, const Elf64_Shdr *sh, const char *name)
{
	Elf64_Shdr strings;
	size_t len = strlen(name) + 1;

	return section(l, l->eh.e_shstrndx, &strings) &&
	       range_fits(strings.sh_offset, strings.sh_size, l->in->len) &&
	       range_fits(sh->sh_name, len, strings.sh_size) &&
	       memcmp(l->in->data + strings.sh_offset + sh->sh_name, name, len) == 0;
}

/* Ends the segment that ends in .init.scratch before it. */
static void drop_scratch(struct lean *l)
{
	Elf64_Shdr sh;

	for (unsigned int i = 0; i < l->eh.e_shnum && section(l, i, &sh); i++) {
		if (!section_is(l, &sh, ".init.scratch"))
			continue;
		for (unsigned int j = 0; j < l->eh.e_phnum; j++) {
			Elf64_Phdr *p = &l->ph[j];
			uint64_t before = sh.sh_addr - p->p_vaddr;

			if (p->p_type != PT_LOAD || sh.sh_addr <= p->p_vaddr ||
			    before >= p->p_memsz || sh.sh_size != p->p_memsz - before)
				continue;
			p->p_memsz = before;
			p->p_filesz = min_u64(p->p_filesz, before);
		}
		return;
	}
}

/* Zeros at the end of a segment need not be in the file. */
static void drop_zeros(struct lean *l)
{
	for (unsigned int i = 0; i < l->eh.e_phnum; i++) {
		Elf64_Phdr *p = &l->ph[i];
		const uint8_t *bytes = l->in->data + p->p_offset;

		if (p->p_type != PT_LOAD)
			continue;
		while (p->p_filesz != 0 && bytes[p->p_filesz - 1] == 0)
			p->p_filesz--;
	}
}

static int pad(struct blob *out, size_t align)
{
	static const uint8_t zeros[PAGE];

	return blob_append(out, zeros, (align - out->len % align) % align);
}

/* Where the bytes of @p, a segment that is not loaded by itself (notes), are in the new file:
 * inside a loaded one, or appended. */
static int place_inside(struct lean *l, const Elf64_Phdr *old, Elf64_Phdr *p, struct blob *out)
{
	for (unsigned int i = 0; i < l->eh.e_phnum; i++) {
		const Elf64_Phdr *load = &l->ph[i];

		if (load->p_type == PT_LOAD && p->p_offset >= old[i].p_offset &&
		    range_fits(p->p_offset - old[i].p_offset, p->p_filesz, load->p_filesz)) {
			p->p_offset = p->p_offset - old[i].p_offset + load->p_offset;
			return 0;
		}
	}
	if (pad(out, 8) != 0)
		return -1;
	p->p_offset = out->len;
	return blob_append(out, l->in->data + old[p - l->ph].p_offset, p->p_filesz);
}

static int write_lean(struct lean *l, struct blob *out)
{
	Elf64_Phdr old[SEGMENTS_MAX];
	unsigned int n = l->eh.e_phnum;

	memcpy(old, l->ph, sizeof(old));
	l->eh.e_phoff = sizeof(l->eh);
	l->eh.e_shoff = 0;
	l->eh.e_shnum = l->eh.e_shstrndx = 0;
	if (blob_append(out, &l->eh, sizeof(l->eh)) != 0 ||
	    blob_append(out, l->ph, n * sizeof(l->ph[0])) != 0)
		return -1;
	for (unsigned int i = 0; i < n; i++) {
		Elf64_Phdr *p = &l->ph[i];

		if (p->p_type != PT_LOAD)
			continue;
		if (pad(out, PAGE) != 0)
			return -1;
		p->p_offset = out->len;
		if (blob_append(out, l->in->data + old[i].p_offset, p->p_filesz) != 0)
			return -1;
	}
	for (unsigned int i = 0; i < n; i++) {
		if (l->ph[i].p_type != PT_LOAD && place_inside(l, old, &l->ph[i], out) != 0)
			return -1;
	}
	memcpy(out->data + sizeof(l->eh), l->ph, n * sizeof(l->ph[0]));
	return 0;
}

enum vmlinux_err vmlinux_lean(const struct blob *elf, struct blob *out)
{
	struct lean l = { .in = elf };

	if (!read_headers(&l) || l.eh.e_type != ET_EXEC)
		return VMLINUX_NOT_ELF;
	drop_scratch(&l);
	drop_zeros(&l);
	if (write_lean(&l, out) == 0)
		return VMLINUX_OK;
	blob_free(out);
	return VMLINUX_MEMORY;
}

enum vmlinux_err vmlinux_extract(const struct blob *image, struct blob *out,
				 enum unpack_err *why)
{
	struct setup_header h;
	struct blob elf = { 0 };
	enum vmlinux_err err = get_header(image, &h);
	uint64_t code_at, payload_at;

	*why = UNPACK_OK;
	if (err != VMLINUX_OK)
		return err;
	code_at = ((h.setup_sects != 0 ? h.setup_sects : 4u) + 1u) * SECTOR;
	payload_at = code_at + h.payload_offset;
	if (h.payload_length < 4 || !range_fits(payload_at, h.payload_length, image->len))
		return VMLINUX_TRUNCATED;
	*why = unpack(image->data + payload_at, h.payload_length, KERNEL_MAX, &elf);
	if (*why != UNPACK_OK)
		return VMLINUX_PAYLOAD;
	err = vmlinux_lean(&elf, out);
	blob_free(&elf);
	return err;
}

const char *vmlinux_err_text(enum vmlinux_err err)
{
	switch (err) {
	case VMLINUX_OK:
		return "no error";
	case VMLINUX_NOT_BZIMAGE:
		return "not an x86 Linux kernel (bzImage)";
	case VMLINUX_TRUNCATED:
		return "truncated";
	case VMLINUX_PAYLOAD:
		return "the compressed kernel inside cannot be unpacked";
	case VMLINUX_NOT_ELF:
		return "what it unpacks to is not an x86-64 ELF kernel";
	case VMLINUX_MEMORY:
		return "out of memory";
	}
	return "unknown error";
}
