/* SPDX-License-Identifier: Apache-2.0 */
/* table.h: the process kinds, the layers and the attempts; read by the test build of the programs and
 * by the runner, which therefore agree. */
#ifndef IMMURE_TESTS_ESCAPE_TABLE_H
#define IMMURE_TESTS_ESCAPE_TABLE_H

/* KIND(letter, name, process in the jailer's events).  A new device is a line here, a disk or
 * whatever it needs in the configuration of run_vm.c, and its letter in the rows below ("*" is every
 * kind). */
#define ESCAPE_KINDS(KIND)                      \
	KIND('b', "blk", "blk0")                \
	KIND('r', "blk-ro", "blk1")             \
	KIND('t', "net", "net0")                \
	KIND('v', "vsock", "vsock")             \
	KIND('m', "vmm", "vmm")                 \
	KIND('c', "vcpu", "vmm")                \
	KIND('s', "supervisor", "supervisor")

/* LAYER(id, name, absent): what one run leaves out.  @absent: why the layer cannot be left out yet;
 * such a line is counted as skipped. */
#define ESCAPE_LAYERS(LAYER)                                                             \
	LAYER(SECCOMP, "seccomp", NULL)		/* both filters, of every process */    \
	LAYER(TIGHT, "tight-filter", NULL)	/* only the process's own filter */     \
	LAYER(NNP, "no_new_privs", NULL)                                                 \
	LAYER(CAPS, "capabilities", NULL)                                                \
	LAYER(UID, "uid", NULL)                                                          \
	LAYER(ROOT, "root-directory", NULL)                                              \
	LAYER(FDS, "descriptor-plan", NULL)                                              \
	LAYER(NET, "network-namespace", NULL)                                            \
	LAYER(PIDNS, "pid-namespace", NULL)                                              \
	LAYER(LANDLOCK, "landlock", NULL)                                                \
	LAYER(DEVICES, "cgroup-devices", NULL)                                           \
	LAYER(RLIMITS, "rlimits", NULL)                                                  \
	LAYER(CGROUP, "cgroup-limits", NULL)                                             \
	LAYER(DUMPABLE, "dumpable", NULL)                                                \
	LAYER(MDWE, "mdwe", NULL)                                                        \
	LAYER(MSEAL, "mseal", NULL)                                                      \
	LAYER(WALL, "packet-wall", NULL)

/* NOTE(number, what, why): attempts that are not made here, and are never counted as passed. */
#define ESCAPE_NOTES(NOTE)                                                                       \
	NOTE(54, "spin on each thread", "a matter of quantity: see the bounded suite")           \
	NOTE(55, "touch memory until failure", "a matter of quantity: see the bounded suite")    \
	NOTE(56, "make descriptors until failure", "a matter of quantity: see the bounded suite")\
	NOTE(57, "flood the log", "a matter of quantity: see the bounded suite")                 \
	NOTE(58, "storm of fsync", "a matter of quantity: see the bounded suite")                \
	NOTE(60, "storm of interrupts", "its task: the guest's, and paid by whoever sends them")  \
	NOTE(64, "speculation, timing of a sibling", "host policy: reported, not proven")

/* The network interface of the kind net. */
#define ESCAPE_MAC { 2, 0, 10, 9, 0, 2 }
#define ESCAPE_IP4 { 10, 9, 0, 2 }
#define ESCAPE_IP6 { 0xfd, 0, [15] = 2 }
#define ESCAPE_NET "\"mac\":\"02:00:0a:09:00:02\",\"addresses\":[\"10.9.0.2\",\"fd00::2\"]"

enum escape_way {
	REFUSED,	/* the call must be refused, or the process killed for it */
	ENDS,		/* the process ends or says nonsense: the VM must end, and nothing be left */
	HANGS,		/* the process stops: an order must still end the VM */
};

/* SUB(number, sub, kinds, way, system call that a filter kills it for ("*": any), who else may
 * refuse it: errno or signal and the layer it comes from, what).
 *
 * Layers: S seccomp, N no_new_privs, C capabilities, U uid, R root directory, F descriptor plan (what
 * is not there, and how it was opened or sealed), T network namespace, G device control of the cgroup, P PID namespace, I session
 * keyring, L Landlock, X resource limits, M memory-deny-write-execute and mseal, Y not dumpable, Z fresh memory, B packet wall, H host
 * kernel: its policy or that it lacks the thing.  */
