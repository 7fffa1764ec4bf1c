/* SPDX-License-Identifier: Apache-2.0 */
/* main.c: immure-init, PID 1 of the guest.
 *
 * Runs one command for the host and powers the VM off.  It trusts the host (which owns this
 * machine), but not the image (whose files it reads for user names only) and not the command,
 * which may be root in here: nothing that the command does can keep PID 1 from reporting its
 * end, short of taking the whole guest down.
 *
 * The order: modules, so that there is a connection to complain through; the image, which
 * becomes the root; the kernel's file systems in it; the command; the end.  Every step that
 * fails is told to the host as PROTO_FAILED. */
#include "guest/agent.h"
#include "guest/ending.h"
#include "guest/machine.h"
#include "guest/modules.h"
#include "guest/mounts.h"
#include "guest/reap.h"
#include "guest/rootfs.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static int prepare(struct agent *a, struct fail *f)
{
	if (rootfs_switch(f) < 0 || mounts_late(f) < 0)
		return -1;
	machine_setup();
	return agent_run(a, f);
}

/* Everything that can be reported to the host only. */
static void run(struct agent *a, struct fail *f)
{
	int failed;

	modules_load();
	a->control.fd = agent_connect(PROTO_PORT_CONTROL, f);
	if (a->control.fd < 0) {
		note("%s", f->text);
		return;
	}
	failed = prepare(a, f);
	ending_settle(a->sigchld);
	if (!failed)
		agent_exit(a);
	else if (control_fail(&a->control, f))
		control_wait_closed(&a->control);
	else
		note("%s", f->text);
}

int main(void)
{
	static struct agent agent;
	static struct fail f;

	if (getpid() != 1) {
		fputs("immure-init: this is PID 1 of an immure guest, not a command\n", stderr);
		return 125;
	}
	/* With panic=-1 a fault of ours would be reported as the guest's panic, which it is. */
	signal(SIGPIPE, SIG_IGN);
	agent.sigchld = reap_open();
	if (agent.sigchld < 0 || mounts_early(&f) < 0)
		note("%s", agent.sigchld < 0 ? strerror(-agent.sigchld) : f.text);
	else
		run(&agent, &f);
	ending_power_off();
}
