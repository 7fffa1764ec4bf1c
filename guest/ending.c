/* SPDX-License-Identifier: Apache-2.0 */
/* ending.c: after ending_settle() nothing in the guest can be lost, so the host may as well
 * pull the plug: EXIT is sent only then. */
#include "guest/ending.h"
#include "guest/mounts.h"
#include "guest/reap.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/reboot.h>
#include <unistd.h>

enum { WAIT_MS = 5000, STEP_MS = 100 };

void ending_settle(int sigchld)
{
	struct pollfd p = { .fd = sigchld, .events = POLLIN };

	kill(-1, SIGKILL);
	for (int waited = 0; waited < WAIT_MS && !reap_all(sigchld, -1).none_left;
	     waited += STEP_MS)
		poll(&p, 1, STEP_MS);
	mounts_undo();
	sync();
}

_Noreturn void ending_power_off(void)
{
	reboot(RB_POWER_OFF);
	/* A kernel that cannot power off.  PID 1 must not return: that is a panic, and the
	 * host would hear of a crash that was none. */
	note("power off: %s", strerror(errno));
	for (;;)
		pause();
}
