/* SPDX-License-Identifier: Apache-2.0 */
/* Claims about the guest's first instructions: the bytes in vmm/boot/stub.c are what the
 * assembler makes of the text below. */
#include "vmm/boot/stub.c"

#include "core/guestmem.c"

#include <criterion/criterion.h>

#define ENTRY 0x01234560
#define TEXT(x) #x
#define VALUE(x) TEXT(x)

/* The constants, as numbers, because the assembler does not read our headers; layout_is_the_same
 * below compares them. */
__asm__(".section .rodata\n"
	"	.set	STUB, 0x6000\n"
	"	.set	ENTRY, " VALUE(ENTRY) "\n"
	"	.set	STACK_TOP, 0x8ff0\n"
	"	.set	CODE64, 0x10\n"
	"	.set	DATA, 0x18\n"
	"	.set	CODE32, 0x30\n"
	"	.set	TSS32, 0x38\n"
	"want_linux64:\n"
	"	cli\n"
	"	cld\n"
	"	lgdt	1f(%rip)\n"
	"	mov	$STACK_TOP, %esp\n"
	"	mov	$DATA, %eax\n"
	"	mov	%eax, %ds\n"
	"	mov	%eax, %es\n"
	"	mov	%eax, %ss\n"
	"	mov	$0x7000, %esi\n"
	"	mov	$ENTRY, %eax\n"
	"	push	$CODE64\n"
	"	push	%rax\n"
	"	lretq\n"
	"1:	.word	0x3f\n"
	"	.quad	0x500\n"
	"want_linux64_end:\n"
	"want_pvh:\n"
	"	cli\n"
	"	cld\n"
	"	lgdt	2f(%rip)\n"
	"	mov	$STACK_TOP, %esp\n"
	"	push	$CODE32\n"
	"	push	$(STUB + 1f - want_pvh)\n"
	"	lretq\n"
	"1:	.code32\n"
	"	mov	$DATA, %eax\n"
	"	mov	%eax, %ds\n"
	"	mov	%eax, %es\n"
	"	mov	%eax, %ss\n"
	"	mov	$1, %eax\n"
	"	mov	%eax, %cr0\n"
	"	mov	$0xc0000080, %ecx\n"
	"	xor	%eax, %eax\n"
	"	xor	%edx, %edx\n"
	"	wrmsr\n"
	"	mov	%eax, %cr4\n"
	"	mov	$TSS32, %eax\n"
	"	ltr	%ax\n"
	"	mov	$0xd000, %ebx\n"
	"	mov	$ENTRY, %eax\n"
	"	jmp	*%eax\n"
	"	.code64\n"
	"2:	.word	0x3f\n"
	"	.quad	0x500\n"
	"want_pvh_end:\n"
	"want_flat:\n"
	"	mov	$0x100000, %eax\n"
	"	jmp	*%rax\n"
	"want_flat_end:\n"
	".text\n");

extern const uint8_t want_linux64[], want_linux64_end[], want_pvh[], want_pvh_end[], want_flat[],
	want_flat_end[];

static void compare(enum vm_boot_entry entry, const uint8_t *want, const uint8_t *end)
{
	uint8_t got[STUB_MAX];
	size_t len = stub_build(entry, ENTRY, got);

	cr_assert_eq(len, (size_t)(end - want), "%zu bytes", len);
	for (size_t i = 0; i < len; i++)
		cr_assert_eq(got[i], want[i], "byte 0x%zx: 0x%02x, want 0x%02x", i, got[i], want[i]);
}

Test(boot_stub, linux64_is_what_the_assembler_makes)
{
	compare(VM_ENTRY_LINUX64, want_linux64, want_linux64_end);
}

Test(boot_stub, pvh_is_what_the_assembler_makes)
{
	compare(VM_ENTRY_PVH, want_pvh, want_pvh_end);
}

Test(boot_stub, flat_is_what_the_assembler_makes)
{
	compare(VM_ENTRY_FLAT, want_flat, want_flat_end);
}

Test(boot_stub, layout_is_the_same)
{
	cr_assert_eq(LAYOUT_STUB, 0x6000);
	cr_assert_eq(LAYOUT_STACK_TOP, 0x8ff0);
	cr_assert_eq(LAYOUT_ZERO_PAGE, 0x7000);
	cr_assert_eq(LAYOUT_START_INFO, 0xd000);
	cr_assert_eq(LAYOUT_GDT, 0x500);
	cr_assert_eq(BOOT_GDT_BYTES - 1, 0x3f);
	cr_assert_eq(BOOT_SEL_CODE64, 0x10);
	cr_assert_eq(BOOT_SEL_DATA, 0x18);
	cr_assert_eq(BOOT_SEL_CODE32, 0x30);
	cr_assert_eq(BOOT_SEL_TSS32, 0x38);
	cr_assert_eq(LAYOUT_HIGH, 0x100000);
}

Test(boot_stub, lands_at_its_place_in_guest_memory_or_says_so)
{
	static uint8_t ram[1 << 16];
	static uint64_t dirty[1];
	struct guestmem m = {
		.nregions = 1,
		.region = { { .size = sizeof(ram), .hva = ram } },
		.dirty = dirty,
		.size = sizeof(ram),
	};

	cr_assert(stub_write(&m, VM_ENTRY_FLAT, 0));
	cr_assert_eq(memcmp(ram + LAYOUT_STUB, want_flat, 7), 0);
	m.region[0].size = m.size = LAYOUT_STUB;
	cr_assert_not(stub_write(&m, VM_ENTRY_FLAT, 0));
}
