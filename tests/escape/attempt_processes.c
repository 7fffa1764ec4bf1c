/* SPDX-License-Identifier: Apache-2.0 */
/* attempt_processes.c: 18 to 37 and 61 to 63: processes, privileges, memory, endings. */
#include "core/fdplan.h"
#include "core/log.h"
#include "tests/escape/escape.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <linux/keyctl.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/uio.h>

#ifndef PR_SET_MDWE
#define PR_SET_MDWE 65
#endif

enum { PAGE = 4096, PEERS = 24, THREADS = 10000, RWX = PROT_READ | PROT_WRITE | PROT_EXEC };

/* Code and data to attack that nothing else needs. */
__asm__(".section .text.victim,\"ax\"\n	.balign 4096\nescape_code:\n	.zero 8192, 0x90\n	.text\n");
extern char escape_code[];
static char data_page[PAGE] __attribute__((aligned(PAGE)));

/* Another process of the VM.  Of a device: the VMM, the first of its PID namespace.  Of the VMM: the first
 * number that is a process and not one of its threads; while filters stand, it is killed for whatever it
 * does with it. */
static long peer(void)
{
	bool guess = !escape_without(LAYER_SECCOMP);

	if (escape.peer != 0)
		return escape.peer;
	if (guess)
		return 1;
	if (CALL(SYS_getpid) != 1)
		return 1;
	for (long pid = 2; pid < PEERS; pid++)
		if (CALL(SYS_tgkill, pid, pid, 0) != -ESRCH)
			return pid;
	return PEERS;
}

/* As many as the process gets, all alive until the last was refused, and gone before this returns, unless
 * the coarse filter is alone: that lets threads begin, but not end. */
static long start_threads(void)
{
	static char stack[PAGE] __attribute__((aligned(16)));
	static volatile int end, gone;
	long rc = 0;
	int born = 0;

	end = gone = 0;
	for (int n = 0; n < THREADS && rc >= 0; n++) {
		/* A thread has nothing on the stack that they share, and no call but its end. */
		__asm__ volatile("syscall\n	test %%rax, %%rax\n	jnz 1f\n"
				 "2:	pause\n	cmpl $0, %1\n	je 2b\n"
				 "	lock incl %2\n"
				 "	xor %%edi, %%edi\n	mov %3, %%eax\n	syscall\n1:"
				 : "=a"(rc), "+m"(end), "+m"(gone)
				 : "i"(SYS_exit), "0"(SYS_clone),
				   "D"(CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND |
				       CLONE_THREAD | CLONE_SYSVSEM),
				   "S"(stack + PAGE), "d"(0)
				 : "rcx", "r11", "r10", "r8", "memory");
		born += rc > 0;
	}
	if (escape_without(LAYER_TIGHT))
		return rc < 0 ? rc : 0;
	end = 1;
	while (gone < born)
		__builtin_ia32_pause();
	return rc < 0 ? rc : 0;
}

static long start_process(unsigned sub)
{
	struct clone_args args = { .exit_signal = SIGCHLD };
	static char stack[PAGE] __attribute__((aligned(16)));
	long rc = -ENOSYS;

	switch (sub) {
	case 1: rc = CALL(SYS_fork); break;
	case 2: rc = CALL(SYS_vfork); break;
	case 3: rc = CALL(SYS_clone, SIGCHLD); break;
	case 5: rc = CALL(SYS_clone3, &args, sizeof(args)); break;
	case 6: return start_threads();
	case 4:
		/* The thread has nothing on its stack and no call it could be killed for. */
		__asm__ volatile("syscall\n	test %%rax, %%rax\n	jnz 1f\n"
				 "2:	pause\n	jmp 2b\n1:"
				 : "=a"(rc)
				 : "a"(SYS_clone), "D"(CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND |
						       CLONE_THREAD | CLONE_SYSVSEM),
				   "S"(stack + PAGE), "d"(0)
				 : "rcx", "r11", "r10", "r8", "memory");
		return rc;
	}
	if (rc == 0)
		CALL(SYS_exit_group, 0);
	return rc;
}

static long trace_process(unsigned sub)
{
	if (sub == 1)
		return CALL(SYS_ptrace, PTRACE_ATTACH, peer());
	if (sub == 2)
		return CALL(SYS_ptrace, PTRACE_SEIZE, peer());
	return CALL(SYS_ptrace, PTRACE_ATTACH, escape.pid);
}

