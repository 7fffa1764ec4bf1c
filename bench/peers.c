/* SPDX-License-Identifier: Apache-2.0 */
/* peers.c: what immure is compared with, each told to do as little as it can.
 *
 * QEMU's microvm with every optional device off runs a firmware of our own whose first
 * instruction ends it (isa-debug-exit: status is twice the value, plus 1); bwrap and runc
 * run a program that does nothing in the namespaces they make. */
#include "bench/bench.h"

#include <unistd.h>

enum { SIGNALLED = BENCH_SIGNAL * 2 + 1 };

static void become_qemu(const struct launch *l)
{
	const char *bios = bench_path(bench_dir, l->idle ? "idle.bios" : "signal.bios");

	execlp("qemu-system-x86_64", "qemu-system-x86_64", "-M",
	       "microvm,x-option-roms=off,pit=off,pic=off,rtc=off,isa-serial=off,"
	       "auto-kernel-cmdline=off,acpi=off",
	       "-enable-kvm", "-cpu", "qemu64", "-m", "128", "-nodefaults", "-no-user-config",
	       "-display", "none", "-no-reboot", "-device",
	       "isa-debug-exit,iobase=0x501,iosize=1", "-bios", bios, (char *)NULL);
}

static void become_bwrap(const struct launch *l)
{
	(void)l;
	execlp("bwrap", "bwrap", "--unshare-all", "--ro-bind", "/", "/", "true", (char *)NULL);
}

static void become_runc(const struct launch *l)
{
	char id[48];

	snprintf(id, sizeof(id), "immure-bench-%d-%u", (int)getpid(), l->number);
	execlp("runc", "runc", "run", "--bundle", bench_path(bench_dir, "bundle"), id,
	       (char *)NULL);
}

const struct subject subject_qemu = {
	.name = "qemu-microvm", .title = "QEMU microvm, all off", .tool = "qemu-system-x86_64",
	.status = SIGNALLED, .become = become_qemu,
};

const struct subject subject_bwrap = {
	.name = "bwrap", .title = "bwrap --unshare-all true", .tool = "bwrap",
	.become = become_bwrap,
};

const struct subject subject_runc = {
	.name = "runc", .title = "runc run /bin/true", .tool = "runc",
	.become = become_runc,
};
