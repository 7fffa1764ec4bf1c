/* SPDX-License-Identifier: Apache-2.0 */
/* elf.h: an ELF64 kernel (vmlinux) becomes a plan.  Pure functions over bytes of the file. */
#ifndef IMMURE_VMM_BOOT_ELF_H
#define IMMURE_VMM_BOOT_ELF_H

#include "vmm/boot/image.h"

#include <elf.h>

enum { ELF_NOTES_MAX = 4096 };		/* bytes of one PT_NOTE segment that are searched */

/* True when @head, the first @len bytes of a file, starts like an ELF file of any kind. */
bool elf_detect(const uint8_t *head, size_t len);

/* Checks the file header in @head (ELF64, little-endian, x86-64, ET_EXEC) and where it says the
 * program headers are: 1..BOOT_SEGMENTS_MAX of them, inside @file_size bytes.  On success
 * *@out is the header. */
must_check enum boot_err elf_parse_header(const uint8_t *head, size_t len, uint64_t file_size,
					  Elf64_Ehdr *out);

/* Plans the PT_LOAD segments among the @n headers in @ph.  Each must lie inside the file, have
 * p_filesz <= p_memsz, lie in RAM from 1 MiB on and below the hole, and overlap no other.
 * Fills the pieces, start and end of @img. */
must_check enum boot_err elf_plan_segments(const Elf64_Phdr *ph, unsigned int n,
					   uint64_t file_size, const struct guestmem *m,
					   struct boot_image *img);

/* Searches the notes in @notes (contents of a PT_NOTE segment aligned to @align, 4 or 8) for
 * XEN_ELFNOTE_PHYS32_ENTRY.  True with *@entry set when it is there and well formed; a note
 * that runs past the end stops the search. */
must_check bool elf_find_pvh(const uint8_t *notes, size_t len, uint64_t align, uint32_t *entry);

/* Decides how @img is entered: @want, the file's e_entry @linux64 and the PVH note's address
 * @pvh (@has_pvh).  The entry must lie in a loaded piece, and for 64-bit mode the whole kernel
 * in the identity map.  Fills entry, entry_gpa and the limits of @img. */
must_check enum boot_err elf_plan_entry(enum vm_boot_entry want, uint64_t linux64,
					bool has_pvh, uint32_t pvh, struct boot_image *img);

#endif
