/* SPDX-License-Identifier: Apache-2.0 */
/* compile_names.c: the words a policy file may use.
 *
 * System calls come from libseccomp, plus those that are younger than it; descriptors from
 * core/fdplan.h, so that a policy cannot disagree with the plan; constants from the kernel's
 * headers.  Argument names are per call: `flags` in a line about sendto is argument 3 because
 * the table says so, and an error in a line about write. */
#include "policy/compile.h"

#include "core/fdplan.h"
#include "core/seal.h"

#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <linux/futex.h>
#include <linux/kvm.h>
#include <linux/prctl.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <seccomp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>

struct number {
	const char *name;
	uint64_t value;
};

/* Calls that libseccomp 2.5.4 (Debian 12) does not know. */
static const struct number young_calls[] = {
	{ "futex_waitv", 449 },		{ "set_mempolicy_home_node", 450 },
	{ "cachestat", 451 },		{ "fchmodat2", 452 },
	{ "map_shadow_stack", 453 },	{ "futex_wake", 454 },
	{ "futex_wait", 455 },		{ "futex_requeue", 456 },
	{ "statmount", 457 },		{ "listmount", 458 },
	{ "lsm_get_self_attr", 459 },	{ "lsm_set_self_attr", 460 },
	{ "lsm_list_modules", 461 },	{ "mseal", 462 },
	{ "setxattrat", 463 },		{ "getxattrat", 464 },
	{ "listxattrat", 465 },		{ "removexattrat", 466 },
	{ "open_tree_attr", 467 },	{ "file_getattr", 468 },
	{ "file_setattr", 469 },
};

/* Calls whose argument 0 is the descriptor. */
static const char *const fd_calls[] = {
	"read", "write", "readv", "writev", "pread64", "pwrite64", "preadv", "pwritev",
	"preadv2", "pwritev2", "fsync", "fdatasync", "sync_file_range", "fallocate",
	"ftruncate", "fstat", "newfstatat", "statx", "lseek", "close", "dup", "dup2", "dup3",
	"fcntl", "ioctl", "flock", "sendto", "recvfrom", "sendmsg", "recvmsg", "sendmmsg",
	"recvmmsg", "accept", "accept4", "connect", "bind", "listen", "shutdown",
	"getsockopt", "setsockopt", "getsockname", "getpeername", "epoll_ctl", "epoll_wait",
	"epoll_pwait", "epoll_pwait2", "timerfd_settime", "timerfd_gettime", "signalfd4",
	"openat", "openat2", "unlinkat", "mkdirat", "renameat2", "faccessat", "readlinkat",
	"execveat", "getdents64", "pidfd_send_signal", "vmsplice",
	"fchdir", "fchmod", "fchown", "fadvise64", "setns",
};

