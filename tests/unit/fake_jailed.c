/* SPDX-License-Identifier: Apache-2.0 */
/* fake_jailed.c: stands in for immure-vmm, -blk and -vsock inside a real jail.
 *
 * Which one it is says argv[0]; what it does says the kernel command line of the VM, so that a
 * test can have a jailed process that misbehaves.  No C library: it must get by under the
 * coarse filter, and it makes exactly the system calls written here. */
#include "tests/unit/fake.h"

#include "core/dial.h"
#include "core/report.h"
#include "core/vmconfig.h"

#include <poll.h>
#include <sys/socket.h>

/* Connects to port 7 through the supervisor and writes into the connection. */
static void dial(void)
{
	struct dial_request request = { .cookie = 1, .port = 7, .type = SOCK_STREAM };
	struct dial_reply reply = { 0 };
	long control[4] = { 0 };
	struct iovec iov = { &reply, sizeof(reply) };
	struct pollfd ready = { .fd = VSOCK_DIAL, .events = POLLIN };
	struct msghdr msg = {
		.msg_iov = &iov, .msg_iovlen = 1, .msg_control = control,
		.msg_controllen = sizeof(control),
	};

	call(SYS_write, VSOCK_DIAL, (long)&request, sizeof(request), 0);
	while (call(SYS_recvmsg, VSOCK_DIAL, (long)&msg, 0, 0) < 0)
		call(SYS_ppoll, (long)&ready, 1, 0, 0);
	if (reply.error != 0)
		SAY("refused");
	else
		call(SYS_write, ((int *)control)[4], (long)"hello", 5, 0);
}

/* Asks the supervisor for connections to nobody, for ever, and never listens. */
static _Noreturn void ask_deaf(void)
{
	struct dial_request request = { .port = 7, .type = SOCK_STREAM };

	SAY("asking");
	for (;;)
		call(SYS_write, VSOCK_DIAL, (long)&request, sizeof(request), 0);
}

/* Asks 3500 times, as fast as it is answered. */
static void ask_often(void)
{
	struct pollfd ready = { .fd = VSOCK_DIAL, .events = POLLIN };
	struct dial_request request = { .port = 7, .type = SOCK_STREAM };
	struct dial_reply reply;

	for (int i = 0; i < 3500; i++) {
		call(SYS_write, VSOCK_DIAL, (long)&request, sizeof(request), 0);
		call(SYS_ppoll, (long)&ready, 1, 0, 0);
		call(SYS_read, VSOCK_DIAL, (long)&reply, sizeof(reply), 0);
	}
	SAY("answered");
}

static void be_device(const char *what, const char *name)
{
	static char stack[4096];

	if (same(what, "open") && same(name, "immure-vsock"))
		call(SYS_openat, -100, (long)"/", 0, 0);
	if (same(what, "thread") && same(name, "immure-blk"))
		start_thread(stack + sizeof(stack), SYS_openat);
	if (same(what, "exit") && same(name, "immure-blk"))
		call(SYS_exit_group, 3, 0, 0, 0);
	if (same(what, "dial") && same(name, "immure-vsock"))
		dial();
	if (same(what, "deaf") && same(name, "immure-vsock"))
		ask_deaf();
	if (same(what, "often") && same(name, "immure-vsock"))
		ask_often();
	for (int i = 0; same(what, "flood") && i < 200000; i++)
		SAY("\033[31mflood");
}

static void be_vmm(const char *what)
{
	struct vmm_report report = { .type = VMM_REPORT_RUNNING };

	call(SYS_write, VMM_CTL, (long)&report, sizeof(report), 0);
	while (same(what, "repeat"))
		call(SYS_write, VMM_CTL, (long)&report, sizeof(report), 0);
	if (same(what, "lie"))
		call(SYS_write, VMM_CTL, (long)"nonsense", 8, 0);
	report = (struct vmm_report){ .type = VMM_REPORT_END, .reason = END_VIOLATION };
	if (same(what, "accuse"))
		call(SYS_write, VMM_CTL, (long)&report, sizeof(report), 0);
}

__attribute__((used)) static _Noreturn void run(long *stack)
{
	static struct vm_config config;
	const char *name = (const char *)stack[1];

	call(SYS_pread64, FD_CONFIG, (long)&config, sizeof(config), 0);
	if (same(name, "immure-vmm"))
		be_vmm(config.cmdline);
	else
		be_device(config.cmdline, name);
	wait_for_ever();
}
