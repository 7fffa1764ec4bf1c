/* SPDX-License-Identifier: Apache-2.0 */
/* outcome.c: which of many events is the reason.
 *
 * One cause brings a cascade: a device process is killed by its filter, the VMM sees the link
 * close and reports a dead device, the kernel kills the rest.  Events arrive in no certain
 * order, so they are ranked:
 *
 *   3  the VMM said how the guest ended; a stop order; the timeout; a start that failed.
 *      The first of them stands.
 *   2  a violation: whatever else was seen then is its consequence.
 *   1  a death, or a dead or silent device reported by the VMM.  The first stands, except that
 *      a device that ended quietly (exit status 0, or SIGKILL) gives way to a VMM that did
 *      not: devices end by themselves when the VMM is gone. */
#include "jailer/outcome.h"
#include "core/log.h"
#include "jailer/violation.h"

#include <signal.h>
#include <string.h>
#include <sys/wait.h>

void outcome_init(struct outcome *o)
{
	*o = (struct outcome){ .process = -1, .call = -1 };
}

static int rank(enum end_reason r)
{
	switch (r) {
	case END_NONE:
	case END_REASONS:
		return 0;
	case END_DEVICE_DIED:
	case END_DEVICE_SILENT:
	case END_VMM_DIED:
		return 1;
	case END_VIOLATION:
		return 2;
	case END_POWEROFF:
	case END_REBOOT:
	case END_PANIC:
	case END_TRIPLE_FAULT:
	case END_KVM_ERROR:
	case END_BAD_KERNEL:
	case END_STOPPED:
	case END_TIMEOUT:
	case END_SETUP:
	case END_MEMORY:
		return 3;
	}
	return 0;
}

static bool decide(struct outcome *o, enum end_reason reason, int process, uint64_t detail)
{
	if (rank(reason) <= rank(o->reason))
		return false;
	o->reason = reason;
	o->process = process;
	o->detail = detail;
	return true;
}

void outcome_report(struct outcome *o, const struct vmm_report *r)
{
	bool device = r->reason == END_DEVICE_DIED || r->reason == END_DEVICE_SILENT;

	o->user_exits = r->user_exits;
	o->rip = r->rip;
	/* These the VMM may not say: they are the supervisor's to find out. */
	if (r->reason == END_NONE || r->reason >= END_SETUP || r->reason == END_VIOLATION ||
	    r->reason == END_VMM_DIED || r->reason == END_STOPPED ||
	    r->reason == END_TIMEOUT ||
	    (device && r->detail >= PLAN_DEVICES))
		return;
	decide(o, (enum end_reason)r->reason, device ? 1 + (int)r->detail : -1, r->detail);
}

void outcome_death(struct outcome *o, unsigned index, int status)
{
	bool quiet = status == 0 || (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);

	if (WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS) {
		outcome_violation(o, index, -1);
		return;
	}
	if (o->process == (int)index && o->status == 0)
		o->status = status;
	if (index == 0 && !quiet && o->reason == END_DEVICE_DIED && o->quiet_death)
		o->reason = END_NONE;
	if (index == 0 && decide(o, END_VMM_DIED, 0, (unsigned)status)) {
		o->status = status;
	} else if (index > 0 && decide(o, END_DEVICE_DIED, (int)index, index - 1)) {
		o->status = status;
		o->quiet_death = quiet;
	}
}

void outcome_violation(struct outcome *o, unsigned index, long call)
{
	if (decide(o, END_VIOLATION, (int)index, (uint64_t)call))
		o->call = call;
	/* The culprit may stop after its bystanders did. */
	if (o->reason == END_VIOLATION && o->process == (int)index && o->call < 0) {
		o->call = call;
		o->detail = (uint64_t)call;
	}
}

void outcome_order(struct outcome *o, enum end_reason reason)
{
	decide(o, reason, -1, 0);
}

void outcome_memory(struct outcome *o)
{
	if (rank(o->reason) == 1)
		o->reason = END_MEMORY;
}

void outcome_setup(struct outcome *o, unsigned index)
{
	if (o->reason != END_SETUP)
		o->reason = END_NONE;
	decide(o, END_SETUP, (int)index, 0);
}

static void death_text(const struct outcome *o, const char *name, char *buf, size_t size)
{
	if (WIFSIGNALED(o->status))
		log_format(buf, size, "process %s died of signal %d (%s)", name,
			   WTERMSIG(o->status), sigabbrev_np(WTERMSIG(o->status)));
	else if (o->status != 0)
		log_format(buf, size, "process %s ended with status %d", name,
			   WEXITSTATUS(o->status));
	else
		log_format(buf, size, "process %s ended", name);
}

void outcome_text(const struct outcome *o, const struct plan *p, char *buf, size_t size)
{
	const char *name = o->process >= 0 ? p->proc[o->process].name : "";
	const char *text = "";

	switch (o->reason) {
	case END_POWEROFF: text = "the guest powered off"; break;
	case END_REBOOT: text = "the guest rebooted"; break;
	case END_PANIC: text = "the guest's kernel panicked"; break;
	case END_TRIPLE_FAULT: text = "the guest triple-faulted"; break;
	case END_STOPPED: text = "stopped by the caller"; break;
	case END_TIMEOUT: text = "the time limit was reached"; break;
	case END_SETUP: text = o->failure.text; break;
	case END_BAD_KERNEL:
		text = "the kernel, the initramfs or the command line was refused";
		break;
	case END_KVM_ERROR:
		log_format(buf, size,
			   "KVM could not go on: exit reason %lu, error %lu, rip %lx",
			   o->detail >> 32, o->detail & UINT32_MAX, o->rip);
		return;
	case END_DEVICE_SILENT:
		log_format(buf, size, "process %s did not answer in time", name);
		return;
	case END_VIOLATION:
		log_format(buf, size,
			   "process %s was killed by its policy: system call %s (%ld)", name,
			   violation_name(o->call), o->call);
		return;
	case END_MEMORY:
		log_format(buf, size,
			   "process %s died: the VM reached its memory limit of %lu MiB", name,
			   p->cgroup.memory_max >> 20);
		return;
	case END_DEVICE_DIED:
	case END_VMM_DIED:
		death_text(o, name, buf, size);
		return;
	case END_NONE:
	case END_REASONS:
		break;
	}
	buf[0] = 0;
	strncat(buf, text, size - 1);
}
