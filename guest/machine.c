/* SPDX-License-Identifier: Apache-2.0 */
/* machine.c: host name and loopback interface. */
#include "guest/machine.h"
#include "guest/fail.h"

#include <net/if.h>

#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/utsname.h>
#include <unistd.h>

#define HOSTNAME "immure"

static void loopback_up(void)
{
	struct ifreq req = { .ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0) {
		note("loopback interface: %s", strerror(errno));
		return;
	}
	if (ioctl(fd, SIOCSIFFLAGS, &req) < 0)
		note("loopback interface: %s", strerror(errno));
	close(fd);
}

void machine_setup(void)
{
	struct utsname name;

	/* "(none)" is what the kernel calls itself before anybody gave it a name. */
	if (uname(&name) == 0 && strcmp(name.nodename, "(none)") == 0 &&
	    sethostname(HOSTNAME, sizeof(HOSTNAME) - 1) < 0)
		note("host name: %s", strerror(errno));
	loopback_up();
}
