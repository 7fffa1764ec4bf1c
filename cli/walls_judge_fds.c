/* SPDX-License-Identifier: Apache-2.0 */
/* walls_judge_fds.c: the descriptors of a process against its plan: each number is planned, and
 * what lies behind it is of the planned kind.
 *
 * What a process closes before it seals itself must be gone; where its plan wants no number to
 * be free, copies of its log stand in, and nothing else may. */
#include "cli/walls.h"

#include <stdio.h>
#include <string.h>

enum { KIND_LOG_ONLY = 1 << 16 };

static const char leak[] = "it holds something that nobody gave it on purpose";

/* KIND_LOG_ONLY: closed before the process seals itself. */
static const unsigned object_kinds[PLAN_OBJECTS] = {
	[OBJ_PAGES] = KIND_LOG_ONLY, [OBJ_CONFIG] = KIND_LOG_ONLY, [OBJ_MEM] = KIND_LOG_ONLY,
	[OBJ_KVM] = KIND_LOG_ONLY, [OBJ_KERNEL] = KIND_LOG_ONLY, [OBJ_INITRD] = KIND_LOG_ONLY,
	[OBJ_LOG_WRITE] = KIND_PIPE, [OBJ_LOG_READ] = KIND_PIPE,
	[OBJ_CTL_VMM] = KIND_SOCKET, [OBJ_CTL_SUPERVISOR] = KIND_SOCKET,
	[OBJ_CONSOLE_WRITE] = KIND_PIPE, [OBJ_CONSOLE_READ] = KIND_PIPE,
	[OBJ_CONSOLE_OUT] = KIND_PIPE | KIND_FILE | KIND_CHAR | KIND_SOCKET,
	[OBJ_ACK] = KIND_EVENTFD, [OBJ_WAKE] = KIND_EVENTFD,
	[OBJ_LINK_VMM] = KIND_SOCKET, [OBJ_LINK_DEVICE] = KIND_SOCKET,
	[OBJ_CALL] = KIND_EVENTFD, [OBJ_KICK] = KIND_EVENTFD,
	[OBJ_WORK] = KIND_EVENTFD, [OBJ_DONE] = KIND_EVENTFD,
	[OBJ_DISK] = KIND_FILE | KIND_BLOCK,
	[OBJ_OVERLAY] = KIND_FILE | KIND_MEMFD,
	[OBJ_TAP] = KIND_CHAR,
	[OBJ_LISTEN] = KIND_SOCKET, [OBJ_DIAL_VSOCK] = KIND_SOCKET,
	[OBJ_DIAL_SUPERVISOR] = KIND_SOCKET, [OBJ_CLIENT] = KIND_SOCKET,
	[OBJ_SIGNAL] = KIND_SIGNALFD, [OBJ_TIMER] = KIND_TIMERFD,
	[OBJ_RUNDIR] = KIND_DIRECTORY, [OBJ_RUNPARENT] = KIND_DIRECTORY,
	[OBJ_CGROUP] = KIND_DIRECTORY, [OBJ_PID] = KIND_PIDFD,
	[OBJ_PASST_NET] = KIND_SOCKET, [OBJ_PASST] = KIND_SOCKET, [OBJ_PASST_PID] = KIND_PIDFD,
	[OBJ_PASST_LOG_WRITE] = KIND_PIPE, [OBJ_PASST_LOG_READ] = KIND_PIPE,
	[OBJ_MEMORY_EVENTS] = KIND_FILE, [OBJ_LOCK] = KIND_FILE,
};

static unsigned born_kind(const struct plan_process *pp, unsigned number)
{
	if (pp->program == PROGRAM_VMM)
		return number == VMM_VM ? KIND_KVM_VM : KIND_KVM_VCPU;
	return pp->program == PROGRAM_VSOCK && number == VSOCK_EPOLL ? KIND_EPOLL : KIND_LOG_ONLY;
}