#define ESCAPE_FILES(SUB)                                                                                  \
	SUB(1, 1, "*", REFUSED, "openat", "ENOENT:R EACCES:L", "openat /etc/passwd")                       \
	SUB(1, 2, "*", REFUSED, "openat", "EACCES:L", "openat /")                                          \
	SUB(1, 3, "*", REFUSED, "openat", "EACCES:L", "openat .")                                          \
	SUB(1, 4, "*", REFUSED, "openat", "EACCES:L", "openat ..")                                         \
	SUB(1, 5, "*", REFUSED, "open", "ENOENT:R EACCES:L", "open /etc/passwd")                           \
	SUB(1, 6, "*", REFUSED, "openat2", "ENOENT:R EACCES:L", "openat2 /etc/passwd")                     \
	SUB(1, 7, "*", REFUSED, "openat", "ENOENT:R EACCES:L", "openat a file anybody may write")          \
	SUB(1, 8, "*", REFUSED, "creat", "EROFS:R EACCES:L", "creat /escaped")                             \
	SUB(1, 9, "*", REFUSED, "openat", "ENOENT:R EACCES:L", "O_PATH of /, then ../etc/passwd")          \
	SUB(2, 1, "*", REFUSED, "openat", "ENOENT:R EACCES:L", "openat /proc/self/exe for writing")        \
	SUB(2, 2, "*", REFUSED, "openat", "ENOENT:R EACCES:L ETXTBSY:H", "open own program for writing")   \
	SUB(3, 1, "*", REFUSED, "fchdir", "EBADF:F ENOTDIR:F EACCES:L ENOENT:F",                           \
	    "fchdir to each descriptor, then ../../etc/passwd")                                            \
	SUB(3, 2, "*", REFUSED, "openat", "EBADF:F ENOTDIR:F EACCES:L ENOENT:F",                           \
	    "openat each descriptor, ../../../etc/passwd")                                                 \
	SUB(3, 3, "*", REFUSED, "openat", "EBADF:F ENOTDIR:F EACCES:L ENOENT:F",                           \
	    "openat each descriptor, create a file")                                                       \
	SUB(4, 1, "*", REFUSED, "openat", "ENOENT:R EACCES:L", "reopen the disk through /proc/self/fd")    \
	SUB(4, 2, "*", REFUSED, "open", "ENOENT:R EACCES:L", "reopen the disk through /dev/fd")            \
	SUB(4, 3, "rtvmcs", REFUSED, "pwritev2", "EBADF:F ESPIPE:F", "pwritev2 to a read-only disk")       \
	SUB(4, 4, "r", REFUSED, "pwrite64", "EBADF:F", "pwrite64 to a read-only disk")                     \
	SUB(4, 5, "r", REFUSED, "mmap", "EACCES:F", "map a read-only disk shared and writable")            \
	SUB(4, 6, "r", REFUSED, "fcntl", "EBADF:F", "F_SETFL O_RDWR on a read-only disk, then write")      \
	SUB(5, 1, "*", REFUSED, "fcntl", "EBADF:F", "F_SETFL on each descriptor")                          \
	SUB(5, 2, "*", REFUSED, "fcntl", "EBADF:F ESRCH:P", "F_SETOWN to another process, each descriptor")\
	SUB(5, 3, "*", REFUSED, "fcntl", "EBADF:F", "F_SETSIG on each descriptor")                         \
	SUB(5, 4, "*", REFUSED, "fcntl", "EBADF:F ENOTDIR:F", "F_NOTIFY on each descriptor")               \
	SUB(6, 1, "*", REFUSED, "mount", "EPERM:C", "mount proc")                                          \
	SUB(6, 2, "*", REFUSED, "mount", "EPERM:C", "mount sysfs")                                         \
	SUB(6, 3, "*", REFUSED, "mount", "EPERM:C", "mount tmpfs")                                         \
	SUB(6, 4, "*", REFUSED, "mount", "EPERM:C", "remount / writable")                                  \
	SUB(6, 5, "*", REFUSED, "mount", "EPERM:C", "bind / over /")                                       \
	SUB(6, 6, "*", REFUSED, "umount2", "EPERM:C", "unmount /")                                         \
	SUB(7, 1, "*", REFUSED, "fsopen", "EPERM:C", "fsopen proc")                                        \
	SUB(7, 2, "*", REFUSED, "fsmount", "EPERM:C", "fsmount")                                           \
	SUB(7, 3, "*", REFUSED, "open_tree", "EPERM:C", "open_tree a copy of /")                           \
	SUB(7, 4, "*", REFUSED, "move_mount", "EPERM:C", "move_mount /")                                   \
	SUB(7, 5, "*", REFUSED, "mount_setattr", "EPERM:C", "mount_setattr / writable")                    \
	SUB(7, 6, "*", REFUSED, "fspick", "EPERM:C", "fspick /")                                           \
	SUB(8, 1, "*", REFUSED, "chroot", "EPERM:C EACCES:U", "chroot .")                                           \
	SUB(8, 2, "*", REFUSED, "pivot_root", "EPERM:C", "pivot_root . .")                                 \
	SUB(9, 1, "*", REFUSED, "mknod", "EROFS:R EPERM:C EACCES:L", "mknod a disk, 8:0")                  \
	SUB(9, 2, "*", REFUSED, "mknodat", "EROFS:R EPERM:C EACCES:L", "mknodat /dev/kvm, 10:232")         \
	SUB(10, 1, "*", REFUSED, "open_by_handle_at", "EPERM:C EBADF:F ESTALE:F",                          \
	    "open_by_handle_at inode 2, each descriptor")                                                  \
	SUB(11, 1, "*", REFUSED, "symlinkat", "ENOENT:R EACCES:L", "symlink where the next VM's files lie")\
	SUB(11, 2, "*", REFUSED, "symlink", "EROFS:R EACCES:L", "symlink in /")                            \
	SUB(11, 3, "*", REFUSED, "symlinkat", "EBADF:F ENOTDIR:F EACCES:L",                                \
	    "symlinkat in each descriptor")                                                                \
	SUB(11, 4, "*", REFUSED, "mkdirat", "EBADF:F ENOTDIR:F EACCES:L", "mkdirat in each descriptor")    \
	SUB(11, 5, "*", REFUSED, "renameat2", "EBADF:F ENOTDIR:F EACCES:L ENOENT:R EXDEV:L",               \
	    "rename in each descriptor")                                                                   \
	SUB(12, 1, "*", REFUSED, "linkat", "EBADF:F EXDEV:R ENOENT:C EROFS:R EACCES:L",                             \
	    "linkat each descriptor to a name")                                                            \
	SUB(12, 2, "*", REFUSED, "openat", "EROFS:R EACCES:L EOPNOTSUPP:R", "O_TMPFILE in /")              \
	SUB(13, 1, "*", REFUSED, "ftruncate", "EBADF:F EINVAL:F EPERM:F", "shrink the guest's memory")     \
	SUB(13, 2, "*", REFUSED, "ftruncate", "EBADF:F EINVAL:F EPERM:F", "grow the guest's memory")       \
	SUB(13, 3, "*", REFUSED, "fcntl", "EBADF:F EINVAL:F EPERM:F", "seal the guest's memory")           \
	SUB(13, 4, "br", REFUSED, "ftruncate", "EINVAL:F", "truncate the disk")                            \
	SUB(14, 1, "*", REFUSED, "fallocate", "EBADF:F ESPIPE:F ENODEV:F", "punch a hole through the memory's file")\
	SUB(14, 2, "brtvmc", REFUSED, "madvise", "", "MADV_REMOVE guest memory")                           \
	SUB(14, 3, "br", REFUSED, "fallocate", "EBADF:F SIGXFSZ:X EFBIG:X", "enlarge the disk by fallocate")         \
	SUB(15, 1, "*", REFUSED, "memfd_create", "SIGXFSZ:X EFBIG:X EMFILE:X", "memfd_create, fill it")            \
	SUB(15, 2, "*", REFUSED, "memfd_create", "SIGXFSZ:X EFBIG:X EMFILE:X EACCES:L",                            \
	    "memfd_create, fill it, execute it")                                                           \
	SUB(16, 1, "*", REFUSED, "pwritev2", "SIGXFSZ:X EFBIG:X EBADF:F ESPIPE:F EINVAL:F",                \
	    "pwritev2 past the end of the disk")                                                           \
	SUB(17, 1, "*", REFUSED, "execve", "ENOENT:R EACCES:L", "execve /bin/sh")                          \
	SUB(17, 2, "*", REFUSED, "execve", "ENOENT:R EACCES:L", "execve a set-user-id program")            \
	SUB(17, 3, "*", REFUSED, "execveat", "EBADF:F EACCES:L ENOEXEC:F ENOENT:F",                        \
	    "execveat descriptor 0, as the jailer does")