static long memory_of_process(unsigned sub)
{
	static char buf[16];
	struct iovec here = { buf, sizeof(buf) };
	/* The stack of a program lies up there. */
	struct iovec there = { (void *)0x7ffffffde000, sizeof(buf) };
	long fd, rc;

	switch (sub) {
	case 1: rc = CALL(SYS_process_vm_readv, peer(), &here, 1, &there, 1, 0); break;
	case 2: rc = CALL(SYS_process_vm_writev, peer(), &here, 1, &there, 1, 0); break;
	case 3: rc = CALL(SYS_process_vm_readv, escape.pid, &here, 1, &there, 1, 0); break;
	case 4: return CALL(SYS_kcmp, peer(), escape.pid, 2, 0, 0);
	default:
		fd = CALL(SYS_pidfd_open, peer(), 0);
		rc = fd < 0 ? fd : CALL(SYS_process_madvise, fd, &there, 1, MADV_COLD, 0);
		break;
	}
	return rc == -EFAULT ? 0 : rc;	/* allowed, nothing mapped there */
}

static long open_memory(unsigned sub)
{
	char path[32];

	if (sub == 1)
		return CALL(SYS_openat, AT_FDCWD, "/proc/1/mem", O_RDWR);
	log_format(path, sizeof(path), "/proc/%ld/mem", escape.pid);
	return CALL(SYS_openat, AT_FDCWD, path, O_RDWR);
}

static long steal_descriptor(unsigned sub)
{
	long fd;

	if (sub == 2)
		return CALL(SYS_pidfd_getfd, SUP_PID0, VMM_VM, 0);
	fd = CALL(SYS_pidfd_open, peer(), 0);
	return fd < 0 ? fd : CALL(SYS_pidfd_getfd, fd, FD_LOG, 0);
}

/* Of all processes in sight but this one.  kill(-1) itself says 0 also when it reached nobody. */
static long signal_all(void)
{
	long rc = CALL(SYS_kill, -1, 0), self = CALL(SYS_getpid);

	for (long pid = 1; pid < PEERS && rc >= 0; pid++)
		if (pid != self && CALL(SYS_tgkill, self, pid, 0) < 0 && CALL(SYS_kill, pid, 0) == 0)
			return pid;
	return rc < 0 ? rc : -ESRCH;
}

/* Signal 0: the kernel asks for the same right and sends nothing, should it be granted. */
static long signal_process(unsigned sub)
{
	long to = sub == 3 ? escape.pid : peer();
	siginfo_t si;

	if (sub == 1)
		return signal_all();
	if (sub <= 3)
		return CALL(SYS_kill, to, 0);
	if (sub == 4)
		return CALL(SYS_tgkill, to, to, 0);
	if (sub == 6)
		return CALL(SYS_pidfd_send_signal, SUP_PID0, 0, 0, 0);
	memset(&si, 0, sizeof(si));
	si.si_code = SI_QUEUE;
	return CALL(SYS_rt_sigqueueinfo, to, 0, &si);
}

static long outlive_supervisor(unsigned sub)
{
	if (sub == 2)
		return CALL(SYS_prctl, PR_SET_PDEATHSIG, 0);
	/* The supervisor was started by escape.boss and is the process after it, or near. */
	for (long pid = escape.boss + 1; sub == 1 && pid < escape.boss + PEERS; pid++) {
		long rc = CALL(SYS_kill, pid, 0);

		if (rc != -ESRCH)
			return rc;
	}
	return sub == 1 ? -ESRCH : CALL(SYS_kill, escape.boss, 0);
}

static long gain_privilege(unsigned sub)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct all[2] = { { ~0u, ~0u, ~0u }, { ~0u, ~0u, ~0u } };
	const uint32_t groups[1] = { 0 };
	/* The supervisor of root is uid 0 already: somebody else then. */
	const long id = escape.peer != 0 ? 1 : 0;

	switch (sub) {
	case 1: return CALL(SYS_setuid, id);
	case 2: return CALL(SYS_setresuid, id, id, id);
	case 3: return CALL(SYS_setresgid, id, id, id);
	case 4: return CALL(SYS_setgroups, 1, groups);
	}
	return CALL(SYS_capset, &header, all);
}

