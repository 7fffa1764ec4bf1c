/* SPDX-License-Identifier: Apache-2.0 */
/* run_net.c: a network of the runner's own, in which whatever a VM sends past its packet wall is all that
 * ever comes in by IPv4, and as a router by IPv6. */
#include "tests/escape/run.h"

#include <fcntl.h>
#include <linux/mount.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

static int sysfs = -1;

bool net_bring_up(const char *interface)
{
	struct ifreq req = { .ifr_flags = IFF_UP };
	int sock = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	bool ok;

	snprintf(req.ifr_name, sizeof(req.ifr_name), "%s", interface);
	ok = sock >= 0 && ioctl(sock, SIOCSIFFLAGS, &req) == 0;
	close(sock);
	return ok;
}

/* What is mounted at /sys shows the interfaces of whoever mounted it. */
static bool mount_sysfs(void)
{
	int fs = (int)syscall(SYS_fsopen, "sysfs", FSOPEN_CLOEXEC);

	close(sysfs);
	sysfs = -1;
	if (fs >= 0 && syscall(SYS_fsconfig, fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) == 0)
		sysfs = (int)syscall(SYS_fsmount, fs, FSMOUNT_CLOEXEC, 0);
	close(fs);
	return sysfs >= 0;
}

bool net_own(void)
{
	return unshare(CLONE_NEWNET) == 0 && net_bring_up("lo") && mount_sysfs();
}

bool net_attribute(const char *interface, const char *name, char *text, size_t size)
{
	char path[80];
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "class/net/%s/%s", interface, name);
	fd = openat(sysfs, path, O_RDONLY | O_CLOEXEC);
	n = read(fd, text, size - 1);
	close(fd);
	text[n > 0 ? n : 0] = 0;
	text[strcspn(text, "\n")] = 0;
	return n > 0;
}

/* /proc/net/snmp has a line of names and one of numbers for each protocol. */
static unsigned long ip4_received(void)
{
	unsigned long n = 0;
	char line[1024];
	FILE *f = fopen("/proc/net/snmp", "re");

	while (f != NULL && fgets(line, sizeof(line), f) != NULL)
		if (sscanf(line, "Ip: %*u %*u %lu", &n) == 1)
			break;
	if (f != NULL)
		fclose(f);
	return n;
}

/* What the host sends to everybody on the link it receives itself: only this it never sends. */
static unsigned long ip6_routers_received(void)
{
	unsigned long n = 0;
	char line[256];
	FILE *f = fopen("/proc/net/snmp6", "re");

	while (f != NULL && fgets(line, sizeof(line), f) != NULL)
		if (sscanf(line, "Icmp6InRouterAdvertisements %lu", &n) == 1)
			break;
	if (f != NULL)
		fclose(f);
	return n;
}

bool net_received(struct world *w)
{
	unsigned long now = ip4_received() + ip6_routers_received();
	bool more = now != w->received;

	w->received = now;
	return more;
}