static const struct {
	const char *call;
	const char *name;
	int arg;
} arg_names[] = {
	{ "ioctl", "cmd", 1 },		{ "fcntl", "cmd", 1 },
	{ "read", "len", 2 },		{ "write", "len", 2 },
	{ "pread64", "len", 2 },	{ "getdents64", "len", 2 },
	{ "sendto", "len", 2 },		{ "recvfrom", "len", 2 },
	{ "sendto", "addr", 4 },	{ "recvfrom", "addr", 4 },
	{ "accept4", "addr", 1 },	{ "connect", "addrlen", 2 },
	{ "lseek", "offset", 1 },	{ "exit_group", "status", 0 },
	{ "ppoll", "sigmask", 3 },	{ "epoll_pwait", "sigmask", 4 },
	{ "preadv", "high", 4 },	{ "preadv2", "high", 4 },
	{ "pwritev2", "high", 4 },	{ "timerfd_settime", "old", 3 },
	{ "wait4", "usage", 3 },	{ "ptrace", "addr", 2 },
	{ "ptrace", "data", 3 },	{ "poll", "timeout", 2 },
	{ "pidfd_send_signal", "info", 2 },	{ "pidfd_send_signal", "flags", 3 },
	{ "preadv2", "flags", 5 },	{ "pwritev2", "flags", 5 },
	{ "fallocate", "mode", 1 },	{ "sync_file_range", "flags", 3 },
	{ "lseek", "whence", 2 },	{ "dup2", "newfd", 1 },
	{ "dup3", "newfd", 1 },		{ "dup3", "flags", 2 },
	{ "close_range", "first", 0 },	{ "close_range", "last", 1 },
	{ "close_range", "flags", 2 },	{ "fadvise64", "advice", 3 },
	{ "openat", "flags", 2 },	{ "unlinkat", "flags", 2 },
	{ "execveat", "flags", 4 },	{ "newfstatat", "flags", 3 },
	{ "statx", "flags", 2 },
	{ "socket", "domain", 0 },	{ "socket", "type", 1 },
	{ "socket", "protocol", 2 },	{ "socketpair", "domain", 0 },
	{ "socketpair", "type", 1 },	{ "accept4", "flags", 3 },
	{ "sendto", "flags", 3 },	{ "recvfrom", "flags", 3 },
	{ "sendmsg", "flags", 2 },	{ "recvmsg", "flags", 2 },
	{ "sendmmsg", "flags", 3 },	{ "recvmmsg", "flags", 3 },
	{ "shutdown", "how", 1 },	{ "getsockopt", "level", 1 },
	{ "getsockopt", "option", 2 },	{ "setsockopt", "level", 1 },
	{ "setsockopt", "option", 2 },
	{ "epoll_ctl", "op", 1 },	{ "epoll_ctl", "target", 2 },
	{ "epoll_pwait", "max", 2 },	{ "ppoll", "nfds", 1 },
	{ "poll", "nfds", 1 },		{ "timerfd_settime", "flags", 1 },
	{ "timerfd_create", "clock", 0 },	{ "eventfd2", "flags", 1 },
	{ "signalfd4", "flags", 3 },	{ "clock_gettime", "clock", 0 },
	{ "clock_nanosleep", "clock", 0 },	{ "clock_nanosleep", "flags", 1 },
	{ "mmap", "prot", 2 },		{ "mmap", "flags", 3 },
	{ "mmap", "fd", 4 },		{ "mprotect", "prot", 2 },
	{ "madvise", "advice", 2 },	{ "memfd_create", "flags", 1 },
	{ "futex", "op", 1 },		{ "getrandom", "flags", 2 },
	{ "membarrier", "cmd", 0 },	{ "mseal", "flags", 2 },
	{ "mlock2", "flags", 2 },
	{ "prctl", "option", 0 },	{ "arch_prctl", "option", 0 },
	{ "seccomp", "op", 0 },		{ "seccomp", "flags", 1 },
	{ "ptrace", "request", 0 },	{ "ptrace", "pid", 1 },
	{ "clone", "flags", 0 },	{ "unshare", "flags", 0 },
	{ "wait4", "pid", 0 },		{ "wait4", "options", 2 },
	{ "waitid", "type", 0 },	{ "waitid", "pid", 1 },
	{ "waitid", "options", 3 },	{ "kill", "pid", 0 },
	{ "kill", "sig", 1 },		{ "tgkill", "tgid", 0 },
	{ "tgkill", "tid", 1 },		{ "tgkill", "sig", 2 },
	{ "pidfd_send_signal", "sig", 1 },	{ "rt_sigaction", "sig", 0 },
	{ "rt_sigprocmask", "how", 0 },	{ "prlimit64", "pid", 0 },
	{ "prlimit64", "resource", 1 },
};