static long keys(unsigned sub)
{
	static const char type[] = "user", name[] = "immure-escape-canary";

	if (sub == 3)
		return CALL(SYS_request_key, type, name, 0, 0);
	return CALL(SYS_keyctl, KEYCTL_SEARCH,
		    sub == 1 ? KEY_SPEC_SESSION_KEYRING : KEY_SPEC_USER_KEYRING, type, name, 0);
}

static long attributes(unsigned sub)
{
	switch (sub) {
	case 1: return CALL(SYS_prctl, PR_SET_DUMPABLE, 1);
	case 2: return CALL(SYS_prctl, PR_SET_MM, PR_SET_MM_BRK, data_page);
	case 3: return CALL(SYS_prctl, PR_SET_NO_NEW_PRIVS, 0);
	case 4: return CALL(SYS_prctl, PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_NET_RAW);
	case 5: return CALL(SYS_prctl, PR_SET_SECUREBITS, 0);
	case 6: return CALL(SYS_prctl, PR_SET_MDWE, 0);
	}
	return CALL(SYS_prctl, PR_SET_PTRACER, PR_SET_PTRACER_ANY);
}

static long filters(unsigned sub)
{
	struct sock_filter allow = { BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW };
	struct sock_fprog prog = { 1, &allow };

	return CALL(SYS_seccomp, SECCOMP_SET_MODE_FILTER,
		    sub == 1 ? SECCOMP_FILTER_FLAG_NEW_LISTENER : 0, &prog);
}

static long strange_calls(unsigned sub)
{
	long rc = 20;

	switch (sub) {
	case 1:		/* getpid */
		__asm__ volatile("int $0x80" : "+a"(rc) : : "memory", "r8", "r9", "r10", "r11");
		return rc;
	case 2: return CALL(0x40000000 | SYS_getpid);
	case 3: return CALL(511);
	case 4: return CALL(547);
	case 5: return CALL(1023);
	}
	return CALL(-1);
}

/* mmap's answer: an address or an error. */
static long mapped(long rc)
{
	return rc < 0 && rc > -PAGE ? rc : 0;
}

static long executable_memory(unsigned sub)
{
	switch (sub) {
	case 1: return CALL(SYS_mprotect, data_page, PAGE, RWX);
	case 2: return mapped(CALL(SYS_mmap, 0, PAGE, RWX, MAP_PRIVATE | MAP_ANONYMOUS, -1));
	case 3: return CALL(SYS_pkey_mprotect, data_page, PAGE, RWX, -1);
	}
	return CALL(SYS_mprotect, escape.mem->region[0].hva, PAGE, RWX);
}

static long replace_code(unsigned sub)
{
	char *const at = escape_code;

	switch (sub) {
	case 1: return CALL(SYS_munmap, at, PAGE);
	case 2: return mapped(CALL(SYS_mmap, at, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1));
	case 3: return mapped(CALL(SYS_mremap, at, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, data_page));
	}
	return CALL(SYS_mprotect, at, PAGE, RWX);
}

static long machine_state(unsigned sub)
{
	const struct { uint32_t entry, base, limit, flags; } ldt = { 0, 0, 0xfffff, 0x51 };

	if (sub == 1)
		return CALL(SYS_personality, 0x0400000);	/* READ_IMPLIES_EXEC */
	if (sub == 2)
		return CALL(SYS_modify_ldt, 1, &ldt, sizeof(ldt));
	return CALL(SYS_arch_prctl, 0x1001, 0);			/* ARCH_SET_GS */
}

static long signal_frames(unsigned sub)
{
	static char forged[2 * PAGE] __attribute__((aligned(64)));
	stack_t alt = { .ss_sp = forged, .ss_size = sizeof(forged) };

	if (sub == 1)
		return CALL(SYS_sigaltstack, &alt, 0);
	/* All registers zero, and with them the place to go on at. */
	__asm__ volatile("mov %0, %%rsp\n	mov $15, %%eax\n	syscall\n	ud2" : : "r"(forged + PAGE));
	__builtin_unreachable();
}