#define ESCAPE_PROCESSES(SUB)                                                                              \
	SUB(18, 1, "*", REFUSED, "fork", "EAGAIN:X", "fork")                                               \
	SUB(18, 2, "*", REFUSED, "vfork", "EAGAIN:X EINVAL:P", "vfork")                                    \
	SUB(18, 3, "*", REFUSED, "clone", "EAGAIN:X", "clone a process")                                   \
	SUB(18, 4, "*", REFUSED, "clone", "EAGAIN:X EINVAL:P", "clone a thread")                                    \
	SUB(18, 5, "*", REFUSED, "clone3", "EAGAIN:X", "clone3")                                           \
	SUB(18, 6, "*", REFUSED, "clone", "EAGAIN:X EINVAL:P", "ten thousand threads at once")             \
	SUB(19, 1, "*", REFUSED, "ptrace", "EPERM:U ESRCH:P", "attach to another process of the VM")       \
	SUB(19, 2, "*", REFUSED, "ptrace", "EPERM:U ESRCH:P", "seize another process of the VM")           \
	SUB(19, 3, "*", REFUSED, "ptrace", "EPERM:U ESRCH:P", "attach to a process of the host")           \
	SUB(20, 1, "*", REFUSED, "process_vm_readv", "EPERM:U ESRCH:P", "read another process's memory")   \
	SUB(20, 2, "*", REFUSED, "process_vm_writev", "EPERM:U ESRCH:P", "write another process's memory") \
	SUB(20, 3, "*", REFUSED, "process_vm_readv", "EPERM:U ESRCH:P", "read a host process's memory")    \
	SUB(20, 4, "*", REFUSED, "kcmp", "EPERM:U ESRCH:P ENOSYS:H", "kcmp with another process")          \
	SUB(20, 5, "*", REFUSED, "pidfd_open", "EPERM:U EACCES:U ESRCH:P EBADF:F EMFILE:X",                \
	    "process_madvise another process")                                                             \
	SUB(21, 1, "*", REFUSED, "openat", "ENOENT:R EACCES:L", "open /proc/1/mem")                        \
	SUB(21, 2, "*", REFUSED, "openat", "ENOENT:R EACCES:L", "open /proc/PID/mem of a host process")    \
	SUB(22, 1, "*", REFUSED, "pidfd_open", "EPERM:U ESRCH:P EMFILE:X",                                 \
	    "pidfd_getfd from another process of the VM")                                                  \
	SUB(22, 2, "s", REFUSED, "pidfd_getfd", "EPERM:U", "pidfd_getfd the VM through a pidfd it holds")  \
	SUB(23, 1, "*", REFUSED, "kill", "ESRCH:P EPERM:U", "kill every process there is")                 \
	SUB(23, 2, "*", REFUSED, "kill", "ESRCH:P EPERM:U", "kill another process of the VM")              \
	SUB(23, 3, "*", REFUSED, "kill", "ESRCH:P EPERM:U", "kill a process of the host")                  \
	SUB(23, 4, "*", REFUSED, "tgkill", "ESRCH:P EPERM:U", "tgkill another process of the VM")          \
	SUB(23, 5, "*", REFUSED, "rt_sigqueueinfo", "ESRCH:P EPERM:U", "queue a signal to another process")\
	SUB(23, 6, "s", REFUSED, "pidfd_send_signal", "EPERM:U",                                           \
	    "another signal than SIGKILL through a pidfd it holds")                                        \
	SUB(24, 1, "brtvmc", REFUSED, "kill", "ESRCH:P EPERM:U", "stop the supervisor")                    \
	SUB(24, 2, "*", REFUSED, "prctl", "", "do not die with the parent")                                \
	SUB(24, 3, "*", REFUSED, "kill", "ESRCH:P EPERM:U", "kill who started the supervisor")             \
	SUB(25, 1, "*", REFUSED, "setuid", "EINVAL:U EPERM:C", "setuid")                                   \
	SUB(25, 2, "*", REFUSED, "setresuid", "EINVAL:U EPERM:C", "setresuid")                             \
	SUB(25, 3, "*", REFUSED, "setresgid", "EINVAL:U EPERM:C", "setresgid")                             \
	SUB(25, 4, "*", REFUSED, "setgroups", "EINVAL:U EPERM:C", "setgroups")                             \
	SUB(25, 5, "*", REFUSED, "capset", "EPERM:C", "capset all")                                        \
	SUB(26, 1, "*", REFUSED, "keyctl", "ENOKEY:I ENOSYS:H EACCES:U", "find the host's key, session")   \
	SUB(26, 2, "*", REFUSED, "keyctl", "ENOKEY:U ENOSYS:H EACCES:U", "find the host's key, user")      \
	SUB(26, 3, "*", REFUSED, "request_key", "ENOKEY:I ENOSYS:H EACCES:U", "request the host's key")    \
	SUB(27, 1, "*", REFUSED, "prctl", "", "become dumpable")                                           \
	SUB(27, 2, "*", REFUSED, "prctl", "EPERM:C EINVAL:C", "PR_SET_MM")                                 \
	SUB(27, 3, "*", REFUSED, "prctl", "EINVAL:N", "take no_new_privs back")                            \
	SUB(27, 4, "*", REFUSED, "prctl", "EPERM:C", "raise an ambient capability")                        \
	SUB(27, 5, "*", REFUSED, "prctl", "EPERM:C", "unlock the securebits")                              \
	SUB(27, 6, "*", REFUSED, "prctl", "EPERM:M EINVAL:M", "take memory-deny-write-execute back")       \
	SUB(27, 7, "*", REFUSED, "prctl", "EINVAL:H", "let anybody trace us (Yama)")                       \
	SUB(28, 1, "*", REFUSED, "seccomp", "EMFILE:X EACCES:N", "a filter with a listener")               \
	SUB(28, 2, "*", REFUSED, "seccomp", "EACCES:N", "another filter that allows all")                  \
	SUB(29, 1, "*", REFUSED, "*", "SIGSEGV:H", "int 0x80")                                             \
	SUB(29, 2, "*", REFUSED, "*", "ENOSYS:H", "an x32 call")                                           \
	SUB(29, 3, "*", REFUSED, "*", "ENOSYS:H", "call number 511")                                       \
	SUB(29, 4, "*", REFUSED, "*", "ENOSYS:H", "call number 547, once of x32")                          \
	SUB(29, 5, "*", REFUSED, "*", "ENOSYS:H", "call number 1023")                                      \
	SUB(29, 6, "*", REFUSED, "*", "ENOSYS:H", "call number -1")                                        \
	SUB(30, 1, "*", REFUSED, "mprotect", "EACCES:M", "make data executable")                           \
	SUB(30, 2, "*", REFUSED, "mmap", "EACCES:M", "map memory writable and executable")                 \
	SUB(30, 3, "*", REFUSED, "pkey_mprotect", "EACCES:M", "make data executable, with a key")          \
	SUB(30, 4, "brtvmc", REFUSED, "mprotect", "EACCES:M", "make guest memory executable")              \
	SUB(31, 1, "*", REFUSED, "munmap", "EPERM:M", "unmap code")                                               \
	SUB(31, 2, "*", REFUSED, "mmap", "EPERM:M", "map zeros over code")                                        \
	SUB(31, 3, "*", REFUSED, "mremap", "EPERM:M", "move code away")                                           \
	SUB(31, 4, "*", REFUSED, "mprotect", "EACCES:M EPERM:M", "make code writable")                             \
	SUB(32, 1, "*", REFUSED, "personality", "", "personality READ_IMPLIES_EXEC")                       \
	SUB(32, 2, "*", REFUSED, "modify_ldt", "ENOSYS:H", "modify_ldt")                                   \
	SUB(32, 3, "*", REFUSED, "arch_prctl", "", "arch_prctl ARCH_SET_GS")                               \
	SUB(33, 1, "*", REFUSED, "sigaltstack", "", "sigaltstack")                                         \
	SUB(33, 2, "*", REFUSED, "rt_sigreturn", "SIGSEGV:H", "rt_sigreturn to a forged frame")            \
	SUB(34, 1, "*", REFUSED, "unshare", "ENOSPC:U EPERM:C EINVAL:H", "unshare a user namespace")       \
	SUB(34, 2, "*", REFUSED, "clone", "EAGAIN:X ENOSPC:U", "clone into a user namespace")              \
	SUB(34, 3, "*", REFUSED, "unshare", "EPERM:C", "unshare a mount namespace")                        \
	SUB(34, 4, "*", REFUSED, "unshare", "EPERM:C", "unshare a network namespace")                      \
	SUB(35, 1, "*", REFUSED, "setns", "EBADF:F EINVAL:F EPERM:C", "setns to each descriptor")          \
	SUB(35, 2, "s", REFUSED, "setns", "EPERM:C", "setns to a process through a pidfd it holds")        \
	SUB(36, 1, "*", REFUSED, "clone3", "EBADF:F EAGAIN:X EACCES:U EBUSY:H", "clone3 into another cgroup")      \
	SUB(36, 2, "*", REFUSED, "openat", "ENOENT:R EACCES:L", "open a cgroup's task list")               \
	SUB(36, 3, "*", REFUSED, "openat", "EBADF:F ENOTDIR:F EACCES:L ENOENT:F",                          \
	    "open the task list below each descriptor")                                                    \
	SUB(36, 4, "*", REFUSED, "mount", "EPERM:C", "mount a cgroup, for its release agent")              \
	SUB(37, 1, "*", REFUSED, "openat", "ENOENT:R EACCES:L", "open core_pattern")                       \
	SUB(37, 2, "*", REFUSED, "openat", "ENOENT:R EACCES:L", "open sysrq-trigger")                      \
	SUB(37, 3, "*", REFUSED, "openat", "ENOENT:R EACCES:L", "open uevent_helper")                      \
	SUB(37, 4, "*", REFUSED, "openat", "ENOENT:R EACCES:L", "open the path of modprobe")

