/* SPDX-License-Identifier: Apache-2.0 */
/* hook_program.c: linked into the test build of a sandboxed program, around functions of it
 * (ld --wrap).  Nothing of the program's source knows.
 *
 * The attempts are made when all processes of the VM have sealed themselves and the guest is about to run:
 * the VMM knows it first and says so in the last word of guest memory.  A device then makes its attempts
 * where it would wait for work, the main thread of the VMM where it reports that the guest runs, a vCPU
 * before its first KVM_RUN.  Before, the hooks leave out what the run is without. */
#include "core/fdplan.h"
#include "core/log.h"
#include "core/vmconfig.h"
#include "tests/escape/escape.h"

#include <linux/kvm.h>
#include <poll.h>
#include <stdarg.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <unistd.h>

/* Of a device: by the filter it puts on ("blk+writable"). */
static char kind;

int __real_fdplan_claim(int first);
int __wrap_fdplan_claim(int first);
int __real_seal(const struct seal_filter *f);
int __wrap_seal(const struct seal_filter *f);
int __real_seal_memory(void);
int __wrap_seal_memory(void);
int __real_prctl(int option, ...);
int __wrap_prctl(int option, ...);
int __real_close(int fd);
int __wrap_close(int fd);
int __real_guestmem_map(struct guestmem *m, int memfd, uint64_t ram);
int __wrap_guestmem_map(struct guestmem *m, int memfd, uint64_t ram);
int __real_ppoll(struct pollfd *p, nfds_t n, const struct timespec *t, const sigset_t *s);
int __wrap_ppoll(struct pollfd *p, nfds_t n, const struct timespec *t, const sigset_t *s);
int __real_epoll_pwait(int fd, struct epoll_event *ev, int n, int ms, const sigset_t *s);
int __wrap_epoll_pwait(int fd, struct epoll_event *ev, int n, int ms, const sigset_t *s);
void __real_control_running(void);
void __wrap_control_running(void);
int __real_wide_ioctl(int fd, unsigned long request, ...);
int __wrap_wide_ioctl(int fd, unsigned long request, ...);

static void say(const char *line)
{
	log_line("%s", line);
}

/* The first thing a program does. */
int __wrap_fdplan_claim(int first)
{
	static struct vm_config config;

	if (pread(FD_CONFIG, &config, sizeof(config), 0) == (ssize_t)sizeof(config))
		escape_parse(config.cmdline);
	return escape_without(LAYER_FDS) ? 0 : __real_fdplan_claim(first);
}

int __wrap_close(int fd)
{
	return escape_without(LAYER_FDS) ? 0 : __real_close(fd);
}

int __wrap_prctl(int option, ...)
{
	unsigned long arg;
	va_list ap;

	va_start(ap, option);
	arg = va_arg(ap, unsigned long);
	va_end(ap);
	if ((option == PR_SET_NO_NEW_PRIVS && escape_without(LAYER_NNP)) ||
	    (option == PR_SET_DUMPABLE && escape_without(LAYER_DUMPABLE)))
		return 0;
	return __real_prctl(option, arg, 0, 0, 0);
}

int __wrap_seal_memory(void)
{
	return escape_without(LAYER_MSEAL) ? 0 : __real_seal_memory();
}

int __wrap_seal(const struct seal_filter *f)
{
	if (strncmp(f->name, "blk", 3) == 0)
		kind = strstr(f->name, "+writable") == NULL ? 'r' : 'b';
	else if (strcmp(f->name, "net") == 0)
		kind = 't';
	else if (strcmp(f->name, "vsock") == 0)
		kind = 'v';
	if (!escape_without(LAYER_SECCOMP) && !escape_without(LAYER_TIGHT))
		return __real_seal(f);
	return __wrap_prctl(PR_SET_NO_NEW_PRIVS, 1) | __wrap_prctl(PR_SET_DUMPABLE, 0);
}

int __wrap_guestmem_map(struct guestmem *m, int memfd, uint64_t ram)
{
	escape.mem = m;
	return __real_guestmem_map(m, memfd, ram);
}

static uint32_t *mark(void)
{
	const struct guestmem_region *r = &escape.mem->region[0];

	return (uint32_t *)(void *)(r->hva + r->size - sizeof(uint32_t));
}

/* True once, when a device's time has come; until it has, *@waiting. */
static bool now(bool *waiting)
{
	*waiting = escape.kind == kind;
	if (!*waiting || __atomic_load_n(mark(), __ATOMIC_ACQUIRE) != ESCAPE_MARK)
		return false;
	*waiting = false;
	return true;
}

int __wrap_ppoll(struct pollfd *p, nfds_t n, const struct timespec *t, const sigset_t *s)
{
	static const struct timespec soon = { .tv_nsec = 1000000 };
	bool waiting;

	if (now(&waiting))
		escape_try(kind, say);
	return __real_ppoll(p, n, waiting ? &soon : t, s);
}

int __wrap_epoll_pwait(int fd, struct epoll_event *ev, int n, int ms, const sigset_t *s)
{
	bool waiting;

	if (now(&waiting))
		escape_try(kind, say);
	return __real_epoll_pwait(fd, ev, n, waiting ? 1 : ms, s);
}

void __wrap_control_running(void)
{
	__real_control_running();
	__atomic_store_n(mark(), ESCAPE_MARK, __ATOMIC_RELEASE);
	escape_try('m', say);
}

int __wrap_wide_ioctl(int fd, unsigned long request, ...)
{
	va_list ap;
	void *arg;

	va_start(ap, request);
	arg = va_arg(ap, void *);
	va_end(ap);
	if (request == KVM_RUN)
		escape_try('c', say);
	return __real_wide_ioctl(fd, request, arg);
}
