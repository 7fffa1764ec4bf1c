/* SPDX-License-Identifier: Apache-2.0 */
/* control.c: the main thread's side of the VM.
 *
 * One ppoll over three kinds of descriptors.  The supervisor sends nothing: whatever happens
 * on its socket means that the VM is to end, and its end of the socket closing means that
 * nobody is left to supervise us.  A vCPU writes the wake eventfd once, when it has found a
 * reason to end.  Devices speak the protocol of core/link.h.
 *
 * Deadlines need no clock: the raw ppoll call writes back how much of its time is left. */
#include "vmm/control.h"

#include "core/fdplan.h"
#include "core/log.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { AT_SUPERVISOR, AT_WAKE, AT_LINKS };

static void listen_to(struct machine *m, const struct pollfd fds[])
{
	if (fds[AT_SUPERVISOR].revents != 0)
		end_vm(&m->end, END_STOPPED, 0, 0);
	for (uint32_t i = 0; i < m->ndevices; i++) {
		if (fds[AT_LINKS + i].revents != 0)
			device_message(&m->device[i], &m->end);
	}
}

/* Waits for the next event, or until @left (NULL: no limit) is used up, and handles it.
 * False: the time is over. */
static bool next_event(struct machine *m, struct timespec *left)
{
	struct pollfd fds[AT_LINKS + PLAN_DEVICES] = {
		[AT_SUPERVISOR] = { .fd = VMM_CTL, .events = POLLIN },
		[AT_WAKE] = { .fd = VMM_WAKE, .events = POLLIN },
	};
	long n;

	for (uint32_t i = 0; i < m->ndevices; i++) {
		fds[AT_LINKS + i].fd = VMM_LINK0 + (int)i;
		fds[AT_LINKS + i].events = POLLIN;
	}
	n = syscall(SYS_ppoll, fds, AT_LINKS + m->ndevices, left, NULL, 0);
	if (n > 0)
		listen_to(m, fds);
	else if (n < 0 && errno != EINTR && errno != EAGAIN)
		end_vm(&m->end, END_VMM_DIED, (uint64_t)errno, 0);
	return n != 0;
}

/* The first device that has not said HELLO, or ndevices. */
static uint32_t first_silent(struct machine *m)
{
	uint32_t i = 0;

	while (i < m->ndevices && device_ready(&m->device[i]))
		i++;
	return i;
}

void control_wait_devices(struct machine *m)
{
	struct timespec left = { .tv_sec = DEVICE_HELLO_S };
	uint32_t silent;

	while (!end_reached(&m->end) && (silent = first_silent(m)) < m->ndevices) {
		if (next_event(m, &left))
			continue;
		log_line("device %u: its process has not said HELLO", silent);
		end_vm(&m->end, END_DEVICE_SILENT, silent, 0);
	}
}

void control_serve(struct machine *m)
{
	while (!end_reached(&m->end))
		(void)next_event(m, NULL);
}

/* A supervisor that is gone cannot be told; it also needs no report. */
static void report(const struct vmm_report *r)
{
	if (write(VMM_CTL, r, sizeof(*r)) != (ssize_t)sizeof(*r))
		log_errno(errno, "reporting to the supervisor");
}

void control_running(void)
{
	const struct vmm_report r = { .type = VMM_REPORT_RUNNING };

	report(&r);
}

void control_ended(struct machine *m, uint64_t user_exits)
{
	const struct vmm_report r = {
		.type = VMM_REPORT_END,
		.reason = m->end.reason,
		.detail = m->end.detail,
		.user_exits = user_exits,
		.rip = m->end.rip,
	};

	report(&r);
	for (uint32_t i = 0; i < m->ndevices; i++)
		device_quit(&m->device[i]);
}

void control_not_built(void)
{
	const struct vmm_report r = { .type = VMM_REPORT_END, .reason = END_SETUP };

	report(&r);
}