#define CONSTANT(name) { #name, (uint64_t)(name) }
static const struct number constants[] = {
	CONSTANT(KVM_RUN), CONSTANT(KVM_SET_GSI_ROUTING), CONSTANT(KVM_IRQFD),
	CONSTANT(KVM_IOEVENTFD), CONSTANT(KVM_SIGNAL_MSI), CONSTANT(KVM_INTERRUPT),
	CONSTANT(KVM_GET_REGS), CONSTANT(KVM_GET_SREGS), CONSTANT(KVM_KVMCLOCK_CTRL),
	CONSTANT(KVM_SET_USER_MEMORY_REGION), CONSTANT(KVM_GET_VCPU_EVENTS),
	CONSTANT(AF_UNIX), CONSTANT(SOCK_STREAM), CONSTANT(SOCK_SEQPACKET),
	CONSTANT(SOCK_DGRAM), CONSTANT(SOCK_NONBLOCK), CONSTANT(SOCK_CLOEXEC),
	CONSTANT(SOL_SOCKET), CONSTANT(SO_ERROR), CONSTANT(SO_RCVBUF), CONSTANT(SO_SNDBUF),
	CONSTANT(SO_PEEK_OFF),
	CONSTANT(SHUT_RD), CONSTANT(SHUT_WR), CONSTANT(SHUT_RDWR),
	CONSTANT(MSG_NOSIGNAL), CONSTANT(MSG_DONTWAIT), CONSTANT(MSG_TRUNC),
	CONSTANT(MSG_PEEK), CONSTANT(MSG_CMSG_CLOEXEC), CONSTANT(MSG_EOR),
	CONSTANT(MSG_WAITALL), CONSTANT(MSG_MORE),
	CONSTANT(FUTEX_WAIT), CONSTANT(FUTEX_WAKE), CONSTANT(FUTEX_WAIT_BITSET),
	CONSTANT(FUTEX_PRIVATE_FLAG), CONSTANT(FUTEX_CLOCK_REALTIME),
	CONSTANT(FUTEX_WAIT_PRIVATE), CONSTANT(FUTEX_WAKE_PRIVATE),
	CONSTANT(FUTEX_WAIT_BITSET_PRIVATE), CONSTANT(FUTEX_REQUEUE_PRIVATE),
	CONSTANT(FUTEX_CMP_REQUEUE_PRIVATE),
	CONSTANT(PTRACE_TRACEME), CONSTANT(PTRACE_CONT), CONSTANT(PTRACE_GETREGS),
	CONSTANT(PTRACE_GETREGSET), CONSTANT(PTRACE_GETEVENTMSG),
	CONSTANT(PTRACE_GETSIGINFO), CONSTANT(PTRACE_SEIZE), CONSTANT(PTRACE_INTERRUPT),
	CONSTANT(PTRACE_LISTEN), CONSTANT(PTRACE_SETOPTIONS), CONSTANT(PTRACE_DETACH),
	CONSTANT(PTRACE_PEEKUSER), CONSTANT(PTRACE_GET_SYSCALL_INFO),
	CONSTANT(PTRACE_SYSCALL),
	CONSTANT(PROT_NONE), CONSTANT(PROT_READ), CONSTANT(PROT_WRITE), CONSTANT(PROT_EXEC),
	CONSTANT(MAP_SHARED), CONSTANT(MAP_PRIVATE), CONSTANT(MAP_ANONYMOUS),
	CONSTANT(MAP_FIXED), CONSTANT(MAP_FIXED_NOREPLACE), CONSTANT(MAP_NORESERVE),
	CONSTANT(MAP_STACK), CONSTANT(MAP_POPULATE),
	CONSTANT(MADV_DONTNEED), CONSTANT(MADV_DONTDUMP), CONSTANT(MADV_FREE),
	CONSTANT(MADV_REMOVE), CONSTANT(MLOCK_ONFAULT), CONSTANT(RLIMIT_MEMLOCK),
	CONSTANT(POSIX_FADV_WILLNEED),
	CONSTANT(F_GETFD), CONSTANT(F_SETFD), CONSTANT(F_GETFL), CONSTANT(F_SETFL),
	CONSTANT(F_DUPFD_CLOEXEC), CONSTANT(F_ADD_SEALS), CONSTANT(F_GET_SEALS),
	CONSTANT(SEEK_SET), CONSTANT(FD_CLOEXEC), CONSTANT(O_NONBLOCK), CONSTANT(O_CLOEXEC),
	CONSTANT(O_RDONLY), CONSTANT(O_WRONLY), CONSTANT(O_RDWR), CONSTANT(O_DIRECTORY),
	CONSTANT(O_PATH), CONSTANT(O_NOFOLLOW),
	CONSTANT(AT_EMPTY_PATH), CONSTANT(AT_FDCWD), CONSTANT(AT_REMOVEDIR),
	CONSTANT(AT_SYMLINK_NOFOLLOW), CONSTANT(RWF_DSYNC), CONSTANT(RWF_NOWAIT),
	CONSTANT(FALLOC_FL_KEEP_SIZE), CONSTANT(FALLOC_FL_PUNCH_HOLE),
	CONSTANT(FALLOC_FL_ZERO_RANGE),
	CONSTANT(EPOLL_CTL_ADD), CONSTANT(EPOLL_CTL_MOD), CONSTANT(EPOLL_CTL_DEL),
	CONSTANT(CLOCK_REALTIME), CONSTANT(CLOCK_MONOTONIC),
	CONSTANT(CLOCK_MONOTONIC_COARSE),
	CONSTANT(SIGKILL), CONSTANT(SIGTERM), CONSTANT(SIGUSR1), CONSTANT(SIGABRT),
	CONSTANT(WNOHANG), CONSTANT(WEXITED), CONSTANT(WNOWAIT), CONSTANT(P_ALL),
	CONSTANT(P_PID), CONSTANT(P_PIDFD), CONSTANT(__WALL), CONSTANT(__WNOTHREAD),
	CONSTANT(PR_SET_NO_NEW_PRIVS), CONSTANT(PR_SET_SECCOMP), CONSTANT(PR_SET_NAME),
	CONSTANT(PR_SET_VMA), CONSTANT(PR_CAP_AMBIENT), CONSTANT(PR_SET_DUMPABLE), CONSTANT(PR_SET_PDEATHSIG),
	CONSTANT(PR_CAPBSET_READ),
	CONSTANT(SECCOMP_SET_MODE_FILTER), CONSTANT(SECCOMP_FILTER_FLAG_TSYNC),
	CONSTANT(SIG_BLOCK), CONSTANT(SIG_UNBLOCK), CONSTANT(SIG_SETMASK),
	CONSTANT(CLONE_VM), CONSTANT(CLONE_FS), CONSTANT(CLONE_FILES),
	CONSTANT(CLONE_SIGHAND), CONSTANT(CLONE_THREAD), CONSTANT(CLONE_SYSVSEM),
	CONSTANT(CLONE_SETTLS), CONSTANT(CLONE_PARENT_SETTID),
	CONSTANT(CLONE_CHILD_CLEARTID), CONSTANT(CLONE_NEWUSER),
};

