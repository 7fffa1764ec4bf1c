/* SPDX-License-Identifier: Apache-2.0 */
/* doctor_memory.c: where guest memory could be shared, written to or altered: KSM, swap, Rowhammer. */
#include "cli/doctor_host.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static void ksm(const struct doctor_host *h, struct advices *to)
{
	static const char why[] = "a guest can find out by timing which pages others have, and flip their "
				  "bits; immure never offers memory for merging";
	static const char fix[] = "echo 2 > /sys/kernel/mm/ksm/run";
	char text[16];
	int err = doctor_line(h->sys, "kernel/mm/ksm/run", text, sizeof(text));

	if (err == ENOENT)
		advise(to, "same-page merging (KSM)", ADVICE_OK, why, fix, "not in this kernel");
	else if (err != 0)
		advise(to, "same-page merging (KSM)", ADVICE_UNKNOWN, why, fix, "%s", strerror(err));
	else if (strcmp(text, "1") == 0)
		advise(to, "same-page merging (KSM)", ADVICE_GIVEN, why, fix, "on");
	else
		advise(to, "same-page merging (KSM)", ADVICE_OK, why, fix, "off");
}

/* True when swap on @device is encrypted (dm-crypt) or stays in memory (zram). */
static bool swap_is_safe(const struct doctor_host *h, const char *device)
{
	const char *name = strrchr(device, '/');
	char path[128], uuid[32];

	if (name == NULL || strncmp(device, "/dev/", 5) != 0 || strlen(name) > 64)
		return false;
	if (strncmp(name, "/zram", 5) == 0)
		return true;
	snprintf(path, sizeof(path), "class/block%s/dm/uuid", name);
	return doctor_line(h->sys, path, uuid, sizeof(uuid)) == 0 && strncmp(uuid, "CRYPT-", 6) == 0;
}

static void swap(const struct doctor_host *h, struct advices *to)
{
	static const char why[] = "memory of a VM without a cgroup of its own can end up on the disk in "
				  "clear (with one, immure forbids it to be swapped)";
	static const char fix[] = "swapoff -a, and remove it from /etc/fstab; or encrypt it (crypttab(5))";
	int fd = openat(h->proc, "swaps", O_RDONLY | O_CLOEXEC);
	char text[4096], bad[64] = "";
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
	unsigned areas = 0;
	int err = errno;

	if (fd >= 0)
		close(fd);
	text[n > 0 ? n : 0] = 0;
	/* The first line is a heading. */
	for (char *at = strchr(text, '\n'); at != NULL && at[1] != 0; at = strchr(at + 1, '\n')) {
		char device[64];

		snprintf(device, sizeof(device), "%.*s", (int)strcspn(at + 1, " \t\n"), at + 1);
		areas++;
		if (!swap_is_safe(h, device))
			snprintf(bad, sizeof(bad), "%s", device);
	}
	if (n < 0 && err != ENOENT)
		advise(to, "swap", ADVICE_UNKNOWN, why, fix, "%s", strerror(err));
	else if (bad[0] != 0)
		advise(to, "swap", ADVICE_GIVEN, why, fix, "%s is not known to be encrypted", bad);
	else
		advise(to, "swap", ADVICE_OK, why, fix, areas == 0 ? "none" : "encrypted or in memory");
}

/* A controller that reports errors is one that has the bits to find them. */
static void ecc(const struct doctor_host *h, struct advices *to)
{
	static const char why[] = "who reads one row of a memory chip often enough flips bits in the "
				  "next, which may be another machine's (Rowhammer)";
	static const char fix[] = "memory with ECC and a refresh that resists (TRR, DDR5's RFM), and the "
				  "EDAC driver of its controller; on a virtual machine ask its host";
	char name[64];

	if (doctor_line(h->sys, "devices/system/edac/mc/mc0/mc_name", name, sizeof(name)) == 0)
		advise(to, "memory with ECC", ADVICE_OK, why, fix, "%s reports errors", name);
	else
		advise(to, "memory with ECC", ADVICE_UNKNOWN, why, fix, "no controller reports errors");
}

void advise_memory(const struct doctor_host *h, struct advices *to)
{
	ksm(h, to);
	swap(h, to);
	ecc(h, to);
}
