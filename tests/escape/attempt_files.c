/* SPDX-License-Identifier: Apache-2.0 */
/* attempt_files.c: 1 to 17: files, mounts, descriptors, programs. */
#include "core/fdplan.h"
#include "core/log.h"
#include "tests/escape/escape.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/uio.h>

#ifndef F_ADD_SEALS
#define F_ADD_SEALS 1033
#define F_SEAL_WRITE 8
#endif
#ifndef F_SETSIG
#define F_SETSIG 10
#endif
#ifndef F_NOTIFY
#define F_NOTIFY 1026
#endif
#ifndef O_TMPFILE
#define O_TMPFILE 020200000
#endif

enum { CANARY_MODE = 0666, FILL = 4096 };

/* A host file: escape.dir/@name. */
static const char *host(const char *name)
{
	static char path[128];

	log_format(path, sizeof(path), "%s%s", escape.dir, name);
	return path;
}

static long open_files(unsigned sub)
{
	struct open_how how = { .flags = O_RDONLY };
	long fd, rc;

	switch (sub) {
	case 1: return CALL(SYS_openat, AT_FDCWD, "/etc/passwd", O_RDONLY);
	case 2: return CALL(SYS_openat, AT_FDCWD, "/", O_RDONLY | O_DIRECTORY);
	case 3: return CALL(SYS_openat, AT_FDCWD, ".", O_RDONLY | O_DIRECTORY);
	case 4: return CALL(SYS_openat, AT_FDCWD, "..", O_RDONLY | O_DIRECTORY);
	case 5: return CALL(SYS_open, "/etc/passwd", O_RDONLY);
	case 6: return CALL(SYS_openat2, AT_FDCWD, "/etc/passwd", &how, sizeof(how));
	case 7: return CALL(SYS_openat, AT_FDCWD, host("/canary"), O_RDWR);
	case 8: return CALL(SYS_creat, "/escaped", CANARY_MODE);
	}
	fd = CALL(SYS_openat, AT_FDCWD, "/", O_PATH);
	if (fd < 0)
		return fd;
	rc = CALL(SYS_openat, fd, "../etc/passwd", O_RDONLY);
	CALL(SYS_close, fd);
	return rc;
}

static long open_program(unsigned sub)
{
	if (sub == 1)
		return CALL(SYS_openat, AT_FDCWD, "/proc/self/exe", O_RDWR);
	return CALL(SYS_openat, AT_FDCWD, host("/bin/immure-vmm"), O_RDWR);
}

static long leave_by_fchdir(int fd)
{
	long rc = CALL(SYS_fchdir, fd);

	return rc < 0 ? rc : CALL(SYS_openat, AT_FDCWD, "../../etc/passwd", O_RDONLY);
}

static long leave_by_openat(int fd)
{
	return CALL(SYS_openat, fd, "../../../etc/passwd", O_RDONLY);
}

static long create_below(int fd)
{
	return CALL(SYS_openat, fd, "escaped", O_CREAT | O_RDWR, CANARY_MODE);
}

static long use_directories(unsigned sub)
{
	switch (sub) {
	case 1: return each_fd(leave_by_fchdir);
	case 2: return each_fd(leave_by_openat);
	}
	return each_fd(create_below);
}

static long write_read_only(unsigned sub)
{
	struct iovec v = { .iov_base = (char[]){ "escaped" }, .iov_len = 7 };
	long rc;

	switch (sub) {
	case 1: return CALL(SYS_openat, AT_FDCWD, "/proc/self/fd/8", O_RDWR);
	case 2: return CALL(SYS_open, "/dev/fd/8", O_RDWR);
	case 3: return CALL(SYS_pwritev2, BLK_DISK, &v, 1);
	case 4: return CALL(SYS_pwrite64, BLK_DISK, "escaped", 7);
	case 5:
		rc = CALL(SYS_mmap, 0, FILL, PROT_READ | PROT_WRITE, MAP_SHARED, BLK_DISK);
		return rc > -4096 && rc < 0 ? rc : 0;
	}
	rc = CALL(SYS_fcntl, BLK_DISK, F_SETFL, O_RDWR);
	return rc < 0 ? rc : CALL(SYS_write, BLK_DISK, "escaped", 7);
}

static long flags_of(int fd)
{
	long flags = CALL(SYS_fcntl, fd, F_GETFL);

	return flags < 0 ? flags : CALL(SYS_fcntl, fd, F_SETFL, flags ^ O_NONBLOCK);
}

static long owner_of(int fd) { return CALL(SYS_fcntl, fd, F_SETOWN, 1); }
static long signal_of(int fd) { return CALL(SYS_fcntl, fd, F_SETSIG, 9); }
static long notify_of(int fd) { return CALL(SYS_fcntl, fd, F_NOTIFY, 0x8000000f); }

static long control_descriptors(unsigned sub)
{
	switch (sub) {
	case 1: return each_fd(flags_of);
	case 2: return each_fd(owner_of);
	case 3: return each_fd(signal_of);
	}
	return each_fd(notify_of);
}

static long mounts(unsigned sub)
{
	switch (sub) {
	case 1: return CALL(SYS_mount, "proc", "/", "proc");
	case 2: return CALL(SYS_mount, "sysfs", "/", "sysfs");
	case 3: return CALL(SYS_mount, "tmpfs", "/", "tmpfs");
	case 4: return CALL(SYS_mount, 0, "/", 0, 0x20 | 0x1000);	/* REMOUNT | BIND */
	case 5: return CALL(SYS_mount, "/", "/", 0, 0x1000);
	}
	return CALL(SYS_umount2, "/", 2);
}