#define ESCAPE_SOCKETS(SUB)                                                                                \
	SUB(38, 1, "*", REFUSED, "socket", "EACCES:L ENETUNREACH:T EMFILE:X", "TCP to the host")           \
	SUB(38, 2, "*", REFUSED, "socket", "ENETUNREACH:T EMFILE:X", "UDP to the host")                    \
	SUB(38, 3, "*", REFUSED, "socket", "EACCES:L ENETUNREACH:T EADDRNOTAVAIL:T EAFNOSUPPORT:H EMFILE:X",\
	    "TCP to the host, IPv6")                                                                       \
	SUB(38, 4, "*", REFUSED, "socket", "EACCES:L EADDRNOTAVAIL:T EMFILE:X", "listen on TCP")           \
	SUB(39, 1, "*", REFUSED, "socket", "ENOENT:R EMFILE:X", "connect to a Unix socket of the host")    \
	SUB(39, 2, "*", REFUSED, "socket", "ECONNREFUSED:T EPERM:L EMFILE:X",                              \
	    "connect to an abstract Unix socket of the host")                                              \
	SUB(39, 3, "*", REFUSED, "socket", "ENOENT:R EACCES:U EMFILE:X",                                   \
	    "connect to a Unix socket beside the sockets' directory (..)")                                 \
	SUB(39, 4, "*", REFUSED, "socket", "ENOENT:R EMFILE:X", "send to a Unix datagram socket")          \
	SUB(40, 1, "*", REFUSED, "socket", "EAFNOSUPPORT:H ENODEV:H EMFILE:X", "AF_VSOCK to the host")     \
	SUB(40, 2, "*", REFUSED, "socket", "EAFNOSUPPORT:H ENODEV:H EMFILE:X", "AF_VSOCK to a guest")      \
	SUB(41, 1, "*", REFUSED, "socket", "ENODEV:T EMFILE:X", "find the host's interfaces by netlink")   \
	SUB(41, 2, "*", REFUSED, "socket", "EPERM:C", "AF_PACKET socket")                                  \
	SUB(41, 3, "*", REFUSED, "socket", "EAFNOSUPPORT:H", "AF_ALG socket")                              \
	SUB(41, 4, "*", REFUSED, "socket", "EAFNOSUPPORT:H EPERM:C", "AF_BLUETOOTH socket")                \
	SUB(42, 1, "*", REFUSED, "sendmsg", "EBADF:F ENOTSOCK:F", "send a descriptor to a peer")           \
	SUB(42, 2, "*", REFUSED, "recvmsg", "EBADF:F ENOTSOCK:F EAGAIN:F", "receive a descriptor")         \
	SUB(43, 1, "*", REFUSED, "ioctl", "EBADF:F ENOTTY:F EINVAL:F EEXIST:F",                            \
	    "TUNSETIFF on each descriptor")                                                                \
	SUB(43, 2, "*", REFUSED, "ioctl", "EBADF:F ENOTTY:F EINVAL:F", "TUNSETPERSIST on each descriptor") \
	SUB(43, 3, "*", REFUSED, "ioctl", "EBADF:F ENOTTY:F EINVAL:F", "TUNATTACHFILTER on each descriptor")\
	SUB(43, 4, "t", REFUSED, "ioctl", "", "TUNSETOWNER: the tap is its user's")                        \
	SUB(43, 5, "t", REFUSED, "ioctl", "EPERM:C", "the host's network namespace through the tap")       \
	SUB(43, 6, "t", REFUSED, "ioctl", "", "SIOCSIFHWADDR: another address of the host's end")          \
	SUB(43, 7, "t", REFUSED, "ioctl", "", "TUNSETCARRIER: the host's end is down")                     \
	SUB(43, 8, "t", REFUSED, "ioctl", "", "TUNSETSTEERINGEBPF")                                        \
	SUB(43, 9, "t", REFUSED, "ioctl", "", "TUNSETSNDBUF: no bound for what the host holds")            \
	SUB(44, 1, "*", REFUSED, "socket", "EPERM:C", "send a raw frame")                                  \
	SUB(44, 2, "t", REFUSED, "-", "ENOMSG:B", "send a frame with another MAC address")                 \
	SUB(44, 3, "t", REFUSED, "-", "ENOMSG:B", "send a frame with another IP address")                  \
	SUB(44, 4, "t", REFUSED, "-", "ENOMSG:B", "send a frame as a DHCP server")                         \
	SUB(44, 5, "t", REFUSED, "-", "ENOMSG:B", "send a frame as an IPv4 router")                        \
	SUB(44, 6, "t", REFUSED, "-", "ENOMSG:B", "send a frame as an IPv6 router")                        \
	SUB(45, 1, "*", REFUSED, "socket", "ENETUNREACH:T EMFILE:X", "reach 169.254.169.254")              \
	SUB(45, 2, "*", REFUSED, "socket", "ENETUNREACH:T EMFILE:X", "reach a neighbour, 10.0.0.1")             \
	SUB(45, 3, "t", REFUSED, "-", "ENOMSG:B", "send a frame to 169.254.169.254")                       \
	SUB(45, 4, "t", REFUSED, "-", "ENOMSG:B", "send a frame to the host's loopback, 127.0.0.1")