/* Finds what @number of @pp may be.  False when the plan does not have it. */
static bool planned(const struct plan_process *pp, unsigned number, unsigned *kinds)
{
	for (unsigned i = 0; i < pp->nfds; i++) {
		const struct plan_fd *fd = &pp->fd[i];

		if (fd->number != number)
			continue;
		*kinds = object_kinds[fd->object];
		if (fd->object == OBJ_KICK && pp->program == PROGRAM_VMM)
			*kinds = KIND_LOG_ONLY;		/* given to KVM and closed */
		return true;
	}
	for (unsigned i = 0; i < pp->nborn; i++)
		if (pp->born[i] == number) {
			*kinds = born_kind(pp, number);
			return true;
		}
	*kinds = KIND_SOCKET;	/* a connection */
	return pp->dynamic_from != 0 && number >= pp->dynamic_from;
}

static const struct walls_fd *log_of(const struct walls_process *p)
{
	for (size_t i = 0; i < p->nfds; i++)
		if (p->fd[i].number == FD_LOG)
			return &p->fd[i];
	return NULL;
}

static bool copy_of_log(const struct walls_process *p, const struct walls_fd *fd)
{
	const struct walls_fd *log = log_of(p);

	if (log == NULL)
		return false;
	if (fd->target[0] != 0)
		return strcmp(fd->target, log->target) == 0;
	return fd->inode != 0 && fd->inode == log->inode;
}

static void judge_fd(struct walls_vm *vm, const struct walls_process *p, struct walls_fd *fd,
		     const struct plan_process *pp)
{
	const char *is = walls_kind_name(fd->kind);
	unsigned kinds;

	plan_fd_name((enum plan_program)pp->program, fd->number, fd->name, sizeof(fd->name));
	if (!planned(pp, fd->number, &kinds))
		walls_note(&vm->weaker, p, 0, leak, "descriptor %u (%s) is not in its plan", fd->number,
			   is);
	else if (kinds == KIND_LOG_ONLY && copy_of_log(p, fd))
		snprintf(fd->name, sizeof(fd->name), "copy of FD_LOG");
	else if (kinds == KIND_LOG_ONLY)
		walls_note(&vm->weaker, p, 0, "it should have been closed before the process sealed itself",
			   "descriptor %u, %s (%s), is still open", fd->number, fd->name, is);
	else if (kinds != KIND_LOG_ONLY && fd->kind != KIND_UNKNOWN && (fd->kind & kinds) == 0)
		walls_note(&vm->weaker, p, 0, leak, "descriptor %u, %s, is not what is planned, but: %s",
			   fd->number, fd->name, is);
}

/* A file that may be written without end is only a wall if its size limits it. */
static void judge_size(struct walls_vm *vm, const struct walls_process *p,
		       const struct plan_process *pp)
{
	bool endless = p->limits_err == 0 && p->limits.hard[LIMIT_FSIZE] == UINT64_MAX;

	for (size_t i = 0; i < p->nfds && pp->limits.fsize == PLAN_FSIZE_DISK && endless; i++)
		if (p->fd[i].number == BLK_DISK && p->fd[i].kind == KIND_FILE)
			walls_note(&vm->weaker, p, 0, "it can fill the host's disk",
				   "its image may grow without limit");
}

/* What several VMs share below their overlays none of them may write. */
static void judge_base(struct walls_vm *vm, const struct walls_process *p)
{
	for (size_t i = 0; i < p->nfds && p->program == PROGRAM_BLK; i++)
		if (p->fd[i].number == BLK_BASE && strchr(p->fd[i].access, 'w') != NULL)
			walls_note(&vm->weaker, p, 0, "it can change other VMs' disks",
				   "the base below its overlay is open for writing");
}

void walls_judge_fds(struct walls_vm *vm, struct walls_process *p, const struct plan_process *pp)
{
	for (size_t i = 0; i < p->nfds; i++) {
		struct walls_fd *fd = &p->fd[i];

		judge_fd(vm, p, fd, pp);
		if (fd->kind == KIND_UNKNOWN)
			walls_note(&vm->unread, p, 0, "only its number is visible", "kind of descriptor %u",
				   fd->number);
	}
	judge_size(vm, p, pp);
	judge_base(vm, p);
}
