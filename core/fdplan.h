/* SPDX-License-Identifier: Apache-2.0 */
/* fdplan.h: which descriptor has which number in which process.
 *
 * The jailer places them before it executes a program, the program closes everything that is
 * not in its plan as its first act, and the seccomp policies name them: a policy line says
 * "fd == BLK_DISK" and the policy compiler takes the number from here.  Descriptors 0 and 1 do
 * not exist in a sealed process; 2 is the log, so that a library's last words reach it too. */
#ifndef IMMURE_CORE_FDPLAN_H
#define IMMURE_CORE_FDPLAN_H

enum {
	PLAN_DEVICES = 8,	/* devices a VM may have */
	PLAN_QUEUES = 16,	/* queues a device may have: KICK descriptors reserved for each */
	PLAN_BLK_QUEUES = 4,	/* queues of a disk */
	PLAN_BLK_THREADS = 8,	/* beside the main one, of a disk past the host's cache */
	PLAN_NET_PAIRS = 4,	/* queue pairs of a network interface: a tap each */
	PLAN_VCPUS = 32,
	PLAN_VSOCK_CONNS = 2048,/* connections of the vsock device, both directions together */
};

/* Common to all.  PAGES, CONFIG and MEM are closed before the process seals itself. */
#define COMMON_FDS(X)                                                                   \
	X(FD_PAGES, 1)		/* counters and limits; closed after mapping; may be absent */ \
	X(FD_LOG, 2)		/* pipe to the supervisor, non-blocking */                  \
	X(FD_CONFIG, 3)		/* sealed memfd: struct vm_config; closed after reading */  \
	X(FD_MEM, 4)		/* guest memory memfd; closed after mapping */

/* Devices: LINK is the SOCK_SEQPACKET pair to the VMM, CALL the irqfd eventfd, KICK0.. the
 * ioeventfd eventfds of the queues. */
#define BLK_FDS(X)                                                                      \
	X(BLK_LINK, 5)                                                                      \
	X(BLK_CALL, 6)                                                                      \
	X(BLK_KICK0, 7)		/* +queue */                                                \
	X(BLK_KICK1, 8)		/* to 10; the policy compares under a mask of 4 */          \
	X(BLK_DISK, 13)		/* the image, or an overlay over one */                     \
	X(BLK_BASE, 14)		/* below an overlay: the image, read-only; else absent */   \
	X(BLK_WORK, 15)		/* past the host's cache: permits for its threads; else absent */ \
	X(BLK_DONE, 16)		/* likewise: they are finished */                           \
	X(BLK_NFDS, 17)

#define NET_FDS(X)                                                                      \
	X(NET_LINK, 5)                                                                      \
	X(NET_CALL, 6)                                                                      \
	X(NET_KICK0, 7)		/* to the guest, from the guest, and so on; last control */ \
	X(NET_KICK1, 8)                                                                     \
	X(NET_TAP0, 16)		/* +pair; without a tap the first is the socket of passt */    \
	X(NET_NFDS, 20)

#define VSOCK_FDS(X)                                                                    \
	X(VSOCK_LINK, 5)                                                                    \
	X(VSOCK_CALL, 6)                                                                    \
	X(VSOCK_KICK0, 7)	/* rx; +1 tx; +2 event */                                   \
	X(VSOCK_KICK1, 8)                                                                   \
	X(VSOCK_KICK2, 9)                                                                   \
	X(VSOCK_LISTEN, 10)	/* the host-side Unix socket, listening; even: a policy masks */ \
	X(VSOCK_LISTEN_SEQ, 11)	/* the same for SOCK_SEQPACKET */                           \
	X(VSOCK_DIAL, 12)	/* to the supervisor, which connects to PATH_PORT for us */ \
	X(VSOCK_EPOLL, 13)                                                                  \
	X(VSOCK_CONN0, 14)	/* first connection; the rest follow */                     \
	X(VSOCK_NFDS, 14)

