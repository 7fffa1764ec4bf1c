/* SPDX-License-Identifier: Apache-2.0 */
/* walls_fds.c: the descriptors of a process.
 *
 * /proc/PID/fd of a process that may not be dumped is for root only; /proc/PID/fdinfo gives its
 * numbers, and some of the kinds, to whoever could trace it. */
#include "cli/walls.h"
#include "cli/say.h"
#include "cli/walls_text.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

const char *walls_kind_name(unsigned kind)
{
	static const char *const names[] = {
		"socket", "pipe", "eventfd", "epoll", "pidfd", "signalfd", "timerfd", "kvm", "kvm-vm",
		"kvm-vcpu", "memfd", "file", "directory", "block device", "character device", "other",
	};

	for (size_t i = 0; i < array_len(names); i++)
		if (kind == 1u << i)
			return names[i];
	return "?";
}

static unsigned kind_of_file(const struct stat *st)
{
	switch (st->st_mode & S_IFMT) {
	case S_IFREG: return KIND_FILE;
	case S_IFDIR: return KIND_DIRECTORY;
	case S_IFBLK: return KIND_BLOCK;
	case S_IFCHR: return KIND_CHAR;
	case S_IFSOCK: return KIND_SOCKET;
	case S_IFIFO: return KIND_PIPE;
	default: return KIND_OTHER;
	}
}

/* What the link says, and for a path what lies behind it. */
static void read_link(int dir, struct walls_fd *fd)
{
	char path[24];
	struct stat st;

	snprintf(path, sizeof(path), "fd/%u", fd->number);
	if (walls_link(dir, path, fd->target, sizeof(fd->target)) != 0)
		return;
	fd->kind = walls_parse_link(fd->target);
	if (fd->kind == KIND_UNKNOWN && fstatat(dir, path, &st, 0) == 0)
		fd->kind = kind_of_file(&st);
	say_clean(fd->target);
}

static void read_info(int dir, struct walls_fd *fd)
{
	struct walls_fdinfo info;
	char path[24], *text;
	int err;

	snprintf(path, sizeof(path), "fdinfo/%u", fd->number);
	text = walls_text(dir, path, &err);
	snprintf(fd->access, sizeof(fd->access), "?");
	if (text != NULL && walls_parse_fdinfo(text, &info)) {
		memcpy(fd->access, info.access, sizeof(fd->access));
		fd->inode = info.inode;
		if (fd->kind == KIND_UNKNOWN)
			fd->kind = info.kind;
	}
	free(text);
}

int walls_read_fds(int dir, struct walls_process *p)
{
	unsigned *number = calloc(WALLS_FDS, sizeof(*number));
	int n = -ENOMEM;

	if (number != NULL)
		n = walls_numbers(dir, "fd", number, WALLS_FDS);
	if (n == -EACCES || n == -EPERM)
		n = walls_numbers(dir, "fdinfo", number, WALLS_FDS);
	if (n > WALLS_FDS)
		n = -EFBIG;
	if (n > 0)
		p->fd = calloc((size_t)n, sizeof(*p->fd));
	if (n > 0 && p->fd == NULL)
		n = -ENOMEM;
	for (int i = 0; i < n; i++) {
		p->fd[i].number = number[i];
		read_link(dir, &p->fd[i]);
		read_info(dir, &p->fd[i]);
	}
	free(number);
	p->nfds = n > 0 ? (size_t)n : 0;
	return n < 0 ? -n : 0;
}
