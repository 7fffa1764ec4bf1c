/* SPDX-License-Identifier: Apache-2.0 */
/* fake_passt.c: stands in for the host's passt.  What it does, says the last digit of the gateway that
 * it is told of: 10.0.2.1 and so on. */
#include "tests/unit/fake.h"

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>

static char mode(char **argv)
{
	char last = '0';

	for (; argv[0] != NULL && argv[1] != NULL; argv++)
		for (const char *c = argv[1]; same(argv[0], "--gateway") && *c != 0; c++)
			last = *c;
	return last;
}

static void put(const char *line)
{
	long len = 0;

	while (line[len] != 0)
		len++;
	say(line, len);
}

static void lock_in(void)
{
	struct sock_filter all = { .code = BPF_RET | BPF_K, .k = SECCOMP_RET_ALLOW };
	struct sock_fprog filter = { .len = 1, .filter = &all };

	call(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, (long)&filter, 0);
}

static void pause_ms(long ms)
{
	const struct timespec moment = { .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000 * 1000 };

	call(SYS_ppoll, 0, 0, (long)&moment, 0);
}

__attribute__((used)) static _Noreturn void run(long *stack)
{
	char **argv = (char **)(stack + 1);

	switch (mode(argv)) {
	case '1':	/* cannot do its work */
		put("bad news\nFailed to send 9 bytes to syslog\n");
		call(SYS_exit_group, 1, 0, 0, 0);
		break;
	case '2':	/* is in no hurry, and ends neither with its socket nor with its parent */
		pause_ms(100);
		call(SYS_prctl, PR_SET_PDEATHSIG, 0, 0, 0);
		lock_in();
		wait_for_ever();
	case '3':	/* does not last */
		lock_in();
		pause_ms(300);
		put("my last word\n");
		call(SYS_exit_group, 7, 0, 0, 0);
		break;
	case '4':	/* floods its log, and writes nonsense to its socket */
		lock_in();
		for (;;) {
			put("what a day\n");
			call(SYS_sendto, PASST_NET, (long)"\xff\xff\xff\xff nonsense", 13, MSG_DONTWAIT);
		}
	}
	wait_for_ever();	/* and never locks itself in */
}
