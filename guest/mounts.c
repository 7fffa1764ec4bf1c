/* SPDX-License-Identifier: Apache-2.0 */
/* mounts.c: tables of what is mounted where, and the way back.
 *
 * Targets may be anything the image says (a link, a file): a mount then fails or lands
 * elsewhere inside this guest, which is the image's own affair.  Only /proc and /dev/pts are
 * demanded; a kernel without cgroups or message queues still runs commands. */
#include "guest/mounts.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

enum { NODEV = MS_NOSUID | MS_NODEV, NOEXEC = NODEV | MS_NOEXEC, MOUNTINFO_MAX = 64 * 1024 };

struct kernel_mount {
	const char *type, *target, *data;
	unsigned long flags;
	bool required;
};

static const struct kernel_mount late[] = {
	{ "proc", "/proc", NULL, NOEXEC, true },
	{ "sysfs", "/sys", NULL, NOEXEC, false },
	{ "cgroup2", "/sys/fs/cgroup", "nsdelegate", NOEXEC, false },
	{ "devpts", "/dev/pts", "gid=5,mode=620,ptmxmode=666", MS_NOSUID | MS_NOEXEC, true },
	{ "tmpfs", "/dev/shm", "mode=1777", NODEV, false },
	{ "mqueue", "/dev/mqueue", NULL, NOEXEC, false },
	{ "tmpfs", "/run", "mode=755", NODEV, false },
};

static const char *const links[][2] = {
	{ "/proc/self/fd", "/dev/fd" },
	{ "/proc/self/fd/0", "/dev/stdin" },
	{ "/proc/self/fd/1", "/dev/stdout" },
	{ "/proc/self/fd/2", "/dev/stderr" },
};

/* Without a console the kernel starts PID 1 with no descriptors at all; a socket that became
 * descriptor 1 would swallow a library's last words. */
static int open_standard_fds(struct fail *f)
{
	int fd;

	do {
		fd = open("/dev/null", O_RDWR);
		if (fd < 0)
			return fail_errno(f, errno, "open /dev/null");
	} while (fd <= STDERR_FILENO);
	close(fd);
	return 0;
}

int mounts_early(struct fail *f)
{
	mkdir("/dev", 0755);
	/* EBUSY: a kernel with CONFIG_DEVTMPFS_MOUNT was here first. */
	if (mount("devtmpfs", "/dev", "devtmpfs", MS_NOSUID, "mode=755") < 0 && errno != EBUSY)
		return fail_errno(f, errno, "mount /dev");
	return open_standard_fds(f);
}

static int make_tmp(struct fail *f)
{
	if (mkdir("/tmp", 0777) < 0)
		return errno == EEXIST ? 0 : fail_errno(f, errno, "mkdir /tmp");
	return chmod("/tmp", 01777) < 0 ? fail_errno(f, errno, "chmod /tmp") : 0;
}

int mounts_late(struct fail *f)
{
	for (size_t i = 0; i < array_len(late); i++) {
		const struct kernel_mount *m = &late[i];

		mkdir(m->target, 0755);
		if (mount(m->type, m->target, m->type, m->flags, m->data) == 0)
			continue;
		if (m->required)
			return fail_errno(f, errno, "mount %s", m->target);
		note("mount %s: %s", m->target, strerror(errno));
	}
	for (size_t i = 0; i < array_len(links); i++)
		if (symlink(links[i][0], links[i][1]) < 0 && errno != EEXIST)
			note("link %s: %s", links[i][1], strerror(errno));
	return make_tmp(f);
}

/* Turns the octal escapes of /proc/self/mounts ("\040" is a space) back, in place. */
static void unescape(char *s)
{
	char *to = s;

	for (; *s; s++) {
		if (s[0] == '\\' && s[1] >= '0' && s[1] <= '3' && s[2] >= '0' && s[2] <= '7' &&
		    s[3] >= '0' && s[3] <= '7') {
			*to++ = (char)((s[1] - '0') * 64 + (s[2] - '0') * 8 + (s[3] - '0'));
			s += 3;
		} else {
			*to++ = *s;
		}
	}
	*to = '\0';
}

/* One line of /proc/self/mounts: "source target type options 0 0". */
static void undo_line(char *line)
{
	char *target = strchr(line, ' '), *end;

	if (!target || strncmp(line, "/dev/", 5) != 0)
		return;
	*target++ = '\0';
	end = strchr(target, ' ');
	if (!end)
		return;
	*end = '\0';
	unescape(target);
	if (umount2(target, 0) < 0 &&
	    mount(NULL, target, NULL, MS_REMOUNT | MS_RDONLY, NULL) < 0)
		note("unmount %s: %s", target, strerror(errno));
}

/* The command may have mounted over /proc what it liked: a pipe there must not hold us up. */
static int open_mounts(void)
{
	int fd = open("/proc/self/mounts", O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	struct stat st;

	if (fd >= 0 && (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))) {
		close(fd);
		return -1;
	}
	return fd;
}

void mounts_undo(void)
{
	static char list[MOUNTINFO_MAX];
	int fd = open_mounts();
	size_t len = 0;
	ssize_t n;

	if (fd < 0)
		return;
	while (len < sizeof(list) - 1 && (n = read(fd, list + len, sizeof(list) - 1 - len)) > 0)
		len += (size_t)n;
	close(fd);
	list[len] = '\0';
	while (len > 0) {
		char *line;

		if (list[len - 1] == '\n')
			list[len - 1] = '\0';
		line = memrchr(list, '\n', len - 1);
		line = line ? line + 1 : list;
		len = (size_t)(line - list);
		undo_line(line);
	}
}
