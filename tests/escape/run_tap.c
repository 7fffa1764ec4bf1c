/* SPDX-License-Identifier: Apache-2.0 */
/* run_tap.c: the host's end of the VMs' network interface.
 *
 * VMs of root make theirs, which must go with them.  An ordinary user's is given, and must stay as it is: it
 * belongs to that user, who may attach to it and do nothing else. */
#include "tests/escape/run.h"

#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

/* What can be asked of an interface on its descriptor shows in one of these. */
static const char *const attributes[] = {
	"tun_flags", "owner", "group", "mtu", "type", "flags", "carrier", "addr_assign_type",
};

static bool exists(const struct world *w)
{
	return if_nametoindex(w->tap) != 0;
}

/* Attaches to the tap, which is made when there is none.  Returns a descriptor or -1. */
static int attach(const struct world *w)
{
	struct ifreq req = { .ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR };
	int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);

	memcpy(req.ifr_name, w->tap, sizeof(w->tap));
	if (fd >= 0 && ioctl(fd, TUNSETIFF, &req) == 0)
		return fd;
	close(fd);
	return -1;
}

static bool give(const struct world *w)
{
	int fd = attach(w);
	bool ok = fd >= 0 && ioctl(fd, TUNSETOWNER, (unsigned long)w->uid) == 0 &&
		  ioctl(fd, TUNSETPERSIST, 1ul) == 0 && net_bring_up(w->tap);

	close(fd);
	return ok;
}

bool tap_possible(void)
{
	int fd = geteuid() == 0 ? open("/dev/net/tun", O_RDWR | O_CLOEXEC) : -1;

	close(fd);
	return fd >= 0;
}

bool tap_make(struct world *w)
{
	if (!tap_possible())
		return true;
	snprintf(w->tap, sizeof(w->tap), "%s%d-%u", w->uid != 0 ? "given" : "made", (int)getpid(), w->id);
	return w->uid == 0 || give(w);
}

void tap_remove(const struct world *w)
{
	int fd = w->tap[0] != 0 && exists(w) ? attach(w) : -1;

	if (fd >= 0)
		ioctl(fd, TUNSETPERSIST, 0ul);
	close(fd);
}

const char *tap_left(const struct world *w)
{
	if (w->tap[0] == 0 || (w->uid != 0) == exists(w))
		return NULL;
	if (w->uid != 0)
		return give(w) ? "the tap that was given is gone" : "a tap that cannot be made again";
	tap_remove(w);
	return "the VM's tap";
}

bool tap_renew(const struct world *w)
{
	tap_remove(w);
	return w->tap[0] == 0 || w->uid == 0 || give(w);
}

void tap_state(const struct world *w, char *text, size_t size)
{
	char line[32];
	size_t at = 0;

	text[0] = 0;
	for (size_t i = 0; w->tap[0] != 0 && i < sizeof(attributes) / sizeof(attributes[0]); i++) {
		if (!net_attribute(w->tap, attributes[i], line, sizeof(line)))
			snprintf(line, sizeof(line), "?");
		at += (size_t)snprintf(text + at, size - at, "%s %s, ", attributes[i], line);
	}
}