#define ESCAPE_KERNEL(SUB)                                                                                 \
	SUB(46, 1, "*", REFUSED, "bpf", "EPERM:C", "load a program by bpf")                                \
	SUB(46, 2, "*", REFUSED, "bpf", "EPERM:C", "make a map by bpf")                                    \
	SUB(46, 3, "*", REFUSED, "perf_event_open", "EACCES:C EPERM:C ENOENT:H EMFILE:X", "count the kernel")\
	SUB(46, 4, "*", REFUSED, "userfaultfd", "EPERM:C ENOSYS:H EMFILE:X", "userfaultfd, kernel faults") \
	SUB(46, 5, "*", REFUSED, "userfaultfd", "ENOSYS:H EMFILE:X", "userfaultfd, own faults")            \
	SUB(47, 1, "*", REFUSED, "io_uring_setup", "EPERM:H ENOSYS:H ENOMEM:X EMFILE:X", "io_uring_setup")          \
	SUB(47, 2, "*", REFUSED, "io_uring_enter", "EBADF:F EOPNOTSUPP:F ENOSYS:H", "io_uring_enter")      \
	SUB(47, 3, "*", REFUSED, "io_uring_register", "EBADF:F EOPNOTSUPP:F ENOSYS:H EINVAL:F",            \
	    "io_uring_register")                                                                           \
	SUB(48, 1, "*", REFUSED, "openat", "ENOENT:R EACCES:L EPERM:G", "open /dev/kvm")                         \
	SUB(48, 2, "*", REFUSED, "ioctl", "EBADF:F ENOTTY:F EINVAL:F EOPNOTSUPP:F", "KVM_CREATE_VM on each descriptor")\
	SUB(48, 3, "mc", REFUSED, "ioctl", "", "KVM_CREATE_DEVICE")                                        \
	SUB(48, 4, "mc", REFUSED, "ioctl", "EINVAL:H ENOTTY:H", "KVM_SET_NESTED_STATE")                    \
	SUB(48, 5, "mc", REFUSED, "ioctl", "EINVAL:H ENOTTY:H", "KVM_MEMORY_ENCRYPT_OP")                   \
	SUB(48, 6, "mc", REFUSED, "ioctl", "EMFILE:X", "KVM_CREATE_VCPU")                                  \
	SUB(48, 7, "mc", REFUSED, "ioctl", "", "KVM_IOEVENTFD")                                            \
	SUB(48, 8, "mc", REFUSED, "ioctl", "", "KVM_IRQFD")                                                \
	SUB(48, 9, "mc", REFUSED, "ioctl", "EEXIST:H EINVAL:H ENOENT:H", "KVM_CREATE_PIT2")                         \
	SUB(48, 10, "mc", REFUSED, "ioctl", "EINVAL:H", "KVM_ENABLE_CAP")                                          \
	SUB(48, 11, "mc", REFUSED, "ioctl", "", "KVM_GET_REGS")                                            \
	SUB(49, 1, "mc", REFUSED, "ioctl", "EINVAL:H", "show the guest the VMM's own code")                \
	SUB(49, 2, "mc", REFUSED, "ioctl", "", "take the guest's memory away")                             \
	SUB(50, 1, "mc", REFUSED, "ioctl", "", "KVM_SET_MSRS")                                             \
	SUB(50, 2, "mc", REFUSED, "ioctl", "EINVAL:H", "KVM_SET_CPUID2")                                   \
	SUB(50, 3, "mc", REFUSED, "ioctl", "", "KVM_SET_SREGS")                                            \
	SUB(51, 1, "*", REFUSED, "ioctl", "EBADF:F ENOTTY:F", "TIOCSTI on descriptors 0 to 2")             \
	SUB(51, 2, "*", REFUSED, "ioctl", "EBADF:F ENOTTY:F", "TIOCLINUX on descriptors 0 to 2")           \
	SUB(51, 3, "*", REFUSED, "ioctl", "EBADF:F ENOTTY:F", "TIOCSETD on descriptors 0 to 2")            \
	SUB(52, 1, "*", REFUSED, "iopl", "EPERM:C ENOSYS:H", "iopl")                                                \
	SUB(52, 2, "*", REFUSED, "ioperm", "EPERM:C ENOSYS:H", "ioperm")                                            \
	SUB(52, 3, "*", REFUSED, "kexec_load", "EPERM:C ENOSYS:H", "kexec_load")                           \
	SUB(52, 4, "*", REFUSED, "init_module", "EPERM:C ENOSYS:H", "init_module")                         \
	SUB(52, 5, "*", REFUSED, "finit_module", "EPERM:C ENOSYS:H", "finit_module")                       \
	SUB(52, 6, "*", REFUSED, "delete_module", "EPERM:C ENOSYS:H", "delete_module")                     \
	SUB(52, 7, "*", REFUSED, "reboot", "EPERM:C", "reboot")                                            \
	SUB(52, 8, "*", REFUSED, "swapon", "EPERM:C ENOSYS:H", "swapon")                                   \
	SUB(52, 9, "*", REFUSED, "quotactl", "EPERM:C ENOSYS:H ENODEV:R ENOENT:R", "quotactl")             \
	SUB(52, 10, "*", REFUSED, "syslog", "EPERM:C", "read the kernel's log")                            \
	SUB(52, 11, "*", REFUSED, "settimeofday", "EPERM:C", "set the clock")                              \
	SUB(52, 12, "*", REFUSED, "acct", "EPERM:C ENOSYS:H", "acct")                                      \
	SUB(53, 1, "*", REFUSED, "sched_setscheduler", "EPERM:X", "SCHED_FIFO")                            \
	SUB(53, 2, "*", REFUSED, "setpriority", "EACCES:X EPERM:X", "nice -20")                            \
	SUB(53, 3, "*", REFUSED, "sched_setaffinity", "", "run on another processor")                      \
	SUB(53, 4, "*", REFUSED, "mlockall", "EPERM:X ENOMEM:X", "mlockall")                               \
	SUB(53, 5, "*", REFUSED, "sched_setattr", "EPERM:X", "SCHED_DEADLINE")                             \
	SUB(53, 6, "*", REFUSED, "ioprio_set", "EPERM:C", "real-time I/O priority")                        \
	SUB(59, 1, "brtvmc", ENDS, "write", "", "nonsense to the peers: every byte 0xff")                  \
	SUB(59, 2, "brtvmc", ENDS, "write", "", "nonsense to the peers: one byte")                         \
	SUB(59, 3, "m", ENDS, "write", "", "nonsense to the supervisor")                                   \
	SUB(61, 1, "*", ENDS, "exit_group", "", "exit")                                                    \
	SUB(61, 2, "*", ENDS, "*", "", "crash")                                                            \
	SUB(61, 3, "*", HANGS, "kill", "", "stop itself")                                                  \
	SUB(61, 4, "*", HANGS, "close_range", "", "close every descriptor")                                 \
	SUB(62, 1, "*", REFUSED, "prlimit64", "EPERM:X", "allow itself core dumps")                        \
	SUB(62, 2, "brtvmc", REFUSED, "madvise", "", "put guest memory into dumps")                        \
	SUB(63, 1, "brtvmc", REFUSED, "*", "ENODATA:Z", "find what an earlier VM left in memory")

#define ESCAPE_TABLE(SUB) ESCAPE_FILES(SUB) ESCAPE_PROCESSES(SUB) ESCAPE_SOCKETS(SUB) ESCAPE_KERNEL(SUB)

#endif
