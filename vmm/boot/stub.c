/* SPDX-License-Identifier: Apache-2.0 */
/* stub.c: the guest's very first instructions.
 *
 * vCPU 0 always starts at LAYOUT_STUB in 64-bit mode, interrupts off, on the page tables of
 * tables.c: a state that was set before the VMM sealed itself, when nothing was known about the
 * kernel.  The stub goes on from there to the mode the kernel wants.  It is guest code: what
 * happens here can only hurt the guest.
 *
 * tests/unit/boot_stub.c assembles the same text and compares the bytes. */
#include "vmm/boot/stub.h"

#include "vmm/boot/tables.h"
#include "vmm/x86_64/layout.h"

#include <string.h>

#define LE16(x) (uint8_t)(x), (uint8_t)((x) >> 8)
#define LE32(x) LE16(x), (uint8_t)((x) >> 16), (uint8_t)((x) >> 24)
#define LE64(x) LE32(x), 0, 0, 0, 0

/* The pseudo-descriptor lgdt wants, at the end of both long stubs. */
#define GDTR LE16(BOOT_GDT_BYTES - 1), LE64(LAYOUT_GDT)

enum { PVH_32BIT_AT = 0x17 };		/* where the 32-bit half of the PVH stub begins */

/* clang-format off */

/* Linux 64-bit protocol (boot.rst): flat CS and DS by the selectors 0x10 and 0x18, RSI = zero
 * page. */
static size_t build_linux64(uint32_t entry, uint8_t *out)
{
	const uint8_t code[] = {
		0xfa,					/*     cli                         */
		0xfc,					/*     cld                         */
		0x0f, 0x01, 0x15, LE32(0x1f),		/*     lgdt  gdtr(%rip)            */
		0xbc, LE32(LAYOUT_STACK_TOP),		/*     mov   $STACK_TOP, %esp      */
		0xb8, LE32(BOOT_SEL_DATA),		/*     mov   $DATA, %eax           */
		0x8e, 0xd8,				/*     mov   %eax, %ds             */
		0x8e, 0xc0,				/*     mov   %eax, %es             */
		0x8e, 0xd0,				/*     mov   %eax, %ss             */
		0xbe, LE32(LAYOUT_ZERO_PAGE),		/*     mov   $ZERO_PAGE, %esi      */
		0xb8, LE32(entry),			/*     mov   $entry, %eax          */
		0x6a, BOOT_SEL_CODE64,			/*     push  $CODE64               */
		0x50,					/*     push  %rax                  */
		0x48, 0xcb,				/*     lretq                       */
		GDTR,					/* gdtr:                           */
	};

	_Static_assert(sizeof(code) <= STUB_MAX, "fits");
	memcpy(out, code, sizeof(code));
	return sizeof(code);
}

/* PVH (Xen docs/misc/pvh.pandoc): 32-bit protected mode, paging off, CR4 and EFER clear, flat
 * segments, TR a 32-bit task segment, EBX = start info. */
static size_t build_pvh(uint32_t entry, uint8_t *out)
{
	const uint8_t code[] = {
		0xfa,					/*     cli                         */
		0xfc,					/*     cld                         */
		0x0f, 0x01, 0x15, LE32(0x43),		/*     lgdt  gdtr(%rip)            */
		0xbc, LE32(LAYOUT_STACK_TOP),		/*     mov   $STACK_TOP, %esp      */
		0x6a, BOOT_SEL_CODE32,			/*     push  $CODE32               */
		0x68, LE32(LAYOUT_STUB + PVH_32BIT_AT),	/*     push  $1f                   */
		0x48, 0xcb,				/*     lretq                       */
							/* 1:  .code32                     */
		0xb8, LE32(BOOT_SEL_DATA),		/*     mov   $DATA, %eax           */
		0x8e, 0xd8,				/*     mov   %eax, %ds             */
		0x8e, 0xc0,				/*     mov   %eax, %es             */
		0x8e, 0xd0,				/*     mov   %eax, %ss             */
		0xb8, LE32(1),				/*     mov   $CR0_PE, %eax         */
		0x0f, 0x22, 0xc0,			/*     mov   %eax, %cr0            */
		0xb9, LE32(0xc0000080u),		/*     mov   $MSR_EFER, %ecx       */
		0x31, 0xc0,				/*     xor   %eax, %eax            */
		0x31, 0xd2,				/*     xor   %edx, %edx            */
		0x0f, 0x30,				/*     wrmsr                       */
		0x0f, 0x22, 0xe0,			/*     mov   %eax, %cr4            */
		0xb8, LE32(BOOT_SEL_TSS32),		/*     mov   $TSS32, %eax          */
		0x0f, 0x00, 0xd8,			/*     ltr   %ax                   */
		0xbb, LE32(LAYOUT_START_INFO),		/*     mov   $START_INFO, %ebx     */
		0xb8, LE32(entry),			/*     mov   $entry, %eax          */
		0xff, 0xe0,				/*     jmp   *%eax                 */
		GDTR,					/* gdtr:                           */
	};

	_Static_assert(sizeof(code) <= STUB_MAX, "fits");
	memcpy(out, code, sizeof(code));
	return sizeof(code);
}

/* Flat images begin in 64-bit mode on the tables we start with. */
static size_t build_flat(uint8_t *out)
{
	static const uint8_t code[] = {
		0xb8, LE32(LAYOUT_HIGH),		/*     mov   $0x100000, %eax       */
		0xff, 0xe0,				/*     jmp   *%rax                 */
	};

	_Static_assert(sizeof(code) <= STUB_MAX, "fits");
	memcpy(out, code, sizeof(code));
	return sizeof(code);
}

/* clang-format on */

size_t stub_build(enum vm_boot_entry entry, uint32_t entry_gpa, uint8_t out[STUB_MAX])
{
	switch (entry) {
	case VM_ENTRY_PVH:
		return build_pvh(entry_gpa, out);
	case VM_ENTRY_FLAT:
		return build_flat(out);
	case VM_ENTRY_AUTO:
	case VM_ENTRY_LINUX64:
		break;
	}
	return build_linux64(entry_gpa, out);
}

bool stub_write(const struct guestmem *m, enum vm_boot_entry entry, uint32_t entry_gpa)
{
	uint8_t code[STUB_MAX];
	size_t len = stub_build(entry, entry_gpa, code);

	return guestmem_write(m, gpa(LAYOUT_STUB), code, len);
}
