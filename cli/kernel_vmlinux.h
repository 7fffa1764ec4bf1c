/* SPDX-License-Identifier: Apache-2.0 */
/* kernel_vmlinux.h: the ELF kernel inside a bzImage. */
#ifndef IMMURE_CLI_KERNEL_VMLINUX_H
#define IMMURE_CLI_KERNEL_VMLINUX_H

#include "cli/kernel_unpack.h"

enum vmlinux_err {
	VMLINUX_OK = 0,
	VMLINUX_NOT_BZIMAGE,	/* no x86 boot header of protocol 2.08 or later */
	VMLINUX_TRUNCATED,	/* the header points past the end of the file */
	VMLINUX_PAYLOAD,	/* the compressed kernel cannot be unpacked: see unpack_err */
	VMLINUX_NOT_ELF,	/* what came out is no ELF64 x86-64 kernel */
	VMLINUX_MEMORY,
};

/* Copies the version in @image (the first word of what the kernel calls itself, "6.1.0-56-amd64")
 * to @version, at most @size bytes with the NUL.  The image is hostile: only letters, digits and
 * "._+-~" are taken.  VMLINUX_OK, _NOT_BZIMAGE or _TRUNCATED. */
must_check enum vmlinux_err vmlinux_version(const struct blob *image, char *version,
					    size_t size);

/* Unpacks the kernel in @image (a whole bzImage) and puts a lean ELF file into @out (previously
 * empty): the same program headers and loaded bytes, without sections and padding.  *@why says
 * more for VMLINUX_PAYLOAD. */
must_check enum vmlinux_err vmlinux_extract(const struct blob *image, struct blob *out,
					    enum unpack_err *why);

/* The second half of that: @elf, a whole vmlinux, as a lean file. */
must_check enum vmlinux_err vmlinux_lean(const struct blob *elf, struct blob *out);

const char *vmlinux_err_text(enum vmlinux_err err);

#endif
