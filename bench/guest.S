/* SPDX-License-Identifier: Apache-2.0 */
/* guest.S: the smallest guests there are, for measuring what surrounds them.
 *
 * Assembled four ways: flat code for immure (loaded at 1 MiB, entered in 64-bit mode) or, with
 * BIOS, a 64 KiB firmware whose reset vector is the same code in real mode for QEMU; and with
 * IDLE a guest that sleeps for ever instead of one that signals at its first instruction.
 * The signal is an OUT of 0x2a to port 0x501, which ends the machine; with CONSOLE also, and
 * before, to the console. */

#ifdef BIOS
	.code16
	.org 0xfff0
#else
	.code64
#endif
#ifdef IDLE
1:	hlt
	jmp 1b
#else
	mov $0x2a, %al
#ifdef CONSOLE
	mov $0x3f8, %dx
	out %al, %dx
#endif
	mov $0x501, %dx
	out %al, %dx
1:	hlt
	jmp 1b
#endif
#ifdef BIOS
	.org 0x10000
#endif
