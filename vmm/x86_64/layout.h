/* SPDX-License-Identifier: Apache-2.0 */
/* layout.h: the guest-physical addresses, lines and ports of the machine (x86-64).
 *
 * Everything the guest can find at a fixed place, in one table; nothing here moves at run
 * time, which is why all wiring can happen before the VMM seals itself. */
#ifndef IMMURE_VMM_X86_64_LAYOUT_H
#define IMMURE_VMM_X86_64_LAYOUT_H

/* Low memory, written once by vmm/boot before the first instruction. */
#define LAYOUT_GDT        0x00000500ull
#define LAYOUT_STUB       0x00006000ull	/* where vCPU 0 starts: see vmm/boot/stub.c */
#define LAYOUT_ZERO_PAGE  0x00007000ull	/* struct boot_params */
#define LAYOUT_STACK_TOP  0x00008ff0ull
#define LAYOUT_PML4       0x00009000ull
#define LAYOUT_PDPT       0x0000a000ull
#define LAYOUT_PD0        0x0000b000ull	/* maps 0..1 GiB one to one */
#define LAYOUT_PD3        0x0000c000ull	/* maps 3..4 GiB one to one: device registers */
#define LAYOUT_START_INFO 0x0000d000ull	/* struct hvm_start_info, its memory map and modules */
#define LAYOUT_SETUP_DATA 0x0000e000ull	/* struct setup_data: the random seed */
#define LAYOUT_CMDLINE    0x00020000ull
#define LAYOUT_LOW_END    0x0009fc00ull	/* end of usable low memory in the E820 map */
#define LAYOUT_ACPI       0x000e0000ull	/* RSDP first, the other tables behind it */
#define LAYOUT_ACPI_END   0x00100000ull
#define LAYOUT_HIGH       0x00100000ull	/* 1 MiB: memory goes on; flat guests load here */
#define LAYOUT_WARM_BOOT  0x00000472ull	/* Linux stores 0x1234 here when a panic restarts */
#define LAYOUT_WARM_MAGIC 0x1234u

/* Devices. */
#define LAYOUT_MMIO       0xd0000000ull	/* register page of device 0; one page each */
#define LAYOUT_MMIO_SIZE  0x1000ull
#define LAYOUT_GSI0       16u		/* device i interrupts on GSI 16 + i, edge triggered */
#define LAYOUT_IOAPIC     0xfec00000ull
#define LAYOUT_IOAPIC_PINS 24u
#define LAYOUT_LAPIC      0xfee00000ull
#define LAYOUT_TSS        0xfffbd000ull	/* three pages KVM wants on Intel */
#define LAYOUT_IDENTITY   0xfffbc000ull	/* one more */

/* I/O ports. */
#define LAYOUT_PORT_SLEEP_CONTROL 0x600u
#define LAYOUT_PORT_SLEEP_STATUS  0x601u
#define LAYOUT_PORT_RESET         0x604u
#define LAYOUT_RESET_VALUE        0x06u
#define LAYOUT_SLP_TYP_S5         5u
#define LAYOUT_PORT_TEST          0x501u	/* flat guests only: vmm/ports.c */
#define LAYOUT_PORT_CONSOLE       0x3f8u	/* 8 ports */

#endif