static long new_namespaces(unsigned sub)
{
	long rc;

	switch (sub) {
	case 1: return CALL(SYS_unshare, CLONE_NEWUSER);
	case 3: return CALL(SYS_unshare, CLONE_NEWNS);
	case 4: return CALL(SYS_unshare, CLONE_NEWNET);
	}
	rc = CALL(SYS_clone, CLONE_NEWUSER | SIGCHLD);
	if (rc == 0)
		CALL(SYS_exit_group, 0);
	return rc;
}

static long enter(int fd) { return CALL(SYS_setns, fd, 0); }

static long tasks_below(int fd)
{
	return CALL(SYS_openat, fd, "tasks", O_WRONLY);
}

static long other_cgroup(unsigned sub)
{
	struct clone_args args = {
		.flags = CLONE_INTO_CGROUP, .exit_signal = SIGCHLD,
		.cgroup = escape.peer != 0 ? SUP_CGROUP0 : 0,
	};
	long rc;

	switch (sub) {
	case 2: return CALL(SYS_openat, AT_FDCWD, "/sys/fs/cgroup/cgroup.procs", O_WRONLY);
	case 3: return each_fd(tasks_below);
	case 4: return CALL(SYS_mount, "cgroup", "/", "cgroup");
	}
	rc = CALL(SYS_clone3, &args, sizeof(args));
	if (rc == 0)
		CALL(SYS_exit_group, 0);
	return rc;
}

static long kernel_files(unsigned sub)
{
	static const char *const path[] = {
		"/proc/sys/kernel/core_pattern", "/proc/sysrq-trigger", "/sys/kernel/uevent_helper",
		"/proc/sys/kernel/modprobe",
	};

	return CALL(SYS_openat, AT_FDCWD, path[sub - 1], O_WRONLY);
}

static long end(unsigned sub)
{
	if (sub == 1)
		return CALL(SYS_exit_group, 3);
	if (sub == 2)
		*(volatile char *)escape_code = 1;
	if (sub == 3)
		return CALL(SYS_kill, escape_without(LAYER_SECCOMP) ? CALL(SYS_getpid) : 1, SIGSTOP);
	return CALL(SYS_close_range, 0, ~0u, 0);
}

static long dumps(unsigned sub)
{
	const uint64_t any[2] = { ~0ull, ~0ull };

	if (sub == 1)
		return CALL(SYS_prlimit64, 0, RLIMIT_CORE, any, 0);
	return CALL(SYS_madvise, escape.mem->region[0].hva, PAGE, MADV_DODUMP);
}

/* Looks through the guest's memory for ESCAPE_LEFT, and leaves it for the next. */
static long scan_memory(void)
{
	const struct guestmem_region *r = &escape.mem->region[0];
	uint64_t *words = (uint64_t *)(void *)r->hva;
	const size_t n = r->size / sizeof(*words) - 1;	/* the last is the runner's mark */
	long rc = -ENODATA;

	/* Not what the loader has put at 1 MiB and below. */
	for (size_t i = (2 << 20) / sizeof(*words); i < n; i++) {
		rc = words[i] != 0 ? (long)i : rc;
		words[i] = ESCAPE_LEFT;
	}
	return rc;
}

long attempt_processes(unsigned number, unsigned sub)
{
	switch (number) {
	case 18: return start_process(sub);
	case 19: return trace_process(sub);
	case 20: return memory_of_process(sub);
	case 21: return open_memory(sub);
	case 22: return steal_descriptor(sub);
	case 23: return signal_process(sub);
	case 24: return outlive_supervisor(sub);
	case 25: return gain_privilege(sub);
	case 26: return keys(sub);
	case 27: return attributes(sub);
	case 28: return filters(sub);
	case 29: return strange_calls(sub);
	case 30: return executable_memory(sub);
	case 31: return replace_code(sub);
	case 32: return machine_state(sub);
	case 33: return signal_frames(sub);
	case 34: return new_namespaces(sub);
	case 35: return sub == 1 ? each_fd(enter) : CALL(SYS_setns, SUP_PID0, CLONE_NEWNET);
	case 36: return other_cgroup(sub);
	case 37: return kernel_files(sub);
	case 61: return end(sub);
	case 62: return dumps(sub);
	case 63: return scan_memory();
	}
	return -ENOSYS;
}