static long new_mounts(unsigned sub)
{
	const uint64_t attr[4] = { 0, 1, 0, 0 };	/* clear MOUNT_ATTR_RDONLY */

	switch (sub) {
	case 1: return CALL(SYS_fsopen, "proc", 0);
	case 2: return CALL(SYS_fsmount, FD_LOG, 0, 0);
	case 3: return CALL(SYS_open_tree, AT_FDCWD, "/", 1);
	case 4: return CALL(SYS_move_mount, AT_FDCWD, "/", AT_FDCWD, "/", 0);
	case 5: return CALL(SYS_mount_setattr, AT_FDCWD, "/", 0, attr, sizeof(attr));
	}
	return CALL(SYS_fspick, AT_FDCWD, "/", 0);
}

static long make_nodes(unsigned sub)
{
	if (sub == 1)
		return CALL(SYS_mknod, "/disk", S_IFBLK | CANARY_MODE, makedev(8, 0));
	return CALL(SYS_mknodat, AT_FDCWD, "/kvm", S_IFCHR | CANARY_MODE, makedev(10, 232));
}

/* Inode 2, the root of many file systems. */
static long by_handle(int fd)
{
	const struct { uint32_t bytes; int32_t type; uint32_t f[2]; } handle = { 8, 1, { 2, 0 } };

	return CALL(SYS_open_by_handle_at, fd, &handle, O_RDONLY);
}

static long link_below(int fd) { return CALL(SYS_symlinkat, "/etc/passwd", fd, "v.sock_77"); }
static long directory_below(int fd) { return CALL(SYS_mkdirat, fd, "escaped", 0777); }
static long rename_below(int fd) { return CALL(SYS_renameat2, fd, "v.sock", fd, "v.sock_78", 0); }

static long plant(unsigned sub)
{
	switch (sub) {
	case 1: return CALL(SYS_symlinkat, "/etc/passwd", AT_FDCWD, host("/planted"));
	case 2: return CALL(SYS_symlink, "/etc/passwd", "/planted");
	case 3: return each_fd(link_below);
	case 4: return each_fd(directory_below);
	}
	return each_fd(rename_below);
}

static long name_it(int fd)
{
	return CALL(SYS_linkat, fd, "", AT_FDCWD, "escaped", AT_EMPTY_PATH);
}

static long change_memory(unsigned sub)
{
	switch (sub) {
	case 1: return CALL(SYS_ftruncate, FD_MEM, 0);
	case 2: return CALL(SYS_ftruncate, FD_MEM, 1l << 40);
	case 3: return CALL(SYS_fcntl, FD_MEM, F_ADD_SEALS, F_SEAL_WRITE);
	}
	return CALL(SYS_ftruncate, BLK_DISK, FILL);
}

static long punch(unsigned sub)
{
	if (sub == 1)
		return CALL(SYS_fallocate, FD_MEM, 3, 0, FILL);	/* PUNCH_HOLE | KEEP_SIZE */
	if (sub == 2)
		return CALL(SYS_madvise, escape.mem->region[0].hva, FILL, MADV_REMOVE);
	return CALL(SYS_fallocate, BLK_DISK, 0, 0, 1 << 24);
}

/* A program of one segment that exits with ESCAPE_EXECUTED. */
__asm__(".section .rodata.payload,\"a\"\n"
	"payload:\n"
	"	.byte 0x7f, 'E', 'L', 'F', 2, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0\n"
	"	.short 2, 62\n	.long 1\n	.quad 0x400078, 64, 0\n	.long 0\n"
	"	.short 64, 56, 1, 0, 0, 0\n"
	"	.long 1, 5\n	.quad 0, 0x400000, 0x400000, 0x1000, 0x1000, 0x1000\n"
	"	mov $231, %eax\n	mov $77, %edi\n	syscall\n"
	"	.zero 4096 - 132\n"
	".text\n");
extern const char payload[];

static long anonymous_program(unsigned sub)
{
	static const char *const argv[] = { "escaped", NULL };
	long fd = CALL(SYS_memfd_create, "escaped", 0), rc;

	if (fd < 0)
		return fd;
	rc = CALL(SYS_write, fd, payload, FILL);
	if (rc < 0 || sub == 1)
		return rc;
	return CALL(SYS_execveat, fd, "", argv, argv + 1, AT_EMPTY_PATH);
}

static long execute(unsigned sub)
{
	static const char *const argv[] = { "sh", NULL };

	if (sub == 1)
		return CALL(SYS_execve, "/bin/sh", argv, argv + 1);
	if (sub == 2)
		return CALL(SYS_execve, "/bin/su", argv, argv + 1);
	return CALL(SYS_execveat, 0, "", argv, argv + 1, AT_EMPTY_PATH);
}

long attempt_files(unsigned number, unsigned sub)
{
	struct iovec v = { .iov_base = (char[]){ "escaped" }, .iov_len = 7 };

	switch (number) {
	case 1: return open_files(sub);
	case 2: return open_program(sub);
	case 3: return use_directories(sub);
	case 4: return write_read_only(sub);
	case 5: return control_descriptors(sub);
	case 6: return mounts(sub);
	case 7: return new_mounts(sub);
	case 8: return sub == 1 ? CALL(SYS_chroot, ".") : CALL(SYS_pivot_root, ".", ".");
	case 9: return make_nodes(sub);
	case 10: return each_fd(by_handle);
	case 11: return plant(sub);
	case 12: return sub == 1 ? each_fd(name_it)
		      : CALL(SYS_openat, AT_FDCWD, "/", O_TMPFILE | O_RDWR, CANARY_MODE);
	case 13: return change_memory(sub);
	case 14: return punch(sub);
	case 15: return anonymous_program(sub);
	case 16: return CALL(SYS_pwritev2, BLK_DISK, &v, 1, 1l << 30, 0, 0);
	case 17: return execute(sub);
	}
	return -ENOSYS;
}
