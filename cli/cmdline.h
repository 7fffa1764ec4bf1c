/* SPDX-License-Identifier: Apache-2.0 */
/* cmdline.h: the kernel's words that `immure run` gives to every guest.
 *
 *   quiet                  no console to wait for
 *   panic=-1               a panic restarts at once, and
 *   reboot=a,panic_warm    a restart writes the ACPI reset register; after a panic Linux first
 *                          stores the warm-boot word at 0x472, which tells the two apart.
 *                          Without "a" a hardware-reduced machine is restarted through EFI,
 *                          which is not there (Linux arch/x86/kernel/reboot.c, from 5.2 on)
 *   pci=off                there is no PCI: 85 exits less
 *   cryptomgr.notests      no self-tests of algorithms: 0.48 of 1.31 s
 *
 * and, unless there is a debug console, 8250.nr_uarts=0: 24 exits less.
 *
 * Measured from the first instruction to power-off with Debian's 6.12 cloud kernel, counting
 * instructions (tests/testhost/run --icount).  Known and not taken: initcall_blacklist=
 * jent_mod_init (0.13 s; takes a source of randomness away from the crypto layer) and
 * initcall_blacklist=load_system_certificate_list (0.15 s, and 0.04 s a module, which is what
 * checking a signature costs; the kernel is then marked tainted). */
#ifndef IMMURE_CLI_CMDLINE_H
#define IMMURE_CLI_CMDLINE_H

#define DEFAULT_CMDLINE "quiet panic=-1 reboot=a,panic_warm pci=off cryptomgr.notests"

#endif