/* VMM: everything from VMM_LINK0 on is per device.  VCPU0.. are born inside. */
#define VMM_FDS(X)                                                                      \
	X(VMM_CTL, 5)		/* SOCK_SEQPACKET to the supervisor */                      \
	X(VMM_KVM, 6)		/* /dev/kvm; closed after KVM_CREATE_VM */                  \
	X(VMM_KERNEL, 7)	/* kernel image; closed after loading */                    \
	X(VMM_INITRD, 8)	/* initramfs; closed after loading; may be absent */        \
	X(VMM_CONSOLE, 9)	/* pipe for the debug console; absent when off */           \
	X(VMM_ACK, 10)		/* eventfd that swallows InterruptACK writes */             \
	X(VMM_WAKE, 11)		/* eventfd: a vCPU thread wakes the main thread */          \
	X(VMM_VM, 12)		/* the VM descriptor */                                     \
	X(VMM_LINK0, 16)	/* +device */                                               \
	X(VMM_CALL0, 24)	/* +device */                                               \
	X(VMM_KICK0, 32)	/* +device * PLAN_QUEUES + queue; closed after KVM_IOEVENTFD */ \
	X(VMM_VCPU0, 160)	/* +vCPU; the policies compare it under a mask of 32 */     \
	X(VMM_NFDS, 192)

/* Supervisor (what the jailer becomes). */
#define SUPERVISOR_FDS(X)                                                               \
	X(SUP_CLIENT, 3)	/* SOCK_SEQPACKET to immure run: stop orders, the report */ \
	X(SUP_CTL, 4)		/* SOCK_SEQPACKET to the VMM */                             \
	X(SUP_CONSOLE_OUT, 5)	/* where the caller wants the debug console; may be absent */ \
	X(SUP_SIGNAL, 6)	/* signalfd: SIGCHLD, SIGTERM, SIGINT, SIGHUP */            \
	X(SUP_DIAL, 7)		/* to the vsock process */                                  \
	X(SUP_CONSOLE, 8)	/* read end of the debug console's pipe */                  \
	X(SUP_TIMER, 9)		/* timerfd: --timeout and the grace period */               \
	X(SUP_RUNDIR, 10)	/* directory of this VM's sockets */                        \
	X(SUP_RUNPARENT, 11)	/* its parent, to remove it */                              \
	X(SUP_CGROUP0, 12)	/* parents of the VM's cgroup (v1: one a controller) */     \
	X(SUP_PID0, 16)		/* pidfds of the processes: 0 the VMM, 1 + device */        \
	X(SUP_PASST, 31)	/* the pidfd of passt; may be absent */                     \
	X(SUP_LOG0, 32)		/* read ends of the log pipes: 0 the VMM, 1 + device */     \
	X(SUP_PASST_LOG, 47)	/* its log */                                               \
	X(SUP_MEMORY, 48)	/* events of the VM's memory cgroup; may be absent */    \
	X(SUP_LOCK0, 49)	/* locks of the VM's name and number; may be absent */      \
	X(SUP_NFDS, 51)

/* passt, which is not ours: what it is started with.  It opens the rest itself. */
#define PASST_FDS(X)                                                                    \
	X(PASST_IN, 0)		/* never read: it must not be free */                       \
	X(PASST_OUT, 1)		/* both the same as the next */                                  \
	X(PASST_ERR, 2)		/* pipe to the supervisor, non-blocking */                  \
	X(PASST_NET, 3)		/* SOCK_STREAM to immure-net */                             \
	X(PASST_NFDS, 4)

/* What immure-vsock may hold: so many connections, and one descriptor more, because the supervisor's
 * answer for a connection that is gone by now may come when the table is full. */
#define PLAN_VSOCK_NOFILE(connections) (VSOCK_CONN0 + (connections) + 1)

#define FDPLAN_ENUM(name, number) name = number,
enum fdplan {
	COMMON_FDS(FDPLAN_ENUM)
	BLK_FDS(FDPLAN_ENUM)
	NET_FDS(FDPLAN_ENUM)
	VSOCK_FDS(FDPLAN_ENUM)
	VMM_FDS(FDPLAN_ENUM)
	SUPERVISOR_FDS(FDPLAN_ENUM)
	PASST_FDS(FDPLAN_ENUM)
};
#undef FDPLAN_ENUM

/* Closes every descriptor from @first on, and 0, and ignores SIGPIPE, so that a peer that
 * died is an error (EPIPE) and not our death: the first act of every jailed program.  Returns 0
 * or -errno. */
int fdplan_claim(int first);

/* Ignores signal @signo.  Returns 0 or -errno. */
int fdplan_ignore(int signo);

/* Makes room for descriptors below @end.  Growing the table of a process with several threads
 * waits for an RCU grace period; so it is grown before there are threads.  Returns 0 or
 * -errno. */
int fdplan_reserve(int end);

/* Moves @fd to the number @target (replacing what is there), close-on-exec.  Returns 0 or
 * -errno; @fd is closed in either case. */
int fdplan_pin(int fd, int target);

#endif