static const struct number plan[] = {
#define PLAN_ENTRY(name, number) { #name, number },
	COMMON_FDS(PLAN_ENTRY)
	BLK_FDS(PLAN_ENTRY)
	NET_FDS(PLAN_ENTRY)
	VSOCK_FDS(PLAN_ENTRY)
	VMM_FDS(PLAN_ENTRY)
	SUPERVISOR_FDS(PLAN_ENTRY)
};

static bool find(const struct number *table, size_t n, const char *name, uint64_t *out)
{
	for (size_t i = 0; i < n; i++) {
		if (strcmp(table[i].name, name) == 0) {
			*out = table[i].value;
			return true;
		}
	}
	return false;
}

#define FIND(table, name, out) find(table, sizeof(table) / sizeof((table)[0]), name, out)

int policy_syscall(const char *name)
{
	uint64_t nr;
	int known = seccomp_syscall_resolve_name_arch(SCMP_ARCH_X86_64, name);

	if (known >= 0)
		return known;
	return FIND(young_calls, name, &nr) ? (int)nr : -1;
}

const char *policy_syscall_name(int nr)
{
	static char name[32];
	char *known = seccomp_syscall_resolve_num_arch(SCMP_ARCH_X86_64, nr);

	if (known) {
		snprintf(name, sizeof(name), "%s", known);
		free(known);
		return name;
	}
	for (size_t i = 0; i < sizeof(young_calls) / sizeof(young_calls[0]); i++) {
		if (young_calls[i].value == (uint64_t)nr)
			return young_calls[i].name;
	}
	return NULL;
}

int policy_arg(const char *syscall, const char *name)
{
	if (strncmp(name, "arg", 3) == 0 && name[3] >= '0' && name[3] < '0' + POLICY_CONDS &&
	    name[4] == '\0')
		return name[3] - '0';
	for (size_t i = 0; i < sizeof(arg_names) / sizeof(arg_names[0]); i++) {
		if (strcmp(arg_names[i].call, syscall) == 0 &&
		    strcmp(arg_names[i].name, name) == 0)
			return arg_names[i].arg;
	}
	if (strcmp(name, "fd") != 0)
		return -1;
	for (size_t i = 0; i < sizeof(fd_calls) / sizeof(fd_calls[0]); i++) {
		if (strcmp(fd_calls[i], syscall) == 0)
			return 0;
	}
	return -1;
}

static const struct {
	const char *name;
	unsigned int bit;
} words[] = {
#define WORD_ENTRY(name, word, bit) { #word, name },
	WHEN_WORDS(WORD_ENTRY)
};

_Static_assert(sizeof(words) / sizeof(words[0]) == POLICY_WORDS, "see compile.h");

unsigned int policy_next(unsigned int all, unsigned int when)
{
	do
		when = policy_subset(all, when);
	while (!when_possible(all, when));
	return when;
}

unsigned int policy_word(const char *name)
{
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		if (strcmp(words[i].name, name) == 0)
			return words[i].bit;
	}
	return 0;
}

const char *policy_word_name(unsigned int bit)
{
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		if (words[i].bit == bit)
			return words[i].name;
	}
	return "?";
}

bool policy_constant(const char *name, uint64_t *out)
{
	return FIND(plan, name, out) || FIND(constants, name, out);
}
